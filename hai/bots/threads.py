"""Threads for calls that may be late or never return.

An executor would wait for its threads when the process ends, and has only a few to
lose. Here each call gets a daemon thread. A thread cannot be stopped: one that hangs is
left behind, and after a few of those no more are started.

On a busy machine a call may take a hundred times as long as it should. So there are two
limits: after `late_s` the next call may start alongside it, and the log says in the end
where the time went; after `give_up_s` nobody waits for it any longer.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from hai import clock

logger = logging.getLogger(__name__)

MAX_THREADS = 4  # alive at once, the hung ones included


class TooManyThreads(Exception):
    """All threads hang, so no other was started."""


class Call:
    """A function to be run once in a thread of its own, with timestamps."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.is_given_up = False
        self.asked_s = clock.monotonic_s()
        self.started_s = self.began_s = self.ended_s = self.processor_s = 0.0
        self.outcome: Future[tuple[Any, Exception | None]] = Future()
        self.outcome.set_running_or_notify_cancel()  # nobody can cancel it now

    def start(self, name: str) -> None:
        self.started_s = clock.monotonic_s()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        self.began_s, processor_s = clock.monotonic_s(), time.thread_time()
        result, error = None, None
        try:
            result = self.function(*self.args)
        except Exception as raised:
            error = raised
        self.processor_s = time.thread_time() - processor_s
        self.ended_s = clock.monotonic_s()
        self.outcome.set_result((result, error))

    def where_time_went(self) -> str:
        """For a call that has ended, when the loop learns of it."""
        return (
            f"{self.started_s - self.asked_s:.1f} s waiting for others,"
            f" {self.began_s - self.started_s:.1f} s until its thread ran,"
            f" {self.ended_s - self.began_s:.1f} s in it"
            f" ({self.processor_s:.1f} s of processor time),"
            f" {clock.monotonic_s() - self.ended_s:.1f} s until the loop heard"
        )


class Threads:
    """Runs plain functions off the loop, one at a time unless one is late."""

    def __init__(self, name: str, *, late_s: float, give_up_s: float) -> None:
        self.name = name
        self.late_s = late_s
        self.give_up_s = give_up_s
        self.turn = asyncio.Lock()
        self.calls: list[Call] = []  # that were started; the ended ones go in time

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns or raises. Loop thread.

        Raises TimeoutError after `give_up_s`, and TooManyThreads. When the caller is
        cancelled it continues at once, and the thread goes on alone.
        """
        call = Call(function, args)
        try:
            async with asyncio.timeout(self.give_up_s):
                async with self.turn:
                    await self._start(call)
                    await _any_ended([call], self.late_s)
                result, error = await asyncio.wrap_future(call.outcome)
        except (asyncio.CancelledError, TimeoutError):
            call.is_given_up = True
            raise
        self._say_if_late(call)
        if error is not None:
            raise error
        return result

    async def _start(self, call: Call) -> None:
        """As soon as a thread is available."""
        while len(alive := self._alive()) >= MAX_THREADS:
            if all(one.is_given_up for one in alive):
                raise TooManyThreads
            await _any_ended(alive)
        self.calls = [*alive, call]
        call.start(self.name)

    def _alive(self) -> list[Call]:
        return [call for call in self.calls if not call.outcome.done()]

    def _say_if_late(self, call: Call) -> None:
        took_s = clock.monotonic_s() - call.asked_s
        if took_s > self.late_s:
            why = call.where_time_went()
            logger.warning("%s took %.1f s: %s", self.name, took_s, why)


async def _any_ended(calls: Iterable[Call], timeout_s: float | None = None) -> None:
    """Wait until one of the calls has ended, or until the timeout."""
    outcomes = [asyncio.wrap_future(call.outcome) for call in calls]
    try:
        await asyncio.wait(
            outcomes, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for outcome in outcomes:
            outcome.cancel()
