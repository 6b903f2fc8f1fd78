"""How long pictures are kept: the rule of a room, and what it would take away.

Only pictures go, never words: a hai keeps its text and says that there was one.
Nobody loses pictures by surprise, so whoever makes a rule is first told how many
it would remove, and has to say that they mean it. expiry.py takes them away.
"""

from dataclasses import dataclass

from hai.core.fields import MAX_DAYS
from hai.core.quotas import size_words
from hai.errors import NotConfirmed
from hai.storage import retention as rows
from hai.units import DAY_MS

__all__ = ["MAX_DAYS", "PicturesLeaving", "count_older", "require_confirmed"]


@dataclass(frozen=True, slots=True)
class PicturesLeaving:
    """Told on the bus when pictures are to go: the sweeper begins at once."""


def count_older(owner: str, id_: int, days: int, now_ms: int) -> tuple[int, int]:
    """(pictures, bytes) of one of rows.OWNERS that are older. (any thread)"""
    return rows.count_older(owner, id_, now_ms - days * DAY_MS)


def require_confirmed(
    owner: str, id_: int, days: int, now_ms: int, is_confirmed: bool
) -> tuple[int, int]:
    """What would go now. Raises NotConfirmed when that is something and nobody
    has said that they mean it. (any thread)"""
    count, byte_count = count_older(owner, id_, days, now_ms)
    if count and not is_confirmed:
        one_or_many = "1 picture" if count == 1 else f"{count:,} pictures"
        raise NotConfirmed(
            f"This removes {one_or_many} ({size_words(byte_count)}) for everyone,"
            " for good.",
            picture_count=count,
            picture_bytes=byte_count,
        )
    return count, byte_count
