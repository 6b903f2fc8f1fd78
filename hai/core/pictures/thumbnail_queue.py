"""Which pictures want a thumbnail, and what becomes of the ones that are made.

The queue is the table itself: whole pictures that none was tried for. So what
was missed while Hai was not running is made when it runs, the newest first,
and what was tried is never tried again, however it ended; but of a child that
somebody else has killed nothing is learnt, so that picture has one more try. One
whose bytes the disk has spoiled is dropped and made again. A thumbnail that is
ready before its picture is sent travels with the hai; otherwise the hai is
told again when it has it. A video's is made of one of its frames, by ffmpeg;
where that is missing, videos wait for a start of Hai that finds it.
"""

import asyncio
import logging

from hai.core.context import Core
from hai.core.pictures import posters, stored
from hai.core.pictures.arriving import PictureStored
from hai.core.pictures.stored import ThumbnailDamaged
from hai.core.pictures.thumbnail_child import (
    ChildFailed,
    ChildKilled,
    MadeThumbnail,
    ThumbnailChild,
)
from hai.core.pictures.thumbnails import MAX_PICTURE_BYTES, TYPE
from hai.core.talk import hais
from hai.errors import HaiError, NotFound, PictureDamaged
from hai.storage import hais as hai_rows
from hai.storage import thumbnails as rows
from hai.storage.writer import Transaction

logger = logging.getLogger(__name__)

IDLE_S = 10.0  # the child takes 25 MiB; starting it again 0.15 s
RETRY_S = 60.0  # after a failure that was not the picture's


class ThumbnailQueue:
    """One task and, while there is something to do, one child process."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.child = ThumbnailChild()
        self.ffmpeg = posters.find_ffmpeg()
        self.is_resting = False  # everything that was due is tried
        self._is_needed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._killed_at = 0  # the picture at which the child was killed last
        self._damaged: set[int] = set()  # ids of pictures
        core.bus.subscribe(PictureStored, self._hear)
        core.bus.subscribe(ThumbnailDamaged, self._hear_of_damage)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="thumbnails")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.child.stop()

    def _hear(self, event: PictureStored) -> None:
        self._is_needed.set()

    def _hear_of_damage(self, event: ThumbnailDamaged) -> None:
        self._damaged.add(event.picture_id)
        self._is_needed.set()

    async def _run(self) -> None:
        while True:
            self._is_needed.clear()
            try:
                while self._damaged:
                    await self.core.db.write(_drop, self._damaged.pop())
                while picture := await self._find_untried():
                    await self._make(*picture)
            except (ChildFailed, HaiError) as error:
                if self.core.db.writer.failure is None:  # that has a line of its own
                    logger.warning("no thumbnails for now: %s", error)
                await self.child.stop()
                await asyncio.sleep(RETRY_S)
                continue
            await self._rest()

    async def _find_untried(self) -> tuple[int, str, int, int] | None:
        return await self.core.db.read(rows.find_untried, self.ffmpeg is not None)

    async def _rest(self) -> None:
        self.is_resting = True
        try:
            async with asyncio.timeout(IDLE_S):
                await self._is_needed.wait()
        except TimeoutError:
            await self.child.stop()
            await self._is_needed.wait()
        self.is_resting = False

    async def _make(
        self, picture_id: int, type_: str, byte_count: int, lasts_ms: int
    ) -> None:
        made: MadeThumbnail | None = None
        try:
            if type_.startswith("video/"):
                made = await self._make_poster(picture_id, type_, byte_count, lasts_ms)
            elif byte_count <= MAX_PICTURE_BYTES:
                chunks = stored.read(self.core, picture_id, 0, byte_count)
                made = await self.child.make(type_, byte_count, chunks)
        except (NotFound, PictureDamaged):
            pass  # it was deleted meanwhile, or spoiled
        except ChildKilled as error:
            logger.warning("picture %s: %s", picture_id, error)
            if self._killed_at != picture_id:
                self._killed_at = picture_id
                return  # it is still untried
        size = len(made.content) if made else 1
        await self.core.db.write_chunk(_store, picture_id, made, chunk_bytes=size)

    async def _make_poster(
        self, picture_id: int, type_: str, byte_count: int, lasts_ms: int
    ) -> MadeThumbnail | None:
        assert self.ffmpeg is not None
        about = (picture_id, type_, byte_count, lasts_ms)
        frame = await posters.make(self.core, self.ffmpeg, *about)
        if frame is None:
            return None
        chunks = posters.in_one(frame)
        return await self.child.make("image/png", len(frame), chunks)


def _drop(tx: Transaction, picture_id: int) -> None:
    """It is not there until it has been made again. (writer thread)"""
    rows.make_again(tx, picture_id)
    picture = rows.hai_of(picture_id)
    if picture and picture[0] is not None:
        hai_rows.change(tx, picture[0])
        hais.changed(tx, picture[0])


def _store(tx: Transaction, picture_id: int, made: MadeThumbnail | None) -> None:
    """Keep it, and tell the hai that it belongs to, if any. (writer thread)"""
    picture = rows.hai_of(picture_id)
    rows.mark_tried(tx, picture_id, made.blur if made else None)
    if made is None or picture is None:
        return
    rows.insert(tx, picture_id, TYPE, (made.width, made.height), made.content)
    (hai_id,) = picture
    if hai_id is not None:
        hai_rows.change(tx, hai_id)
        hais.changed(tx, hai_id)
