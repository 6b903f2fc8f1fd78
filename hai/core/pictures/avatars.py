"""Avatars: a user's own picture, in a small square, instead of a letter.

What people send comes like any picture (receiver.py): streamed, its type told by
its bytes, cleaned of metadata. But it is kept only until the square is made of it,
in a file without a name that is gone with the process, whatever happens. The
square is made by the same kind of child as thumbnails, one at a time, and stored
in one write, which raises the user's rev: every open page draws it anew.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO

from hai.core import quotas
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.objects import user_object
from hai.core.pictures import stored, thumbnails
from hai.core.pictures.reader import PictureReader
from hai.core.pictures.receiver import Locate, Receiver
from hai.core.pictures.thumbnail_child import (
    ChildFailed,
    ChildKilled,
    MadeThumbnail,
    ThumbnailChild,
)
from hai.errors import (
    Busy,
    NotFound,
    PictureDamaged,
    PictureType,
    PictureUnreadable,
    RateLimited,
    StorageFull,
    TooLarge,
)
from hai.events import UserChanged
from hai.shapes import UserObject
from hai.storage import avatars as rows
from hai.storage import users as user_rows
from hai.storage.blobs import CHUNK_BYTES
from hai.storage.writer import Transaction

MAX_BYTES = 10 * 1024 * 1024  # a photograph; the page sends 50 KiB
MAX_WAITING = 20  # for the child; each takes 0.1 s, a hostile one 5 s
IDLE_S = 10.0  # then the child ends: it takes 25 MiB


class AvatarLimits:
    """A still picture of moderate size, from whoever has some room left: what stays
    of it is small."""

    def __init__(self, core: Core, user_id: int) -> None:
        self.core = core
        self.user_id = user_id
        self.max_bytes = min(MAX_BYTES, core.config.max_picture_bytes)
        self._is_room_known = False

    def check_size(self, type_: str, byte_count: int) -> None:
        if type_ and not type_.startswith("image/"):
            raise PictureType()
        if byte_count > self.max_bytes:
            raise TooLarge("The picture is too large.", max_bytes=self.max_bytes)

    async def check_room(self, byte_count: int) -> None:
        if not self._is_room_known:
            await quotas.room_for(self.core, self.user_id)
            self._is_room_known = True


class AvatarSink:
    """Keeps a picture in a file without a name, for the child to read.

    type: "" until all has come; byte_count: of what is kept.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.type = ""
        self.byte_count = 0
        self._file: IO[bytes] | None = None

    async def store(self, chunk: bytes, locate: Locate) -> None:
        await self._append(chunk)

    async def finish(self, reader: PictureReader, rest: bytearray) -> "AvatarSink":
        """Returns itself: whole, to be read from. Raises TooLarge, StorageFull."""
        if reader.width * reader.height > thumbnails.MAX_PIXELS:
            raise TooLarge(
                "The picture has too many pixels.", max_pixels=thumbnails.MAX_PIXELS
            )
        await self._put_head(reader.head, rest)
        await self._append(bytes(rest))
        self.type = reader.type
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        """What was kept, from its beginning."""
        for at in range(0, self.byte_count, CHUNK_BYTES):
            yield await self._on_thread(self._read, at)

    def close(self) -> None:
        """Nothing of it stays. Call when nothing is being fed or read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _put_head(self, head: bytes, rest: bytearray) -> None:
        """A WebP's length is known only at its end."""
        if self.byte_count:
            await self._on_thread(self._write, head, 0)
        else:
            rest[: len(head)] = head

    async def _append(self, chunk: bytes) -> None:
        await self._on_thread(self._write, chunk, self.byte_count)
        self.byte_count += len(chunk)

    async def _on_thread(self, work: Callable[..., bytes], *args: object) -> bytes:
        """The disk may be slow, and the loop must not wait for it."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.core.executor, work, *args)
        except OSError as error:
            raise StorageFull() from error

    def _write(self, chunk: bytes, at: int) -> bytes:
        """(executor)"""
        if self._file is None:
            folder = self.core.config.data
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._file.seek(at)
        self._file.write(chunk)
        return b""

    def _read(self, at: int) -> bytes:
        """(executor)"""
        assert self._file is not None
        self._file.seek(at)
        return self._file.read(CHUNK_BYTES)


def receiver_to_file(user_id: int, sink: AvatarSink) -> Receiver[AvatarSink]:
    """Of the picture that a user's avatar is to be made of."""
    limits = AvatarLimits(sink.core, user_id)
    return Receiver(sink.core, user_id, PictureReader(), sink, limits)


