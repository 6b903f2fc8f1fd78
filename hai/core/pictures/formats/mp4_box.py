"""Boxes, of which MP4 and QuickTime files are made: a length, a name, content.

Nothing in such a file may move, because tables say where each sample of a track
is. So what goes is overwritten in place: a box by a free one, a field by zeros.
"""

import struct
from collections.abc import Generator
from typing import NamedTuple

from hai.core.pictures.formats.walk import (
    KEEP,
    MAX_HELD_BYTES,
    Output,
    Pass,
    Request,
    Take,
    Walk,
    blank,
    refuse_unless,
)

HEADER_BYTES = 8
IS_LARGE = 1  # as a length: it follows in eight bytes
IS_LAST = 0  # as a length: to the end of the file
FREE = b"free"
HELD_BYTES = 4 * MAX_HELD_BYTES  # of one track, before its codec is known


class Box(NamedTuple):
    name: bytes
    header: bytes
    length: int  # of its content
    is_last: bool = False  # it has no length, but ends with the file

    @property
    def all_bytes(self) -> int:
        return len(self.header) + self.length


class BufferedOutput:
    """Buffers what is put until it is known whether it is stored."""

    def __init__(self) -> None:
        self.content = bytearray()

    def put(self, data: bytes) -> None:
        refuse_unless(len(self.content) + len(data) <= HELD_BYTES)
        self.content += data


class ZeroOutput:
    """Writes zeros instead."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def put(self, data: bytes) -> None:
        self.output.put(bytes(len(data)))


def box_of(start: bytes) -> Generator[Request, bytes, Box]:
    """The box that begins with these HEADER_BYTES."""
    length, name = struct.unpack(">I4s", start)
    if length == IS_LAST:
        return Box(name, start, 0, is_last=True)
    if length == IS_LARGE:
        start += yield Take(8)
        (length,) = struct.unpack_from(">Q", start, HEADER_BYTES)
    refuse_unless(length >= len(start))
    return Box(name, start, length - len(start))


def next_box(left: int) -> Generator[Request, bytes, Box]:
    """Of a box that has `left` bytes more, the next one inside."""
    box = yield from box_of((yield Take(HEADER_BYTES)))
    refuse_unless(not box.is_last and box.all_bytes <= left)
    return box


def keep(output: Output, length: int) -> Walk:
    """Put the next so many bytes as they are."""
    if isinstance(output, BufferedOutput):
        refuse_unless(length <= HELD_BYTES)
        while length:
            part = yield Take(min(length, MAX_HELD_BYTES))
            output.put(part)
            length -= len(part)
    elif isinstance(output, ZeroOutput):
        yield from blank(output.output, length)
    else:
        yield Pass(length, KEEP)


def take(output: Output, length: int) -> Generator[Request, bytes, bytes]:
    """Put them, and look at them, too."""
    data = yield Take(length)
    output.put(data)
    return data


def kept(output: Output, box: Box) -> Walk:
    output.put(box.header)
    yield from keep(output, box.length)


def freed(output: Output, box: Box) -> Walk:
    """A box of the same length with nothing in it."""
    output.put(box.header[:4] + FREE + box.header[HEADER_BYTES:])
    yield from blank(output, box.length)
