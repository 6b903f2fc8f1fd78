"""Is everything in a database file as it was stored? Finds problems, repairs nothing.

SQLite's own check detects neither a flipped bit inside a picture nor an index that
disagrees with its rows, so each picture is hashed again, the full-text index is
compared with a new one, and the invariants of the rows are checked by queries
(`RULES`). Works on a connection of its own, in any process.

A long check would keep the write-ahead log of a running Hai from restarting;
`CheckRunner` interrupts it when the log grows, and starts it again; checks that could
not be completed within minutes are named in `Counts.missed`.
"""

import contextlib
import hashlib
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hai.storage.sqlite.migrations import MIGRATIONS
from hai.units import CHUNK_BYTES

LOWEST_PRIORITY = 19  # for `nice`: reading everything can wait for everybody else
MAX_LINES = 20  # per rule: the first ones show what is wrong
WAL_BYTES = 24 * 1024 * 1024  # a check during which the log grows larger is stopped
WATCH_EVERY_S = 0.1
PAUSES_S = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)  # between attempts: the load may drop

# What must hold, and a query for the ids of the rows where it does not.
RULES = (
    (
        "server: there is not exactly one row",
        "SELECT count(*) FROM server HAVING count(*) <> 1",
    ),
    (
        "user {}: its rev is above the counter",
        "SELECT id FROM users WHERE rev > (SELECT rev FROM server)",
    ),
    (
        "user {}: there is no picture for its avatar_rev, or one without it",
        "SELECT id FROM users u WHERE (avatar_rev IS NULL)"
        " = EXISTS (SELECT 1 FROM avatars WHERE user_id = u.id)"
        " OR avatar_rev > rev",
    ),
    (
        "room {}: its rev is above the counter",
        "SELECT id FROM rooms WHERE rev > (SELECT rev FROM server)",
    ),
    (
        "room {}: member_count is not the number of its members",
        "SELECT id FROM rooms r WHERE member_count <> (SELECT count(*)"
        " FROM memberships WHERE room_id = r.id AND ended_at IS NULL)",
    ),
    (
        "membership {}: its revs are not in order",
        "SELECT id FROM memberships WHERE NOT (made_rev <= began_rev"
        " AND began_rev <= rev"
        " AND rev <= (SELECT rev FROM server))",
    ),
    (
        "membership {}: it has read what was never sent",
        "SELECT id FROM memberships WHERE read_hai_id NOT BETWEEN 0"
        " AND (SELECT rev FROM server)",
    ),
    (
        "hai {}: it has a number that is not its place in its room",
        "SELECT hai_id FROM hai_numbers n LEFT JOIN (SELECT room_id, id, row_number()"
        " OVER (PARTITION BY room_id ORDER BY id) AS place FROM hais) h"
        " ON h.id = n.hai_id WHERE (h.room_id, place) IS NOT (n.room_id, number)",
    ),
    (
        "hai {}: its revs are not in order",
        "SELECT id FROM hais WHERE NOT (0 < id AND id <= rev"
        " AND rev <= (SELECT rev FROM server))",
    ),
    (
        "rev {}: several hais have it",
        "SELECT rev FROM hais GROUP BY rev HAVING count(*) > 1",
    ),
    (
        "hai {}: it is deleted and still has something in it",
        "SELECT id FROM hais h WHERE deleted_at IS NOT NULL AND (text <> ''"
        " OR html IS NOT NULL OR EXISTS (SELECT 1 FROM pictures WHERE hai_id = h.id)"
        " OR EXISTS (SELECT 1 FROM gone_pictures WHERE hai_id = h.id)"
        " OR EXISTS (SELECT 1 FROM reactions WHERE hai_id = h.id))",
    ),
    (
        "hai {}: there is nothing in it",
        "SELECT id FROM hais h WHERE deleted_at IS NULL AND text = ''"
        " AND NOT EXISTS (SELECT 1 FROM pictures WHERE hai_id = h.id)"
        " AND NOT EXISTS (SELECT 1 FROM gone_pictures WHERE hai_id = h.id)",
    ),
    (
        "hai {}: it replies to one of another room",
        "SELECT h.id FROM hais h JOIN hais o ON o.id = h.reply_to"
        " WHERE o.room_id <> h.room_id",
    ),
    (
        "hai {}: it replies to one that was never sent",
        "SELECT id FROM hais h WHERE reply_to IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM hais WHERE id = h.reply_to)",
    ),
    (
        "hai {}: it replies to a picture that is another hai's",
        "SELECT h.id FROM hais h LEFT JOIN pictures p ON p.id = h.reply_to_picture"
        " WHERE h.reply_to_picture IS NOT NULL AND (h.reply_to IS NULL"
        " OR p.hai_id <> h.reply_to)",
    ),
    (
        "picture {}: its hai is another one's or in another room",
        "SELECT p.id FROM pictures p JOIN hais h ON h.id = p.hai_id"
        " WHERE h.room_id <> p.room_id OR h.user_id <> p.user_id",
    ),
    (
        "picture {}: the picture that it has its bytes of is another",
        "SELECT p.id FROM pictures p JOIN pictures o ON o.id = p.bytes_of_id"
        " WHERE p.completed_at IS NOT NULL"
        " AND (o.sha256, o.bytes) IS NOT (p.sha256, p.bytes)",
    ),
    (
        "upload {}: its picture is another one's or in another room",
        "SELECT u.id FROM uploads u JOIN pictures p ON p.id = u.picture_id"
        " WHERE (p.user_id, p.room_id) IS NOT (u.user_id, u.room_id)",
    ),
    (
        "upload {}: its chunks are not those that it counted",
        "SELECT id FROM uploads u WHERE completed_at IS NULL AND chunk_count <>"
        " (SELECT count(*) FROM chunks WHERE picture_id = u.picture_id)",
    ),
    (
        "upload {}: it is whole and keeps what it needs no more",
        "SELECT id FROM uploads WHERE completed_at IS NOT NULL"
        " AND (received <> length OR tail IS NOT NULL OR reader IS NOT NULL)",
    ),
    (
        "picture {}: its size or its duration is not one of its type",
        "SELECT id FROM pictures WHERE completed_at IS NOT NULL AND NOT CASE"
        " WHEN type LIKE 'audio/%' THEN width = 0 AND height = 0 AND duration_ms >= 0"
        " WHEN type LIKE 'video/%' THEN width > 0 AND height > 0 AND duration_ms >= 0"
        " ELSE width > 0 AND height > 0 AND duration_ms = 0 END",
    ),
    (
        "picture {}: it was sent and is not whole",
        "SELECT id FROM pictures WHERE hai_id IS NOT NULL AND completed_at IS NULL",
    ),
    (
        "picture {}: it is whole and has no size, type or SHA-256",
        "SELECT id FROM pictures WHERE completed_at IS NOT NULL AND (type = ''"
        " OR bytes <= 0 OR sha256 IS NULL OR length(sha256) <> 32)",
    ),
    (
        "picture {}: it has another one's bytes and some of its own",
        "SELECT id FROM pictures p WHERE bytes_of_id IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM chunks WHERE picture_id = p.id)",
    ),
    (
        "picture {}: it has its bytes of one that has them of another",
        "SELECT p.id FROM pictures p JOIN pictures o ON o.id = p.bytes_of_id"
        " WHERE o.bytes_of_id IS NOT NULL",
    ),
    (
        "hai {}: two of its pictures have the same place",
        "SELECT hai_id FROM (SELECT hai_id, position FROM pictures"
        " WHERE hai_id IS NOT NULL UNION ALL SELECT hai_id, position"
        " FROM gone_pictures) GROUP BY hai_id, position HAVING count(*) > 1",
    ),
    (
        "picture {}: it is gone, and in a hai all the same",
        "SELECT g.id FROM gone_pictures g JOIN pictures p ON p.id = g.id"
        " WHERE p.hai_id IS NOT NULL OR p.completed_at IS NOT NULL",
    ),
    (
        "hai {}: its author was never in its room",
        "SELECT id FROM hais h WHERE NOT EXISTS (SELECT 1 FROM memberships"
        " WHERE room_id = h.room_id AND user_id = h.user_id)",
    ),
    (
        "room {}: it is direct, and its people are not those of its key",
        "SELECT id FROM rooms r WHERE kind = 'direct' AND member_count > 0"
        " AND direct_key IS NOT (SELECT group_concat(user_id) FROM"
        " (SELECT user_id FROM memberships WHERE room_id = r.id"
        " AND ended_at IS NULL ORDER BY user_id))",
    ),
    (
        "user {}: several have the rev of this one",
        "SELECT min(id) FROM users GROUP BY rev HAVING count(*) > 1",
    ),
    (
        "session {}: it goes on, and its user is deactivated",
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.ended_at IS NULL AND u.deactivated_at IS NOT NULL",
    ),
    (
        "membership {}: it goes on, and its user is deactivated",
        "SELECT m.id FROM memberships m JOIN users u ON u.id = m.user_id"
        " JOIN rooms r ON r.id = m.room_id WHERE m.ended_at IS NULL"
        " AND u.deactivated_at IS NOT NULL AND r.kind <> 'direct'",
    ),
    (
        "user {}: deactivated, and has a link for a new password",
        "SELECT u.id FROM users u JOIN password_resets p ON p.user_id = u.id"
        " WHERE u.deactivated_at IS NOT NULL",
    ),
)

