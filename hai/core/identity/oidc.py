"""OpenID Connect: what is asked of a provider, and whether its answers are good.

Authorization code with PKCE (RFC 7636), state and nonce; OpenID Connect Core 1.0, 3.1.
Knows no HTTP (web/sign_in/provider.py does) and no accounts (core/people/). joserfc
checks signatures, off the loop; loaded with the first sign-in: 24 ms and 8.6 MiB, most
of it the library `cryptography`.
"""

import asyncio
import base64
import hashlib
import importlib
import json
import math
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from hai import clock
from hai.core.context import Core
from hai.core.identity import seals
from hai.errors import BadRequest

PURPOSE = "oidc"
MINUTES = 10  # for a password, a second factor, a consent there
SCOPE = "openid profile email"
NONCE_BYTES = 32
LEEWAY_S = 60  # clocks differ
MAX_AGE_S = 3600  # of a token that was asked for a moment ago
MAX_SUBJECT_CHARS = 255  # the standard's
# Signatures by key pairs only: "none" and those by a shared secret are not looked at.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}
)
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

Claims = dict[str, Any]


class ProviderError(Exception):
    """The provider's answer is not good; the text is for the log."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back, kept by the browser as a sealed text.

    session_id: to link to its user; reset_code: to the user of that link; invite_code:
    for a new account. Otherwise only to sign in.
    """

    next: str = ""
    session_id: int = 0
    reset_code: str = ""
    invite_code: str = ""
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(NONCE_BYTES))

    def sealed(self) -> str:
        return seals.seal(PURPOSE, json.dumps(asdict(self)), minutes=MINUTES)

    def derived(self, purpose: str) -> str:
        """State, nonce and verifier: none tells anything of the others."""
        return _text(hashlib.sha256(f"{purpose} {self.secret}".encode()).digest())


def find_attempt(sealed: str) -> Attempt | None:
    """None: expired, or not one of ours."""
    text = seals.open_sealed(PURPOSE, sealed)
    return None if text is None else Attempt(**json.loads(text))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def host_of(issuer: str) -> str:
    """What people are shown."""
    return urlsplit(issuer).hostname or issuer


# --- The provider's own description --------------------------------------------------


def check_description(issuer: str, found: Any) -> dict[str, str]:
    """Its endpoints. Raises ProviderError."""
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        raise ProviderError("it says to be another issuer")
    scheme = urlsplit(issuer).scheme
    wanted = {name: found.get(name) for name in (*ENDPOINTS, "userinfo_endpoint")}
    for name, url in wanted.items():
        if url is None and name not in ENDPOINTS:
            continue
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", scheme):
            raise ProviderError(f"its {name} is not an address")
    methods = found.get("token_endpoint_auth_methods_supported")
    wanted["sends_basic"] = "" if _wants_post(methods) else "yes"
    return {name: url for name, url in wanted.items() if url is not None}


def _wants_post(methods: Any) -> bool:
    """Whether it takes the client's secret in the form only; Basic is the default."""
    return isinstance(methods, list) and "client_secret_basic" not in methods


def authorization_url(
    endpoint: str, client_id: str, redirect_uri: str, attempt: Attempt
) -> str:
    verifier = attempt.derived("verifier")
    wanted = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "state": attempt.derived("state"),
        "nonce": attempt.derived("nonce"),
        "code_challenge": _text(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(endpoint).query else "?"
    return f"{endpoint}{joint}{urlencode(wanted)}"


# --- The ID token --------------------------------------------------------------------


async def check_id_token(
    core: Core, token: Any, keys: Any, *, client_id: str, nonce: str
) -> Claims:
    """Its claims. keys: the provider's, a JWK set. Raises ProviderError."""
    if not isinstance(token, str):
        raise ProviderError("there is no ID token")
    loop = asyncio.get_running_loop()
    claims = await loop.run_in_executor(core.executor, _claims, token, keys)
    _check_claims(claims, core.config.oidc_issuer, client_id, nonce)
    return claims


def _claims(token: str, keys: Any) -> Claims:
    """Of a token that was signed by one of these. Raises ProviderError."""
    jwk = importlib.import_module("joserfc.jwk")
    try:
        key_id = header_of(token).get("kid")
        known = jwk.KeySet.import_key_set(keys).keys
    except Exception:  # of what a provider sends, anything may be wrong
        raise ProviderError("its token or its keys cannot be read") from None
    fitting = [key for key in known if key_id in (None, key.kid)]
    found = [*filter(None, (_verified(token, key) for key in fitting))]
    if not found:
        raise ProviderError("the ID token is not signed by a key of its own")
    return found[0]


def header_of(token: str) -> dict[str, Any]:
    """Not verified. Raises ValueError or worse."""
    head = token.partition(".")[0]
    found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return found if isinstance(found, dict) else {}


def has_key(keys: Any, token: Any) -> bool:
    """Whether the key that a token names is among these; True if it names none."""
    try:
        key_id = header_of(token).get("kid")
        return key_id is None or any(key.get("kid") == key_id for key in keys["keys"])
    except Exception:  # of what a provider sends, anything may be wrong
        return True  # and is said when it is checked


def _verified(token: str, key: Any) -> Claims | None:
    jwt = importlib.import_module("joserfc.jwt")
    try:
        claims = jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
    except Exception:  # the library has many
        return None
    return claims if isinstance(claims, dict) else None


def _check_claims(claims: Claims, issuer: str, client_id: str, nonce: str) -> None:
    """Core 1.0, 3.1.3.7. Raises ProviderError."""
    now_s = clock.now_ms() // 1000
    audiences = claims.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    problems = {
        "iss": claims.get("iss") != issuer,
        "aud": client_id not in audiences,
        "azp": claims.get("azp", client_id) != client_id
        or (len(audiences) > 1 and "azp" not in claims),
        "exp": not _time(claims, "exp") + LEEWAY_S > now_s,
        "iat": not now_s - MAX_AGE_S < _time(claims, "iat") <= now_s + LEEWAY_S,
        "nonce": claims.get("nonce") != nonce,
        "sub": not is_subject(claims.get("sub")),
    }
    if wrong := [name for name, is_wrong in problems.items() if is_wrong]:
        raise ProviderError("the ID token has a wrong " + " and ".join(wrong))


def _time(claims: Claims, name: str) -> float:
    """NaN, which is neither before nor after anything, if it is no number."""
    value = claims.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


def is_subject(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_CHARS


# --- Who may join --------------------------------------------------------------------


def may_sign_up(core: Core, claims: Claims) -> bool:
    """By the domain of a verified mail address, or by a group."""
    config = core.config
    if config.sign_up == "closed":
        return False
    groups = claims.get("groups")
    theirs = groups if isinstance(groups, list) else []
    if any(group in theirs for group in config.oidc_sign_up_groups):
        return True
    mail = claims.get("email")
    if not isinstance(mail, str) or claims.get("email_verified") is not True:
        return False
    domain = mail.rpartition("@")[2].casefold()
    return domain in map(str.casefold, config.oidc_sign_up_domains)


def shown_name(claims: Claims) -> str:
    """What their account there is called, for lists."""
    for name in ("email", "preferred_username", "name"):
        value = claims.get(name)
        if isinstance(value, str) and value.isprintable() and value.strip():
            return value.strip()[:100]
    return "an account"


def require_state(attempt: Attempt | None, state: str) -> Attempt:
    """Raises BadRequest for an answer to what this browser did not ask."""
    if attempt is None or state != attempt.derived("state"):
        raise BadRequest(
            "That took too long, or was begun elsewhere. Please try again."
        )
    return attempt
