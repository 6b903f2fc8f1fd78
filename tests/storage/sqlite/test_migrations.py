"""A database of the first version, with data, becomes one of today."""

import hashlib
import sqlite3
from contextlib import closing

import pytest

from hai.storage import models
from hai.storage.database import Database, execute
from hai.storage.sqlite import migrations, verify
from tests.storage.sqlite.first_version import (
    FIRST_SCHEMA,
    ROWS,
    THUMBNAIL,
    make_first_version,
)


@pytest.fixture
def old(tmp_path):
    return make_first_version(tmp_path / "hai.db")


def test_the_first_schema_is_as_it_was_released():
    statements = [s.strip() for s in migrations.FIRST_SCHEMA.split(";\n\n")]
    assert all(statement in FIRST_SCHEMA for statement in statements)


async def test_everything_of_the_first_version_is_there_today(old):
    db = Database(old, durability="full", publish=print)
    await db.start()
    for model in models.MODELS:
        table = model._meta.table_name
        found = await db.read(
            lambda table=table: execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        )
        was = ROWS.get(table, [])
        if table != "server":  # whose `running` has begun since
            assert [row[: len(was[0])] for row in found] == was, table
    rev, epoch = await db.read(execute_server)
    assert (rev, epoch) == (12, "the first life")
    found = "SELECT rowid FROM hais_index WHERE hais_index MATCH 'gruße'"
    assert (await db.read(lambda: execute(found).fetchall())) == [(6,)]
    await db.stop()
    assert list(verify.problems(old, counts := verify.Counts())) == []
    assert (counts.hais, counts.pictures) == (3, 1)


def execute_server():
    return execute("SELECT rev, epoch FROM server").fetchone()


@pytest.mark.parametrize("version", range(1, len(migrations.MIGRATIONS) + 1))
def test_each_step_can_be_the_last_before_a_pause(old, version, monkeypatch):
    """Whoever updates from any version gets the same schema in the end."""
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:version])
            migrations.migrate(db.execute)
        migrations.migrate(db.execute)
        migrated = schema_of(db)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db.execute)
        assert schema_of(db) == migrated


def schema_of(db):
    return sorted(db.execute("SELECT type, name, sql FROM sqlite_master").fetchall())


def test_thumbnails_of_the_first_version_get_their_digests(old):
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        migrations.migrate(db.execute)
        query = "SELECT sha256 FROM thumbnails"
        assert db.execute(query).fetchall() == [(hashlib.sha256(THUMBNAIL).digest(),)]


def test_hais_of_older_versions_get_their_numbers_and_readers_have_read_their_own(old):
    """An older `seed` left markers before the reader's own hais."""
    sent = [(id_, 1 + id_ % 2) for id_ in range(13, 200)]
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.executemany(
            "INSERT INTO hais (id, rev, room_id, user_id, text, sent_at)"
            " VALUES (?1, ?1, 1, ?2, 'more', 0)",
            sent,
        )
        db.execute("UPDATE server SET rev = 200")
        migrations.migrate(db.execute)
        query = "SELECT hai_id, number FROM hai_numbers ORDER BY hai_id"
        assert db.execute(query).fetchall() == [
            (31, 22), (62, 53), (93, 84), (124, 115), (155, 146), (186, 177)
        ]  # fmt: skip
        query = "SELECT user_id, read_hai_id, rev FROM memberships ORDER BY user_id"
        assert db.execute(query).fetchall() == [(1, 198, 201), (2, 199, 202)]
        assert db.execute("SELECT rev FROM server").fetchall() == [(202,)]
    assert list(verify.problems(old, verify.Counts())) == []
    with closing(sqlite3.connect(old)) as db:
        db.execute("DELETE FROM hais WHERE id >= 186")  # as if a batch takes them back
        query = "SELECT max(hai_id) FROM hai_numbers"
        assert db.execute(query).fetchall() == [(155,)]