# Whose bytes are to be seen: its own, or those of one that shares them and lives on.
HAS_BYTES = """
bytes_of_id IS NULL AND (completed_at IS NOT NULL OR EXISTS (SELECT 1
    FROM pictures s WHERE s.bytes_of_id = p.id AND s.completed_at IS NOT NULL))
"""
PICTURES = f"""
SELECT id, bytes, sha256 FROM pictures p WHERE id > ? AND {HAS_BYTES}
ORDER BY id LIMIT 1
"""

# The words of the index as it is, and of one made from the rows: term, hai, offset.
INDEX = """
CREATE VIRTUAL TABLE temp.stored_words USING fts5vocab(main, hais_index, instance);
CREATE VIRTUAL TABLE temp.fresh USING fts5 (
    text, content = '', tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO temp.fresh (rowid, text) SELECT id, text FROM hais WHERE text <> '';
CREATE VIRTUAL TABLE temp.fresh_words USING fts5vocab(temp, fresh, instance);
"""


@dataclass
class Counts:
    """What was checked, and the names of the checks that could not be completed."""

    users: int = 0
    rooms: int = 0
    hais: int = 0
    pictures: int = 0
    picture_bytes: int = 0
    missed: list[str] = field(default_factory=list)


Check = Callable[[sqlite3.Connection], Iterator[str]]
Pause = Callable[[float], None]  # is told how long the last piece of work took


