"""For every fact: an old state and the facts since make a fresh state.

The facts are taken from the bus as each person would hear them; the same is proven
over sockets in tests/realtime. A second way, get_changes, must end at the same view.
"""

import asyncio
import random

import pytest

from hai import events
from hai.core.identity import sessions
from hai.core.people import accounts, admin
from hai.core.pictures import avatars, expiry
from tests.core.pictures.test_stored import upload
from tests.core.test_retention import send_old
from tests.factories import give_avatar, make_hai, make_room, make_user, order
from tests.pictures import picture
from tests.view import View, fresh_view


@pytest.fixture
def heard(core):
    """All facts told on the bus since the start of the test."""
    facts = []
    for fact in events.FACTS:
        core.bus.subscribe(fact, facts.append)
    return facts


def is_for(core, person, fact):
    """Whether the audience of a fact holds this person, by the database of now."""
    audience = fact.audience()
    if audience.kind in ("room", "room_but"):
        members = _members(core, audience.id) | set(getattr(fact, "left", ()))
        return person.id in members and person.id not in getattr(fact, "left", ())
    if audience.kind == "user":
        return audience.id == person.id
    return audience.kind == "everyone"


def _members(core, room_id):
    from hai.storage import rooms

    return set(core.db.read_now(rooms.member_ids, room_id, -1))


async def assert_agreement(core, heard, person, room, act):
    """Act; then both ways of keeping up must equal a page opened afresh."""
    by_facts = await fresh_view(core, person, room)
    by_changes = await fresh_view(core, person, room)
    del heard[:]
    await act()
    for fact in heard:
        if is_for(core, person, fact):
            by_facts.hear(fact.name, fact.payload())
    if by_facts.is_uncounted:
        await catch_up(core, person, by_facts)
    await catch_up(core, person, by_changes)
    fresh = await fresh_view(core, person, room)
    assert by_facts.shown(room["id"]) == fresh.shown(room["id"])
    assert by_changes.shown(room["id"]) == fresh.shown(room["id"])
    assert by_facts.listed() == fresh.listed()
    assert by_changes.listed() == fresh.listed()


async def catch_up(core, person, view, limit=500):
    has_more = True
    while has_more:
        payload = {"since_rev": view.rev, "epoch": view.epoch, "limit": limit}
        page = await order(core, person, "get_changes", payload)
        view.catch_up(page)
        has_more = page["has_more"]


async def test_a_sent_hai(core, cast, heard):
    async def act():
        await make_hai(core, cast.ada, cast.lab)

    await assert_agreement(core, heard, cast.grace, cast.lab, act)
    await assert_agreement(core, heard, cast.ada, cast.lab, act)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("edit_hai", {"text": "better"}),
        ("delete_hai", {}),
        ("add_reaction", {"emoji": "🌊"}),
    ],
)
async def test_a_changed_hai(core, cast, heard, name, payload):
    hai = await make_hai(core, cast.ada, cast.lab)

    async def act():
        await order(core, cast.ada, name, {"hai_id": hai["id"], **payload})

    await assert_agreement(core, heard, cast.grace, cast.lab, act)


async def test_a_picture_described_later_and_replied_to(core, cast, heard):
    stored = await upload(core, cast.ada, cast.lab, picture())
    hai = await make_hai(core, cast.ada, cast.lab, "", picture_ids=[stored["id"]])

    async def describe():
        payload = {"picture_id": stored["id"], "alt": "The bay"}
        await order(core, cast.ada, "describe_picture", payload)

    async def reply():
        answered = {"reply_to": hai["id"], "reply_to_picture": stored["id"]}
        await make_hai(core, cast.grace, cast.lab, "Where?", **answered)

    for act in (describe, reply):
        await assert_agreement(core, heard, cast.grace, cast.lab, act)
        assert heard


async def test_a_reaction_taken_back(core, cast, heard):
    hai = await make_hai(core, cast.ada, cast.lab)
    payload = {"hai_id": hai["id"], "emoji": "🌊"}
    await order(core, cast.grace, "add_reaction", payload)

    async def act():
        await order(core, cast.grace, "remove_reaction", payload)

    await assert_agreement(core, heard, cast.ada, cast.lab, act)


