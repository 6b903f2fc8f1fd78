"""A database as the first released version left it, with something in each table."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql").read_text()
PICTURE, THUMBNAIL = b"\x89PNG and more" * 30_000, b"RIFF and more"
SHA256 = hashlib.sha256(PICTURE).digest()
SEEN = (640, 480, None, SHA256, None, 0, 0, 0, None, 0)

ROWS = {
    "server": [(1, 12, "the first life", 0)],
    "users": [
        (1, 1, "ada", "Ada", "person", "owner", None, 0, None),
        (2, 2, "eliza", "Eliza", "bot", "member", None, 0, None),
    ],
    "sessions": [(1, 1, "browser", b"a hash", "Test/1.0", 0, 0, None)],
    "invites": [(1, b"a code", 1, 0, 9)],
    "rooms": [(1, 3, "open", "Lounge", None, 1, 0, 0, None, 2)],
    "memberships": [
        (1, 4, 1, 1, 4, 4, 0, None, 11),
        (2, 5, 1, 2, 5, 5, 0, None, 0),
    ],
    "hais": [
        (6, 6, 1, 1, "a", 1, "Grüße from the sea", None, 0, None, None, None),
        (7, 12, 1, 1, "b", 2, "", None, 0, None, 9, None),
        (11, 11, 1, 1, "c", 3, "", None, 0, None, None, 6),
    ],
    "pictures": [
        (1, 1, 1, 11, 0, "sea.png", "image/png", len(PICTURE), *SEEN),
    ],
    "thumbnails": [(1, "image/webp", 64, 48, THUMBNAIL)],
    "chunks": [
        (number + 1, 1, number, at, PICTURE[at : at + 262_144])
        for number, at in enumerate(range(0, len(PICTURE), 262_144))
    ],
    "reactions": [(11, 2, "🌊", 0)],
}


def make_first_version(path):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = wal")
        db.executescript(FIRST_SCHEMA)
        for table, rows in ROWS.items():
            marks = ", ".join("?" * len(rows[0]))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    return path
