"""Hais: send, edit, delete, and pages of them.

Sending is the hot path. All sends of one batch are checked, decided and stored together
(`_send_all`), in a handful of statements however many there are.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple

from hai import errors, ids
from hai.cache import Cache
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.objects import hai_objects, new_hai
from hai.core.talk import formatting, hai_cache, rooms
from hai.events import HaiChanged, HaiSent
from hai.shapes import HaiAck, HaiObject, HaisAck
from hai.storage import hais as rows
from hai.storage import pictures as picture_rows
from hai.storage import rooms as room_rows
from hai.storage.writer import Transaction

PAGE_BYTES = 128 * 1024  # so that catching up fits a socket's budget
PAGE_LIMIT = 100
DEFAULT_LIMIT = 40
PAGE_OBJECT_BYTES = 500  # of memory, for one that is kept, besides its JSON

HaiAckFuture = asyncio.Future[HaiAck]


@dataclass(frozen=True, slots=True)
class Send:
    """One checked `send_hai`, on its way to the writer."""

    user_id: int
    room_id: int
    client_id: str | None
    text: str
    html: str | None
    reply_to: int | None
    reply_to_picture: int | None
    picture_ids: tuple[int, ...]
    order_hash: int


def send(
    core: Core,
    who: Identity,
    *,
    room_id: int,
    text: str = "",
    client_id: str | None = None,
    reply_to: int | None = None,
    reply_to_picture: int | None = None,
    picture_ids: list[int] | None = None,
) -> HaiAckFuture:
    """Store one hai, then publish it to its room.

    reply_to_picture: one of the pictures of `reply_to`.
    Sent again under the same client_id, it stores nothing and acks the hai in its
    current state. Returns {hai}, after the commit that contains it.
    Raises NotFound, Forbidden, BadRequest, TextTooLong, ClientIdReused.
    Cost: a share of one group commit, whatever the size of the room.
    """
    pictures = tuple(picture_ids or ())
    text = check_text(core, text, may_be_empty=bool(pictures))
    if reply_to_picture and not reply_to:
        what = "reply_to_picture wants the hai of the picture as reply_to."
        raise errors.BadRequest(what, field="reply_to_picture")
    # Left out if there is none, so that hashes stored by older versions still match.
    answered = (reply_to_picture,) if reply_to_picture else ()
    order = Send(
        user_id=who.user_id,
        room_id=room_id,
        client_id=client_id,
        text=text,
        html=formatting.to_html(text),
        reply_to=reply_to,
        reply_to_picture=reply_to_picture,
        picture_ids=pictures,
        order_hash=ids.order_hash(room_id, text, reply_to, pictures, *answered),
    )
    return core.db.write_bulk(_send_all, order)


def check_text(core: Core, text: str, *, may_be_empty: bool) -> str:
    """Raises TextTooLong or BadRequest."""
    limit = core.config.max_text_chars
    if len(text) > limit:
        raise errors.TextTooLong(f"A hai has at most {limit:,} characters.")
    if not text.strip():
        if not may_be_empty:
            raise errors.BadRequest("There is nothing in this hai.", field="text")
        return ""
    return text


def _send_all(tx: Transaction, sends: list[Send]) -> list[HaiAck | Exception]:
    """Decide on a batch and store what is new. (writer thread)"""
    found = rows.check_sends(tx, [_looked_up(send) for send in sends])
    results: list[Any] = [None] * len(sends)
    new: dict[int, Send] = {}  # index in sends -> what to store
    again: dict[int, int] = {}  # index -> id of the hai that is stored already
    twins: dict[int, int] = {}  # index -> index of the same order in this batch
    by_client: dict[tuple[int, str], int] = {}
    taken: set[int] = set()  # pictures that an earlier send of this batch has
    for index, (order, row) in enumerate(zip(sends, found, strict=True)):
        key = (order.user_id, order.client_id or "")
        first = by_client.get(key) if order.client_id else None
        if not row.is_member:
            results[index] = _no_member(row.room_kind)
        elif first is not None:
            results[index] = _unless_same(order, sends[first].order_hash)
            twins[index] = first
        elif row.hai_id is not None:
            results[index] = _unless_same(order, row.order_hash)
            again[index] = row.hai_id
        elif error := _refusal(order, row, taken):
            results[index] = error
        else:
            new[index] = order
            taken.update(order.picture_ids)
            if order.client_id:
                by_client[key] = index
    _ack_again(again, results)
    _store(tx, new, results)
    for index, first in twins.items():
        results[index] = results[index] or results[first]
    return results


def _looked_up(send: Send) -> tuple[Any, ...]:
    about = (send.user_id, send.room_id, send.client_id)
    return (*about, send.reply_to, send.reply_to_picture)


def _no_member(kind: str | None) -> Exception:
    """Also for a retry: a user who has left gets nothing more of the room."""
    return errors.Forbidden() if kind == "open" else errors.NotFound()


def _unless_same(order: Send, stored_hash: int) -> Exception | None:
    return None if order.order_hash == stored_hash else errors.ClientIdReused()


def _refusal(order: Send, row: rows.SendChecks, taken: set[int]) -> Exception | None:
    """Why a member's send may not be stored, if so."""
    if order.reply_to is not None and not row.has_reply_to:
        return errors.NotFound("The hai that this replies to is not here.")
    if order.reply_to_picture is not None and not row.has_reply_to_picture:
        return errors.NotFound("The picture that this replies to is not here.")
    if order.picture_ids:
        wanted = list(order.picture_ids)
        takeable = picture_rows.takeable(order.user_id, order.room_id, wanted)
        if len(takeable - taken) < len(wanted):
            return errors.NotFound("A picture of this hai is not here.")
    return None


