"""The file: its schema, its settings, and who may not write to it."""

import sqlite3

import peewee
import pytest

from hai.storage import models
from hai.storage.database import Database, execute
from hai.storage.sqlite import migrations, readers


@pytest.fixture
def db(io_loop, tmp_path):
    db = Database(tmp_path / "hai.db", durability="full", publish=print)
    io_loop.run_sync(db.start)
    yield db
    io_loop.run_sync(db.stop)


async def pragma(db, name):
    return await db.write(lambda tx: tx.execute(f"PRAGMA {name}").fetchone()[0])


async def test_the_connection_that_writes_is_durable(db):
    assert await pragma(db, "journal_mode") == "wal"
    assert await pragma(db, "synchronous") == 2  # FULL
    assert await pragma(db, "foreign_keys") == 1
    assert await pragma(db, "auto_vacuum") == 2  # incremental


async def test_readers_cannot_write(db):
    with pytest.raises(peewee.OperationalError, match="readonly"):
        await db.read(execute, "DELETE FROM server")
    with pytest.raises(peewee.OperationalError, match="readonly"):
        db.read_now(execute, "DELETE FROM server")


async def test_a_read_is_one_moment(db):
    """What is committed in the middle of a read is not seen by it."""

    def insert(tx, n):
        tx.execute(
            "INSERT INTO invites (code_hash, created_at, expires_at) VALUES (?, 0, 0)",
            (str(n),),
        )

    def count_around(write):
        count = "SELECT count(*) FROM invites"
        before = execute(count).fetchone()[0]
        with sqlite3.connect(db.path) as other:
            other.execute(write)
        return before, execute(count).fetchone()[0]

    await db.write(insert, 1)
    write = "INSERT INTO invites (code_hash, created_at, expires_at) VALUES (2, 0, 0)"
    assert await db.read(count_around, write) == (1, 1)
    assert await db.read(lambda: models.Invite.select().count()) == 2


async def test_a_reader_keeps_little_of_the_large_pictures_that_it_reads(db):
    cache = await db.read(lambda: execute("PRAGMA cache_size").fetchone())
    assert cache == (-readers.CACHE_KIB,)
    assert db.read_now(lambda: execute("PRAGMA cache_size").fetchone()) < cache


async def test_the_models_are_the_schema(db):
    """Every column of every model is in the table, with its null-ness, and back."""
    for model in models.MODELS:
        table = model._meta.table_name
        columns = {
            row[1]: bool(row[3]) or bool(row[5])
            for row in execute(f"PRAGMA table_info({table})")
        }
        fields = {
            field.column_name: not field.null for field in model._meta.sorted_fields
        }
        assert columns == fields, table


async def test_foreign_keys_of_the_models_are_in_the_schema(db):
    for model in models.MODELS:
        rows = execute(f"PRAGMA foreign_key_list({model._meta.table_name})")
        in_schema = {(row[3], row[2]) for row in rows}
        in_models = {
            (field.column_name, field.rel_model._meta.table_name)
            for field in model._meta.sorted_fields
            if isinstance(field, peewee.ForeignKeyField)
        }
        assert in_schema == in_models


def test_a_file_of_a_newer_hai_is_not_touched(io_loop, tmp_path):
    path = tmp_path / "hai.db"
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    db = Database(path, durability="full", publish=print)
    with pytest.raises(migrations.NewerSchema):
        io_loop.run_sync(db.start)
    db.engine.close()


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path, monkeypatch):
    db = sqlite3.connect(tmp_path / "hai.db", isolation_level=None)
    migrations.migrate(db.execute)

    def broken(execute):
        execute("CREATE TABLE half (id INTEGER)")
        raise RuntimeError("power is gone")

    done = migrations.MIGRATIONS
    monkeypatch.setattr(migrations, "MIGRATIONS", (*done, broken))
    with pytest.raises(RuntimeError):
        migrations.migrate(db.execute)
    assert db.execute("PRAGMA user_version").fetchone()[0] == len(done)
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone()
    assert found is None
    db.close()
