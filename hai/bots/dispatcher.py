"""From the bus to the bots, and their replies back as hais.

A bot receives the hais of people in direct rooms that it is a member of, and never
those of bots, so two of them cannot talk to each other endlessly. Each bot has one
bounded queue and answers one hai at a time, without delaying the senders: for them a
bot costs one dictionary lookup.

To a person, silence means that the conversation is over, so each hai that reaches a bot
gets its answer, however busy the machine is. A late answer is sent when it is ready;
meanwhile the bot goes on with the next hai, so that one slow answer does not delay all
others. After 90 seconds an answer is considered stuck: it is cancelled, and the bot
says that it lost the thread.

An answer is sent like any user's hai, under a client_id derived from the hai it
answers, so it cannot be stored twice. Hais still waiting here when the process ends
stay unanswered after the next start: the person will have asked again, and an answer
after an hour would only be confusing.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from hai import clock, errors
from hai.bots.base import Bot
from hai.core import orders
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.people import accounts
from hai.core.talk import first_state
from hai.events import HaiSent, RoomChanged, UserChanged
from hai.shapes import HaiObject, UserObject
from hai.storage import rooms

logger = logging.getLogger(__name__)

Task = asyncio.Task[None]
Queue = asyncio.Queue[tuple[HaiObject, float]]  # hais, and since when they wait

LATE_S = 5.0  # after a longer pause people think the conversation is over
GIVE_UP_S = 90.0  # a busy machine may need a minute for a millisecond of work
MAX_ANSWERS = 4  # of one bot at a time: the late ones and the next
QUEUE_LENGTH = 100  # Eliza answers 100 in well under a second
FULL = "So many are writing to me just now. Please tell me again in a minute."
LOST = "Sorry, I lost the thread there. Please tell me again."


class Dispatcher:
    """Knows which direct rooms have bots; loop thread only."""

    def __init__(
        self,
        core: Core,
        bots: Iterable[Bot],
        *,
        late_s: float = LATE_S,
        give_up_s: float = GIVE_UP_S,
        queue_length: int = QUEUE_LENGTH,
    ) -> None:
        self.core = core
        self.bots = tuple(bots)
        self.late_s = late_s
        self.give_up_s = give_up_s
        self.queue_length = queue_length
        self.workers: list[BotWorker] = []
        self.listening: dict[int, list[BotWorker]] = {}  # direct room id -> bots in it
        self.bot_ids: set[int] = set()  # of all bots on the server, not only ours

    async def start(self) -> None:
        """Create missing bot accounts; listen from now on."""
        for bot in self.bots:
            user = await ensure_bot_user(self.core, bot)
            self.core.presence.connected(user["id"])  # bots are always in
            self.workers.append(BotWorker(self, bot, user["id"]))
        self.core.bus.subscribe(UserChanged, self._user_changed)
        self.core.bus.subscribe(RoomChanged, self._room_changed)
        self.core.bus.subscribe(HaiSent, self._hai_sent)
        for user in await accounts.list_users(self.core):
            self._user_changed(UserChanged(user))
        for worker in self.workers:
            state = await first_state.for_user(self.core, worker.identity)
            for room in state["rooms"]:
                self._room_changed(RoomChanged(room))

    async def stop(self) -> None:
        """Drop the queues; answers in progress are cancelled."""
        for worker in self.workers:
            await worker.close()

    def _user_changed(self, event: UserChanged) -> None:
        if event.user["kind"] == "bot":
            self.bot_ids.add(event.user["id"])

    def _room_changed(self, event: RoomChanged) -> None:
        if event.room["kind"] != "direct":
            return
        members = event.room.get("member_ids", ())
        workers = [
            worker for worker in self.workers if worker.identity.user_id in members
        ]
        if workers:
            self.listening[event.room["id"]] = workers

    def _hai_sent(self, event: HaiSent) -> None:
        if event.hai["user_id"] in self.bot_ids:
            return
        for worker in self.listening.get(event.hai["room_id"], ()):
            worker.put(event.hai)


class BotWorker:
    """One bot: its queue, and the task that works through it."""

    def __init__(self, dispatcher: Dispatcher, bot: Bot, user_id: int) -> None:
        self.core = dispatcher.core
        self.bot = bot
        self.identity = Identity(user_id, session_id=0, role="member", kind="bot")
        self.late_s = dispatcher.late_s
        self.give_up_s = dispatcher.give_up_s
        self.queue: Queue = asyncio.Queue(dispatcher.queue_length)
        self.answers: set[Task] = set()
        self.tasks: set[Task] = set()  # all of them, to be cancelled at the end
        self._spawn(self._run())

    def put(self, hai: HaiObject) -> None:
        """Queue a hai for the bot; with a full queue, say so now."""
        try:
            self.queue.put_nowait((hai, clock.monotonic_s()))
        except asyncio.QueueFull:
            self._spawn(self._say(hai, FULL))

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Task:
        task = asyncio.create_task(work, name=f"bot {self.bot.name}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _run(self) -> None:
        while True:
            hai, asked_s = await self.queue.get()
            answer = self._spawn(self._answer(hai, asked_s))
            self.answers.add(answer)
            answer.add_done_callback(self.answers.discard)
            await asyncio.wait([answer], timeout=self.late_s)
            while len(self.answers) >= MAX_ANSWERS:
                await asyncio.wait(self.answers, return_when=asyncio.FIRST_COMPLETED)

    async def _answer(self, hai: HaiObject, asked_s: float) -> None:
        """One answer, unless the bot has nothing to say. Never raises."""
        began_s = clock.monotonic_s()
        text = await self._ask_bot(hai)
        if text and text.strip():
            await self._say(hai, text)
        now_s = clock.monotonic_s()
        if now_s - asked_s > self.late_s:
            logger.warning(
                "%s was late: %.1f s in the queue, %.1f s over the answer",
                self.bot.name,
                began_s - asked_s,
                now_s - began_s,
            )

    async def _ask_bot(self, hai: HaiObject) -> str | None:
        room_id = hai["room_id"]
        try:
            room = await self.core.db.read(rooms.find, room_id)
            await self._order("start_typing", {"room_id": room_id})
            async with asyncio.timeout(self.give_up_s):
                return await self.bot.reply(hai, room)
        except TimeoutError:
            logger.warning("%s found no end over a hai", self.bot.name)
        except Exception:
            logger.exception("%s failed on a hai", self.bot.name)
        return LOST

    async def _say(self, hai: HaiObject, text: str) -> None:
        text = text[: self.core.config.max_text_chars]
        client_id = f"bot:{hai['id']}"
        order = {"room_id": hai["room_id"], "text": text, "client_id": client_id}
        await self._order("send_hai", order)

    async def _order(self, name: str, payload: Mapping[str, object]) -> None:
        try:
            await orders.run(self.core, self.identity, name, payload)
        except errors.HaiError as error:
            logger.warning("%s could not %s: %s", self.bot.name, name, error.code)
        except Exception:
            logger.exception("%s could not %s", self.bot.name, name)


async def ensure_bot_user(core: Core, bot: Bot) -> UserObject:
    """The user of this bot, created if it is missing.

    If a person already has its name, the bot gets another one.
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
