"""Backups: whole, checked, and restored only where nothing newer is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hai.storage.sqlite import backup
from hai.storage.sqlite.migrations import MIGRATIONS
from tests.served import RUN, run_command


@pytest.fixture
def target(tmp_path):
    return tmp_path / "saved.db"


def rows(path, query):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def change(path, *statements):
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.fixture
def community(tmp_path):
    """A data folder with people, hais and pictures."""
    data = tmp_path / "data"
    flags = ("--users", "20", "--rooms", "3", "--hais", "500")
    assert run_command(data, "seed", *flags).returncode == 0
    return data


def test_a_backup_is_one_whole_file(command, target):
    command("users", "add", "ada")
    printed = command("backup", target)
    assert "users, 0 rooms, 0 hais and 0 pictures are in" in printed
    assert rows(target, "SELECT name FROM users WHERE kind = 'person'") == [("ada",)]
    assert rows(target, "PRAGMA journal_mode") == [("delete",)]
    left = {path.name for path in target.parent.iterdir()}
    assert not [name for name in left if "part" in name or name.startswith("saved.db-")]


def test_a_backup_is_for_its_owner_only(command, target):
    command("users", "add", "ada")
    command("backup", target)
    assert target.stat().st_mode & 0o077 == 0


def test_a_backup_replaces_no_file_unless_told_to(command, target):
    target.write_text("precious")
    command("users", "add", "ada")
    assert "is there already" in command("backup", target, code=1)
    assert target.read_text() == "precious"
    command("backup", target, "--force")
    assert rows(target, "SELECT count(*) FROM server") == [(1,)]


def test_where_it_cannot_write_it_says_so(command, tmp_path):
    command("users", "add", "ada")
    assert "no folder" in command("backup", tmp_path / "nowhere" / "x.db", code=1)


def test_nothing_is_made_where_there_is_nothing_to_back_up(tmp_path, target):
    ran = run_command(tmp_path / "data", "backup", target)
    assert ran.returncode == 1 and "no " in ran.stderr
    assert not target.exists() and not (tmp_path / "data" / "hai.db").exists()


def test_a_damaged_database_makes_no_backup(community, target):
    change(community / "hai.db", "UPDATE chunks SET bytes = zeroblob(length(bytes))")
    ran = run_command(community, "backup", target)
    assert ran.returncode == 1 and "its bytes" in ran.stderr
    assert not target.exists()


def test_restoring_gives_everything_back_under_a_new_epoch(community, target):
    run_command(community, "backup", target)
    epoch = "SELECT epoch FROM server"
    ran = run_command(community.parent / "new", "restore", target)
    assert ran.returncode == 0, ran.stderr
    restored = community.parent / "new" / "hai.db"
    for table in ("users", "hais", "memberships", "pictures", "chunks"):
        query = f"SELECT * FROM {table} ORDER BY 1"
        assert rows(restored, query) == rows(community / "hai.db", query)
    assert rows(restored, epoch) != rows(target, epoch)


def test_a_server_serves_what_was_restored(community, target, serve):
    run_command(community, "backup", target)
    run_command(community.parent / "new", "restore", target)
    assert (
        len(serve(data=community.parent / "new").run("users", "list").split("\n")) > 20
    )


def test_newer_data_is_replaced_only_when_told_to_and_kept_aside(community, target):
    run_command(community, "backup", target)
    run_command(community, "users", "add", "newcomer")
    refused = run_command(community, "restore", target)
    assert refused.returncode == 1 and "--force" in refused.stderr
    assert "newcomer" in run_command(community, "users", "list").stdout
    assert run_command(community, "restore", target, "--force").returncode == 0
    assert "newcomer" not in run_command(community, "users", "list").stdout
    (aside,) = community.glob("hai.db.*")
    assert rows(aside, "SELECT name FROM users WHERE name = 'newcomer'") == [
        ("newcomer",)
    ]


def test_the_same_data_can_be_restored_without_force(community, target):
    """Also again and again, and after a newer backup has been tried."""
    older = target.with_name("older.db")
    run_command(community, "backup", older)
    run_command(community, "users", "add", "newcomer")
    run_command(community, "backup", target)
    assert run_command(community, "restore", target).returncode == 0
    assert run_command(community, "restore", target).returncode == 0
    assert "holds what" in run_command(community, "restore", older).stderr


def test_what_was_added_since_a_restore_is_not_lost_to_another(community, target):
    """The rev alone would not tell: it may be any in another life."""
    run_command(community, "backup", target)
    run_command(community, "restore", target)
    run_command(community, "users", "add", "newcomer")
    change(target, "UPDATE server SET rev = rev + 90000000")
    refused = run_command(community, "restore", target)
    assert refused.returncode == 1 and "holds what" in refused.stderr
    assert "newcomer" in run_command(community, "users", "list").stdout


def test_where_nobody_is_yet_a_backup_is_restored_without_force(
    community, target, tmp_path, serve
):
    run_command(community, "backup", target)
    serve(data=tmp_path / "fresh").stop()
    ran = run_command(tmp_path / "fresh", "restore", target)
    assert ran.returncode == 0, ran.stderr


def test_after_a_restore_no_id_is_given_again(community, target, serve):
    """A picture is cached for a year under its id; a reply waits with one."""
    run_command(community, "backup", target)
    last = {
        table: rows(community / "hai.db", f"SELECT max(id) FROM {table}")[0][0]
        for table in ("users", "hais", "rooms", "pictures", "memberships")
    }
    run_command(community, "restore", target)
    server = serve(data=community)
    server.run("seed", "--users", 3, "--rooms", 1, "--hais", 500)
    server.stop()
    for table, id_ in last.items():
        new = f"SELECT min(id) FROM {table} WHERE id > {id_}"
        assert rows(community / "hai.db", new)[0][0] > id_ + 999_000, table
    assert run_command(community, "verify").returncode == 0


def test_two_backups_to_one_file_do_not_meet(community, target):
    """The second is told so at once, and the first is whole."""
    with backup.part_of(target):
        ran = run_command(community, "backup", target)
        assert ran.returncode == 1 and "under way" in ran.stderr
    assert run_command(community, "backup", target).returncode == 0
    assert not list(target.parent.glob(".saved*"))


def test_many_backups_at_once_leave_one_that_is_whole(community, target, serve):
    server = serve(data=community)
    command = [sys.executable, RUN, "backup", target, "--force", "--data", server.data]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(5)]
    said = [process.communicate()[1] for process in running]
    codes = [process.returncode for process in running]
    assert 0 in codes and set(codes) <= {0, 1}
    assert all(
        b"under way" in text for text, code in zip(said, codes, strict=True) if code
    )
    assert run_command(community.parent / "new", "restore", target).returncode == 0
    assert not list(target.parent.glob(".saved*"))


def test_what_a_killed_backup_has_left_is_thrown_away(community, target):
    target.with_name(".saved.db.part").write_bytes(b"half" * 9999)
    target.with_name(".saved.db.part-journal").write_bytes(b"half" * 9999)
    assert run_command(community, "backup", target).returncode == 0
    assert not list(target.parent.glob(".saved*"))


def test_told_to_stop_it_does_not_wait_for_the_check_of_a_backup(
    community, target, serve
):
    """The check is a process of its own, which ends with the server."""
    server = serve(data=community)
    pictures = "SELECT sum(length(bytes)) FROM chunks"
    assert rows(community / "hai.db", pictures)[0][0] > 0
    command = [sys.executable, RUN, "backup", target, "--data", server.data]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        check = soon(lambda: child_running(server.process.pid, "backup_check"))
        os.kill(check, signal.SIGSTOP)  # as if there were a terabyte to hash
        assert server.stop() == 0
        assert b"server stopped" in process.communicate()[1]
    assert not Path(f"/proc/{check}").exists()
    assert not target.exists() and not list(target.parent.glob(".saved*"))


def child_running(pid, program):
    """The id of a process's child that runs a program, or None."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        with suppress(OSError):
            if program.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


