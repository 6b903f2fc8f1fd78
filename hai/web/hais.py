"""Sending a hai over HTTP: the plain form, with pictures in the same request."""

from hai import ids
from hai.core.pictures import stored
from hai.core.talk import first_state
from hai.errors import ClientIdReused, HaiError, Unauthorized
from hai.shapes import OrderAck
from hai.web.http.bodies import FORM_BYTES
from hai.web.http.forms import Fields, Form
from hai.web.pictures import ReceivingPicturesHandler
from hai.web.views.words import WAVE


class SendHandler(ReceivingPicturesHandler):
    """POST with a form, multipart or JSON: sends one hai, 201."""

    async def send(self, room_id: int, *, wave: bool = False) -> OrderAck:
        """Returns the ack; the pictures of a refused hai are taken back."""
        try:
            payload = await self._payload(room_id)
            if wave and not (payload.get("text") or payload.get("picture_ids")):
                payload["text"] = WAVE
            ack = await self._send_once(payload)
        except HaiError:
            await self.let_go("refused")
            raise
        if self.upload is not None:
            self.keep()
        return ack

    async def _payload(self, room_id: int) -> Fields:
        if self.upload is not None:
            self._form = Form(self.upload.fields)
            await self.upload.finish()
            if self.find_identity() is None:  # ended while the pictures came
                raise Unauthorized()
        payload = self.form.payload() | {"room_id": room_id}
        not_given = (None,) if self.form.is_json else (None, "")
        if payload.get("client_id") in not_given:
            payload["client_id"] = ids.new_client_id()
        if self.upload is not None and self.upload.pictures:
            new = [picture["id"] for picture in self.upload.pictures]
            payload["picture_ids"] = payload.get("picture_ids", []) + new
        return payload

    async def _send_once(self, payload: Fields) -> OrderAck:
        """A form sent twice has the same pictures under new ids: still one hai."""
        try:
            return await self.order("send_hai", payload)
        except ClientIdReused:
            if self.upload is None:
                raise
            client_id, new = payload["client_id"], payload.get("picture_ids", [])
            sent = await stored.find_twins(self.core, self.user, client_id, new)
            if not sent:
                raise
            ack = await self.order("send_hai", payload | {"picture_ids": sent})
            await self.let_go("sent before")
            return ack


class HaisHandler(SendHandler):
    """POST /rooms/ID/hais: the room's own form."""

    def _ask_to_sign_in(self) -> None:
        """Who was signed out meanwhile gets their words back: their page is gone,
        and no browser keeps what was typed into one that is not to be stored."""
        if self.wants_page() and 0 < self.content_length() <= FORM_BYTES:
            self.expect_body()
        else:
            super()._ask_to_sign_in()

    async def post(self, room_id: int) -> None:
        if self.identity is None:
            self._give_back(room_id)
            return
        try:
            ack = await self.send(room_id, wave=True)
        except HaiError as error:
            if not self.wants_page() or self.wants_json():
                raise
            if isinstance(error, Unauthorized):
                self._give_back(room_id)
            else:
                await self._show_again(room_id, error)
            return
        self.done(self.reverse_url("room", room_id), ack, status=201)

    def _give_back(self, room_id: int) -> None:
        error = Unauthorized("You are signed out here, so this was not sent.")
        self.draw(
            "hais/not_sent.html",
            "Not sent",
            next=self.reverse_url("room", room_id),
            **self.error_names(error),
        )

    async def _show_again(self, room_id: int, error: HaiError) -> None:
        """The room with what was typed; its client_id was not used up."""
        if self.is_upload:
            self.count_refusal(error)
        names = self.error_names(error)
        state = await first_state.for_room(self.core, self.user, room_id)
        client_id = names["form"].get("client_id") or ids.new_client_id()
        if error.code == "client_id_reused":
            client_id = ids.new_client_id()
        await self.page(
            "rooms/show.html",
            state["room"].get("name", "hai"),
            state=state,
            client_id=client_id,
            **names,
        )
