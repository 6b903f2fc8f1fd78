"""The process that makes thumbnails, seen from the server.

Started when there is something to make and ended when there is not; ended the
hard way when a picture takes it too long. It gets no environment of ours, and
a picture's bytes as they are read from the database, chunk by chunk.
"""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hai import children
from hai.core.pictures import thumbnails
from hai.paths import ROOT

START_S = 60.0  # 0.1 s, or much longer on a small board that has just begun
# On the clock, for what hangs. It is nice: with all cores busy its own limit of
# processor time may take minutes, and that it had to wait is no fault of a picture's.
ANSWER_S = 180.0
END_S = 30.0  # between its last word and its end
OWN_SIGNALS = (  # its limit of processor time, and what a decoder's faults end in
    signal.SIGXCPU,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)
MAX_ANSWER_BYTES = 2 * 1024 * 1024  # 640x640 in noise is 0.5 MiB


class ChildFailed(Exception):
    """It did not start: nothing is known of the picture."""


class ChildKilled(Exception):
    """It was ended from outside: nothing is known of the picture."""


@dataclass(frozen=True, slots=True)
class MadeThumbnail:
    """What was made of a picture. width 0: only its blur is of use, if that."""

    width: int
    height: int
    blur: str
    content: bytes


class ThumbnailChild:
    """At most one process; use it for one picture at a time."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._handle: int | None = None  # of the process, a pidfd

    @property
    def pid(self) -> int:
        """0: it is not running."""
        return self._process.pid if self._process else 0

    async def make(
        self,
        type_: str,
        byte_count: int,
        chunks: AsyncIterator[bytes],
        *,
        is_avatar: bool = False,
    ) -> MadeThumbnail | None:
        """The thumbnail, or None: the picture was too much for the child.

        Raises ChildFailed, ChildKilled, and what reading `chunks` raises.
        """
        question = thumbnails.ask(type_, byte_count, is_avatar=is_avatar)
        process = await self._start()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._ask(process, question, chunks)
        except (TimeoutError, ValueError):
            await self.stop()
            return None
        except (asyncio.IncompleteReadError, OSError):
            ended_by = await self._ended_by(process)
            await self.stop()
            if ended_by and ended_by not in OWN_SIGNALS:
                raise ChildKilled(f"thumbnails: ended by signal {ended_by}") from None
            return None
        except BaseException:
            await self.stop()  # it waits for the rest of a picture
            raise

    async def stop(self) -> None:
        """End it, if it runs."""
        process, self._process = self._process, None
        handle, self._handle = self._handle, None
        if process is None:
            return
        children.end(handle)
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()

    async def _ended_by(self, process: Process) -> int:
        """The signal that has ended it, now that it has hung up; 0: none has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await process.wait()
        return max(0, -(process.returncode or 0))

    async def _start(self) -> Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self.stop()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", thumbnails.__name__),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd="/",
                env={"PYTHONPATH": str(ROOT)},  # ours may hold secrets
                start_new_session=True,
                limit=MAX_ANSWER_BYTES,
            )
            self._handle = children.hold(process.pid)
            assert process.stdout is not None
            async with asyncio.timeout(START_S):
                await process.stdout.readexactly(len(thumbnails.READY))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            await self.stop()
            raise ChildFailed("the process for thumbnails does not start") from error
        return process

    async def _ask(
        self, process: Process, question: bytes, chunks: AsyncIterator[bytes]
    ) -> MadeThumbnail | None:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(question)
        async for chunk in chunks:
            process.stdin.write(chunk)
            await process.stdin.drain()
        header = await process.stdout.readexactly(thumbnails.ANSWER.size)
        width, height, blur_length, length = thumbnails.ANSWER.unpack(header)
        if blur_length + length > MAX_ANSWER_BYTES:
            raise ValueError("that is no answer")
        content = await process.stdout.readexactly(blur_length + length)
        if not width:
            return None
        blur = content[:blur_length].decode("ascii")
        return MadeThumbnail(width, height, blur, content[blur_length:])
