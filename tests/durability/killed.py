"""Run Hai and die, by SIGKILL, at a named point: `python killed.py POINT run.py-args`.

A point is a place in the code that a crash must not spoil. The process kills itself
there, so that the test hits it every time.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hai import cli
from hai.core.talk import hais
from hai.events import HaiSent
from hai.storage import blobs
from hai.storage import uploads as upload_rows
from hai.storage.sqlite import backup, migrations
from hai.storage.sqlite.wal import WriteAheadLog
from hai.storage.writer import Writer


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def in_first_migration():
    """Half of the tables are made."""
    step = migrations.MIGRATIONS[0]

    def half(execute):
        done = count()
        step(lambda *args: die() if next(done) == 9 else execute(*args))

    migrations.MIGRATIONS = (half, *migrations.MIGRATIONS[1:])


def between_migrations():
    migrations.MIGRATIONS = (migrations.MIGRATIONS[0], die)


def in_checkpoint():
    """The log's pages are in the file, and not synced; the log is still there."""

    def checkpoint(log):
        commits[0] += 1
        if commits[0] > 20:
            log.engine.execute_sql("PRAGMA wal_checkpoint(PASSIVE)")
            die()

    commits = [0]
    WriteAheadLog.checkpoint_if_due = checkpoint


def in_backup():
    """A few steps are copied."""
    copy, steps = backup.try_copy, count()
    backup.STEP_PAGES = 8

    def dying(target, connection, yield_to_writes):
        return copy(
            target, connection, lambda: die() if next(steps) == 3 else yield_to_writes()
        )

    backup.try_copy = dying


def before_backup_is_named():
    backup.put_in_place = die


def in_sweep():
    """The picture is unseen, some of its bytes are gone, nothing is committed."""
    delete = blobs.delete_slice

    def dying(tx, cutoff_at):
        if delete(tx, cutoff_at):
            die()
        return False

    blobs.delete_slice = dying


def between_slices():
    """One slice of a large picture is gone for good, others are there."""
    delete, slices = blobs.delete_slice, count()

    def dying(tx, cutoff_at):
        if next(slices) == 1:
            die()
        return delete(tx, cutoff_at)

    blobs.SLICE_CHUNKS = 1
    blobs.delete_slice = dying


def in_upload():
    """The third chunk is stored, with where the upload then is; not committed."""
    keep, chunks = upload_rows.keep, count(1)

    def dying(*args):
        is_kept = keep(*args)
        if next(chunks) == 3:
            die()
        return is_kept

    upload_rows.keep = dying


def at_the_end_of_an_upload():
    """It is a whole picture, and nothing of that is committed."""
    complete = upload_rows.complete
    upload_rows.complete = lambda *args: die() if complete(*args) else False


def before_a_hai_is_committed():
    """It is stored with its pictures."""
    store = hais._store
    hais._store = lambda *args: (store(*args), die())


def before_a_hai_is_acked():
    """It is committed, and nobody has heard of it."""
    tell = Writer._tell

    def dying(writer, events, batch):
        if any(isinstance(event, HaiSent) for event in events):
            die()
        tell(writer, events, batch)

    Writer._tell = dying


def in_restore_before_the_old_is_aside():
    backup.set_aside = die


def in_restore_before_the_new_is_named():
    backup.put_in_place = die


def in_restore_without_links():
    def link(*_):
        raise PermissionError("no second names here")

    os.link = link
    backup.put_in_place = die


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    raise SystemExit(cli.main(sys.argv[2:]))
