"""Who may do what: every route, every order and every fact has a row here.

The people: a stranger; someone with a token that is not good; linus, who is signed in
but outside of the lab; grace, a member of the lab (by cookie and by bearer); ada, the
owner, who made it. The room of every row is the closed `lab`. For each row a room, hai
or picture that linus may not know of must look exactly like one that is not there.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from hai import events
from hai.core.identity import invites, sessions
from hai.core.orders import ORDERS
from hai.web.http.base import BaseHandler, FormHandler
from hai.web.routes import API_ROUTES, ROUTES
from tests.factories import give_avatar, make_hai, make_room
from tests.pictures import file, picture

NOWHERE = 999_999


@pytest.fixture
def config_flags():
    return {"allowed_hosts": "hai.example"}  # that of the requests, for links


@dataclass
class Row:
    """Statuses: for a stranger, outside of the room, a member, its maker; program: for
    one with a bearer token, where it gets another than its person."""

    method: str
    path: str
    stranger: int
    outsider: int
    member: int
    maker: int
    payload: dict[str, Any] = field(default_factory=dict)
    files: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    program: int = 0


TUS = {"Tus-Resumable": "1.0.0"}
LENGTH = TUS | {"Upload-Length": "9"}
OFFSET = TUS | {"Upload-Offset": "0"}
BYTES = OFFSET | {"Content-Type": "application/offset+octet-stream"}

# Leaving and deleting come last for a person; each person has a hai of their own.
ROUTE_ROWS = [
    Row("GET", "/", 302, 302, 302, 302),
    Row("GET", "/.well-known/security.txt", 404, 404, 404, 404),
    Row("GET", "/healthz", 200, 200, 200, 200),
    Row("GET", "/metrics", 404, 404, 404, 200),
    Row("GET", "/setup", 404, 404, 404, 404),
    Row("POST", "/setup", 404, 404, 404, 404),
    Row("GET", "/sign_in", 200, 302, 302, 302),
    Row("POST", "/sign_in", 401, 401, 401, 401, {"name": "x", "password": "y"}),
    Row("GET", "/sign_in/code", 302, 302, 302, 302),
    Row("POST", "/sign_in/code", 401, 401, 401, 401, {"code": "123456"}),
    Row("GET", "/sign_in/passkey", 302, 302, 302, 302),
    Row("POST", "/sign_in/passkey", 400, 400, 400, 400),
    Row("POST", "/sign_in/passkey/options", 200, 200, 200, 200),
    Row("GET", "/sign_in/oidc", 404, 404, 404, 404),
    Row("GET", "/sign_in/oidc/callback", 404, 404, 404, 404),
    Row("POST", "/sign_out", 200, 200, 200, 200),
    Row("GET", "/join", 404, 404, 404, 404),
    Row("POST", "/join", 404, 404, 404, 404),
    Row("GET", "/join/{code}", 200, 302, 302, 302),
    Row("POST", "/join/{code}", 400, 400, 400, 400),
    Row("GET", "/settings", 401, 200, 200, 200),
    Row("POST", "/settings", 401, 200, 200, 200, {"display_name": "Me"}),
    Row("POST", "/settings/password", 401, 403, 403, 403, {"password": "long enough"}),
    Row("GET", "/settings/password", 401, 200, 200, 200),
    Row("GET", "/settings/avatar", 401, 200, 200, 200),
    Row("POST", "/settings/avatar", 401, 201, 201, 201, files=True),
    Row("POST", "/settings/avatar/remove", 401, 200, 200, 200),
    Row("GET", "/settings/history", 401, 200, 200, 200),
    Row("GET", "/settings/tokens", 401, 200, 200, 200),
    Row("POST", "/settings/tokens", 401, 400, 400, 400, {"name": "x"}),
    Row("POST", "/settings/tokens/{session}/end", 401, 404, 404, 404),
    Row("GET", "/api/v1/me/tokens", 401, 200, 200, 200),
    Row("DELETE", "/api/v1/me/tokens/{session}", 401, 404, 404, 404),
    Row("POST", "/settings/sessions/end", 401, 200, 200, 200),
    Row("POST", "/settings/sessions/{session}/end", 401, 404, 404, 404),
    Row("GET", "/settings/second_factor", 401, 200, 200, 200),
    Row("GET", "/settings/second_factor/begin", 401, 302, 302, 302),
    Row("POST", "/settings/second_factor/begin", 401, 201, 201, 201, program=403),
    Row("GET", "/settings/second_factor/confirm", 401, 302, 302, 302),
    Row("POST", "/settings/second_factor/confirm", 401, 400, 400, 400),
    Row("GET", "/settings/second_factor/codes", 401, 302, 302, 302),
    Row("POST", "/settings/second_factor/codes", 401, 404, 404, 404, program=403),
    Row("GET", "/settings/second_factor/off", 401, 302, 302, 302),
    Row("POST", "/settings/second_factor/off", 401, 200, 200, 200, program=403),
    Row("GET", "/settings/passkeys", 401, 302, 302, 302),
    Row("POST", "/settings/passkeys", 401, 400, 400, 400, {"name": "x"}),
    Row("GET", "/settings/passkeys/options", 401, 302, 302, 302),
    Row("POST", "/settings/passkeys/options", 401, 200, 200, 200, program=403),
    Row("GET", "/settings/passkeys/{user}", 401, 302, 302, 302),
    Row("POST", "/settings/passkeys/{user}", 401, 404, 404, 404, {"name": "x"}),
    Row("GET", "/settings/passkeys/{user}/remove", 401, 302, 302, 302),
    Row("POST", "/settings/passkeys/{user}/remove", 401, 404, 404, 404, program=403),
    Row("GET", "/settings/accounts", 401, 302, 302, 302),
    Row("POST", "/settings/accounts", 401, 404, 404, 404),
    Row("GET", "/settings/accounts/{user}/remove", 401, 302, 302, 302),
    Row("POST", "/settings/accounts/{user}/remove", 401, 404, 404, 404, program=403),
    Row("GET", "/people", 401, 200, 200, 200),
    Row("GET", "/avatars/{ada}/{avatar_rev}", 401, 200, 200, 200),
    Row("HEAD", "/avatars/{ada}/{avatar_rev}", 401, 200, 200, 200),
    Row("GET", "/avatars/{user}/{avatar_rev}", 401, 404, 404, 404),
    Row("GET", "/invites", 401, 302, 302, 302),
    Row("POST", "/invites", 401, 403, 403, 201),
    Row("GET", "/admin", 401, 403, 403, 200),
    Row("GET", "/admin/users", 401, 403, 403, 200),
    Row("GET", "/admin/users/{ada}", 401, 403, 403, 200),
    Row("GET", "/admin/users/{ada}/role", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/role", 401, 403, 403, 200, {"role": "owner"}),
    Row("GET", "/admin/users/{ada}/deactivate", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/deactivate", 401, 403, 403, 403),
    Row("GET", "/admin/users/{ada}/reactivate", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/reactivate", 401, 403, 403, 200),
    Row("GET", "/admin/users/{ada}/sessions/end", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/sessions/end", 401, 403, 403, 200),
    Row("GET", "/admin/users/{ada}/reset", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/reset", 401, 403, 403, 201),
    Row("GET", "/admin/users/{ada}/second_factor/reset", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/second_factor/reset", 401, 403, 403, 200),
    Row("GET", "/admin/users/{ada}/quota", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/quota", 401, 403, 403, 200, {"max_bytes": 9}),
    Row("GET", "/admin/users/{ada}/pictures/remove", 401, 403, 403, 302),
    Row("POST", "/admin/users/{ada}/pictures/remove", 401, 403, 403, 409, {"days": 0}),
    Row("GET", "/admin/rooms", 401, 403, 403, 200),
    Row("GET", "/admin/rooms/{room}", 401, 403, 403, 200),
    Row("GET", "/admin/rooms/{room}/pictures/remove", 401, 403, 403, 302),
    Row("POST", "/admin/rooms/{room}/pictures/remove", 401, 403, 403, 409, {"days": 0}),
    Row("GET", "/admin/deeds", 401, 403, 403, 200),
    Row("GET", "/reset/{code}", 404, 404, 404, 404),
    Row("POST", "/reset/{code}", 404, 404, 404, 404, {"password": "long enough"}),
    Row("GET", "/rooms", 401, 200, 200, 200),
    Row("POST", "/rooms", 401, 201, 201, 201, {"name": "Pier", "kind": "open"}),
    Row("GET", "/rooms/{room}", 401, 404, 200, 200),
    Row("POST", "/rooms/{room}", 401, 404, 403, 200, {"name": "Library"}),
    Row("GET", "/rooms/{room}/edit", 401, 404, 200, 200),
    Row("POST", "/rooms/{room}/join", 401, 404, 200, 200),
    Row("POST", "/rooms/{room}/read", 401, 404, 200, 200, {"hai_id": "@hai"}),
    Row("GET", "/rooms/{room}/leave", 401, 404, 200, 200),
    Row("POST", "/rooms/{room}/leave", 401, 404, 200, 200),
    Row("GET", "/rooms/{room}/members/{user}/remove", 401, 404, 403, 404),
    Row("POST", "/rooms/{room}/members", 401, 404, 200, 200, {"user_id": "@ada"}),
    Row("POST", "/rooms/{room}/members/{user}/remove", 401, 404, 403, 404),
    Row("POST", "/direct", 401, 201, 200, 201, {"user_ids": ["@ada"]}),
    Row("POST", "/rooms/{room}/hais", 401, 404, 201, 201, {"text": "hai"}),
    Row("POST", "/rooms/{room}/hais", 401, 404, 201, 201, files=True),
    Row("POST", "/rooms/{room}/pictures", 401, 404, 201, 201, files=True),
    Row("GET", "/pictures/{picture}", 401, 404, 200, 200),
    Row("HEAD", "/pictures/{picture}", 401, 404, 200, 200),
    Row("POST", "/pictures/{picture}", 401, 404, 404, 404, {"alt": "x"}),
    Row("POST", "/pictures/{picture}/discard", 401, 404, 404, 404),
    Row("GET", "/pictures/{unsent}", 401, 404, 404, 200),
    Row("POST", "/pictures/{unsent}", 401, 404, 404, 200, {"alt": "x"}),
    Row("POST", "/pictures/{unsent}/discard", 401, 404, 404, 204),
    Row("POST", "/rooms/{room}/uploads", 401, 404, 201, 201, headers=LENGTH),
    Row("GET", "/uploads/{upload}", 401, 404, 404, 200),
    Row("HEAD", "/uploads/{upload}", 401, 404, 404, 200, headers=TUS),
    Row("PATCH", "/uploads/{upload}", 401, 404, 404, 204, headers=BYTES),
    Row("DELETE", "/uploads/{upload}", 401, 404, 404, 204, headers=TUS),
    Row("GET", "/share", 401, 200, 200, 200),
    Row("POST", "/share", 503, 503, 503, 503),
    Row("GET", "/search", 401, 200, 200, 200),
    Row("GET", "/eliza", 401, 200, 200, 200),
    Row("GET", "/api/v1/openapi.json", 200, 200, 200, 200),
    Row("GET", "/api/v1/me", 401, 200, 200, 200),
    Row("POST", "/api/v1/me/avatar", 401, 201, 201, 201, files=True),
    Row("DELETE", "/api/v1/me/avatar", 401, 200, 200, 200),
    Row("GET", "/api/v1/users", 401, 200, 200, 200),
    Row("GET", "/api/v1/changes", 401, 200, 200, 200),
    Row("GET", "/api/v1/rooms", 401, 200, 200, 200),
    Row("POST", "/api/v1/rooms", 401, 201, 201, 201, {"name": "x", "kind": "open"}),
    Row("POST", "/api/v1/rooms/{room}", 401, 404, 403, 200, {"name": "Library"}),
    Row("POST", "/api/v1/rooms/{room}/join", 401, 404, 200, 200),
    Row("POST", "/api/v1/rooms/{room}/leave", 401, 404, 200, 200),
    Row(
        "POST", "/api/v1/rooms/{room}/members", 401, 404, 200, 200, {"user_id": "@ada"}
    ),
    Row("POST", "/api/v1/rooms/{room}/members/{user}/remove", 401, 404, 403, 404),
    Row("POST", "/api/v1/rooms/{room}/read", 401, 404, 200, 200, {"hai_id": "@hai"}),
    Row("POST", "/api/v1/rooms/{room}/typing", 401, 404, 200, 200),
    Row("POST", "/api/v1/direct", 401, 201, 200, 201, {"user_ids": ["@ada"]}),
    Row("GET", "/api/v1/rooms/{room}/hais", 401, 404, 200, 200),
    Row("POST", "/api/v1/rooms/{room}/hais", 401, 404, 201, 201, {"text": "hai"}),
    Row("POST", "/api/v1/rooms/{room}/hais", 401, 404, 201, 201, files=True),
    Row("POST", "/api/v1/rooms/{room}/pictures", 401, 404, 201, 201, files=True),
    Row("POST", "/api/v1/rooms/{room}/uploads", 401, 404, 201, 201, headers=LENGTH),
    Row("GET", "/api/v1/uploads/{upload}", 401, 404, 404, 200),
    Row("HEAD", "/api/v1/uploads/{upload}", 401, 404, 404, 200, headers=TUS),
    Row("PATCH", "/api/v1/uploads/{upload}", 401, 404, 404, 204, headers=BYTES),
    Row("DELETE", "/api/v1/uploads/{upload}", 401, 404, 404, 204, headers=TUS),
    Row("OPTIONS", "/api/v1/uploads/{upload}", 204, 204, 204, 204),
    Row("POST", "/api/v1/hais/{hai}", 401, 404, 403, 200, {"text": "new"}),
    Row("POST", "/api/v1/hais/{hai}/delete", 401, 404, 403, 200),
    Row("POST", "/api/v1/pictures/{picture}", 401, 404, 403, 200, {"alt": "A bay"}),
    Row("POST", "/api/v1/pictures/{unsent}", 401, 404, 404, 404, {"alt": "A bay"}),
    Row("POST", "/api/v1/hais/{hai}/reactions", 401, 404, 200, 200, {"emoji": "🌊"}),
    Row(
        "POST",
        "/api/v1/hais/{hai}/reactions/remove",
        401,
        404,
        200,
        200,
        {"emoji": "🌊"},
    ),
]
SECRETS = ("{room}", "{hai}", "{picture}", "{unsent}", "{upload}")
HIDDEN = [
    row
    for row in ROUTE_ROWS
    if row.method != "OPTIONS" and any(name in row.path for name in SECRETS)
]


@pytest.fixture
def things(io_loop, core, client, cast):
    """What the rows' names stand for; all of it made by ada."""

    async def make():
        uploads = [
            await client(cast.ada).post(
                f"/rooms/{cast.lab['id']}/pictures", files=[file(picture())]
            )
            for _ in "12"
        ]
        sent, unsent = [answer.json["pictures"][0]["id"] for answer in uploads]
        hai = await make_hai(core, cast.ada, cast.lab, "secret", picture_ids=[sent])
        begun = await client(cast.ada).request(
            "POST", f"/rooms/{cast.lab['id']}/uploads", headers=LENGTH
        )
        return {
            "room": cast.lab["id"],
            "hai": hai["id"],
            "picture": sent,
            "unsent": unsent,
            "upload": begun.location.rpartition("/")[2],
            "user": NOWHERE,
            "ada": cast.ada.id,
            "avatar_rev": await give_avatar(core, cast.ada),
            "code": await invites.create(core, cast.ada.id),
            "session": NOWHERE,
        }

    return io_loop.run_sync(make)


