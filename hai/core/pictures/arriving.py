"""Receiving a picture as a stream of bytes, checked and cleaned while they pass.

Stored chunk by chunk and never decoded, without what its camera wrote about
the place, the time and itself, unless the sender wants that kept. No more than
one chunk is held, and awaiting its commit is what slows a fast sender down. The
picture can be seen only when all of it is stored; what was refused is for the
caller to discard. One that can go on after a cut is in resumable.py.
"""

import asyncio
import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from hai.config import Config
from hai.core import quotas
from hai.core.context import Core
from hai.core.fields import MAX_ALT_CHARS
from hai.core.identity.sessions import Identity
from hai.core.objects import picture_object
from hai.core.pictures import edits
from hai.core.pictures.formats.walk import Edit
from hai.core.pictures.reader import PictureReader
from hai.core.pictures.thumbnails import MAX_PIXELS, SIDE_PX
from hai.core.turns import Result, Work
from hai.errors import StorageFull, TooLarge
from hai.shapes import PictureObject
from hai.storage import blobs
from hai.storage.writer import Transaction
from hai.units import DAY_MS

MAX_NAME_CHARS = 255

# Smaller ones are shown as they are: a thumbnail would be hardly less.
SMALL_BYTES = 64 * 1024
LOOK_BYTES = 16 * 1024  # followed before what is found is acted upon
RESUMABLE_MS = 3 * DAY_MS  # a weekend without a network

# What is to be done in the transaction that stores a chunk of this picture.
Also = Callable[[Transaction, int], None]


@dataclass(frozen=True, slots=True)
class PictureStored:
    """Told on the bus when a picture is whole and wants a thumbnail."""

    picture_id: int


@dataclass(frozen=True, slots=True)
class PictureDiscarded:
    """Told on the bus when bytes are stored already or given up: sweep these."""


