"""The API for programs, and its description."""

import re

import pytest

from hai.core.orders import ORDERS
from hai.web.routes import API_ROUTES
from tests.factories import make_hai
from tests.pictures import file, picture

V1 = "/api/v1"


@pytest.fixture
def ada(client, cast):
    return client(cast.ada, bearer=True)


async def test_one_request_posts_text_with_pictures(client, cast, ada):
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    answer = await ada.post(path, form={"text": "look"}, files=[file(picture())])
    assert answer.status == 201
    assert answer.json["hai"]["pictures"][0]["width"] == 40
    found = await client(cast.linus, bearer=True).get(path)
    assert found.json == {"hais": [answer.json["hai"]], "has_more": False}


async def test_json_and_forms_say_the_same(cast, ada):
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    first = await ada.post(path, json={"text": "hai", "client_id": "one"})
    again = await ada.post(path, form={"text": "hai", "client_id": "one"})
    assert first.json == again.json and first.status == again.status == 201
    assert first.json["hai"]["client_id"] == "one"


@pytest.mark.parametrize("client_id", ["", 0, False, [], {}, 5, "x" * 65])
async def test_a_client_id_that_is_none(cast, ada, client_id):
    """Only one that is not given is drawn by the server."""
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    json = {"text": "hai", "client_id": client_id}
    assert (await ada.post(path, json=json)).code == "bad_request"


async def test_rooms_say_who_is_in_them(client, cast, ada):
    found = {room["id"]: room for room in (await ada.get(f"{V1}/rooms")).json["rooms"]}
    assert found[cast.lab["id"]]["member_ids"] == [cast.ada.id, cast.grace.id]
    assert set(found) == {cast.lounge["id"], cast.lab["id"], cast.direct["id"]}
    theirs = (await client(cast.linus, bearer=True).get(f"{V1}/rooms")).json
    assert cast.lab["id"] not in [room["id"] for room in theirs["rooms"]]


async def test_nothing_is_no_wave_here(cast, ada):
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    assert (await ada.post(path, json={})).code == "bad_request"


async def test_hais_are_paged(core, cast, ada):
    sent = [await make_hai(core, cast.ada, cast.lounge, f"{n}") for n in range(5)]
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    ids = [hai["id"] for hai in sent]

    async def page(query):
        answer = (await ada.get(f"{path}?{query}")).json
        return [hai["id"] for hai in answer["hais"]], answer["has_more"]

    assert await page("limit=2") == (ids[3:], True)
    assert await page(f"before={ids[3]}&limit=2") == (ids[1:3], True)
    assert await page("after=0&limit=2") == (ids[:2], True)
    assert await page(f"around={ids[2]}&limit=100") == (ids, False)
    for query in ("limit=0", "limit=101", "limit=x", f"before={ids[0]}&after=0"):
        assert (await ada.get(f"{path}?{query}")).code == "bad_request"


async def test_a_picture_is_described_replied_to_and_found_again(cast, ada):
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    await ada.post(path, json={"text": "only words"})
    sent = await ada.post(path, form={"text": ""}, files=[file(picture())])
    hai = sent.json["hai"]
    shown = hai["pictures"][0]["id"]
    described = await ada.post(f"{V1}/pictures/{shown}", json={"alt": "A bay"})
    assert described.json["hai"]["pictures"][0]["alt"] == "A bay"
    form = {"text": "there", "reply_to": hai["id"], "reply_to_picture": shown}
    reply = await ada.post(
        path, form={name: str(value) for name, value in form.items()}
    )
    assert reply.json["hai"]["reply_to_picture"] == shown
    found = await ada.get(f"{path}?with_pictures=true")
    assert found.json == {"hais": [described.json["hai"]], "has_more": False}
    assert (await ada.get(f"{path}?with_pictures=maybe")).code == "bad_request"


async def test_a_program_follows_what_changed(core, cast, ada):
    now = (await ada.get(f"{V1}/changes?since_rev=0")).json
    await make_hai(core, cast.grace, cast.lounge, "new")
    query = f"since_rev={now['rev']}&epoch={now['epoch']}"
    changes = (await ada.get(f"{V1}/changes?{query}")).json
    assert [hai["text"] for hai in changes["hais"]] == ["new"]
    wrong = await ada.get(f"{V1}/changes?since_rev=0&epoch=another")
    assert (wrong.status, wrong.code) == (409, "epoch_changed")
    assert (await ada.get(f"{V1}/changes?since_rev=999999")).code == "epoch_changed"
    assert (await ada.get(f"{V1}/changes")).code == "bad_request"