def fill(payload, things):
    """@names in a payload become the ids they stand for."""

    def one(value):
        is_name = isinstance(value, str) and value.startswith("@")
        return things[value[1:]] if is_name else value

    return {
        name: [one(v) for v in value] if isinstance(value, list) else one(value)
        for name, value in payload.items()
    }


async def ask(browser, row, things, **headers):
    path = row.path.format(**things)
    if row.path == "/api/v1/changes":
        path += "?since_rev=0"
    headers = {"Accept": "application/json", "Host": "hai.example"} | headers
    headers |= row.headers
    options = {"headers": headers}
    if row.files:
        options["files"] = [file(picture())]
    elif row.method == "POST" and not row.headers:
        options["json"] = fill(row.payload, things)
    return await browser.request(row.method, path, **options)


def name_of(row):
    return f"{row.method} {row.path}{' files' if row.files else ''}"


@pytest.mark.parametrize("row", ROUTE_ROWS, ids=name_of)
async def test_a_route_is_for_those_it_is_for(client, cast, things, row):
    """The least privileged first: what is refused changes nothing for the next."""
    refused = await ask(client(), row, things, Authorization="Bearer not-good")
    assert refused.status == (401 if row.method != "OPTIONS" else row.stranger)
    asked = [
        (client(), row.stranger),
        (client(cast.linus), row.outsider),
        (client(cast.linus, bearer=True), again(row, row.outsider)),
        (client(cast.grace), row.member),
        (client(cast.grace, bearer=True), again(row, row.member)),
        (client(cast.ada), row.maker),
    ]
    got = [(await ask(browser, row, things)).status for browser, _ in asked]
    assert got == [status for _, status in asked]


