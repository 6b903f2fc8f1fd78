"""How a request's body is received: bounded, and refused before it is read.

Every handler of ours streams, so `prepare` runs as soon as the headers are there. A
request that is not allowed, or whose body is too long, gets its response at once
(connection.py decides what happens to the body and the connection then). An accepted
body is collected (at most `max_body_bytes`) and parsed when a handler asks for a field.
"""

import asyncio
import logging
import sys
from typing import Any

from tornado.web import RequestHandler, stream_request_body

from hai.errors import Busy, HaiError, TooLarge
from hai.web.http.forms import Form

logger = logging.getLogger(__name__)

FORM_BYTES = 64 * 1024  # forms of ours have a few short fields
# Less for unauthenticated clients: a password of 1,024 characters is 12 KiB in a form.
UNAUTHENTICATED_FORM_BYTES = 16 * 1024
MAX_LENGTH_DIGITS = 18  # Python refuses to read numbers of thousands of digits
CLIENT_GONE = 499  # for the log and the metrics: nginx's number for it
BODY_TIMEOUT_S = 30.0  # for small bodies; a hostile one may send a byte a second


@stream_request_body
class BodyHandler(RequestHandler):
    """Receives the body. Subclasses may raise `max_body_bytes`."""

    max_body_bytes = FORM_BYTES

    def initialize(self, *args: Any, **settings: Any) -> None:
        self.body = bytearray()
        self.is_refused = False
        self.is_gone = False  # the client closed the connection
        self.task: asyncio.Task[Any] | None = (
            None  # that serves this request; set in `prepare`
        )
        self.is_cancelled = False
        self._form: Form | None = None

    def has_body(self) -> bool:
        headers = self.request.headers
        return "Transfer-Encoding" in headers or self.content_length() > 0

    def content_length(self) -> int:
        """As announced; 0 if it was not (Tornado refuses malformed ones)."""
        text = self.request.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()):
            return 0
        return int(text) if len(text) < MAX_LENGTH_DIGITS else sys.maxsize

    def expect_body(self) -> None:
        """Set the limits for this body. Raises TooLarge if it announces more."""
        connection: Any = self.request.connection
        connection.set_body_timeout(self.body_timeout_s())
        connection.set_max_body_size(self.body_limit())
        if self.content_length() > self.body_limit():
            raise TooLarge()

    def body_limit(self) -> int:
        return self.max_body_bytes

    def body_timeout_s(self) -> float:
        return BODY_TIMEOUT_S

    async def data_received(self, chunk: bytes) -> None:
        try:
            await self.body_received(chunk)
        except HaiError as error:
            self.refuse(error)
        except Exception:
            logger.exception("receiving a body failed")
            self.refuse(Busy())

    async def body_received(self, chunk: bytes) -> None:
        """The next bytes of an accepted body. May raise HaiError."""
        self.body += chunk

    def refuse(self, error: HaiError) -> None:
        """Respond now; the connection decides what happens to the body."""
        if self.is_refused or self._finished:
            return
        self.is_refused = True
        self.write_refusal(error)
        self.finish()

    def write_refusal(self, error: HaiError) -> None:
        """Set the status and write the answer, but do not finish."""
        raise NotImplementedError

    def on_connection_close(self) -> None:
        """Reads for this request are cancelled; changes are carried out."""
        self.is_gone = True
        super().on_connection_close()
        if self.is_question and self.task is not None:
            self.is_cancelled = True
            self.task.cancel()

    @property
    def is_question(self) -> bool:
        """Whether it changes nothing."""
        return self.request.method in ("GET", "HEAD")

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Nobody reads the response of a cancelled request: draw nothing."""
        if not self.is_cancelled:
            super().send_error(status_code, **kwargs)
        elif not self._finished:
            self.set_status(CLIENT_GONE, "Client Closed Request")
            self.finish()

    @property
    def form(self) -> Form:
        """The body as a form or a JSON object. Raises BadRequest if it is neither."""
        if self._form is None:
            kind = self.request.headers.get("Content-Type", "")
            self._form = Form.parse(kind, bytes(self.body))
        return self._form
