"""A device with passkeys, made of keys and bytes: what a browser would bring."""

import base64
import hashlib
import json
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor, cose

PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


def text(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Device:
    """One passkey. origin: of the page in which it is used.

    Attributes may be changed before it is asked, to lie about something.
    """

    def __init__(self, origin, rp_id):
        self.origin, self.rp_id = origin, rp_id
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.count = 0
        self.flags = PRESENT | VERIFIED
        self.handle = None

    def create(self, options):
        """What navigator.credentials.create gives, as JSON."""
        self.handle = options["user"]["id"]
        data = self._client_data("webauthn.create", options)
        attested = {"fmt": "none", "attStmt": {}, "authData": self._data(WITH_KEY)}
        encoded = cbor.encode(attested)
        return self._brought(clientDataJSON=data, attestationObject=encoded)

    def get(self, options):
        """What navigator.credentials.get gives, as JSON."""
        self.count += 1
        client_data = self._client_data("webauthn.get", options)
        signed = self._data(0) + hashlib.sha256(client_data).digest()
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        brought = self._brought(
            clientDataJSON=client_data,
            authenticatorData=self._data(0),
            signature=signature,
        )
        brought["response"]["userHandle"] = self.handle
        return brought

    def _brought(self, **parts):
        response = {name: text(part) for name, part in parts.items()}
        who = {"id": text(self.id), "rawId": text(self.id)}
        return {**who, "type": "public-key", "response": response}

    def _client_data(self, kind, options):
        fields = {"type": kind, "challenge": options["challenge"]}
        return json.dumps(fields | {"origin": self.origin}).encode()

    def _data(self, more_flags):
        head = hashlib.sha256(self.rp_id.encode()).digest()
        head += bytes([self.flags | more_flags]) + self.count.to_bytes(4, "big")
        if not more_flags & WITH_KEY:
            return head
        public = cose.ES256.from_cryptography_key(self.key.public_key())
        length = len(self.id).to_bytes(2, "big")
        return head + bytes(16) + length + self.id + cbor.encode(public)
