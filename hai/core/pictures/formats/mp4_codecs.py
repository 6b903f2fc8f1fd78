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
    Sink,
    Walk,
    Wish,
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
    sink: Sink, kind: bytes, box: Box, version: int
) -> Generator[Wish, bytes, tuple[int, int]]:
    """One entry; returns the width and height that it says, or (0, 0)."""
    sink.put(box.header)
    left, size = box.length, (0, 0)
    if kind == VIDEO:
        size = yield from _video(sink, left)
        left -= 78
        yield from _parts(sink, left, VIDEO_PARTS)
    else:
        fixed = yield from _sound(sink, left, version)
        yield from _parts(sink, left - fixed, SOUND_PARTS)
    return size


def _video(sink: Sink, length: int) -> Generator[Wish, bytes, tuple[int, int]]:
    refuse_unless(length >= 78)
    yield from keep(sink, 8)
    yield from blank(sink, 16)  # QuickTime: who made the encoder
    width, height = struct.unpack(">HH", (yield from take(sink, 4)))
    yield from keep(sink, 14)
    yield from blank(sink, 32)  # the encoder's name
    yield from keep(sink, 4)
    return width, height


def _sound(sink: Sink, length: int, version: int) -> Generator[Wish, bytes, int]:
    """Returns how many bytes stand before the parts."""
    refuse_unless(length >= 28)
    start = yield from take(sink, 10)
    yield from blank(sink, 6)
    yield from keep(sink, 12)
    more = 0
    if version == 0:  # in version 1 of the whole table it means something else
        more = SOUND_MORE_BYTES.get(int.from_bytes(start[8:], "big"), -1)
    refuse_unless(0 <= more <= length - 28)
    yield from keep(sink, more)
    return 28 + more


def _parts(sink: Sink, left: int, names: frozenset[bytes]) -> Walk:
    while left >= 8:
        part = yield from next_box(left)
        left -= part.all_bytes
        if part.name == WAVE and names is SOUND_PARTS:
            sink.put(part.header)
            yield from _parts(sink, part.length, WAVE_PARTS)
        elif part.name in names and part.length <= MAX_PART_BYTES:
            yield from kept(sink, part)
        else:
            yield from freed(sink, part)
    yield from blank(sink, left)
