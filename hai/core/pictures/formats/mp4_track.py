"""One track of an MP4: its header, its codec and the tables of its samples.

Sources: ISO 14496-12 8.3 to 8.7. Pictures and sound stay. Other tracks are made
free boxes: cameras write positions, faces and telemetry into them, and into the
samples that they are tables of, wherever in the file these are.
"""

import struct
from array import array
from collections.abc import Generator, Iterator

from hai.core.pictures.formats.mp4_box import (
    FREE,
    Box,
    BufferedOutput,
    ZeroOutput,
    freed,
    keep,
    kept,
    next_box,
    take,
)
from hai.core.pictures.formats.mp4_codecs import (
    CODECS,
    VIDEO,
    description,
)
from hai.core.pictures.formats.walk import (
    DROP,
    Output,
    Pass,
    Request,
    Take,
    Walk,
    WalkedPicture,
    blank,
    refuse_unless,
)

CONTAINERS = frozenset([b"mdia", b"minf", b"stbl", b"edts", b"dinf"])
PARTS = {  # what is in each, as far as it stays
    b"trak": frozenset([b"tkhd", b"edts", b"mdia"]),
    b"edts": frozenset([b"elst"]),
    b"mdia": frozenset([b"mdhd", b"hdlr", b"minf"]),
    b"minf": frozenset([b"vmhd", b"smhd", b"hdlr", b"dinf", b"stbl"]),
    b"dinf": frozenset([b"dref"]),
    b"stbl": frozenset(
        b"stsd stts ctts cslg stss stps stsc stsz stz2 stco co64".split()
    ),
}
ROW_BYTES = {b"stts": 8, b"ctts": 8, b"stss": 4, b"stps": 4, b"stsc": 12}
ROW_BYTES |= {b"stco": 4, b"co64": 8}
FIXED_BYTES = {b"vmhd": (12,), b"smhd": (8,), b"cslg": (24, 44)}
MAX_DESCRIPTIONS = 8
UNDETERMINED = b"\x55\xc4"  # the language "und"
SELF_CONTAINED = b"\x00\x00\x00\x01"  # the samples are in this very file
# Of tracks that go, what tells where their samples are: an hour has some 100,000.
MAX_TABLE_BYTES = 512 * 1024
SLICE_BYTES = 48 * 1024  # a multiple of every row


class Budget:
    """For such tables of all tracks of one file."""

    def __init__(self) -> None:
        self.left = MAX_TABLE_BYTES

    def spend(self, byte_count: int) -> None:
        """Raises PictureType when that is too much."""
        self.left -= byte_count
        refuse_unless(self.left >= 0)


