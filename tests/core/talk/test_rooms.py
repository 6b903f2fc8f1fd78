"""Open, closed and direct rooms: who sees, enters, changes and leaves them."""

import pytest

from hai import errors
from hai.core.talk import rooms
from tests.factories import make_room, make_user, order


async def names_for(core, person):
    mine, joinable = await rooms.mine_and_open(core, person.identity)
    return {r.get("name") for r in mine}, {r.get("name") for r in joinable}


async def test_who_sees_which_rooms(core, cast):
    await make_room(core, cast.ada, name="Harbour", kind="open")
    assert await names_for(core, cast.grace) == ({"Lounge", "Lab", None}, {"Harbour"})
    assert await names_for(core, cast.linus) == ({"Lounge"}, {"Harbour"})


async def test_an_open_room_tells_a_stranger_no_more_than_its_card(core, cast):
    room = await make_room(core, cast.ada, name="Harbour", kind="open")
    shown = await rooms.show(core, cast.linus.identity, room["id"])
    assert set(shown) == {"id", "rev", "kind", "name", "member_count"}
    with pytest.raises(errors.NotFound):
        await rooms.show(core, cast.linus.identity, cast.lab["id"])


async def test_anyone_joins_an_open_room_and_leaves_it(core, cast):
    room = await make_room(core, cast.ada, name="Harbour", kind="open")
    payload = {"room_id": room["id"]}
    joined = (await order(core, cast.linus, "join_room", payload))["room"]
    assert joined["member_ids"] == [cast.ada.id, cast.linus.id]
    assert joined["unread"] == 0
    again = (await order(core, cast.linus, "join_room", payload))["room"]
    assert again["member_count"] == 2
    assert await order(core, cast.linus, "leave_room", payload) == {}
    with pytest.raises(errors.Forbidden):
        await order(core, cast.linus, "leave_room", payload)


async def test_a_closed_room_is_entered_by_invitation_only(core, cast):
    payload = {"room_id": cast.lab["id"]}
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "join_room", payload)
    await order(core, cast.grace, "add_member", payload | {"user_id": cast.linus.id})
    assert "Lab" in (await names_for(core, cast.linus))[0]


async def test_a_direct_room_is_found_again(core, cast):
    by_ada = await make_room(core, cast.ada, cast.grace, kind="direct")
    by_grace = await make_room(core, cast.grace, cast.ada, kind="direct")
    assert by_ada["id"] == by_grace["id"] == cast.direct["id"]
    three = await make_room(core, cast.ada, cast.grace, cast.linus, kind="direct")
    assert three["id"] != cast.direct["id"]
    assert three["member_ids"] == [cast.ada.id, cast.grace.id, cast.linus.id]


async def test_notes_to_oneself_are_a_direct_room(core, cast):
    payload = {"user_ids": [cast.ada.id]}
    room = (await order(core, cast.ada, "open_direct", payload))["room"]
    assert room["member_ids"] == [cast.ada.id]


async def test_a_direct_room_keeps_its_people_and_kind(core, cast):
    payload = {"room_id": cast.direct["id"]}
    other = payload | {"user_id": cast.linus.id}
    for name, wanted in [
        ("leave_room", payload),
        ("add_member", other),
        ("remove_member", payload | {"user_id": cast.grace.id}),
        ("change_room", payload | {"name": "Public"}),
    ]:
        with pytest.raises(errors.Forbidden):
            await order(core, cast.ada, name, wanted)


