"""Search: words to hais that the reader may see."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from hai.core.context import Core
from hai.core.objects import hai_objects, user_object
from hai.core.sessions import Identity
from hai.storage import search_index
from hai.storage import users as user_rows

Find = Callable[[int, list[str], int | None, int], list[tuple[Any, ...]]]

LIMIT = 30
MAX_QUERY_CHARS = 200
MAX_WORDS = 12

# What the index's tokenizer keeps: a query of other signs finds nothing.
WORD = re.compile(r"[^\W_]+")
# Thai, Lao, Burmese, Khmer, Japanese, Chinese: written without spaces between words.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


async def search(
    core: Core,
    who: Identity,
    query: str,
    *,
    before: int | None = None,
    limit: int = LIMIT,
) -> dict[str, Any]:
    """{hais, users, has_more}: newest first, all words, the last as a prefix.

    Words of scripts without spaces are found inside of others, in newer hais only.
    An empty query finds nothing. Never raises for what was typed.
    """
    text = unicodedata.normalize("NFC", query[:MAX_QUERY_CHARS])
    words, find = words_of(text), search_index.search
    if words and UNSPACED.search(text):
        words, find = list(dict.fromkeys(text.split()))[:MAX_WORDS], search_index.scan
    if not words:
        return {"hais": [], "users": [], "has_more": False}
    return await core.db.read(_search, find, who.user_id, words, before, limit)


def words_of(text: str) -> list[str]:
    """As the index keeps them: composed, or an accent would part its letter's word."""
    return WORD.findall(text.replace("\0", " "))[:MAX_WORDS]


def _search(
    find: Find, user_id: int, words: list[str], before: int | None, limit: int
) -> dict[str, Any]:
    """(reader thread)"""
    found = find(user_id, words, before, limit + 1)
    hais = hai_objects(found[:limit])
    authors = {hai["user_id"] for hai in hais}
    users = [user_object(*row) for row in user_rows.find(authors)]
    return {"hais": hais, "users": users, "has_more": len(found) > limit}
