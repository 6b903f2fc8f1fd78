"""The table of orders, and the small nouns behind it."""

import asyncio

import pytest

from hai import errors
from hai.core import orders
from tests.factories import make_hai, order


@pytest.mark.parametrize("payload", [None, [], "x", 5, True])
@pytest.mark.parametrize("name", sorted(orders.ORDERS))
async def test_every_order_takes_one_object(core, cast, name, payload):
    with pytest.raises(errors.BadRequest):
        await order(core, cast.ada, name, payload)


@pytest.mark.parametrize("name", sorted(orders.ORDERS))
async def test_every_order_names_the_field_that_is_missing(core, cast, name):
    with pytest.raises(errors.BadRequest) as refused:
        await order(core, cast.ada, name, {})
    assert refused.value.details["field"] in orders.ORDERS[name].fields


@pytest.mark.parametrize("name", ["nope", "", "connect", "disconnect", "message"])
async def test_an_order_that_does_not_exist(core, cast, name):
    with pytest.raises(errors.UnknownOrder):
        await order(core, cast.ada, name, {})


async def test_orders_without_waiting_keep_their_sequence(core, cast):
    """Leaving after sending: the send is in, the next one is not."""
    room = {"room_id": cast.lounge["id"]}
    started = [
        orders.run(core, cast.grace.identity, name, payload)
        for name, payload in [
            ("send_hai", room | {"text": "last words", "client_id": "1"}),
            ("leave_room", room),
            ("send_hai", room | {"text": "too late", "client_id": "2"}),
        ]
    ]
    sent, left, late = await asyncio.gather(*started, return_exceptions=True)
    assert sent["hai"]["text"] == "last words"
    assert left == {}
    assert isinstance(late, errors.Forbidden)


@pytest.mark.parametrize("emoji", ["👍", "❤️", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "🇩🇪", "👋🏽", "™️"])
async def test_an_emoji_is_a_reaction(core, cast, emoji):
    hai = await make_hai(core, cast.ada, cast.lab)
    payload = {"hai_id": hai["id"], "emoji": emoji}
    for _ in range(2):  # given twice, it counts once
        given = (await order(core, cast.grace, "add_reaction", payload))["hai"]
        assert given["reactions"] == {emoji: [cast.grace.id]}
    taken = (await order(core, cast.grace, "remove_reaction", payload))["hai"]
    assert taken["reactions"] == {}


@pytest.mark.parametrize(
    "emoji", ["", "a", "1", "<b>", "👍 ", "👍" * 17, "👍👍", "🇩", "\u200d", "ок"]
)
async def test_what_is_no_emoji_is_no_reaction(core, cast, emoji):
    hai = await make_hai(core, cast.ada, cast.lab)
    payload = {"hai_id": hai["id"], "emoji": emoji}
    with pytest.raises(errors.BadRequest):
        await order(core, cast.grace, "add_reaction", payload)


async def test_only_members_react_and_only_to_what_is_there(core, cast):
    hai = await make_hai(core, cast.ada, cast.lab)
    payload = {"hai_id": hai["id"], "emoji": "👍"}
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "add_reaction", payload)
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    with pytest.raises(errors.NotFound):
        await order(core, cast.grace, "add_reaction", payload)


async def test_a_read_marker_never_moves_back(core, cast):
    first, second = [await make_hai(core, cast.ada, cast.lab) for _ in "12"]
    for hai in (second, first):
        payload = {"room_id": cast.lab["id"], "hai_id": hai["id"]}
        assert await order(core, cast.grace, "mark_read", payload) == {}
    changes = await order(core, cast.grace, "get_changes", {"since_rev": 0})
    room = next(r for r in changes["rooms"] if r["id"] == cast.lab["id"])
    assert (room["my_read_hai_id"], room["unread"]) == (second["id"], 0)


async def test_a_marker_belongs_to_a_hai_of_its_room(core, cast):
    hai = await make_hai(core, cast.ada, cast.lab)
    for person, room in [(cast.grace, cast.direct), (cast.linus, cast.lab)]:
        payload = {"room_id": room["id"], "hai_id": hai["id"]}
        with pytest.raises(errors.NotFound):
            await order(core, person, "mark_read", payload)


async def test_one_does_not_type_in_a_room_of_others(core, cast):
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "start_typing", {"room_id": cast.lab["id"]})


@pytest.mark.parametrize("change", [{"epoch": "another"}, {"since_rev": 10**9}])
async def test_another_life_of_the_database_is_refused(core, cast, change):
    with pytest.raises(errors.EpochChanged):
        await order(core, cast.ada, "get_changes", {"since_rev": 0} | change)