def again(row, status):
    """What the same person's program gets, at the second time."""
    if row.program:
        return row.program
    if row.method == "POST" and row.path.endswith("/leave") and status == 200:
        return 404
    if row.path.endswith("/direct"):
        return 200  # found again
    return status


@pytest.mark.parametrize("row", HIDDEN, ids=name_of)
async def test_what_one_may_not_know_of_looks_like_nothing(client, cast, things, row):
    nothing = things | dict.fromkeys(["room", "hai", "picture", "unsent"], NOWHERE)
    nothing["upload"] = "x" * 43
    there = await ask(client(cast.linus), row, things)
    nowhere = await ask(client(cast.linus), row, nothing)
    assert (there.status, there.body) == (nowhere.status, nowhere.body)
    names = [set(answer.headers) - {"Set-Cookie"} for answer in (there, nowhere)]
    assert names[0] == names[1]


def test_every_route_has_a_row():
    covered = {(row.method, plain(row.path)) for row in ROUTE_ROWS}
    wanted = {(r.method, plain(r.path)) for r in API_ROUTES}
    for route in ROUTES:
        wanted |= {(m, plain(route.path)) for m in methods_of(route.handler)}
    assert not wanted - covered


def plain(path):
    """Every name in a path is the same here."""
    parts = ["{}" if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def methods_of(handler):
    has_form = issubclass(handler, FormHandler)
    for name in ("get", "post"):
        is_own = getattr(handler, name) is not getattr(BaseHandler, name)
        if is_own or (has_form and name == "get"):
            yield name.upper()


# --- Orders --------------------------------------------------------------------------

OK = ""


@dataclass
class OrderRow:
    """Error codes ("" is an ack) for the outsider, a member and the maker."""

    name: str
    payload: dict[str, Any]
    outsider: str
    member: str
    maker: str


ROOM = {"room_id": "@room"}
HAI = {"hai_id": "@hai"}
PICTURE = {"picture_id": "@picture"}
ORDER_ROWS = [
    OrderRow("send_hai", ROOM | {"client_id": "c", "text": "x"}, "not_found", OK, OK),
    OrderRow("edit_hai", HAI | {"text": "new"}, "not_found", "forbidden", OK),
    OrderRow(
        "describe_picture", PICTURE | {"alt": "A bay"}, "not_found", "forbidden", OK
    ),
    OrderRow("add_reaction", HAI | {"emoji": "🌊"}, "not_found", OK, OK),
    OrderRow("remove_reaction", HAI | {"emoji": "🌊"}, "not_found", OK, OK),
    OrderRow("mark_read", ROOM | HAI, "not_found", OK, OK),
    OrderRow("start_typing", ROOM, "not_found", OK, OK),
    OrderRow("get_hais", ROOM, "not_found", OK, OK),
    OrderRow("get_changes", {"since_rev": 0}, OK, OK, OK),
    OrderRow("create_room", {"name": "x", "kind": "open"}, OK, OK, OK),
    OrderRow("change_room", ROOM | {"name": "x"}, "not_found", "forbidden", OK),
    OrderRow("open_direct", {"user_ids": ["@ada"]}, OK, OK, OK),
    OrderRow("join_room", ROOM, "not_found", OK, OK),
    OrderRow("add_member", ROOM | {"user_id": "@ada"}, "not_found", OK, OK),
    OrderRow(
        "remove_member",
        ROOM | {"user_id": "@user"},
        "not_found",
        "forbidden",
        "not_found",
    ),
    OrderRow("delete_hai", HAI, "not_found", "forbidden", OK),
    OrderRow("leave_room", ROOM, "not_found", OK, OK),
]


@pytest.mark.parametrize("row", ORDER_ROWS, ids=lambda row: row.name)
async def test_an_order_is_for_those_it_is_for(any_socket, cast, things, row):
    payload = fill(row.payload, things)
    people = [
        (cast.linus, row.outsider),
        (cast.grace, row.member),
        (cast.ada, row.maker),
    ]
    got = []
    for person, _ in people:
        ack = await (await any_socket(person)).order(row.name, payload)
        got.append(ack.get("error", {}).get("code", OK))
    assert got == [code for _, code in people]


@pytest.mark.parametrize(
    "row", [row for row in ORDER_ROWS if row.outsider], ids=lambda row: row.name
)
async def test_an_order_about_nothing_is_answered_the_same(ws, cast, things, row):
    socket = await ws(cast.linus)
    there = await socket.order(row.name, fill(row.payload, things))
    nothing = things | dict.fromkeys(["room", "hai", "picture"], NOWHERE)
    assert await socket.order(row.name, fill(row.payload, nothing)) == there


def test_every_order_has_a_row():
    assert {row.name for row in ORDER_ROWS} == set(ORDERS)


# --- Facts ---------------------------------------------------------------------------

FACT_ROWS = {
    "hai_sent": ("send_hai", ROOM | {"client_id": "c", "text": "x"}),
    "hai_changed": ("edit_hai", HAI | {"text": "new"}),
    "room_changed": ("change_room", ROOM | {"name": "x"}),
    "room_removed": ("remove_member", ROOM | {"user_id": "@grace"}),
    "read_marked": ("mark_read", ROOM | HAI),
    "typing_started": ("start_typing", ROOM),
}


@pytest.mark.parametrize("fact", FACT_ROWS)
async def test_a_fact_of_a_room_reaches_nobody_outside(
    any_socket, core, cast, things, fact
):
    """ada acts in the lab; linus hears nothing, and whoever should hear it does."""
    hai = await make_hai(core, cast.grace, cast.lab, "newest")
    things |= {"grace": cast.grace.id}
    order, payload = FACT_ROWS[fact]
    payload = fill(payload, things)
    if fact == "read_marked":
        payload["hai_id"] = hai["id"]
    sockets = {p.name: await any_socket(p) for p in (cast.ada, cast.grace, cast.linus)}
    for socket in sockets.values():
        await socket.settle()
    ack = await sockets["ada"].order(order, payload)
    assert "error" not in ack
    for socket in sockets.values():
        await socket.settle()
    heard = {name for name, socket in sockets.items() if socket.named(fact)}
    assert heard == {
        "room_removed": {"grace"},
        "read_marked": {"ada"},
        "typing_started": {"grace"},
    }.get(fact, {"ada", "grace"})
    news = [name for name, _ in sockets["linus"].facts if name != "presence_changed"]
    assert news == []


async def test_a_changed_user_is_told_to_everyone(client, any_socket, cast):
    linus = await any_socket(cast.linus)
    await client(cast.ada).post("/settings", json={"display_name": "Countess"})
    told = await linus.fact("user_changed", lambda p: p["user"]["id"] == cast.ada.id)
    assert told["user"]["display_name"] == "Countess"


async def test_the_end_of_a_session_is_told_to_its_own_sockets(any_socket, core, cast):
    ada, grace = await any_socket(cast.ada), await any_socket(cast.grace)
    grace_session = sessions.find(core, cast.grace.cookie).session_id
    token_session = sessions.find(core, cast.grace.token).session_id
    for session_id in (grace_session, token_session):
        await sessions.end(core, cast.grace.id, session_id)
    await grace.fact("session_ended")
    await grace.closed.wait()
    await ada.settle()
    assert not ada.named("session_ended") and not ada.closed.is_set()


async def test_a_new_browser_is_told_to_its_own_user(any_socket, core, cast):
    ada, grace = await any_socket(cast.ada), await any_socket(cast.grace)
    await sessions.start(core, cast.grace.id, "browser", "Firefox/99 Linux")
    told = await grace.fact("session_started")
    assert told["device"] == "Firefox on Linux"
    await ada.settle()
    assert not ada.named("session_started")


async def test_presence_is_told_to_those_who_share_a_small_room(any_socket, core, cast):
    """In the lounge are all three, so linus may hear of grace; of nobody else's."""
    linus = await any_socket(cast.linus)
    await any_socket(cast.grace)
    told = await linus.fact("presence_changed", lambda p: p["user_id"] == cast.grace.id)
    assert told["presence"] == "online"


def test_every_fact_has_a_test_here():
    told_elsewhere = {"user_changed", "presence_changed"}
    told_elsewhere |= {"session_ended", "session_started"}
    assert set(FACT_ROWS) | told_elsewhere == {fact.name for fact in events.FACTS}


# --- Open rooms ----------------------------------------------------------------------


async def test_an_open_room_is_known_but_its_hais_are_for_members(core, client, cast):
    """403, not 404: linus may see it listed and join; what is said stays inside."""
    room = await make_room(core, cast.ada, name="Harbour")
    hai = await make_hai(core, cast.ada, room, "for members only")
    path = f"/api/v1/rooms/{room['id']}"
    browser = client(cast.linus)
    for answer in (
        await browser.get(f"{path}/hais"),
        await browser.post(f"{path}/hais", json={"text": "x"}),
        await browser.post(f"/rooms/{room['id']}/pictures", files=[file(picture())]),
        await browser.post(f"/api/v1/hais/{hai['id']}/reactions", json={"emoji": "🌊"}),
        await browser.post(path, json={"name": "Mine"}),
        await browser.get(f"/rooms/{room['id']}"),
    ):
        assert answer.code == "forbidden"
        assert "members only" not in answer.text
    listed = (await browser.get("/api/v1/rooms")).json
    assert room["id"] in [found["id"] for found in listed["open_rooms"]]
    changes = (await browser.get("/api/v1/changes?since_rev=0")).text
    assert "members only" not in changes and "Lab" not in changes
