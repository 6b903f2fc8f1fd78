"""The OpenID Connect provider over HTTP: its description, its keys, its token endpoint.

An answer has 64 KiB and 10 s at most, and no redirect is followed: whatever the
provider does, it costs one request, one page and one line in the log. What it says of
itself is kept for an hour.
"""

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from hai import clock
from hai.core.context import Core
from hai.core.identity import oidc
from hai.core.identity.oidc import Attempt, Claims, ProviderError

MAX_ANSWER_BYTES = 64 * 1024
TIMEOUT_S = 10.0
KEPT_S = 3600.0
FAILED_S = 5.0  # those who waited for the same answer do not ask again
NEW_KEYS_EVERY_S = 60.0  # a token with an unknown key makes us look for it
DESCRIPTION = "/.well-known/openid-configuration"


class OidcProvider:
    """Of the setting oidc_issuer. One for the process; loop thread."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.issuer = core.config.oidc_issuer
        self.client_id = core.config.oidc_client_id
        self._http: AsyncHTTPClient | None = None
        self._endpoints: tuple[float, dict[str, str]] | None = None  # (when, what)
        self._keys: tuple[float, Any] | None = None
        self._failed: tuple[float, ProviderError] | None = None
        self._looking = asyncio.Lock()

    async def authorization_url(self, attempt: Attempt, redirect_uri: str) -> str:
        """Where the browser goes. Raises ProviderError."""
        endpoint = (await self._described())["authorization_endpoint"]
        return oidc.authorization_url(endpoint, self.client_id, redirect_uri, attempt)

    async def claims(self, attempt: Attempt, code: str, redirect_uri: str) -> Claims:
        """What it says of whoever came back with this code. Raises ProviderError."""
        answer = await self._redeem(attempt, code, redirect_uri)
        token = answer.get("id_token")
        keys = await self._keys_for(token)
        claims = await oidc.check_id_token(
            self.core,
            token,
            keys,
            client_id=self.client_id,
            nonce=attempt.derived("nonce"),
        )
        return claims | await self._more_claims(answer, claims)

    async def _redeem(
        self, attempt: Attempt, code: str, redirect_uri: str
    ) -> dict[str, Any]:
        """The token endpoint's answer."""
        endpoints = await self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.client_id,
            "code_verifier": attempt.derived("verifier"),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        basic: dict[str, str] = {}
        if secret := self._secret():
            if endpoints["sends_basic"]:
                # RFC 6749, 2.3.1: both are form-encoded before.
                basic = {
                    "auth_username": quote(self.client_id, safe=""),
                    "auth_password": quote(secret, safe=""),
                }
            else:
                form["client_secret"] = secret
        return await self._ask(
            endpoints["token_endpoint"],
            method="POST",
            body=urlencode(form),
            headers=headers,
            **basic,
        )

    def _secret(self) -> str:
        """Read anew each time, so that it can be changed. A line of a small file."""
        path = self.core.config.oidc_client_secret_file
        if path is None:
            return ""
        try:
            return path.read_text().strip()
        except (OSError, ValueError) as error:
            raise ProviderError(
                f"the client's secret cannot be read: {error}"
            ) from None

    async def _more_claims(self, answer: dict[str, Any], claims: Claims) -> Claims:
        """Most providers say names and groups at their userinfo endpoint only."""
        endpoint = (await self._described()).get("userinfo_endpoint")
        token = answer.get("access_token")
        if endpoint is None or not isinstance(token, str):
            return {}
        headers = {"Authorization": f"Bearer {token}"}
        found = await self._ask(endpoint, headers=headers)
        if found.get("sub") != claims["sub"]:
            raise ProviderError("its userinfo is of somebody else")
        return {name: found[name] for name in found if name not in claims}

    # --- What it says of itself ------------------------------------------------------

    async def _described(self) -> dict[str, str]:
        """Its endpoints, asked for once however many sign in at once."""
        async with self._looking:
            now_s = clock.monotonic_s()
            if self._failed and now_s - self._failed[0] < FAILED_S:
                raise self._failed[1]
            if self._endpoints is None or now_s - self._endpoints[0] > KEPT_S:
                self._endpoints = now_s, await self._describe()
            return self._endpoints[1]

    async def _describe(self) -> dict[str, str]:
        try:
            found = await self._ask(self.issuer.rstrip("/") + DESCRIPTION)
            return oidc.check_description(self.issuer, found)
        except ProviderError as error:
            self._failed = clock.monotonic_s(), error
            raise

    async def _keys_for(self, token: Any) -> Any:
        """Its keys; looked at again when the one of this token is not among them."""
        endpoints = await self._described()
        async with self._looking:
            now_s = clock.monotonic_s()
            age_s = now_s - self._keys[0] if self._keys else KEPT_S
            is_old = age_s >= KEPT_S
            is_new_key = age_s > NEW_KEYS_EVERY_S and not oidc.has_key(
                self._keys and self._keys[1], token
            )
            if self._keys is None or is_old or is_new_key:
                self._keys = now_s, await self._ask(endpoints["jwks_uri"])
            return self._keys[1]

    async def _ask(self, url: str, **options: Any) -> dict[str, Any]:
        """A JSON object. Raises ProviderError, whatever happens."""
        request = HTTPRequest(
            url,
            follow_redirects=False,
            connect_timeout=TIMEOUT_S,
            request_timeout=TIMEOUT_S,
            decompress_response=False,  # 64 KiB can hold 64 MiB
            **options,
        )
        if self._http is None:
            self._http = AsyncHTTPClient(
                force_instance=True, max_body_size=MAX_ANSWER_BYTES
            )
        try:
            answer = await self._http.fetch(request)
            found = json.loads(answer.body)
        except Exception as error:  # Tornado passes on whatever ended a connection
            raise ProviderError(f"{url}: {error}") from None
        if not isinstance(found, dict):
            raise ProviderError(f"{url}: no JSON object")
        return found
