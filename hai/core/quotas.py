"""How much room there is for pictures: of a user, in all, and on the disk.

Text is small and goes on when pictures do not: the disk keeps `min_free_bytes`
for it. A resumable upload says its length first, and has its room from then on; so
that nobody holds all of it, more than one at a time may have half of what is left.
Other uploads are checked when they begin and while they come; they do not know of
each other, so that a limit may be passed by what is on its way just then.
"""

import os
import sys

from hai.config import Config
from hai.core.context import Core
from hai.errors import StorageFull
from hai.storage import blobs, uploads, usage, users

USED_UP = "There is no room left for your pictures. Delete some first."
ENOUGH = "There is little room left. Let your other uploads end first."


async def room_for(core: Core, user_id: int) -> int:
    """How many bytes this user may add now. Raises StorageFull when none."""
    config = core.config
    check_disk(config)
    room = await core.db.read(_room_now, config, user_id)
    if room <= 0:
        raise StorageFull(USED_UP)
    return room


def limit_of(config: Config, own_bytes: int | None) -> int:
    """How many bytes a user may have. own_bytes: set for them alone, if not None.
    0: no limit."""
    return config.max_bytes_per_user if own_bytes is None else own_bytes


def require_room(config: Config, user_id: int, length: int) -> None:
    """Raises StorageFull when there is not so much room. (any thread)"""
    check_disk(config)
    if length > _room_now(config, user_id):
        raise StorageFull(USED_UP)
    _require_fair_share(config, user_id, length)


def _require_fair_share(config: Config, user_id: int, length: int) -> None:
    """Raises StorageFull when this user's uploads together would hold more than half
    of what is left for all. One alone may have all of it. (any thread)"""
    promised = uploads.missing_bytes(user_id)
    if not (config.max_bytes_in_all and promised):
        return
    left = config.max_bytes_in_all - usage.taken_bytes() + promised
    if promised + length > left // 2:
        raise StorageFull(ENOUGH)


def _room_now(config: Config, user_id: int) -> int:
    """(any thread)"""
    room = sys.maxsize
    if limit := limit_of(config, users.max_bytes(user_id)):
        used = blobs.stored_bytes(user_id) + uploads.promised_bytes(user_id)
        room = limit - used
    if config.max_bytes_in_all:
        room = min(room, config.max_bytes_in_all - usage.taken_bytes())
    return room


def check_disk(config: Config) -> None:
    """Raises StorageFull when the disk has less than it shall keep. Takes 2 us."""
    disk = os.statvfs(config.data)
    if disk.f_bavail * disk.f_frsize < config.min_free_bytes:
        raise StorageFull()


def size_words(byte_count: int) -> str:
    """ "812 kB", "34 MB", "1.2 GB", as disks are sold."""
    size, units = byte_count / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        del units[0]
    unit = units[0]
    return f"{size:.1f} {unit}" if 0 < size < 9.95 else f"{size:,.0f} {unit}"