def _ack_again(again: dict[int, int], results: list[Any]) -> None:
    """Ack what was stored before, in its current state."""
    wanted = {hai_id for i, hai_id in again.items() if results[i] is None}
    if not wanted:
        return
    stored = {hai["id"]: hai for hai in hai_objects(rows.find(wanted))}
    for index, hai_id in again.items():
        results[index] = results[index] or {"hai": stored[hai_id]}


def _store(tx: Transaction, new: dict[int, Send], results: list[Any]) -> None:
    """Insert, mark as read for the senders, publish, in the order sent."""
    if not new:
        return
    hai_ids = tx.next_revs(len(new))
    rows.insert_all(
        tx,
        [
            (
                hai_id,
                order.room_id,
                order.user_id,
                order.client_id,
                order.order_hash,
                order.text,
                order.html,
                order.reply_to,
                order.reply_to_picture,
            )
            for hai_id, order in zip(hai_ids, new.values(), strict=True)
        ],
    )
    markers: dict[tuple[int, int], int] = {}
    for hai_id, (index, order) in zip(hai_ids, new.items(), strict=True):
        markers[order.room_id, order.user_id] = hai_id
        results[index] = {"hai": _stored(tx, hai_id, order)}
    room_rows.mark_all_read(tx, [(*key, hai_id) for key, hai_id in markers.items()])
    for index in new:
        tx.publish(HaiSent(results[index]["hai"]))


def _stored(tx: Transaction, hai_id: int, order: Send) -> HaiObject:
    """The object of a hai stored in this batch."""
    row = (  # a HaiRow as a plain tuple: a NamedTuple costs 1 us a send
        hai_id,
        hai_id,
        order.room_id,
        order.user_id,
        order.client_id,
        order.text,
        order.html,
        tx.now_ms,
        None,
        None,
        order.reply_to,
        order.reply_to_picture,
    )
    if not order.picture_ids:
        return new_hai(row, [])
    picture_rows.attach(tx, hai_id, order.picture_ids)
    return hai_objects([row])[0]


def edit(core: Core, who: Identity, *, hai_id: int, text: str) -> HaiAckFuture:
    """Change the text of one's own hai. Returns {hai}.

    Raises NotFound, Forbidden, BadRequest, TextTooLong.
    """
    text = check_text(core, text, may_be_empty=True)
    return core.db.write(_edit, who, hai_id, text, formatting.to_html(text))


def _edit(
    tx: Transaction, who: Identity, hai_id: int, text: str, html: str | None
) -> HaiAck:
    """(writer thread)"""
    hai = get(who, hai_id)
    if hai["user_id"] != who.user_id:
        raise errors.Forbidden("Only its author can edit a hai.")
    if "deleted_at" in hai:
        raise errors.NotFound()
    if not text and not hai["pictures"]:
        raise errors.BadRequest("There is nothing in this hai.", field="text")
    if text == hai["text"]:
        return {"hai": hai}
    rows.change(tx, hai_id, text=text, html=html, edited_at=tx.now_ms)
    return changed(tx, hai_id)


def delete(core: Core, who: Identity, *, hai_id: int) -> HaiAckFuture:
    """Leave a tombstone; text, pictures and reactions are deleted. Returns {hai}.

    One's own, or any in a room that one may change. Raises NotFound, Forbidden.
    """
    return core.db.write(_delete, who, hai_id)


def _delete(tx: Transaction, who: Identity, hai_id: int) -> HaiAck:
    """(writer thread)"""
    hai = get(who, hai_id)
    is_own = hai["user_id"] == who.user_id
    if not is_own and not rooms.can_change(who, hai["room_id"]):
        raise errors.Forbidden("Only its author can delete a hai.")
    if "deleted_at" in hai:
        return {"hai": hai}
    rows.forget_content(tx, hai_id)
    rows.change(tx, hai_id, text="", html=None, deleted_at=tx.now_ms)
    acked = changed(tx, hai_id)
    # The room's unread count may have dropped: clients that catch up need its row.
    room_rows.touch(tx, hai["room_id"])
    return acked


def get(who: Identity, hai_id: int) -> HaiObject:
    """A hai this user may see. Raises NotFound, Forbidden. (any thread)"""
    found = hai_objects(rows.find([hai_id]))
    if not found:
        raise errors.NotFound()
    rooms.require_member(who.user_id, found[0]["room_id"])
    return found[0]


