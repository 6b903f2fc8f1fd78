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
from functools import cached_property
from typing import Annotated, Any, NotRequired, TypedDict

from hai import errors, shapes
from hai.core import fields
from hai.core.context import Core
from hai.core.fields import Checked, Field
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

Ack = shapes.OrderAck
Start = Callable[..., "asyncio.Future[Any]"]


@dataclass(frozen=True)
class Order:
    """payload, ack: TypedDicts; `start` takes the payload's keys as its arguments.
    creates: over HTTP its success is 201; may_create: 201 if the ack is
    objects.Created. is_costly: it reads much, and is refused to users who have used up
    their read budget. is_question: it changes nothing.
    """

    name: str
    start: Start
    payload: type
    ack: type
    help: str
    creates: bool = False
    may_create: bool = False
    is_costly: bool = False
    is_question: bool = False

    @cached_property
    def fields(self) -> dict[str, Field]:
        return fields.of(self.payload)


# --- Payloads: what an order takes ---------------------------------------------------

Id = Annotated[int, fields.ID]


class OneHai(TypedDict):
    hai_id: Id


class OneRoom(TypedDict):
    room_id: Id


class OneMember(TypedDict):
    room_id: Id
    user_id: Id


class OneReaction(TypedDict):
    hai_id: Id
    emoji: Annotated[str, fields.EMOJI]


class SendHai(TypedDict):
    room_id: Id
    client_id: Annotated[str, fields.CLIENT_ID]
    text: NotRequired[Annotated[str, fields.TEXT]]
    reply_to: NotRequired[Id]
    reply_to_picture: NotRequired[Id]
    picture_ids: NotRequired[Annotated[list[int], fields.ids(fields.MAX_PICTURES)]]


class EditHai(TypedDict):
    hai_id: Id
    text: Annotated[str, fields.TEXT]


class DescribePicture(TypedDict):
    picture_id: Id
    alt: Annotated[str, fields.ALT]


class MarkRead(TypedDict):
    room_id: Id
    hai_id: Id


class GetHais(TypedDict):
    room_id: Id
    before: NotRequired[Id]
    after: NotRequired[Annotated[int, fields.REV]]
    around: NotRequired[Id]
    limit: NotRequired[Annotated[int, fields.up_to(hais.PAGE_LIMIT)]]
    with_pictures: NotRequired[Annotated[bool, fields.YES_OR_NO]]


class GetChanges(TypedDict):
    since_rev: Annotated[int, fields.REV]
    epoch: NotRequired[Annotated[str, fields.EPOCH]]
    limit: NotRequired[Annotated[int, fields.up_to(changes.LIMIT)]]


class CreateRoom(TypedDict):
    name: Annotated[str, fields.ROOM_NAME]
    kind: Annotated[str, fields.ROOM_KIND]
    member_ids: NotRequired[Annotated[list[int], fields.ids()]]


class ChangeRoom(TypedDict):
    room_id: Id
    name: NotRequired[Annotated[str, fields.ROOM_NAME]]
    topic: NotRequired[Annotated[str, fields.TOPIC]]
    picture_days: NotRequired[Annotated[int, fields.DAYS]]
    has_receipts: NotRequired[Annotated[bool, fields.ON_OR_OFF]]
    is_confirmed: NotRequired[Annotated[bool, fields.YES]]


class OpenDirect(TypedDict):
    user_ids: Annotated[list[int], fields.ids(rooms.MAX_DIRECT_MEMBERS)]


# --- The table -----------------------------------------------------------------------

_TABLE = (
    Order(
        "send_hai",
        hais.send,
        SendHai,
        shapes.HaiAck,
        "Send text, pictures or both to a room",
        creates=True,
    ),
    Order(
        "edit_hai",
        hais.edit,
        EditHai,
        shapes.HaiAck,
        "Change the text of one's own hai",
    ),
    Order(
        "describe_picture",
        stored.describe_sent,
        DescribePicture,
        shapes.HaiAck,
        "Say what a picture of one's own hai shows",
    ),
    Order(
        "delete_hai",
        hais.delete,
        OneHai,
        shapes.HaiAck,
        "Leave a tombstone in its place",
    ),
    Order(
        "add_reaction", reactions.add, OneReaction, shapes.HaiAck, "React with an emoji"
    ),
    Order(
        "remove_reaction", reactions.remove, OneReaction, shapes.HaiAck, "Take it back"
    ),
    Order(
        "mark_read",
        reads.mark,
        MarkRead,
        shapes.EmptyAck,
        "Everything up to this hai has been seen",
    ),
    Order(
        "start_typing", typing.start, OneRoom, shapes.EmptyAck, "Tell the room for 5 s"
    ),
    Order(
        "get_hais",
        hais.page,
        GetHais,
        shapes.HaisAck,
        "A page of a room, oldest first",
        is_costly=True,
        is_question=True,
    ),
    Order(
        "get_changes",
        changes.get,
        GetChanges,
        shapes.ChangesAck,
        "Everything that changed since a rev",
        is_costly=True,
        is_question=True,
    ),
    Order(
        "create_room",
        rooms.create,
        CreateRoom,
        shapes.RoomAck,
        "Make an open or closed room",
        creates=True,
    ),
    Order(
        "change_room",
        rooms.change,
        ChangeRoom,
        shapes.RoomAck,
        "Give a room another name, topic, time to keep pictures, or receipts",
    ),
    Order(
        "open_direct",
        rooms.open_direct,
        OpenDirect,
        shapes.RoomAck,
        "Find or make the direct room with these people",
        may_create=True,
    ),
    Order("join_room", rooms.join, OneRoom, shapes.RoomAck, "Enter an open room"),
    Order("leave_room", rooms.leave, OneRoom, shapes.EmptyAck, "Leave a room"),
    Order("add_member", rooms.add_member, OneMember, shapes.RoomAck, "Invite somebody"),
    Order(
        "remove_member",
        rooms.remove_member,
        OneMember,
        shapes.RoomAck,
        "Remove somebody",
    ),
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
    core: Core, who: Identity, order: Order, found: Checked
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
