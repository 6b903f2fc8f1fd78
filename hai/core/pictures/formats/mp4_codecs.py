"""What a track is coded with: the sample descriptions of MP4 and QuickTime.

Sources: ISO 14496-12 8.5.2 and 12; 14496-14; 14496-15; QuickTime File Format,
sound sample descriptions. Kept is what decoders need; the names that encoders
and cameras give themselves are overwritten.
"""

import struct
from collections.abc import Generator

from hai.core.pictures.formats.mp4_box import (
    Box,
    freed,
    keep,
    kept,
    next_box,
    take,
)
from hai.core.pictures.formats.walk import (
    Output,
    Request,
    Walk,
    blank,
    refuse_unless,
)

VIDEO, SOUND = b"vide", b"soun"  # the kinds of track that stay
# What some browser plays: H.264, HEVC, AV1, VP8, VP9; AAC, MP3, Opus, FLAC, AC-3.
CODECS = {
    VIDEO: frozenset(b"avc1 avc3 hvc1 hev1 av01 vp08 vp09".split()),
    SOUND: frozenset([b"mp4a", b".mp3", b"Opus", b"fLaC", b"ac-3", b"ec-3"]),
}
VIDEO_PARTS = frozenset(
    b"avcC hvcC av1C vpcC colr pasp clap btrt fiel mdcv clli SmDm CoLL"
    b" dvcC dvvC dvwC hvcE lhvC".split()
)
SOUND_PARTS = frozenset(b"esds dOps dfLa dac3 dec3 chan chnl btrt".split())
WAVE, WAVE_END = b"wave", bytes(4)  # QuickTime has its esds in there
WAVE_PARTS = frozenset([b"frma", b"mp4a", b"esds", b"enda", WAVE_END])
MAX_PART_BYTES = 16 * 1024  # a decoder's configuration has some hundred
# QuickTime's further versions of a sound description are longer by so much.
SOUND_MORE_BYTES = {0: 0, 1: 16, 2: 36}


def description(
    output: Output, kind: bytes, box: Box, version: int
) -> Generator[Request, bytes, tuple[int, int]]:
    """One entry; returns the width and height that it says, or (0, 0)."""
    output.put(box.header)
    left, size = box.length, (0, 0)
    if kind == VIDEO:
        size = yield from _video(output, left)
        left -= 78
        yield from _parts(output, left, VIDEO_PARTS)
    else:
        fixed = yield from _sound(output, left, version)
        yield from _parts(output, left - fixed, SOUND_PARTS)
    return size


def _video(output: Output, length: int) -> Generator[Request, bytes, tuple[int, int]]:
    refuse_unless(length >= 78)
    yield from keep(output, 8)
    yield from blank(output, 16)  # QuickTime: who made the encoder
    width, height = struct.unpack(">HH", (yield from take(output, 4)))
    yield from keep(output, 14)
    yield from blank(output, 32)  # the encoder's name
    yield from keep(output, 4)
    return width, height


def _sound(output: Output, length: int, version: int) -> Generator[Request, bytes, int]:
    """Returns how many bytes stand before the parts."""
    refuse_unless(length >= 28)
    start = yield from take(output, 10)
    yield from blank(output, 6)
    yield from keep(output, 12)
    more = 0
    if version == 0:  # in version 1 of the whole table it means something else
        more = SOUND_MORE_BYTES.get(int.from_bytes(start[8:], "big"), -1)
    refuse_unless(0 <= more <= length - 28)
    yield from keep(output, more)
    return 28 + more


def _parts(output: Output, left: int, names: frozenset[bytes]) -> Walk:
    while left >= 8:
        part = yield from next_box(left)
        left -= part.all_bytes
        if part.name == WAVE and names is SOUND_PARTS:
            output.put(part.header)
            yield from _parts(output, part.length, WAVE_PARTS)
        elif part.name in names and part.length <= MAX_PART_BYTES:
            yield from kept(output, part)
        else:
            yield from freed(output, part)
    yield from blank(output, left)
