"""The write-ahead log: checkpointed in time, and never long.

SQLite would checkpoint by itself within a COMMIT, and hide a sync that failed there; so
`wal_autocheckpoint` is off and the writer checkpoints after a commit, where an error is
visible. Whether a checkpoint is due is read from the log's index (open_files.py): how
many pages are in the log, which restarts with a new salt.

The log only restarts when nobody is reading from it. Long reads of this process are
interrupted; for readers in other programs there is `is_long`: writes that grow the file
are refused until they are gone. Promise: 64 MiB at most.
"""

import logging
import time
from collections.abc import Callable

from peewee import DatabaseError, SqliteDatabase

from hai.storage.sqlite import faults
from hai.storage.sqlite.open_files import OpenFiles
from hai.units import MIB

logger = logging.getLogger(__name__)

# 16 MiB instead of SQLite's 4: pages that every batch changes are written to the
# database a quarter as often (80 us of wall time a hai instead of 120).
DUE_PAGES = 4096
AGAIN_PAGES = 1024  # more, when a reader has kept the log from restarting

WAITED_FOR_BYTES = 24 * MIB  # above it we wait for readers, and batches are small
LONG_BYTES = 48 * MIB  # above it writes that make the file grow are refused
LIMIT_BYTES = 60 * MIB  # above it all are; the rest is for the current batch
WAIT_MS = 500  # for its readers; writes wait meanwhile
RETRY_S = 1.0
TOLD_AT = 3  # attempts: on a busy machine a read of ours may outlast one or two


class WriteAheadLog:
    """The log of one open database. Writer thread only.

    interrupt_readers: interrupts this process's long reads. files: set once they are
    open.
    """

    files: OpenFiles

    def __init__(
        self, engine: SqliteDatabase, interrupt_readers: Callable[[], None]
    ) -> None:
        self.engine = engine
        self.interrupt_readers = interrupt_readers
        self._salt = b""  # of the log that `_due_at` counts in
        self._due_at = DUE_PAGES
        self._tried_at = 0.0
        self._busy_count = 0  # consecutive attempts that readers prevented
        self._is_told = False

    @property
    def byte_count(self) -> int:
        """The size of the file after the last commit."""
        return self.files.log_bytes

    @property
    def is_waited_for(self) -> bool:
        return self.byte_count > WAITED_FOR_BYTES

    @property
    def is_long(self) -> bool:
        return self.byte_count > LONG_BYTES

    @property
    def is_at_its_limit(self) -> bool:
        return self.byte_count > LIMIT_BYTES

    def checkpoint_if_due(self) -> None:
        """Called after a commit.

        Raises DatabaseError when the file cannot be trusted any more.
        """
        if self._is_due():
            self._checkpoint("PASSIVE")
        if self.is_waited_for and time.monotonic() - self._tried_at > RETRY_S:
            self._truncate()
            self.files.measure_log()

    def _is_due(self) -> bool:
        salt, page_count = self.files.committed
        if salt != self._salt:
            self._salt, self._due_at = salt, DUE_PAGES
        return page_count >= self._due_at

    def _truncate(self) -> None:
        """Restart the log with an empty file, once nobody is reading from it."""
        self._tried_at = time.monotonic()
        self.interrupt_readers()
        before = self.engine.execute_sql("PRAGMA busy_timeout").fetchone()[0]
        self.engine.execute_sql(f"PRAGMA busy_timeout = {WAIT_MS}")
        try:
            self._checkpoint("TRUNCATE")
        finally:
            self.engine.execute_sql(f"PRAGMA busy_timeout = {before}")

    def _checkpoint(self, how: str) -> None:
        try:
            row = self.engine.execute_sql(f"PRAGMA wal_checkpoint({how})").fetchone()
        except DatabaseError as error:
            if faults.is_fatal(error):
                raise
            self._due_at += AGAIN_PAGES
            self._tell(str(error))
            return
        is_busy, page_count, _ = row
        self._due_at = page_count + AGAIN_PAGES
        if how == "TRUNCATE":
            self._busy_count = self._busy_count + 1 if is_busy else 0
            if self._busy_count >= TOLD_AT:
                self._tell("another program is reading in the database")
            elif not is_busy:
                self._is_told = False

    def _tell(self, why: str) -> None:
        if not self._is_told:
            logger.warning("the write-ahead log stays long: %s", why)
        self._is_told = True
