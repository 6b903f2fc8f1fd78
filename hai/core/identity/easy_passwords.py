"""Passwords that are tried first: common ones, names that are known here, patterns.

The list is common_passwords.txt.gz, whose head says where it is from; it is read when
a password is first checked and then kept: 199 KiB. Knows nothing of users or hashes.
"""

import gzip
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from hai.core.context import Core
from hai.storage import rooms as room_rows

COMMON = Path(__file__).with_name("common_passwords.txt.gz")
SITE_NAME = "hai"
MIN_ROOT_CHARS = 4  # of a word that stays one with something appended
MAX_APPENDED_CHARS = 4
MEAN_RUN_CHARS = 4  # 1234qwer is two runs of four; words have far shorter ones
SIGNS = r"[\W\d_]"  # what is put behind a word: figures and punctuation
EDGES = re.compile(f"^{SIGNS}+|{SIGNS}+$")
BETWEEN_WORDS = re.compile(r"[\W_]+")
SPACES = re.compile(r"\s+")
SEPARATORS = re.compile(r"[\s._-]+")
LOOKALIKES = str.maketrans("@4310$5!7", "aaeiossit")
# Alphabets and figures need no line: their neighbours are neighbours in Unicode.
KEYBOARD_ROWS = (
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
)


def _neighbours() -> dict[tuple[str, str], set[tuple[str, int]]]:
    """Of two keys: the rows in which they are next to each other, and which way."""
    found: dict[tuple[str, str], set[tuple[str, int]]] = {}
    for row in KEYBOARD_ROWS:
        for a, b in pairwise(row):
            found.setdefault((a, b), set()).add((row, 1))
            found.setdefault((b, a), set()).add((row, -1))
    return found


NEIGHBOURS = _neighbours()


async def names_here(core: Core) -> list[str]:
    """What everybody knows: the site's names and those of the open rooms.

    Not of closed ones: a refusal would tell a stranger that there is such a room.
    """
    host = urlsplit(core.config.public_url or "").hostname or ""
    return [SITE_NAME, host, *await core.db.read(room_rows.open_names)]


def is_easy(password: str, names: Iterable[str] = ()) -> bool:
    """Whether it is a common one, one of the names, a sequence or a repetition, also
    in capitals, with spaces, or with a few figures or signs appended."""
    folded = _folded(password)
    known = {form for name in names for form in _name_forms(name)}
    written = {SPACES.sub("", folded), SEPARATORS.sub("", folded)}
    return any(_is_easy(word, known) for word in written)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _name_forms(name: str) -> set[str]:
    """Ada Lovelace 2: ada, lovelace, adalovelace2 and adalovelace."""
    words = BETWEEN_WORDS.split(_folded(name))
    whole = "".join(words)
    return {*words, whole, EDGES.sub("", whole)} - {""}


def _is_easy(word: str, names: set[str]) -> bool:
    if word in names or EDGES.sub("", word) in names:
        return True
    return any(_is_root(root, names) for root in _roots(word))


def _roots(word: str) -> Iterator[str]:
    """The word, and it without the one to four figures or signs at its end."""
    yield word
    for _ in range(min(MAX_APPENDED_CHARS, len(word) - MIN_ROOT_CHARS)):
        if not re.match(SIGNS, word[-1]):
            return
        word = word[:-1]
        yield word


def _is_root(root: str, names: set[str]) -> bool:
    unit = root[: (root + root).find(root, 1)]
    if unit != root and (len(unit) <= MIN_ROOT_CHARS or _is_easy(unit, names)):
        return True
    return root in names or _is_sequence(root) or _is_common(root)


def _is_sequence(word: str) -> bool:
    """Whether it is runs along a row or of one sign: abcd1234, asdfgh, 11112222."""
    return _count_runs(word) * MEAN_RUN_CHARS <= len(word)


def _count_runs(word: str) -> int:
    """A run goes one way: aab is two."""
    runs = 1
    ways: set[tuple[str, int]] | None = None
    for a, b in pairwise(word):
        ways = _ways(a, b) if ways is None else ways & _ways(a, b)
        if not ways:
            runs, ways = runs + 1, None
    return runs


def _ways(a: str, b: str) -> set[tuple[str, int]]:
    """In what rows, and which way, b comes after a."""
    step = ord(b) - ord(a)
    ways = {("Unicode", step)} if abs(step) <= 1 else set()
    return ways | NEIGHBOURS.get((a, b), set())


def _is_common(word: str) -> bool:
    common = _common()
    forms = (word, word.translate(LOOKALIKES))
    return any(f"\n{form}\n" in common for form in forms)


@cache
def _common() -> str:
    """One a line: as text they take a tenth of what a set of them would."""
    return gzip.decompress(COMMON.read_bytes()).decode()
