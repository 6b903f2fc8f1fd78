"""Avatars over HTTP: sending one's own, taking it back, serving everybody's.

The settings' page crops in the browser and sends the square; a plain form sends
the whole picture, and its middle is taken. Programs do the same at `me/avatar`.
An avatar's address changes with the picture, so a copy is good for ever.
"""

from hai.core.context import Core
from hai.core.pictures import avatars
from hai.core.pictures.avatars import AvatarSink, receiver_to_file
from hai.core.pictures.receiver import Receiver
from hai.errors import BadRequest
from hai.shapes import UserObject
from hai.web.http import headers
from hai.web.http.base import BaseHandler
from hai.web.http.bodies import FORM_BYTES
from hai.web.http.forms import Form
from hai.web.http.multipart_body import MultipartBody
from hai.web.http.receiving import ReceivingFormHandler
from hai.web.pictures import CACHING
from hai.web.sign_in.accounts import SettingsHandler


class NewAvatar:
    """The one picture of a form, on its way to a file of its own."""

    def __init__(self, core: Core, user_id: int) -> None:
        self.core = core
        self.user_id = user_id
        self._sink: AvatarSink | None = None

    def begin(
        self, name: str | None, alt: str | None, *, keeps_metadata: bool
    ) -> Receiver[AvatarSink]:
        """Its name and alt are kept nowhere. Raises BadRequest when it is a second."""
        if self._sink is not None:
            raise BadRequest("An avatar is one picture.", field="picture")
        self._sink = AvatarSink(self.core)
        return receiver_to_file(self.user_id, self._sink)

    async def discard(self) -> None:
        if self._sink is not None:
            self._sink.close()


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


class ReceivingAvatarHandler(ReceivingFormHandler):
    """What the form and the API have in common: receiving a picture."""

    upload: MultipartBody[AvatarSink] | None = None

    def body_limit(self) -> int:
        return avatars.MAX_BYTES + FORM_BYTES

    def body_timeout_s(self) -> float:
        return self.upload_timeout_s()

    async def admit(self) -> None:
        self._form = Form({})  # what there is to be typed again
        if self.request.method == "POST":
            self.take_order()
            upload = self.multipart_body(NewAvatar(self.core, self.user.user_id))
            self.application.avatars.begin(self.user.user_id)
            self.upload = upload
            self.begin_upload()

    async def body_received(self, chunk: bytes) -> None:
        if self.upload is not None:
            await super().body_received(chunk)

    async def receive(self) -> UserObject:
        """The user with the new avatar. Raises what core finds wrong."""
        upload = self.upload
        assert upload is not None
        self.is_storing, outcome = True, "refused"
        try:
            await upload.finish()
            if not upload.pictures:
                raise BadRequest("There is no picture in this form.", field="picture")
            user = await self.application.avatars.set(self.user, upload.pictures[0])
            outcome = "kept"
            return user
        finally:
            await self.let_go(outcome)

    def has_let_go(self) -> None:
        self.application.avatars.end(self.user.user_id)


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
