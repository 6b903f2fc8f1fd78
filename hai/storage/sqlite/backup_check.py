"""Finishes a copy of the database: `python -m hai.storage.sqlite.backup_check FILE`.

A separate program, so that hashing gigabytes takes no time from the server's loop and
ends with it. Prints one JSON object, {"counts", "problems"}. Uses only the standard
library and verify.py: it starts in 0.1 s and takes 15 MiB.
"""

import contextlib
import json
import os
import sqlite3
import sys
from pathlib import Path

from hai.storage.sqlite import verify


def finish(target: Path) -> tuple[verify.Counts, list[str]]:
    """Turn the copy into a single file, check it, and sync it to the disk."""
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = delete")
        db.execute("UPDATE server SET running = NULL")
    counts = verify.Counts()
    problems = list(verify.problems(target, counts))
    sync(target)
    return counts, problems


def sync(path: Path) -> None:
    """Wait until a file, or a folder's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def main() -> None:
    os.nice(verify.LOWEST_PRIORITY)
    counts, problems = finish(Path(sys.argv[1]))
    print(json.dumps({"counts": vars(counts), "problems": problems}))


if __name__ == "__main__":
    main()
