"""Bots hear what they should and answer once, however they behave."""

import asyncio
from dataclasses import dataclass, field

import pytest

from hai.bots.dispatcher import (
    FULL,
    LOST,
    MAX_ANSWERS,
    Dispatcher,
    ensure_bot_user,
)
from hai.bots.eliza import Eliza
from hai.core.people import accounts
from hai.events import HaiSent, TypingStarted
from tests.factories import make_hai, make_user, order

PATIENCE_S = 30
NEVER_S = 600  # longer than any test waits


@dataclass
class Echo:
    """A bot that says what it hears; some words make it behave badly."""

    name: str = "echo"
    display_name: str = "Echo"
    heard: list = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def reply(self, hai, room):
        self.heard.append((hai["text"], room["kind"]))
        if hai["text"] == "hang":
            await asyncio.Event().wait()
        elif hai["text"] == "fail":
            raise RuntimeError("as it was told")
        elif hai["text"].startswith("wait"):
            await self.let_go.wait()
        elif hai["text"] == "nothing":
            return None
        return f"{hai['text']}!"


class Ear:
    """Hears what is told on the bus."""

    def __init__(self, bus):
        self.hais = []
        self.typing = []
        self.more = asyncio.Event()
        bus.subscribe(HaiSent, self.hear)
        bus.subscribe(TypingStarted, self.typing.append)

    def hear(self, event):
        self.hais.append(event.hai)
        self.more.set()

    def texts(self, user_id):
        return [hai["text"] for hai in self.hais if hai["user_id"] == user_id]

    async def until(self, user_id, count=1):
        """The first hais of this user, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.texts(user_id)) < count:
                self.more.clear()
                await self.more.wait()
        return [hai for hai in self.hais if hai["user_id"] == user_id]


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
def dispatcher(io_loop, core, echo):
    """Of bots that are never late and never given up, unless the test says so."""
    eliza = Eliza(late_s=NEVER_S, give_up_s=NEVER_S)
    dispatcher = Dispatcher(
        core, [echo, eliza], late_s=NEVER_S, give_up_s=NEVER_S, queue_length=2
    )
    io_loop.run_sync(dispatcher.start)
    yield dispatcher
    io_loop.run_sync(dispatcher.stop)


@pytest.fixture
def ear(core, dispatcher):
    return Ear(core.bus)


async def talk_with(core, person, name="echo"):
    """Return the bot's user id and the direct room with it."""
    bot = await accounts.user_named(core, name)
    ack = await order(core, person, "open_direct", {"user_ids": [bot["id"]]})
    return bot["id"], ack["room"]


async def test_eliza_is_a_user_who_answers_once(core, cast, ear):
    eliza_id, room = await talk_with(core, cast.ada, "eliza")
    asked = await make_hai(core, cast.ada, room, "Hello")
    (answer,) = await ear.until(eliza_id)
    assert answer["room_id"] == room["id"]
    assert answer["client_id"] == f"bot:{asked['id']}"
    user = await accounts.user_named(core, "eliza")
    assert (user["kind"], user["display_name"]) == ("bot", "Eliza")


async def test_a_bot_is_told_the_hai_and_its_room(core, cast, ear, echo):
    bot_id, room = await talk_with(core, cast.ada)
    await make_hai(core, cast.ada, room, "one")
    await make_hai(core, cast.ada, room, "nothing")
    await make_hai(core, cast.ada, room, "two")
    await ear.until(bot_id, 2)
    assert echo.heard == [(text, "direct") for text in ("one", "nothing", "two")]
    assert ear.texts(bot_id) == ["one!", "two!"]


async def test_the_room_sees_it_typing(core, cast, ear):
    bot_id, room = await talk_with(core, cast.ada)
    await make_hai(core, cast.ada, room, "one")
    await ear.until(bot_id)
    assert TypingStarted(room["id"], bot_id) in ear.typing


