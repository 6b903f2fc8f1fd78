"""Passkeys: signing in with one, adding, naming and removing one's own.

The page asks for options (JSON), the browser asks for a finger, and what comes of it
is sent as the field `credential` of a plain form: the answers are pages like any other.
"""

from hai import ids
from hai.core.identity import passkeys
from hai.core.identity.passkeys import Credential, Site
from hai.web.http.base import BaseHandler
from hai.web.http.forms import Form, parse_object
from hai.web.sign_in.second_factor import FactorActionHandler
from hai.web.sign_in.sessions import (
    SECOND_STEP_COOKIE,
    EntryHandler,
    SignInHandler,
)

BROWSER_COOKIE = (
    "hai_passkey"  # a secret of this browser, which a challenge is bound to
)


def site_of(handler: BaseHandler) -> Site:
    return Site(handler.own_origin, handler.core.config)


def credential_of(form: Form) -> Credential:
    """From JSON an object, from a form its text. Raises BadRequest."""
    value = form.fields.get("credential")
    if form.is_json and isinstance(value, dict):
        return value
    return parse_object(form.text("credential").encode("utf-8", "replace"))


class SignInOptionsHandler(EntryHandler):
    """POST /sign_in/passkey/options: `{get: options}`, and a cookie for a while."""

    is_public = True
    works_without_factor = True
    always_json = True

    async def post(self) -> None:
        browser = ids.new_token()
        self.keep_step(BROWSER_COOKIE, browser)
        options = passkeys.request_options(site_of(self), browser)
        self.write_json({"get": options})


class PasskeySignInHandler(SignInHandler):
    """POST /sign_in/passkey: `credential`, and `next`. Errors are shown on the form for
    name and password."""

    async def get(self) -> None:
        self.redirect(self.reverse_url("sign_in"))

    async def submit(self) -> None:
        self.slow_down()
        token = await passkeys.sign_in(
            self.core,
            site_of(self),
            browser=self.find_step(BROWSER_COOKIE),
            credential=credential_of(self.form),
            user_agent=self.agent,
        )
        self.forgive()
        self.forget_step(BROWSER_COOKIE)
        self.forget_step(SECOND_STEP_COOKIE)
        self.keep(token)
        self.done(self.next_path(self.form.text("next")))


class AddOptionsHandler(FactorActionHandler):
    """POST /settings/passkeys/options: `{create: options}`. Wants `password` and `code`
    unless one has just signed in."""

    always_json = True

    async def submit(self) -> None:
        await self.prove_unless_fresh()
        user = self.user
        options = await passkeys.creation_options(
            self.core, site_of(self), user.user_id, user.session_id
        )
        self.write_json({"create": options})


class AddPasskeyHandler(FactorActionHandler):
    """POST /settings/passkeys: `credential` and `name`."""

    doing = "passkey"

    async def submit(self) -> None:
        self.slow_down()
        codes = await passkeys.add(
            self.core,
            site_of(self),
            user_id=self.user.user_id,
            session_id=self.user.session_id,
            credential=credential_of(self.form),
            name=self.form.text("name"),
        )
        self.forgive()
        self.show_codes_or_go_on(codes, "passkey_added")


class RenamePasskeyHandler(FactorActionHandler):
    """POST /settings/passkeys/ID: `name`."""

    async def submit(self, passkey_id: int) -> None:
        name = self.form.text("name")
        await passkeys.rename(self.core, self.user.user_id, passkey_id, name)
        self.done(self.reverse_url("second_factor"), done="saved")


class RemovePasskeyHandler(RenamePasskeyHandler):
    """POST /settings/passkeys/ID/remove"""

    async def submit(self, passkey_id: int) -> None:
        await self.prove_unless_fresh()
        user = self.user
        await passkeys.remove(self.core, user.user_id, user.role, passkey_id)
        self.done(self.reverse_url("second_factor"), done="passkey_removed")
