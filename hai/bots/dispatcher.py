"""From the bus to the bots, and their answers back as hais.

A bot hears the hais of people in direct rooms that it is a member of, and never
those of bots, so that two of them cannot talk for ever. Each has one bounded
queue and answers one hai at a time, off the path of the senders: to them a bot
costs one look into a dictionary.

An answer is sent as any user's hai, under a client_id made of the hai it answers,
so it cannot be stored twice. What waits here when the process ends stays
unanswered, and is not made up for at the next start: whoever asked will ask again,
and an answer after an hour would only puzzle.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from hai import errors
from hai.bots.base import Bot
from hai.core import accounts, first_state, orders
from hai.core.context import Core
from hai.core.sessions import Identity
from hai.events import HaiSent, RoomChanged, UserChanged
from hai.shapes import HaiObject, UserObject
from hai.storage import rooms

logger = logging.getLogger(__name__)

Queue = asyncio.Queue[HaiObject]  # of hais

DEADLINE_S = 5.0  # people take a pause of more than that for an end
QUEUE_LENGTH = 100  # Eliza answers 100 in well under a second
FULL = "So many are writing to me just now. Please tell me again in a minute."


class Dispatcher:
    """Knows which direct rooms have bots; loop thread only."""

    def __init__(
        self,
        core: Core,
        bots: Iterable[Bot],
        *,
        deadline_s: float = DEADLINE_S,
        queue_length: int = QUEUE_LENGTH,
    ) -> None:
        self.core = core
        self.bots = tuple(bots)
        self.deadline_s = deadline_s
        self.queue_length = queue_length
        self.desks: list[Desk] = []
        self.listening: dict[int, list[Desk]] = {}  # direct room id -> bots in it
        self.bot_ids: set[int] = set()  # all of the server's, not only ours

    async def start(self) -> None:
        """Make the bots' accounts if they are missing; listen from now on."""
        for bot in self.bots:
            user = await ensure_bot_user(self.core, bot)
            self.core.presence.connected(user["id"])  # bots are always in
            queue: Queue = asyncio.Queue(self.queue_length)
            self.desks.append(Desk(self.core, bot, user["id"], queue, self.deadline_s))
        self.core.bus.subscribe(UserChanged, self._user_changed)
        self.core.bus.subscribe(RoomChanged, self._room_changed)
        self.core.bus.subscribe(HaiSent, self._hai_sent)
        for user in await accounts.list_users(self.core):
            self._user_changed(UserChanged(user))
        for desk in self.desks:
            state = await first_state.for_user(self.core, desk.identity)
            for room in state["rooms"]:
                self._room_changed(RoomChanged(room))

    async def stop(self) -> None:
        """Drop what waits; whoever is thinking is not waited for."""
        for desk in self.desks:
            await desk.close()

    def _user_changed(self, event: UserChanged) -> None:
        if event.user["kind"] == "bot":
            self.bot_ids.add(event.user["id"])

    def _room_changed(self, event: RoomChanged) -> None:
        if event.room["kind"] != "direct":
            return
        members = event.room.get("member_ids", ())
        desks = [desk for desk in self.desks if desk.identity.user_id in members]
        if desks:
            self.listening[event.room["id"]] = desks

    def _hai_sent(self, event: HaiSent) -> None:
        if event.hai["user_id"] in self.bot_ids:
            return
        for desk in self.listening.get(event.hai["room_id"], ()):
            desk.put(event.hai)


class Desk:
    """One bot at work: its queue, and the task that takes from it."""

    def __init__(
        self, core: Core, bot: Bot, user_id: int, queue: Queue, deadline_s: float
    ) -> None:
        self.core = core
        self.bot = bot
        self.identity = Identity(user_id, session_id=0, role="member", kind="bot")
        self.deadline_s = deadline_s
        self.queue = queue
        self.tasks = {asyncio.create_task(self._work(), name=f"bot {bot.name}")}

    def put(self, hai: HaiObject) -> None:
        """Let the bot answer when it can; with a full queue, say so now."""
        try:
            self.queue.put_nowait(hai)
        except asyncio.QueueFull:
            task = asyncio.create_task(self._say(hai, FULL))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            hai = await self.queue.get()
            try:
                await self._answer(hai)
            except TimeoutError:
                logger.warning("%s took too long over a hai", self.bot.name)
            except Exception:
                logger.exception("%s failed on a hai", self.bot.name)

    async def _answer(self, hai: HaiObject) -> None:
        room_id = hai["room_id"]
        room = await self.core.db.read(rooms.find, room_id)
        await self._order("start_typing", {"room_id": room_id})
        async with asyncio.timeout(self.deadline_s):
            text = await self.bot.reply(hai, room)
        if text and text.strip():
            await self._say(hai, text)

    async def _say(self, hai: HaiObject, text: str) -> None:
        text = text[: self.core.config.max_text_chars]
        client_id = f"bot:{hai['id']}"
        order = {"room_id": hai["room_id"], "text": text, "client_id": client_id}
        await self._order("send_hai", order)

    async def _order(self, name: str, payload: dict[str, Any]) -> None:
        try:
            await orders.run(self.core, self.identity, name, payload)
        except errors.HaiError as error:
            logger.warning("%s could not %s: %s", self.bot.name, name, error.code)


async def ensure_bot_user(core: Core, bot: Bot) -> UserObject:
    """The user of this bot, made if it is missing.

    Where a person has its name, the bot goes by another.
    """
    users = {user["name"]: user for user in await accounts.list_users(core)}
    for name in (bot.name, f"{bot.name}-bot", f"{bot.name}-the-bot"):
        user = users.get(name)
        if user is None:
            return await accounts.add_user(
                core, name, display_name=bot.display_name, kind="bot"
            )
        if user["kind"] == "bot":
            return user
    raise errors.BadRequest(f"The names of the bot {bot.name} are taken.")
