"""Recovery codes: for the day when the phone is gone. Each works once.

120 random bits each, so a plain hash is enough to store, as for tokens (ASVS 5.0, 6.5.2
asks for 112). The alphabet has no letters that look like figures.
"""

import re
import secrets

from hai import ids

COUNT = 8
CHARS = 24
GROUP_CHARS = 4
ALPHABET = "abcdefghjkmnpqrstuvwxyz023456789"  # 32 signs, 5 bits each
SEPARATORS = re.compile(r"[\s-]+")


def new_codes() -> list[str]:
    return [_new_code() for _ in range(COUNT)]


def _new_code() -> str:
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CHARS))
    groups = range(0, CHARS, GROUP_CHARS)
    return "-".join(letters[at : at + GROUP_CHARS] for at in groups)


def hash_of(code: str) -> bytes:
    """However it was typed: in capitals, without hyphens."""
    return ids.token_hash(plain(code))


def plain(code: str) -> str:
    return SEPARATORS.sub("", code).casefold()