async def test_a_life_of_a_hai(cast, ada):
    room = f"{V1}/rooms/{cast.lounge['id']}"
    hai = (await ada.post(f"{room}/hais", json={"text": "a"})).json["hai"]
    path = f"{V1}/hais/{hai['id']}"
    edited = await ada.post(path, json={"text": "b"})
    assert (edited.status, edited.json["hai"]["text"]) == (200, "b")
    reacted = await ada.post(f"{path}/reactions", json={"emoji": "🌊"})
    assert reacted.json["hai"]["reactions"] == {"🌊": [cast.ada.id]}
    taken = await ada.post(f"{path}/reactions/remove", json={"emoji": "🌊"})
    assert taken.json["hai"]["reactions"] == {}
    assert (await ada.post(f"{room}/read", json={"hai_id": hai["id"]})).json == {}
    assert (await ada.post(f"{room}/typing")).json == {}
    gone = (await ada.post(f"{path}/delete")).json["hai"]
    assert gone["text"] == "" and gone["deleted_at"]


async def test_a_life_of_a_room(cast, ada):
    made = await ada.post(f"{V1}/rooms", json={"name": "Pier", "kind": "open"})
    assert made.status == 201
    path = f"{V1}/rooms/{made.json['room']['id']}"
    changed = await ada.post(path, json={"topic": "Boats"})
    assert changed.json["room"]["topic"] == "Boats"
    added = await ada.post(f"{path}/members", json={"user_id": cast.linus.id})
    assert added.json["room"]["member_count"] == 2
    removed = await ada.post(f"{path}/members/{cast.linus.id}/remove")
    assert removed.json["room"]["member_ids"] == [cast.ada.id]
    assert (await ada.post(f"{path}/leave")).json == {}
    assert (await ada.post(f"{path}/join")).json["room"]["member_count"] == 1


async def test_who_am_i_and_who_is_here(cast, ada):
    assert (await ada.get(f"{V1}/me")).json["user"]["name"] == "ada"
    names = {user["name"] for user in (await ada.get(f"{V1}/users")).json["users"]}
    assert {"ada", "grace", "linus"} <= names


async def test_errors_are_json_even_for_browsers(cast, ada):
    answer = await ada.get(f"{V1}/rooms/999/hais", headers={"Accept": "text/html"})
    assert answer.code == "not_found"


async def test_the_ids_in_the_path_win(cast, ada):
    payload = {"room_id": cast.lab["id"], "hai_id": 1, "text": "here"}
    path = f"{V1}/rooms/{cast.lounge['id']}/hais"
    hai = (await ada.post(path, json=payload)).json["hai"]
    assert hai["room_id"] == cast.lounge["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b'{"name": "\\ud800"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
async def test_what_is_no_object_is_a_bad_request(cast, ada, body):
    headers = {"Content-Type": "application/json"}
    if len(body) > 64 * 1024:
        body = body[: 60 * 1024]
    answer = await ada.post(f"{V1}/rooms", body=body, headers=headers)
    assert answer.code == "bad_request"


# --- openapi.json --------------------------------------------------------------------


async def test_the_description_is_for_everybody(client, cast):
    answer = await client().get(f"{V1}/openapi.json")
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.1")


async def test_every_order_is_described(client, cast):
    document = (await client().get(f"{V1}/openapi.json")).json
    names = [
        op["operationId"] for path in document["paths"].values() for op in path.values()
    ]
    assert len(set(names)) == len(names) == len(API_ROUTES)
    assert set(ORDERS) <= set(names)


async def test_every_reference_and_parameter_is_there(client, cast):
    document = (await client().get(f"{V1}/openapi.json")).json
    for reference in re.findall(r"'\$ref': '#/([\w/]+)'", str(document)):
        found = document
        for part in reference.split("/"):
            found = found[part]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            assert operation["responses"] and operation["summary"]


async def test_an_avatar_is_described_as_one_picture(client, cast):
    document = (await client().get(f"{V1}/openapi.json")).json
    body = document["paths"]["/api/v1/me/avatar"]["post"]["requestBody"]["content"]
    assert list(body) == ["multipart/form-data"]
    fields = body["multipart/form-data"]["schema"]["properties"]
    assert fields == {"picture": {"type": "string", "contentMediaType": "image/*"}}


async def test_what_is_answered_is_what_is_described(core, client, cast, ada):
    """Every key of a real hai, room and user is in its schema, and all required are."""
    document = (await client().get(f"{V1}/openapi.json")).json
    schemas = document["components"]["schemas"]
    await ada.post(
        f"{V1}/rooms/{cast.lounge['id']}/hais",
        form={"text": "*x*"},
        files=[file(picture())],
    )
    hai = (await ada.get(f"{V1}/rooms/{cast.lounge['id']}/hais")).json["hais"][0]
    room = (await ada.get(f"{V1}/rooms")).json["rooms"][0]
    user = (await ada.get(f"{V1}/users")).json["users"][0]
    real = {"hai": hai, "picture": hai["pictures"][0], "room": room, "user": user}
    for name, value in real.items():
        assert set(value) <= set(schemas[name]["properties"]), name
        assert set(value) >= set(schemas[name]["required"]), name
