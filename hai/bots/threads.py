"""Threads for answers that might never come.

An executor would wait for its threads when the process ends, and has only so many
of them to lose. Here each call gets a daemon thread; one that hangs is left behind,
and after a few of those nothing more is started. It cannot stop a thread.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

MAX_THREADS = 4  # at once, the hung ones included


class TooManyThreads(Exception):
    """So many calls are under way, or hung, that no other was started."""


class Threads:
    """Runs plain functions off the loop, a few at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.running: set[threading.Thread] = set()

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns or raises. Raises TooManyThreads.

        When the caller is cancelled, it goes on at once and the thread alone.
        """
        self.running = {thread for thread in self.running if thread.is_alive()}
        if len(self.running) >= MAX_THREADS:
            raise TooManyThreads
        outcome: Future[Any] = Future()
        outcome.set_running_or_notify_cancel()  # from here on nobody can cancel it

        def call() -> None:
            try:
                outcome.set_result(function(*args))
            except Exception as error:
                outcome.set_exception(error)

        thread = threading.Thread(target=call, name=self.name, daemon=True)
        self.running.add(thread)
        thread.start()
        return await asyncio.wrap_future(outcome)