async def test_a_read_marker(core, cast, heard):
    first = await make_hai(core, cast.ada, cast.lab)
    await make_hai(core, cast.ada, cast.lab)
    payload = {"room_id": cast.lab["id"], "hai_id": first["id"]}

    async def act():
        await order(core, cast.grace, "mark_read", payload)

    await assert_agreement(core, heard, cast.grace, cast.lab, act)
    assert (await fresh_view(core, cast.grace)).rooms[cast.lab["id"]]["unread"] == 1


async def test_a_read_marker_that_the_room_is_told(core, cast, heard):
    payload = {"room_id": cast.lab["id"], "has_receipts": True}
    await order(core, cast.ada, "change_room", payload)
    hais = [await make_hai(core, cast.ada, cast.lab) for _ in "12"]
    place = {"room_id": cast.lab["id"]}
    for hai in hais:

        async def act(hai_id=hai["id"]):
            await order(core, cast.grace, "mark_read", place | {"hai_id": hai_id})

        await assert_agreement(core, heard, cast.ada, cast.lab, act)
        fresh = await fresh_view(core, cast.ada, cast.lab)
        assert fresh.receipts(cast.lab["id"])[cast.grace.id] == hai["id"]


@pytest.mark.parametrize("is_on", [True, False])
async def test_receipts_switched(core, cast, heard, is_on):
    payload = {"room_id": cast.lab["id"]}
    await order(core, cast.ada, "change_room", payload | {"has_receipts": not is_on})
    await make_hai(core, cast.grace, cast.lab)

    async def act():
        await order(core, cast.ada, "change_room", payload | {"has_receipts": is_on})

    await assert_agreement(core, heard, cast.grace, cast.lab, act)
    fresh = await fresh_view(core, cast.grace, cast.lab)
    assert fresh.receipts(cast.lab["id"]) == ({} if is_on else None)


async def test_a_read_marker_below_more_than_a_page_holds(core, cast, heard):
    """What was unread before the page came, only the server can count."""
    hais = [await make_hai(core, cast.ada, cast.lab) for _ in range(60)]
    payload = {"room_id": cast.lab["id"], "hai_id": hais[9]["id"]}

    async def act():
        await order(core, cast.grace, "mark_read", payload)

    await assert_agreement(core, heard, cast.grace, cast.lab, act)
    assert (await fresh_view(core, cast.grace)).rooms[cast.lab["id"]]["unread"] == 50


async def test_a_changed_room(core, cast, heard):
    payload = {"room_id": cast.lab["id"], "name": "Kitchen", "topic": "Soup"}

    async def act():
        await order(core, cast.ada, "change_room", payload)

    await assert_agreement(core, heard, cast.grace, cast.lab, act)


async def test_pictures_that_are_not_kept(core, cast, heard):
    """The rule, and then each hai that it takes pictures from."""
    hais = [await send_old(core, cast.grace, cast.lab, days=31) for _ in "123"]
    payload = {"room_id": cast.lab["id"], "picture_days": 30, "is_confirmed": True}

    async def act():
        await order(core, cast.ada, "change_room", payload)
        assert await expiry.run(core) == len(hais)

    await assert_agreement(core, heard, cast.linus, cast.lounge, act)
    await order(core, cast.ada, "change_room", payload | {"picture_days": 0})
    hais = [await send_old(core, cast.grace, cast.lab, days=31) for _ in "12"]
    await assert_agreement(core, heard, cast.grace, cast.lab, act)
    fresh = await fresh_view(core, cast.grace, cast.lab)
    gone = [p for hai in fresh.hais.values() for p in hai["pictures"]]
    assert len(gone) == 5 and all("gone_at" in picture for picture in gone)
    assert fresh.rooms[cast.lab["id"]]["picture_days"] == 30


