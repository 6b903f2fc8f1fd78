"""Uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload), so that they
finish: creation, creation-with-upload, termination, expiration, checksum.

POST /rooms/ID/uploads makes an address; PATCH brings bytes there, HEAD tells how
many have come, DELETE takes it back. Beside the protocol the answer that completes
an upload, and any later HEAD, names the picture (`Hai-Picture`, its id); GET, and
a completing PATCH that accepts JSON, tell all of it.

One request at a time brings bytes: a newer PATCH, HEAD or DELETE ends an older one
first, which may hang on a connection whose other end has long been gone. However a
request ends, what it brought is stored (core/pictures/resumable.py).
"""

import asyncio
import base64
import binascii
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from hai.core.pictures import resumable
from hai.core.pictures.checksums import DIGEST_BYTES, Checksum
from hai.core.pictures.resumable import Progress, ResumableUpload
from hai.core.talk import rooms
from hai.errors import (
    BadRequest,
    Busy,
    HaiError,
    NotFound,
    PictureTruncated,
    PictureType,
    TooLarge,
    Unauthorized,
    UploadChecksum,
    UploadOffset,
    UploadType,
    UploadVersion,
)
from hai.shapes import PictureObject
from hai.web.http.bodies import MAX_LENGTH_DIGITS
from hai.web.http.receiving import ReceivingHandler

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,expiration,checksum"
BYTES_TYPE = "application/offset+octet-stream"
MAX_METADATA_CHARS = 6 * 1024  # an alt of 1,000 emoji; HEAD must tell it again
STALLED_S = 60.0  # without a byte; the client comes back with a new connection
# In all a body may take as long as it takes: 500 MiB at 5 KB/s are 29 hours.
BODY_TIMEOUT_S = 7 * 24 * 3600.0


