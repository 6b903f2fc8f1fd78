"""The write-ahead log: checkpointed in time, and never long.

SQLite would checkpoint by itself within a COMMIT, and hide a sync that failed there; so
`wal_autocheckpoint` is off and the writer checkpoints after a commit, where an error is
visible. Whether a checkpoint is due is read from the log's index (open_files.py): how
many pages are in the log, which restarts with a new salt.

The log only restarts when nobody is reading from it. Long reads of this process are
interrupted; for readers in other programs there is `is_long`: writes that grow the file
are refused until they are gone. Promise: 64 MiB at most.

A checkpoint makes the database grow by the pages that are new in the log. So it is done
early while the disk has little free space, and on a full disk with space from the
reserve; then the log restarts in the space that it has, and deletions need no more.
"""

import logging
import os
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
LOW_DISK_BYTES = 256 * MIB  # free; another program fills about as much in a second
LOW_DISK_PAGES = 256  # then it is due; the reserve must do for them and a batch
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
        self._low_due_at = LOW_DISK_PAGES  # while the disk has little room
        self._checkpointed = 0  # pages of this log, when all last were
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
            self._low_due_at, self._checkpointed = LOW_DISK_PAGES, 0
        is_low_due = page_count >= self._low_due_at and self._is_disk_low()
        return is_low_due or page_count >= self._due_at

    def _is_disk_low(self) -> bool:
        try:
            disk = os.statvfs(self.files.path.parent)
        except OSError:
            return False  # the folder was lost: open_files.py tells
        return disk.f_bavail * disk.f_frsize < LOW_DISK_BYTES

    def make_room(self, give_some: Callable[[], bool]) -> bool:
        """On a full disk: checkpoint all of it, so that it restarts in its own space.

        give_some: frees space for a database that has to grow; False: none is left.
        Returns False when there was nothing to checkpoint, or that was not possible.
        """
        self._is_due()  # looks whether this is another log
        before = self._checkpointed
        while not self._checkpoint("PASSIVE"):
            if not give_some():
                return False
        return self._checkpointed > before

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

    def _checkpoint(self, how: str) -> bool:
        """False: the disk is full."""
        try:
            row = self.engine.execute_sql(f"PRAGMA wal_checkpoint({how})").fetchone()
        except DatabaseError as error:
            if faults.is_fatal(error):
                raise
            self._due_at += AGAIN_PAGES
            self._low_due_at += LOW_DISK_PAGES
            if faults.is_full(error):
                return False
            self._tell(str(error))
            return True
        is_busy, page_count, checkpointed = row
        self._due_at = page_count + AGAIN_PAGES
        self._low_due_at = page_count + LOW_DISK_PAGES
        if not is_busy and page_count == checkpointed:
            self._checkpointed = page_count
        if how == "TRUNCATE":
            self._busy_count = self._busy_count + 1 if is_busy else 0
            if self._busy_count >= TOLD_AT:
                self._tell("another program is reading in the database")
            elif not is_busy:
                self._is_told = False
        return True

    def _tell(self, why: str) -> None:
        if not self._is_told:
            logger.warning("the write-ahead log stays long: %s", why)
        self._is_told = True