async def test_pictures_that_an_admin_removed(core, cast, heard):
    for room in (cast.lab, cast.lounge):
        await send_old(core, cast.grace, room, days=31)
    given = {"user_id": cast.grace.id, "days": 30, "is_confirmed": True}

    async def act():
        await admin.remove_pictures_of_user(core, cast.ada.identity, **given)
        assert await expiry.run(core) == 2

    await assert_agreement(core, heard, cast.ada, cast.lab, act)


async def test_a_user_who_is_deactivated_and_let_back_in(core, cast, heard):
    async def deactivate():
        await admin.deactivate(core, cast.ada.identity, user_id=cast.grace.id)

    async def reactivate():
        await admin.reactivate(core, cast.ada.identity, user_id=cast.grace.id)

    await make_hai(core, cast.grace, cast.lounge)
    for act, is_there in ((deactivate, False), (reactivate, True)):
        await assert_agreement(core, heard, cast.linus, cast.lounge, act)
        view = await fresh_view(core, cast.linus, cast.lounge)
        told = [f.payload()["user"] for f in heard if f.name == "user_changed"]
        assert told[-1].items() <= view.users[cast.grace.id].items()
        assert ("deactivated_at" not in told[-1]) == is_there


async def test_a_changed_role(core, cast, heard):
    view, by_changes = [await fresh_view(core, cast.linus, cast.lounge) for _ in "12"]
    del heard[:]
    await admin.change_role(
        core, cast.ada.identity, user_id=cast.grace.id, role="admin"
    )
    for fact in heard:
        view.hear(fact.name, fact.payload())
    await catch_up(core, cast.linus, by_changes)
    assert view.users[cast.grace.id] == by_changes.users[cast.grace.id]
    assert view.users[cast.grace.id]["role"] == "admin"


async def test_a_member_more_and_a_member_less(core, cast, heard):
    payload = {"room_id": cast.lab["id"], "user_id": cast.linus.id}

    async def add():
        await order(core, cast.ada, "add_member", payload)

    async def remove():
        await order(core, cast.ada, "remove_member", payload)

    await assert_agreement(core, heard, cast.grace, cast.lab, add)
    await assert_agreement(core, heard, cast.grace, cast.lab, remove)


async def test_a_room_that_is_new_to_its_reader(core, cast, heard):
    """It comes with its members and none of its older hais; get_hais has those."""
    await make_hai(core, cast.ada, cast.lab, "before linus")
    view = await fresh_view(core, cast.linus)
    del heard[:]
    payload = {"room_id": cast.lab["id"], "user_id": cast.linus.id}
    await order(core, cast.ada, "add_member", payload)
    caught_up = await order(
        core, cast.linus, "get_changes", {"since_rev": view.rev, "epoch": view.epoch}
    )
    assert caught_up["hais"] == []
    assert {user["id"] for user in caught_up["users"]} >= {cast.ada.id, cast.grace.id}
    for fact in heard:
        if is_for(core, cast.linus, fact):
            view.hear(fact.name, fact.payload())
    assert view.listed() == (await fresh_view(core, cast.linus)).listed()


async def test_a_room_that_was_taken_away(core, cast, heard):
    view, by_changes = [await fresh_view(core, cast.grace, cast.lab) for _ in "12"]
    del heard[:]
    payload = {"room_id": cast.lab["id"], "user_id": cast.grace.id}
    await order(core, cast.ada, "remove_member", payload)
    for fact in heard:
        if is_for(core, cast.grace, fact):
            view.hear(fact.name, fact.payload())
    await catch_up(core, cast.grace, by_changes)
    fresh = await fresh_view(core, cast.grace)
    assert cast.lab["id"] not in fresh.rooms
    assert view.listed() == by_changes.listed() == fresh.listed()
    assert view.shown(cast.lab["id"])["hais"] == []


async def test_a_new_and_a_renamed_user(core, cast, heard):
    view = await fresh_view(core, cast.grace, cast.lab)
    del heard[:]
    await make_user(core, "barbara")
    await accounts.change_profile(core, cast.ada.identity, display_name="Countess")
    for fact in heard:
        view.hear(fact.name, fact.payload())
    by_changes = await fresh_view(core, cast.grace, cast.lab)
    by_changes.rev = 0
    await catch_up(core, cast.grace, by_changes)
    assert view.users[cast.ada.id]["display_name"] == "Countess"
    assert view.users[cast.ada.id] == by_changes.users[cast.ada.id]
    names = {user["name"] for user in view.users.values()}
    assert "barbara" in names


