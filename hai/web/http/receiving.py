"""What all handlers that take pictures have in common: counting, and letting go.

An upload counts among those of its user from when it is admitted until its request is
over; its bytes, its refusal and how it ended go into the metrics here and nowhere else.
What comes as a form goes through multipart_body.py, and nothing of it stays unless its
handler says so; what comes by tus (web/tus.py) stays for the next request.
"""

from typing import Any

from hai.errors import Busy, HaiError
from hai.units import UTF8_BYTES
from hai.web.http.base import BaseHandler
from hai.web.http.bodies import BODY_TIMEOUT_S
from hai.web.http.multipart_body import Destination, MultipartBody, Whole

SLOWEST_BYTES_PER_S = 4 * 1024  # a phone on 2G; slower uploads are given up


class ReceivingHandler(BaseHandler):
    """Counts the upload among its user's, its bytes, and how it ended."""

    _is_counted = False

    def begin_upload(self) -> None:
        """Raises RateLimited when this user has too many under way."""
        if self.is_gone:
            raise Busy()  # nobody hears it, and nobody would end it any more
        self.application.begin_upload(self.user.user_id)
        self._is_counted = True

    def end_upload(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self.application.end_upload(self.user.user_id, self.get_status())

    def count_bytes(self, chunk: bytes) -> None:
        self.application.metrics.count("hai_upload_bytes_total", by=len(chunk))

    def count_outcome(self, outcome: str) -> None:
        self.application.metrics.count("hai_uploads_total", outcome)

    def count_refusal(self, error: HaiError) -> None:
        self.application.metrics.count("hai_uploads_refused_total", error.code)

    def on_finish(self) -> None:
        self.end_upload()


class ReceivingFormHandler(ReceivingHandler):
    """Receives a multipart form with pictures, while it comes.

    is_storing: then it goes on, whatever becomes of the connection.
    """

    upload: MultipartBody[Any] | None = None  # what comes goes there
    is_storing = False

    def multipart_body(self, destination: Destination[Whole]) -> MultipartBody[Whole]:
        """Raises BadRequest when the request has another one."""
        kind = self.request.headers.get("Content-Type", "")
        max_field_bytes = UTF8_BYTES * self.core.config.max_text_chars
        return MultipartBody(kind, max_field_bytes, destination)

    def upload_timeout_s(self) -> float:
        length = self.content_length() or self.body_limit()
        return BODY_TIMEOUT_S + length / SLOWEST_BYTES_PER_S

    async def body_received(self, chunk: bytes) -> None:
        if self.upload is None:
            await super().body_received(chunk)
            return
        self.count_bytes(chunk)
        try:
            await self.upload.feed(chunk)
        except BaseException:
            await self.let_go("refused")
            raise

    async def let_go(self, outcome: str) -> None:
        """Nothing of what came may stay, or is needed any more. Counted once."""
        if self.upload is not None:
            upload, self.upload = self.upload, None
            self.count_outcome(outcome)
            await upload.discard()
            self.has_let_go()

    def has_let_go(self) -> None:
        """What else is to be done then."""

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.end_upload()
        self._let_go_soon("cut")

    def on_finish(self) -> None:
        super().on_finish()
        self._let_go_soon("refused")

    def _let_go_soon(self, outcome: str) -> None:
        if self.upload is not None and not self.is_storing:
            self.application.in_background(self.let_go(outcome))
