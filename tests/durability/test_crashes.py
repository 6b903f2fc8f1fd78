"""Killed at a named point, it starts again and everything is whole."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.clients import encode_multipart
from tests.durability import swarm
from tests.durability.swarm import Gone, Http, NativeClient
from tests.pictures import big_png
from tests.served import ROOT, Served, clean_environment, run_command

KILLED = Path(__file__).with_name("killed.py")
CHECKPOINTING = Path(__file__).with_name("checkpointing.py")


def must_die_at(point, data, *arguments):
    """Run a command that kills itself at a point."""
    ran = subprocess.run(
        [sys.executable, KILLED, point, *map(str, arguments), "--data", str(data)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def is_whole(data):
    ran = run_command(data, "verify")
    return ran.returncode == 0 or ran.stdout


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def dying(data):
    """`dying(point)`: a server that will die at that point."""
    servers = []

    def start(point):
        server = Served(data, "--rate-limits", "off")
        server.program = [sys.executable, str(KILLED), point]
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.mark.parametrize("point", ["in_first_migration", "between_migrations"])
@pytest.mark.quick
def test_killed_in_a_migration(data, serve, point):
    must_die_at(point, data, "users", "add", "ada")
    serve(data=data).run("users", "add", "ada")
    assert is_whole(data) is True


def test_killed_in_a_checkpoint(data, dying):
    server = dying("in_checkpoint")
    token = server.add_user("ada", role="owner")
    room_id = int(server.run("rooms", "add", "Lounge", "--all"))
    acked = swarm.run(send_until_gone(port_of(server), token, room_id))
    server.process.wait()
    assert is_whole(data) is True
    assert len(acked) >= 10
    assert acked <= {text for (text,) in rows(data, "SELECT text FROM hais")}


@pytest.mark.parametrize("write", [1, 2, 7, 40])
def test_killed_within_a_checkpoint(data, serve, write):
    """At so many writes into the file itself: of the first checkpoint, or later."""
    server = Served(data)
    token = server.add_user("ada", role="owner")
    room_id = int(server.run("rooms", "add", "Lounge", "--all"))
    kill = f"inject=pwrite64:signal=SIGKILL:when={write}"
    look = ["-f", "-qq", "-o", "/dev/null", "-P", str(data / "hai.db")]
    server.wrapper = ["strace", *look, "-e", "trace=pwrite64", "-e", kill]
    server.program = [sys.executable, str(CHECKPOINTING)]
    server.start()
    acked = swarm.run(send_until_gone(port_of(server), token, room_id))
    server.stop(signal.SIGKILL)
    assert is_whole(data) is True
    assert acked
    assert acked <= {text for (text,) in rows(data, "SELECT text FROM hais")}
    serve(data=data)


async def send_until_gone(port, token, room_id):
    client = await NativeClient(port, token).start()
    acked = set()
    try:
        while True:
            text = f"hai {len(acked)}"
            payload = {"room_id": room_id, "text": text, "client_id": text}
            await client.order("send_hai", payload)
            acked.add(text)
    except Gone:
        return acked


def port_of(server):
    return int(server.url.rsplit(":", 1)[1])


def rows(data, query):
    with closing(sqlite3.connect(data / "hai.db")) as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize("point", ["in_backup", "before_backup_is_named"])
def test_killed_in_a_backup(data, tmp_path, serve, point):
    """There is no half of a backup under its name, and the next one works."""
    run_command(data, "seed", "--users", "5", "--rooms", "1", "--hais", "500")
    target = tmp_path / "saved.db"
    must_die_at(point, data, "backup", target)
    assert not target.exists()
    assert is_whole(data) is True
    assert run_command(data, "backup", target).returncode == 0
    assert not list(tmp_path.glob(".saved*"))


@pytest.mark.parametrize("point", ["in_sweep", "between_slices"])
def test_killed_in_a_sweep(data, dying, serve, point):
    """What was to go goes at the next start, and is not seen meanwhile."""
    server = serve(data=data)
    token = server.add_user("ada", role="owner")
    room_id = int(server.run("rooms", "add", "Lounge", "--all"))
    swarm.run(upload_one(port_of(server), token, room_id))
    server.stop(signal.SIGKILL)
    run_sql(data, "UPDATE pictures SET completed_at = NULL, hai_id = NULL")
    with suppress(AssertionError):  # it may die before it says its address
        dying(point).process.wait(timeout=60)
    assert is_whole(data) is True
    serve(data=data)
    for table in ("pictures", "chunks"):
        query = f"SELECT count(*) FROM {table}"
        assert soon(partial(is_none, data, query))


def is_none(data, query):
    return rows(data, query) == [(0,)]


def soon(is_so):
    """Whether it becomes true within a minute."""
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


async def upload_one(port, token, room_id):
    http = Http(port, token)
    files = [("picture", "p.png", "image/png", big_png(1_500_000))]
    body, kind = encode_multipart({}, files)
    await http.ask("POST", f"/rooms/{room_id}/pictures", body, kind)
    http.close()


def run_sql(data, statement):
    with closing(sqlite3.connect(data / "hai.db")) as db, db:
        db.execute(statement)


def test_killed_in_a_restore_the_old_data_is_there(data, tmp_path):
    run_command(data, "users", "add", "ada")
    run_command(data, "backup", tmp_path / "saved.db")
    must_die_at(
        "in_restore_before_the_old_is_aside", data, "restore", tmp_path / "saved.db"
    )
    assert run_command(data, "users", "list").stdout.startswith("ada")
    assert run_command(data, "restore", tmp_path / "saved.db").returncode == 0
    assert not list(data.glob("*.restoring*"))


def test_killed_in_a_restore_before_the_new_is_named_the_old_data_is_there(
    data, tmp_path
):
    run_command(data, "users", "add", "ada")
    run_command(data, "backup", tmp_path / "saved.db")
    run_command(data, "users", "add", "grace")
    restore = ("restore", tmp_path / "saved.db", "--force")
    must_die_at("in_restore_before_the_new_is_named", data, *restore)
    assert run_command(data, "users", "list").stdout.count("\n") == 2
    assert run_command(data, *restore).returncode == 0
    assert run_command(data, "users", "list").stdout.count("\n") == 1
    assert not list(data.glob("*.restoring*"))


def test_killed_in_a_restore_where_the_old_was_moved_nothing_new_is_made(
    data, tmp_path
):
    """As on a file system without second names: restoring again mends it."""
    run_command(data, "users", "add", "ada")
    run_command(data, "backup", tmp_path / "saved.db")
    must_die_at("in_restore_without_links", data, "restore", tmp_path / "saved.db")
    assert run_command(data, "users", "list").returncode == 3
    assert run_command(data, "restore", tmp_path / "saved.db").returncode == 0
    assert run_command(data, "users", "list").stdout.startswith("ada")
