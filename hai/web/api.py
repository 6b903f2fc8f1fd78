"""The API for programs: the orders' names and acks, with a bearer token.

routes.py says which path is which order; core/orders.py says what an order takes and
returns. This file only connects the two, and openapi.json is made from the same tables.
"""

from typing import Any

from hai.core.objects import Created
from hai.core.orders import ORDERS
from hai.core.people import accounts
from hai.core.talk import first_state, hai_cache, hais, rooms
from hai.shapes import RoomsResponse, UserResponse, UsersResponse
from hai.web import openapi
from hai.web.hais import SendHandler
from hai.web.http.base import BaseHandler
from hai.web.http.early import JSON, EarlyAnswer, EarlyRequest
from hai.web.http.forms import Fields
from hai.web.pictures import FormUploadHandler


class ApiHandler(BaseHandler):
    """Always responds with JSON."""

    always_json = True

    async def answer(self, name: str, payload: Fields) -> None:
        ack = await self.order(name, payload)
        has_created = ORDERS[name].creates or isinstance(ack, Created)
        self.write_json(ack, 201 if has_created else 200)

    def query_payload(self, *names: str) -> dict[str, int]:
        """Numbers from the query, as far as given."""
        found = {name: self.query_id(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}


class OrderHandler(ApiHandler):
    """POST: one order; the ids in the path are the fields named in `path_fields`."""

    def initialize(self, order: str, path_fields: tuple[str, ...]) -> None:
        super().initialize()
        self.order_name = order
        self.path_fields = path_fields

    async def post(self, *ids: int) -> None:
        in_path = dict(zip(self.path_fields, ids, strict=True))
        await self.answer(self.order_name, self.form.payload() | in_path)


class ApiRoomsHandler(OrderHandler):
    """GET: the rooms I am in, and those I may join."""

    is_costly = True

    async def get(self) -> None:
        mine, open_rooms = await rooms.mine_and_open(self.core, self.user)
        found: RoomsResponse = {"rooms": mine, "open_rooms": open_rooms}
        self.write_json(found)


class ApiHaisHandler(SendHandler):
    """GET: a page of a room; POST: send a hai, with pictures if multipart."""

    always_json = True

    async def get(self, room_id: int) -> None:
        names = ("before", "after", "around", "limit")
        found = {name: self.query_id(name) for name in names}
        payload: Fields = {n: v for n, v in found.items() if v is not None}
        if words := self.query("with_pictures"):
            # Anything else goes on as it is, for core to refuse.
            payload["with_pictures"] = {"true": True, "false": False}.get(words, words)
        self.write_json(await self.order("get_hais", payload | {"room_id": room_id}))

    async def post(self, room_id: int) -> None:
        self.write_json(await self.send(room_id), 201)


def early_hais(
    request: EarlyRequest, room_id: int, limit: int | None
) -> EarlyAnswer | None:
    """What ApiHaisHandler.get answers, if the page is kept. Raises HaiError."""
    app, who = request.app, request.find_identity()
    if who is None:
        return None
    wanted = hais.Window(room_id, limit or hais.DEFAULT_LIMIT)
    app.core.read_budget.admit(who.user_id)
    known = hais.known_page(app.core, who, wanted)
    if known is None or not app.orders.take(who.user_id):
        return None
    return EarlyAnswer(hai_cache.encode(known).encode(), JSON)


class ApiUploadHandler(FormUploadHandler):
    """POST: pictures to be used in a later send."""

    always_json = True


class ChangesHandler(ApiHandler):
    """GET: what changed since a rev."""

    async def get(self) -> None:
        payload: Fields = self.query_payload("since_rev", "limit")
        if self.query("epoch"):
            payload["epoch"] = self.query("epoch")
        await self.answer("get_changes", payload)


class MeHandler(ApiHandler):
    """GET: the user whose token this is."""

    async def get(self) -> None:
        user = await first_state.user_named(self.core, self.user.user_id)
        found: UserResponse = {"user": user}
        self.write_json(found)


class ApiPeopleHandler(ApiHandler):
    """GET: all users."""

    is_costly = True

    async def get(self) -> None:
        found: UsersResponse = {"users": await accounts.list_users(self.core)}
        self.write_json(found)


class DescriptionHandler(BaseHandler):
    """GET openapi.json: public; it contains no user data."""

    is_public = True
    always_json = True
    max_body_bytes = 0

    def initialize(self, table: tuple[Any, ...]) -> None:
        super().initialize()
        self.table = table

    async def get(self) -> None:
        self.write_json(openapi.describe(self.table))