async def test_an_avatar_given_and_taken_back(core, cast, heard):
    """A change of the user like any other: by facts and by catching up."""
    view = await fresh_view(core, cast.grace, cast.lab)
    by_changes = await fresh_view(core, cast.grace, cast.lab)
    for act, is_there in (
        (lambda: give_avatar(core, cast.ada), True),
        (lambda: avatars.remove(core, cast.ada.identity), False),
    ):
        del heard[:]
        await act()
        for fact in heard:
            view.hear(fact.name, fact.payload())
        await catch_up(core, cast.grace, by_changes)
        fresh = await fresh_view(core, cast.grace, cast.lab)
        assert ("avatar_url" in fresh.users[cast.ada.id]) == is_there
        assert view.users[cast.ada.id] == fresh.users[cast.ada.id]
        assert by_changes.users[cast.ada.id] == fresh.users[cast.ada.id]


async def test_an_ended_session_is_told_to_it_alone(core, cast, heard):
    del heard[:]
    await sessions.end(core, cast.ada.id, cast.ada.identity.session_id)
    assert [fact.name for fact in heard] == ["session_ended"]
    assert heard[0].audience().kind == "session"
    assert heard[0].audience().id == cast.ada.identity.session_id
    assert sessions.find(core, cast.ada.cookie) is None
    assert sessions.find(core, cast.ada.token) is not None


async def test_a_new_session_is_told_as_the_list_of_sessions_has_it(core, cast, heard):
    del heard[:]
    await sessions.start(core, cast.ada.id, "browser", "Firefox/99 Linux")
    (fact,) = heard
    assert (fact.audience().kind, fact.audience().id) == ("user", cast.ada.id)
    listed = {one.id: one for one in await sessions.list_of(core, cast.ada.id)}
    told = fact.payload()
    assert told["started_at"] == listed[told["session_id"]].created_at
    assert told["device"] == "Firefox on Linux"


@pytest.mark.parametrize("seed", range(5))
async def test_many_orders_in_any_interleaving(core, cast, heard, seed):
    """Whatever happens while away, in whatever slices one catches up."""
    chance = random.Random(seed)
    room = await make_room(core, cast.ada, cast.grace, cast.linus, name="Busy")
    by_facts, by_changes = [await fresh_view(core, cast.grace, room) for _ in "12"]
    del heard[:]
    sent = []
    for _ in range(40):
        await any_order(core, cast, room, sent, chance)
        if chance.random() < 0.1:
            await catch_up(core, cast.grace, by_changes, limit=chance.randint(1, 9))
    for fact in heard:
        if is_for(core, cast.grace, fact):
            by_facts.hear(fact.name, fact.payload())
    await catch_up(core, cast.grace, by_changes, limit=3)
    fresh = await fresh_view(core, cast.grace, room)
    assert by_facts.shown(room["id"]) == fresh.shown(room["id"])
    assert by_changes.shown(room["id"]) == fresh.shown(room["id"])


async def any_order(core, cast, room, sent, chance):
    """One order at random that changes the room or a hai in it."""
    person = chance.choice([cast.ada, cast.grace, cast.linus])
    kind = chance.random()
    mine = [hai for hai in sent if hai["user_id"] == person.id]
    if kind < 0.5 or not mine:
        sent.append(await make_hai(core, person, room, f"number {len(sent)}"))
    elif kind < 0.65:
        payload = {"hai_id": chance.choice(mine)["id"], "text": f"again {kind}"}
        await order(core, person, "edit_hai", payload)
    elif kind < 0.75:
        hai = chance.choice(mine)
        await order(core, person, "delete_hai", {"hai_id": hai["id"]})
        sent.remove(hai)
    elif kind < 0.9:
        payload = {"hai_id": chance.choice(sent)["id"], "emoji": "🐟"}
        await order(core, person, "add_reaction", payload)
    else:
        payload = {"room_id": room["id"], "hai_id": chance.choice(sent)["id"]}
        await order(core, person, "mark_read", payload)


