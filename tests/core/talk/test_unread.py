"""How many hais are unread: the same as counted one by one, however many they are."""

import asyncio
import random

import pytest

from hai.core.talk import first_state, rooms
from hai.storage.database import execute
from tests.factories import make_hai, make_room, make_user, order

STEPS = 300
FAR = 1_000  # hais that a reader is behind

# As the protocol says it: hais of others after the marker.
PLAIN = """
SELECT m.room_id, min(1000, (SELECT count(*) FROM hais WHERE room_id = m.room_id
    AND id > m.read_hai_id AND user_id <> m.user_id AND deleted_at IS NULL))
FROM memberships m WHERE m.user_id = ? AND m.ended_at IS NULL
"""
NUMBERED = """
SELECT room_id, id, number FROM (SELECT room_id, id,
    row_number() OVER (PARTITION BY room_id ORDER BY id) AS number FROM hais)
WHERE id % 31 = 0 ORDER BY room_id, id
"""


def plain_counts(person):
    return dict(execute(PLAIN, (person.id,)).fetchall())


async def counts(core, person):
    mine, _ = await rooms.mine_and_open(core, person.identity)
    return {room["id"]: room["unread"] for room in mine}


async def talk(core, author, room, count):
    """All at once, so in few batches."""
    hais = (make_hai(core, author, room, f"hai {n}") for n in range(count))
    return await asyncio.gather(*hais)


@pytest.mark.parametrize("chance", range(2))
async def test_what_is_unread_is_what_counting_finds(core, cast, seed, chance):
    dice = random.Random(f"{seed}{chance}")
    people = [cast.ada, cast.grace, cast.linus]
    places = [cast.lounge, await make_room(core, *people, name="Busy")]
    hais = []
    for _ in range(STEPS):
        room, person = dice.choice(places), dice.choice(people)
        here = [hai for hai in hais if hai["room_id"] == room["id"]]
        match dice.choices(("send", "delete", "mark", "rejoin"), (12, 3, 1, 0.5))[0]:
            case "send":
                hais.append(await make_hai(core, person, room))
            case "delete" if here:
                hai = dice.choice(here)
                author = next(one for one in people if one.id == hai["user_id"])
                await order(core, author, "delete_hai", {"hai_id": hai["id"]})
            case "mark" if here:
                marked = {"room_id": room["id"], "hai_id": dice.choice(here)["id"]}
                await order(core, person, "mark_read", marked)
            case "rejoin" if person is not cast.ada:
                await order(core, person, "leave_room", {"room_id": room["id"]})
                await order(core, person, "join_room", {"room_id": room["id"]})
    for person in people:
        assert await counts(core, person) == plain_counts(person)
    numbers = execute("SELECT * FROM hai_numbers ORDER BY room_id, hai_id").fetchall()
    assert numbers == execute(NUMBERED).fetchall()
    assert len(numbers) > 2  # or it would say nothing


async def test_those_who_have_never_read_count_from_the_start(core, cast):
    sent = await talk(core, cast.ada, cast.lounge, 70)
    await order(core, cast.ada, "delete_hai", {"hai_id": sent[40]["id"]})
    assert (await counts(core, cast.linus))[cast.lounge["id"]] == 69
    await order(
        core,
        cast.linus,
        "mark_read",
        {"room_id": cast.lounge["id"], "hai_id": sent[68]["id"]},
    )
    assert (await counts(core, cast.linus))[cast.lounge["id"]] == 1


async def test_counting_ends_at_a_thousand(core, cast):
    await talk(core, cast.ada, cast.lounge, FAR - 1)
    assert (await counts(core, cast.linus))[cast.lounge["id"]] == FAR - 1
    await talk(core, cast.ada, cast.lounge, 2)
    assert (await counts(core, cast.linus))[cast.lounge["id"]] == 1_000


def instructions(core, run, *args):
    """How many of SQLite's virtual machine it takes, which is the same each time."""
    connection, count = core.db.engine.connection(), 0

    def step():
        nonlocal count
        count += 1

    connection.set_progress_handler(step, 1)
    try:
        run(*args)
    finally:
        connection.set_progress_handler(None, 1)
    return count


async def test_a_reader_far_behind_costs_hardly_more_than_one_who_is_up_to_date(core):
    """Each of the 3,000 unread hais used to take seven instructions."""
    ada, near, far = [await make_user(core) for _ in "123"]
    for _ in range(3):
        room = await make_room(core, ada, near, far)
        sent = await talk(core, ada, room, FAR)
        marked = {"room_id": room["id"], "hai_id": sent[-1]["id"]}
        await order(core, near, "mark_read", marked)
    up_to_date, behind = (
        instructions(core, first_state._for_user, core, person.id)
        for person in (near, far)
    )
    assert behind < up_to_date + 3 * FAR
