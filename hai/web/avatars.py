"""Avatars over HTTP: sending one's own, taking it back, serving everybody's.

The settings' page crops in the browser and sends the square; a plain form sends
the whole picture, and its middle is taken. Programs do the same at `me/avatar`.
An avatar's address changes with the picture, so a copy is good for ever.
"""

from hai.core.pictures import avatars
from hai.errors import BadRequest
from hai.shapes import UserObject
from hai.web.accounts import SettingsHandler
from hai.web.http import headers
from hai.web.http.base import BaseHandler
from hai.web.http.bodies import BODY_TIMEOUT_S, FORM_BYTES
from hai.web.http.forms import Form
from hai.web.http.multipart_body import UploadBody
from hai.web.pictures import CACHING, SLOWEST_BYTES_PER_S


class AvatarBody(UploadBody):
    """A form with one picture, which goes to a file of its own."""

    upload: avatars.AvatarUpload | None = None

    def _begin_picture(self, name: str | None) -> avatars.AvatarUpload:
        if self.upload is not None:
            raise BadRequest("An avatar is one picture.", field="picture")
        self.upload = avatars.AvatarUpload(self.core, self.identity, name)
        return self.upload

    async def discard(self) -> None:
        """Let go of the file, after the chunk under way."""
        async with self._turn:
            if self.upload is not None:
                self.upload.close()


class AvatarHandler(BaseHandler):
    """GET and HEAD /avatars/USER/REV, for whoever is signed in."""

    async def get(self, user_id: int, avatar_rev: int) -> None:
        type_, sha256, content = avatars.find(self.core, user_id, avatar_rev)
        self.set_header("Content-Type", type_)
        self.set_header("Cache-Control", CACHING)
        self.set_header("ETag", f'"{sha256.hex()}"')
        self.set_header("Content-Security-Policy", headers.PICTURE_POLICY)
        self.set_header("Content-Disposition", "inline")
        if self.check_etag_header():
            self.set_status(304)
        else:
            self.write(content)


class ReceivingAvatarHandler(BaseHandler):
    """What the form and the API have in common: receiving a picture."""

    upload: AvatarBody | None = None
    is_counted = False
    is_storing = False  # then it goes on, whatever becomes of the connection

    def body_limit(self) -> int:
        return avatars.MAX_BYTES + FORM_BYTES

    def body_timeout_s(self) -> float:
        length = self.content_length() or self.body_limit()
        return BODY_TIMEOUT_S + length / SLOWEST_BYTES_PER_S

    async def admit(self) -> None:
        self._form = Form({})  # what there is to be typed again
        if self.request.method == "POST":
            self.take_order()
            kind = self.request.headers.get("Content-Type", "")
            upload = AvatarBody(self.core, self.user, 0, kind)
            self.application.avatars.begin(self.user.user_id)
            self.upload = upload
            self.application.begin_upload(self.user.user_id)
            self.is_counted = True

    async def body_received(self, chunk: bytes) -> None:
        if self.upload is None:
            return
        self.application.metrics.count("hai_upload_bytes_total", by=len(chunk))
        await self.upload.feed(chunk)

    async def receive(self) -> UserObject:
        """The user with the new avatar. Raises what core finds wrong."""
        upload = self.upload
        assert upload is not None
        self.is_storing, outcome = True, "refused"
        try:
            await upload.finish()
            if upload.upload is None:
                raise BadRequest("There is no picture in this form.", field="picture")
            user = await self.application.avatars.set(self.user, upload.upload)
            outcome = "kept"
            return user
        finally:
            await self.let_go(outcome)

    async def let_go(self, outcome: str) -> None:
        """What came is not needed any more."""
        if self.upload is not None:
            upload, self.upload = self.upload, None
            self.application.metrics.count("hai_uploads_total", outcome)
            await upload.discard()
            self.application.avatars.end(self.user.user_id)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._uncount()
        if not self.is_storing:
            self.application.in_background(self.let_go("cut"))

    def _uncount(self) -> None:
        if self.is_counted:
            self.is_counted = False
            self.application.end_upload(self.user.user_id, self.get_status())

    def on_finish(self) -> None:
        self._uncount()
        if not self.is_storing:
            self.application.in_background(self.let_go("refused"))


class SettingsAvatarHandler(ReceivingAvatarHandler, SettingsHandler):
    """POST /settings/avatar: a form with one picture."""

    async def submit(self) -> None:
        ack = {"user": await self.receive()}
        self.done(self.reverse_url("settings"), ack, status=201, done="avatar")


class RemoveAvatarHandler(BaseHandler):
    """POST /settings/avatar/remove"""

    async def post(self) -> None:
        self.take_order()
        ack = {"user": await avatars.remove(self.core, self.user)}
        self.done(self.reverse_url("settings"), ack, done="avatar_removed")


class ApiAvatarHandler(ReceivingAvatarHandler):
    """POST me/avatar: the same for programs; DELETE: back to the letter."""

    always_json = True

    async def post(self) -> None:
        self.write_json({"user": await self.receive()}, 201)

    async def delete(self) -> None:
        self.take_order()
        self.write_json({"user": await avatars.remove(self.core, self.user)})
