"""Copies of the whole database: taken while it serves, restored while it does not.

Each copy has its unfinished file to itself, by a lock on it. The writer's own
connection copies it step by step between batches, so SQLite applies every later commit
to it: it holds no read transaction (the log stays short) and never starts over, however
much is written. It is checked and synced, and only then gets its name. Restoring
completes the new file beside the old one, gives the old one a second name, and renames
the new one over it: after a crash there is one or the other.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import sqlite3
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hai import children
from hai.paths import ROOT
from hai.storage.sqlite import (
    epoch,
    migrations,
    verify,
)
from hai.storage.sqlite.backup_check import sync

STEP_PAGES = 256  # 1 MiB: about 2 ms between two batches
TIME = "%Y-%m-%d-%H%M%S"  # in the names of files set aside
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file


class NoBackup(Exception):
    """This file contains nothing that can be restored; one line says why."""


def try_copy(
    target: Path, connection: Any, yield_to_writes: Callable[[], None]
) -> str | None:
    """Copy the open database to a new file; returns the error, if any.

    (writer thread, between batches)
    """
    try:
        with contextlib.closing(sqlite3.connect(target)) as other:
            other.execute("PRAGMA synchronous = off")  # synced once, when it is whole
            connection.backup(
                other,
                pages=STEP_PAGES,
                progress=lambda status, left, all_: yield_to_writes(),
            )
    except sqlite3.Error as error:
        return str(error)
    return None


@contextlib.contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """An empty file beside the target, exclusive to this copy until it is renamed.

    Leftovers of a copy that was killed are deleted. Raises BlockingIOError when another
    copy to the same target is in progress, OSError.
    """
    part = target.with_name(f".{target.name}.part")
    handle = _lock(part)
    try:
        remove(part, suffixes=BESIDE)
        os.ftruncate(handle, 0)
        yield part
    finally:
        if _is_named(handle, part):
            remove(part)
        os.close(handle)


def _lock(path: Path) -> int:
    """Lock the file with this name. The kernel releases the lock when we die."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        if _is_named(handle, path):
            return handle
        os.close(handle)  # another copy has just renamed or removed it


def _is_named(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


async def finish(target: Path) -> tuple[verify.Counts, list[str]]:
    """Turn the copy into a single file, check it, and sync it to the disk.

    Returns what it contains, and what is wrong with it. The whole file is read, which
    takes seconds for each 100 MiB, so this runs in a separate process (backup_check.py)
    at the lowest priority, which is killed if the caller is cancelled. Raises
    ChildProcessError.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "hai.storage.sqlite.backup_check", str(target)),
        stdin=DEVNULL,
        stdout=PIPE,
        cwd="/",
        env={"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    handle = children.hold(process.pid)
    try:
        printed, _ = await process.communicate()
    finally:
        children.end(handle)
        await process.wait()
    if process.returncode:
        raise ChildProcessError(f"its check ended with {process.returncode}")
    found = json.loads(printed)
    return verify.Counts(**found["counts"]), found["problems"]


def put_in_place(part: Path, target: Path) -> None:
    """Rename the finished file to its final name, durably."""
    os.replace(part, target)
    sync(target.parent)


def remove(path: Path, suffixes: Sequence[str] = ("", *BESIDE)) -> None:
    """The file and those that SQLite keeps beside it."""
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def prepare(source: Path, part: Path) -> list[str]:
    """Copy a backup into the data folder, migrated, with a new epoch; check it.

    Returns what is wrong with it. Raises NewerSchema, and NoBackup when it cannot be
    copied at all.
    """
    if not source.is_file():
        raise NoBackup(f"There is no file {source}.")
    remove(part)
    try:
        _copy_for_restore(source, part)
    except sqlite3.Error as error:
        raise NoBackup(f"{source} cannot be restored: {error}") from error
    problems = list(verify.problems(part, verify.Counts()))
    sync(part)
    return problems


def _copy_for_restore(source: Path, part: Path) -> None:
    with (
        contextlib.closing(verify.open_file(source, "ro")) as db,
        contextlib.closing(sqlite3.connect(part, isolation_level=None)) as other,
    ):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations.MIGRATIONS):
            raise migrations.NewerSchema(f"{source} {migrations.newer(version)}")
        if not version:
            raise sqlite3.DatabaseError("it is not a Hai database")
        db.backup(other)
        other.execute("PRAGMA journal_mode = delete")
        migrations.migrate(other.execute)
        epoch.renew(other.execute)
        epoch.end_run(other.execute)


@dataclass(frozen=True, slots=True)
class Lineage:
    """The history of a database: its epoch and rev, and the epoch it continues."""

    rev: int
    epoch: str
    epoch_before: str | None = None
    rev_before: int | None = None

    def is_contained_in(self, other: "Lineage") -> bool:
        """Whether the other one contains everything that this one does."""
        if self.epoch == other.epoch:
            return self.rev <= other.rev
        if self.epoch_before != other.epoch or self.rev_before is None:
            return False
        is_as_restored = self.rev == self.rev_before + epoch.STEP
        return is_as_restored and self.rev_before <= other.rev


def why_not_replace(path: Path, source: Path) -> str | None:
    """Why the present database should not be replaced: it contains more.

    An unreadable database contains nothing, nor does one without people; they are set
    aside anyway.
    """
    try:
        present = lineage_of(path, "rw")
        if not _has_people(path):
            return None
    except sqlite3.Error:
        return None
    stored = lineage_of(source, "ro")
    if present.is_contained_in(stored):
        return None
    return (
        f"{path} holds what {source} does not (rev {present.rev}, {stored.rev});"
        " --force restores nevertheless, and keeps it aside."
    )


def lineage_of(path: Path, mode: str) -> Lineage:
    """Of a database with any schema version. Raises sqlite3.Error."""
    with contextlib.closing(verify.open_file(path, mode)) as db:
        db.row_factory = sqlite3.Row
        row = db.execute("SELECT * FROM server").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("there is no server row")
    found, wanted = dict(row), [field.name for field in fields(Lineage)]
    return Lineage(**{name: found[name] for name in wanted if name in found})


def _has_people(path: Path) -> bool:
    with contextlib.closing(verify.open_file(path)) as db:
        found = db.execute("SELECT 1 FROM users WHERE kind = 'person' LIMIT 1")
        return found.fetchone() is not None


def set_aside(path: Path) -> Path | None:
    """Give the present database another name; returns it, if there is one.

    It also keeps its own name until the new file takes it: after a crash in between,
    the old data is still there. (File systems without hard links rename it.) Its log is
    written into it first, or renamed with it: a log beside a different database would
    corrupt that one.
    """
    aside = free_name(Path(f"{path}.{time.strftime(TIME)}"))
    is_there = path.exists()
    if is_there:
        _empty_log(path)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    if not is_there:
        return None
    try:
        os.link(path, aside)
    except OSError:
        os.rename(path, aside)
    return aside


def free_name(wanted: Path) -> Path:
    """This path, or with a number if it is taken."""
    numbers = ("", *map("-{}".format, range(2, 99)))
    names = (Path(f"{wanted}{number}") for number in numbers)
    return next(name for name in names if not name.exists())


def _empty_log(path: Path) -> None:
    with contextlib.suppress(sqlite3.Error):  # damaged: it goes with its log
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
