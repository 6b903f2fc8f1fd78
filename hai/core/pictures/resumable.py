"""Uploads that go on where they stopped: after a cut, a kill, a restart of either.

An upload is begun with its length and has an address only its sender knows. Each
chunk is stored together with where the upload then is (storage/uploads.py), and
so is the rest at every cut and at the server's end; a kill loses what came since
the last chunk, or in the last few seconds. Of metadata that shall not stay nothing
is ever on the disk: the last bytes (at most one block of 64 KiB) that are not
understood yet wait in memory for the next request, and after a restart are asked
for again. Only what a film says at its end to be no picture (telemetry among its
samples) lies in its chunks until then, which nobody can see.

Bytes that come with a checksum are stored as they come, too, but the upload is
said to have them only when all of them were right: until then it is where it was,
and what no upload has is cut off.

An upload that proves to be no picture is gone at once; one that nobody goes on
with expires after RESUMABLE_MS.
"""

import time
from dataclasses import dataclass
from functools import partial

from hai import clock, ids
from hai.config import Config
from hai.core import quotas
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.pictures import arriving, stored
from hai.core.pictures.arriving import RESUMABLE_MS, PictureSink
from hai.core.pictures.checksums import Checksum
from hai.core.pictures.reader import PictureReader
from hai.core.pictures.receiver import Locate, Position, Receiver
from hai.core.talk import rooms
from hai.errors import NotFound, PictureTruncated, TooLarge, UploadChecksum
from hai.shapes import PictureObject, UploadObject
from hai.storage import blobs
from hai.storage import uploads as rows
from hai.storage.writer import Transaction

# Of one user: two tabs of ten pictures each, and what was left behind. One more
# takes the place of the one longest untouched.
MAX_UNFINISHED = 50
MAX_UNREAD = 64  # uploads whose last bytes wait; 4 MiB, but most are one byte
CHECKPOINT_EVERY_S = 5.0  # on lines that take a minute for a chunk


@dataclass(frozen=True, slots=True)
class Progress:
    """What one may know of an upload of one's own."""

    token: str
    received: int
    length: int
    metadata: str
    expires_at: int
    picture: PictureObject | None = None  # when all has come

    def shown(self, url: str) -> UploadObject:
        """As its owner gets it, who finds it at this address."""
        upload: UploadObject = {
            "url": url,
            "offset": self.received,
            "length": self.length,
        }
        if self.picture is None:
            upload["expires_at"] = self.expires_at
        else:
            upload["picture"] = self.picture
        return upload


class LengthLimits:
    """Of an upload that has said its length, and has had its room since it began."""

    def __init__(self, config: Config, length: int) -> None:
        self.config = config
        self.length = length

    def check_size(self, type_: str, byte_count: int) -> None:
        """A still picture is known by its first bytes, and so whether all of it may
        come; a film can prove to be a voice, which may be smaller or larger."""
        if byte_count > self.length:
            raise TooLarge("More has come than was said.", length=self.length)
        is_still = type_.startswith("image/")
        arriving.check_size(self.config, type_, self.length if is_still else byte_count)

    async def check_room(self, byte_count: int) -> None:
        pass


class ResumableSink:
    """Stores each chunk together with where the upload then is.

    checksum: of what comes now; nothing of it counts before it was compared.
    """

    def __init__(self, core: Core, row: rows.UploadRow) -> None:
        self.core = core
        self.row = row
        self.picture = PictureSink(
            core,
            blobs.NewPicture(row.room_id, row.user_id, row.name, row.alt),
            picture_id=row.picture_id or 0,
            chunk_count=row.chunk_count,
        )
        self.checksum: Checksum | None = None
        self._kept_bytes = row.received
        self._kept_s = time.monotonic()

    @property
    def is_due(self) -> bool:
        """On slow lines: nothing was kept for a while."""
        return time.monotonic() - self._kept_s > CHECKPOINT_EVERY_S

    async def store(self, chunk: bytes, locate: Locate) -> None:
        if self.checksum:
            await self.picture.store(chunk, locate)
            return
        at = self._checkpoint(await locate(), self.picture.chunk_count + 1)
        await self.picture.store(chunk, locate, partial(_note_place, at))
        self._note_kept(at)

    async def finish(self, reader: PictureReader, rest: bytearray) -> PictureObject:
        return await self.picture.finish(reader, rest, partial(_complete, self.row.id))

    async def keep(self, position: Position) -> None:
        """Store where it is. Raises NotFound when it is gone, Busy, StorageFull."""
        at = self._checkpoint(position, self.picture.chunk_count)
        if at.received > self._kept_bytes:
            await self.core.db.write_chunk(
                _keep, self.picture.picture_id, at, chunk_bytes=len(at.tail)
            )
            self._note_kept(at)

    async def give_back(self) -> None:
        """Be where it was before bytes that were not shown to be right."""
        self.checksum = None
        if self.row.picture_id:
            await _cut(self.core, self.row)
        else:
            await stored.discard(self.core, [self.picture.picture_id])

    def _checkpoint(self, position: Position, chunk_count: int) -> rows.Checkpoint:
        received, tail, reader = position
        return rows.Checkpoint(self.row.id, received, chunk_count, tail, reader)

    def _note_kept(self, at: rows.Checkpoint) -> None:
        self._kept_bytes = at.received
        self._kept_s = time.monotonic()


