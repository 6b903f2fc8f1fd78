"""MP4 and QuickTime: a film, or sound alone. Source: ISO 14496-12.

Where, when and with what it was taken stands in boxes of its own (`udta`,
`meta`, `uuid`), in the dates of every header, in the names of the tracks and in
tracks of their own; all of that is overwritten, and the rest keeps its place.
What stands in `moov` may be said before the samples or after them: then they are
stored already, and what is to go of them is told as `picture.edits`.

Fragmented films, which browsers record, say how long they are in each fragment.
"""

import struct
from bisect import bisect_left, bisect_right
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from hai.core.pictures.formats.mp4_box import (
    FREE,
    HEADER_BYTES,
    Box,
    box_of,
    freed,
    keep,
    kept,
    next_box,
    take,
)
from hai.core.pictures.formats.mp4_codecs import SOUND, VIDEO
from hai.core.pictures.formats.mp4_track import Budget, Track
from hai.core.pictures.formats.spans import (
    Span,
    common,
    in_parts,
    merged,
    packed,
    unpacked,
)
from hai.core.pictures.formats.walk import (
    KEEP,
    PAUSE,
    Edit,
    Next,
    Pass,
    Rest,
    Skim,
    Take,
    Walk,
    WalkedPicture,
    blank,
    in_ms,
    refuse_unless,
)
from hai.errors import PictureTruncated, PictureType

MAX_BRANDS_BYTES = 1024
MAX_TRACKS = 64
MAX_DATA_BOXES = 10_000  # of fragments; a film has one or two
MAX_EARLY_BOXES = 500  # of these, before the header
MAX_PLACE = 2**63  # where a file may have samples
MAX_INDEX_BYTES = 4 * 1024 * 1024  # for seeking among fragments
KEPT_WHOLE = {
    b"styp": MAX_BRANDS_BYTES,
    b"sidx": MAX_INDEX_BYTES,
    b"mfra": MAX_INDEX_BYTES,
}
STAYING = frozenset([b"mdat", b"moov", b"moof", *KEPT_WHOLE])  # if only parts
CONTROLS = bytes([*range(0x20), 0x7F])
MADE_OF_BOXES = {  # of fragments: what stays in each
    b"moof": frozenset([b"mfhd", b"traf"]),
    b"traf": frozenset([b"tfhd", b"tfdt", b"trun"]),
    b"mvex": frozenset([b"mehd", b"trex"]),
}
RUN_SLICE_BYTES = 48 * 1024  # a multiple of every row of a run
# Flags of a track's fragment (tfhd) and of a run of samples (trun).
HAS_OFFSET, HAS_DESCRIPTION, HAS_DURATION = 0x01, 0x02, 0x08
RUN_HAS_OFFSET, RUN_HAS_FLAGS, RUN_HAS_DURATIONS = 0x01, 0x04, 0x100
RUN_COLUMNS = 0xF00  # duration, size, flags and time offset: four bytes each
OTHER_CODEC = (
    "This video is coded in a way that few browsers play: please send it as"
    " H.264 with AAC, the most compatible format."
)


class KnownTrack(NamedTuple):
    """What is kept of a track after the header."""

    id: int
    is_kept: bool
    timescale: int
    duration: int


def walk(picture: WalkedPicture, *state: Any) -> Walk:
    movie = Movie(picture)
    if state:
        yield from movie.resume(*state)
    else:
        yield from movie.brands()
    yield from movie.walk()


