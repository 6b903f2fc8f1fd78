"""A multipart body on its way in: fields are kept, pictures stream to core.

Knows nothing of rooms or hais. Parsing stops at the first thing that is wrong;
awaiting `feed` means that every full chunk so far is durable, which is the
back-pressure. Whatever happens, `discard` leaves nothing behind.
"""

import asyncio

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from hai.core.context import Core
from hai.core.fields import MAX_PICTURES
from hai.core.identity.sessions import Identity
from hai.core.pictures import arriving, stored
from hai.errors import BadRequest, HaiError, PictureTruncated, TextTooLong, TooLarge
from hai.shapes import PictureObject
from hai.units import UTF8_BYTES

MAX_PARTS = 64  # ten pictures with their alts, and a form's own fields
MAX_PART_HEADER_BYTES = 4096


class UploadBody:
    """Feed it the body; then `fields` and `pictures` are what it held."""

    def __init__(
        self, core: Core, identity: Identity, room_id: int, content_type: str
    ) -> None:
        self.core = core
        self.identity = identity
        self.room_id = room_id
        self.fields: dict[str, list[str]] = {}
        self.pictures: list[PictureObject] = []
        self._uploads: list[arriving.Upload] = []
        self._parser = _parser(content_type)
        self._turn = asyncio.Lock()
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._upload: arriving.Upload | None = None
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
            ids = [upload.picture_id for upload in self._uploads]
            self._uploads.clear()
            await stored.discard(self.core, ids)

    async def _follow(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            await self._end()
        elif self._upload is not None:
            await self._upload.feed(bytes(event))
        else:
            self._keep(event)

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        self._text.clear()
        self._upload = None
        if (segment.name or "").partition("[")[0] == "picture":
            if segment.filename != "":  # an empty file input sends a nameless part
                self._upload = self._begin_picture(segment.filename)
        elif segment.filename is not None:
            raise BadRequest("Files are to be named picture.", field="picture")

    def _begin_picture(self, name: str | None) -> arriving.Upload:
        if len(self._uploads) == MAX_PICTURES:
            raise BadRequest(
                f"A hai has at most {MAX_PICTURES} pictures.", field="picture"
            )
        upload = arriving.Upload(
            self.core,
            self.identity,
            self.room_id,
            name,
            keeps_metadata=self._keeps_metadata,
        )
        upload.alt, self._alt = self._alt, None
        self._uploads.append(upload)
        return upload

    def _keep(self, data: bytes | bytearray) -> None:
        self._text += data
        if len(self._text) > UTF8_BYTES * self.core.config.max_text_chars:
            raise TextTooLong()

    async def _end(self) -> None:
        assert self._segment is not None
        if self._upload is not None:
            self.pictures.append(await self._upload.finish())
            self._upload = None
            return
        try:
            text = self._text.decode()
        except UnicodeDecodeError:
            raise BadRequest("That form could not be read.") from None
        name = self._segment.name or ""
        if name == "alt":
            self._alt = arriving.clean_alt(text)
        elif name == "keep_metadata":
            self._keeps_metadata = text in ("on", "1", "true")
        elif name != "picture":
            self.fields.setdefault(name, []).append(text)

    def _translate(self, error: MultipartError) -> HaiError:
        if isinstance(error, ParserLimitReached):
            return TooLarge("That form has too many or too long parts.")
        if self._upload is not None:
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
