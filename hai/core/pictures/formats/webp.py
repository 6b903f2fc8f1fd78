"""WebP, still and animated. Sources: WebP container specification; RFC 6386 9.1.

Its length and what is in it stand at the head, which has gone by when we know
what was left out: `picture.head` is how the first bytes must be in the end.
Only inside a frame of an animation, whose length has gone by too, is what is
strange overwritten with zeros instead of left out.
"""

import struct
from collections.abc import Generator
from functools import partial

from hai.core.pictures.formats import exif
from hai.core.pictures.formats.walk import (
    DROP,
    KEEP,
    Pass,
    Request,
    Skim,
    Take,
    Walk,
    WalkedPicture,
    blank,
    refuse_unless,
    take_start,
)

EXTENDED_BYTES = 10  # the content of VP8X
FRAME_BYTES = 16  # of ANMF, before the frame's own chunks
HAS_EXIF, IS_ANIMATED = 0x08, 0x02
LOOKS_FLAGS = 0x20 | 0x10 | IS_ANIMATED  # colour profile, alpha
PIXELS = {b"VP8 ": 10, b"VP8L": 5}  # -> how many bytes tell the size
FRAME_PARTS = frozenset({b"ALPH", *PIXELS})
LOOKS = frozenset({b"ICCP", b"ANIM", *FRAME_PARTS})
LOOKED_INTO = frozenset({b"EXIF", b"ANMF", *PIXELS})
START = struct.Struct("<4sI")


def walk(picture: WalkedPicture, *state: int) -> Walk:
    if state:
        yield from _parts(picture, *state)
        return
    riff = yield Take(12)
    picture.put(riff)
    left = struct.unpack_from("<I", riff, 4)[0] - 4  # "WEBP" is counted
    name, length, left = yield from _next(left)
    if name == b"VP8X":
        yield from _extended(picture, length, left)
        return
    while name not in PIXELS:
        yield Pass(length, DROP)
        name, length, left = yield from _next(left)
    yield from _pixels(picture, name, length)
    yield Pass(left, DROP)
    picture.head = _riff(picture)


def _next(left: int) -> Generator[Request, bytes, tuple[bytes, int, int]]:
    """The next chunk: its name, its length, and what is left after it."""
    refuse_unless(left >= 8)
    name, length = START.unpack((yield Take(8)))
    left -= 8 + length + (length & 1)
    refuse_unless(left >= 0)
    return name, length, left


def _extended(picture: WalkedPicture, length: int, left: int) -> Walk:
    """What follows VP8X, which says in advance what is in the file."""
    refuse_unless(length == EXTENDED_BYTES)
    extended = yield Take(length)
    picture.put(_start(b"VP8X", length) + extended)
    picture.set_size(*_canvas_size(extended))
    picture.is_animated = bool(extended[0] & IS_ANIMATED)
    canvas = int.from_bytes(extended[4:], "little")
    yield from _parts(picture, left, extended[0], canvas)


def _parts(
    picture: WalkedPicture,
    left: int,
    flags: int,
    canvas: int,
    orientation: int = 0,  # not known yet
    has_pixels: int = False,
) -> Walk:
    """The chunks after VP8X, and what it must say itself in the end."""
    while left >= 8:
        picture.mark(left, flags, canvas, orientation, has_pixels)
        name, length, left = yield from _next(left)
        has_pixels = has_pixels or name in PIXELS or name == b"ANMF"
        if name == b"EXIF" and not orientation:
            orientation = yield from _orientation(picture, length)
        elif name == b"ANMF":
            yield from _frame(picture, length)
        elif name in LOOKS:
            yield from _kept(picture, name, length)
        else:
            yield Pass(length + (length & 1), DROP)
        if name not in LOOKED_INTO:
            skimmed = yield Skim(partial(_skim, picture, left))
            left -= int.from_bytes(skimmed, "big")
    refuse_unless(bool(has_pixels))
    yield Pass(left, DROP)
    flags = flags & LOOKS_FLAGS | (HAS_EXIF if orientation > 1 else 0)
    picture.head = _riff(picture) + _start(b"VP8X", EXTENDED_BYTES)
    picture.head += bytes([flags, 0, 0, 0]) + canvas.to_bytes(6, "little")


def _skim(
    picture: WalkedPicture, left: int, buffer: bytes, at: int, end: int
) -> tuple[int, int]:
    """Over chunks of the file that are not looked into."""
    end, count = min(end, at + left), 0
    while at + 8 <= end:
        name, length = START.unpack_from(buffer, at)
        after = at + 8 + length + (length & 1)
        if after > end or name in LOOKED_INTO:
            break
        if name in LOOKS:
            picture.put(buffer[at : at + 8 + length] + bytes(length & 1))
        at = after
        count += 1
    return at, count


def _kept(picture: WalkedPicture, name: bytes, length: int) -> Walk:
    picture.put(_start(name, length))
    yield Pass(length, KEEP)
    yield from _padding(picture, length)


def _padding(picture: WalkedPicture, length: int) -> Walk:
    """Chunks begin at even places; the byte between is 0."""
    if length & 1:
        yield Pass(1, DROP)
        picture.put(b"\x00")


def _pixels(picture: WalkedPicture, name: bytes, length: int) -> Walk:
    """Those of a file that is nothing else: they tell the size."""
    refuse_unless(length >= PIXELS[name])
    header = yield Take(PIXELS[name])
    read_size = _lossy_size if name == b"VP8 " else _lossless_size
    picture.set_size(*read_size(header))
    picture.put(_start(name, length) + header)
    yield Pass(length - len(header), KEEP)
    yield from _padding(picture, length)


def _orientation(picture: WalkedPicture, length: int) -> Generator[Request, bytes, int]:
    """Puts it where it says something; returns it. Browsers do not obey it."""
    block = yield from take_start(length, exif.essence)
    yield Pass(length & 1, DROP)
    orientation = exif.orientation_of(block)
    if orientation != exif.UPRIGHT:
        kept = exif.only_orientation(orientation)
        picture.put(_start(b"EXIF", len(kept)) + kept)
    return orientation


def _frame(picture: WalkedPicture, length: int) -> Walk:
    """One picture of an animation, with chunks of its own."""
    refuse_unless(length >= FRAME_BYTES)
    picture.put(_start(b"ANMF", length))
    yield Pass(FRAME_BYTES, KEEP)
    left = length - FRAME_BYTES
    while left >= 8:
        name, part_length, left = yield from _next(left)
        if name in FRAME_PARTS:
            yield from _kept(picture, name, part_length)
        else:
            picture.put(_start(b"JUNK", part_length))
            yield from blank(picture, part_length + (part_length & 1))
    yield from blank(picture, left)
    yield from _padding(picture, length)


def _start(name: bytes, length: int) -> bytes:
    return START.pack(name, length)


def _riff(picture: WalkedPicture) -> bytes:
    return _start(b"RIFF", picture.put_bytes - 8) + b"WEBP"


def _canvas_size(extended: bytes) -> tuple[int, int]:
    width, height = extended[4:7], extended[7:10]
    return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1


def _lossy_size(header: bytes) -> tuple[int, int]:
    refuse_unless(header[3:6] == b"\x9d\x01\x2a")
    width, height = struct.unpack("<HH", header[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _lossless_size(header: bytes) -> tuple[int, int]:
    refuse_unless(header[0] == 0x2F)
    bits = int.from_bytes(header[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
