"""Search: from words to hais that the reader may see.

A search is many short reads, between which others take their turn. It ends when it has
used its share of a reader's time, and can be continued from there.
"""

import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from hai.cache import Cache
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.objects import user_object
from hai.core.talk import hai_cache
from hai.shapes import HaiObject, SearchResponse, UserObject
from hai.storage import search_index
from hai.storage import users as user_rows

SearchStep = Callable[[int, list[str], int, int, int], search_index.SearchSlice]

LIMIT = 30
MAX_QUERY_CHARS = 200
MAX_WORDS = 12
FROM_THE_NEWEST = 2**62

BUDGET_S = 0.25  # of a reader thread, for one query
SLICE_S = 0.02  # about as long as one read of it takes
FIRST_CANDIDATES = 1000  # 0.2 to 3 ms
MIN_CANDIDATES = 16  # texts may be 100,000 characters long

# What the index's tokenizer keeps: a query of other characters finds nothing.
WORD = re.compile(r"[^\W_]+")
# Thai, Lao, Burmese, Khmer, Japanese, Chinese: written without spaces between words.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


@dataclass(slots=True)
class SearchResult:
    """before: where to continue; None: everything was examined."""

    hais: list[HaiObject] = field(default_factory=list)
    users: dict[int, UserObject] = field(default_factory=dict)
    before: int | None = FROM_THE_NEWEST
    took_s: float = 0.0

    def add(self, more: "SearchResult") -> None:
        self.hais += more.hais
        self.users |= more.users
        self.before = more.before
        self.took_s += more.took_s


async def search(
    core: Core,
    who: Identity,
    query: str,
    *,
    before: int | None = None,
    limit: int = LIMIT,
) -> SearchResponse:
    """{hais, users, has_more}: newest first, all words, the last as a prefix.

    Words of scripts without spaces are found inside others. If its time is over the
    result also has `is_partial` and `before`, to continue with. An empty query finds
    nothing. No query text raises; Busy if there are too many at once.
    """
    text = unicodedata.normalize("NFC", query[:MAX_QUERY_CHARS])
    words, step = words_of(text), search_index.search
    if words and UNSPACED.search(text):
        words, step = list(dict.fromkeys(text.split()))[:MAX_WORDS], search_index.scan
    if not words:
        return {"hais": [], "users": [], "has_more": False}
    found = SearchResult(before=FROM_THE_NEWEST if before is None else before)
    await _fill(core, found, step, who.user_id, words, limit + 1)
    return _answer(found, limit)


def words_of(text: str) -> list[str]:
    """As the index keeps them: composed, as a separate accent would split a word."""
    return WORD.findall(text.replace("\0", " "))[:MAX_WORDS]


async def _fill(
    core: Core,
    found: SearchResult,
    step: SearchStep,
    user_id: int,
    words: list[str],
    wanted: int,
) -> None:
    """Until there are enough, or no more, or the time is over."""
    candidates = FIRST_CANDIDATES
    while found.before is not None and len(found.hais) < wanted:
        missing = wanted - len(found.hais)
        args = (step, user_id, words, found.before, missing, candidates)
        more = await core.db.read_slow(_run_step, core.cache, *args)
        found.add(more)
        if found.took_s >= BUDGET_S:
            break
        candidates = _next_size(candidates, more.took_s)


def _run_step(
    cache: Cache, step: SearchStep, user_id: int, words: list[str], *args: int
) -> SearchResult:
    """One slice. (reader thread)"""
    began_s = time.monotonic()
    revs, before = step(user_id, words, *args)
    hais = hai_cache.objects(cache, revs)
    authors = user_rows.find({hai["user_id"] for hai in hais})
    users = {row[0]: user_object(*row) for row in authors}
    return SearchResult(hais, users, before, time.monotonic() - began_s)


def _next_size(candidates: int, took_s: float) -> int:
    """So that a slice takes about as long as it should."""
    if took_s < SLICE_S / 2:
        return candidates * 2
    if took_s > SLICE_S:
        return max(MIN_CANDIDATES, candidates // 2)
    return candidates


def _answer(found: SearchResult, limit: int) -> SearchResponse:
    has_more = len(found.hais) > limit
    hais = found.hais[:limit]
    authors = {hai["user_id"] for hai in hais}
    users = [user for id_, user in found.users.items() if id_ in authors]
    answer: SearchResponse = {"hais": hais, "users": users, "has_more": has_more}
    if not has_more and found.before is not None:
        answer["has_more"] = answer["is_partial"] = True
        answer["before"] = found.before
    return answer
