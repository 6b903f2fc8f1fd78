"""Takes away the pictures that are not kept: by a room's rule, or by an admin.

In slices, so that nobody else's hai waits, and each slice looks again at what
holds now: a rule that was lifted meanwhile takes nothing more. Each hai is told
as it is then, so every open page follows; the bytes are left to the sweeper.
What was not finished when Hai stopped goes on when it starts.
"""

import asyncio

from hai import clock
from hai.core.context import Core
from hai.core.talk import hais
from hai.storage import hais as hai_rows
from hai.storage import retention as rows
from hai.storage.writer import Transaction
from hai.units import DAY_MS

SLICE_HAIS = 20  # in one write, about 5 ms
SLICE_BYTES = 1024 * 1024  # of the slow lane's budget: a slice has a batch for itself
PAUSE_S = 0.02  # between slices: everybody in the room hears each of these hais


async def run(core: Core) -> int:
    """All that is due now; returns how many hais it was."""
    taken = 0
    for room_id, days in await core.db.read(rows.rooms_with_limit):
        taken += await _take(core, "room", room_id, clock.now_ms() - days * DAY_MS)
    for removal_id, owner, id_, before_at in await core.db.read(rows.removals):
        taken += await _take(core, owner, id_, before_at, removal_id)
        await core.db.write(rows.end_removal, removal_id)
    return taken


async def _take(
    core: Core, owner: str, id_: int, before_at: int, removal_id: int = 0
) -> int:
    """removal_id 0: by the room's own rule."""
    taken, left = 0, None
    while ids := await core.db.read(rows.find_older, owner, id_, before_at, SLICE_HAIS):
        if ids == left:
            break  # they are to stay: the rule was lifted
        room_id = 0 if removal_id else id_
        count = await core.db.write_chunk(
            _take_slice, ids, before_at, room_id, chunk_bytes=SLICE_BYTES, fills=False
        )
        left = None if count else ids
        taken += count
        await asyncio.sleep(PAUSE_S)
    return taken


def _take_slice(
    tx: Transaction, hai_ids: list[int], before_at: int, room_id: int
) -> int:
    """Of these hais, how many it took pictures from. (writer thread)"""
    if room_id:
        days = rows.picture_days(room_id)
        before_at = tx.now_ms - days * DAY_MS if days else 0
    found = rows.with_pictures(hai_ids, before_at)
    rows.take_pictures(tx, found)
    for hai_id in found:
        hai_rows.change(tx, hai_id)
        hais.changed(tx, hai_id)
    return len(found)
