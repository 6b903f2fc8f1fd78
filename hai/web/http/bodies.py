"""How a request's body is received: bounded, and refused before it is read.

Every handler of ours streams, so `prepare` runs when the headers are there. A
request that nobody may make, or whose body is too long, is answered at once;
what still comes of its body is thrown away for a while, because closing a
socket with unread bytes resets the connection and the client may never see
why. A body that is welcome is collected (at most `max_body_bytes`) and parsed
when a handler asks for a field.
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
# Of strangers we hold less: a password of 1,024 characters is 12 KiB in a form.
STRANGERS_FORM_BYTES = 16 * 1024
MAX_LENGTH_DIGITS = 18  # Python refuses to read numbers of thousands of digits
LINGER_BYTES = 64 * 1024 * 1024  # of a refused body; a browser's whole upload
LINGER_S = 5.0
CLIENT_GONE = 499  # for the log and the metrics: nginx's number for it
BODY_TIMEOUT_S = 30.0  # for small bodies; a hostile one may come a byte a second


@stream_request_body
class BodyHandler(RequestHandler):
    """Receives the body. Subclasses may raise `max_body_bytes`."""

    max_body_bytes = FORM_BYTES

    def initialize(self, *args: Any, **settings: Any) -> None:
        self.body = bytearray()
        self.has_begun = False  # some of the body has come
        self.is_refused = False
        self.is_gone = False  # the client closed the connection
        self.task: asyncio.Task[Any] | None = None  # that answers; ours from `prepare`
        self.is_cancelled = False
        self._left_over_bytes = 0  # of a refused body, thrown away
        self._form: Form | None = None

    def has_body(self) -> bool:
        headers = self.request.headers
        return "Transfer-Encoding" in headers or self.content_length() > 0

    def content_length(self) -> int:
        """As announced; 0 when it was not (Tornado refuses malformed ones)."""
        text = self.request.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()):
            return 0
        return int(text) if len(text) < MAX_LENGTH_DIGITS else sys.maxsize

    def expect_body(self) -> None:
        """Set the limits for this body. Raises TooLarge when it says it is longer."""
        connection: Any = self.request.connection
        connection.set_body_timeout(self.body_timeout_s())
        connection.set_max_body_size(self.body_limit())
        if self.content_length() > self.body_limit():
            raise TooLarge()

    def body_limit(self) -> int:
        return self.max_body_bytes

    def body_timeout_s(self) -> float:
        return BODY_TIMEOUT_S

    def _awaits_our_word(self) -> bool:
        """The client sends its body only when told to go on: it never will."""
        expects = self.request.headers.get("Expect", "").lower() == "100-continue"
        return expects and not self.has_begun

    async def data_received(self, chunk: bytes) -> None:
        self.has_begun = True
        if self.is_refused:
            self._throw_away(chunk)
            await asyncio.sleep(0)  # a fast line has the next one there already
            return
        try:
            await self.body_received(chunk)
        except HaiError as error:
            self.refuse(error)
        except Exception:
            logger.exception("receiving a body failed")
            self.refuse(Busy())

    async def body_received(self, chunk: bytes) -> None:
        """The next bytes of a welcome body. May raise HaiError."""
        self.body += chunk

    def refuse(self, error: HaiError) -> None:
        """Answer now; what is still to come of the body goes nowhere."""
        if self.is_refused or self._finished:
            return
        self.is_refused = True
        self.write_refusal(error)
        if not self.has_body() or self._awaits_our_word():
            self.finish()
            return
        connection: Any = self.request.connection
        connection.set_max_body_size(sys.maxsize)
        # The method that would have answered ends the refusal instead.
        setattr(self, str(self.request.method).lower(), self._end_refusal)
        self._send_refusal()
        asyncio.get_running_loop().call_later(LINGER_S, self._end_refusal)

    def write_refusal(self, error: HaiError) -> None:
        """Set the status and write the answer, but do not finish."""
        raise NotImplementedError

    def _send_refusal(self) -> None:
        length = sum(len(part) for part in self._write_buffer)
        self.set_header("Content-Length", str(length))
        self.set_header("Connection", "close")
        self.flush()

    def _throw_away(self, chunk: bytes) -> None:
        self._left_over_bytes += len(chunk)
        if self._left_over_bytes > LINGER_BYTES:
            self._end_refusal()

    def _end_refusal(self, *args: Any, **names: Any) -> None:
        """Finishing with an unread body also closes the connection."""
        if not (self._finished or self.is_gone):
            self.finish()

    def on_connection_close(self) -> None:
        """What was only asked for is not looked up any more; what was ordered is
        carried out."""
        self.is_gone = True
        super().on_connection_close()
        if self.is_question and self.task is not None:
            self.is_cancelled = True
            self.task.cancel()

    @property
    def is_question(self) -> bool:
        """It changes nothing."""
        return self.request.method in ("GET", "HEAD")

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Nobody is there to read what was cancelled: there is nothing to draw."""
        if not self.is_cancelled:
            super().send_error(status_code, **kwargs)
        elif not self._finished:
            self.set_status(CLIENT_GONE, "Client Closed Request")
            self.finish()

    @property
    def form(self) -> Form:
        """The body as a form or a JSON object. Raises BadRequest when it is neither."""
        if self._form is None:
            kind = self.request.headers.get("Content-Type", "")
            self._form = Form.parse(kind, bytes(self.body))
        return self._form
