"""How handlers respond: with a page, with JSON, or with a redirect to a page.

Programs request JSON in `Accept`; browsers request text/html. Permissions have been
checked before.
"""

import gzip
import re
from functools import partial
from typing import Any

from tornado.web import RequestHandler

from hai import ids
from hai.core import origin
from hai.core.context import Core
from hai.core.fields import MAX_NAME_CHARS
from hai.core.talk import hai_cache
from hai.errors import BadRequest
from hai.ids import MAX_ID
from hai.web.http import headers
from hai.web.http.bodies import BodyHandler
from hai.web.http.fragments import Fragments
from hai.web.http.kept_pages import ZIP_LEVEL, KeptPage
from hai.web.http.shared import HaiApplication
from hai.web.views.page import UI_METHODS

METHODS = RequestHandler.SUPPORTED_METHODS

# Notices at the top of a page after a form was submitted: ?done=KEY.
NOTICES = {
    "saved": "Saved.",
    "avatar": "That is you now.",
    "avatar_removed": "Your picture is gone. You have your letter back.",
    "password": "Your password is changed.",
    "session": "That browser is signed out.",
    "token": "That token works no more.",
    "sessions": "Signed out in all other browsers.",
    "signed_out": "You are signed out. See you soon.",
    "too_slow": "That took too long. Please sign in again.",
    "factor_on": "Your app is set up. Its codes are asked for from now on.",
    "passkey_added": "Your passkey is here. It signs you in without the password.",
    "passkey_removed": "That passkey does not sign you in any more.",
    "linked": "Linked. You can sign in with that account from now on.",
    "unlinked": "That account does not sign you in any more.",
    "factor_off": "The app is not asked for any more.",
    "factor_reset": "Their two-step sign-in is off, and they are signed out.",
    "left": "You have left the room.",
    "removed": "Removed.",
    "added": "Added.",
    "deactivated": "Signed out everywhere and out of the lists.",
    "reactivated": "Back in the lists, and in the rooms they were in.",
    "signed_out_user": "Signed out everywhere.",
    "removing": "The pictures are going. Their space is free in a moment.",
}
PAGE_VARIES = "Accept-Encoding, Accept"
GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


class RespondingHandler(BodyHandler):
    """The response half of every handler."""

    application: HaiApplication
    always_json = False  # the API is for programs only
    may_compress = True  # pages; see search.py for the one that may not

    def __init_subclass__(cls, **settings: Any) -> None:
        """Methods that a class does not have are refused with 405 at once."""
        super().__init_subclass__(**settings)
        if "SUPPORTED_METHODS" not in vars(cls):
            cls.SUPPORTED_METHODS = tuple(filter(cls._has, METHODS))

    @classmethod
    def _has(cls, method: str) -> bool:
        name = "get" if method == "HEAD" else method.lower()
        return getattr(cls, name) is not getattr(RequestHandler, name)

    def set_default_headers(self) -> None:
        for name, value in headers.SAFE.items():
            self.set_header(name, value)
        self.set_header("Server", "Hai")
        self.set_header("Cache-Control", headers.PAGE_CACHING)
        self.set_header("Content-Security-Policy", headers.NOTHING_POLICY)

    @property
    def core(self) -> Core:
        return self.application.core

    @property
    def has_secure_cookies(self) -> bool:
        """Whether the site uses https, so that cookies must be secure."""
        if self.core.config.public_url.startswith("https:"):
            return True
        peer = self.request.remote_ip or ""
        return origin.came_by_https(self.core.config, self.request.headers, peer)

    def query(self, name: str) -> str:
        """The last value of a query argument, or an empty text."""
        values = self.request.query_arguments.get(name, [b""])
        return values[-1].decode("utf-8", "replace")

    def query_id(self, name: str) -> int | None:
        """An id from the query. Raises BadRequest if it is not one."""
        text = self.query(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))):
            raise BadRequest(f"{name} must be a number.", field=name)
        return int(text)

    @property
    def notice(self) -> str | None:
        return NOTICES.get(self.query("done"))

    def wants_json(self) -> bool:
        """Whether a form gets JSON rather than a redirect."""
        accepts_json = "application/json" in self.request.headers.get("Accept", "")
        return self.always_json or accepts_json

    def wants_page(self) -> bool:
        """Whether an error gets a page rather than JSON."""
        accepts_page = "text/html" in self.request.headers.get("Accept", "")
        return accepts_page and not self.always_json

    def write_json(self, value: Any, status: int = 200) -> None:
        """Not ASCII only, as on sockets: a page of hais ends at 128 KiB of this."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(hai_cache.encode(value))

    def done(
        self, path: str, value: Any = None, *, status: int = 200, done: str = ""
    ) -> None:
        """After a form: browsers go to `path`, programs get the value."""
        if self.wants_json():
            self.write_json(value or {}, status)
        else:
            self.redirect(f"{path}?done={done}" if done else path, status=303)

    def get_template_namespace(self) -> dict[str, Any]:
        """Adds what templates may call. Tornado would bind its `ui_methods` again for
        every request, which takes 20 us even if nothing is drawn."""
        bound = {name: partial(run, self) for name, run in UI_METHODS.items()}
        return super().get_template_namespace() | bound

    def draw(self, template: str, title: str, **names: Any) -> None:
        self._write_page(self.drawn(template, title, **names))

    def drawn(self, template: str, title: str, **names: Any) -> bytes:
        self._set_policy()
        state = names.setdefault("state", None)
        common = partial(self.application.shell.part, is_live=bool(state))
        names.setdefault("form", {})
        names.setdefault("border", "")
        names.setdefault("error", None)
        names.setdefault("back", self.request.path)
        return self.render_string(
            template,
            title=title,
            common=common,
            fragments=Fragments(self.application.shell, self.core.cache),
            me=state and state["me"],
            assets=self.application.assets,
            config=self.core.config,
            name_chars=MAX_NAME_CHARS,
            notice=self.notice,
            path=self.request.uri,
            **names,
        )

    def _write_page(self, page: bytes) -> None:
        """A room of 40 hais is 60 KB, and 13 compressed, in 1 ms."""
        if self.may_zip():
            page = gzip.compress(page, ZIP_LEVEL, mtime=0)
        self.write(page)

    def write_kept(self, page: KeptPage, rev: int) -> None:
        """One that was drawn before, at most a moment ago, or for another request."""
        self._set_policy()
        client_id = ids.new_client_id()
        of_now = page.zipped if self.may_zip() else page.text
        self.write(of_now(client_id, rev))

    def may_zip(self) -> bool:
        """Whether the page goes compressed; the headers then say so."""
        self.set_header("Vary", PAGE_VARIES)
        accepted = self.request.headers.get("Accept-Encoding", "")
        if not (self.may_compress and accepts_gzip(accepted)):
            return False
        self.set_header("Content-Encoding", "gzip")
        return True

    def _set_policy(self) -> None:
        policy = self.application.page_policy(self.request.host)
        self.set_header("Content-Security-Policy", policy)

    def compute_etag(self) -> str | None:
        """Pages are not stored, so no client would revalidate one."""
        return None

    async def head(self, *ids: int, **names: str) -> None:
        """As GET; Tornado leaves out the body."""
        await self.get(*ids, **names)  # type: ignore[misc]  # each has a GET of its own


def accepts_gzip(accepted: str) -> bool:
    return GZIP.search(accepted) is not None
