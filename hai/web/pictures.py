"""Pictures over HTTP: uploading as a stream, and serving from chunk rows.

`prepare` has checked session, room and length before a byte is read; each
chunk's commit is awaited before the next is read from the socket; a client
that goes away leaves nothing behind. Bytes are served chunk by chunk, as fast
as the reader takes them, and can do nothing even when opened as a page.
"""

import functools
import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tornado.iostream import StreamClosedError

from hai.core.context import Core
from hai.core.fields import MAX_PICTURES
from hai.core.identity.sessions import Identity
from hai.core.pictures import stored
from hai.core.pictures.arriving import PictureSink, receiver_to, sink_for
from hai.core.pictures.receiver import Receiver
from hai.core.pictures.stored import StoredPicture
from hai.core.talk import rooms
from hai.errors import BadRequest, HaiError
from hai.shapes import PictureObject, PictureResponse, PicturesResponse
from hai.web.http import headers
from hai.web.http.base import BaseHandler
from hai.web.http.bodies import BODY_TIMEOUT_S, FORM_BYTES
from hai.web.http.multipart_body import MultipartBody
from hai.web.http.receiving import ReceivingFormHandler

logger = logging.getLogger(__name__)

# A picture never changes under its URL; whoever is not allowed has no copy.
CACHING = "private, max-age=31536000, immutable"
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
TAG = re.compile(r'(W/)?("[^"]*")')


class NewPictures:
    """Those of one form, on their way into the database."""

    def __init__(self, core: Core, identity: Identity, room_id: int) -> None:
        self.core = core
        self.identity = identity
        self.room_id = room_id
        self._sinks: list[PictureSink] = []

    def begin(
        self, name: str | None, alt: str | None, *, keeps_metadata: bool
    ) -> Receiver[PictureObject]:
        """Raises BadRequest when there are too many."""
        if len(self._sinks) == MAX_PICTURES:
            raise BadRequest(
                f"A hai has at most {MAX_PICTURES} pictures.", field="picture"
            )
        sink = sink_for(self.core, self.identity, self.room_id, name, alt)
        self._sinks.append(sink)
        return receiver_to(sink, keeps_metadata=keeps_metadata)

    async def discard(self) -> None:
        ids = [sink.picture_id for sink in self._sinks]
        self._sinks.clear()
        await stored.discard(self.core, ids)


class ReceivingPicturesHandler(ReceivingFormHandler):
    """Receives what is to be a hai: a form with pictures, or one without, or JSON."""

    upload: MultipartBody[PictureObject] | None = None

    @property
    def is_multipart(self) -> bool:
        kind = self.request.headers.get("Content-Type", "")
        return kind.lower().startswith("multipart/form-data")

    @property
    def is_upload(self) -> bool:
        return self.is_multipart and self.request.method == "POST"

    def body_limit(self) -> int:
        if self.is_multipart:
            return MAX_PICTURES * self.core.config.max_upload_bytes + FORM_BYTES
        # JSON may write each character as two escapes of six bytes.
        return 12 * self.core.config.max_text_chars + FORM_BYTES

    def body_timeout_s(self) -> float:
        return self.upload_timeout_s() if self.is_multipart else BODY_TIMEOUT_S

    async def admit(self, room_id: int) -> None:
        await self.core.db.read(rooms.require_member, self.user.user_id, room_id)
        if self.is_upload:
            pictures = NewPictures(self.core, self.user, room_id)
            upload = self.multipart_body(pictures)
            self.begin_upload()
            self.upload = upload

    def has_let_go(self) -> None:
        self.application.sweep_soon()

    def write_refusal(self, error: HaiError, status: int = 0) -> None:
        if self.is_upload:
            self.count_refusal(error)
        super().write_refusal(error, status)

    def keep(self) -> None:
        """The pictures stay, whatever becomes of the connection."""
        self.count_outcome("kept")
        self.upload = None


class FormUploadHandler(ReceivingPicturesHandler):
    """POST /rooms/ID/pictures: pictures to be named in a later send_hai."""

    async def admit(self, room_id: int) -> None:
        await super().admit(room_id)
        if self.upload is None:
            raise BadRequest("A multipart/form-data body is wanted.")

    async def post(self, room_id: int) -> None:
        upload = self.upload
        assert upload is not None
        try:
            await upload.finish()
            if not upload.pictures:
                raise BadRequest("There is no picture in this form.", field="picture")
        except HaiError:
            await self.let_go("refused")
            raise
        self.keep()
        found: PicturesResponse = {"pictures": upload.pictures}
        self.write_json(found, 201)