def open_file(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """A connection for checking, with room for temporary tables.

    mode: "rw" when the file may have a write-ahead log; "ro" for a backup, which may be
    on read-only media. Raises sqlite3.Error.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA temp_store = file")  # the index made anew may be large
    return db


def problems(
    path: Path, counts: Counts, *, pause: Pause = lambda took_s: None
) -> Iterator[str]:
    """Yield one line for each problem in the file."""
    try:
        with contextlib.closing(open_file(path)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] < len(MIGRATIONS):
                yield f"{path} was written by an older Hai: start this one once first"
                return
            runner = CheckRunner(db, path)
            for check in (_structure, _rules, _index):
                found = runner.run(check)
                if found is None:
                    counts.missed.append(str(check.__doc__))
                yield from found or ()
            _count(db, counts)
            yield from _small_pictures(db, pause)
            yield from _pictures(db, counts, pause)
    except sqlite3.Error as error:
        yield f"{path}: {error}"


class CheckRunner:
    """Runs a check in one read transaction, but not while the log grows."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self.db = db
        self.wal = path.with_name(path.name + "-wal")

    def run(self, check: Check) -> list[str] | None:
        """The problems found; None: too much is being written for so long a check."""
        for pause_s in (*PAUSES_S, 0):
            with contextlib.suppress(InterruptedError):
                return self._try(check)
            time.sleep(pause_s)
        return None

    def _try(self, check: Check) -> list[str]:
        is_over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(is_over, self._wal_bytes()))
        watch.start()
        try:
            self.db.execute("BEGIN")
            return list(check(self.db))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise InterruptedError from error
            raise
        finally:
            is_over.set()
            watch.join()
            with contextlib.suppress(sqlite3.OperationalError):
                self.db.execute("ROLLBACK")

    def _watch(self, is_over: threading.Event, before: int) -> None:
        while not is_over.wait(WATCH_EVERY_S):
            if self._wal_bytes() > max(before, WAL_BYTES):
                self.db.interrupt()

    def _wal_bytes(self) -> int:
        try:
            return self.wal.stat().st_size
        except OSError:
            return 0


def _structure(db: sqlite3.Connection) -> Iterator[str]:
    """structure"""
    for (line,) in db.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"structure: {line}"
    for table, row_id, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table} {row_id}: what it belongs to is not in {parent}"