async def test_a_bot_hears_direct_rooms_only(core, cast, ear, echo):
    bot_id, room = await talk_with(core, cast.ada)
    await order(
        core, cast.ada, "add_member", {"room_id": cast.lounge["id"], "user_id": bot_id}
    )
    await make_hai(core, cast.ada, cast.lounge, "to all")
    await make_hai(core, cast.ada, cast.direct, "to grace")
    await make_hai(core, cast.ada, room, "to echo")
    await ear.until(bot_id)
    assert [text for text, _ in echo.heard] == ["to echo"]


async def test_bots_do_not_answer_bots(core, cast, ear, echo):
    robot = await make_user(core, "robot", kind="bot")
    bot_id, with_robot = await talk_with(core, robot)
    _, room = await talk_with(core, cast.ada)
    await make_hai(core, robot, with_robot, "from a bot")
    await make_hai(core, cast.ada, room, "from a person")
    await ear.until(bot_id)
    assert [text for text, _ in echo.heard] == ["from a person"]


async def test_two_bots_in_a_room_each_answer_the_person(core, cast, ear):
    eliza = await accounts.user_named(core, "eliza")
    echo = await accounts.user_named(core, "echo")
    ids = [eliza["id"], echo["id"]]
    ack = await order(core, cast.ada, "open_direct", {"user_ids": ids})
    await make_hai(core, cast.ada, ack["room"], "Hello")
    await ear.until(eliza["id"])
    await ear.until(echo["id"])
    await make_hai(core, cast.ada, ack["room"], "Bye")
    await ear.until(eliza["id"], 2)
    await ear.until(echo["id"], 2)
    assert len(ear.hais) == 6


async def test_a_late_answer_is_late_and_not_lost(
    core, cast, ear, echo, dispatcher, expect_log
):
    """The bot goes on beside it with what others said."""
    expect_log(r"echo was late: \d+\.\d s in the queue, \d+\.\d s over the answer")
    dispatcher.workers[0].late_s = 0
    bot_id, room = await talk_with(core, cast.ada)
    _, other_room = await talk_with(core, cast.grace)
    await make_hai(core, cast.ada, room, "wait")
    await make_hai(core, cast.grace, other_room, "next")
    await ear.until(bot_id)
    assert ear.texts(bot_id) == ["next!"]
    echo.let_go.set()
    await ear.until(bot_id, 2)
    assert ear.texts(bot_id) == ["next!", "wait!"]


async def test_late_answers_do_not_pile_up(
    core, cast, ear, echo, dispatcher, expect_log
):
    expect_log("echo was late")
    worker = dispatcher.workers[0]
    worker.late_s = 0
    bot_id, room = await talk_with(core, cast.ada)
    for number in range(MAX_ANSWERS + 2):
        await make_hai(core, cast.ada, room, f"wait {number}")
        while len(echo.heard) < min(number + 1, MAX_ANSWERS):
            await asyncio.sleep(0.01)
    await make_hai(core, cast.ada, room, "too much")
    await ear.until(bot_id)
    assert ear.texts(bot_id) == [FULL]
    assert (len(echo.heard), worker.queue.qsize()) == (MAX_ANSWERS, 2)
    echo.let_go.set()
    await ear.until(bot_id, MAX_ANSWERS + 3)
    assert sorted(ear.texts(bot_id)[1:]) == [f"wait {n}!" for n in range(6)]


async def test_a_bot_that_hangs_says_that_it_lost_the_thread(
    core, cast, ear, dispatcher, expect_log
):
    expect_log("echo found no end")
    dispatcher.workers[0].give_up_s = 0.05
    bot_id, room = await talk_with(core, cast.ada)
    asked = await make_hai(core, cast.ada, room, "hang")
    (answer,) = await ear.until(bot_id)
    assert (answer["text"], answer["client_id"]) == (LOST, f"bot:{asked['id']}")
    dispatcher.workers[0].give_up_s = NEVER_S
    await make_hai(core, cast.ada, room, "next")
    await ear.until(bot_id, 2)
    assert ear.texts(bot_id) == [LOST, "next!"]


