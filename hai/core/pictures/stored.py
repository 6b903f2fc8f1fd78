"""Pictures that are stored: find one, give back its bytes, sweep it away.

A picture belongs to its uploader and its room until a hai takes it (hais.py
does that, in the transaction of the send). How one arrives is in receiver.py.

Promise: whatever was refused, given up, deleted or never sent leaves no bytes
behind; what is discarded is unseen at once, its bytes follow in slices.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hai import clock
from hai.core import audit, retention
from hai.core.context import Core
from hai.core.identity import sessions
from hai.core.identity.sessions import Identity
from hai.core.objects import picture_object
from hai.core.pictures import arriving, expiry
from hai.core.talk import hais, rooms
from hai.errors import Forbidden, HaiError, NotFound, PictureDamaged
from hai.events import HaiChanged
from hai.shapes import HaiAck, PictureObject
from hai.storage import blobs
from hai.storage import hais as hai_rows
from hai.storage import pictures as rows
from hai.storage import thumbnails as thumbnail_rows
from hai.storage import uploads as upload_rows
from hai.storage.pictures import PictureRow
from hai.storage.writer import Transaction

logger = logging.getLogger(__name__)

ABANDONED_MS = 24 * 3600 * 1000  # a draft left open overnight keeps its pictures
SWEEP_EVERY_S = 3600
SWEEP_WHEN_FULL_S = 60  # what could not be swept for want of room is tried again
PAUSE_S = 0.02  # between slices, about as long as one: hais need not wait for each
SPARE_BYTES = 8 * 1024 * 1024  # free space that the next pictures may use
DISCARDED_AT = 0  # what `uploaded_at` says of them: older than any cutoff

EXTENSIONS = {  # the first is given to a picture that was named otherwise
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jfif"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "video/mp4": (".mp4", ".m4v", ".mov"),
    "video/webm": (".webm",),
    "audio/mp4": (".m4a", ".mp4"),
    "audio/ogg": (".ogg", ".opus", ".oga"),
    "audio/webm": (".webm", ".weba"),
}


NO_THUMBNAIL = "There is no thumbnail of this picture."
SMALL_BYTES = 64 * 1024  # served from memory; larger ones chunk by chunk


@dataclass(frozen=True, slots=True)
class DamageFound:
    """Told on the bus when bytes that were read are not those that were stored."""


@dataclass(frozen=True, slots=True)
class ThumbnailDamaged:
    """Told on the bus when the bytes of one are not those that were stored."""

    picture_id: int


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What serving a picture takes."""

    id: int
    name: str
    type: str
    byte_count: int
    sha256: bytes


async def discard(core: Core, picture_ids: Iterable[int]) -> None:
    """Take back pictures that no hai has: unseen now, swept by `sweep_discarded`."""
    ids = [picture_id for picture_id in picture_ids if picture_id]
    if ids:
        await core.db.write(blobs.discard, ids)


async def discard_own(core: Core, identity: Identity, picture_id: int) -> None:
    """The uploader thought better of it. Raises NotFound, also when it was sent."""
    await core.db.read(_get_unsent, identity.user_id, picture_id)
    await discard(core, [picture_id])


async def describe(
    core: Core, identity: Identity, picture_id: int, alt: str
) -> PictureObject:
    """Say what one's picture shows, before it is sent. Raises NotFound."""
    words = arriving.clean_alt(alt)
    return await core.db.write(_describe, identity.user_id, picture_id, words)


def _describe(
    tx: Transaction, user_id: int, picture_id: int, alt: str | None
) -> PictureObject:
    """(writer thread)"""
    row = _get_unsent(user_id, picture_id)
    rows.set_alt(tx, picture_id, alt)
    return picture_object(*row._replace(alt=alt))


def find_object(picture_id: int) -> PictureObject | None:
    """A whole picture as clients know it; its reader was checked. (any thread)"""
    row = rows.find(picture_id)
    return None if row is None else picture_object(*row)


def describe_sent(
    core: Core, who: Identity, *, picture_id: int, alt: str
) -> hais.HaiAckFuture:
    """Say what a picture of one's own hai shows; "" takes it back. Returns {hai}.

    Not an edit: what the hai says stays. Raises NotFound, Forbidden.
    """
    return core.db.write(_describe_sent, who, picture_id, arriving.clean_alt(alt))


