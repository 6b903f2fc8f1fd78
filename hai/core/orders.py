"""Everything a client can ask for, as one table: name, fields, function.

Socket.IO, /ws, HTTP and openapi.json all use `ORDERS`, so an order means the same
everywhere. `run` checks the payload and starts the order; its writes are queued when
`run` returns, so a client's orders keep their sequence without waiting for each other's
acks.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hai import errors
from hai.core import fields
from hai.core.context import Core
from hai.core.fields import Field
from hai.core.identity.sessions import READ_ONLY, Identity
from hai.core.pictures import stored
from hai.core.talk import (
    changes,
    hais,
    reactions,
    reads,
    rooms,
    typing,
)
from hai.storage.database import asker

logger = logging.getLogger(__name__)

Ack = dict[str, Any]  # of any order; shapes.py defines each
Start = Callable[..., "asyncio.Future[Any]"]


@dataclass(frozen=True, slots=True)
class Order:
    """creates: over HTTP its success is 201; may_create: 201 if the ack is
    objects.Created. ack: the keys of its ack. is_costly: it reads much, and is refused
    to users who have used up their read budget. is_question: it changes nothing.
    """

    name: str
    start: Start
    fields: dict[str, Field]
    ack: str
    help: str
    creates: bool = False
    may_create: bool = False
    is_costly: bool = False
    is_question: bool = False


_HAI = {"hai_id": fields.ID}
_ROOM = {"room_id": fields.ID}
_MEMBER = {"room_id": fields.ID, "user_id": fields.ID}
_EMOJI = {"hai_id": fields.ID, "emoji": fields.EMOJI}

_TABLE = (
    Order(
        "send_hai",
        hais.send,
        {
            "room_id": fields.ID,
            "client_id": fields.CLIENT_ID,
            "text": fields.TEXT.optional(),
            "reply_to": fields.ID.optional(),
            "reply_to_picture": fields.ID.optional(),
            "picture_ids": fields.ids(fields.MAX_PICTURES).optional(),
        },
        "hai",
        "Send text, pictures or both to a room",
        creates=True,
    ),
    Order(
        "edit_hai",
        hais.edit,
        {"hai_id": fields.ID, "text": fields.TEXT},
        "hai",
        "Change the text of one's own hai",
    ),
    Order(
        "describe_picture",
        stored.describe_sent,
        {"picture_id": fields.ID, "alt": fields.ALT},
        "hai",
        "Say what a picture of one's own hai shows",
    ),
    Order("delete_hai", hais.delete, _HAI, "hai", "Leave a tombstone in its place"),
    Order("add_reaction", reactions.add, _EMOJI, "hai", "React with an emoji"),
    Order("remove_reaction", reactions.remove, _EMOJI, "hai", "Take it back"),
    Order(
        "mark_read",
        reads.mark,
        {"room_id": fields.ID, "hai_id": fields.ID},
        "",
        "Everything up to this hai has been seen",
    ),
    Order("start_typing", typing.start, _ROOM, "", "Tell the room for 5 s"),
    Order(
        "get_hais",
        hais.page,
        {
            "room_id": fields.ID,
            "before": fields.ID.optional(),
            "after": fields.REV.optional(),
            "around": fields.ID.optional(),
            "limit": fields.up_to(hais.PAGE_LIMIT).optional(),
            "with_pictures": fields.YES_OR_NO.optional(),
        },
        "hais has_more",
        "A page of a room, oldest first",
        is_costly=True,
        is_question=True,
    ),
    Order(
        "get_changes",
        changes.get,
        {
            "since_rev": fields.REV,
            "epoch": fields.EPOCH.optional(),
            "limit": fields.up_to(changes.LIMIT).optional(),
        },
        "users rooms hais removed_room_ids rev epoch has_more online_user_ids",
        "Everything that changed since a rev",
        is_costly=True,
        is_question=True,
    ),
    Order(
        "create_room",
        rooms.create,
        {
            "name": fields.ROOM_NAME,
            "kind": fields.ROOM_KIND,
            "member_ids": fields.ids().optional(),
        },
        "room",
        "Make an open or closed room",
        creates=True,
    ),
    Order(
        "change_room",
        rooms.change,
        {
            "room_id": fields.ID,
            "name": fields.ROOM_NAME.optional(),
            "topic": fields.TOPIC.optional(),
            "picture_days": fields.DAYS.optional(),
            "has_receipts": fields.ON_OR_OFF.optional(),
            "is_confirmed": fields.YES.optional(),
        },
        "room",
        "Give a room another name, topic, time to keep pictures, or receipts",
    ),
    Order(
        "open_direct",
        rooms.open_direct,
        {"user_ids": fields.ids(rooms.MAX_DIRECT_MEMBERS)},
        "room",
        "Find or make the direct room with these people",
        may_create=True,
    ),
    Order("join_room", rooms.join, _ROOM, "room", "Enter an open room"),
    Order("leave_room", rooms.leave, _ROOM, "", "Leave a room"),
    Order("add_member", rooms.add_member, _MEMBER, "room", "Invite somebody"),
    Order("remove_member", rooms.remove_member, _MEMBER, "room", "Remove somebody"),
)

ORDERS: dict[str, Order] = {order.name: order for order in _TABLE}


def run(core: Core, who: Identity, name: str, payload: Any) -> "asyncio.Future[Ack]":
    """Start an order; the future holds its ack object.

    Never raises: an invalid order fails the future, always with a HaiError.
    """
    try:
        order = ORDERS.get(name)
        if order is None:
            raise errors.UnknownOrder()
        started = _start(core, who, order, fields.take(order.fields, payload))
    except errors.HaiError as error:
        return _failed(error)
    except Exception:
        logger.exception("the order %s failed", name)
        return _failed(errors.Busy())
    return started


def _start(
    core: Core, who: Identity, order: Order, found: dict[str, Any]
) -> "asyncio.Future[Ack]":
    """Its reads are done on behalf of this user. Raises HaiError."""
    if not (who.may_change or order.is_question):
        raise errors.Forbidden(READ_ONLY)
    if order.is_costly:
        core.read_budget.admit(who.user_id)
    before = asker.set(who.user_id)
    try:
        return order.start(core, who, **found)
    finally:
        asker.reset(before)


def _failed(error: errors.HaiError) -> "asyncio.Future[Ack]":
    future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
