"""The epoch is renewed when rows that clients have seen may be gone."""

import sqlite3
from contextlib import closing

import pytest

from hai.storage.database import Database, server_row
from hai.storage.sqlite import epoch


async def live(path, durability, *, is_cut=False):
    """Start and stop once; return the epoch of that life."""
    db = Database(path, durability=durability, publish=print)
    await db.start()
    name = db.read_now(server_row)[1]
    if is_cut:  # as after kill -9: nothing more is written
        db._end_run = lambda: None
    await db.stop()
    return name


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_a_run_that_ended_by_itself_keeps_it(tmp_path, durability):
    first = await live(tmp_path / "hai.db", durability)
    assert await live(tmp_path / "hai.db", durability) == first


async def test_a_cut_run_that_was_durable_keeps_it(tmp_path):
    first = await live(tmp_path / "hai.db", "full", is_cut=True)
    assert await live(tmp_path / "hai.db", "full") == first
    assert await live(tmp_path / "hai.db", "normal") == first


@pytest.mark.parametrize("next_durability", ["full", "normal"])
async def test_a_cut_run_that_was_not_renews_it_once(tmp_path, next_durability):
    """Also when the setting was changed since: the mark tells how that run was."""
    first = await live(tmp_path / "hai.db", "normal", is_cut=True)
    second = await live(tmp_path / "hai.db", next_durability)
    assert second != first
    assert await live(tmp_path / "hai.db", next_durability) == second


async def test_the_marks_are_synced_whatever_the_durability(tmp_path):
    db = Database(tmp_path / "hai.db", durability="normal", publish=print)
    seen = []

    def watch(sql, params=()):
        seen.append(sql)
        return db.engine.execute_sql(sql, params)

    db.engine.connect()
    db.engine.execute_sql("CREATE TABLE server (epoch TEXT, running TEXT)")
    epoch.end_run(watch)
    assert seen.index("PRAGMA synchronous = full") < seen.index(
        "UPDATE server SET running = ?"
    )
    assert db.engine.execute_sql("PRAGMA synchronous").fetchone()[0] == 1  # NORMAL
    db.engine.close()


async def test_what_was_lost_leaves_its_ids_and_revs_unused(tmp_path):
    """They live on in caches and outboxes, and must not mean another thing."""
    path = tmp_path / "hai.db"
    await live(path, "normal", is_cut=True)
    before = numbers(path)
    await live(path, "normal")
    after = numbers(path)
    assert after["rev"] == before["rev"] + epoch.STEP
    tables = {"users", "sessions", "invites", "rooms", "memberships", "pictures"}
    assert tables <= after.keys()
    for table in tables:  # also where no row has ever been
        assert after[table] == before.get(table, 0) + epoch.STEP
    await live(path, "normal")
    assert numbers(path) == after


def numbers(path):
    with closing(sqlite3.connect(path)) as db:
        found = dict(db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        (found["rev"],) = db.execute("SELECT rev FROM server").fetchone()
    return found