def soon(find):
    deadline = time.monotonic() + 60
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


def test_nothing_is_restored_while_hai_serves(served, target):
    served.run("backup", target)
    ran = run_command(served.data, "restore", target)
    assert ran.returncode == 1 and "stop" in ran.stderr


@pytest.mark.parametrize("content", [b"", b"no database at all", b"\0" * 8192])
def test_what_is_no_backup_changes_nothing(community, target, content):
    before = (community / "hai.db").read_bytes()
    target.write_bytes(content)
    ran = run_command(community, "restore", target, "--force")
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    assert (community / "hai.db").read_bytes() == before
    assert not list(community.glob("*restoring*"))


def test_a_damaged_backup_changes_nothing(community, target):
    run_command(community, "backup", target)
    change(target, "UPDATE rooms SET member_count = 99 WHERE id = 1")
    before = rows(community / "hai.db", "SELECT epoch FROM server")
    ran = run_command(community, "restore", target)
    assert ran.returncode == 1 and "member_count" in ran.stderr
    assert rows(community / "hai.db", "SELECT epoch FROM server") == before


def test_a_damaged_backup_is_better_than_none_when_told_so(community, target):
    run_command(community, "backup", target)
    change(target, "UPDATE chunks SET bytes = zeroblob(length(bytes)) WHERE id = 1")
    (community / "hai.db").unlink()
    ran = run_command(community, "restore", target, "--force")
    assert ran.returncode == 0, ran.stderr
    assert "its bytes" in ran.stderr and "damaged" in ran.stdout
    assert run_command(community, "users", "list").stdout.count("\n") >= 20


def test_a_backup_of_a_newer_hai_is_refused(community, target):
    run_command(community, "backup", target)
    change(target, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    ran = run_command(community, "restore", target, "--force")
    assert ran.returncode == 3 and "newer Hai" in ran.stderr


def test_a_damaged_database_can_be_restored_over_and_is_kept(community, target):
    run_command(community, "backup", target)
    (community / "hai.db").write_bytes(b"ruined" * 1000)
    assert run_command(community, "restore", target).returncode == 0
    (aside,) = community.glob("hai.db.*")
    assert aside.read_bytes().startswith(b"ruined")
    assert run_command(community, "verify").returncode == 0


def test_a_restore_cut_short_is_not_taken_for_a_new_community(community, serve):
    """Killed between setting the old file aside and naming the new one."""
    (community / "hai.db").rename(community / "hai.db.restoring")
    ran = run_command(community, "--port", "0")
    assert ran.returncode == 3 and "restoring" in ran.stderr
    assert not (community / "hai.db").exists()