class ResumableUpload:
    """One request's share of an upload: `feed` it, then `keep` or `finish`.

    After an error it is where it was kept last; what is here is of no use then.
    """

    def __init__(
        self,
        core: Core,
        token: str,
        row: rows.UploadRow,
        reader: PictureReader | None = None,
    ) -> None:
        self.core = core
        self.token = token
        self.row = row
        self.sink = ResumableSink(core, row)
        self.receiver = Receiver(
            core,
            row.user_id,
            reader or PictureReader(keeps_metadata=bool(row.keeps_metadata)),
            self.sink,
            LengthLimits(core.config, row.length),
            received=row.received,
            rest=row.tail or b"",
        )

    @property
    def received_bytes(self) -> int:
        return self.receiver.received_bytes

    @property
    def is_here(self) -> bool:
        """All bytes have come."""
        return self.received_bytes == self.row.length

    @property
    def progress(self) -> Progress:
        return _progress(self.token, self.row, self.received_bytes, clock.now_ms())

    async def feed(self, data: bytes) -> None:
        """As Receiver.feed; on slow lines also kept every few seconds."""
        await self.receiver.feed(data)
        if self.sink.checksum:
            self.sink.checksum.update(data)
        elif self.sink.is_due:
            await self.keep()

    def expect(self, checksum: Checksum | None) -> None:
        """Of all that is fed from now on; nothing of it is kept before `verify`."""
        self.sink.checksum = checksum

    async def verify(self) -> None:
        """All bytes of the checksum are here. Raises UploadChecksum: they are gone."""
        if self.sink.checksum is None:
            return
        try:
            self.sink.checksum.check()
        except UploadChecksum:
            await self.sink.give_back()
            raise
        self.sink.checksum = None
        await self.keep()

    async def leave(self) -> None:
        """The line was cut: keep what came, if it can be known to be right."""
        if self.sink.checksum:
            await self.sink.give_back()
        else:
            await self.keep()

    async def give_back(self) -> None:
        """Something failed: what was not shown to be right must not stay."""
        if self.sink.checksum:
            await self.sink.give_back()

    async def finish(self) -> PictureObject:
        """As Receiver.finish; nothing of it waits in memory any more."""
        picture = await self.receiver.finish()
        self.core.unread.pop(ids.token_hash(self.token), None)
        return picture

    async def keep(self) -> None:
        """Store where it is. Raises NotFound when it is gone, Busy, StorageFull."""
        position = await self.receiver.locate()
        await self.sink.keep(position)
        self._hold(position.received)

    def _hold(self, start: int) -> None:
        """Remember the bytes that are not kept, from `start`."""
        unread, key = self.core.unread, ids.token_hash(self.token)
        unread.pop(key, None)
        if waiting := self.receiver.reader.unread:
            unread[key] = (start, waiting)
        if len(unread) > MAX_UNREAD:
            del unread[next(iter(unread))]


def _keep(tx: Transaction, picture_id: int, at: rows.Checkpoint) -> None:
    """(writer thread)"""
    _note_place(at, tx, picture_id)


def _note_place(at: rows.Checkpoint, tx: Transaction, picture_id: int) -> None:
    """(writer thread)"""
    if not rows.keep(tx, picture_id, at):
        raise NotFound()


def _complete(upload_id: int, tx: Transaction, picture_id: int) -> None:
    """(writer thread)"""
    if not rows.complete(tx, upload_id, picture_id):
        raise NotFound()