class Movie:
    NUMBERS = (  # what it knows between two boxes, beside what is in lists
        *("has_header", "is_fragmented", "data_count", "samples_end", "here", "each"),
    )
    numbers_of = attrgetter(*NUMBERS)

    def __init__(self, picture: WalkedPicture) -> None:
        self.picture = picture
        self.budget = Budget()
        self.tracks: list[KnownTrack] = []
        self.has_header = False
        self.is_fragmented = False
        self.holes: list[Span] = []  # what tracks that go have in the samples
        self.packed_holes = ""  # the same for the mark
        self.data: tuple[Span, ...] = ()  # samples that came before the header
        self.data_count = 0  # how many boxes have samples
        self.samples_end = 0  # of the box with samples that is followed
        self.durations: dict[int, int] = {}  # track -> of one sample, if not told
        self.ends: dict[int, int] = {}  # track -> where its last fragment ends
        self.here = 0  # the track of the fragment that is followed
        self.each = 0  # how long its samples are

    def _mark(self) -> None:
        lists = (self.tracks, self.data, [*self.durations.items()])
        ends = [*self.ends.items()]
        self.picture.mark(self.packed_holes, *lists, ends, *Movie.numbers_of(self))

    def resume(
        self,
        packed_holes: str,
        tracks: list[tuple[int, bool, int, int]],
        data: list[Span],
        durations: list[tuple[int, int]],
        ends: list[tuple[int, int]],
        *numbers: int,
    ) -> Walk:
        """From a mark on, to the end of the box with samples if it was in one."""
        self.packed_holes = packed_holes
        self.holes = yield from unpacked(packed_holes)
        self.tracks = [KnownTrack(*track) for track in tracks]
        self.data = tuple((start, end) for start, end in data)
        self.durations, self.ends = dict(durations), dict(ends)
        for name, number in zip(self.NUMBERS, numbers, strict=True):
            setattr(self, name, number)
        if self.samples_end:
            yield from self._samples_on()

    def walk(self) -> Walk:
        while True:
            self._mark()
            start = yield Next(HEADER_BYTES)
            if not start or self._is_over(start):
                break
            box = yield from box_of(start)
            yield from self._top(box)
            if box.is_last:
                break
            if box.name not in STAYING:
                yield Skim(self._skim)
        yield from self._finish()

    def _skim(self, buffer: bytes, at: int, end: int) -> tuple[int, int]:
        """Over boxes that go, and are not inside any other."""
        count, put = 0, self.picture.put
        while at + HEADER_BYTES <= end:
            length, name = struct.unpack_from(">I4s", buffer, at)
            if length < HEADER_BYTES or at + length > end:
                break
            if name in STAYING or not _is_name(name):
                break
            put(buffer[at : at + 4] + FREE + bytes(length - HEADER_BYTES))
            at += length
            count += 1
        return at, count

    def brands(self) -> Walk:
        box = yield from box_of((yield Take(HEADER_BYTES)))
        refuse_unless(8 <= box.length <= MAX_BRANDS_BYTES)
        yield from kept(self.picture, box)

    def _is_over(self, start: bytes) -> bool:
        """What comes is no box: something was put behind the film."""
        length, name = struct.unpack(">I4s", start)
        is_box = (length <= 1 or length >= HEADER_BYTES) and _is_name(name)
        refuse_unless(is_box or self._is_complete)
        return not is_box

    @property
    def _is_complete(self) -> bool:
        return self.has_header and bool(self.data_count)

    def _top(self, box: Box) -> Walk:
        if box.name == b"mdat":
            yield from self._samples(box)
            return
        # Only samples go on to the end of the file without a length.
        refuse_unless(not box.is_last)
        if box.name == b"moov":
            refuse_unless(not self.has_header)
            yield from self._header(box)
        elif box.name == b"moof":
            refuse_unless(self.is_fragmented)
            yield from self._inside(box)
        elif box.length <= KEPT_WHOLE.get(box.name, -1):
            yield from kept(self.picture, box)
        else:
            yield from freed(self.picture, box)

    def _finish(self) -> Walk:
        if not self._is_complete:
            raise PictureTruncated()
        kept_tracks = [track for track in self.tracks if track.is_kept]
        told = max(in_ms(track.duration, track.timescale) for track in kept_tracks)
        ends = (
            in_ms(self.ends.get(track.id, 0), track.timescale) for track in kept_tracks
        )
        self.picture.duration_ms = max(told, *ends)
        # Samples that came after the header were overwritten as they passed.
        for part in in_parts(common(self.holes, self.data)):
            yield PAUSE
            self.picture.edits += [Edit(start, end - start) for start, end in part]

    # ---- Samples ----

    def _samples(self, box: Box) -> Walk:
        refuse_unless(self.data_count < MAX_DATA_BOXES)
        self.data_count += 1
        self.picture.put(box.header)
        if box.is_last:
            refuse_unless(not self.holes)  # nobody streams such
            yield Rest(KEEP)
            return
        start = self.picture.put_bytes
        self.samples_end = start + box.length
        if not self.has_header:
            refuse_unless(len(self.data) < MAX_EARLY_BOXES)
            self.data += ((start, self.samples_end),)
        yield from self._samples_on()

    def _samples_on(self) -> Walk:
        """From here to the end of their box; of some hours, a hole every second."""
        first = bisect_right(self.holes, self.picture.put_bytes, key=itemgetter(1))
        last = bisect_left(self.holes, self.samples_end, key=itemgetter(0))
        for hole_start, hole_end in self.holes[first:last]:
            self._mark()
            yield Pass(max(0, hole_start - self.picture.put_bytes), KEEP)
            end = min(hole_end, self.samples_end)
            yield from blank(self.picture, end - self.picture.put_bytes)
        yield Pass(self.samples_end - self.picture.put_bytes, KEEP)
        self.samples_end = 0

    # ---- The header ----

    def _header(self, box: Box) -> Walk:
        self.has_header = True
        self.picture.put(box.header)
        left, tracks = box.length, list[Track]()
        while left >= 8:
            part = yield from next_box(left)
            left -= part.all_bytes
            yield from self._header_part(part, tracks)
        yield from blank(self.picture, left)
        yield from self._judge(tracks)

    def _header_part(self, part: Box, tracks: list[Track]) -> Walk:
        if part.name == b"mvhd":
            yield from self._times(part)
        elif part.name == b"trak":
            refuse_unless(len(tracks) < MAX_TRACKS)
            track = Track(self.picture, self.budget)
            tracks.append(track)
            yield from track.walk(part)
        elif part.name == b"mvex":
            self.is_fragmented = True
            yield from self._inside(part)
        else:
            yield from freed(self.picture, part)

    def _times(self, box: Box) -> Walk:
        """The film's own header; how long it is, the tracks say better."""
        self.picture.put(box.header)
        is_long = (yield from take(self.picture, 4))[0] == 1
        refuse_unless(box.length == (112 if is_long else 100))
        yield from blank(self.picture, 16 if is_long else 8)
        yield from keep(self.picture, (12 if is_long else 8) + 6)
        yield from blank(self.picture, 10)
        yield from keep(self.picture, 36)
        yield from blank(self.picture, 24)
        yield from keep(self.picture, 4)

    def _judge(self, tracks: list[Track]) -> Walk:
        """All tracks are known now: what is it, and can it be played?"""
        kept_kinds = {track.kind for track in tracks if track.is_kept}
        lost_kinds = {track.kind for track in tracks} - kept_kinds
        if not kept_kinds or lost_kinds & {VIDEO, SOUND}:
            raise PictureType(OTHER_CODEC)
        lost = [track for track in tracks if not track.is_kept]
        refuse_unless(not (lost and self.is_fragmented))
        self.holes = yield from merged(
            sample for track in lost for sample in track.samples()
        )
        refuse_unless(not self.holes or self.holes[-1][1] < MAX_PLACE)
        self.packed_holes = yield from packed(self.holes)
        self.tracks = [
            KnownTrack(track.id, track.is_kept, track.timescale, track.duration)
            for track in tracks
        ]
        if VIDEO not in kept_kinds:
            self.picture.type = "audio/mp4"
            return
        film = next(track for track in tracks if track.is_kept_video)
        self.picture.set_size(*film.size)
        if film.is_turned:
            self.picture.turn()

    # ---- Fragments ----

    def _inside(self, box: Box) -> Walk:
        self.picture.put(box.header)
        left, names = box.length, MADE_OF_BOXES[box.name]
        while left >= 8:
            part = yield from next_box(left)
            left -= part.all_bytes
            if part.name not in names:
                yield from freed(self.picture, part)
            elif part.name == b"traf":
                yield from self._inside(part)
            else:
                self.picture.put(part.header)
                yield from getattr(self, f"_{part.name.decode()}")(part.length)
        yield from blank(self.picture, left)

    def _mfhd(self, length: int) -> Walk:
        refuse_unless(length == 8)
        yield from keep(self.picture, length)

    def _mehd(self, length: int) -> Walk:
        refuse_unless(length in (8, 12))
        yield from keep(self.picture, length)

    def _trex(self, length: int) -> Walk:
        refuse_unless(length == 24)
        row = struct.unpack(">6I", (yield from take(self.picture, length)))
        refuse_unless(len(self.durations) < MAX_TRACKS)
        self.durations[row[1]] = row[3]

    def _tfhd(self, length: int) -> Walk:
        refuse_unless(8 <= length <= 40)
        content = yield from take(self.picture, length)
        flags, self.here = struct.unpack_from(">II", content)
        at = (
            8 + (8 if flags & HAS_OFFSET else 0) + (4 if flags & HAS_DESCRIPTION else 0)
        )
        self.each = self.durations.get(self.here, 0)
        if flags & HAS_DURATION:
            refuse_unless(at + 4 <= length)
            (self.each,) = struct.unpack_from(">I", content, at)
        refuse_unless(any(track.id == self.here for track in self.tracks))

    def _tfdt(self, length: int) -> Walk:
        refuse_unless(length in (8, 12))
        content = yield from take(self.picture, length)
        self.ends[self.here] = int.from_bytes(content[4:], "big")

    def _trun(self, length: int) -> Walk:
        refuse_unless(length >= 8)
        flags, count = struct.unpack(">II", (yield from take(self.picture, 8)))
        fixed = 4 * bool(flags & RUN_HAS_OFFSET) + 4 * bool(flags & RUN_HAS_FLAGS)
        row_bytes = 4 * (flags & RUN_COLUMNS).bit_count()
        rest = length - 8 - fixed - count * row_bytes
        refuse_unless(rest >= 0)
        yield from keep(self.picture, fixed)
        yield from self._run(count, row_bytes, bool(flags & RUN_HAS_DURATIONS))
        yield from blank(self.picture, rest)

    def _run(self, count: int, row_bytes: int, has_durations: bool) -> Walk:
        length = count * row_bytes
        lasts = 0 if has_durations else count * self.each
        if not has_durations:
            yield from keep(self.picture, length)
        while has_durations and length:
            part = min(length, RUN_SLICE_BYTES)
            total = yield Take(part, partial(_total, row_bytes), is_kept=True)
            length -= part
            lasts += int.from_bytes(total, "big")
        self.ends[self.here] = self.ends.get(self.here, 0) + lasts


def _total(row_bytes: int, rows: bytes) -> bytes:
    """Of the first column."""
    numbers: tuple[int, ...] = struct.unpack(f">{len(rows) // 4}I", rows)
    return sum(numbers[:: row_bytes // 4]).to_bytes(8, "big")


def _is_name(name: bytes) -> bool:
    """Of a box: four signs, as a rule letters (QuickTime has a copyright sign)."""
    return len(name.translate(None, CONTROLS)) == len(name)