def clean_name(name: str | None) -> str:
    """A file name that can be shown anywhere: no path, controls or bidi marks."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C" or c == " ")
    # Line and paragraph separators (Zl, Zp) break lines like controls do.
    shown = "".join(c for c in shown if unicodedata.category(c) not in ("Zl", "Zp"))
    shown = shown.strip().lstrip(".")
    if len(shown) <= MAX_NAME_CHARS:
        return shown or "picture"
    stem, dot, extension = shown.rpartition(".")
    if not dot or len(extension) > 10:
        return shown[:MAX_NAME_CHARS]
    return stem[: MAX_NAME_CHARS - len(extension) - 1] + dot + extension


def clean_alt(alt: str | None) -> str | None:
    """A description in one line, or None."""
    words = " ".join((alt or "").split())
    shown = "".join(c for c in words if unicodedata.category(c) != "Cc")
    return shown[:MAX_ALT_CHARS] or None


def limit_of(config: Config, type_: str) -> tuple[str, int]:
    """What such a file is called, and how many bytes it may have."""
    kind = type_.partition("/")[0]
    if kind == "video":
        return "video", config.max_video_bytes
    if kind == "audio":
        return "voice", config.max_voice_bytes
    return "picture", config.max_picture_bytes if kind else config.max_upload_bytes


def check_size(config: Config, type_: str, byte_count: int) -> None:
    """type_: "" if it is not known yet. Raises TooLarge."""
    name, max_bytes = limit_of(config, type_)
    if byte_count > max_bytes:
        raise TooLarge(f"The {name} is too large.", max_bytes=max_bytes)


class Upload:
    """One picture on its way in: `feed` its bytes, then `finish` or `discard`."""

    def __init__(
        self,
        core: Core,
        identity: Identity,
        room_id: int,
        name: str | None,
        *,
        keeps_metadata: bool = False,
    ) -> None:
        self.core = core
        self.identity = identity
        self.room_id = room_id
        self.name = clean_name(name)
        self.alt: str | None = None
        self.picture_id = 0  # 0: nothing of it is stored yet
        self._received_bytes = 0
        self._seen_bytes = 0  # of these, the reader has seen
        self._room_bytes = -1  # not known before the first byte
        self._chunk_count = 0
        self._buffer = bytearray()
        self._reader = PictureReader(keeps_metadata=keeps_metadata)
        self._digest: hashlib._Hash | None = hashlib.sha256()  # None: to be made

    async def feed(self, data: bytes) -> None:
        """Take the next bytes; returns when all full chunks are durable.

        A fast line has the next ones there already: others go on in between, also
        where nothing of them is stored.
        Raises TooLarge, PictureType, Busy, StorageFull.
        """
        self._received_bytes += len(data)
        self._check_size()
        await self._check_room()
        for at in range(0, len(data), LOOK_BYTES):
            await self._look_at(data[at : at + LOOK_BYTES])
            self._check_size()
            while len(self._buffer) > blobs.CHUNK_BYTES:
                await self._store(self._take_chunk())
        await asyncio.sleep(0)

    def _take_chunk(self) -> bytes:
        with memoryview(self._buffer) as view:  # a slice would be one copy more
            chunk = bytes(view[: blobs.CHUNK_BYTES])
        del self._buffer[: blobs.CHUNK_BYTES]
        return chunk

    def _check_size(self) -> None:
        """How large it may be depends on what it turns out to be."""
        check_size(self.core.config, self._reader.type, self._size_bytes)

    @property
    def _size_bytes(self) -> int:
        """As far as it is known."""
        return self._received_bytes

    async def _check_room(self) -> None:
        if self._room_bytes < 0:
            user_id = self.identity.user_id
            self._room_bytes = await quotas.room_for(self.core, user_id)
        if self._received_bytes > self._room_bytes:
            raise StorageFull(quotas.USED_UP)

    async def _look_at(self, data: bytes) -> None:
        """A picture in thousands of pieces is slow to follow: others go between."""
        self._buffer += await self._in_turn(self._reader.following(data))
        self._seen_bytes += len(data)

    async def _in_turn(self, work: Work[Result]) -> Result:
        """With all that its sender has under way, and others have a slice each."""
        return await self.core.turns.run(self.identity.user_id, work)

    async def finish(self) -> PictureObject:
        """Store the rest; returns the picture object, which is durable then.

        Raises PictureTruncated, PictureType, Busy, StorageFull.
        """
        reader = self._reader
        await self._in_turn(reader.finishing())
        self._check_size()
        digest = await self._mend(
            [*reader.edits, Edit(0, len(reader.head), reader.head)]
        )
        digest.update(self._buffer)
        byte_count = self._chunk_count * blobs.CHUNK_BYTES + len(self._buffer)
        found = blobs.Findings(
            reader.type,
            byte_count,
            reader.width,
            reader.height,
            digest.digest(),
            wants_thumbnail(reader, byte_count),
            reader.is_animated,
            reader.duration_ms,
        )
        await self._store(bytes(self._buffer), found)
        return picture_object(
            self.picture_id,
            self.name,
            found.type,
            found.byte_count,
            found.width,
            found.height,
            self.alt,
            found.is_animated,
            duration_ms=found.duration_ms,
        )

    async def _mend(self, wanted: list[Edit]) -> "hashlib._Hash":
        """Some things are known only now, and their chunks may have been stored.

        Returns the digest of the chunks as they are then.
        """
        found = await self._in_turn(edits.by_chunk(wanted))
        last = found.pop(self._chunk_count, [])
        await self._in_turn(edits.mend(self._buffer, last))
        user_id = self.identity.user_id
        if await edits.mend_stored(self.core, user_id, self.picture_id, found):
            self._digest = None
        if self._digest is None:
            self._digest = await edits.digest_of(
                self.core, self.picture_id, self._chunk_count
            )
        return self._digest

    async def _also(self, is_whole: bool) -> Also | None:
        """What the chunk now to be stored brings with it."""
        return None

    async def _store(self, chunk: bytes, found: blobs.Findings | None = None) -> None:
        arrival = blobs.Arrival(
            self.room_id, self.identity.user_id, self.name, self.alt
        )
        if found is None:
            quotas.check_disk(self.core.config)
            if self._digest is not None:
                self._digest.update(chunk)
        self.picture_id = await self.core.db.write_chunk(
            _store_chunk,
            arrival,
            self.picture_id,
            self._chunk_count,
            chunk,
            found,
            await self._also(found is not None),
            chunk_bytes=len(chunk),
        )
        self._chunk_count += 1


def wants_thumbnail(reader: PictureReader, byte_count: int) -> bool:
    """Whether a thumbnail would help, and may be tried."""
    if not 0 < reader.width * reader.height <= MAX_PIXELS:
        return False
    if reader.type.startswith("video/"):
        return True
    is_small = max(reader.width, reader.height) <= SIDE_PX
    return reader.is_animated or not is_small or byte_count > SMALL_BYTES


def _store_chunk(
    tx: Transaction,
    arrival: blobs.Arrival,
    picture_id: int,
    number: int,
    chunk: bytes,
    found: blobs.Findings | None,
    also: Also | None,
) -> int:
    """One commit per chunk: a small picture is stored in one. (writer thread)"""
    picture_id = _store_bytes(tx, arrival, picture_id, number, chunk, found)
    if also:
        also(tx, picture_id)
    return picture_id


def _store_bytes(
    tx: Transaction,
    arrival: blobs.Arrival,
    picture_id: int,
    number: int,
    chunk: bytes,
    found: blobs.Findings | None,
) -> int:
    twin_id = blobs.find_twin(found) if found else None
    if found and twin_id:
        if picture_id:
            blobs.discard(tx, [picture_id])
            tx.publish(PictureDiscarded())
        return _share(tx, arrival, found, twin_id)
    picture_id = picture_id or blobs.begin(tx, arrival)
    blobs.append(tx, picture_id, number, chunk)
    if found:
        blobs.complete(tx, picture_id, found)
        if found.wants_thumbnail:
            tx.publish(PictureStored(picture_id))
    return picture_id


def _share(
    tx: Transaction, arrival: blobs.Arrival, found: blobs.Findings, twin_id: int
) -> int:
    """Nobody is told that these bytes were there already. (writer thread)"""
    picture_id = blobs.begin(tx, arrival)
    blobs.complete(tx, picture_id, found)
    blobs.share(tx, picture_id, twin_id)
    return picture_id
