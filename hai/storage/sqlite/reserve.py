"""A few MiB of disk, reserved so that people can sign in when the disk is full.

The space is held by a file beside the database. When a write meets a full disk, sends
and pictures are refused, and the file is shortened step by step to make room for small
writes (a session, a read marker, a deletion). Once the file can be restored to its full
size there is space again, and sends continue without a restart.
"""

import os
import time
from pathlib import Path

RESERVE_NAME = "hai.reserve"
RESERVE_BYTES = 4 * 1024 * 1024  # about 500 sign-ins
STEP_BYTES = 256 * 1024  # released at a time: others fill the disk meanwhile
BLOCK_BYTES = 512  # the unit of `st_blocks`, whatever the file system uses
RETRY_S = 1.0  # between checks whether there is space again


class Reserve:
    """Used by the writer thread only, once that runs.

    What an earlier run has left of it counts from the beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held_bytes = _size(path)
        self._tried_at = 0.0

    def take(self) -> bool:
        """Hold all of the space; whether it is held now."""
        self._tried_at = time.monotonic()
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(handle, 0, RESERVE_BYTES)
        except OSError:  # no space, or a limit on the size of files
            self._held_bytes = min(self._held_bytes, _size(self.path))
            os.ftruncate(handle, self._held_bytes)
            return False
        finally:
            os.close(handle)
        self._held_bytes = RESERVE_BYTES
        return True

    def retake(self) -> bool:
        """The same, but looks at the disk at most once in RETRY_S."""
        if time.monotonic() - self._tried_at < RETRY_S:
            return False
        return self.take()

    def give_some(self) -> bool:
        """Give up a bit of it; False: there is none left."""
        self._tried_at = time.monotonic()
        left = max(0, self._held_bytes - STEP_BYTES)
        if not self._held_bytes:
            return False
        try:
            os.truncate(self.path, left)
        except OSError:  # somebody has removed it, and taken the room
            self._held_bytes = 0
            return False
        self._held_bytes = left
        return True


def _size(path: Path) -> int:
    """How much of it there is, on the disk too: one made by hand may be empty."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return min(found.st_size, found.st_blocks * BLOCK_BYTES)
