"""`/eliza`: the lecture's chatbot, on plain `message` events.

The client sends `message` with a string or `{text}` and gets exactly one `message` back
in the same form. What Eliza says is decided elsewhere: app.py passes in `reply`,
because edges do not import one another.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from hai import errors
from hai.realtime.namespace import ClientNamespace, Future
from hai.realtime.orders import OrderRunner
from hai.realtime.orders import Reply as Acknowledge
from hai.realtime.wire.engine import EngineSocket

MAX_CHARS = 10_000  # longer input is cut
MAX_WAITING = 16  # messages of one sid; then the next packet waits

# (who is talking, what they said) -> the answer. Never raises.
Reply = Callable[[str, str], Awaitable[str]]

logger = logging.getLogger(__name__)


class ElizaNamespace(ClientNamespace):
    """One answer per message, in the order of the messages."""

    def __init__(self, reply: Reply, runner: OrderRunner) -> None:
        super().__init__("/eliza")
        self.reply = reply
        self.runner = runner
        self._last: dict[str, asyncio.Task[None]] = {}  # sid -> its newest answer
        self._waiting: Counter[str] = Counter()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still outstanding."""
        return bool(self._waiting)

    async def on_message(self, sid: str, *said: Any) -> None:
        """The lecture's handler: a message comes in, the answer goes out."""
        await self.send(await self.answer(sid, said), to=sid)

    async def answer(self, sid: str, said: tuple[Any, ...]) -> Any:
        """A string for a string, `{text}` for `{text}`, else `{error}`."""
        try:
            identity = self.runner.admit(self.socket_of(sid))
            text, is_object = _text_of(said)
            heard = text[:MAX_CHARS]
            reply = await self.reply(f"user:{identity.user_id}", heard)
        except errors.HaiError as error:
            return {"error": error.as_dict()}
        except Exception:
            logger.exception("Eliza failed")
            return {"error": errors.Busy().as_dict()}
        return {"text": reply} if is_object else reply

    def take_event(
        self,
        socket: EngineSocket,
        sid: str,
        name: Any,
        args: list[Any],
        reply: Acknowledge,
    ) -> Future | None:
        if name != "message":
            reply({"error": errors.UnknownOrder().as_dict()})
            return None
        task = self.server.eio.run(self._in_turn(self._last.get(sid), sid, args))
        task.add_done_callback(lambda _: reply({}))
        self._last[sid] = task
        self._waiting[sid] += 1
        return task if self._waiting[sid] >= MAX_WAITING else None

    async def _in_turn(
        self, before: "asyncio.Task[None] | None", sid: str, args: list[Any]
    ) -> None:
        """Runs after the answer before it has finished."""
        if before is not None and not before.done():
            await asyncio.wait([before])
        try:
            await self.on_message(sid, *args)
        finally:
            self._waiting[sid] -= 1
            if not self._waiting[sid]:
                del self._waiting[sid]
                self._last.pop(sid, None)


def _text_of(said: tuple[Any, ...]) -> tuple[str, bool]:
    """(text, whether it came as an object). Raises BadRequest."""
    if len(said) == 1:
        if isinstance(said[0], str):
            return said[0], False
        if isinstance(said[0], dict) and isinstance(said[0].get("text"), str):
            return said[0]["text"], True
    raise errors.BadRequest("Say a string or {text}.")
