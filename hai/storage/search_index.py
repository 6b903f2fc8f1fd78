"""Full-text search: the FTS5 table, which triggers keep up to date."""

from typing import NamedTuple

from hai.storage.database import execute
from hai.storage.hais import HaiRev

# A search examines a number of candidates at a time, newest first: hits of the index,
# or all hais. They are collected in one statement, to hold the GIL less often.
HITS = """
SELECT count(*), min(rowid), json_group_array(rowid) FROM (
    SELECT rowid FROM hais_index WHERE hais_index MATCH ? AND rowid < ?
    ORDER BY rowid DESC LIMIT ?)
"""

# Membership is checked in the same statement: hits in other rooms never leave it.
OF_HITS = """
SELECT h.id, h.rev FROM hais h JOIN memberships m
    ON m.room_id = h.room_id AND m.user_id = ? AND m.ended_at IS NULL
WHERE h.id IN (SELECT value FROM json_each(?))
ORDER BY h.id DESC LIMIT ?
"""

NEXT_HAIS = """
SELECT count(*), min(id) FROM (
    SELECT id FROM hais WHERE id < ? ORDER BY id DESC LIMIT ?)
"""

# In scripts without spaces a word is part of a longer run of letters, which the index
# stores as one token, so the texts themselves are scanned: 8 ms for 60,000 hais, for
# one word or twelve.
HAS_WORD = "AND instr(h.text, ?)"
SCAN = """
SELECT h.id, h.rev FROM hais h CROSS JOIN memberships m
    ON m.room_id = h.room_id AND m.user_id = ? AND m.ended_at IS NULL
WHERE h.id < ? AND h.id >= ? {has_words}
ORDER BY h.id DESC LIMIT ?
"""


class SearchSlice(NamedTuple):
    """revs: (id, rev) of hais, newest first. before: everything at or above it has been
    examined, except what `limit` cut off; None: everything has."""

    revs: list[HaiRev]
    before: int | None


def search(
    user_id: int, words: list[str], before: int, limit: int, candidates: int
) -> SearchSlice:
    """Of the next hits, those that this user may see. (any thread)"""
    args = (match(words), before, candidates)
    count, lowest, ids = execute(HITS, args).fetchone()
    rows = execute(OF_HITS, (user_id, ids, limit)).fetchall()
    return SearchSlice(rows, None if count < candidates else lowest)


def scan(
    user_id: int, words: list[str], before: int, limit: int, candidates: int
) -> SearchSlice:
    """The same for the next hais, with the words anywhere in the text, spelled exactly
    like this. (any thread)"""
    count, lowest = execute(NEXT_HAIS, (before, candidates)).fetchone()
    sql = SCAN.format(has_words=HAS_WORD * len(words))
    rows = execute(sql, (user_id, before, lowest or 0, *words, limit)).fetchall()
    return SearchSlice(rows, None if count < candidates else lowest)


def match(words: list[str]) -> str:
    """FTS5's query: each word quoted by us, the last one as a prefix.

    Peewee's own cleaner lets an unbalanced quote through.
    """
    quoted = ['"' + word.replace('"', '""') + '"' for word in words]
    return " ".join(quoted) + "*"