async def begin(
    core: Core,
    identity: Identity,
    room_id: int,
    length: int,
    *,
    name: str = "",
    alt: str | None = None,
    keeps_metadata: bool = False,
    metadata: str = "",
) -> ResumableUpload:
    """Make room for a file of `length` bytes, for a member of the room.

    metadata: what the client said of it, to be told back. Raises TooLarge,
    PictureTruncated (of nothing), StorageFull.
    """
    arriving.check_size(core.config, "", length)
    if not length:
        raise PictureTruncated()
    new = rows.NewUpload(
        identity.user_id,
        room_id,
        length,
        arriving.clean_name(name),
        arriving.clean_alt(alt),
        keeps_metadata,
        metadata,
    )
    token = ids.new_token()
    row = await core.db.write_chunk(_begin, core.config, token, new, chunk_bytes=1)
    return ResumableUpload(core, token, row)


def _begin(
    tx: Transaction, config: Config, token: str, new: rows.NewUpload
) -> rows.UploadRow:
    """(writer thread)"""
    token_hash = ids.token_hash(token)
    unfinished = rows.unfinished_of(new.user_id)
    if len(unfinished) >= MAX_UNFINISHED:
        rows.delete(tx, unfinished[: len(unfinished) - MAX_UNFINISHED + 1])
        tx.publish(arriving.PictureDiscarded())
    quotas.require_room(config, new.user_id, new.length)
    rows.begin(tx, token_hash, new)
    row = rows.find(token_hash)
    assert row is not None
    return row


async def resume(core: Core, identity: Identity, token: str) -> ResumableUpload:
    """An upload of one's own, to go on with. Raises NotFound."""
    found = await core.db.read(_get_unfinished, token, identity.user_id)
    row, has_more = found
    if has_more:
        await _cut(core, row)
    reader = None
    if row.reader:
        keeps = bool(row.keeps_metadata)
        work = PictureReader.restoring(row.reader, keeps_metadata=keeps)
        reader = await core.turns.run(identity.user_id, work)
    upload = ResumableUpload(core, token, row, reader)
    await upload.feed(_unread(core, token, row))
    return upload


async def _cut(core: Core, row: rows.UploadRow) -> None:
    """Off with the chunks that it is not said to have; a slice in a commit."""
    while await core.db.write(blobs.cut, row.picture_id, row.chunk_count):
        pass


def _get_unfinished(token: str, user_id: int) -> tuple[rows.UploadRow, bool]:
    """And whether a request that was killed left chunks whose checksum nobody
    compared. (reader thread)"""
    row, _ = _get_own(token, user_id)
    if row.completed_at is not None:
        raise NotFound()
    return row, blobs.has_chunks_from(row.picture_id or 0, row.chunk_count)


def _unread(core: Core, token: str, row: rows.UploadRow) -> bytes:
    """What waits in memory, if it follows what is kept."""
    start, waiting = core.unread.get(ids.token_hash(token), (0, b""))
    return waiting if start == row.received else b""


async def get_progress(core: Core, identity: Identity, token: str) -> Progress:
    """How far it is, or which picture it has become. Raises NotFound."""
    row, picture = await core.db.read(_get_own, token, identity.user_id)
    received = row.received + len(_unread(core, token, row))
    return _progress(token, row, received, row.touched_at, picture)


async def delete(core: Core, identity: Identity, token: str) -> None:
    """Take it back, and its picture unless that was sent. Raises NotFound."""
    row, _ = await core.db.read(_get_own, token, identity.user_id)
    await core.db.write(rows.delete, [row.id])
    core.unread.pop(ids.token_hash(token), None)


def _progress(
    token: str,
    row: rows.UploadRow,
    received: int,
    touched_at: int,
    picture: PictureObject | None = None,
) -> Progress:
    expires_at = touched_at + RESUMABLE_MS
    return Progress(token, received, row.length, row.metadata, expires_at, picture)


def _get_own(token: str, user_id: int) -> tuple[rows.UploadRow, PictureObject | None]:
    """Of a room that one is still in. Raises NotFound. (any thread)"""
    row = rows.find(ids.token_hash(token))
    if row is None or row.user_id != user_id:
        raise NotFound()
    if row.touched_at + RESUMABLE_MS < clock.now_ms():
        raise NotFound()
    rooms.require_member(user_id, row.room_id)
    if row.completed_at is None:
        return row, None
    picture = row.picture_id and stored.find_object(row.picture_id)
    if not picture:
        raise NotFound()
    return row, picture