async def test_what_is_told_and_never_stored(core, cast, heard):
    """Typing passes by itself; presence is as of now, in a first state too."""
    view = await fresh_view(core, cast.grace, cast.lab)
    del heard[:]
    await order(core, cast.ada, "start_typing", {"room_id": cast.lab["id"]})
    core.presence.connected(cast.ada.id)
    assert [fact.name for fact in heard] == ["typing_started", "presence_changed"]
    assert heard[0].audience().but_user_id == cast.ada.id
    for fact in heard:
        view.hear(fact.name, fact.payload())
    fresh = await fresh_view(core, cast.grace, cast.lab)
    assert view.users == fresh.users
    assert fresh.users[cast.ada.id]["presence"] == "online"
    assert view.shown(cast.lab["id"]) == fresh.shown(cast.lab["id"])


RACED = {
    "hai_sent": test_a_sent_hai,
    "hai_changed": test_a_changed_hai,
    "room_changed": test_a_changed_room,
    "room_removed": test_a_room_that_was_taken_away,
    "user_changed": test_a_new_and_a_renamed_user,
    "read_marked": test_a_read_marker,
    "typing_started": test_what_is_told_and_never_stored,
    "presence_changed": test_what_is_told_and_never_stored,
    "session_started": test_a_new_session_is_told_as_the_list_of_sessions_has_it,
    "session_ended": test_an_ended_session_is_told_to_it_alone,
}


def test_every_fact_has_a_race_test():
    assert RACED.keys() == {fact.name for fact in events.FACTS}


def test_a_view_starts_from_what_it_is_given():
    state = {
        "me": {"id": 1},
        "rev": 4,
        "epoch": "e",
        "rooms": [{"id": 2, "rev": 3, "unread": 0}],
        "users": [{"id": 1, "rev": 1}],
    }
    assert View(state).rooms == {2: {"id": 2, "rev": 3, "unread": 0}}


async def test_presence_is_caught_up_with(core, cast):
    """Nobody told of it while one was away, and it changes no row."""
    view = await fresh_view(core, cast.linus, cast.lounge)
    core.presence.connected(cast.grace.id)
    await catch_up(core, cast.linus, view)
    assert view.users[cast.grace.id]["presence"] == "online"
    core.presence.grace_s = 0
    core.presence.disconnected(cast.grace.id)
    await asyncio.sleep(0.001)
    assert core.presence.of(cast.grace.id) == "offline"
    await catch_up(core, cast.linus, view)
    assert view.users == (await fresh_view(core, cast.linus, cast.lounge)).users


async def test_presence_is_told_of_ones_company_only_and_on_the_last_page(core, cast):
    stranger = await make_user(core, "stranger")
    for person in (stranger, cast.ada, cast.linus):
        core.presence.connected(person.id)
    asked = {"since_rev": 0}
    page = await order(core, cast.linus, "get_changes", asked)
    assert page["online_user_ids"] == sorted([cast.ada.id, cast.linus.id])
    page = await order(core, cast.linus, "get_changes", asked | {"limit": 1})
    assert page["has_more"]
    assert "online_user_ids" not in page


async def test_a_large_room_makes_no_company(core, cast):
    """Nobody is told who comes and goes in it, so nobody is told who is there."""
    crowd = [await make_user(core, f"user{number}") for number in range(99)]
    room = await make_room(core, cast.ada, *crowd, name="Crowd")
    core.presence.connected(crowd[0].id)
    page = await order(core, crowd[1], "get_changes", {"since_rev": 0})
    assert page["online_user_ids"] == [crowd[0].id]
    added = {"room_id": room["id"], "user_id": cast.linus.id}
    await order(core, cast.ada, "add_member", added)
    page = await order(core, crowd[1], "get_changes", {"since_rev": 0})
    assert page["online_user_ids"] == []
