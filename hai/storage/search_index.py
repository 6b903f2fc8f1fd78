"""Full-text search: the FTS5 table that triggers keep from the first row on."""

from typing import Any, NamedTuple

from hai.storage import hais
from hai.storage.database import execute

# A search looks at so many candidates at a time, newest first: hits of the index, or
# just hais. They are gathered inside of one statement, for the GIL's sake.
HITS = """
SELECT count(*), min(rowid), json_group_array(rowid) FROM (
    SELECT rowid FROM hais_index WHERE hais_index MATCH ? AND rowid < ?
    ORDER BY rowid DESC LIMIT ?)
"""

# Membership decides in the same statement: no hit of another's room comes out.
OF_HITS = f"""
SELECT {hais.COLUMNS} FROM hais h JOIN memberships m
    ON m.room_id = h.room_id AND m.user_id = ? AND m.ended_at IS NULL
WHERE h.id IN (SELECT value FROM json_each(?))
ORDER BY h.id DESC LIMIT ?
"""

NEXT_HAIS = """
SELECT count(*), min(id) FROM (
    SELECT id FROM hais WHERE id < ? ORDER BY id DESC LIMIT ?)
"""

# Words of scripts without spaces stand inside longer runs of letters, which the index
# keeps whole, so the texts are looked through: 8 ms for 60,000 hais, with one word or
# twelve.
HAS_WORD = "AND instr(h.text, ?)"
SCAN = f"""
SELECT {hais.COLUMNS} FROM hais h CROSS JOIN memberships m
    ON m.room_id = h.room_id AND m.user_id = ? AND m.ended_at IS NULL
WHERE h.id < ? AND h.id >= ? {{has_words}}
ORDER BY h.id DESC LIMIT ?
"""


class Slice(NamedTuple):
    """rows: of hais.COLUMNS, newest first. before: nothing at or above it is left to
    look at but what `limit` cut off; None: nothing at all."""

    rows: list[tuple[Any, ...]]
    before: int | None


def search(
    user_id: int, words: list[str], before: int, limit: int, candidates: int
) -> Slice:
    """Of the next so many hits, those that are this user's to see. (any thread)"""
    args = (match(words), before, candidates)
    count, lowest, ids = execute(HITS, args).fetchone()
    rows = execute(OF_HITS, (user_id, ids, limit)).fetchall()
    return Slice(rows, None if count < candidates else lowest)


def scan(
    user_id: int, words: list[str], before: int, limit: int, candidates: int
) -> Slice:
    """The same of the next so many hais, with the words anywhere in the text, in this
    very spelling. (any thread)"""
    count, lowest = execute(NEXT_HAIS, (before, candidates)).fetchone()
    sql = SCAN.format(has_words=HAS_WORD * len(words))
    rows = execute(sql, (user_id, before, lowest or 0, *words, limit)).fetchall()
    return Slice(rows, None if count < candidates else lowest)


def match(words: list[str]) -> str:
    """FTS5's query: each word quoted by us, the last one as a prefix.

    The library's own cleaner lets an unbalanced quote through.
    """
    quoted = ['"' + word.replace('"', '""') + '"' for word in words]
    return " ".join(quoted) + "*"
