"""Long work on the loop: in slices, users in turn, and everybody else in between.

Parsing a picture that was crafted to be slow takes a hundred milliseconds per MiB. Such
work is a generator here, which yields wherever it may be paused: after a step of a few
microseconds, or a run of small ones of less than a millisecond. It is paused when
SLICE_S is used up; then the loop has as long for everything else, and the writer and
reader threads get the GIL. All work of one user has one place in the queue: ten uploads
together are no faster than one, and nobody waits for more than one slice of each other
user. Loop thread only.
"""

import asyncio
import time
from collections import deque
from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Work = Generator[object, None, Result]

SLICE_S = 0.002
REST_S = 0.002  # an idle loop releases the GIL; a single turn of it does not


class Turns:
    """`run` work for a user. An ordinary picture never waits: it takes 0.1 ms.

    slice_count: how often some work was continued, for tests.
    """

    def __init__(self, slice_s: float = SLICE_S, rest_s: float = REST_S) -> None:
        self.slice_s = slice_s
        self.rest_s = rest_s
        self.slice_count = 0
        self._left_s = slice_s  # of the current slice, whoever uses it
        self._rest: asyncio.TimerHandle | None = None
        # user_id -> what of theirs waits, and users in the order of their turns
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}

    async def run(self, user_id: int, work: Work[Result]) -> Result:
        """Do all of it; returns or raises what it does."""
        is_new = True
        while True:
            if not is_new or self._left_s <= 0 or self._waiting:
                await self._wait(user_id)
            is_new = False
            try:
                self._slice(work)
            except StopIteration as over:
                result: Result = over.value
                return result

    def _slice(self, work: Work[Result]) -> None:
        """Raises StopIteration when it is over."""
        self.slice_count += 1
        began_s = time.perf_counter()
        until_s = began_s + self._left_s
        try:
            next(work)
            while time.perf_counter() < until_s:
                next(work)
        finally:
            self._use(time.perf_counter() - began_s)

    def _use(self, used_s: float) -> None:
        self._left_s -= used_s
        if self._left_s > 0:
            self._rest_once()
            self._wake()
            return
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._rest_once()

    def _rest_once(self) -> None:
        if self._rest is None:
            loop = asyncio.get_running_loop()
            self._rest = loop.call_later(self.rest_s, self._begin_slice)

    def _begin_slice(self) -> None:
        self._rest = None
        self._left_s = self.slice_s
        self._wake()

    async def _wait(self, user_id: int) -> None:
        self._rest_once()  # which wakes the first
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._wake()  # its turn had come: pass it on
            raise

    def _wake(self) -> None:
        """The longest waiting work of the next user, who then goes to the end."""
        while self._waiting:
            user_id = next(iter(self._waiting))
            theirs = self._waiting.pop(user_id)
            turn = theirs.popleft()
            if theirs:
                self._waiting[user_id] = theirs
            if not turn.done():
                turn.set_result(None)
                return


def do(work: Work[Result]) -> Result:
    """All of it at once. (any thread)"""
    while True:
        try:
            next(work)
        except StopIteration as over:
            result: Result = over.value
            return result
