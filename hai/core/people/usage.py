"""Who uses what, for owners and admins: people, rooms, and totals.

They see names and sums, even for rooms they are not in, but nothing that is said there,
nor who is in a direct room. Callers have checked the role.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from hai import errors
from hai.core import quotas
from hai.core.context import Core
from hai.shapes import RoomUsageObject, UserUsageObject
from hai.storage import usage as rows

PAGE_LIMIT = 50
MAX_PAGES = 100_000
RECENT_S = 60.0  # four scrapes at the usual interval
USER_ORDERS = tuple(rows.USER_ORDERS)
ROOM_ORDERS = tuple(rows.ROOM_ORDERS)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page of a list. page: from 1."""

    order: str = "bytes"
    page: int = 1
    query: str = ""

    @property
    def offset(self) -> int:
        return (self.page - 1) * PAGE_LIMIT


def page_request(
    orders: tuple[str, ...], order: str, page: int, query: str
) -> PageRequest:
    """Raises BadRequest."""
    if order not in orders:
        raise errors.BadRequest("sort must be " + " or ".join(orders), field="sort")
    if not 1 <= page <= MAX_PAGES:
        raise errors.BadRequest("There is no such page.", field="page")
    letters = query.strip().removeprefix("@").replace("\0", "")[:80]
    return PageRequest(order, page, letters)


async def users(core: Core, page: PageRequest) -> tuple[list[UserUsageObject], bool]:
    """(people and bots with what they use, whether there are more)."""
    found = await core.db.read_slow(
        rows.users, page.query, page.order, PAGE_LIMIT + 1, page.offset
    )
    return [_user(core, row) for row in found[:PAGE_LIMIT]], len(found) > PAGE_LIMIT


async def user(core: Core, user_id: int) -> UserUsageObject:
    """Raises NotFound."""
    row = await core.db.read(rows.user, user_id)
    if row is None:
        raise errors.NotFound()
    return _user(core, row)


def _user(core: Core, row: rows.UserUsage) -> UserUsageObject:
    known: Any = _known(row)
    avatar_rev = known.pop("avatar_rev", None)
    user: UserUsageObject = known
    if avatar_rev is not None and "deactivated_at" not in user:
        user["avatar_url"] = f"/avatars/{user['id']}/{avatar_rev}"
    user["presence"] = core.presence.of(user["id"])
    return user


async def rooms(core: Core, page: PageRequest) -> tuple[list[RoomUsageObject], bool]:
    """(rooms with what they contain, whether there are more)."""
    found = await core.db.read_slow(rows.rooms, page.order, PAGE_LIMIT + 1, page.offset)
    return [_room(row) for row in found[:PAGE_LIMIT]], len(found) > PAGE_LIMIT


async def room(core: Core, room_id: int) -> RoomUsageObject:
    """Raises NotFound."""
    row = await core.db.read(rows.room, room_id)
    if row is None:
        raise errors.NotFound()
    return _room(row)


def _room(row: rows.RoomUsage) -> RoomUsageObject:
    known: Any = _known(row)
    room: RoomUsageObject = known
    return room


def _known(row: rows.UserUsage | rows.RoomUsage) -> dict[str, object]:
    return {key: value for key, value in row._asdict().items() if value is not None}


class CachedTotals:
    """`totals` for frequent callers: sums over a million pictures take most of a
    second, so they are at most a minute old, and concurrent callers share one query.
    (Sums maintained by every write would have to be right in each of them.) The query
    is shared, so it continues when the caller that started it is gone. The sizes on the
    disk are always current.
    """

    def __init__(self, core: Core, now: Callable[[], float] = time.monotonic) -> None:
        self.core = core
        self._now = now
        self._counted_s = -math.inf
        self._sums: asyncio.Future[dict[str, int]] | None = None

    async def get(self) -> dict[str, int]:
        if self._sums is None or self._now() - self._counted_s >= RECENT_S:
            self._counted_s = self._now()
            self._sums = Context().run(self.core.db.read_slow, rows.totals)
        try:
            sums = await asyncio.shield(self._sums)
        except Exception:
            self._counted_s = -math.inf  # the next one counts
            raise
        return sums | rows.file_sizes(self.core.config.database_path)


async def totals(core: Core) -> dict[str, int]:
    """Sums over everything, and the sizes on the disk."""
    sums = await core.db.read_slow(rows.totals)
    return sums | rows.file_sizes(core.config.database_path)


def quota_state(core: Core, sums: Mapping[str, Any]) -> str:
    """Why pictures are refused now: "disk" or "full"; "" if they are not."""
    config = core.config
    if sums["disk_free_bytes"] < config.min_free_bytes or core.db.writer.is_full:
        return "disk"
    limit = config.max_bytes_in_all
    return "full" if limit and sums["taken_bytes"] >= limit else ""


def limit_of(core: Core, one: UserUsageObject) -> int:
    """How many bytes of pictures this user may have; 0: no limit."""
    return quotas.limit_of(core.config, one.get("max_bytes"))
