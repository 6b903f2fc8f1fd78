"""Creating accounts (the first owner, then by invitation) and changing one's own."""

import ipaddress
from typing import Any

from tornado.httputil import HTTPServerRequest

from hai import clock
from hai.core.identity import factors, sessions
from hai.core.people import accounts, resets
from hai.errors import BadRequest, Forbidden, NotFound, RateLimited
from hai.shapes import UserObject
from hai.storage.sessions import SessionRow
from hai.units import DAY_MS
from hai.web.http.base import FormHandler
from hai.web.sign_in.sessions import SessionHandler

NEW_MS = 7 * DAY_MS  # for so long a session in the list is called new
# A request that came through a proxy has one of them, whoever the peer is.
FORWARDING_HEADERS = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
)


class AccountHandler(SessionHandler):
    """The form that asks for name, display name and password."""

    is_public = True

    def account(self) -> dict[str, str]:
        """The fields of a new account, as core takes them."""
        names = ("name", "display_name", "password")
        return {name: self.form.text(name) for name in names}

    async def welcome(self, user: UserObject) -> None:
        await self.begin_session(user["id"])
        self.done(self.reverse_url("home"), {"user": user}, status=201)


class SetUpHandler(AccountHandler):
    """GET and POST /setup: creates the owner, once.

    Whoever can read the terminal has the token; from this machine none is needed.
    """

    async def admit(self) -> None:
        if not accounts.needs_set_up(self.core):
            raise NotFound("Hai is set up already.")

    async def show(self, **names: Any) -> None:
        names.setdefault("form", {"token": self.query("token")})
        self.draw(
            "accounts/new.html",
            "Set up",
            mode="setup",
            invite_code="",
            action=self.request.path,
            needs_token=not is_local_request(self.request),
            **names,
        )

    async def submit(self) -> None:
        self.slow_down()
        has_token = accounts.is_set_up_token(self.core, self.form.text("token"))
        if not (has_token or is_local_request(self.request)):
            raise Forbidden("Use the link that Hai printed when it started.")
        await self.welcome(await accounts.set_up(self.core, **self.account()))


def is_local_request(request: HTTPServerRequest) -> bool:
    """Peer and Host are loopback and there is no proxy in between: the operator.

    Host too, because otherwise a web page could reach us under a name of its own.
    """
    if any(name in request.headers for name in FORWARDING_HEADERS):
        return False
    host = request.host_name.strip("[]")
    return _is_loopback(request.remote_ip or "") and (
        host == "localhost" or _is_loopback(host)
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class SignUpHandler(AccountHandler):
    """GET and POST /join/CODE, and /join where sign-up is open."""

    async def admit(self) -> None:
        await accounts.require_sign_up(self.core, self.path_kwargs.get("code", ""))

    async def show(self, code: str = "", **names: Any) -> None:
        if self.identity is not None:
            self.redirect(self.reverse_url("home"))
            return
        path = self.request.path
        names |= {"mode": "join", "action": path, "invite_code": code}
        self.draw("accounts/new.html", "Join", **names)

    async def submit(self, code: str = "") -> None:
        self.slow_down()
        user = await accounts.sign_up(self.core, code, **self.account())
        self.forgive()
        await self.welcome(user)


class NewPasswordHandler(AccountHandler):
    """GET and POST /reset/CODE: a new password, with a link made by an admin."""

    async def show(self, code: str, **names: Any) -> None:
        person = await resets.find(self.core, code)
        path = self.request.path
        self.draw(
            "accounts/reset.html",
            "New password",
            person=person,
            action=path,
            reset_code=code,
            **names,
        )

    async def submit(self, code: str) -> None:
        self.slow_down()
        user_id = await resets.use(self.core, code, self.form.text("password"))
        self.forgive()
        await self.go_in(user_id, self.reverse_url("home"))


class SettingsHandler(FormHandler):
    """GET and POST /settings: one's display name, and the list of sessions."""

    async def show(self, **names: Any) -> None:
        user = self.user
        rows = await sessions.list_of(self.core, user.user_id)
        browsers = [self._shown(row) for row in rows if row.kind == "browser"]
        names |= {
            "sessions": browsers,
            "other_browsers": [s for s in browsers if not s["is_this"]],
            "token_count": len(rows) - len(browsers),
            "factor": await factors.state_of(self.core, user.user_id, user.role),
        }
        await self.page("accounts/edit.html", "Settings", **names)

    def _shown(self, row: SessionRow) -> dict[str, Any]:
        is_this = row.id == self.user.session_id
        is_young = clock.now_ms() - row.created_at < NEW_MS
        return {**row._asdict(), "is_this": is_this, "is_new": is_young and not is_this}

    async def submit(self) -> None:
        name = self.form.text("display_name")
        user = await accounts.change_profile(self.core, self.user, display_name=name)
        self.done(self.reverse_url("settings"), {"user": user}, done="saved")


class PasswordHandler(SettingsHandler, SessionHandler):
    """POST /settings/password. Ends all other sessions."""

    async def submit(self) -> None:
        old, new = self.form.text("old_password"), self.form.text("password")
        self.slow_down(("old password", self.user.user_id))
        try:
            await accounts.change_password(self.core, self.user, old=old, new=new)
        except (BadRequest, RateLimited):  # BadRequest: the old one was right
            self.forgive_account()
            raise
        self.forgive()
        self.done(self.reverse_url("settings"), done="password")
