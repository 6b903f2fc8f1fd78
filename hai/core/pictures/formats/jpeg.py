"""JPEG. Sources: ITU T.81 annex B; JFIF 1.02; ICC.1 B.4; Adobe TN 5116.

What stands between the segments, and is not the coded data of a scan, goes;
so do further pictures behind the first (previews, depth and gain maps). A
segment that stays has exactly the form that decoders demand, so that nothing
else can call itself one.
"""

import re
import struct
from collections.abc import Callable

from hai.core.pictures.formats import exif
from hai.core.pictures.formats.walk import (
    DROP,
    Pass,
    Reading,
    Seek,
    Skim,
    Take,
    Walk,
    WalkedPicture,
    refuse_unless,
)

EOI, SOS, APP1 = 0xD9, 0xDA, 0xE1
# Frames that somebody decodes: no hierarchical ones (C5 to C7, CD to CF).
FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB})
APPLICATION = frozenset({*range(0xE0, 0xF0), 0xFE})  # and comments
DROPPED = APPLICATION - {APP1, 0xE0, 0xE2, 0xEE}  # whatever is in them
# In coded data FF 00 is a stuffed byte, FF D0 to FF D7 restart and FF FF fill; between
# segments they are nothing.
NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

MAX_TABLES = 16  # in one segment; there are no more than eight of a kind
JFIF = b"JFIF\x00"
JFIF_BYTES = 14  # the last two are the size of a preview that follows them
ICC = b"ICC_PROFILE\x00"
ICC_START = 14  # that, which part this is, and of how many
ADOBE = b"Adobe"
ADOBE_BYTES = 12  # with how the colours are coded


def walk(
    picture: WalkedPicture,
    orientation: int = 0,  # not known yet
    has_frame: int = False,
    is_coded: int = False,
    has_scan: int | None = None,
) -> Walk:
    if has_scan is None:
        has_scan = False
        picture.put((yield Take(2)))
    while True:
        picture.mark(orientation, has_frame, is_coded, has_scan)
        marker = (yield Seek(NEXT, bool(is_coded)))[1]
        if marker == EOI:
            break
        is_coded = marker == SOS
        refuse_unless(bool(has_frame) or not is_coded)
        segment = yield from _segment(picture, marker)
        if marker in FRAMES:
            refuse_unless(not has_frame)
            has_frame = True
        elif segment.startswith(exif.PREFIX) and not (orientation or has_scan):
            orientation = exif.orientation_of(segment)
            _put_orientation(picture, orientation)
        has_scan = has_scan or is_coded
        if marker in DROPPED:
            yield Skim(_skim)
    refuse_unless(bool(has_scan))
    if orientation in exif.TURNED:
        picture.turn()
    picture.put(b"\xff\xd9")


def _skim(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Over segments that go, one next to the other."""
    count = 0
    while at + 4 <= end and buffer[at] == 0xFF and buffer[at + 1] in DROPPED:
        length = buffer[at + 2] << 8 | buffer[at + 3]
        if length < 2 or at + 2 + length > end:
            break
        at += 2 + length
        count += 1
    return at, count


def _segment(picture: WalkedPicture, marker: int) -> Reading:
    """One segment: puts what stays of it; returns what is to be known of it."""
    refuse_unless(marker in KEPT or marker in APPLICATION)
    (length,) = struct.unpack(">H", (yield Take(2)))
    refuse_unless(length >= 2)
    if marker not in KEPT and marker != APP1:
        yield Pass(length - 2, DROP)
        return b""
    segment = yield Take(length - 2, KEPT.get(marker, _orientation))
    kept = segment if marker in KEPT else b""
    if kept:
        picture.put(struct.pack(">BBH", 0xFF, marker, len(kept) + 2) + kept)
    if marker in FRAMES:
        height, width = struct.unpack_from(">HH", segment, 1)
        picture.set_size(width, height)
    return segment


def _put_orientation(picture: WalkedPicture, orientation: int) -> None:
    if orientation != exif.UPRIGHT:
        block = exif.PREFIX + exif.only_orientation(orientation)
        picture.put(struct.pack(">BBH", 0xFF, APP1, len(block) + 2) + block)


def _orientation(segment: bytes) -> bytes:
    if not segment.startswith(exif.PREFIX):
        return b""
    return exif.PREFIX + exif.essence(segment)


# Each of these is given a segment's content and returns what stays of it.


def _frame(segment: bytes) -> bytes:
    refuse_unless(len(segment) >= 9 and len(segment) == 6 + 3 * segment[5])
    return segment


def _scan(segment: bytes) -> bytes:
    refuse_unless(len(segment) >= 6 and len(segment) == 4 + 2 * segment[0])
    return segment


def _quantization(segment: bytes) -> bytes:
    at = count = 0
    while at < len(segment):
        count += 1
        refuse_unless(segment[at] < 0x20)  # one or two bytes for each number
        at += 129 if segment[at] & 0x10 else 65
    refuse_unless(at == len(segment) and count <= MAX_TABLES)
    return segment


def _huffman(segment: bytes) -> bytes:
    at = count = 0
    while at < len(segment):
        count += 1
        # Two kinds, four of each.
        refuse_unless(segment[at] & 0xEC == 0 and count <= MAX_TABLES)
        at += 17 + sum(segment[at + 1 : at + 17])
    refuse_unless(at == len(segment))
    return segment


def _arithmetic(segment: bytes) -> bytes:
    refuse_unless(len(segment) % 2 == 0 and max(segment[::2], default=0) < 0x20)
    return segment


def _number(segment: bytes) -> bytes:
    refuse_unless(len(segment) == 2)
    return segment


def _jfif(segment: bytes) -> bytes:
    """Without the preview in it; other kinds of APP0 are previews altogether."""
    if not segment.startswith(JFIF) or len(segment) < JFIF_BYTES:
        return b""
    return segment[: JFIF_BYTES - 2] + bytes(2)


def _icc(segment: bytes) -> bytes:
    """A colour profile, or a part of a long one."""
    if not segment.startswith(ICC) or len(segment) < ICC_START:
        return b""
    part, count = segment[ICC_START - 2 : ICC_START]
    profile = segment[ICC_START:]
    if part == 1 and profile[36:40] != b"acsp":
        return b""
    length = int.from_bytes(profile[:4], "big") if count == 1 else len(profile)
    return segment[: ICC_START + length]


def _adobe(segment: bytes) -> bytes:
    if not segment.startswith(ADOBE) or len(segment) < ADOBE_BYTES:
        return b""
    return segment[:ADOBE_BYTES]


KEPT: dict[int, Callable[[bytes], bytes]] = {
    **dict.fromkeys(FRAMES, _frame),
    SOS: _scan,
    0xDB: _quantization,
    0xC4: _huffman,
    0xCC: _arithmetic,
    0xDC: _number,  # DNL: the height, when the frame did not know it
    0xDD: _number,  # DRI: how often to restart
    0xE0: _jfif,
    0xE2: _icc,
    0xEE: _adobe,
}
