"""Read markers: one per membership, moving forward only.

Sending marks as read too (core/talk/hais.py); clients derive that from `hai_sent`.
Where a room has receipts, its members get each other's markers (core/talk/rooms.py).
"""

import asyncio

from hai import errors
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.talk import rooms
from hai.events import ReadMarked
from hai.shapes import EmptyAck
from hai.storage import hais as hai_rows
from hai.storage import rooms as room_rows
from hai.storage.writer import Transaction


def mark(
    core: Core, who: Identity, *, room_id: int, hai_id: int
) -> "asyncio.Future[EmptyAck]":
    """{}. Raises NotFound, Forbidden."""
    return core.db.write(_mark, who.user_id, room_id, hai_id)


def _mark(tx: Transaction, user_id: int, room_id: int, hai_id: int) -> EmptyAck:
    """(writer thread)"""
    rooms.require_member(user_id, room_id)
    found = hai_rows.find([hai_id])
    if not found or found[0][2] != room_id:
        raise errors.NotFound()
    if room_rows.mark_read(tx, room_id, user_id, hai_id):
        rev = room_rows.tell_read(tx, room_id, user_id, hai_id)
        tx.publish(ReadMarked(room_id, user_id, hai_id, rev))
    return {}
