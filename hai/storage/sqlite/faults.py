"""What can go wrong with a database file, and what that means for Hai.

SQLite's error codes become one of three things: the disk is full (`StorageFull`, Hai
continues without sends), this write failed (`Busy`, Hai continues), or the file cannot
be trusted any more (`is_fatal`: nothing is acked after it, Hai stops).
"""

import os
import resource
import sqlite3
from pathlib import Path

from peewee import DatabaseError

from hai import errors

# After a failed fsync the kernel forgets which pages were not written, and the next
# fsync succeeds without them: no later commit can be trusted.
FATAL = {
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_DATA,
}
FATAL_KINDS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# A full disk can also show when the WAL's index file cannot grow.
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
KIND = 0xFF  # of an extended error code
# Errors of opening a file on a full disk, depending on which part had to be created;
# all of them have other causes too, so free space is checked as well.
FULL_KINDS_AT_OPEN = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}
ROOM_TO_OPEN_BYTES = 128 * 1024  # the log's index takes 32 KiB, a first commit 20

FULL_DISK = "cannot be opened, because the disk is full"
REASONS = {
    sqlite3.SQLITE_NOTADB: "is not a Hai database",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a backup",
    sqlite3.SQLITE_READONLY: "cannot be written to",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_PERM: "cannot be opened",
    sqlite3.SQLITE_FULL: FULL_DISK,
    sqlite3.SQLITE_BUSY: "is used by another program",
}


class Unusable(Exception):
    """The database cannot be served; the message is one line for the operator."""


def code_of(error: BaseException) -> int:
    """SQLite's extended code; 0: none. Peewee's exceptions wrap SQLite's."""
    for candidate in (error, error.__cause__, error.__context__):
        if isinstance(candidate, sqlite3.Error):
            return int(getattr(candidate, "sqlite_errorcode", 0))
    return 0


def is_fatal(error: BaseException) -> bool:
    code = code_of(error)
    return code in FATAL or code & KIND in FATAL_KINDS


def is_locked(error: BaseException) -> bool:
    """Another connection, or another program, is in the way."""
    return code_of(error) & KIND == sqlite3.SQLITE_BUSY


def is_of_batch(error: BaseException) -> bool:
    """Not of one write: the others in its transaction will meet it, too."""
    is_unwritten = code_of(error) == sqlite3.SQLITE_IOERR_WRITE
    return is_unwritten or is_full(error) or is_fatal(error)


def is_full(error: BaseException) -> bool:
    """A full disk, or a file that has reached the process's limit on sizes."""
    code = code_of(error)
    if code == sqlite3.SQLITE_IOERR_WRITE:
        return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
    return code in FULL


def is_full_at_open(error: BaseException, folder: Path) -> bool:
    """A file in this folder could not be opened because the disk is full."""
    disk = os.statvfs(folder)
    has_room = disk.f_bavail * disk.f_frsize > ROOM_TO_OPEN_BYTES
    return is_full(error) or (
        code_of(error) & KIND in FULL_KINDS_AT_OPEN and not has_room
    )


def as_hai_error(error: Exception) -> Exception:
    """Disk faults become errors with stable codes; others are unchanged."""
    if not isinstance(error, DatabaseError):
        return error
    if is_full(error):
        return errors.StorageFull()
    return errors.Busy()


def reason(error: BaseException) -> str:
    """Why a file could not be opened, to be printed after its name."""
    return REASONS.get(code_of(error) & KIND, f"cannot be used: {error}")