async def test_bots_that_hang_do_not_keep_others_waiting_for_ever(
    core, cast, ear, echo, dispatcher, expect_log
):
    """All that a bot may think of at once is endless; each is given up in time."""
    expect_log("echo found no end")
    expect_log("echo was late")
    worker = dispatcher.workers[0]
    worker.late_s, worker.give_up_s = 0, 0.5
    bot_id, room = await talk_with(core, cast.ada)
    for number in range(MAX_ANSWERS):
        await make_hai(core, cast.ada, room, "hang")
        while len(echo.heard) <= number:
            await asyncio.sleep(0.01)
    await make_hai(core, cast.ada, room, "next")
    await ear.until(bot_id, MAX_ANSWERS + 1)
    assert sorted(ear.texts(bot_id)) == [LOST] * MAX_ANSWERS + ["next!"]


async def test_a_bot_that_fails_says_so_and_goes_on(core, cast, ear, expect_log):
    expect_log("echo failed on a hai")
    bot_id, room = await talk_with(core, cast.ada)
    await make_hai(core, cast.ada, room, "fail")
    await make_hai(core, cast.ada, room, "next")
    await ear.until(bot_id, 2)
    assert ear.texts(bot_id) == [LOST, "next!"]


async def test_a_full_queue_is_said_kindly(core, cast, ear, echo):
    bot_id, room = await talk_with(core, cast.ada)
    await make_hai(core, cast.ada, room, "wait")
    while not echo.heard:
        await asyncio.sleep(0.01)
    for text in ("one", "two", "too much"):
        await make_hai(core, cast.ada, room, text)
    await ear.until(bot_id)
    assert ear.texts(bot_id) == [FULL]
    echo.let_go.set()
    await ear.until(bot_id, 4)
    assert ear.texts(bot_id)[1:] == ["wait!", "one!", "two!"]


async def test_long_answers_are_cut(core, cast, ear):
    bot_id, room = await talk_with(core, cast.ada)
    limit = core.config.max_text_chars
    await make_hai(core, cast.ada, room, "x" * limit)
    (answer,) = await ear.until(bot_id)
    assert answer["text"] == "x" * limit


async def test_after_a_restart_it_knows_its_rooms(core, cast, ear, dispatcher):
    bot_id, room = await talk_with(core, cast.ada)
    await dispatcher.stop()
    again = Dispatcher(core, [Echo()], late_s=NEVER_S)
    await again.start()
    try:
        await make_hai(core, cast.ada, room, "back?")
        await ear.until(bot_id)
    finally:
        await again.stop()
    assert ear.texts(bot_id) == ["back?!"]


async def test_it_stops_while_a_bot_thinks(core, cast, ear, echo, dispatcher):
    bot_id, room = await talk_with(core, cast.ada)
    await make_hai(core, cast.ada, room, "hang")
    while not echo.heard:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(PATIENCE_S):
        await dispatcher.stop()
    assert ear.texts(bot_id) == []


async def test_a_bot_whose_name_is_taken_goes_by_another(core, cast):
    await make_user(core, "marvin")
    marvin = Echo("marvin", "Marvin")
    user = await ensure_bot_user(core, marvin)
    assert (user["name"], user["kind"]) == ("marvin-bot", "bot")
    assert await ensure_bot_user(core, marvin) == user | {"presence": "offline"}


async def test_everybody_finds_eliza_and_she_answers_live(app, core, cast, any_socket):
    """Through a whole server, over each transport."""
    app.bots.workers[0].late_s = app.bots.bots[0].threads.late_s = NEVER_S
    socket = await any_socket(cast.grace)
    eliza = await accounts.user_named(core, "eliza")
    ack = await socket.order("open_direct", {"user_ids": [eliza["id"]]})
    room_id = ack["room"]["id"]
    order = {"room_id": room_id, "text": "Hello", "client_id": "c1"}
    await socket.order("send_hai", order)
    typing = await socket.fact("typing_started")
    assert typing == {"room_id": room_id, "user_id": eliza["id"]}
    answer = await socket.fact("hai_sent")
    if answer["hai"]["user_id"] == cast.grace.id:  # one's own comes back first
        answer = await socket.fact("hai_sent")
    assert answer["hai"]["user_id"] == eliza["id"]
    assert answer["hai"]["text"]
