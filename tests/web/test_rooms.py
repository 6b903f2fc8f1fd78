"""The room forms: for browsers they lead on, for programs they answer."""

import asyncio
import re

import pytest

from hai.core.people import accounts
from hai.core.talk import first_state
from tests.factories import make_hai, make_room, order

HTML = {"Accept": "text/html"}


async def room_of(client, person, room_id):
    rooms = (await client(person).get("/api/v1/rooms")).json["rooms"]
    return next((room for room in rooms if room["id"] == room_id), None)


async def test_a_room_is_made(client, cast):
    form = {"name": "Pier", "kind": "closed"}
    answer = await client(cast.linus).post("/rooms", form=form, headers=HTML)
    assert answer.status == 303
    room_id = int(answer.location.rpartition("/")[2])
    assert (await room_of(client, cast.linus, room_id))["name"] == "Pier"
    assert await room_of(client, cast.grace, room_id) is None


async def test_a_wrong_room_is_said_on_the_form(client, cast):
    form = {"name": "", "kind": "closed"}
    answer = await client(cast.linus).post("/rooms", form=form, headers=HTML)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert (await client(cast.linus).post("/rooms", json=form)).code == "bad_request"


async def test_a_room_is_changed_by_who_made_it(client, cast):
    path = f"/rooms/{cast.lab['id']}"
    form = {"name": "Library", "topic": "Quiet"}
    answer = await client(cast.ada).post(path, form=form, headers=HTML)
    assert answer.location == f"{path}/edit?done=saved"
    assert (await client(cast.grace).post(path, json=form)).code == "forbidden"
    assert (await client(cast.linus).post(path, json=form)).code == "not_found"
    bad = await client(cast.ada).post(path, form={"name": ""}, headers=HTML)
    assert bad.status == 400 and "text/html" in bad.headers["Content-Type"]
    assert (await room_of(client, cast.grace, cast.lab["id"]))["topic"] == "Quiet"


async def test_the_topic_can_be_cleared(client, cast):
    path = f"/rooms/{cast.lab['id']}"
    for topic in ("Quiet", ""):
        form = {"name": "Lab", "topic": topic}
        await client(cast.ada).post(path, form=form, headers=HTML)
    assert not (await room_of(client, cast.ada, cast.lab["id"])).get("topic")


async def test_a_hai_is_drawn_with_only_what_it_has(core, client, cast):
    """Forty of them are a page."""
    for text in ("One", "Two"):
        await make_hai(core, cast.ada, cast.lounge, text)
    path = f"/rooms/{cast.lounge['id']}"
    page = (await client(cast.grace).get(path, headers=HTML)).markup
    first, further = re.findall(r'<li\s+class="hai".*?</li>', page, re.S)[:2]
    parts = ["hai", "avatar", "hai__head", "hai__name", "hai__time", "hai__text"]
    assert re.findall(r'class="([^"]+)"', first) == parts
    assert re.findall(r'class="([^"]+)"', further) == [
        part for part in parts if part != "avatar"
    ]
    assert len(first) < 400


async def test_joining_and_leaving(core, client, cast):
    room = await make_room(core, cast.ada, name="Harbour")
    path = f"/rooms/{room['id']}"
    joined = await client(cast.linus).post(f"{path}/join", headers=HTML)
    assert joined.location == path
    left = await client(cast.linus).post(f"{path}/leave", headers=HTML)
    assert left.location == "/rooms?done=left"
    closed = f"/rooms/{cast.lab['id']}/join"
    assert (await client(cast.linus).post(closed, json={})).code == "not_found"


async def test_adding_and_removing(client, cast):
    path = f"/rooms/{cast.lab['id']}/members"
    form = {"user_id": cast.linus.id}
    answer = await client(cast.grace).post(path, form=form, headers=HTML)
    assert answer.location == f"/rooms/{cast.lab['id']}/edit?done=added"
    assert await room_of(client, cast.linus, cast.lab["id"])
    remove = f"{path}/{cast.linus.id}/remove"
    assert (await client(cast.grace).post(remove, json={})).code == "forbidden"
    assert (await client(cast.ada).post(remove, headers=HTML)).status == 303
    assert await room_of(client, cast.linus, cast.lab["id"]) is None


@pytest.mark.parametrize(
    "form", [{}, {"user_id": "x"}, {"user_id": "0"}, {"user_id": "9" * 30}]
)
async def test_nobody_is_added_by_nonsense(client, cast, form):
    path = f"/rooms/{cast.lab['id']}/members"
    assert (await client(cast.ada).post(path, form=form)).code == "bad_request"


async def test_a_direct_room_is_found_again(client, cast):
    there = f"/rooms/{cast.direct['id']}"
    for form in ({"user_id": cast.grace.id}, {"user_ids": cast.grace.id}):
        answer = await client(cast.ada).post("/direct", form=form, headers=HTML)
        assert answer.location == there
    ack = await client(cast.grace).post("/direct", json={"user_ids": [cast.ada.id]})
    assert ack.json["room"]["id"] == cast.direct["id"]


