"""Signing in and out, and ending one's other sessions."""

from typing import Any

from hai.core.identity import sessions
from hai.core.identity.sessions import SESSION_COOKIE
from hai.core.people import accounts
from hai.errors import RateLimited
from hai.web.http.base import (
    COOKIE_DAYS,
    BaseHandler,
    FormHandler,
)
from hai.web.http.bodies import UNAUTHENTICATED_FORM_BYTES


class SessionHandler(FormHandler):
    """For every handler that starts a session."""

    max_body_bytes = UNAUTHENTICATED_FORM_BYTES

    def slow_down(self, name: str = "") -> None:
        """One attempt from this address, and for this name. Raises RateLimited.

        A name has far more attempts than an address: otherwise others could lock out
        its owner by guessing.
        """
        may_try = self.application.tries.take(self.address)
        if not may_try or (name and not self.application.name_tries.take(name)):
            raise RateLimited("Too many tries. Please wait a minute.")

    def went_well(self) -> None:
        """A successful attempt does not count: many people may share one address."""
        self.application.tries.give_back(self.address)

    async def begin_session(self, user_id: int) -> None:
        agent = self.request.headers.get("User-Agent", "")
        self.keep(await sessions.start(self.core, user_id, "browser", agent))

    def keep(self, token: str) -> None:
        """Set the browser's session cookie: for this host only, hidden from scripts."""
        self.set_cookie(
            SESSION_COOKIE,
            token,
            expires_days=COOKIE_DAYS,
            httponly=True,
            samesite="Lax",
            secure=self.has_secure_cookies,
        )


class SignInHandler(SessionHandler):
    """GET and POST /sign_in, with `next`, a path of ours to go to afterwards."""

    is_public = True

    async def get(self) -> None:
        if self.identity is not None:
            self.redirect(self._next_path(self.query("next")))
        elif accounts.is_empty(self.core):
            self.redirect(self.reverse_url("set_up"))
        else:
            await self.show(form={"next": self.query("next")})

    async def show(self, **names: Any) -> None:
        self.draw(
            "sessions/new.html",
            "Sign in",
            sign_up_open=self.core.config.sign_up == "open",
            needs_set_up=accounts.needs_set_up(self.core),
            **names,
        )

    async def submit(self) -> None:
        name = self.form.text("name")
        self.slow_down(name.strip().casefold())
        agent = self.request.headers.get("User-Agent", "")
        password = self.form.text("password")
        token = await sessions.sign_in(self.core, name, password, agent)
        self.went_well()
        self.keep(token)
        self.done(self._next_path(self.form.text("next")))

    def _next_path(self, path: str) -> str:
        """Never another site: `//host` and `/\\host` are."""
        is_ours = path.startswith("/") and path[1:2] not in ("/", "\\")
        is_plain = path.isascii() and path.isprintable() and len(path) < 1000
        return path if is_ours and is_plain else self.reverse_url("home")


class SignOutHandler(BaseHandler):
    """POST /sign_out"""

    is_public = True
    max_body_bytes = UNAUTHENTICATED_FORM_BYTES

    async def post(self) -> None:
        if self.identity is not None:
            who = self.identity
            await sessions.end(self.core, who.user_id, who.session_id)
        self.clear_cookie(SESSION_COOKIE)
        self.done(self.reverse_url("sign_in"), done="signed_out")


class EndOthersHandler(BaseHandler):
    """POST /settings/sessions/end: sign out everywhere else."""

    async def post(self) -> None:
        await sessions.end_others(self.core, self.user)
        self.done(self.reverse_url("settings"), done="sessions")


class EndHandler(BaseHandler):
    """POST /settings/sessions/ID/end"""

    async def post(self, session_id: int) -> None:
        await sessions.end(self.core, self.user.user_id, session_id)
        self.done(self.reverse_url("settings"), done="session")
