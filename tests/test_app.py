"""A server that cannot start leaves nothing behind, and may be stopped all the same."""

import dataclasses
import gc
import socket
import sqlite3
import threading

import peewee
import pytest

from hai.app import make_app
from hai.storage.sqlite.faults import Unusable


def threads():
    return {thread.name for thread in threading.enumerate()}


def is_free(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return one.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_port_that_is_taken(config):
    """Tornado leaves the socket that it could not bind to the garbage collector."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        app = make_app(dataclasses.replace(config, port=port))
        with pytest.raises(OSError, match="in use"):
            await app.start()
        await app.stop()
    assert not config.database_path.exists()
    gc.collect()


async def test_a_file_that_is_no_database(config):
    config.data.mkdir()
    config.database_path.write_bytes(b"of another program " * 1000)
    app = make_app(config)
    with pytest.raises(Unusable):
        await app.start()
    await app.stop()
    assert is_free(app.port)
    assert "writer" not in threads()


async def test_a_database_without_one_of_its_tables(config):
    """The writer runs and the port is bound when the memberships cannot be read."""
    app = make_app(config)
    await app.start()
    await app.stop()
    with sqlite3.connect(config.database_path) as db:
        db.execute("PRAGMA foreign_keys = 0")
        db.execute("DROP TABLE memberships")
    db.close()
    app = make_app(config)
    with pytest.raises(peewee.OperationalError, match="no such table"):
        await app.start()
    assert is_free(app.port)
    assert "writer" not in threads()
    await app.stop()


async def test_a_server_is_stopped_twice(app):
    await app.stop()
    assert is_free(app.port)
    await app.stop()


async def test_a_server_that_was_never_started_is_stopped(config):
    app = make_app(config)
    await app.stop()
    with pytest.raises(RuntimeError, match="shutdown"):
        app.core.executor.submit(print)
