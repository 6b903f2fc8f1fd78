"""Work in slices: one user's is not another's delay, and the loop goes on meanwhile."""

import asyncio

import pytest

from hai.core.pictures.arriving import receiver_to, sink_for
from hai.core.turns import Turns, do
from tests.blocks import made_of
from tests.pictures import picture

ADA, GRACE = 1, 2
AN_HOUR_S = 3600


def steps(count, log, name):
    for _ in range(count):
        log.append(name)
        yield
    return name


def one_step_turns():
    """Each slice is one step, however fast the machine is."""
    return Turns(slice_s=0, rest_s=0)


class Ticks:
    """How often the loop went round."""

    def __init__(self):
        self.count = 0

    async def __aenter__(self):
        self.task = asyncio.create_task(self.go_round())
        return self

    async def go_round(self):
        while True:
            self.count += 1
            await asyncio.sleep(0)

    async def __aexit__(self, *about):
        self.task.cancel()


async def test_it_returns_what_the_work_returns():
    assert await one_step_turns().run(ADA, steps(5, [], "done")) == "done"
    assert do(steps(5, [], "done")) == "done"


async def test_what_the_work_raises_is_raised_and_others_go_on():
    def failing():
        yield
        raise ValueError

    turns = one_step_turns()
    other = asyncio.create_task(turns.run(GRACE, steps(9, [], "done")))
    with pytest.raises(ValueError):
        await turns.run(ADA, failing())
    assert await other == "done"


async def test_the_loop_goes_round_between_any_two_slices():
    turns, log = one_step_turns(), []
    async with Ticks() as ticks:
        await turns.run(ADA, steps(200, log, "ada"))
    assert turns.slice_count >= 200
    assert ticks.count >= 200


async def test_what_is_soon_over_waits_for_nobody():
    async with Ticks() as ticks:
        await Turns(AN_HOUR_S).run(ADA, steps(200, [], "ada"))
        assert ticks.count == 0


async def test_ten_of_one_user_share_one_turn():
    """Between two steps of grace's there is never more than one of all ada's."""
    turns, log = one_step_turns(), []
    hers = [
        asyncio.create_task(turns.run(ADA, steps(100, log, "ada"))) for _ in range(10)
    ]
    await asyncio.sleep(0)
    await turns.run(GRACE, steps(20, log, "grace"))
    assert not any(task.done() for task in hers)
    first = log.index("grace")
    assert log[first:][:39] == [*["grace", "ada"] * 19, "grace"]
    await asyncio.gather(*hers)
    assert log.count("ada") == 1000


async def test_of_one_user_each_goes_on_in_its_turn():
    turns, log = one_step_turns(), []
    await asyncio.gather(*(turns.run(ADA, steps(20, log, n)) for n in range(5)))
    assert log == [*range(5)] * 20


@pytest.mark.parametrize("when", ["before its turn", "in its turn"])
async def test_who_is_gone_keeps_nobody_waiting(when):
    turns, log = one_step_turns(), []
    gone = asyncio.create_task(turns.run(ADA, steps(1000, log, "ada")))
    other = asyncio.create_task(turns.run(GRACE, steps(30, log, "grace")))
    await asyncio.sleep(0)
    if when == "in its turn":
        turns._begin_slice()  # woken, and has not run yet
    gone.cancel()
    assert await asyncio.wait_for(other, 30) == "grace"


async def test_a_small_picture_is_there_before_ten_hostile_ones(core, cast):
    core.turns = one_step_turns()
    tables, small = made_of("tables of a JPEG", 3_000), picture()
    hers = [arriving(core, cast.ada, cast.lounge) for _ in range(10)]
    mine = arriving(core, cast.grace, cast.lounge)
    for upload in (*hers, mine):
        await upload.feed(b"")  # how much room there is has been read
    tasks = [asyncio.create_task(upload.feed(tables)) for upload in hers]
    await asyncio.sleep(0)
    began = core.turns.slice_count
    await mine.feed(small)
    assert not any(task.done() for task in tasks)
    assert core.turns.slice_count - began < 100
    await asyncio.gather(*tasks)


async def test_others_go_on_while_nothing_is_stored(core, cast):
    """Of a text without end in a PNG, which is left out."""
    upload = arriving(core, cast.ada, cast.lounge)
    await upload.feed(picture()[:33] + (2**30).to_bytes(4, "big") + b"zTXt")
    async with Ticks() as ticks:
        for _ in range(50):
            await upload.feed(bytes(64 * 1024))
        assert ticks.count >= 50
    assert upload.sink.picture_id == 0


def arriving(core, who, room):
    return receiver_to(sink_for(core, who.identity, room["id"], "sea.png"))
