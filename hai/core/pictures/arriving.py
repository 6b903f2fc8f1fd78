"""Pictures on their way into the database: what they may be called, how large they
may be, and how their chunks are stored.

receiver.py takes the bytes, and hands them over here chunk by chunk. A picture can be
seen only when all of it is stored; what was refused is for the caller to discard. One
that can go on after a cut is in resumable.py.
"""

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
from hai.core.pictures.receiver import Locate, Receiver
from hai.core.pictures.thumbnails import MAX_PIXELS, SIDE_PX
from hai.errors import StorageFull, TooLarge
from hai.shapes import PictureObject
from hai.storage import blobs
from hai.storage.writer import Transaction
from hai.units import DAY_MS

MAX_NAME_CHARS = 255

# Smaller ones are shown as they are: a thumbnail would be hardly less.
SMALL_BYTES = 64 * 1024
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


class PictureLimits:
    """By what the file proves to be, and by the room that its sender has left."""

    def __init__(self, core: Core, user_id: int) -> None:
        self.core = core
        self.user_id = user_id
        self._room_bytes = -1  # not known before the first byte

    def check_size(self, type_: str, byte_count: int) -> None:
        check_size(self.core.config, type_, byte_count)

    async def check_room(self, byte_count: int) -> None:
        if self._room_bytes < 0:
            self._room_bytes = await quotas.room_for(self.core, self.user_id)
        if byte_count > self._room_bytes:
            raise StorageFull(quotas.USED_UP)


class PictureSink:
    """Stores a picture in the database, one commit a chunk.

    It can be seen when all of it is stored; what is refused is to be discarded.
    """

    def __init__(
        self,
        core: Core,
        new: blobs.NewPicture,
        *,
        picture_id: int = 0,
        chunk_count: int = 0,
    ) -> None:
        self.core = core
        self.new_picture = new
        self.picture_id = picture_id  # 0: nothing of it is stored yet
        self.chunk_count = chunk_count
        # Of the chunks as they are stored; None: to be made of them in the end.
        self._digest = None if chunk_count else hashlib.sha256()

    async def store(
        self, chunk: bytes, locate: Locate, also: Also | None = None
    ) -> None:
        """Durable when it returns. also: is done in the same transaction."""
        quotas.check_disk(self.core.config)
        if self._digest is not None:
            self._digest.update(chunk)
        await self._write(chunk, None, also)

    async def finish(
        self, reader: PictureReader, rest: bytearray, also: Also | None = None
    ) -> PictureObject:
        """Store the rest; returns the picture object, which is durable then."""
        digest = await self._apply_edits(reader, rest)
        digest.update(rest)
        byte_count = self.chunk_count * blobs.CHUNK_BYTES + len(rest)
        found = properties_of(reader, byte_count, digest.digest())
        await self._write(bytes(rest), found, also)
        return picture_object(
            self.picture_id,
            self.new_picture.name,
            found.type,
            found.byte_count,
            found.width,
            found.height,
            self.new_picture.alt,
            found.is_animated,
            duration_ms=found.duration_ms,
        )

    async def _apply_edits(
        self, reader: PictureReader, rest: bytearray
    ) -> "hashlib._Hash":
        """Some things are known only now, and their chunks may have been stored.

        Returns the digest of the chunks as they are then.
        """
        core, user_id = self.core, self.new_picture.user_id
        head = Edit(0, len(reader.head), reader.head)
        found = await core.turns.run(user_id, edits.by_chunk([*reader.edits, head]))
        last = found.pop(self.chunk_count, [])
        await core.turns.run(user_id, edits.apply(rest, last))
        is_changed = await edits.apply_stored(core, user_id, self.picture_id, found)
        if self._digest is None or is_changed:
            self._digest = await edits.digest_of(
                core, self.picture_id, self.chunk_count
            )
        return self._digest

    async def _write(
        self, chunk: bytes, found: blobs.PictureProperties | None, also: Also | None
    ) -> None:
        self.picture_id = await self.core.db.write_chunk(
            _store_chunk,
            self.new_picture,
            self.picture_id,
            self.chunk_count,
            chunk,
            found,
            also,
            chunk_bytes=len(chunk),
        )
        self.chunk_count += 1


def sink_for(
    core: Core, who: Identity, room_id: int, name: str | None, alt: str | None = None
) -> PictureSink:
    """For a new picture of a member of the room."""
    new = blobs.NewPicture(room_id, who.user_id, clean_name(name), alt)
    return PictureSink(core, new)


def receiver_to(
    sink: PictureSink, *, keeps_metadata: bool = False
) -> Receiver[PictureObject]:
    """Of a picture that comes in one request."""
    core, user_id = sink.core, sink.new_picture.user_id
    reader = PictureReader(keeps_metadata=keeps_metadata)
    return Receiver(core, user_id, reader, sink, PictureLimits(core, user_id))


def properties_of(
    reader: PictureReader, byte_count: int, sha256: bytes
) -> blobs.PictureProperties:
    """Of a whole picture, as it is stored."""
    return blobs.PictureProperties(
        reader.type,
        byte_count,
        reader.width,
        reader.height,
        sha256,
        wants_thumbnail(reader, byte_count),
        reader.is_animated,
        reader.duration_ms,
    )


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
    new: blobs.NewPicture,
    picture_id: int,
    number: int,
    chunk: bytes,
    found: blobs.PictureProperties | None,
    also: Also | None,
) -> int:
    """One commit per chunk: a small picture is stored in one. (writer thread)"""
    picture_id = _store_bytes(tx, new, picture_id, number, chunk, found)
    if also:
        also(tx, picture_id)
    return picture_id


def _store_bytes(
    tx: Transaction,
    new: blobs.NewPicture,
    picture_id: int,
    number: int,
    chunk: bytes,
    found: blobs.PictureProperties | None,
) -> int:
    twin_id = blobs.find_twin(found) if found else None
    if found and twin_id:
        if picture_id:
            blobs.discard(tx, [picture_id])
            tx.publish(PictureDiscarded())
        return _share(tx, new, found, twin_id)
    picture_id = picture_id or blobs.begin(tx, new)
    blobs.append(tx, picture_id, number, chunk)
    if found:
        blobs.complete(tx, picture_id, found)
        if found.wants_thumbnail:
            tx.publish(PictureStored(picture_id))
    return picture_id


def _share(
    tx: Transaction, new: blobs.NewPicture, found: blobs.PictureProperties, twin_id: int
) -> int:
    """Nobody is told that these bytes were there already. (writer thread)"""
    picture_id = blobs.begin(tx, new)
    blobs.complete(tx, picture_id, found)
    blobs.share(tx, picture_id, twin_id)
    return picture_id