class PictureHandler(BaseHandler):
    """GET and HEAD /pictures/ID; POST changes the alt of an unsent one.

    ?size=thumbnail: the small still; ?download=1: to be saved rather than shown.
    """

    async def get(self, picture_id: int) -> None:
        if self.query("size") == "thumbnail":
            # Whole, whatever range is asked for: it is small.
            found, content = await stored.get_thumbnail(
                self.core, self.user, picture_id
            )
            if self._is_wanted(found):
                self._send_small(content)
            return
        picture = await stored.get(self.core, self.user, picture_id)
        if not self._is_wanted(picture):
            return
        self.set_header("Accept-Ranges", "bytes")
        start, end = self._span(picture) or (0, picture.byte_count)
        if start >= end:
            return
        if self.request.method == "HEAD":
            self.set_header("Content-Length", str(end - start))
        elif picture.byte_count <= stored.SMALL_BYTES:
            whole = await stored.get_small(self.core, picture)
            self._send_small(whole[start:end])
        else:
            await self._send(picture, start, end)

    async def post(self, picture_id: int) -> None:
        alt = self.form.text("alt")
        picture = await stored.describe(self.core, self.user, picture_id, alt)
        found: PictureResponse = {"picture": picture}
        self.write_json(found)

    def _is_wanted(self, picture: StoredPicture) -> bool:
        """Describe it; False when that is all of the answer (RFC 9110 13.2.2)."""
        tag = f'"{picture.sha256.hex()}"'
        self.set_header("Content-Type", picture.type)
        self.set_header("Cache-Control", CACHING)
        self.set_header("ETag", tag)
        self.set_header("Content-Security-Policy", policy_of(picture.type))
        how = "attachment" if self.query("download") == "1" else "inline"
        self.set_header("Content-Disposition", disposition(picture, how))
        asked = self.request.headers
        if "If-Match" in asked and not is_among(tag, asked["If-Match"]):
            self.set_status(412)
        elif "If-None-Match" in asked and self.check_etag_header():
            self.set_status(304)
        else:
            return True
        return False

    def _span(self, picture: StoredPicture) -> tuple[int, int] | None:
        """The range to send, and what its answer says of itself; None: send all.

        A range is for GET alone, and only if the picture is the one that If-Range
        names: by a strong tag, for a date tells nothing here (RFC 9110 13.1.5).
        """
        asked, tag = self.request.headers, self._headers["ETag"]
        if self.request.method != "GET" or asked.get("If-Range", tag) != tag:
            return None
        span = span_of(asked.get("Range", ""), picture.byte_count)
        if span is None:
            return None
        start, end = span
        there = f"{start}-{end - 1}" if start < end else "*"
        self.set_status(206 if start < end else 416)
        self.set_header("Content-Range", f"bytes {there}/{picture.byte_count}")
        return span

    def _send_small(self, content: bytes) -> None:
        self.application.metrics.count("hai_picture_bytes_sent_total", by=len(content))
        self.write(content)

    async def _send(self, picture: StoredPicture, start: int, end: int) -> None:
        self.set_header("Content-Length", str(end - start))
        try:
            await self._stream(picture, start, end)
        except StreamClosedError:
            pass  # they have seen enough
        except HaiError:
            if not self._headers_written:
                raise
            self.cut()

    async def _stream(self, picture: StoredPicture, start: int, end: int) -> None:
        """Awaiting each flush holds one chunk at a time, however slow the reader."""
        count = self.application.metrics.count
        async for piece in stored.read(self.core, picture.id, start, end):
            self.write(piece)
            await self.flush()
            count("hai_picture_bytes_sent_total", by=len(piece))

    def cut(self) -> None:
        """Some of it is gone or spoiled, and its beginning is sent: end the
        connection, so that nobody takes what came for the whole."""
        connection: Any = self.request.connection
        connection.close()


class DiscardHandler(BaseHandler):
    """POST /pictures/ID/discard: takes back an upload that was not sent."""

    async def post(self, picture_id: int) -> None:
        await stored.discard_own(self.core, self.user, picture_id)
        self.application.sweep_soon()
        self.set_status(204)


def span_of(header: str, length: int) -> tuple[int, int] | None:
    """(start, end) of one byte range; None: send all. Empty: not satisfiable.

    Several ranges at once are answered with everything, as RFC 9110 14.2 allows.
    """
    found = RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last so many bytes
        return max(0, length - int(found[2])), length
    start = int(found[1])
    end = min(int(found[2]) + 1, length) if found[2] else length
    if found[2] and int(found[2]) < start:
        return None  # not a range at all
    return start, end


def policy_of(type_: str) -> str:
    """By what the bytes were found to be, not by what they are called."""
    is_image = type_.startswith("image/")
    return headers.PICTURE_POLICY if is_image else headers.PLAYER_POLICY


def is_among(tag: str, listed: str) -> bool:
    """Whether If-Match names the tag; weak ones never match (RFC 9110 8.8.3.2)."""
    return listed.strip() == "*" or ("", tag) in TAG.findall(listed)


@functools.lru_cache(maxsize=1024)  # quoting a name takes 30 us
def disposition(picture: StoredPicture, how: str = "inline") -> str:
    """RFC 6266: a plain name for old readers, the true one for all others."""
    name = named_by_type(picture.name, stored.EXTENSIONS[picture.type])
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def named_by_type(name: str, extensions: Sequence[str]) -> str:
    """A picture saved as page.html would be opened as a page: name it as it is."""
    if name.lower().endswith(tuple(extensions)):
        return name
    return name + extensions[0]
