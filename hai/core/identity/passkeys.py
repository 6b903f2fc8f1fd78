"""Passkeys: signing in by a key pair whose private half stays on a person's device.

WebAuthn level 2, discoverable, user verification required: finger, face or screen lock
is asked for by the device, so one of them is both factors at once. fido2 checks what
the browser brings, off the loop; it is loaded with the first passkey: 28 ms and 9.3
MiB, most of it the library `cryptography`.

A challenge is a sealed text: nothing is kept while somebody looks for their finger. It
works once, for five minutes, in the session (or, to sign in, the browser) that asked.
"""

import asyncio
import base64
import binascii
import importlib
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hai import errors
from hai.config import Config
from hai.core import audit, fields, origin
from hai.core.context import Core
from hai.core.identity import factors, seals, sessions
from hai.storage import users as user_rows
from hai.storage.identity import passkeys as rows
from hai.storage.identity.passkeys import PasskeyRow, PublicKeyRow
from hai.storage.writer import Transaction

logger = logging.getLogger(__name__)

MAX_PER_USER = 20
MAX_NAME_CHARS = fields.MAX_NAME_CHARS
CHALLENGE_MINUTES = 5
NONCE_BYTES = 24
USER_HANDLE_BYTES = 8
ALGORITHMS = (-7, -8, -257)  # ES256, EdDSA, RS256: what devices make
TO_ADD, TO_SIGN_IN = "add a passkey", "sign in by passkey"
NOT_GOOD = "That passkey did not fit. Please try again."
UNKNOWN = "This passkey is not known here any more. Sign in another way."

Credential = dict[str, Any]  # what a browser brings, as WebAuthn's toJSON() has it


@dataclass(frozen=True, slots=True)
class Site:
    """Where a passkey is good: the origin that browsers see, and its host."""

    own: str
    config: Config

    @property
    def rp_id(self) -> str:
        return urlsplit(self.own).hostname or ""

    def is_own(self, named: str) -> bool:
        return origin.is_own(named, self.config, self.own)


# --- What the browser is asked -------------------------------------------------------


