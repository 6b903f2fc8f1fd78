"""What a walker may ask for, and what it may say of the picture.

A walker yields requests. `Take`, `Next` and `Seek` are answered with bytes, which
are stored only if the walker `put`s them, changed or not; the others with b"".
It never asks for bytes that it neither needs nor keeps: those it passes over.

A walker can be left and begun anew where it was, in another process: wherever
its loop begins it says in a few words all that it knows (`picture.mark`), and
given these it goes on from there, asking for the same again. What it was
answered since is kept until the next mark, and may lie on the disk meanwhile:
so it `Take`s of a block that may hold metadata only its `essence`.
"""

import re
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

from hai.errors import PictureType

KEEP, DROP = True, False
# The most of one block that is held: larger than any Exif or palette in use.
MAX_HELD_BYTES = 64 * 1024
MAX_DURATION_MS = 7 * 24 * 3600 * 1000  # what claims to be longer is lying
ZEROS = bytes(64 * 1024)


def as_it_is(block: bytes) -> bytes:
    return block


class Take(NamedTuple):
    """Give me the next so many bytes, or of these what I need to know."""

    length: int
    essence: Callable[[bytes], bytes] = as_it_is
    is_kept: bool = False  # stored as they came, whatever the essence is


class Pass(NamedTuple):
    """Pass over the next so many bytes."""

    length: int
    is_kept: bool


class Seek(NamedTuple):
    """Pass over all up to where the pattern matches, and give me the match."""

    pattern: re.Pattern[bytes]  # matches two bytes
    is_kept: bool


class SubBlocks(NamedTuple):
    """Pass over a GIF's chain of sub-blocks: length, bytes, ... until length 0."""

    is_kept: bool


class Skim(NamedTuple):
    """Pass over the blocks that are here as a whole, in one loop.

    over: is given the buffer, where they begin and where to stop; puts what stays of
    them; returns where they end and how many they were. Whatever is not as usual it
    leaves to the walker. The answer is how many bytes were passed. There is none
    while bytes are awaited, so a mark has to come next.
    """

    over: Callable[[bytes, int, int], tuple[int, int]]


class Next(NamedTuple):
    """Give me the next so many bytes, or b"" if the file ends here."""

    length: int


class Rest(NamedTuple):
    """Pass over all that comes, to the end of the file."""

    is_kept: bool


PAUSE = Pass(0, DROP)  # in a long computation: others may go on
PART = 512  # rows of a table that are computed with between two pauses, in 0.3 ms
SKIMMED_BYTES = 16 * 1024  # at most at once; of the smallest blocks that takes 1 ms

Request = Take | Pass | Seek | SubBlocks | Skim | Next | Rest
Walk = Generator[Request, bytes, None]
Reading = Generator[Request, bytes, bytes]


class Edit(NamedTuple):
    """Bytes that were put and must be others in the end; data b"": zeros."""

    start: int
    length: int
    data: bytes = b""


class Output(Protocol):
    """Where a walker puts what is stored."""

    def put(self, data: bytes) -> None: ...


class WalkedPicture(Protocol):
    """What is found out about a picture, and what is stored of it."""

    type: str
    head: bytes  # what the first bytes must be in the end; b"": as they were put
    edits: list[Edit]  # of videos, which often say at their end what is in them
    is_animated: bool
    duration_ms: int  # 0: not known, or a picture that has none

    @property
    def put_bytes(self) -> int:
        """How much is stored so far."""

    def put(self, data: bytes) -> None: ...

    def set_size(self, width: int, height: int) -> None:
        """As shown. Raises PictureType when it cannot be."""

    def turn(self) -> None:
        """It is shown on its side: width is height."""

    def mark(self, *state: Any) -> None:
        """Given `state` and what follows from here, a new walker does the same.

        state: numbers, words, and lists of these that change no more.
        """


def refuse_unless(is_right: bool) -> None:
    """Raises PictureType: no decoder would take it."""
    if not is_right:
        raise PictureType()


def blank(output: Output, length: int) -> Walk:
    """Put zeros for the next so many bytes: what follows keeps its place."""
    while length:
        count = min(length, len(ZEROS))
        yield Pass(count, DROP)
        output.put(ZEROS[:count])
        length -= count


def in_ms(count: float, per_second: float) -> int:
    """A duration; 0 where it says nothing that can be believed."""
    ms = round(1000 * count / per_second) if per_second > 0 and count > 0 else 0
    return ms if ms <= MAX_DURATION_MS else 0


def take_start(length: int, essence: Callable[[bytes], bytes]) -> Reading:
    """Of a block of `length` bytes, the beginning; the rest is dropped."""
    held = min(length, MAX_HELD_BYTES)
    start = yield Take(held, essence)
    yield Pass(length - held, DROP)
    return start
