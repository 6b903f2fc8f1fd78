"""The epoch: the name of one continuous history of the database.

Clients that know another epoch start afresh. It is renewed when rows that they have
seen may be gone: by `restore`, and when a run with `durability=normal` did not end
cleanly, since a power cut may then have lost its last commits. The ids and revs of such
rows are not reused (`STEP`). For the second case the row of `server` records the
durability that a run started with, until it ends; both marks are synced to the disk
whatever the durability is.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from hai import ids

Execute = Callable[..., Any]

# Lost rows had ids and revs, which live on in caches, where a picture stays for a year
# under its id, and in outboxes, where a reply names a hai. None is reused: hardly more
# than a million can have been lost. There is room for 2^33 renewals.
STEP = 1_000_000


def begin_run(execute: Execute, durability: str) -> None:
    """Mark the run as started; renew the epoch if the last one may have lost rows."""
    last = execute("SELECT running FROM server").fetchone()[0]
    if last == "normal":
        renew(execute)
    _mark(execute, durability)


def end_run(execute: Execute) -> None:
    """Everything is committed and synced: nothing can have been lost."""
    _mark(execute, None)


def renew(execute: Execute) -> None:
    """Start a new epoch. The row keeps the previous one and its last rev."""
    with _transaction(execute):
        execute(
            "UPDATE server SET epoch_before = epoch, rev_before = rev,"
            " epoch = ?, rev = rev + ?",
            (ids.new_epoch(), STEP),
        )
        for (table,) in execute(NUMBERED).fetchall():
            taken = execute(
                "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", (STEP, table)
            )
            if not taken.rowcount:  # it has never had a row
                execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, STEP))


NUMBERED = "SELECT name FROM sqlite_master WHERE sql LIKE '%PRIMARY KEY AUTOINCREMENT%'"


@contextlib.contextmanager
def _transaction(execute: Execute) -> Iterator[None]:
    execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # SQLite may have done it by itself
            execute("ROLLBACK")
        raise
    execute("COMMIT")


def _mark(execute: Execute, durability: str | None) -> None:
    before = execute("PRAGMA synchronous").fetchone()[0]
    execute("PRAGMA synchronous = full")
    execute("UPDATE server SET running = ?", (durability,))
    execute(f"PRAGMA synchronous = {before}")
