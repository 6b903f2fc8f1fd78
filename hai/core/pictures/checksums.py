"""The digest that a client says its bytes have, compared with what came.

It finds what a line or a proxy has spoilt; against anybody who means harm it is no
help, and need not be. Of whole pictures storage/blobs.py keeps a SHA-256 of our own.
"""

import hashlib

from hai.errors import UploadChecksum

# SHA-1 is what every server of the protocol knows.
DIGEST_BYTES = {"sha1": 20, "sha256": 32}


class Checksum:
    """Of the bytes of one request: `update` it with each, then `check`."""

    def __init__(self, algorithm: str, digest: bytes) -> None:
        self._expected = digest
        self._seen = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._seen.update(data)

    def check(self) -> None:
        """Raises UploadChecksum when other bytes came."""
        if self._seen.digest() != self._expected:
            raise UploadChecksum()
