"""Rooms: the list, one room's page, and the forms that change them."""

import time
from typing import Any, cast

from hai import ids
from hai.core.identity import cookies
from hai.core.objects import Created
from hai.core.talk import first_state, rooms
from hai.errors import Forbidden, HaiError
from hai.shapes import RoomAck, RoomObject, RoomsResponse, RoomState
from hai.units import DAY_MS
from hai.web.http import headers, room_pages
from hai.web.http.base import COOKIE_DAYS, BaseHandler, FormHandler
from hai.web.http.early import HTML, EarlyAnswer, EarlyRequest
from hai.web.http.kept_pages import BORDER, CLIENT_ID, REV, KeptPage
from hai.web.http.responses import PAGE_VARIES, accepts_gzip
from hai.web.http.room_pages import KnownRoomPage
from hai.web.people import MAX_SHOWN, with_letters
from hai.web.views.rooms import (
    Confirmation,
    leave_confirmation,
    remove_confirmation,
    room_view,
)

MAX_CANDIDATES = 20  # people to add; others are found by name
MAX_OFFERED = 50  # of the rooms to join; the rest are found by name


class RoomsHandler(FormHandler):
    """GET and POST /rooms: those I am in, those I may join, and creating one.

    GET ?q=: of those to join, only the ones that contain this text.
    """

    is_costly = True

    async def show(self, **names: Any) -> None:
        names.setdefault("wanted_room", None)
        mine, open_rooms = await rooms.mine_and_open(self.core, self.user)
        if self.wants_json():
            found: RoomsResponse = {"rooms": mine, "open_rooms": open_rooms}
            self.write_json(found)
            return
        names |= found_rooms(open_rooms, self.query("q"))
        await self.page("rooms/index.html", "Rooms", **names)

    async def submit(self) -> None:
        ack = cast(RoomAck, await self.order("create_room", self.form.payload()))
        self.done(self.reverse_url("room", ack["room"]["id"]), ack, status=201)


def found_rooms(open_rooms: list[RoomObject], query: str) -> dict[str, object]:
    """Rooms with this text in name or topic, and how many there are."""
    letters = query.strip().casefold()
    found = [
        room
        for room in open_rooms
        if letters in f"{room['name']}\n{room.get('topic', '')}".casefold()
    ]
    shown = found[:MAX_OFFERED]
    return {"query": query, "open_rooms": shown, "open_count": len(found)}


class RoomHandler(RoomsHandler):
    """GET /rooms/ID: the room's page; POST: its name, topic and rules."""

    is_costly = False  # the most frequent page

    async def get(self, room_id: int) -> None:
        before, after, around = map(self.query_id, ("before", "after", "around"))
        try:
            page = await self._page(room_id, (before, after, around))
        except Forbidden:
            await self._offer_to_join(room_id)
            return
        self._remember(room_id)
        self.note_place()
        self.rename_session()
        self.write_kept(page.page, page.moment.rev)

    async def _page(self, room_id: int, edges: first_state.Edges) -> KnownRoomPage:
        """As it is now: kept, or drawn anew. Raises NotFound, Forbidden."""
        core, who = self.core, self.user
        about = (who, room_id, edges, self.notice)
        if known := room_pages.find(core, *about):
            return known
        state, moment = await first_state.for_room_page(core, who, room_id, edges)
        known = KnownRoomPage(KeptPage(self._drawn(state)), moment, state["users"])
        core.cache.put(room_pages.key_of(*about), known, known.page.byte_count)
        return known

    def _drawn(self, state: RoomState) -> bytes:
        """With marks where the holes are."""
        title = state["room"].get("name", "Direct")
        marks = {"client_id": CLIENT_ID, "border": BORDER}
        return self.drawn("rooms/show.html", title, state=state | {"rev": REV}, **marks)

    async def post(self, room_id: int) -> None:
        payload = self.form.payload() | {"room_id": room_id}
        try:
            ack = await self.order("change_room", payload)
        except HaiError as error:
            if not self.wants_page() or self.wants_json():
                raise
            await show_edit(self, room_id, **self.error_names(error))
            return
        self.done(self.reverse_url("edit_room", room_id), ack, done="saved")

    async def _offer_to_join(self, room_id: int) -> None:
        """An open room is not secret, but what is said in it is for members."""
        room = await rooms.show(self.core, self.user, room_id)
        if not self.wants_page():
            raise Forbidden("Join this room first.")
        self.set_status(403)
        await self.show(wanted_room=room)

    def _remember(self, room_id: int) -> None:
        self.forget_old_cookie(cookies.LAST_ROOM)
        self.add_header("Set-Cookie", room_cookie(room_id, self.has_secure_cookies))


