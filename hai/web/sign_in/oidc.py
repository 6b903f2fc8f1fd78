"""Signing in at an OpenID Connect provider: there, back, and whose account it is here.

A way there begins with a GET, as the policy of our pages lets no form lead elsewhere.
Linking begins with a form, which draws the link: nobody else can make a browser do it.
"""

import logging
from urllib.parse import quote

from hai.core import audit
from hai.core.identity import oidc, seals
from hai.core.identity.oidc import Attempt, Claims, ProviderError
from hai.core.people import external_accounts
from hai.errors import BadRequest, HaiError, NotFound, Unauthorized
from hai.shapes import LinkPathResponse
from hai.web.sign_in.provider import OidcProvider
from hai.web.sign_in.second_factor import FactorActionHandler
from hai.web.sign_in.sessions import EntryHandler

logger = logging.getLogger(__name__)

ATTEMPT_COOKIE = "hai_oidc"
LINK_PURPOSE = "link an account"
LINK_MINUTES = 10


class OidcHandler(EntryHandler):
    """Errors are shown on the sign-in form; to people who are signed in, alone."""

    is_public = True
    works_without_factor = True
    max_body_bytes = 0

    async def admit(self) -> None:
        if not self.core.config.oidc_issuer:
            raise NotFound()
        audit.here.set(self.source)  # a GET, and yet it signs people in

    @property
    def provider(self) -> OidcProvider:
        provider: OidcProvider = self.settings.setdefault(
            "oidc_provider", OidcProvider(self.core)
        )
        return provider

    @property
    def redirect_uri(self) -> str:
        return self.own_origin + self.reverse_url("oidc_callback")

    async def run(self) -> None:
        raise NotImplementedError

    async def get(self) -> None:
        try:
            self.slow_down()
            await self._run()
            self.forgive()
        except HaiError as error:
            if self.identity is not None or not self.wants_page():
                raise
            self.draw_sign_in(**self.error_names(error))

    async def _run(self) -> None:
        """Raises Unauthorized, after a line in the log, if the provider is at fault."""
        try:
            await self.run()
        except ProviderError as error:
            issuer = self.provider.issuer
            logger.warning("signing in at %s failed: %.300s", issuer, error)
            host = oidc.host_of(issuer)
            raise Unauthorized(
                f"Signing in at {host} did not work. Try again, or another way."
            ) from None


class OidcStartHandler(OidcHandler):
    """GET /sign_in/oidc?next=, or with ?invite=, ?reset= or ?link=: what for."""

    async def run(self) -> None:
        path = self.next_path(self.query("next"))
        if self._is_led_from_elsewhere():
            self.redirect(f"{self.reverse_url('sign_in')}?next={quote(path)}")
            return
        attempt = Attempt(
            next=path,
            session_id=self._session_to_link(),
            reset_code=self.query("reset"),
            invite_code=self.query("invite"),
        )
        url = await self.provider.authorization_url(attempt, self.redirect_uri)
        self.keep_step(ATTEMPT_COOKIE, attempt.sealed())
        self.redirect(url)

    def _is_led_from_elsewhere(self) -> bool:
        """Whether another site's page began this: it would end the session that there
        is, for one that nobody asked for."""
        began = self.request.headers.get("Sec-Fetch-Site", "none")
        return began not in ("none", "same-origin")

    def _session_to_link(self) -> int:
        """0: not to link. Raises BadRequest."""
        sealed = self.query("link")
        if not sealed:
            return 0
        session_id = self.identity.session_id if self.identity else 0
        if seals.open_sealed(LINK_PURPOSE, sealed, session_id) is None:
            raise BadRequest("That took too long. Please start again.")
        return session_id


class OidcCallbackHandler(OidcHandler):
    """GET /sign_in/oidc/callback?code=&state=: back from there."""

    async def run(self) -> None:
        begun = oidc.find_attempt(self.find_step(ATTEMPT_COOKIE))
        attempt = oidc.require_state(begun, self.query("state"))
        self.forget_step(ATTEMPT_COOKIE)
        claims = await self._claims(attempt)
        if attempt.session_id:
            await self._link(attempt, claims)
        else:
            await self.go_in(await self._user_id(attempt, claims), attempt.next)

    async def _claims(self, attempt: Attempt) -> Claims:
        if error := self.query("error"):
            raise ProviderError(f"it says {error[:100]!r}")
        if self.query("iss") not in ("", self.provider.issuer):  # RFC 9207
            raise ProviderError("the answer is of another issuer")
        code = self.query("code")
        return await self.provider.claims(attempt, code, self.redirect_uri)

    async def _user_id(self, attempt: Attempt, claims: Claims) -> int:
        if attempt.reset_code:
            code = attempt.reset_code
            return await external_accounts.link_by_reset(self.core, code, claims)
        user_id = external_accounts.find_user_id(self.core, claims)
        if user_id is not None:
            return user_id
        invite = attempt.invite_code
        return await external_accounts.sign_up(self.core, invite, claims)

    async def _link(self, attempt: Attempt, claims: Claims) -> None:
        if self.identity is None or self.identity.session_id != attempt.session_id:
            raise BadRequest("You have been signed out meanwhile. Please start again.")
        await external_accounts.link(self.core, self.user.user_id, claims)
        self.done(self.reverse_url("second_factor"), done="linked")


class LinkAccountHandler(FactorActionHandler):
    """POST /settings/accounts: the link to go and link one. Wants `password` and `code`
    unless one has just signed in."""

    works_without_factor = False
    doing = "link"

    async def submit(self) -> None:
        if not self.core.config.oidc_issuer:
            raise NotFound()
        await self.prove_unless_fresh()
        session_id = self.user.session_id
        sealed = seals.seal(LINK_PURPOSE, "", session_id, minutes=LINK_MINUTES)
        path = f"{self.reverse_url('oidc')}?link={sealed}"
        if self.wants_json():
            answer: LinkPathResponse = {"path": path}
            self.write_json(answer, 201)
            return
        self.set_status(201)
        await self.show(link_path=path)


class UnlinkAccountHandler(FactorActionHandler):
    """POST /settings/accounts/ID/remove"""

    works_without_factor = False

    async def submit(self, account_id: int) -> None:
        await self.prove_unless_fresh()
        await external_accounts.unlink(self.core, self.user.user_id, account_id)
        self.done(self.reverse_url("second_factor"), done="unlinked")
