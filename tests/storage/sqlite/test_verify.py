"""`verify` finds what no other check sees, and says it in one line each."""

import sqlite3
from contextlib import closing

import pytest

from hai.storage.sqlite import migrations, verify
from tests.durability import flips
from tests.served import run_command


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    data = tmp_path_factory.mktemp("seeded") / "data"
    flags = ("--users", "20", "--rooms", "3", "--hais", "4000")
    assert run_command(data, "seed", *flags).returncode == 0
    return data


@pytest.fixture
def path(seeded, tmp_path):
    """A database of one's own to damage."""
    path = tmp_path / "hai.db"
    path.write_bytes((seeded / "hai.db").read_bytes())
    return path


def problems(path):
    return list(verify.problems(path, verify.Counts()))


def test_what_is_whole_has_no_problem(path):
    counts = verify.Counts()
    assert list(verify.problems(path, counts)) == []
    assert (counts.users, counts.rooms, counts.hais) == (20, 3, 4000)
    assert counts.pictures >= 5 and counts.picture_bytes > 5000


def test_a_link_or_session_of_somebody_deactivated_is_found(path):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE users SET deactivated_at = 1 WHERE id = 1")
        db.execute("UPDATE memberships SET ended_at = 1 WHERE user_id = 1")
        db.execute(
            "INSERT INTO sessions (id, user_id, kind, token_hash, user_agent,"
            " created_at, seen_at) VALUES (77, 1, 'browser', 'x', '', 1, 1)"
        )
        db.execute(
            "INSERT INTO password_resets (user_id, code_hash, created_at, expires_at)"
            " VALUES (1, 'x', 1, 1)"
        )
    found = problems(path)
    assert "session 77: it goes on, and its user is deactivated" in found
    assert "user 1: deactivated, and has a link for a new password" in found


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE rooms SET member_count = member_count + 1 WHERE id = 1",
            "room 1: member_count",
        ),
        (
            "UPDATE chunks SET bytes = CAST(x'00' || substr(bytes, 2) AS BLOB)"
            " WHERE picture_id = 1",
            "picture 1: its bytes",
        ),
        ("DELETE FROM chunks WHERE picture_id = 1", "picture 1: has 0 of"),
        (
            "INSERT INTO avatars VALUES (3, 'image/webp', x'00', x'00')",
            "user 3: there is no picture for its avatar_rev, or one without it",
        ),
        (
            "INSERT INTO avatars VALUES (3, 'image/webp', x'00', x'00')",
            "avatar of user 3: its bytes",
        ),
        ("UPDATE users SET avatar_rev = 1 WHERE id = 3", "user 3: there is no"),
        (
            "UPDATE chunks SET sha256 = x'00' WHERE picture_id = 1",
            "picture 1: its bytes in chunk 0 are not",
        ),
        (
            "INSERT INTO thumbnails VALUES (1, 'image/webp', 1, 1, x'00', x'00')",
            "thumbnail of picture 1: its bytes",
        ),
        (
            "UPDATE hais SET rev = 99999999 WHERE id = (SELECT max(id) FROM hais)",
            "its revs are not in order",
        ),
        (
            "UPDATE hais SET reply_to_picture = 1 WHERE id = (SELECT max(id)"
            " FROM hais)",
            "replies to a picture",
        ),
        ("INSERT INTO hais_index (rowid, text) VALUES (1, 'ghost')", "'ghost'"),
        (
            "INSERT INTO hais_index (hais_index, rowid, text)"
            " SELECT 'delete', id, text FROM hais WHERE text <> '' LIMIT 1",
            "search index: hai",
        ),
        (
            "UPDATE hais SET deleted_at = 1 WHERE id ="
            " (SELECT max(id) FROM hais WHERE text <> '')",
            "is deleted and still has something in it",
        ),
        (
            "INSERT INTO gone_pictures SELECT id, hai_id, position, name, type, bytes,"
            " width, height, alt, 1 FROM pictures WHERE hai_id IS NOT NULL LIMIT 1",
            "it is gone, and in a hai all the same",
        ),
        (
            "UPDATE pictures SET sha256 = NULL WHERE id = 1",
            "picture 1: it is whole and has no size, type or SHA-256",
        ),
        (
            "INSERT INTO pictures (id, room_id, user_id, hai_id, position, name, type,"
            " bytes, sha256, bytes_of_id, uploaded_at, completed_at)"
            " SELECT 9999, room_id, user_id, hai_id, position, name, type, bytes,"
            " sha256, id, 1, 1 FROM pictures WHERE id = 1",
            "two of its pictures have the same place",
        ),
        (
            "UPDATE pictures SET bytes_of_id = 2 WHERE id IN (1, 2)",
            "has another one's bytes and some of its own",
        ),
        (
            "UPDATE pictures SET bytes_of_id = 2 WHERE id IN (1, 2)",
            "has its bytes of one that has them of another",
        ),
        (
            "UPDATE hais SET user_id = (SELECT id FROM users WHERE NOT EXISTS"
            " (SELECT 1 FROM memberships m WHERE m.user_id = users.id"
            " AND m.room_id = hais.room_id) LIMIT 1) WHERE id = (SELECT h.id"
            " FROM hais h JOIN rooms r ON r.id = h.room_id"
            " WHERE r.member_count < 20 LIMIT 1)",
            "its author was never in its room",
        ),
        ("UPDATE users SET rev = 1 WHERE id IN (1, 2)", "several have the rev"),
        (
            "UPDATE hai_numbers SET number = number + 1"
            " WHERE hai_id = (SELECT max(hai_id) FROM hai_numbers)",
            "a number that is not its place",
        ),
        (
            "UPDATE memberships SET made_rev = rev + 1 WHERE id = 1",
            "membership 1: its revs are not in order",
        ),
        (
            "UPDATE users SET deactivated_at = 1 WHERE id = 1",
            "it goes on, and its user is deactivated",
        ),
        (
            "UPDATE rooms SET kind = 'direct', direct_key = '1,2' WHERE id = 1",
            "its people are not those of its key",
        ),
        ("DELETE FROM users WHERE id = 2", "what it belongs to is not in users"),
        ("DELETE FROM server", "not exactly one row"),
    ],
)
def test_each_damage_is_found(path, statement, said):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    found = problems(path)
    assert any(said in line for line in found), found