def changed(tx: Transaction, hai_id: int) -> HaiAck:
    """Publish the current state of the hai to its room. (writer thread)"""
    hai = hai_objects(rows.find([hai_id]))[0]
    tx.publish(HaiChanged(hai))
    return {"hai": hai}


def page(
    core: Core,
    who: Identity,
    *,
    room_id: int,
    limit: int = DEFAULT_LIMIT,
    before: int | None = None,
    after: int | None = None,
    around: int | None = None,
    with_pictures: bool = False,
) -> "asyncio.Future[HaisAck]":
    """{hais, has_more}, oldest first, without tombstones.

    before, after, around are hai ids, at most one of them; none: the newest.
    with_pictures: only hais that have some.
    has_more: there are more in the requested direction (around: in either).
    Raises BadRequest, NotFound, Forbidden.
    """
    if sum(edge is not None for edge in (before, after, around)) > 1:
        raise errors.BadRequest("Give one of before, after and around.")
    wanted = Window(room_id, limit, before, after, around, with_pictures)
    known = known_page(core, who, wanted)
    if known is None:
        read = core.db.read(_page, core.cache, who.user_id, wanted)
        return asyncio.ensure_future(read)
    answered: asyncio.Future[HaisAck] = asyncio.get_running_loop().create_future()
    answered.set_result(known)
    return answered


class Window(NamedTuple):
    """Which hais of a room; the same for all its members."""

    room_id: int
    limit: int
    before: int | None = None
    after: int | None = None
    around: int | None = None
    with_pictures: bool = False


class KnownPage(NamedTuple):
    """talk: RoomMoment.talk when it was read."""

    talk: tuple[Any, ...]
    ack: Any  # HaisAck as hai_cache.KnownObject, so that its JSON is kept, too


def known_page(core: Core, who: Identity, wanted: Window) -> HaisAck | None:
    """A page that was read before, if it is what a reader thread would read now.

    Who asks, and whether the page still holds, is asked of the database in the same
    statement. Raises NotFound, Forbidden. Loop thread, 15 us (benchmark `pages`)."""
    now = core.db.read_now(rows.moment, who.user_id, wanted.room_id)
    rooms.require_access(now.kind, now.is_member)
    known: KnownPage | None = core.cache.find(wanted)
    return known.ack if known and known.talk == now.talk else None


def _page(cache: Cache, user_id: int, wanted: Window) -> HaisAck:
    """(reader thread)"""
    now = rows.moment(user_id, wanted.room_id)
    rooms.require_access(now.kind, now.is_member)
    hais, has_older, has_newer = window(cache, wanted)
    has_more = has_newer if wanted.after is not None else has_older
    has_more = has_more or (bool(wanted.around) and has_newer)
    ack: Any = hai_cache.KnownObject(hais=hais, has_more=has_more)
    kept_bytes = PAGE_OBJECT_BYTES + sum(map(hai_cache.size, hais))
    cache.put(wanted, KnownPage(now.talk, ack), kept_bytes)
    found: HaisAck = ack
    return found


def window(cache: Cache, wanted: Window) -> tuple[list[HaiObject], bool, bool]:
    """(hais oldest first, whether there are older, whether newer). (any thread)"""
    room_id, limit, before, after, around, with_pictures = wanted
    only = {"with_pictures": with_pictures}
    if after is not None:
        found = rows.following(room_id, limit + 1, after=after, **only)
        hais = _fitting(hai_cache.objects(cache, found[:limit]))
        return hais, after > 0, len(found) > len(hais)
    if around is not None:
        return _window_around(cache, room_id, limit, around, only)
    found = rows.newest(room_id, limit + 1, before=before, **only)
    hais = _fitting(hai_cache.objects(cache, found[:limit]))
    return hais[::-1], len(found) > len(hais), before is not None


def _window_around(
    cache: Cache, room_id: int, limit: int, around: int, only: dict[str, bool]
) -> tuple[list[HaiObject], bool, bool]:
    """Half of the page before the hai, half from the hai on."""
    half = limit // 2
    older = rows.newest(room_id, half + 1, before=around, **only)
    newer = rows.following(room_id, limit - half + 1, after=around - 1, **only)
    above = _fitting(hai_cache.objects(cache, older[:half]), PAGE_BYTES // 2)
    below = _fitting(hai_cache.objects(cache, newer[: limit - half]), PAGE_BYTES // 2)
    has_older, has_newer = len(older) > len(above), len(newer) > len(below)
    return above[::-1] + below, has_older, has_newer


def _fitting(hais: list[HaiObject], budget: int = PAGE_BYTES) -> list[HaiObject]:
    """As many of the first as fit into the budget, at least one."""
    for count, hai in enumerate(hais):
        budget -= hai_cache.size(hai)
        if budget < 0 and count:
            return hais[:count]
    return hais
