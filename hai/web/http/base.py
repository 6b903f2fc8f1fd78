"""What all handlers share: who is asking, and how errors look.

Identity comes from `Authorization: Bearer` or the cookie; an invalid bearer token is
refused even where no sign-in is needed. Every HaiError becomes a page (for `Accept:
text/html`) or JSON here, and nowhere else; other exceptions are logged and answered
with `busy`, never with a traceback.
"""

import asyncio
import http
import logging
import time
from typing import Any
from urllib.parse import quote

from tornado.web import HTTPError, RequestHandler

from hai.core import audit, orders
from hai.core.identity import cookies, devices, sessions
from hai.core.identity.sessions import Identity
from hai.core.origin import address_block, came_by_https, misfits, own_origin
from hai.core.people import links
from hai.core.talk import first_state
from hai.errors import (
    BadRequest,
    Busy,
    FactorNeeded,
    Forbidden,
    HaiError,
    Misdirected,
    NotFound,
    RateLimited,
    Unauthorized,
    all_errors,
)
from hai.ids import MAX_ID
from hai.shapes import OrderAck
from hai.storage.database import asker
from hai.web.http.forms import Fields
from hai.web.http.responses import RespondingHandler
from hai.web.http.shared import client_address

logger = logging.getLogger(__name__)

COOKIE_DAYS = 400  # as long as browsers allow; the server's own rule is shorter
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
BY_STATUS = {error.status: error for error in reversed(all_errors())}


