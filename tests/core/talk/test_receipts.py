"""Who has read how far: told where a room has receipts, and nowhere else."""

import pytest

from hai import errors, events
from hai.core.talk import first_state, rooms
from hai.storage import rooms as rows
from tests.factories import make_hai, make_room, make_user, order
from tests.view import fresh_view


@pytest.fixture
def marks(core):
    """All read_marked facts since the start of the test."""
    facts = []
    core.bus.subscribe(events.ReadMarked, facts.append)
    return facts


async def switch(core, person, room, is_on):
    payload = {"room_id": room["id"], "has_receipts": is_on}
    return (await order(core, person, "change_room", payload))["room"]


async def read(core, person, hai):
    payload = {"room_id": hai["room_id"], "hai_id": hai["id"]}
    await order(core, person, "mark_read", payload)


async def receipts(core, person, room):
    state = await first_state.for_room(core, person.identity, room["id"])
    return state["room"].get("read_hai_ids")


@pytest.mark.parametrize("kind", ["open", "closed", "direct"])
async def test_nobody_is_told_by_default(core, cast, marks, kind):
    room = await make_room(core, cast.ada, cast.grace, kind=kind)
    assert "has_receipts" not in room and "read_hai_ids" not in room
    await read(core, cast.grace, await make_hai(core, cast.ada, room))
    assert await receipts(core, cast.ada, room) is None
    assert [fact.audience().kind for fact in marks] == ["user"]
    assert "rev" not in marks[0].payload()


async def test_members_are_told_where_receipts_are_on(core, cast, marks):
    assert (await switch(core, cast.ada, cast.lab, True))["has_receipts"] is True
    hai = await make_hai(core, cast.ada, cast.lab)
    assert await receipts(core, cast.grace, cast.lab) == {cast.ada.id: hai["id"]}
    await read(core, cast.grace, hai)
    told = {cast.ada.id: hai["id"], cast.grace.id: hai["id"]}
    assert await receipts(core, cast.ada, cast.lab) == told
    assert marks[0].audience() == events.Audience("room", cast.lab["id"])
    view = await fresh_view(core, cast.ada, cast.lab)
    assert marks[0].payload()["rev"] == view.rooms[cast.lab["id"]]["rev"]


async def test_what_was_sent_before_is_never_told_of(core, cast, marks):
    """To turn receipts on is no way to learn how far somebody had read."""
    old = await make_hai(core, cast.ada, cast.lab)
    older_read = await make_hai(core, cast.ada, cast.lab)
    await read(core, cast.grace, old)
    await switch(core, cast.ada, cast.lab, True)
    await read(core, cast.grace, older_read)
    assert await receipts(core, cast.ada, cast.lab) == {}
    assert [fact.audience().kind for fact in marks] == ["user", "user"]


async def test_off_hides_all_marks_at_once_and_for_good(core, cast):
    await switch(core, cast.ada, cast.lab, True)
    await read(core, cast.grace, await make_hai(core, cast.ada, cast.lab))
    told = []
    core.bus.subscribe(events.RoomChanged, told.append)
    await switch(core, cast.ada, cast.lab, False)
    assert "has_receipts" not in told[0].room and "read_hai_ids" not in told[0].room
    assert await receipts(core, cast.ada, cast.lab) is None
    assert (await switch(core, cast.ada, cast.lab, True))["read_hai_ids"] == {}


async def test_on_twice_forgets_nothing(core, cast):
    await switch(core, cast.ada, cast.lab, True)
    hai = await make_hai(core, cast.ada, cast.lab)
    room = await switch(core, cast.ada, cast.lab, True)
    assert room["read_hai_ids"] == {cast.ada.id: hai["id"]}


async def test_who_leaves_no_longer_appears_and_who_comes_has_read_nothing(core, cast):
    await switch(core, cast.ada, cast.lounge, True)
    hai = await make_hai(core, cast.ada, cast.lounge)
    await read(core, cast.linus, hai)
    place = {"room_id": cast.lounge["id"]}
    await order(core, cast.linus, "leave_room", place)
    assert await receipts(core, cast.ada, cast.lounge) == {cast.ada.id: hai["id"]}
    await order(core, cast.linus, "join_room", place)
    assert await receipts(core, cast.ada, cast.lounge) == {cast.ada.id: hai["id"]}


async def test_others_get_no_marks_of_a_room(core, cast):
    """Who may join an open room is told its rule, and nobody's marks."""
    room = await make_room(core, cast.ada, cast.grace, name="Harbour")
    await switch(core, cast.ada, room, True)
    await read(core, cast.grace, await make_hai(core, cast.ada, room))
    shown = await rooms.show(core, cast.linus.identity, room["id"])
    assert shown["has_receipts"] and "read_hai_ids" not in shown
    _, open_rooms = await rooms.mine_and_open(core, cast.linus.identity)
    assert "read_hai_ids" not in str(open_rooms) and len(open_rooms) == 1
    state = await first_state.for_user(core, cast.linus.identity)
    assert "read_hai_ids" not in str(state)


async def test_they_rest_in_a_room_of_more_than_100(core, cast, marks, monkeypatch):
    """A limit of 2 stands for the 100."""
    monkeypatch.setattr(rows, "MEMBER_IDS_LIMIT", 2)
    await switch(core, cast.ada, cast.lab, True)
    hai = await make_hai(core, cast.ada, cast.lab)
    barbara = await make_user(core, "barbara")
    place = {"room_id": cast.lab["id"], "user_id": barbara.id}
    await order(core, cast.ada, "add_member", place)
    await read(core, cast.grace, hai)
    assert await receipts(core, cast.ada, cast.lab) is None
    assert marks[0].audience().kind == "user"
    await order(core, cast.ada, "remove_member", place)
    told = {cast.ada.id: hai["id"], cast.grace.id: hai["id"]}
    assert await receipts(core, cast.ada, cast.lab) == told


async def test_who_may_switch_them(core, cast):
    """In a room who may change it; in a direct room each of its people."""
    for person, room in ((cast.ada, cast.direct), (cast.grace, cast.direct)):
        for is_on in (True, False):
            changed = await switch(core, person, room, is_on)
            assert changed.get("has_receipts", False) == is_on
    for person, room, error in (
        (cast.grace, cast.lab, errors.Forbidden),
        (cast.linus, cast.lab, errors.NotFound),
        (cast.linus, cast.direct, errors.NotFound),
    ):
        with pytest.raises(error):
            await switch(core, person, room, True)
    payload = {"room_id": cast.direct["id"], "has_receipts": True, "name": "Ours"}
    with pytest.raises(errors.Forbidden):
        await order(core, cast.ada, "change_room", payload)


@pytest.mark.parametrize("value", [1, 0, "true", [], "On"])
async def test_a_value_that_is_neither_is_refused(core, cast, value):
    payload = {"room_id": cast.lab["id"], "has_receipts": value}
    with pytest.raises(errors.BadRequest) as refused:
        await order(core, cast.ada, "change_room", payload)
    assert refused.value.details["field"] == "has_receipts"
