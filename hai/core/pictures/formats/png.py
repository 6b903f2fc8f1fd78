"""PNG and animated PNG. Source: PNG (W3C, third edition) 5 and 11."""

import struct
import zlib
from functools import partial

from hai.core.pictures.formats import exif
from hai.core.pictures.formats.walk import (
    DROP,
    KEEP,
    Pass,
    Skim,
    Take,
    Walk,
    WalkedPicture,
    refuse_unless,
    take_start,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_LENGTH = 2**31 - 1
NEEDED = frozenset({b"PLTE", b"IDAT"})  # and IHDR and IEND, which frame them
# What changes how it looks: name -> (fewest, most) bytes that it can have.
LOOKS = {
    b"tRNS": (1, 256),
    b"gAMA": (4, 4),
    b"cHRM": (32, 32),
    b"sRGB": (1, 1),
    b"cICP": (4, 4),
    b"mDCV": (24, 24),
    b"mDCv": (24, 24),
    b"cLLI": (8, 8),
    b"cLLi": (8, 8),
    b"iCCP": (3, MAX_LENGTH),
    b"acTL": (8, 8),
    b"fcTL": (26, 26),
    b"fdAT": (4, MAX_LENGTH),
}
LOOKED_INTO = frozenset({b"IEND", b"eXIf", b"acTL"})
START = struct.Struct(">I4s")
IS_ANCILLARY = 0x20  # of a chunk name's first byte: lower case
CRC_BYTES = 4


def walk(picture: WalkedPicture, has_exif: int | None = None) -> Walk:
    if has_exif is None:
        picture.put((yield Take(len(SIGNATURE))))
        yield from _header(picture)
        has_exif = False
    while True:
        picture.mark(has_exif)
        start = yield Take(8)
        length, name = START.unpack(start)
        refuse_unless(length <= MAX_LENGTH)
        if name == b"IEND":
            break
        if name == b"eXIf" and not has_exif:
            has_exif = True
            yield from _orientation(picture, length)
        elif is_kept(name, length):
            picture.is_animated = picture.is_animated or name == b"acTL"
            picture.put(start)
            yield Pass(length + CRC_BYTES, KEEP)
        else:
            yield Pass(length + CRC_BYTES, DROP)
        yield Skim(partial(_skim, picture))
    refuse_unless(length == 0)
    picture.put(start + (yield Take(CRC_BYTES)))


def _skim(picture: WalkedPicture, buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Over chunks that are not looked into, small ones in one piece if they stay."""
    start, count = at, 0  # of what stays, and was not put yet
    while at + 12 <= end:
        length, name = START.unpack_from(buffer, at)
        after = at + length + 12
        if after > end or name in LOOKED_INTO:
            break
        if not is_kept(name, length):
            picture.put(buffer[start:at])
            start = after
        at = after
        count += 1
    picture.put(buffer[start:at])
    return at, count


def is_kept(name: bytes, length: int) -> bool:
    """Raises PictureType for what no decoder may leave out and none knows."""
    if name in LOOKS:
        fewest, most = LOOKS[name]
        return fewest <= length <= most
    refuse_unless(bool(name[0] & IS_ANCILLARY) or name in NEEDED)
    refuse_unless(name != b"PLTE" or length <= 3 * 256)
    return name in NEEDED


def _header(picture: WalkedPicture) -> Walk:
    header = yield Take(8 + 13 + CRC_BYTES)
    length, name, width, height = struct.unpack_from(">I4sII", header)
    refuse_unless(name == b"IHDR" and length == 13)
    picture.set_size(width, height)
    picture.put(header)


def _orientation(picture: WalkedPicture, length: int) -> Walk:
    block = yield from take_start(length, exif.essence)
    yield Pass(CRC_BYTES, DROP)
    orientation = exif.orientation_of(block)
    if orientation != exif.UPRIGHT:
        picture.put(_chunk(b"eXIf", exif.only_orientation(orientation)))
    if orientation in exif.TURNED:
        picture.turn()


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum
