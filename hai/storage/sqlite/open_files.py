"""Are the open files still the ones at their paths?

A file that is deleted, replaced or moved stays complete for the process that has it
open, and accepts every commit; when the process ends it is gone. So after each commit,
and once a second when there is none, the paths are compared with what was opened
(`lstat`, which opens nothing: closing a descriptor of a database drops all locks that
this process holds on it). A log that was truncated keeps its identity, so its length is
compared with what SQLite's index says is committed in it.

Other programs may read, write, checkpoint and restart the log, or add a hard link: that
is not a loss. Source: the SQLite file format, "WAL-Index Format".
"""

import contextlib
import mmap
import os
import struct
from pathlib import Path

# From the index's header: page size, last committed page of the log, and the salt of
# the log's pages. In the byte order of the machine.
INDEX = struct.Struct("=14xHI12x8s")
HEADER_BYTES, PAGE_HEADER_BYTES, PAGE_SALT_AT = 32, 24, 8
INDEX_BYTES = 4096  # its first page; the header is in the first 48 bytes
LARGEST_PAGE_BYTES = 65_536  # does not fit 16 bits: it is written as 1


class LostFile(Exception):
    """A file is not the one that was opened; says which, and what happened."""


class OpenFile:
    """A path, and the file it named when SQLite opened it."""

    def __init__(self, path: str) -> None:
        self.path = path
        opened = os.lstat(path)
        self.identity = opened.st_ino, opened.st_dev

    @property
    def found(self) -> os.stat_result | None:
        """What it names now: this file, another one, or nothing."""
        with contextlib.suppress(OSError):
            return os.lstat(self.path)
        return None

    @property
    def is_in_place(self) -> bool:
        found = self.found
        return found is not None and self.identity == (found.st_ino, found.st_dev)


class OpenFiles:
    """The database, its log and the log's index, of an open database.

    log_bytes: size of the log's file, when last checked. From any thread. `close` it
    after SQLite has closed the files: see above.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        real = os.path.realpath(path)  # SQLite keeps the log beside the real file
        self.database = OpenFile(real)
        self.log = OpenFile(f"{real}-wal")
        self.index = OpenFile(f"{real}-shm")
        self._is_link = path.is_symlink()
        folder = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        self._folder = os.open(path.parent, folder)
        self._log = os.open(self.log.path, os.O_RDONLY | os.O_CLOEXEC)
        self._index_file = os.open(self.index.path, os.O_RDONLY | os.O_CLOEXEC)
        # Read as SQLite does, without a call that releases the GIL.
        self._index = mmap.mmap(self._index_file, INDEX_BYTES, prot=mmap.PROT_READ)
        self.measure_log()
        self._seen = (b"", 0)  # salt of the log, and its last page

    def check(self) -> None:
        """Raise LostFile when one of them is lost."""
        if loss := self.find_loss():
            raise LostFile(loss)

    def find_loss(self) -> str | None:
        """What happened to a file, in words; None: all are there. About 8 us."""
        return None if self._are_there() else self._loss()

    def _are_there(self) -> bool:
        try:
            database = os.lstat(self.database.path)
            index = os.lstat(self.index.path)
            log = os.lstat(self.log.path)
        except OSError:
            return False
        self.log_bytes = log.st_size
        return (
            (database.st_ino, database.st_dev) == self.database.identity
            and (index.st_ino, index.st_dev) == self.index.identity
            and (log.st_ino, log.st_dev) == self.log.identity
            and database.st_size > 0
            and index.st_size > 0
            and not (self._is_link and not self._is_linked())
            and not self._is_cut()
        )

    def _loss(self) -> str | None:
        for file in (self.database, self.index, self.log):
            found = file.found
            if found is None:
                return self._gone(file)
            if not file.is_in_place:
                return f"{self._shown(file)} was replaced"
            if not found.st_size and file is not self.log:
                return f"{self._shown(file)} was emptied"
        if self._is_link and not self._is_linked():
            return f"{self.path} was removed or replaced"
        self.measure_log()
        return f"{self._shown(self.log)} was cut short" if self._is_cut() else None

    @property
    def is_whole(self) -> bool:
        """The database is at its path, and the log contains all that was committed to
        it."""
        self.measure_log()
        found = self.database.found
        is_emptied = found is not None and not found.st_size
        return self.database.is_in_place and not is_emptied and not self._is_cut()

    @property
    def is_moved(self) -> bool:
        """All of them are together in their folder, which has another path now."""
        names = (self.database, self.log, self.index)
        return self.folder != self.path.parent and all(map(self._is_in_folder, names))

    @property
    def folder(self) -> Path | None:
        """Where the opened folder is now; None: no path leads to it."""
        with contextlib.suppress(OSError):
            for path in (self.path.parent, Path(os.readlink(self._name_of_folder))):
                if path.exists() and os.path.samestat(path.stat(), self._folder_stat):
                    return path
        return None

    def close(self) -> None:
        self._index.close()
        for handle in (self._folder, self._log, self._index_file):
            os.close(handle)

    @property
    def committed(self) -> tuple[bytes, int]:
        """The salt of the log, and how many pages are committed in it."""
        _, page_count, salt = INDEX.unpack_from(self._index)
        return salt, page_count

    def measure_log(self) -> int:
        self.log_bytes = os.fstat(self._log).st_size
        return self.log_bytes

    @property
    def _name_of_folder(self) -> str:
        return f"/proc/self/fd/{self._folder}"

    @property
    def _folder_stat(self) -> os.stat_result:
        return os.fstat(self._folder)

    def _is_in_folder(self, file: OpenFile) -> bool:
        with contextlib.suppress(OSError):
            name = os.path.basename(file.path)
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            return (found.st_ino, found.st_dev) == file.identity
        return False

    def _gone(self, file: OpenFile) -> str:
        is_folder_there = self.folder == self.path.parent
        what = self._shown(file) if is_folder_there else self.path.parent
        return f"{what} was removed or moved"

    def _shown(self, file: OpenFile) -> str:
        """The file's name as the operator writes it."""
        if self._is_link:
            return file.path
        return str(self.path.with_name(os.path.basename(file.path)))

    def _is_linked(self) -> bool:
        with contextlib.suppress(OSError):
            found = os.stat(self.path)
            return (found.st_ino, found.st_dev) == self.database.identity
        return False

    def _is_cut(self) -> bool:
        """Another program may restart the log between two reads: then check again."""
        while True:
            index = self._index[: INDEX.size]
            is_whole = self._is_whole(*INDEX.unpack(index))
            if is_whole or self._index[: INDEX.size] == index:
                return not is_whole
            self.measure_log()

    def _is_whole(self, page_bytes: int, page_count: int, salt: bytes) -> bool:
        """Whether the log is as long as its index says, and has no hole.

        A log that was truncated and has grown again by a commit has a hole at the page
        that used to be its last: the salt is missing there.
        """
        if not page_count:
            return True
        if page_bytes == 1:
            page_bytes = LARGEST_PAGE_BYTES
        each_bytes = PAGE_HEADER_BYTES + page_bytes
        if self.log_bytes < HEADER_BYTES + page_count * each_bytes:
            return False
        salt_before, count_before = self._seen
        is_same_log = salt == salt_before and 0 < count_before <= page_count
        number = count_before if is_same_log else page_count
        at = HEADER_BYTES + (number - 1) * each_bytes + PAGE_SALT_AT
        if os.pread(self._log, len(salt), at) != salt:
            return False
        self._seen = (salt, page_count)
        return True