def _rules(db: sqlite3.Connection) -> Iterator[str]:
    """rows"""
    for sentence, query in RULES:
        found = db.execute(f"{query} LIMIT {MAX_LINES + 1}").fetchall()
        yield from (sentence.format(*row) for row in found[:MAX_LINES])
        if len(found) > MAX_LINES:
            yield "... and more of these"


def _index(db: sqlite3.Connection) -> Iterator[str]:
    """search index"""
    for name in ("stored_words", "fresh_words", "fresh"):
        db.execute(f"DROP TABLE IF EXISTS temp.{name}")
    for statement in filter(str.strip, INDEX.split(";\n")):
        db.execute(statement)
    words = 'SELECT term, doc, "offset" FROM temp.{} ORDER BY term, doc, "offset"'
    stored = db.execute(words.format("stored_words"))
    fresh = db.execute(words.format("fresh_words"))
    wrong = (
        pair for pair in itertools.zip_longest(stored, fresh) if pair[0] != pair[1]
    )
    for one, other in itertools.islice(wrong, 1):
        term, hai_id, _ = min(filter(None, (one, other)))
        yield f"search index: hai {hai_id} and the index disagree about {term!r}"


# One after the other: each a read by itself, as for the chunks of pictures.
SMALL_PICTURES = (
    (
        "avatar of user",
        "SELECT user_id, sha256, bytes FROM avatars"
        " WHERE user_id > ? ORDER BY user_id LIMIT 1",
    ),
    (
        "thumbnail of picture",
        "SELECT picture_id, sha256, bytes FROM thumbnails"
        " WHERE picture_id > ? AND sha256 IS NOT NULL ORDER BY picture_id LIMIT 1",
    ),
)


def _small_pictures(db: sqlite3.Connection, pause: Pause) -> Iterator[str]:
    for name, query in SMALL_PICTURES:
        id_, began_s = 0, time.monotonic()
        while row := db.execute(query, (id_,)).fetchone():
            id_, sha256, content = row
            if hashlib.sha256(content).digest() != sha256:
                yield f"{name} {id_}: its bytes are not those that were stored"
            pause(time.monotonic() - began_s)
            began_s = time.monotonic()


def _count(db: sqlite3.Connection, counts: Counts) -> None:
    for name in ("users", "rooms", "hais"):
        row = db.execute(f"SELECT count(*) FROM {name}").fetchone()
        setattr(counts, name, row[0])


def _pictures(db: sqlite3.Connection, counts: Counts, pause: Pause) -> Iterator[str]:
    """Each chunk is read separately: no transaction spans two of them."""
    picture_id = 0
    while row := db.execute(PICTURES, (picture_id,)).fetchone():
        picture_id, byte_count, sha256 = row
        began_s = time.monotonic()
        problem = _check_picture(db, picture_id, byte_count, sha256)
        is_there = db.execute(
            f"SELECT 1 FROM pictures p WHERE id = ? AND {HAS_BYTES}", (picture_id,)
        ).fetchone()
        if problem and is_there:  # else it was deleted while we looked
            yield f"picture {picture_id}: {problem}"
        counts.pictures += 1
        counts.picture_bytes += byte_count
        pause(time.monotonic() - began_s)


def _check_picture(
    db: sqlite3.Connection, picture_id: int, byte_count: int, sha256: bytes | None
) -> str | None:
    digest, found_bytes, last_chunk_bytes = hashlib.sha256(), 0, CHUNK_BYTES
    for number in itertools.count():
        row = db.execute(
            'SELECT "offset", bytes, sha256 FROM chunks'
            " WHERE picture_id = ? AND number = ?",
            (picture_id, number),
        ).fetchone()
        if row is None:
            break
        offset, chunk, chunk_sha256 = row
        if chunk_sha256 is not None and hashlib.sha256(chunk).digest() != chunk_sha256:
            return f"its bytes in chunk {number} are not those that were stored"
        if offset != found_bytes or last_chunk_bytes != CHUNK_BYTES:
            return f"chunk {number} is in the wrong place"
        digest.update(chunk)
        last_chunk_bytes = len(chunk)
        found_bytes += last_chunk_bytes
    if found_bytes != byte_count:
        return f"has {found_bytes} of {byte_count} bytes"
    if digest.digest() != sha256:
        return "its bytes are not those that were stored (SHA-256)"
    return None
