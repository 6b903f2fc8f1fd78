"""GIF. Source: GIF89a specification 17 to 27; Netscape's looping extension."""

import struct

from hai.core.pictures.formats.walk import (
    DROP,
    KEEP,
    Pass,
    Reading,
    Skim,
    SubBlocks,
    Take,
    Walk,
    WalkedPicture,
    refuse_unless,
)

EXTENSION, IMAGE, END = b"!", b",", b";"
TIMING = b"\xf9"  # the graphic control extension: delay and transparency
APPLICATION = b"\xff"
LOOPS = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0"})
ICC = b"ICCRGBG1012"
LOOP_START = b"\x03\x01"  # three bytes follow: 1 and how often
TIMING_BYTES = 4


def walk(picture: WalkedPicture, image_count: int | None = None) -> Walk:
    if image_count is None:
        yield from _start(picture)
    frames = Frames(picture, image_count or 0)
    while (block := (yield from _block(picture, frames.count))) != END:
        if block == IMAGE:
            yield from _image(picture)
            frames.count += 1
        else:
            refuse_unless(block == EXTENSION)
            yield from _extension(picture)
        yield Skim(frames.skim)
        picture.is_animated = frames.count > 1
    picture.put(END)


class Frames:
    """Counts images; those that are here as a whole, it passes over itself."""

    def __init__(self, picture: WalkedPicture, count: int) -> None:
        self.picture = picture
        self.count = count

    def skim(self, buffer: bytes, at: int, end: int) -> tuple[int, int]:
        """Over images, their timings, and comments, which go."""
        start, steps = at, 0  # of what stays, and was not put yet
        while at < end:
            after, count = _skim_one(buffer, at, end)
            if not count:
                break
            if buffer[at] == IMAGE[0]:
                self.count += 1
            elif buffer[at + 1] != TIMING[0]:
                self.picture.put(buffer[start:at])
                start = after
            at = after
            steps += count
        self.picture.put(buffer[start:at])
        return at, steps


def _skim_one(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Of one block: (its end, how many it is made of, an image counting twice, for
    somebody has to draw it); 0: it is not all here, or has to be looked at."""
    if buffer[at] == IMAGE[0] and at + 10 <= end:
        chain = at + 11 + _colour_table_bytes(buffer[at + 9])
    elif buffer[at] == EXTENSION[0] and at + 2 <= end and buffer[at + 1] != 0xFF:
        chain = at + 2
    else:
        return at, 0
    after, count, is_over = follow_sub_blocks(buffer, chain, end)
    is_timing = buffer[at : at + 2] == EXTENSION + TIMING
    if not is_over or (is_timing and (count != 1 or buffer[chain] != TIMING_BYTES)):
        return at, 0
    return after, count + 1 + (buffer[at] == IMAGE[0])


def _start(picture: WalkedPicture) -> Walk:
    start = yield Take(13)
    width, height, flags = struct.unpack("<6xHHBxx", start)
    picture.set_size(width, height)
    picture.put(start)
    yield Pass(_colour_table_bytes(flags), KEEP)


def _block(picture: WalkedPicture, image_count: int) -> Reading:
    picture.mark(image_count)
    return (yield Take(1))


def _image(picture: WalkedPicture) -> Walk:
    descriptor = yield Take(9)
    picture.put(IMAGE + descriptor)
    yield Pass(_colour_table_bytes(descriptor[8]) + 1, KEEP)  # and the code size
    yield SubBlocks(KEEP)


def _extension(picture: WalkedPicture) -> Walk:
    label = yield Take(1)
    if label == TIMING:
        yield from _timing(picture)
    elif label == APPLICATION:
        yield from _application(picture)
    else:  # comments, text that no browser draws
        yield SubBlocks(DROP)


def _timing(picture: WalkedPicture) -> Walk:
    length = yield Take(1)
    if length[0] == TIMING_BYTES:
        content = yield Take(TIMING_BYTES)
        picture.put(EXTENSION + TIMING + length + content + b"\x00")
        yield SubBlocks(DROP)
    elif length[0]:
        yield Pass(length[0], DROP)
        yield SubBlocks(DROP)


def _application(picture: WalkedPicture) -> Walk:
    (length,) = yield Take(1)
    name = yield Take(length, _known_name)
    if name in LOOPS:
        yield from _loop(picture, name)
    elif name == ICC:
        picture.put(EXTENSION + APPLICATION + bytes([length]) + name)
        yield SubBlocks(KEEP)
    elif length:
        yield SubBlocks(DROP)


def _loop(picture: WalkedPicture, name: bytes) -> Walk:
    (length,) = yield Take(1)
    content = yield Take(length, _loop_count)
    if content and length == LOOP_START[0]:
        block = bytes([len(name)]) + name + bytes([length]) + content
        picture.put(EXTENSION + APPLICATION + block + b"\x00")
    if length:
        yield SubBlocks(DROP)


def _known_name(name: bytes) -> bytes:
    return name if name in LOOPS or name == ICC else b""


def _loop_count(content: bytes) -> bytes:
    is_known = content[:1] == LOOP_START[1:] and len(content) == LOOP_START[0]
    return content if is_known else b""


def _colour_table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def follow_sub_blocks(buffer: bytes, at: int, end: int) -> tuple[int, int, bool]:
    """Along a chain: (where it goes on, how many were there, whether it is over)."""
    count = 0
    while at < end:
        length = buffer[at]
        at += length + 1
        if not length:
            return at, count, True
        count += 1
    return at, count, False