def _describe_sent(
    tx: Transaction, who: Identity, picture_id: int, alt: str | None
) -> HaiAck:
    """(writer thread)"""
    row = rows.find_sent(picture_id)
    if row is None:
        raise NotFound()
    hai = hais.get(who, row.hai_id)
    if hai["user_id"] != who.user_id:
        raise Forbidden("Only who sent a picture can describe it.")
    if row.alt == alt:
        return {"hai": hai}
    rows.set_alt(tx, picture_id, alt)
    hai_rows.change(tx, row.hai_id)
    return hais.changed(tx, row.hai_id)


def _get_unsent(user_id: int, picture_id: int) -> PictureRow:
    """Raises NotFound. (any thread)"""
    row = rows.find_unsent(user_id, picture_id)
    if row is None:
        raise NotFound()
    return row


async def get(core: Core, identity: Identity, picture_id: int) -> StoredPicture:
    """The picture, for who may see it: its hai's room, or before that its uploader.

    Raises NotFound, whether it is not there or not theirs to see. Loop thread, 15 us.
    """
    found = core.db.read_now(_find_visible, picture_id, identity.user_id)
    if found is None:
        raise NotFound()
    return found


def _find_visible(picture_id: int, user_id: int) -> StoredPicture | None:
    """(any thread)"""
    row = blobs.find(picture_id)
    if row is None:
        return None
    *about, uploader_id, room_id, hai_id = row
    is_own_unsent = hai_id is None and uploader_id == user_id
    if not is_own_unsent and not (hai_id and rooms.is_member(user_id, room_id)):
        return None
    return StoredPicture(picture_id, *about)


async def get_thumbnail(
    core: Core, identity: Identity, picture_id: int
) -> tuple[StoredPicture, bytes]:
    """A thumbnail as a picture of its own, and its bytes, for the same people.

    Raises NotFound, also when there is none (yet), PictureDamaged.
    """
    picture = core.db.read_now(_find_visible, picture_id, identity.user_id)
    if picture is None:
        raise NotFound(NO_THUMBNAIL)
    key = picture_id, "thumbnail"
    kept = core.picture_cache.find(key)
    if kept is None:
        try:
            row = await _read(core, thumbnail_rows.find, picture_id)
        except PictureDamaged:
            core.bus.publish(ThumbnailDamaged(picture_id))  # it is made again
            raise
        if row is None:
            raise NotFound(NO_THUMBNAIL)
        type_, content, sha256 = row
        found = replace(picture, type=type_, byte_count=len(content), sha256=sha256)
        core.picture_cache.put(key, found, content)
        kept = found, content
    return kept


async def read(
    core: Core, picture_id: int, start: int, end: int
) -> AsyncIterator[bytes]:
    """Yield the bytes from `start` to before `end`, a chunk at a time.

    Each chunk is a read of its own, so that a slow reader holds no transaction.
    Raises NotFound when the picture was deleted meanwhile, PictureDamaged.
    """
    while start < end:
        number, skip = divmod(start, blobs.CHUNK_BYTES)
        chunk = await _read(core, blobs.read_chunk, picture_id, number)
        if not chunk or len(chunk) <= skip:
            raise NotFound()
        piece = chunk[skip : skip + end - start]
        start += len(piece)
        yield piece


async def get_small(core: Core, picture: StoredPicture) -> bytes:
    """The whole of a picture of one chunk. Raises NotFound, PictureDamaged."""
    kept = core.picture_cache.find(picture.id)
    if kept is not None:
        return kept[1]
    pieces = [piece async for piece in read(core, picture.id, 0, picture.byte_count)]
    core.picture_cache.put(picture.id, picture, pieces[0])
    return pieces[0]


async def _read(core: Core, find: Callable[..., Any], *args: Any) -> Any:
    """On a reader thread. Raises PictureDamaged, which is told."""
    try:
        return await core.db.read(find, *args)
    except PictureDamaged as error:
        tell_damage(core, error)
        raise


def tell_damage(core: Core, error: PictureDamaged) -> None:
    """The operator must know, whoever asked for it."""
    logger.error("a picture is not as it was stored: %s", error.details)
    core.bus.publish(DamageFound())