class BaseHandler(RespondingHandler):
    """Subclasses set `is_public` if no sign-in is needed, `is_costly` if a GET takes
    more than 5 ms and is charged (core/read_budget.py), and `works_without_factor` if
    it is also for people who must set up a second factor first."""

    is_public = False
    is_costly = False
    works_without_factor = False
    identity: Identity | None = None

    @property
    def user(self) -> Identity:
        """Who is asking, where `is_public` is False."""
        assert self.identity is not None
        return self.identity

    @property
    def address(self) -> str:
        """Identifies unauthenticated clients, also behind a proxy."""
        return address_block(self.whole_address)

    @property
    def whole_address(self) -> str:
        return client_address(self.core.config, self.request)

    @property
    def own_origin(self) -> str:
        """`scheme://host[:port]` at which this request reached Hai."""
        peer = self.request.remote_ip or ""
        return own_origin(self.core.config, self.request.headers, peer)

    def link_origin(self) -> str:
        """Where links to Hai lead. Raises Misdirected if that is not known."""
        peer = self.request.remote_ip or ""
        return links.get_origin(self.core.config, self.request.headers, peer)

    def can_link(self) -> bool:
        peer = self.request.remote_ip or ""
        return (
            links.find_origin(self.core.config, self.request.headers, peer) is not None
        )

    async def prepare(self) -> None:
        """Everything that can be refused before a byte of the body is read."""
        self.task = asyncio.current_task()
        try:
            ids: list[Any] = [path_id(text) for text in self.path_args]
            self.path_args = ids
            self.identity = self.find_identity()
            if self.identity is None and not self.is_public:
                self._ask_to_sign_in()
                return
            if self._is_without_factor():
                self._ask_for_factor()
                return
            if self.request.method not in SAFE_METHODS:
                self._expect_change()
            asker.set(self.user.user_id if self.identity else self.address)
            self.expect_body()
            if self.is_costly and self.is_question:
                self.core.read_budget.admit(self.user.user_id)
            await self.admit(*ids)
        except HaiError as error:
            self.refuse(error)

    def _expect_change(self) -> None:
        """Raises Forbidden."""
        if self.identity is not None and not self.identity.may_change:
            raise Forbidden(sessions.READ_ONLY)
        audit.here.set(self.source)

    def source(self) -> audit.Source:
        """Where the request comes from, for the audit log."""
        device = devices.words(self.request.headers.get("User-Agent"))
        peer = self.request.remote_ip or ""
        is_https = came_by_https(self.core.config, self.request.headers, peer)
        return audit.Source(self.whole_address, device, is_https)

    async def admit(self, *ids: Any) -> None:
        """Refuse, by raising HaiError, what can be refused before the body."""

    def find_identity(self) -> Identity | None:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            identity = sessions.find(self.core, token.strip())
            if identity is None:
                raise Unauthorized()
            return identity
        return sessions.find(self.core, self.own_cookie(cookies.SESSION))

    # --- Cookies ---------------------------------------------------------------------

    def own_cookie(self, name: str) -> str:
        """Its value; "" if there is none."""
        return cookies.find(self.request.cookies, name)

    def keep_cookie(self, name: str, value: str) -> None:
        """For this host only, hidden from scripts and from other sites' forms."""
        is_secure = self.has_secure_cookies
        self.set_cookie(
            cookies.full_name(name, is_secure),
            value,
            expires_days=COOKIE_DAYS,
            httponly=True,
            samesite="Lax",
            secure=is_secure,
        )
        self.forget_old_cookie(name)

    def forget_old_cookie(self, name: str) -> None:
        """That of an older Hai, or of the time before https."""
        if self.has_secure_cookies and name in self.request.cookies:
            self.clear_cookie(name)

    def forget_session(self) -> None:
        """Browsers let go of a prefixed cookie only if that is said as it was set."""
        self.clear_cookie(cookies.SESSION)
        if self.has_secure_cookies:
            name = cookies.full_name(cookies.SESSION, is_secure=True)
            self.clear_cookie(name, httponly=True, samesite="Lax", secure=True)

    def rename_session(self) -> None:
        """What was read under the old name is kept under today's."""
        if self.has_secure_cookies and cookies.SESSION in self.request.cookies:
            self.keep_cookie(cookies.SESSION, self.own_cookie(cookies.SESSION))

    # --- Who it is, and where --------------------------------------------------------

    def check_trusted_origin(self, origin: str) -> bool:
        """Behind a proxy that changes Host, `public_url` is our origin."""
        if origin == self.core.config.public_url:
            return True
        misfits.tell(
            self.core.config, self.request.headers, self.request.remote_ip or ""
        )
        return False

    def _ask_to_sign_in(self) -> None:
        """Browsers that want a page are redirected to the form, and back afterwards."""
        if self.request.method == "GET" and self.wants_page():
            here = quote(str(self.request.uri), safe="/")
            self.redirect(f"{self.reverse_url('sign_in')}?next={here}")
        else:
            self.refuse(Unauthorized())

    def _is_without_factor(self) -> bool:
        lacks_factor = self.identity is not None and self.identity.lacks_factor
        return lacks_factor and not self.works_without_factor

    def _ask_for_factor(self) -> None:
        """Browsers that want a page are redirected to where it is set up."""
        if self.request.method == "GET" and self.wants_page():
            self.redirect(self.reverse_url("second_factor"))
        else:
            self.refuse(FactorNeeded())

    def take_order(self) -> None:
        """Every change counts as an order. Raises RateLimited."""
        if not self.application.orders.take(self.user.user_id):
            raise RateLimited()

    async def order(self, name: str, payload: Fields) -> OrderAck:
        """Run one order as a socket would; returns its ack object."""
        self.take_order()
        return await orders.run(self.core, self.user, name, payload)

    async def page(self, template: str, title: str, **names: Any) -> None:
        """Draw a page with the state that its reader starts with."""
        self.note_place()
        self.rename_session()
        if "state" not in names and self.identity is not None:
            names["state"] = await first_state.for_user(self.core, self.identity)
        self.draw(template, title, **names)

    def note_place(self) -> None:
        """Who was shown a page here has proven that they are no guesser."""
        if self.identity is not None:
            self.application.known_places.note(self.identity.user_id, self.address)

    def draw(self, template: str, title: str, **names: Any) -> None:
        began_s = time.thread_time()
        super().draw(template, title, **names)
        self._charge(began_s)

    def write_json(self, value: Any, status: int = 200) -> None:
        began_s = time.thread_time()
        super().write_json(value, status)
        self._charge(began_s)

    def _charge(self, began_s: float) -> None:
        """Drawing what was costly to read costs as much again."""
        if self.is_costly and self.is_question and self.identity is not None:
            cpu_ms = 1000 * (time.thread_time() - began_s)
            self.core.read_budget.charge(self.identity.user_id, cpu_ms)

    def error_names(self, error: HaiError) -> dict[str, Any]:
        """For a form that is shown again: what was typed, and what was wrong."""
        self.set_status(error.status)
        field = error.details.get("field")
        shown = {"code": error.code, "message": error.message, "field": field}
        return {"form": self.form.typed(), "error": shown}

    # --- Errors ----------------------------------------------------------------------

    def write_refusal(self, error: HaiError, status: int = 0) -> None:
        self.set_status(status or error.status)
        if error.code == "unauthorized":
            self.set_header("WWW-Authenticate", "Bearer")
        if not self.wants_page():
            self.write_json({"error": error.as_dict()}, status or error.status)
            return
        try:
            self._draw_error(error)
        except Exception:
            logger.exception("the error page failed")
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.write(error.message)

    def _draw_error(self, error: HaiError) -> None:
        self.draw(
            "errors/error.html",
            http.HTTPStatus(self.get_status()).phrase,
            code=error.code,
            status=self.get_status(),
            message=error.message,
            is_general=error.message == type(error).message,
            can_sign_in=self.identity is None,
        )

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Translate an exception. Called by Tornado, which has cleared the response."""
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        raised = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(raised, HaiError):
            error, status = raised, raised.status
        elif isinstance(raised, HTTPError):
            error, status = BY_STATUS.get(status_code, BadRequest)(), status_code
        else:
            error, status = Busy("Something went wrong here. Please try again."), 503
        self.write_refusal(error, status)
        if not self._finished:
            self.finish()

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Refusals are not logged: the access log has their status."""
        if not isinstance(value, HaiError | HTTPError):
            what = f"{self.request.method} {self.shown_path()}"
            logger.error("%s failed", what, exc_info=(typ, value, tb))

    def shown_path(self) -> str:
        """The path as it may be logged: a query or a code may be a secret."""
        # Tornado refuses a method it does not know before it sets path_kwargs.
        path = self.request.path
        for secret in filter(None, getattr(self, "path_kwargs", {}).values()):
            path = path.replace(secret, "***")
        return path