@pytest.mark.parametrize("path", ["/direct", "/api/v1/direct"])
async def test_a_new_direct_room_was_created(client, cast, path):
    json = {"user_ids": [cast.linus.id]}
    asked = [await client(cast.grace).post(path, json=json) for _ in range(2)]
    assert [answer.status for answer in asked] == [201, 200]
    assert asked[0].json == asked[1].json


async def test_the_edit_page_shows_members_and_others(client, cast):
    path = f"/rooms/{cast.lab['id']}/edit"
    text = (await client(cast.ada).get(path, headers=HTML)).text
    assert f"/members/{cast.grace.id}/remove" in text
    assert "Linus" in text
    text = (await client(cast.grace).get(path, headers=HTML)).text
    assert f"/members/{cast.ada.id}/remove" not in text


async def test_a_room_of_hundreds_is_looked_after_by_name(core, client, cast):
    """More members than a room object names, and more people than one list holds."""
    names = [f"swimmer{n}" for n in range(230)]
    added = await asyncio.gather(*(accounts.add_user(core, name) for name in names))
    ids = [user["id"] for user in added]
    payload = {"name": "Pool", "kind": "closed", "member_ids": ids[:205]}
    room = (await order(core, cast.ada, "create_room", payload))["room"]
    browser, path = client(cast.ada), f"/rooms/{room['id']}/edit"
    page = (await browser.get(path, headers=HTML)).text
    assert page.count("/remove") == 199 and "And 6 more" in page
    assert page.count('name="user_id"') == 20
    found = (await browser.get(f"{path}?member=swimmer99", headers=HTML)).text
    assert found.count("/remove") == 1 and f"/members/{ids[99]}/remove" in found
    found = (await browser.get(f"{path}?person=swimmer229", headers=HTML)).text
    assert found.count('name="user_id"') == 1 and f'value="{ids[229]}"' in found


async def test_the_list_is_the_same_for_programs(client, cast):
    headers = {"Accept": "application/json"}
    listed = (await client(cast.linus).get("/rooms", headers=headers)).json
    assert {room["name"] for room in listed["rooms"]} == {"Lounge"}
    assert listed == (await client(cast.linus).get("/api/v1/rooms")).json


async def test_a_room_is_read_by_a_plain_form(core, client, cast):
    first, second = [await make_hai(core, cast.ada, cast.lab) for _ in "12"]
    path = f"/rooms/{cast.lab['id']}"
    grace = client(cast.grace)
    for hai, unread in ((first, 1), (second, 0), (first, 0)):
        form = {"hai_id": hai["id"]}
        answer = await grace.post(f"{path}/read", form=form, headers=HTML)
        assert (answer.status, answer.location) == (303, path)
        room = await room_of(client, cast.grace, cast.lab["id"])
        assert room["unread"] == unread
    wrong = await grace.post(f"{path}/read", form={"hai_id": "x"})
    assert (wrong.status, wrong.code) == (400, "bad_request")


async def test_leaving_and_removing_ask_before_they_do(client, cast):
    path = f"/rooms/{cast.lab['id']}"
    ada = client(cast.ada)
    question = await ada.get(f"{path}/members/{cast.grace.id}/remove", headers=HTML)
    assert "Remove Grace from Lab?" in question.text
    assert "Leave Lab?" in (await ada.get(f"{path}/leave", headers=HTML)).text
    nobody = f"{path}/members/{cast.linus.id}/remove"
    assert (await ada.get(nobody)).status == 404
    assert (await room_of(client, cast.grace, cast.lab["id"]))["member_count"] == 2


async def test_rooms_to_join_are_found_by_name_and_topic(core, client, cast):
    for number in range(60):
        await make_room(core, cast.ada, name=f"Bay {number:02}")
    everything = (await client(cast.linus).get("/rooms", headers=HTML)).text
    assert everything.count('aria-label="Join Bay') == 50
    assert "And 10 more" in everything
    found = (await client(cast.linus).get("/rooms?q=bAY%2059", headers=HTML)).text
    assert found.count('aria-label="Join Bay') == 1
    none = (await client(cast.linus).get("/rooms?q=%00", headers=HTML)).text
    assert 'aria-label="Join' not in none


async def test_a_page_says_what_its_reader_may_delete_and_what_is_gone(
    core, client, cast
):
    gone, there = [await make_hai(core, cast.grace, cast.lab) for _ in "12"]
    for hai in (gone, there):
        await make_hai(core, cast.grace, cast.lab, "x", reply_to=hai["id"])
    await order(core, cast.grace, "delete_hai", {"hai_id": gone["id"]})
    for person, may in ((cast.ada, True), (cast.grace, False)):
        room_id = cast.lab["id"]
        state = await first_state.for_room(core, person.identity, room_id)
        assert (state["can_change"], state["gone_hai_ids"]) == (may, [gone["id"]])
    page = (await client(cast.grace).get(f"/rooms/{cast.lab['id']}")).text
    assert page.count("A deleted hai") == 1
