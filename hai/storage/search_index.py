"""Full-text search: the FTS5 table that triggers keep from the first row on."""

import json
from typing import Any

from hai.storage import hais
from hai.storage.database import execute

# Membership decides in the same statement: no hit of another's room comes out.
SEARCH = f"""
SELECT {hais.COLUMNS} FROM hais_index i
    JOIN hais h ON h.id = i.rowid
    JOIN memberships m ON m.room_id = h.room_id
        AND m.user_id = ? AND m.ended_at IS NULL
WHERE hais_index MATCH ? AND i.rowid < ?
ORDER BY i.rowid DESC LIMIT ?
"""

# Words of scripts without spaces stand inside longer runs of letters, which the index
# keeps whole. So the newest hais are looked through, some 100 ms for all of these.
SCANNED_REVS = 200_000
SCAN = f"""
SELECT {hais.COLUMNS} FROM hais h CROSS JOIN memberships m
    ON m.room_id = h.room_id AND m.user_id = ? AND m.ended_at IS NULL
WHERE h.id < ? AND h.id > (SELECT rev FROM server) - {SCANNED_REVS}
    AND (SELECT count(*) FROM json_each(?) WHERE instr(h.text, value)) = ?
ORDER BY h.id DESC LIMIT ?
"""


def search(
    user_id: int, words: list[str], before: int | None, limit: int
) -> list[tuple[Any, ...]]:
    """Hais that hold all the words, newest first. (any thread)"""
    last = 2**62 if before is None else before
    found: list[tuple[Any, ...]] = execute(
        SEARCH, (user_id, match(words), last, limit)
    ).fetchall()
    return found


def scan(
    user_id: int, words: list[str], before: int | None, limit: int
) -> list[tuple[Any, ...]]:
    """The same of the newest hais, with the words anywhere in the text, in this
    very spelling. (any thread)"""
    last = 2**62 if before is None else before
    found: list[tuple[Any, ...]] = execute(
        SCAN, (user_id, last, json.dumps(words), len(words), limit)
    ).fetchall()
    return found


def match(words: list[str]) -> str:
    """FTS5's query: each word quoted by us, the last one as a prefix.

    The library's own cleaner lets an unbalanced quote through.
    """
    quoted = ['"' + word.replace('"', '""') + '"' for word in words]
    return " ".join(quoted) + "*"
