"""Opus in Ogg. Sources: RFC 3533 6; RFC 7845 3 to 5.

One stream is kept, its comments overwritten with zeros, which decoders take for
padding, so that no page changes its length or number; pages of other streams
go, and so does what follows the last page. Only pages with comments need a new
checksum.
"""

import struct
import zlib
from collections.abc import Generator
from typing import NamedTuple

from hai.core.pictures.formats.walk import (
    DROP,
    KEEP,
    Next,
    Pass,
    Request,
    Skim,
    Take,
    Walk,
    WalkedPicture,
    in_ms,
    refuse_unless,
)
from hai.errors import PictureTruncated, PictureType

CAPTURE = b"OggS"
HEADER = struct.Struct("<4sBBqIII")  # ..., kind, granule, serial, number, checksum
HEADER_BYTES = 27  # with the number of segments
IS_CONTINUED, IS_FIRST, IS_LAST = 1, 2, 4
FULL_SEGMENT = 255  # a packet goes on after it
HEAD, TAGS = b"OpusHead", b"OpusTags"
EMPTY_TAGS_BYTES = 16  # with two counts of 0; the rest is padding
GRANULES_PER_S = 48_000  # whatever the sampling rate
OTHER_CODEC = "Sound in Ogg has to be Opus: please send it as Opus or M4A."

BACKWARDS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    start: bytes  # all before its content
    kind: int
    granule: int
    serial: int
    segments: bytes

    @property
    def length(self) -> int:
        return sum(self.segments)

    @property
    def is_packet_over(self) -> bool:
        return self.segments[-1:] != bytes([FULL_SEGMENT])


class StreamState(NamedTuple):
    """The parser's state between two pages."""

    serial: int
    skipped: int  # granules that come before the sound
    has_comments: int = False  # at least their beginning
    is_sound: int = False
    last_granule: int = 0


def walk(picture: WalkedPicture, *state: int) -> Walk:
    stream = StreamState(*state) if state else (yield from _head(picture))
    if not stream.is_sound:
        yield from _comments(picture, stream)
    last_granule = yield from _sound(picture, stream)
    picture.duration_ms = in_ms(last_granule - stream.skipped, GRANULES_PER_S)


def _head(picture: WalkedPicture) -> Generator[Request, bytes, StreamState]:
    page = yield from _page((yield Take(HEADER_BYTES)))
    refuse_unless(bool(page.kind & IS_FIRST) and page.length <= 4096)
    head = yield Take(page.length)
    if not head.startswith(HEAD):
        raise PictureType(OTHER_CODEC)
    refuse_unless(len(head) >= 19)
    picture.put(page.start + head)
    return StreamState(page.serial, *struct.unpack_from("<H", head, 10))


def _page(header: bytes) -> Generator[Request, bytes, Page]:
    magic, version, kind, granule, serial, _, _ = HEADER.unpack_from(header)
    refuse_unless(magic == CAPTURE and version == 0)
    segments = yield Take(header[HEADER_BYTES - 1])
    return Page(header + segments, kind, granule, serial, segments)


def _comments(picture: WalkedPicture, stream: StreamState) -> Walk:
    is_begun, is_over = bool(stream.has_comments), False
    while not is_over:
        picture.mark(*stream._replace(has_comments=is_begun))
        page = yield from _page((yield Take(HEADER_BYTES)))
        if page.serial != stream.serial:
            yield Pass(page.length, DROP)
            continue
        refuse_unless(bool(page.kind & IS_CONTINUED) == is_begun)
        is_over = page.is_packet_over
        # No other packet begins on a page with comments.
        inside = page.segments[:-1] if is_over else page.segments
        refuse_unless(inside.count(FULL_SEGMENT) == len(inside))
        content = bytes(page.length)
        if not is_begun:
            refuse_unless(page.length >= EMPTY_TAGS_BYTES)
            refuse_unless((yield Take(len(TAGS))) == TAGS)
            yield Pass(page.length - len(TAGS), DROP)
            content = TAGS + content[len(TAGS) :]
        else:
            yield Pass(page.length, DROP)
        picture.put(_checked(page.start, content))
        is_begun = True


def _sound(
    picture: WalkedPicture, stream: StreamState
) -> Generator[Request, bytes, int]:
    """Returns the granule at which it ends."""
    pages = Pages(picture, stream.serial, stream.last_granule)
    while True:
        picture.mark(stream.serial, stream.skipped, True, True, pages.last_granule)
        header = yield Next(HEADER_BYTES)
        if not header:  # some recorders do not say which page is the last
            break
        page = yield from _page(header)
        if page.serial != stream.serial:
            yield Pass(page.length, DROP)
        else:
            refuse_unless(not page.kind & IS_FIRST)
            pages.last_granule = max(pages.last_granule, page.granule)
            picture.put(page.start)
            yield Pass(page.length, KEEP)
            if page.kind & IS_LAST:
                break
        yield Skim(pages.skim)
    if not pages.last_granule:
        raise PictureTruncated()
    return pages.last_granule


class Pages:
    """Of sound: those that are here as a whole, and neither first nor last."""

    def __init__(self, picture: WalkedPicture, serial: int, last_granule: int) -> None:
        self.picture = picture
        self.serial = serial
        self.last_granule = last_granule

    def skim(self, buffer: bytes, at: int, end: int) -> tuple[int, int]:
        count = 0
        while at + HEADER_BYTES <= end:
            magic, version, kind, granule, serial, _, _ = HEADER.unpack_from(buffer, at)
            content = at + HEADER_BYTES + buffer[at + HEADER_BYTES - 1]
            after = content + sum(buffer[at + HEADER_BYTES : content])
            if content > end or after > end or kind & (IS_FIRST | IS_LAST):
                break
            if magic != CAPTURE or version:
                break
            if serial == self.serial:
                self.last_granule = max(self.last_granule, granule)
                self.picture.put(buffer[at:after])
            at = after
            count += 1
        return at, count


def _checked(start: bytes, content: bytes) -> bytes:
    """A page with the checksum that it must have."""
    page = start[:22] + bytes(4) + start[26:] + content
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


def checksum(page: bytes) -> int:
    """Ogg's is that of zlib with the bits the other way round, beginning at 0."""
    value = zlib.crc32(page.translate(BACKWARDS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(value.to_bytes(4, "little").translate(BACKWARDS), "big")