async def test_its_creator_and_admins_inside_may_change_a_room(core, cast):
    room = await make_room(core, cast.grace, cast.linus, name="Grace's", kind="closed")
    payload = {"room_id": room["id"], "name": "Renamed", "topic": "All sorts"}
    with pytest.raises(errors.Forbidden):
        await order(core, cast.linus, "change_room", payload)
    with pytest.raises(errors.NotFound):  # an owner who is not inside is a stranger
        await order(core, cast.ada, "change_room", payload)
    changed = (await order(core, cast.grace, "change_room", payload))["room"]
    assert (changed["name"], changed["topic"]) == ("Renamed", "All sorts")
    admin = await make_user(core, "admin", role="admin")
    invite = {"room_id": room["id"], "user_id": admin.id}
    await order(core, cast.linus, "add_member", invite)
    await order(core, admin, "change_room", payload | {"topic": ""})
    remove = {"room_id": room["id"], "user_id": cast.linus.id}
    assert (await order(core, admin, "remove_member", remove))["room"]["name"]
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "get_hais", {"room_id": room["id"]})


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("create_room", {"name": "", "kind": "open"}),
        ("create_room", {"name": "x" * 81, "kind": "open"}),
        ("create_room", {"name": "a\u202eb", "kind": "open"}),
        ("create_room", {"name": "\u200d", "kind": "open"}),
        ("create_room", {"name": "ok", "kind": "direct"}),
        ("create_room", {"name": "ok", "kind": "open", "member_ids": "all"}),
        ("open_direct", {"user_ids": []}),
        ("open_direct", {"user_ids": [1, "2"]}),
        ("change_room", {"room_id": 1}),
    ],
)
async def test_rooms_that_cannot_be(core, cast, name, payload):
    with pytest.raises(errors.BadRequest):
        await order(core, cast.ada, name, payload)


async def test_people_who_are_not_there_cannot_be_invited(core, cast):
    for name, payload in [
        ("create_room", {"name": "x", "kind": "closed", "member_ids": [999]}),
        ("open_direct", {"user_ids": [999]}),
        ("add_member", {"room_id": cast.lab["id"], "user_id": 999}),
        ("remove_member", {"room_id": cast.lab["id"], "user_id": 999}),
    ]:
        with pytest.raises(errors.NotFound):
            await order(core, cast.ada, name, payload)
    assert (await names_for(core, cast.ada))[0] == {"Lounge", "Lab", None}


async def test_coming_back_finds_the_history_and_nothing_unread(core, cast):
    await order(core, cast.grace, "leave_room", {"room_id": cast.lounge["id"]})
    payload = {"room_id": cast.lounge["id"], "text": "hai!", "client_id": "1"}
    await order(core, cast.ada, "send_hai", payload)
    join = {"room_id": cast.lounge["id"]}
    room = (await order(core, cast.grace, "join_room", join))["room"]
    assert room["unread"] == 0
    page = await order(core, cast.grace, "get_hais", {"room_id": cast.lounge["id"]})
    assert [hai["text"] for hai in page["hais"]] == ["hai!"]


# --- Nobody piles them up ------------------------------------------------------------


async def test_one_person_makes_only_so_many_rooms(core, cast, monkeypatch):
    """Others still may, and those that there are stay as they are."""
    monkeypatch.setattr(rooms, "MAX_MADE_ROOMS", 2)
    made = [await make_room(core, cast.linus, name=f"{n}") for n in range(2)]
    with pytest.raises(errors.Forbidden):
        await make_room(core, cast.linus, name="one more")
    await order(core, cast.linus, "leave_room", {"room_id": made[0]["id"]})
    with pytest.raises(errors.Forbidden):
        await make_room(core, cast.linus, name="for the one that was left")
    await order(core, cast.linus, "open_direct", {"user_ids": [cast.ada.id]})
    await make_room(core, cast.grace, name="one of hers")


async def test_one_person_opens_only_so_many_direct_rooms(core, cast, monkeypatch):
    monkeypatch.setattr(rooms, "MAX_MADE_DIRECTS", 2)
    opened = []
    for user_ids in ([cast.ada.id], [cast.grace.id]):
        payload = {"user_ids": user_ids}
        opened.append(await order(core, cast.linus, "open_direct", payload))
    both = {"user_ids": [cast.ada.id, cast.grace.id]}
    with pytest.raises(errors.Forbidden):
        await order(core, cast.linus, "open_direct", both)
    found = await order(core, cast.linus, "open_direct", {"user_ids": [cast.ada.id]})
    assert found["room"]["id"] == opened[0]["room"]["id"]
    await make_room(core, cast.linus, name="another kind")
    await order(core, cast.ada, "open_direct", both | {"user_ids": [cast.linus.id]})
