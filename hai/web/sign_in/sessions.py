"""Signing in and out, and ending one's other sessions."""

import math
from collections.abc import Hashable
from typing import Any
from urllib.parse import quote

from hai.core.identity import cookies, sessions
from hai.core.people import accounts
from hai.core.rate_limits import Buckets
from hai.errors import CodeNeeded, RateLimited
from hai.web.http.base import BaseHandler, FormHandler
from hai.web.http.bodies import UNAUTHENTICATED_FORM_BYTES

MAX_KEY_CHARS = 64  # longer than any name, shorter than what a form may hold
HOUR_S = 3600
SECOND_STEP_COOKIE = "hai_second_step"  # for ten minutes (core/identity/second_step.py)


def in_minutes(wait_s: float) -> str:
    """At most an hour, for people."""
    minutes = math.ceil(min(wait_s, HOUR_S) / 60)
    return "in a minute" if minutes <= 1 else f"in {minutes} minutes"


class EntryHandler(BaseHandler):
    """For every handler that starts a session, or counts tries."""

    max_body_bytes = UNAUTHENTICATED_FORM_BYTES

    def slow_down(self, *keys: Hashable) -> None:
        """One try of this address, and one under the first key that has any left.

        keys: of the password that is tried; none where no password is. Raises
        RateLimited.
        """
        self._spent: list[tuple[Buckets, Hashable]] = []
        self._spend(self.application.tries, self.address)
        if keys:
            self._spend(self.application.name_tries, *keys)

    def _spend(self, tries: Buckets, *keys: Hashable) -> None:
        for key in keys:
            if tries.take(key):
                self._spent.append((tries, key))
                return
        when = in_minutes(min(tries.wait_s(key) for key in keys))
        raise RateLimited(f"Too many tries. Please try again {when}.")

    def forgive(self) -> None:
        """It succeeded, so it does not count: people of one address may sign in one
        after another."""
        for tries, key in self._spent:
            tries.give_back(key)

    def forgive_account(self) -> None:
        """The password was not checked, or was right: it counts against the address
        only, not against the account."""
        for tries, key in self._spent[1:]:
            tries.give_back(key)

    @property
    def agent(self) -> str:
        return self.request.headers.get("User-Agent", "")

    async def begin_session(self, user_id: int) -> None:
        self.keep(await sessions.start(self.core, user_id, "browser", self.agent))

    def keep(self, token: str) -> None:
        """Set the browser's session cookie. What it had before is over: nobody who knew
        that takes part in the new one."""
        before = self.identity
        if before is not None and not before.by_token:
            ended = sessions.end(self.core, before.user_id, before.session_id)
            ended.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.keep_cookie(cookies.SESSION, token)

    # --- What a browser keeps while it signs in --------------------------------------

    def find_step(self, name: str) -> str:
        """The value of one of *_COOKIE; "" if there is none. By https only under the
        name that no other host can set: with a step that somebody else began, one would
        go in as them."""
        return self.get_cookie(self._step_name(name)) or ""

    def keep_step(self, name: str, value: str) -> None:
        """Until it is forgotten, or the browser is closed."""
        is_secure = self.has_secure_cookies
        full_name = self._step_name(name)
        self.set_cookie(
            full_name, value, httponly=True, samesite="Lax", secure=is_secure
        )

    def forget_step(self, name: str) -> None:
        is_secure = self.has_secure_cookies
        full_name = self._step_name(name)
        self.clear_cookie(full_name, httponly=True, samesite="Lax", secure=is_secure)

    def _step_name(self, name: str) -> str:
        return cookies.full_name(name, self.has_secure_cookies)

    # --- Going in --------------------------------------------------------------------

    async def go_in(self, user_id: int, path: str) -> None:
        """For somebody who has shown something as good as a password: to `path`, after
        their second factor if they have one."""
        try:
            token = await sessions.enter_proven(self.core, user_id, self.agent)
        except CodeNeeded as error:
            self.ask_for_second_step(error, path)
        else:
            self.keep(token)
            self.done(path)

    def ask_for_second_step(self, error: CodeNeeded, path: str) -> None:
        """Browsers go to the form for the code; programs are told, and may send it
        with the password, or there."""
        self.keep_step(SECOND_STEP_COOKIE, error.half)
        if self.wants_json():
            self.write_refusal(error)
        else:
            here = self.reverse_url("second_step")
            self.redirect(f"{here}?next={quote(path)}", status=303)

    def user_keys(self, what: str, user_id: int) -> list[Hashable]:
        """For tries at what is a user's: shared by all addresses; but where they have
        been, signed in, they have some of their own, which nobody elsewhere can use up.
        """
        keys: list[Hashable] = [(what, user_id)]
        if self.application.known_places.has(user_id, self.address):
            keys.append((what, user_id, self.address))
        return keys

    def next_path(self, path: str) -> str:
        """Never another site: `//host` and `/\\host` are."""
        is_ours = path.startswith("/") and path[1:2] not in ("/", "\\")
        is_plain = path.isascii() and path.isprintable() and len(path) < 1000
        return path if is_ours and is_plain else self.reverse_url("home")

    def draw_sign_in(self, **names: Any) -> None:
        """The form for name and password, and the other ways."""
        self.draw(
            "sessions/new.html",
            "Sign in",
            sign_up_open=self.core.config.sign_up == "open",
            needs_set_up=accounts.needs_set_up(self.core),
            **names,
        )


class SessionHandler(EntryHandler, FormHandler):
    """One with a form."""


class SignInHandler(SessionHandler):
    """GET and POST /sign_in, with `next`, a path of ours to go to afterwards."""

    is_public = True
    works_without_factor = True

    async def get(self) -> None:
        if self.identity is not None:
            self.redirect(self.next_path(self.query("next")))
        elif accounts.is_empty(self.core):
            self.redirect(self.reverse_url("set_up"))
        else:
            await self.show(form={"next": self.query("next")})

    async def show(self, **names: Any) -> None:
        self.draw_sign_in(**names)

    async def submit(self) -> None:
        name = self.form.text("name")
        self.slow_down(*self._keys(name))
        path = self.next_path(self.form.text("next"))
        password, code = self.form.text("password"), self.form.text("code")
        try:
            token = await sessions.sign_in(self.core, name, password, self.agent, code)
        except RateLimited:
            self.forgive_account()
            raise
        except CodeNeeded as error:
            self.forgive()
            self.ask_for_second_step(error, path)
            return
        self.forgive()
        self.keep(token)
        self.done(path)

    def _keys(self, name: str) -> list[Hashable]:
        """A name's tries are shared by all addresses; but where its user has been,
        signed in, they have some of their own, which nobody elsewhere can use up."""
        keys: list[Hashable] = [name.strip().casefold()[:MAX_KEY_CHARS]]
        user_id = sessions.find_user_id(self.core, name)
        if user_id and self.application.known_places.has(user_id, self.address):
            keys.append((user_id, self.address))
        return keys


class SignOutHandler(BaseHandler):
    """POST /sign_out"""

    is_public = True
    works_without_factor = True
    max_body_bytes = UNAUTHENTICATED_FORM_BYTES

    async def post(self) -> None:
        if self.identity is not None:
            who = self.identity
            await sessions.end(self.core, who.user_id, who.session_id)
        self.forget_session()
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
