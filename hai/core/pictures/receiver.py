"""Receiving one file as a stream of bytes, checked and cleaned while they pass.

    bytes -> Receiver -> PictureReader (what stays of them?)
                 |
                 '-----> a sink, chunk by chunk, when Limits allow them

The file is never decoded, and what its camera wrote about the place, the time and
itself does not come through, unless the sender wants that kept. No more than one
chunk is held, and awaiting the sink is what slows a fast sender down. This knows no
table and no file: the sinks are PictureSink (arriving.py), ResumableSink (resumable.py)
and AvatarSink (avatars.py), each with Limits of its own beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from hai.core.context import Core
from hai.core.pictures.reader import PictureReader
from hai.core.turns import Result, Work
from hai.storage.blobs import CHUNK_BYTES

LOOK_BYTES = 16 * 1024  # followed before what is found is acted upon

Received = TypeVar("Received")  # what a whole file has become
Receives = TypeVar("Receives", covariant=True)


class Position(NamedTuple):
    """How far a file has come, so that another process could go on from there."""

    received: int  # bytes that the reader has understood
    tail: bytes  # what is in no chunk yet
    reader: str  # saved


# Costs up to a millisecond, so only who keeps it asks.
Locate = Callable[[], Awaitable[Position]]


class Sink(Protocol[Receives]):
    """Where the chunks of one file go."""

    async def store(self, chunk: bytes, locate: Locate) -> None:
        """The next CHUNK_BYTES; `locate` tells the position behind them."""

    async def finish(self, reader: PictureReader, rest: bytearray) -> Receives:
        """All has come, and `rest` is the last chunk; what `reader` found in the end
        is to be applied to all of them."""


class Limits(Protocol):
    """How much may come. byte_count: of the file so far; type_: "" if not known yet."""

    def check_size(self, type_: str, byte_count: int) -> None:
        """Raises TooLarge, PictureType."""

    async def check_room(self, byte_count: int) -> None:
        """Raises StorageFull."""


class Receiver(Generic[Received]):
    """One file on its way in: `feed` its bytes, then `finish`.

    What was refused is for the caller to discard, by way of the sink.
    received, rest: where a file goes on that has begun in an earlier request.
    """

    def __init__(
        self,
        core: Core,
        user_id: int,
        reader: PictureReader,
        sink: Sink[Received],
        limits: Limits,
        *,
        received: int = 0,
        rest: bytes = b"",
    ) -> None:
        self.core = core
        self.user_id = user_id
        self.reader = reader
        self.sink = sink
        self.limits = limits
        self.received_bytes = received
        self._seen_bytes = received  # of these, the reader has seen
        self._buffer = bytearray(rest)  # what stays of them, and is in no chunk yet

    async def feed(self, data: bytes) -> None:
        """Take the next bytes; returns when all full chunks are stored.

        A fast line has the next ones there already: others go on in between, also
        where nothing of them is stored.
        Raises TooLarge, PictureType, Busy, StorageFull.
        """
        received_bytes = self.received_bytes + len(data)
        self.limits.check_size(self.reader.type, received_bytes)
        self.received_bytes = received_bytes
        await self.limits.check_room(received_bytes)
        for at in range(0, len(data), LOOK_BYTES):
            await self._look_at(data[at : at + LOOK_BYTES])
            self._check_size()
            while len(self._buffer) > CHUNK_BYTES:
                await self.sink.store(self._take_chunk(), self.locate)
        await asyncio.sleep(0)

    async def finish(self) -> Received:
        """Store the rest; returns what the sink has made of it, durable then.

        Raises PictureTruncated, PictureType, TooLarge, Busy, StorageFull.
        """
        await self._in_turn(self.reader.finishing())
        self._check_size()
        return await self.sink.finish(self.reader, self._buffer)

    async def locate(self) -> Position:
        """Where it is now. Bytes that are not understood yet have not been received."""
        received = self._seen_bytes - len(self.reader.unread)
        saved = await self._in_turn(self.reader.saving())
        return Position(received, bytes(self._buffer), saved)

    async def _look_at(self, data: bytes) -> None:
        """A picture in thousands of pieces is slow to follow: others go between."""
        self._buffer += await self._in_turn(self.reader.following(data))
        self._seen_bytes += len(data)

    def _check_size(self) -> None:
        """How large it may be depends on what it turns out to be."""
        self.limits.check_size(self.reader.type, self.received_bytes)

    def _take_chunk(self) -> bytes:
        with memoryview(self._buffer) as view:  # a slice would be one copy more
            chunk = bytes(view[:CHUNK_BYTES])
        del self._buffer[:CHUNK_BYTES]
        return chunk

    async def _in_turn(self, work: Work[Result]) -> Result:
        """With all that its sender has under way, and others have a slice each."""
        return await self.core.turns.run(self.user_id, work)
