"""A multipart body on its way in: fields are kept, pictures stream to their receivers.

Knows nothing of rooms or hais. Parsing stops at the first thing that is wrong;
awaiting `feed` means that every full chunk so far is durable, which is the
back-pressure. Whatever happens, `discard` leaves nothing behind.
"""

import asyncio
from typing import Generic, Protocol, TypeVar

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from hai.core.pictures.arriving import clean_alt
from hai.core.pictures.receiver import Receiver
from hai.errors import BadRequest, HaiError, PictureTruncated, TextTooLong, TooLarge

MAX_PARTS = 64  # ten pictures with their alts, and a form's own fields
MAX_PART_HEADER_BYTES = 4096

Whole = TypeVar("Whole")  # what a picture is when all of it is there


class Destination(Protocol[Whole]):
    """Where the pictures of a form go."""

    def begin(
        self, name: str | None, alt: str | None, *, keeps_metadata: bool
    ) -> Receiver[Whole]:
        """The next one. Raises BadRequest when it is one too many."""

    async def discard(self) -> None:
        """Take back all of them."""


class MultipartBody(Generic[Whole]):
    """Feed it the body; then `fields` and `pictures` are what it held.

    Raises BadRequest when `content_type` is of another kind of body.
    """

    def __init__(
        self, content_type: str, max_field_bytes: int, destination: Destination[Whole]
    ) -> None:
        self.max_field_bytes = max_field_bytes
        self.destination = destination
        self.fields: dict[str, list[str]] = {}
        self.pictures: list[Whole] = []
        self._parser = _parser(content_type)
        self._turn = asyncio.Lock()
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._receiver: Receiver[Whole] | None = None
        self._alt: str | None = None  # said before the picture it describes
        self._keeps_metadata = False  # said before the pictures it is meant for

    async def feed(self, data: bytes) -> None:
        """The next bytes. Raises BadRequest and whatever core finds wrong."""
        async with self._turn:
            try:
                for event in self._parser.parse(data):
                    await self._follow(event)
            except MultipartError as error:
                raise self._translate(error) from None

    async def finish(self) -> None:
        """The body has ended: has all of it come?"""
        try:
            self._parser.close()
        except MultipartError as error:
            raise self._translate(error) from None

    async def discard(self) -> None:
        """Take back every picture of this body, after the chunk under way."""
        async with self._turn:
            await self.destination.discard()

    async def _follow(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            await self._end()
        elif self._receiver is not None:
            await self._receiver.feed(bytes(event))
        else:
            self._keep(event)

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        self._text.clear()
        self._receiver = None
        if (segment.name or "").partition("[")[0] == "picture":
            if segment.filename != "":  # an empty file input sends a nameless part
                self._receiver = self._begin_picture(segment.filename)
        elif segment.filename is not None:
            raise BadRequest("Files are to be named picture.", field="picture")

    def _begin_picture(self, name: str | None) -> Receiver[Whole]:
        alt, self._alt = self._alt, None
        return self.destination.begin(name, alt, keeps_metadata=self._keeps_metadata)

    def _keep(self, data: bytes | bytearray) -> None:
        self._text += data
        if len(self._text) > self.max_field_bytes:
            raise TextTooLong()

    async def _end(self) -> None:
        assert self._segment is not None
        if self._receiver is not None:
            self.pictures.append(await self._receiver.finish())
            self._receiver = None
            return
        try:
            text = self._text.decode()
        except UnicodeDecodeError:
            raise BadRequest("That form could not be read.") from None
        name = self._segment.name or ""
        if name == "alt":
            self._alt = clean_alt(text)
        elif name == "keep_metadata":
            self._keeps_metadata = text in ("on", "1", "true")
        elif name != "picture":
            self.fields.setdefault(name, []).append(text)

    def _translate(self, error: MultipartError) -> HaiError:
        if isinstance(error, ParserLimitReached):
            return TooLarge("That form has too many or too long parts.")
        if self._receiver is not None:
            return PictureTruncated()
        return BadRequest("That form could not be read.")


def _parser(content_type: str) -> PushMultipartParser:
    """Raises BadRequest."""
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= 200:
        raise BadRequest("A multipart/form-data body is wanted.")
    try:
        return PushMultipartParser(
            boundary,
            max_header_size=MAX_PART_HEADER_BYTES,
            max_segment_count=MAX_PARTS,
        )
    except (MultipartError, UnicodeEncodeError):
        raise BadRequest("The boundary of that form is not valid.") from None