class Track:
    """Follow it with `walk`; then is_kept, kind and the others are known."""

    def __init__(self, picture: WalkedPicture, budget: Budget) -> None:
        self.picture = picture
        self.budget = budget
        self.output: Output = BufferedOutput()
        self.kind = b""
        self.is_decided = False
        self.is_kept = False
        self.id = 0
        self.size = (0, 0)  # as shown, but for its turning
        self.is_turned = False
        self.timescale = 0
        self.duration = 0
        self._box: Box | None = None
        self._chunks = array("Q")  # where each run of samples begins
        self._first_chunks = array("Q")  # from which on a run has ...
        self._sample_counts = array("Q")  # ... so many samples
        self._sample_bytes = array("Q")
        self._each_bytes = 0  # if they are all alike

    @property
    def is_kept_video(self) -> bool:
        return self.is_kept and self.kind == VIDEO

    def walk(self, box: Box) -> Walk:
        self._box = box
        self.output.put(box.header)
        yield from self._inside(box)
        refuse_unless(self.is_decided)

    def samples(self) -> Iterator[tuple[int, int]]:
        """(start, length) of each run of samples, of a track that goes."""
        number = row = 0
        for chunk, start in enumerate(self._chunks, 1):
            while self._first_chunks[row + 1 : row + 2] and (
                self._first_chunks[row + 1] <= chunk
            ):
                row += 1
            count = self._sample_counts[row] if self._sample_counts else 0
            length = sum(self._sample_bytes[number : number + count])
            number += count
            yield start, length or count * self._each_bytes

    # ---- Boxes ----

    def _inside(self, box: Box) -> Walk:
        left, names = box.length, PARTS[box.name]
        while left >= 8:
            part = yield from next_box(left)
            left -= part.all_bytes
            if part.name not in names:
                yield from freed(self.output, part)
            elif part.name in CONTAINERS:
                self.output.put(part.header)
                yield from self._inside(part)
            else:
                yield from self._part(part)
        yield from blank(self.output, left)  # QuickTime may end with zeros

    def _part(self, part: Box) -> Walk:
        name = part.name
        if name in ROW_BYTES:
            yield from self._table(part)
        elif name == b"stsz":
            yield from self._sample_sizes(part)
        elif name == b"stz2":
            yield from self._small_sample_sizes(part)
        elif name in FIXED_BYTES:
            refuse_unless(part.length in FIXED_BYTES[name])
            yield from kept(self.output, part)
        else:
            self.output.put(part.header)
            yield from getattr(self, f"_{name.decode()}")(part.length)

    def _tkhd(self, length: int) -> Walk:
        is_long = yield from self._version(length, 84, 96)
        yield from blank(self.output, 16 if is_long else 8)  # made and changed when
        times = yield from take(self.output, 16 if is_long else 12)
        (self.id,) = struct.unpack_from(">I", times)
        yield from blank(self.output, 8)
        yield from keep(self.output, 6)
        yield from blank(self.output, 2)
        matrix = yield from take(self.output, 36)
        a, b, _, c, d = struct.unpack_from(">5i", matrix)
        self.is_turned = a == d == 0 and bool(b and c)
        width, height = struct.unpack(">II", (yield from take(self.output, 8)))
        self.size = width >> 16, height >> 16

    def _version(
        self, length: int, short: int, long: int
    ) -> Generator[Request, bytes, bool]:
        start = yield from take(self.output, 4)
        is_long = start[0] == 1
        refuse_unless(length == (long if is_long else short))
        return is_long

    def _mdhd(self, length: int) -> Walk:
        is_long = yield from self._version(length, 24, 36)
        yield from blank(self.output, 16 if is_long else 8)
        times = yield from take(self.output, 12 if is_long else 8)
        self.timescale, self.duration = struct.unpack(
            ">IQ" if is_long else ">II", times
        )
        if self.duration == (2**64 if is_long else 2**32) - 1:
            self.duration = 0  # it says that it does not know
        yield Pass(4, DROP)
        self.output.put(UNDETERMINED + bytes(2))

    def _hdlr(self, length: int) -> Walk:
        """Its kind; the name goes, which is often a camera's."""
        refuse_unless(length >= 12)
        start = yield from take(self.output, 12)
        yield from blank(self.output, length - 12)
        if self.kind:
            return  # QuickTime has one more, of where the data is
        self.kind = start[8:]
        if self.kind not in CODECS:
            self._decide(False)

    def _decide(self, is_kept: bool) -> None:
        assert isinstance(self.output, BufferedOutput) and self._box is not None
        held, header = bytes(self.output.content), self._box.header
        self.is_decided, self.is_kept = True, is_kept
        if is_kept:
            self.output = self.picture
            self.picture.put(held)
        else:
            self.output = ZeroOutput(self.picture)
            self.picture.put(header[:4] + FREE + header[8:])
            self.output.put(held[len(header) :])

    def _elst(self, length: int) -> Walk:
        start = yield from take(self.output, 8)
        rows_bytes = struct.unpack_from(">I", start, 4)[0] * (20 if start[0] else 12)
        refuse_unless(8 + rows_bytes <= length)
        yield from keep(self.output, rows_bytes)
        yield from blank(self.output, length - 8 - rows_bytes)

    def _dref(self, length: int) -> Walk:
        """Where the samples are: here. Addresses of other files go."""
        start = yield from take(self.output, 8)
        left = length - 8
        for _ in range(min(struct.unpack_from(">I", start, 4)[0], MAX_DESCRIPTIONS)):
            entry = yield from next_box(left)
            left -= entry.all_bytes
            refuse_unless(entry.length >= 4)
            self.output.put(entry.header)
            refuse_unless((yield Take(4)) == SELF_CONTAINED or self._is_blank)
            self.output.put(SELF_CONTAINED)
            yield from blank(self.output, entry.length - 4)
        yield from blank(self.output, left)

    @property
    def _is_blank(self) -> bool:
        return self.is_decided and not self.is_kept

    def _stsd(self, length: int) -> Walk:
        start = yield from take(self.output, 8)
        left, (count,) = length - 8, struct.unpack_from(">I", start, 4)
        if self._is_blank:
            yield from blank(self.output, left)
            return
        refuse_unless(0 < count <= MAX_DESCRIPTIONS and self.kind in CODECS)
        for _ in range(count):
            entry = yield from next_box(left)
            left -= entry.all_bytes
            yield from self._description(entry, start[0])
        yield from blank(self.output, left)

    def _description(self, entry: Box, version: int) -> Walk:
        is_known = entry.name in CODECS[self.kind]
        if not self.is_decided:
            self._decide(is_known)
        if self._is_blank:
            self.output.put(entry.header)
            yield from blank(self.output, entry.length)
            return
        refuse_unless(is_known)
        size = yield from description(self.output, self.kind, entry, version)
        if self.kind == VIDEO and not all(self.size):
            self.size = size

    # ---- Tables ----

    def _table(self, box: Box) -> Walk:
        row_bytes = ROW_BYTES[box.name]
        self.output.put(box.header)
        start = yield from take(self.output, 8)
        (count,) = struct.unpack_from(">I", start, 4)
        refuse_unless(8 + count * row_bytes <= box.length)
        yield from self._rows(box.name, count * row_bytes)
        yield from blank(self.output, box.length - 8 - count * row_bytes)

    def _rows(self, name: bytes, length: int) -> Walk:
        if not self._is_blank or name not in (b"stsc", b"stco", b"co64", b"stsz"):
            yield from keep(self.output, length)
            return
        self.budget.spend(length)
        while length:
            rows = yield from take(self.output, min(length, SLICE_BYTES))
            length -= len(rows)
            self._note(name, rows)

    def _note(self, name: bytes, rows: bytes) -> None:
        code = f">{len(rows) // 8}Q" if name == b"co64" else f">{len(rows) // 4}I"
        numbers = struct.unpack(code, rows)
        if name == b"stsc":
            self._first_chunks.extend(numbers[::3])
            self._sample_counts.extend(numbers[1::3])
        elif name == b"stsz":
            self._sample_bytes.extend(numbers)
        else:
            self._chunks.extend(numbers)

    def _sample_sizes(self, box: Box) -> Walk:
        refuse_unless(box.length >= 12)
        self.output.put(box.header)
        start = yield from take(self.output, 12)
        each, count = struct.unpack_from(">II", start, 4)
        rows_bytes = 0 if each else 4 * count
        refuse_unless(12 + rows_bytes <= box.length)
        if each and self._is_blank:
            self._each_bytes = each
        yield from self._rows(b"stsz", rows_bytes)
        yield from blank(self.output, box.length - 12 - rows_bytes)

    def _small_sample_sizes(self, box: Box) -> Walk:
        """In 4, 8 or 16 bits each: rare, and of tracks that go never seen."""
        refuse_unless(box.length >= 12 and not self._is_blank)
        self.output.put(box.header)
        start = yield from take(self.output, 12)
        count = struct.unpack_from(">I", start, 8)[0]
        rows_bytes = (count * start[7] + 7) // 8
        refuse_unless(start[7] in (4, 8, 16) and 12 + rows_bytes <= box.length)
        yield from keep(self.output, rows_bytes)
        yield from blank(self.output, box.length - 12 - rows_bytes)
