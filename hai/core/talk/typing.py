"""Typing: sent to the room, never stored, ended by a hai or after 5 s."""

import asyncio

from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.talk import rooms
from hai.events import TypingStarted
from hai.shapes import EmptyAck


def start(core: Core, who: Identity, *, room_id: int) -> "asyncio.Future[EmptyAck]":
    """{}. Raises NotFound, Forbidden. Cost: one read of 10 us on the loop."""
    core.db.read_now(rooms.require_member, who.user_id, room_id)
    core.bus.publish(TypingStarted(room_id, who.user_id))
    done: asyncio.Future[EmptyAck] = asyncio.get_running_loop().create_future()
    done.set_result({})
    return done
