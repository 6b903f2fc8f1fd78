"""A frame of a video, to show before it plays; where ffmpeg is on the PATH.

Some videos say only at their end where their frames are, so the whole file is
given to ffmpeg, in the data folder but under no name. What ffmpeg makes of it is
a picture like one that was uploaded, and goes through the same process.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator

from hai import children
from hai.core.context import Core
from hai.core.pictures import poster_child, stored
from hai.paths import ROOT

ANSWER_S = 240.0  # on the clock, for what hangs; as in thumbnail_child.py
MAX_POSTER_BYTES = 4 * 1024 * 1024  # 640x640 in noise is 1.2 MiB as PNG
LATEST_MS = 1000  # many videos begin in black


def find_ffmpeg() -> str | None:
    return shutil.which("ffmpeg")


async def make(
    core: Core, ffmpeg: str, picture_id: int, type_: str, byte_count: int, lasts_ms: int
) -> bytes | None:
    """A frame as PNG, or None: the video was too much for ffmpeg.

    Raises NotFound when the video was deleted meanwhile.
    """
    if not _has_room(core, byte_count):
        return None
    at_ms = min(LATEST_MS, lasts_ms // 10)
    try:
        with tempfile.TemporaryFile(dir=core.config.data, buffering=0) as file:
            async for chunk in stored.read(core, picture_id, 0, byte_count):
                await asyncio.to_thread(file.write, chunk)
            about = poster_child.arguments(ffmpeg, type_, at_ms, file.fileno())
            return await _run(about, file.fileno())
    except OSError:
        return None  # the disk is full


def _has_room(core: Core, byte_count: int) -> bool:
    disk = os.statvfs(core.config.data)
    return disk.f_bavail * disk.f_frsize - byte_count > core.config.min_free_bytes


async def _run(about: list[str], file: int) -> bytes | None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", poster_child.__name__, *about),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        env={"PYTHONPATH": str(ROOT)},  # ours may hold secrets
        pass_fds=(file,),
        start_new_session=True,
    )
    handle = children.hold(process.pid)
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _answer(process)
    except TimeoutError:
        return None
    finally:
        children.end(handle)
        await process.wait()


async def _answer(process: Process) -> bytes | None:
    assert process.stdout is not None
    poster = bytearray()
    while piece := await process.stdout.read(65536):
        poster += piece
        if len(poster) > MAX_POSTER_BYTES:
            return None
    return bytes(poster) if await process.wait() == 0 and poster else None


async def in_one(content: bytes) -> AsyncIterator[bytes]:
    yield content