class AvatarMaker:
    """Makes squares in a child process, and stores them. Loop thread only.

    One upload of each user at a time, so that nobody fills the line alone.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.child = ThumbnailChild()
        self._users: set[int] = set()  # who has one on its way
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def begin(self, user_id: int) -> None:
        """Raises RateLimited, Busy."""
        if user_id in self._users:
            raise RateLimited("One picture at a time.")
        if len(self._users) >= MAX_WAITING:
            raise Busy()
        self._users.add(user_id)

    def end(self, user_id: int) -> None:
        self._users.discard(user_id)

    async def set(self, who: Identity, picture: AvatarSink) -> UserObject:
        """Make the square and store it; returns the user, as everyone is told.

        Raises PictureUnreadable, StorageFull, Busy.
        """
        made = await self._make(picture)
        room = await quotas.room_for(self.core, who.user_id)
        if len(made.content) > room:
            raise StorageFull(quotas.USED_UP)
        return await self.core.db.write_chunk(
            _set, who.user_id, made.content, chunk_bytes=len(made.content)
        )

    async def _make(self, picture: AvatarSink) -> MadeThumbnail:
        async with self._turn:
            self._rest_later()
            try:
                made = await self._ask(picture)
            except (ChildFailed, ChildKilled) as error:
                raise Busy() from error
            finally:
                self._rest_later()
        if made is None:
            raise PictureUnreadable()
        return made

    async def _ask(self, picture: AvatarSink) -> MadeThumbnail | None:
        """Once more where the child was ended from outside, by a system short of memory
        for one: that says nothing of the picture. Raises ChildFailed, ChildKilled."""
        try:
            return await self._ask_once(picture)
        except ChildKilled:
            return await self._ask_once(picture)

    async def _ask_once(self, picture: AvatarSink) -> MadeThumbnail | None:
        return await self.child.make(
            picture.type, picture.byte_count, picture.chunks(), is_avatar=True
        )

    def _rest_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        if not self._turn.locked():
            self._ending = asyncio.create_task(self._stop_child())

    async def _stop_child(self) -> None:
        async with self._turn:
            await self.child.stop()

    async def close(self) -> None:
        """End the child. Call when no upload is under way."""
        if self._idle is not None:
            self._idle.cancel()
        if self._ending is not None:
            await self._ending
        await self._stop_child()


def _set(tx: Transaction, user_id: int, content: bytes) -> UserObject:
    """(writer thread)"""
    sha256 = hashlib.sha256(content).digest()
    rows.put(tx, user_id, tx.next_rev(), thumbnails.TYPE, sha256, content)
    return _changed(tx, user_id)


def _changed(tx: Transaction, user_id: int) -> UserObject:
    user = user_object(*user_rows.find([user_id])[0])
    tx.publish(UserChanged(user))
    return user


def remove(core: Core, who: Identity) -> "asyncio.Future[UserObject]":
    """Back to the letter; nothing changes for who has no other. Returns the user."""
    return core.db.write(_remove, who.user_id)


def _remove(tx: Transaction, user_id: int) -> UserObject:
    """(writer thread)"""
    if not rows.is_there(user_id):
        return user_object(*user_rows.find([user_id])[0])
    rows.remove(tx, user_id, tx.next_rev())
    return _changed(tx, user_id)


def find(core: Core, user_id: int, avatar_rev: int) -> tuple[str, bytes, bytes]:
    """(type, sha256, bytes), for everyone who is signed in. Loop thread, 15 us.

    Raises NotFound, also when that user has another one by now, PictureDamaged.
    """
    try:
        found = core.db.read_now(rows.find, user_id, avatar_rev)
    except PictureDamaged as error:
        stored.tell_damage(core, error)
        raise
    if found is None:
        raise NotFound()
    return found
