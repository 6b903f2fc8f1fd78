"""How much room there is for pictures: for a user, in total, and on the disk.

Text is small and continues when pictures do not: `min_free_bytes` of the disk are
reserved for it. A resumable upload announces its length and reserves that room; so that
nobody reserves all of it, a user's uploads together may take half of what is left if
there is more than one. Other uploads are checked at the start and while they arrive;
they do not know of each other, so a limit may be exceeded by the uploads in progress at
that moment.
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
    """How many bytes this user may add now. Raises StorageFull if none."""
    config = core.config
    check_disk(config)
    room = await core.db.read(_room_now, config, user_id)
    if room <= 0:
        raise StorageFull(USED_UP)
    return room


def limit_of(config: Config, own_bytes: int | None) -> int:
    """How many bytes a user may have. own_bytes: this user's own limit, if not None. 0:
    no limit."""
    return config.max_bytes_per_user if own_bytes is None else own_bytes


def require_room(config: Config, user_id: int, length: int) -> None:
    """Raises StorageFull if there is less room than that. (any thread)"""
    check_disk(config)
    if length > _room_now(config, user_id):
        raise StorageFull(USED_UP)
    _require_fair_share(config, user_id, length)


def _require_fair_share(config: Config, user_id: int, length: int) -> None:
    """Raises StorageFull if this user's uploads together would reserve more than half
    of what is left for all. A single upload may take all of it. (any thread)"""
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
    """Raises StorageFull if less than the reserved space is free. Takes 2 us."""
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