async def creation_options(
    core: Core, site: Site, user_id: int, session_id: int
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptions as JSON."""
    name, shown = await core.db.read(user_rows.find_names, user_id)
    known = await core.db.read(rows.credential_ids, user_id)
    algorithms = [{"type": "public-key", "alg": number} for number in ALGORITHMS]
    handle = _text(_handle(user_id))
    return {
        "rp": {"id": site.rp_id, "name": f"Hai {site.rp_id}"},
        "user": {"id": handle, "name": name, "displayName": shown},
        "challenge": _challenge(TO_ADD, session_id),
        "pubKeyCredParams": algorithms,
        "excludeCredentials": [
            {"type": "public-key", "id": _text(credential_id)}
            for credential_id in known
        ],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request_options(site: Site, browser: str) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptions as JSON. browser: a secret of its own."""
    return {
        "rpId": site.rp_id,
        "challenge": _challenge(TO_SIGN_IN, browser),
        "userVerification": "required",
    }


def _challenge(purpose: str, bound_to: object) -> str:
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    sealed = seals.seal(purpose, nonce, bound_to, minutes=CHALLENGE_MINUTES)
    return _text(sealed.encode())


def _handle(user_id: int) -> bytes:
    return user_id.to_bytes(USER_HANDLE_BYTES, "big")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


# --- What it brings ------------------------------------------------------------------


def _bytes(text: object) -> bytes:
    """Of base64url. Raises BadRequest."""
    if not isinstance(text, str):
        raise errors.BadRequest(NOT_GOOD, field="credential")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise errors.BadRequest(NOT_GOOD, field="credential") from None


def _sealed_challenge(credential: Credential) -> str:
    """That it says to answer. Raises BadRequest."""
    try:
        client_data = json.loads(_bytes(credential["response"]["clientDataJSON"]))
        return _bytes(client_data["challenge"]).decode()
    except (KeyError, TypeError, ValueError, RecursionError):
        raise errors.BadRequest(NOT_GOOD, field="credential") from None


def _open(purpose: str, credential: Credential, bound_to: object) -> str:
    """The challenge that it answers, if it is one of ours. Raises BadRequest."""
    sealed = _sealed_challenge(credential)
    if seals.open_sealed(purpose, sealed, bound_to) is None:
        raise errors.BadRequest(NOT_GOOD, field="credential")
    return sealed


def _spend(sealed: str) -> None:
    if not seals.use_once(sealed):
        raise errors.BadRequest(NOT_GOOD, field="credential")


async def _checked(core: Core, check: Callable[..., Any], *args: Any) -> Any:
    """On the executor: loading the library takes 28 ms, a signature up to 1."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(core.executor, check, *args)
    except Exception as error:  # hostile CBOR can make the library raise anything
        logger.info("a passkey was refused: %s", error)
        raise errors.BadRequest(NOT_GOOD, field="credential") from None


def _server(site: Site) -> Any:
    server = importlib.import_module("fido2.server")
    webauthn = importlib.import_module("fido2.webauthn")
    rp = webauthn.PublicKeyCredentialRpEntity(name="Hai", id=site.rp_id)
    return server.Fido2Server(rp, attestation="none", verify_origin=site.is_own)


def _state(sealed: str) -> dict[str, str]:
    return {"challenge": _text(sealed.encode()), "user_verification": "required"}


# --- Adding one ----------------------------------------------------------------------


async def add(
    core: Core,
    site: Site,
    *,
    user_id: int,
    session_id: int,
    credential: Credential,
    name: str,
) -> list[str]:
    """Returns recovery codes, to be shown once, unless there are some already.

    Raises BadRequest.
    """
    shown = fields.check_line("name", name, MAX_NAME_CHARS)
    sealed = _open(TO_ADD, credential, session_id)
    made = await _checked(core, _register, site, sealed, credential)
    _spend(sealed)
    return await audit.write(core, _add, user_id, *made, shown)


def _register(
    site: Site, sealed: str, credential: Credential
) -> tuple[bytes, bytes, int]:
    """(credential_id, attestedCredentialData, sign_count). Raises anything."""
    made = _server(site).register_complete(_state(sealed), credential)
    data = made.credential_data
    return bytes(data.credential_id), bytes(data), int(made.counter)


def _add(
    tx: Transaction,
    user_id: int,
    credential_id: bytes,
    credential: bytes,
    sign_count: int,
    name: str,
) -> list[str]:
    """(writer thread)"""
    known = rows.credential_ids(user_id)
    if len(known) >= MAX_PER_USER:
        raise errors.BadRequest(f"You can have {MAX_PER_USER} passkeys. Remove one.")
    if credential_id in known or rows.find(credential_id) is not None:
        raise errors.BadRequest("This passkey is here already.", field="credential")
    rows.insert(tx, user_id, credential_id, credential, sign_count, name)
    audit.record(tx, "added_passkey", user_id, user_id=user_id, details=name)
    return factors.first_codes(tx, user_id)


# --- Signing in ----------------------------------------------------------------------


async def sign_in(
    core: Core, site: Site, *, browser: str, credential: Credential, user_agent: str
) -> str:
    """A new browser session's token. browser: as for `request_options`.

    Raises Unauthorized, BadRequest.
    """
    sealed = _open(TO_SIGN_IN, credential, browser)
    found = core.db.read_now(rows.find, _bytes(credential.get("rawId")))
    if found is None:
        raise errors.Unauthorized(UNKNOWN)
    handle = credential["response"].get("userHandle")
    if handle not in (None, "") and _bytes(handle) != _handle(found.user_id):
        raise errors.BadRequest(NOT_GOOD, field="credential")
    count = await _checked(core, _authenticate, site, sealed, found, credential)
    _spend(sealed)
    agent = user_agent[: sessions.MAX_USER_AGENT_CHARS]
    return await audit.write(core, _sign_in, found, count, agent)


def _authenticate(
    site: Site, sealed: str, found: PublicKeyRow, credential: Credential
) -> int:
    """The signature counter. Raises anything."""
    webauthn = importlib.import_module("fido2.webauthn")
    known = webauthn.AttestedCredentialData(found.credential)
    _server(site).authenticate_complete(_state(sealed), [known], credential)
    brought = webauthn.AuthenticationResponse.from_dict(credential)
    return int(brought.response.authenticator_data.counter)


def _sign_in(
    tx: Transaction, proven: PublicKeyRow, sign_count: int, user_agent: str
) -> str:
    """Unless it was removed, or used elsewhere, in the meantime. (writer thread)"""
    credential_id = _credential_id(proven.credential)
    found = rows.find(credential_id)
    if found is None:
        raise errors.Unauthorized(UNKNOWN)
    counts = sign_count or found.sign_count
    if counts and sign_count <= found.sign_count:
        logger.warning(
            "a passkey of user %d counts backwards: there may be a copy of it",
            found.user_id,
        )
        raise errors.Unauthorized(UNKNOWN)
    rows.use(tx, found.id, sign_count)
    return sessions.insert(tx, found.user_id, "browser", user_agent)


def _credential_id(data: bytes) -> bytes:
    """WebAuthn 6.5.1: 16 bytes of AAGUID, 2 of length, then the id."""
    length = int.from_bytes(data[16:18], "big")
    return data[18 : 18 + length]


# --- The list ------------------------------------------------------------------------


async def list_of(core: Core, user_id: int) -> list[PasskeyRow]:
    """Oldest first."""
    return await core.db.read(rows.of_user, user_id)


def rename(
    core: Core, user_id: int, passkey_id: int, name: str
) -> "asyncio.Future[None]":
    """Raises BadRequest, NotFound."""
    shown = fields.check_line("name", name, MAX_NAME_CHARS)
    return core.db.write(_rename, user_id, passkey_id, shown)


def _rename(tx: Transaction, user_id: int, passkey_id: int, name: str) -> None:
    """(writer thread)"""
    if not rows.rename(tx, user_id, passkey_id, name):
        raise errors.NotFound()


def remove(
    core: Core, user_id: int, role: str, passkey_id: int
) -> "asyncio.Future[None]":
    """Raises NotFound, and Forbidden where nothing else is left and one is required."""
    required = factors.is_required(core.config, role, "person")
    return audit.write(core, _remove, user_id, passkey_id, required)


def _remove(tx: Transaction, user_id: int, passkey_id: int, required: bool) -> None:
    """(writer thread)"""
    name = rows.delete(tx, user_id, passkey_id)
    if name is None:
        raise errors.NotFound()
    if required and not factors.is_on(user_id):
        raise errors.Forbidden(factors.STAYS)
    factors.require_way_in(user_id)
    audit.record(tx, "removed_passkey", user_id, user_id=user_id, details=name)
    factors.after_removal(tx, user_id)
