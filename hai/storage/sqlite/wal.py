"""The write-ahead log: written back into the database in time, and never long.

SQLite would write it back by itself within a COMMIT, and say nothing of a sync
that failed there; so its `wal_autocheckpoint` is off and the writer does it after
a commit, where an error is an error. When that is due is read from the log's index
(open_files.py): how many pages are in the log, which begins anew under another salt.

The log begins anew only when nobody reads in it. Readers of this process are
ended when they take too long; for those of another program there is `is_long`:
what fills the file is refused until they are gone. Promise: 64 MiB at most.

To write the log back, the database must grow by what is new in it. So while the disk
has little room it is done early, and on a full disk with what is held in reserve; then
the log begins anew in the room that it has, and what is deleted needs no more.
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

# 16 MiB, not SQLite's 4: the pages that every batch changes are written back a
# quarter as often (120 us of wall time a hai become 80).
DUE_PAGES = 4096
LOW_DISK_BYTES = 256 * MIB  # free; another program fills about as much in a second
LOW_DISK_PAGES = 256  # then it is due; the reserve must do for them and a batch
AGAIN_PAGES = 1024  # more, when a reader has kept the log from beginning anew

WAITED_FOR_BYTES = 24 * MIB  # beyond it we wait for readers, and batches are small
LONG_BYTES = 48 * MIB  # beyond it nothing is taken that makes the file grow
LIMIT_BYTES = 60 * MIB  # beyond it nothing at all; the rest is for what is under way
WAIT_MS = 500  # for readers that are in it; writers wait meanwhile
RETRY_S = 1.0
TOLD_AT = 3  # tries: a read of ours on a busy machine may outlast one or two


class WriteAheadLog:
    """The log of one open database. Writer thread only.

    interrupt_readers: makes this process's long reads end.
    files: set when they are open.
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
        self._written_back = 0  # pages of this log, when all of them last were
        self._tried_at = 0.0
        self._busy_count = 0  # tries in a row that readers kept from beginning anew
        self._is_told = False

    @property
    def byte_count(self) -> int:
        """Of the file, after the last commit."""
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

    def tend(self) -> None:
        """After a commit: write back what is due.

        Raises DatabaseError when the file cannot be trusted any more.
        """
        if self._is_due():
            self._write_back("PASSIVE")
        if self.is_waited_for and time.monotonic() - self._tried_at > RETRY_S:
            self._shorten()
            self.files.measure_log()

    def _is_due(self) -> bool:
        salt, page_count = self.files.committed
        if salt != self._salt:
            self._salt, self._due_at = salt, DUE_PAGES
            self._low_due_at, self._written_back = LOW_DISK_PAGES, 0
        is_low_due = page_count >= self._low_due_at and self._is_disk_low()
        return is_low_due or page_count >= self._due_at

    def _is_disk_low(self) -> bool:
        try:
            disk = os.statvfs(self.files.path.parent)
        except OSError:
            return False  # the folder was lost: open_files.py tells
        return disk.f_bavail * disk.f_frsize < LOW_DISK_BYTES

    def make_room(self, give_some: Callable[[], bool]) -> bool:
        """On a full disk: write all of it back, so that it begins anew where it is.

        give_some: gives room to a database that has to grow; False: there is none left.
        Returns False when there was nothing to write back, or that was not possible.
        """
        self._is_due()  # looks whether this is another log
        before = self._written_back
        while not self._write_back("PASSIVE"):
            if not give_some():
                return False
        return self._written_back > before

    def _shorten(self) -> None:
        """Begin the log anew with an empty file, as soon as no reader is in it."""
        self._tried_at = time.monotonic()
        self.interrupt_readers()
        before = self.engine.execute_sql("PRAGMA busy_timeout").fetchone()[0]
        self.engine.execute_sql(f"PRAGMA busy_timeout = {WAIT_MS}")
        try:
            self._write_back("TRUNCATE")
        finally:
            self.engine.execute_sql(f"PRAGMA busy_timeout = {before}")

    def _write_back(self, how: str) -> bool:
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
        is_busy, page_count, written_back = row
        self._due_at = page_count + AGAIN_PAGES
        self._low_due_at = page_count + LOW_DISK_PAGES
        if not is_busy and page_count == written_back:
            self._written_back = page_count
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
