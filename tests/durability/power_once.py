"""Power cuts in what happens once: a first start, a restore, and all migrations.

    python -m tests.durability.power_once --cuts 1000 --seed 1

Recorded and played back as in power.py. After each cut Hai starts on what is there: a
first start goes on or begins again, and keeps whoever it has said to be added; a
restore leaves the old data or the restored, whole, and the restored once it said so; a
database of the first version has all its rows, whichever of the migrations were done,
and the rest of them succeeds.
"""

import argparse
import asyncio
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

from hai.bus import Bus
from hai.storage.database import Database
from hai.storage.sqlite import verify
from hai.storage.sqlite.faults import Unusable
from hai.storage.sqlite.migrations import MIGRATIONS
from hai.storage.sqlite.reserve import RESERVE_NAME
from tests.durability.power import (
    Disk,
    Step,
    kill_under,
    play,
    spread,
    steps_of,
    strace,
)
from tests.served import ROOT, RUN, Served, clean_environment, run_command
from tests.storage.sqlite.first_version import ROWS, make_first_version

CUTS_AT_END = 10  # when all has been promised
JOURNALS = ("hai.db-wal", "hai.db-journal")
STARTING = ("hai.db", *JOURNALS, RESERVE_NAME)
RESTORED = "hai.db.restoring"
RESTORING = ("hai.db", *JOURNALS, RESTORED, f"{RESTORED}-journal", f"{RESTORED}-wal")


# --- Recording ------------------------------------------------------------------------


def record_first_start(folder):
    """Returns (Disk before, steps, when ada was said to be added)."""
    served = Served(Path(folder) / "data")
    served.data.mkdir()
    trace = Path(folder) / "trace.txt"
    served.wrapper = strace(trace, served.data, names=STARTING)
    try:
        served.start()
        served.run("users", "add", "ada")
        added_s = time.time()
        served.run("users", "add", "grace")
    finally:
        kill_under(served.process)
        served.stop()
    return Disk({}, served.data), list(steps_of(trace, set())), added_s


def record_restore(folder):
    """Returns (Disk before, steps, when it was said to be restored).

    ada is in the backup; grace came later, and is in the old data only.
    """
    data, saved = Path(folder) / "data", Path(folder) / "saved.db"
    run_command(data, "users", "add", "ada")
    run_command(data, "backup", saved)
    run_command(data, "users", "add", "grace")
    before = {str(path): path.read_bytes() for path in data.iterdir() if is_kept(path)}
    trace = Path(folder) / "trace.txt"
    command = [sys.executable, str(RUN), "restore", str(saved), "--force"]
    subprocess.run(
        [*strace(trace, data, names=RESTORING), *command, "--data", str(data)],
        cwd=ROOT,
        env=clean_environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    restored_s = time.time()
    steps = list(steps_of(trace, before))
    assert {"link", "rename"} <= {step.kind for step in steps}, "it was not recorded"
    return Disk(before, data), steps, restored_s


def record_migrations(folder):
    """Returns (Disk before, steps, when the server had said its address)."""
    served = Served(Path(folder) / "data")
    served.data.mkdir()
    path = make_first_version(served.data / "hai.db")
    before = {str(path): path.read_bytes()}
    trace = Path(folder) / "trace.txt"
    served.wrapper = strace(trace, served.data, names=STARTING)
    try:
        served.start()
        started_s = time.time()
    finally:
        kill_under(served.process)
        served.stop()
    return Disk(before, served.data), list(steps_of(trace, before)), started_s


def is_kept(path):
    return path.name.startswith("hai.db") and not path.name.endswith("-shm")


# --- Looking --------------------------------------------------------------------------


def after_first_start(added_s):
    def look(folder, at_s, number):
        with problem_of(folder) as problems:
            names = names_after_start(folder)
            if at_s > added_s and "ada" not in names:
                problems.append(f"ada was added, and there is {names}")
        yield from problems

    return look


def after_restore(restored_s):
    def look(folder, at_s, number):
        with problem_of(folder) as problems:
            names = names_after_start(folder)
            allowed = [["ada"]] if at_s > restored_s else [["ada"], ["ada", "grace"]]
            if names not in allowed:
                problems.append(f"there is {names}")
        yield from problems

    return look


def after_migrations(started_s):
    def look(folder, at_s, number):
        with problem_of(folder) as problems:
            version = version_of(folder)
            if at_s > started_s and version < len(MIGRATIONS):
                problems.append(f"it was at the last version, and is at {version}")
            if (names := names_after_start(folder)) != ["ada"]:
                problems.append(f"there is {names}")
            problems += changed_rows(folder)
        yield from problems

    return look


def version_of(folder):
    with closing(sqlite3.connect(folder / "hai.db")) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def changed_rows(folder):
    """The tables of the first version whose rows are not as they were."""
    with closing(sqlite3.connect(folder / "hai.db")) as db:
        for table, was in ROWS.items():
            # The mark of a run changes, and sessions as old as these end.
            if table not in ("server", "sessions"):
                rows = db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
                if [row[: len(was[0])] for row in rows] != was:
                    yield f"{table} has changed"


@contextmanager
def problem_of(folder):
    problems = []
    try:
        yield problems
        problems += verify.problems(folder / "hai.db", verify.Counts())
    except (Unusable, sqlite3.Error) as error:
        names = sorted(path.name for path in folder.iterdir())
        problems.append(f"it does not start: {error}; there are {names}")


def names_after_start(folder):
    """Start Hai's own database on the files, and end it; returns who is there."""
    asyncio.run(start_and_stop(folder / "hai.db"))
    with closing(sqlite3.connect(folder / "hai.db")) as db:
        people = db.execute("SELECT name FROM users WHERE kind = 'person' ORDER BY id")
        return [name for (name,) in people]


async def start_and_stop(path):
    database = Database(path, durability="full", publish=Bus().publish)
    await database.start()
    await database.stop()


# --- Both -----------------------------------------------------------------------------

RECORDINGS = {
    "first start": (record_first_start, after_first_start),
    "restore": (record_restore, after_restore),
    "migrations": (record_migrations, after_migrations),
}


def run(name, cuts, seed, leave_out=""):
    """Record, then cut; returns (steps, problems). leave_out: a kind of step."""
    record, look_after = RECORDINGS[name]
    with tempfile.TemporaryDirectory() as folder:
        disk, steps, promised_s = record(folder)
    steps = [step for step in steps if step.kind != leave_out]
    steps.append(Step(time.time(), "end", ""))
    dice = random.Random(seed)
    moments = spread(cuts, steps, dice) + [len(steps) - 1] * CUTS_AT_END
    return steps, list(play(disk, steps, look_after(promised_s), moments, dice))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count = 0
    for name in RECORDINGS:
        steps, problems = run(name, given.cuts, given.seed)
        for problem in problems[:20]:
            print(problem)
        print(
            f"{name}: {given.cuts} cuts in {len(steps)} steps: {len(problems)} problems"
        )
        count += len(problems)
    return bool(count)


if __name__ == "__main__":
    raise SystemExit(main())