@pytest.mark.parametrize("has_digests", [True, False])
def test_every_flipped_bit_in_a_picture_is_found(path, has_digests):
    """SQLite's own check finds none of them. Old chunks have no digest of their own."""
    with closing(sqlite3.connect(path)) as db, db:
        if not has_digests:
            db.execute("UPDATE chunks SET sha256 = NULL")
        pictures = dict(db.execute("SELECT picture_id, bytes FROM chunks"))
    content = bytearray(path.read_bytes())
    for data in pictures.values():
        content[content.find(data[-60:]) + 30] ^= 0x10
    path.write_bytes(content)
    found = {int(line.split()[1].strip(":")) for line in problems(path)}
    assert found == pictures.keys()


def test_an_older_file_is_to_be_brought_up_to_date_first(tmp_path):
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for step in migrations.MIGRATIONS[:2]:
            step(db.execute)
        db.execute("PRAGMA user_version = 2")
        db.execute(
            "INSERT INTO users (rev, name, display_name, kind, role, created_at)"
            " VALUES (0, 'ada', 'Ada', 'person', 'owner', 0)"
        )
        assert "older Hai" in problems(path)[0]
        migrations.migrate(db.execute)
        assert db.execute("SELECT name, avatar_rev FROM users").fetchall() == [
            ("ada", None)
        ]
    assert problems(path) == []


def test_flipped_bits_are_found_whoever_shares_the_bytes(path):
    """Run it for longer: `python -m tests.durability.flips --help`."""
    found = flips.run(path, count=40, seed=1)
    assert found.missed == [] and found.wrong == []
    assert found.flips == 40 and found.shared > 0 and found.thumbnails > 0


def test_what_is_written_to_all_the_time_is_named_as_not_checked(path, monkeypatch):
    monkeypatch.setattr(verify, "PAUSES_S", (0, 0))
    monkeypatch.setattr(verify.CheckRunner, "_try", interrupted)
    counts = verify.Counts()
    assert list(verify.problems(path, counts)) == []
    assert counts.missed == ["structure", "rows", "search index"]
    assert counts.pictures > 0


def interrupted(runner, check):
    raise InterruptedError


ENDLESS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n
"""


def test_a_long_check_gives_way_to_writers_and_is_begun_again(path, monkeypatch):
    """The write-ahead log must stay short while somebody verifies."""
    monkeypatch.setattr(verify, "WAL_BYTES", 100_000)
    monkeypatch.setattr(verify, "WATCH_EVERY_S", 0.01)
    monkeypatch.setattr(verify, "PAUSES_S", (0,))
    tries = []

    def check(db):
        """rows"""
        tries.append(db.execute("SELECT count(*) FROM users").fetchone())
        if len(tries) == 1:
            with closing(sqlite3.connect(path)) as other, other:
                other.execute("UPDATE hais SET sent_at = sent_at + 1")
            db.execute(ENDLESS).fetchall()
        yield "looked to the end"

    with closing(verify.open_file(path)) as db:
        db.execute("PRAGMA journal_mode = wal")
        assert verify.CheckRunner(db, path).run(check) == ["looked to the end"]
    assert len(tries) == 2