async def find_twins(
    core: Core, identity: Identity, client_id: str, picture_ids: list[int]
) -> list[int]:
    """The pictures already sent under this client_id, if they are the same ones.

    A form sent twice uploads its pictures twice, under new ids; by their bytes
    we know them again. Empty when they differ, or when there is no such hai.
    """
    return await core.db.read(_find_twins, identity.user_id, client_id, picture_ids)


def _find_twins(user_id: int, client_id: str, picture_ids: list[int]) -> list[int]:
    """(reader thread)"""
    sent = rows.digests_sent(user_id, client_id)
    known = rows.digests(picture_ids)
    new = [known.get(picture_id) for picture_id in picture_ids]
    return list(sent) if list(sent.values()) == new else []


async def sweep(core: Core, cutoff_at: int) -> None:
    """Delete the bytes of unsent pictures uploaded before `cutoff_at`, in slices."""
    while await core.db.write_chunk(
        blobs.delete_slice, cutoff_at, chunk_bytes=blobs.SLICE_BYTES, fills=False
    ):
        await asyncio.sleep(PAUSE_S)


async def shrink(core: Core) -> None:
    """Let the file be smaller after deletions, in slices.

    On a full disk without any spare: hais are taken again when the disk has room.
    """
    has_more = True
    while has_more:
        spare_bytes = 0 if core.db.writer.is_full else SPARE_BYTES
        give = partial(blobs.shrink, spare_bytes=spare_bytes)
        has_more = await core.db.run_maintenance(give)
        await asyncio.sleep(PAUSE_S)


async def expire_uploads(core: Core) -> None:
    """Those that nobody went on with; their bytes are swept next."""
    cutoff_at = clock.now_ms() - arriving.RESUMABLE_MS
    while await core.db.write(upload_rows.expire, cutoff_at):
        pass


async def sweep_discarded(core: Core) -> None:
    """Their bytes: 100 MiB take most of a second, so let nobody wait for it."""
    await sweep(core, DISCARDED_AT + 1)


class Sweeper:
    """Sweeps what the last run left half-written, and then what is abandoned.

    Every hour, and at once when somebody says that pictures shall go, those that are
    not kept any longer leave their hais first (expiry.py): that looks through all
    pictures of a room. The deletion of a hai and a discarded picture wake it for the
    bytes alone.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.is_resting = False  # everything that was due is done
        self._is_needed = asyncio.Event()
        self._is_expiry_due = True
        self._task: asyncio.Task[None] | None = None
        core.bus.subscribe(HaiChanged, self._hear)
        core.bus.subscribe(arriving.PictureDiscarded, lambda _: self._is_needed.set())
        core.bus.subscribe(retention.PictureRemovalRequested, lambda _: self._expire())

    def start(self) -> None:
        """Call before the first upload can begin: it discards the unfinished ones
        that cannot go on."""
        discarded = self.core.db.write(blobs.discard_unfinished)
        self._task = asyncio.create_task(self._run(discarded), name="picture sweeper")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hear(self, event: HaiChanged) -> None:
        if "deleted_at" in event.hai:
            self._is_needed.set()

    def _expire(self) -> None:
        self._is_expiry_due = True
        self._is_needed.set()

    async def _run(self, discarded: Awaitable[None]) -> None:
        await discarded
        while True:
            self._is_needed.clear()
            is_due, self._is_expiry_due = self._is_expiry_due, False
            try:
                if is_due:
                    await expiry.run(self.core)
                    await audit.forget_old(self.core)
                    await sessions.end_over(self.core)
                    await expire_uploads(self.core)
                await sweep(self.core, clock.now_ms() - ABANDONED_MS)
                await shrink(self.core)
            except HaiError as error:
                self._is_expiry_due |= is_due  # again when it is woken
                if self.core.db.writer.failure is None:  # else all is said already
                    logger.warning("sweeping pictures is put off: %s", error)
            except Exception:
                logger.exception("sweeping pictures failed; next try in an hour")
            await self._rest()

    async def _rest(self) -> None:
        self.is_resting = True
        is_full = self.core.db.writer.is_full
        rest_s = SWEEP_WHEN_FULL_S if is_full else SWEEP_EVERY_S
        try:
            async with asyncio.timeout(rest_s):
                await self._is_needed.wait()
        except TimeoutError:
            self._is_expiry_due = True
        self.is_resting = False
