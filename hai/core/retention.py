"""How long pictures are kept: a room's rule, and what it would remove.

Only pictures are removed, never text: a hai keeps its text and shows that there was a
picture. To avoid surprises, whoever sets a rule is first told how many pictures it
would remove, and has to confirm. expiry.py removes them.
"""

from dataclasses import dataclass

from hai.core.fields import MAX_DAYS
from hai.core.quotas import size_words
from hai.errors import NotConfirmed
from hai.storage import retention as rows
from hai.units import DAY_MS

__all__ = ["MAX_DAYS", "PictureRemovalRequested", "count_older", "require_confirmed"]


@dataclass(frozen=True, slots=True)
class PictureRemovalRequested:
    """Published on the bus when pictures are to be removed; the sweeper starts."""


def count_older(owner: str, id_: int, days: int, now_ms: int) -> tuple[int, int]:
    """(pictures, bytes) of one of rows.OWNERS older than that. (any thread)"""
    return rows.count_older(owner, id_, now_ms - days * DAY_MS)


def require_confirmed(
    owner: str, id_: int, days: int, now_ms: int, is_confirmed: bool
) -> tuple[int, int]:
    """What would be removed now. Raises NotConfirmed if that is something and the user
    has not confirmed. (any thread)"""
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