def room_cookie(room_id: int, is_secure: bool) -> str:
    """The room that this browser showed last. (set_cookie takes 25 us.)"""
    expires = headers.http_date(int(time.time()) + COOKIE_DAYS * DAY_MS // 1000)
    secure = "; Secure" if is_secure else ""
    return (
        f"{cookies.full_name(cookies.LAST_ROOM, is_secure)}={room_id};"
        f" expires={expires}; HttpOnly; Path=/; SameSite=Lax{secure}"
    )


def early_page(request: EarlyRequest, room_id: int) -> EarlyAnswer | None:
    """What RoomHandler.get answers, if the page is kept. Raises NotFound, Forbidden."""
    app, who = request.app, request.find_identity()
    known = room_pages.find(app.core, who, room_id) if who else None
    if who is None or known is None or request.has_old_cookies:
        return None
    app.known_places.note(who.user_id, request.address)
    is_zipped = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    of_now = known.page.zipped if is_zipped else known.page.text
    body = of_now(ids.new_client_id(), known.moment.rev)
    policy = app.page_policy(request.headers["Host"])
    encoding = (("Content-Encoding", "gzip"),) if is_zipped else ()
    cookie = ("Set-Cookie", room_cookie(room_id, request.has_secure_cookies))
    more = (("Vary", PAGE_VARIES), *encoding, cookie)
    return EarlyAnswer(body, HTML, policy, more)


class EditHandler(BaseHandler):
    """GET /rooms/ID/edit: name, topic, members, and people to add."""

    is_costly = True

    async def get(self, room_id: int) -> None:
        await show_edit(self, room_id)


async def show_edit(handler: BaseHandler, room_id: int, **names: Any) -> None:
    """Raises NotFound, Forbidden."""
    core, who = handler.core, handler.user
    state = await first_state.for_room(core, who, room_id)
    can_change = await core.db.read(rooms.can_change, who, room_id)
    may_set = await core.db.read(rooms.can_change_receipts, who, room_id)
    names.setdefault("form", {"name": state["room"].get("name", "")})
    await handler.page(
        "rooms/edit.html",
        room_view(handler, state["room"], state).title,
        state=state,
        room=state["room"],
        can_change=can_change,
        can_change_receipts=may_set,
        back=handler.reverse_url("edit_room", room_id),
        **await _people_names(handler, room_id),
        **names,
    )


async def _people_names(handler: BaseHandler, room_id: int) -> dict[str, object]:
    """Members and people to add, as far as they fit on a page: `?member=` and
    `?person=` find the others by name."""
    members, people = await rooms.people_of(handler.core, room_id)
    member_query, person_query = handler.query("member"), handler.query("person")
    found = with_letters(members, member_query)
    return {
        "members": found[:MAX_SHOWN],
        "more_members": len(found) - MAX_SHOWN,
        "member_query": member_query,
        "people": with_letters(people, person_query)[:MAX_CANDIDATES],
        "people_count": len(people),
        "person_query": person_query,
    }


class JoinRoomHandler(BaseHandler):
    """POST /rooms/ID/join"""

    async def post(self, room_id: int) -> None:
        ack = await self.order("join_room", {"room_id": room_id})
        self.done(self.reverse_url("room", room_id), ack)


class ReadHandler(BaseHandler):
    """POST /rooms/ID/read: `hai_id` and all before it, for those without scripts."""

    async def post(self, room_id: int) -> None:
        ack = await self.order("mark_read", self.form.payload() | {"room_id": room_id})
        self.done(self.reverse_url("room", room_id), ack)


class LeaveHandler(BaseHandler):
    """GET /rooms/ID/leave asks for confirmation, POST leaves."""

    async def get(self, room_id: int) -> None:
        room = await rooms.show(self.core, self.user, room_id)
        await ask(self, room, leave_confirmation(room))

    async def post(self, room_id: int) -> None:
        ack = await self.order("leave_room", {"room_id": room_id})
        self.done(self.reverse_url("rooms"), ack, done="left")


class MembersHandler(BaseHandler):
    """POST /rooms/ID/members: adds `user_id`."""

    async def post(self, room_id: int) -> None:
        payload = self.form.payload() | {"room_id": room_id}
        ack = await self.order("add_member", payload)
        self.done(self.reverse_url("edit_room", room_id), ack, done="added")


class RemoveMemberHandler(BaseHandler):
    """GET /rooms/ID/members/USER/remove asks for confirmation, POST removes."""

    async def get(self, room_id: int, user_id: int) -> None:
        room, user = await rooms.removable(self.core, self.user, room_id, user_id)
        await ask(self, room, remove_confirmation(user, room["name"]))

    async def post(self, room_id: int, user_id: int) -> None:
        payload = {"room_id": room_id, "user_id": user_id}
        ack = await self.order("remove_member", payload)
        self.done(self.reverse_url("edit_room", room_id), ack, done="removed")


async def ask(
    handler: BaseHandler, room: RoomObject, confirmation: Confirmation
) -> None:
    """The page whose only form is posted to its own address."""
    names = {"room": room, "confirmation": confirmation, "action": handler.request.path}
    await handler.page("rooms/ask.html", confirmation.title, **names)


class DirectHandler(BaseHandler):
    """POST /direct: `user_ids`, or `user_id` for one person's button."""

    async def post(self) -> None:
        payload = self.form.payload()
        payload.pop("q", None)  # the search field beside the checkboxes
        if "user_id" in payload:
            payload.setdefault("user_ids", [payload["user_id"]])
        ack = cast(RoomAck, await self.order("open_direct", payload))
        status = 201 if isinstance(ack, Created) else 200
        self.done(self.reverse_url("room", ack["room"]["id"]), ack, status=status)
