"""Words for counts and days, and emoji: shown alone, they are large.

`static/js/lib/text.js` detects emoji in the same way; a test compares them.
"""

import re
from collections.abc import Mapping
from typing import Any

Dict = Mapping[str, Any]

MAX_BIG_EMOJI = 6
WAVE = "hai!"  # what an empty form sends
# An emoji as people see it: flags, keycaps, or a base with modifiers and joiners.
EMOJI_BASE = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]"
EMOJI_PART = f"{EMOJI_BASE}[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3"
    f"|{EMOJI_PART}(?:\u200d{EMOJI_PART})*)"
)
# In that range, but letters, arrows and punctuation rather than emoji by themselves.
NOT_EMOJI = re.compile("^[\u2010-\u2bff\u2e80-\u3299\u00a9\u00ae]$")


def is_emoji_only(text: str) -> bool:
    """Up to six emoji and nothing else: drawn three times the size."""
    if not EMOJI.match(text.lstrip()):
        return False  # at once, for nearly every text
    signs = EMOJI.findall(text)
    rest = EMOJI.sub("", text).strip()
    is_few = 0 < len(signs) <= MAX_BIG_EMOJI
    return is_few and not rest and not any(map(NOT_EMOJI.match, signs))


def size_of(hai: Dict) -> str:
    if hai["text"].strip() == WAVE and not hai["pictures"]:
        return "wave"
    return "emoji" if is_emoji_only(hai["text"]) else "text"


def plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def count_words(count: int) -> str:
    """How many are unread; counting stops at a thousand."""
    return "999+" if count > 999 else str(count)


def days_words(days: int) -> str:
    """For how long: "30 days", "a year"."""
    return {0: "forever", 1: "a day", 7: "a week", 365: "a year"}.get(
        days, f"{days:,} days"
    )
