"""/settings/second_factor: one's own second factor, set up, changed and turned off.

A secret is shown before it counts: until its first code comes back, the page itself
keeps it, sealed. Recovery codes are shown once, in the answer that made them.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hai.core.identity import factors, passkeys, seals, totp
from hai.core.identity.factors import FactorState
from hai.core.people import external_accounts
from hai.errors import BadRequest
from hai.shapes import (
    FactorSetUpResponse,
    RecoveryCodesResponse,
    SecondFactorResponse,
)
from hai.web.http.base import BaseHandler
from hai.web.sign_in.sessions import SessionHandler

PURPOSE = "totp secret"
SECRET_MINUTES = 30

T = TypeVar("T")


class FactorPageHandler(BaseHandler):
    """GET /settings/second_factor. Without a sidebar for those who have to set it up:
    they can go nowhere else."""

    works_without_factor = True

    async def get(self, *ids: Any) -> None:
        await self.show()

    async def state(self) -> FactorState:
        user = self.user
        return await factors.state_of(self.core, user.user_id, user.role)

    async def show(self, *ids: Any, **names: Any) -> None:
        state = await self.state()
        if self.wants_json():
            answer: SecondFactorResponse = {"second_factor": state.as_dict()}
            self.write_json(answer)
            return
        if "sealed" not in names and not state.totp_at and self.is_fresh():
            names["sealed"] = self.new_sealed()
        names["set_up"] = await self.set_up(names.pop("sealed", ""))
        names["passkeys"] = await passkeys.list_of(self.core, self.user.user_id)
        names["is_fresh"] = self.is_fresh()
        user_id = self.user.user_id
        names["accounts"] = await external_accounts.list_of(self.core, user_id)
        names["agent"] = self.request.headers.get("User-Agent", "")
        names.setdefault("doing", "")
        names.setdefault("link_path", "")
        draw = self.draw_alone if self.user.lacks_factor else self.page
        await draw(
            "accounts/second_factor.html", "Ways to sign in", factor=state, **names
        )

    async def draw_alone(self, template: str, title: str, **names: Any) -> None:
        self.draw(template, title, **names)

    def is_fresh(self) -> bool:
        return factors.is_fresh(self.core, self.user.session_id)

    def new_sealed(self) -> str:
        text = totp.as_text(totp.new_secret())
        return seals.seal(PURPOSE, text, self.user.session_id, minutes=SECRET_MINUTES)

    def secret_in(self, sealed: str) -> bytes | None:
        text = seals.open_sealed(PURPOSE, sealed, self.user.session_id)
        return None if text is None else totp.from_text(text)

    async def set_up(self, sealed: str) -> FactorSetUpResponse | None:
        """None: it has expired."""
        secret = self.secret_in(sealed)
        if secret is None:
            return None
        user_id, place = self.user.user_id, self.place()
        link = await factors.link(self.core, user_id, secret, place)
        return {"sealed": sealed, "secret": totp.as_text(secret), "link": link}

    def place(self) -> str:
        """This site's host, for the list in the app."""
        return urlsplit(self.own_origin).hostname or ""


class FactorActionHandler(FactorPageHandler, SessionHandler):
    """POST below /settings/second_factor. Errors are shown on the page, beside the form
    that is open again."""

    doing = ""

    async def get(self, *ids: Any) -> None:
        """Somebody reloaded the page that a form had returned."""
        self.redirect(self.reverse_url("second_factor"))

    async def show(self, *ids: Any, **names: Any) -> None:
        await super().show(doing=self.doing, **names)

    async def prove(self) -> None:
        """`password`. Counted among the tries at it."""
        user = self.user
        self.slow_down(("old password", user.user_id))
        password = self.form.text("password")
        await factors.prove(self.core, user.user_id, user.session_id, password)
        self.forgive()

    async def prove_unless_fresh(self) -> None:
        """All that signing in takes, unless that was a moment ago."""
        if not self.is_fresh():
            await self.prove_all()

    async def prove_all(self) -> None:
        await self.prove()
        if (await self.state()).is_on:
            await self.use_code(partial(factors.check, self.core, self.user.user_id))

    async def use_code(self, use: Callable[[str], Awaitable[T]]) -> T:
        """What a use of `code` gives. Counted among the tries at codes."""
        self.slow_down(*self.user_keys("code", self.user.user_id))
        result = await use(self.form.text("code"))
        self.forgive()
        return result

    def show_codes_or_go_on(self, codes: list[str], notice: str) -> None:
        if codes:
            self.show_codes(codes)
        else:
            here = self.reverse_url("second_factor")
            none: RecoveryCodesResponse = {"recovery_codes": []}
            self.done(here, none, done=notice)

    def show_codes(self, codes: list[str]) -> None:
        if self.wants_json():
            answer: RecoveryCodesResponse = {"recovery_codes": codes}
            self.write_json(answer, 201)
            return
        self.set_status(201)
        self.draw("accounts/recovery_codes.html", "Recovery codes", codes=codes)


class BeginFactorHandler(FactorActionHandler):
    """POST .../begin: a new secret to set up an app with."""

    doing = "begin"

    async def submit(self) -> None:
        if (await self.state()).totp_at:  # a new app in place of the old one
            await self.prove_all()
        else:
            await self.prove_unless_fresh()
        sealed = self.new_sealed()
        if self.wants_json():
            self.write_json(await self.set_up(sealed), 201)
            return
        self.set_status(201)
        await self.show(sealed=sealed)


class ConfirmFactorHandler(FactorActionHandler):
    """POST .../confirm: `sealed`, and a `code` of its secret, which counts from now."""

    async def show(self, *ids: Any, **names: Any) -> None:
        await super().show(sealed=self.form.text("sealed"), **names)

    async def submit(self) -> None:
        self.slow_down()
        secret = self.secret_in(self.form.text("sealed"))
        if secret is None:
            raise BadRequest("That took too long. Please start again.", field="sealed")
        code = self.form.text("code")
        codes = await factors.set_up_totp(self.core, self.user.user_id, secret, code)
        self.forgive()
        self.show_codes_or_go_on(codes, "factor_on")


class RecoveryCodesHandler(FactorActionHandler):
    """POST .../codes: new recovery codes in place of all there were."""

    doing = "codes"

    async def submit(self) -> None:
        await self.prove()
        replace = partial(factors.new_codes, self.core, self.user.user_id)
        self.show_codes(await self.use_code(replace))


class TurnOffFactorHandler(FactorActionHandler):
    """POST .../off"""

    doing = "off"

    async def submit(self) -> None:
        await self.prove()
        user = self.user
        await self.use_code(
            partial(factors.turn_off, self.core, user.user_id, user.role)
        )
        self.done(self.reverse_url("settings"), done="factor_off")