class TusHandler(ReceivingHandler):
    """What all requests of the protocol share, and the receiving of bytes."""

    always_json = True
    max_body_bytes = 0
    upload_route = "upload"
    upload: ResumableUpload | None = None  # bytes come, and go to it

    def initialize(self, upload_route: str = upload_route) -> None:
        super().initialize()
        self.upload_route = upload_route
        self._turn = asyncio.Lock()  # one piece at a time, and then the end
        self._token = ""  # where other requests find this one
        self._stall: asyncio.TimerHandle | None = None
        self._override_method()

    def _override_method(self) -> None:
        """For networks where only GET, HEAD and POST pass."""
        method = self.request.headers.get("X-HTTP-Method-Override", "").upper()
        if self.request.method == "POST" and method in ("PATCH", "DELETE"):
            self.request.method = method

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Tus-Resumable", VERSION)

    async def prepare(self) -> None:
        if self.request.method != "OPTIONS":
            await super().prepare()
            return
        try:
            self.expect_body()
        except HaiError as error:
            self.refuse(error)

    async def options(self, *ids: Any, **names: str) -> None:
        """What this server can do: no secret."""
        self._tell_versions()
        self.set_header("Tus-Extension", EXTENSIONS)
        self.set_header("Tus-Checksum-Algorithm", ",".join(DIGEST_BYTES))
        self.set_header("Tus-Max-Size", str(self.core.config.max_upload_bytes))
        self.set_status(204)

    def _tell_versions(self) -> None:
        self.set_header("Tus-Version", VERSION)

    def write_refusal(self, error: HaiError, status: int = 0) -> None:
        if isinstance(error, UploadVersion):
            self._tell_versions()
        super().write_refusal(error, status)
        if isinstance(error, UploadChecksum):
            self.set_status(error.status, "Checksum Mismatch")

    def require_version(self) -> None:
        if self.request.headers.get("Tus-Resumable") != VERSION:
            raise UploadVersion()

    def require_bytes_type(self) -> None:
        kind = self.request.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != BYTES_TYPE:
            raise UploadType()

    def header_number(self, name: str) -> int:
        text = self.request.headers.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS):
            raise BadRequest(f"{name} must be a number.", field=name)
        return int(text)

    # --- Bytes -----------------------------------------------------------------------

    def receive(self, upload: ResumableUpload) -> None:
        """From now on what comes goes there. Raises TooLarge if it is too much."""
        if self.is_gone:
            raise Busy()  # nobody hears it, and nobody would clean up any more
        missing = upload.row.length - upload.received_bytes
        if self.content_length() > missing:
            raise TooLarge("More would come than was said.", length=upload.row.length)
        connection: Any = self.request.connection
        connection.set_max_body_size(missing)
        self.upload = upload
        self._watch()

    def body_timeout_s(self) -> float:
        return BODY_TIMEOUT_S if self.body_limit() else super().body_timeout_s()

    async def body_received(self, chunk: bytes) -> None:
        self._watch()
        self.count_bytes(chunk)
        async with self._turn:
            if self.upload is None:
                raise UploadOffset()
            await self._try(self.upload.feed(chunk))

    async def _try(self, work: Any) -> Any:
        """What is no picture is gone at once; else it is where it was kept last."""
        try:
            return await work
        except BaseException as error:
            upload, self.upload = self.upload, None
            if upload is not None and is_hopeless(error):
                await self._drop(upload, "refused")
            elif upload is not None and isinstance(error, Exception):
                with contextlib.suppress(HaiError):
                    await upload.give_back()
            raise

    async def _drop(self, upload: ResumableUpload, outcome: str) -> None:
        self.count_outcome(outcome)
        with contextlib.suppress(HaiError):
            await resumable.delete(self.core, self.user, upload.token)
        self.application.sweep_soon()

    async def settle(self) -> dict[str, Any]:
        """The body has ended: store what came; returns the upload as it is now."""
        async with self._turn:
            upload = self.upload
            if upload is None:
                raise UploadOffset()
            await self._try(upload.verify())
            shown = upload.progress.as_dict()
            if upload.is_here:
                picture = await self._try(upload.finish())
                self.count_outcome("kept")
                shown = replace(upload.progress, picture=picture).as_dict()
            elif self.has_body():
                await self._try(upload.keep())
            self.upload = None
        self.describe(upload.progress, shown.get("picture"))
        return shown

    def describe(self, progress: Progress, picture: PictureObject | None) -> None:
        self.set_header("Upload-Offset", str(progress.received))
        if picture:
            self.set_header("Hai-Picture", str(picture["id"]))
        else:
            at = datetime.fromtimestamp(progress.expires_at // 1000, UTC)
            self.set_header("Upload-Expires", format_datetime(at, usegmt=True))

    # --- Ends ------------------------------------------------------------------------

    async def take_over(self, token: str) -> None:
        """Be the one request that brings bytes there; others have ended then."""
        await self.end_others(token)
        self.application.receiving[token] = self
        self._token = token

    def has_ended(self) -> bool:
        """Whether the session has, since the request began. To be asked after
        `take_over`: only from then on its end is heard."""
        try:
            return self.find_identity() is None
        except Unauthorized:  # of a bearer token
            return True

    async def end_others(self, token: str) -> None:
        while (other := self.application.receiving.get(token)) is not None:
            await other.end()
            other.hang_up()

    async def end(self) -> None:
        """Store what came and bring no more. Whoever comes next goes on there."""
        async with self._turn:
            upload, self.upload = self.upload, None
            try:
                if upload is not None:
                    await self.leave(upload)
            finally:
                self._let_go()

    async def leave(self, upload: ResumableUpload) -> None:
        self.count_outcome("cut")
        with contextlib.suppress(HaiError):
            await upload.leave()

    def hang_up(self) -> None:
        connection: Any = self.request.connection
        connection.stream.close()

    def _watch(self) -> None:
        """A connection that brings nothing for so long is given up."""
        self._unwatch()
        loop = asyncio.get_running_loop()
        self._stall = loop.call_later(STALLED_S, self.hang_up)

    def _unwatch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()

    def _let_go(self) -> None:
        self._unwatch()
        if self.application.receiving.get(self._token) is self:
            del self.application.receiving[self._token]
        self.end_upload()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.application.in_background(self.end())

    def on_finish(self) -> None:
        self._let_go()


class UploadsHandler(TusHandler):
    """POST /rooms/ID/uploads: begin one, and bring its first bytes, or all."""

    def body_limit(self) -> int:
        is_post = self.request.method == "POST"
        return self.core.config.max_upload_bytes if is_post else 0

    async def admit(self, room_id: int) -> None:
        self.require_version()
        await self.core.db.read(rooms.require_member, self.user.user_id, room_id)
        if "Upload-Concat" in self.request.headers:
            raise BadRequest("Uploads are not joined here.", field="Upload-Concat")
        length = self.header_number("Upload-Length")
        text = self.request.headers.get("Upload-Metadata", "")
        about = parse_metadata(text)
        checksum = parse_checksum(self.request.headers.get("Upload-Checksum"))
        if self.has_body():
            self.require_bytes_type()
            if self.content_length() > length:
                raise TooLarge("More would come than was said.", length=length)
        self.begin_upload()
        upload = await resumable.begin(
            self.core,
            self.user,
            room_id,
            length,
            name=about.get("filename", ""),
            alt=about.get("alt"),
            keeps_metadata=about.get("keep_metadata") in ("on", "1", "true"),
            metadata=text,
        )
        await self.take_over(upload.token)
        has_ended = self.has_ended()
        if self.is_gone or has_ended:
            await self._drop(upload, "cut")
        if has_ended:
            raise Unauthorized()
        upload.expect(checksum)
        self.receive(upload)

    async def post(self, room_id: int) -> None:
        upload = self.upload
        url = self.reverse_url(self.upload_route, upload.token if upload else "")
        try:
            shown = await self.settle()
        except UploadChecksum:
            if upload:  # nobody will hear of its address
                await self._drop(upload, "refused")
            raise
        self.set_header("Location", url)
        self.write_json({"upload": {"url": url} | shown}, 201)

    async def leave(self, upload: ResumableUpload) -> None:
        """Nobody has heard of its address."""
        await self._drop(upload, "cut")


class TusUploadHandler(TusHandler):
    """HEAD, PATCH, DELETE and GET /uploads/TOKEN, for the one who began it."""

    def body_limit(self) -> int:
        is_patch = self.request.method == "PATCH"
        return self.core.config.max_upload_bytes if is_patch else 0

    async def admit(self) -> None:
        token = self.path_kwargs["token"]
        if self.request.method != "GET":
            self.require_version()
        await resumable.get_progress(self.core, self.user, token)
        if self.request.method == "PATCH":
            await self._admit_bytes(token)

    async def _admit_bytes(self, token: str) -> None:
        self.require_bytes_type()
        offset = self.header_number("Upload-Offset")
        checksum = parse_checksum(self.request.headers.get("Upload-Checksum"))
        await self.take_over(token)
        if self.has_ended():
            raise Unauthorized()
        self.begin_upload()
        try:
            upload = await resumable.resume(self.core, self.user, token)
        except NotFound:
            raise UploadOffset() from None  # HEAD tells: whole, or gone meanwhile
        if offset != upload.received_bytes:
            raise UploadOffset(offset=upload.received_bytes)
        upload.expect(checksum)
        self.receive(upload)

    async def patch(self, token: str) -> None:
        shown = await self.settle()
        if "picture" in shown and self.wants_words():
            url = self.reverse_url(self.upload_route, token)
            self.write_json({"upload": {"url": url} | shown})
        else:
            self.set_status(204)

    def wants_words(self) -> bool:
        return "application/json" in self.request.headers.get("Accept", "")

    # Each route passes its own part of the path.
    async def head(self, token: str) -> None:  # type: ignore[override]
        await self.end_others(token)
        progress = await resumable.get_progress(self.core, self.user, token)
        if progress.picture is None and progress.received == progress.length:
            progress = await self._finish(token)
        self.describe(progress, progress.picture)
        self.set_header("Upload-Length", str(progress.length))
        if progress.metadata:
            self.set_header("Upload-Metadata", progress.metadata)

    async def _finish(self, token: str) -> Progress:
        """All bytes came, and then something failed that was to come after."""
        await self.take_over(token)
        self.upload = await resumable.resume(self.core, self.user, token)
        await self.settle()
        return await resumable.get_progress(self.core, self.user, token)

    async def get(self, token: str) -> None:
        progress = await resumable.get_progress(self.core, self.user, token)
        url = self.reverse_url(self.upload_route, token)
        self.write_json({"upload": {"url": url} | progress.as_dict()})

    async def delete(self, token: str) -> None:
        await self.end_others(token)
        await resumable.delete(self.core, self.user, token)
        self.application.sweep_soon()
        self.set_status(204)


def is_hopeless(error: BaseException) -> bool:
    """No further byte can mend it. More bytes than were said can be sent otherwise."""
    if isinstance(error, TooLarge):
        return "max_bytes" in error.details
    return isinstance(error, PictureType | PictureTruncated)


def parse_checksum(text: str | None) -> Checksum | None:
    """`algorithm digest`, the digest in base64. Raises BadRequest."""
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except ValueError:  # also of letters that are no ASCII
        digest = b""
    if len(digest) != DIGEST_BYTES.get(algorithm):
        known = " or ".join(DIGEST_BYTES)
        raise BadRequest(
            f"Upload-Checksum must be {known} and its digest in base64.",
            field="Upload-Checksum",
        )
    return Checksum(algorithm, digest)


def parse_metadata(text: str) -> dict[str, str]:
    """`key value, key value`, the values in base64. Raises BadRequest."""
    if len(text) > MAX_METADATA_CHARS or not (text.isascii() and text.isprintable()):
        raise BadRequest("That Upload-Metadata is too long.", field="Upload-Metadata")
    found = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadRequest(
                "That Upload-Metadata could not be read.", field="Upload-Metadata"
            ) from None
    return found