class FormHandler(BaseHandler):
    """A page with a form. `show` draws it; `submit` handles it and redirects."""

    async def show(self, *args: Any, **names: Any) -> None:
        raise NotImplementedError

    async def submit(self, *args: Any, **names: Any) -> None:
        raise NotImplementedError

    async def get(self, *ids: Any, **names: Any) -> None:
        await self.show(*ids, **names)

    async def post(self, *ids: Any, **names: Any) -> None:
        """Errors are shown on the form itself, and what was typed is kept."""
        try:
            await self.submit(*ids, **names)
        except HaiError as error:
            if not self.wants_page() or self.wants_json():
                raise
            await self.show(*ids, **names, **self.error_names(error))


class NotFoundHandler(BaseHandler):
    """Every URL that is not in the table. Reads no body."""

    SUPPORTED_METHODS = RequestHandler.SUPPORTED_METHODS  # none of them finds anything
    is_public = True
    max_body_bytes = 0

    async def prepare(self) -> None:
        try:
            self.identity = self.find_identity()
            raise NotFound()
        except HaiError as error:
            self.refuse(error)


class MisdirectedHandler(BaseHandler):
    """Every URL, asked for at another host than `public_url`. Reads no body.

    Whoever wants to see a page is sent there.
    """

    SUPPORTED_METHODS = RequestHandler.SUPPORTED_METHODS
    is_public = True
    max_body_bytes = 0

    async def prepare(self) -> None:
        path = self.request.uri or ""
        is_path = path.startswith("/")  # the whole URL and a * are allowed, too
        if self.is_question and is_path and self.wants_page():
            self.redirect(self.core.config.public_url + path, status=307)
        else:
            self.refuse(Misdirected())


def path_id(text: Any) -> int:
    """An id in a path. Raises NotFound above what JavaScript can count."""
    number = int(text)
    if number > MAX_ID:
        raise NotFound()
    return number
