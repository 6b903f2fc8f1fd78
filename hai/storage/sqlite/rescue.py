"""A file was lost while the server was running: what is open is copied before it ends.

The writer's connection still has the whole database, so a backup is taken from it,
checked, and saved in the data folder: wherever that is now if it was moved, or created
again if it was deleted. Then either the database is complete again (only the log had
lost its name: it is checkpointed), or a note is left beside it, so that no Hai starts
on older data: `restore` removes the note.

If the copy cannot be written Hai keeps running, refuses all writes and tries again: the
contents of a file without a name are lost when the process ends.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hai.storage.sqlite import (
    backup,
    backup_check,
    faults,
)
from hai.storage.sqlite.open_files import OpenFiles

NOTE_NAME = "hai.lost"
PREFIX = "rescue-"
RETRY_S = 10.0
STEP_PAGES = 4096  # 16 MiB
CACHE_KIB = 64 * 1024
UNREADABLE = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}


@dataclass(frozen=True, slots=True)
class RescueCopy:
    """The result of an attempt. path: None when there is no file."""

    path: Path | None
    problem: str | None = None  # why there is none, or what is wrong with it
    is_final: bool = True  # another attempt would not do better


def end(
    files: OpenFiles,
    connection: Any,
    *,
    loss: str,
    acked_rev: int,
    is_over: threading.Event,
    tell: Any,
) -> None:
    """Copy what is still open, say how to continue, and leave the files ready for that.

    loss: in words. acked_rev: the copy must contain it. is_over: stop waiting. tell:
    receives the line for the log. (writer thread; in no transaction)
    """
    lost = f"{loss} while Hai served, so it stops"
    copy = _copy(files, connection, acked_rev)
    if not copy.is_final:
        tell(
            f"{lost} as soon as it has copied what only this process has, which failed"
            f" ({copy.problem}); it tries again every {RETRY_S:g} s, and acks nothing"
        )
        while not copy.is_final and not is_over.wait(RETRY_S):
            copy = _copy(files, connection, acked_rev)
    tell(f"{lost}; {_next_steps(files, connection, loss, copy)}")


def _next_steps(files: OpenFiles, connection: Any, loss: str, copy: RescueCopy) -> str:
    """Leave the files ready for the next start, and say how to get there."""
    is_whole = copy.path is not None and not copy.problem
    kept = f"all that was acked is in {copy.path}"
    if is_whole and files.is_moved and not files.path.parent.exists():
        return f"{kept}, too, beside the files: move {files.folder} back"
    if is_whole and _is_whole_again(files, connection):
        return f"all that was acked is in {files.path} again, and in {copy.path}"
    if is_whole:
        _set_log_aside(files)
        text = f"{kept}: run.py restore {copy.path}"
    elif copy.path:
        text = f"what could be read is in {copy.path}, which is damaged: {copy.problem}"
    else:
        text = f"it could not be rescued ({copy.problem}): restore a backup"
        if files.database.is_in_place and files.path.stat().st_size:
            text += f", or go on with what is left: run.py restore {files.path}"
    _leave_note(files, copy, f"{loss} while Hai served; {text}")
    return text


def _copy(files: OpenFiles, connection: Any, acked_rev: int) -> RescueCopy:
    """Into the first folder that accepts it."""
    copy = RescueCopy(None, "there is no folder")
    for folder in _folders(files):
        copy = _copy_to(folder, connection, acked_rev)
        if copy.path or copy.is_final:
            break
    return copy


def _folders(files: OpenFiles) -> Iterator[Path]:
    """Where the opened folder is now, else where it was, created if necessary."""
    parent = files.path.parent
    folder = files.folder
    if folder:
        yield folder
    if folder != parent:
        with contextlib.suppress(OSError):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield parent


def _copy_to(folder: Path, connection: Any, acked_rev: int) -> RescueCopy:
    name = f"{PREFIX}{time.strftime(backup.TIME)}.db"
    target = backup.free_name(folder / name)
    try:
        with backup.part_of(target) as part:
            _read_into(part, connection)
            _, problems = backup_check.finish(part)
            problems += _missing(part, acked_rev)
            backup.put_in_place(part, target)
    except sqlite3.Error as error:
        code = faults.code_of(error)
        is_source = code in UNREADABLE or code & faults.KIND in faults.FATAL_KINDS
        return RescueCopy(None, str(error), is_source)
    except OSError as error:
        return RescueCopy(None, f"{folder}: {error.strerror}", is_final=False)
    return RescueCopy(target, problems[0] if problems else None)


def _read_into(part: Path, connection: Any) -> None:
    # Of a truncated log the connection still has the last pages cached: keep them.
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    with contextlib.closing(sqlite3.connect(part)) as other:
        other.execute("PRAGMA synchronous = off")  # synced once, when it is whole
        connection.backup(other, pages=STEP_PAGES)


def _missing(part: Path, acked_rev: int) -> list[str]:
    found = backup.lineage_of(part, "ro").rev
    return [] if found >= acked_rev else [f"it ends at rev {found} of {acked_rev}"]


def _is_whole_again(files: OpenFiles, connection: Any) -> bool:
    """Checkpoint, if the database itself is at its path and complete."""
    if not files.is_whole:
        return False
    try:
        is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error:
        return False
    if is_busy:
        return False
    if not files.log.is_in_place:
        _set_aside(files.log.path)
    return True


def _set_log_aside(files: OpenFiles) -> None:
    """Our log would corrupt another database that has our database's name."""
    if files.log.is_in_place and not files.database.is_in_place:
        _set_aside(files.log.path)


def _set_aside(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rename(path, backup.free_name(Path(f"{path}.{time.strftime(backup.TIME)}")))


def _leave_note(files: OpenFiles, copy: RescueCopy, text: str) -> None:
    """Where the next Hai looks, and beside the copy if one might start there too."""
    folders = {files.path.parent}
    if copy.path and not files.is_moved:
        folders.add(copy.path.parent)
    for folder in folders:
        with contextlib.suppress(OSError):
            note = folder / NOTE_NAME
            note.write_text(text + "\n")
            backup_check.sync(note)
            backup_check.sync(folder)


def forget(path: Path) -> None:
    """Another database is in place: Hai may start on it."""
    path.with_name(NOTE_NAME).unlink(missing_ok=True)
