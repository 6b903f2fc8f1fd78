"""WebM: a film or sound in Matroska's elements. Sources: RFC 8794; RFC 9559.

An element that stays is in the tables below; any other one, and so titles,
dates, tags, names of programs and attachments, becomes a Void of the same
length, so that nothing moves. Tracks that are neither pictures nor sound go with
their blocks.

Elements are followed one by one whatever they are in: that is how those whose
length is not known have to be read, which browsers record. Such a recording does
not say how long it is either; that is counted, and written where there was the
name of the program, so that people can seek in it.
"""

import struct
from collections.abc import Generator
from operator import attrgetter
from typing import Any, NamedTuple

from hai.core.pictures.formats.walk import (
    KEEP,
    MAX_HELD_BYTES,
    Edit,
    Next,
    Output,
    Pass,
    Request,
    Skim,
    Take,
    Walk,
    WalkedPicture,
    blank,
    in_ms,
    refuse_unless,
)
from hai.errors import PictureTruncated, PictureType

MAGIC = b"\x1a\x45\xdf\xa3"
EBML, SEGMENT, INFO, TRACKS, TRACK, CLUSTER = (
    0x1A45DFA3,
    0x18538067,
    0x1549A966,
    0x1654AE6B,
    0xAE,
    0x1F43B675,
)
DOC_TYPE, TIMESTAMP_SCALE, DURATION, VOID = 0x4282, 0x2AD7B1, 0x4489, 0xEC
TIMESTAMP, SIMPLE_BLOCK, BLOCK, BLOCK_GROUP = 0xE7, 0xA3, 0xA1, 0xA0
SEEK_HEAD, SEEK, CUES, CUE, CUE_POSITIONS = 0x114D9B74, 0x4DBB, 0x1C53BB6B, 0xBB, 0xB7
NUMBER, KIND, CODEC, PRIVATE, DEFAULT_DURATION = 0xD7, 0x83, 0x86, 0x63A2, 0x23E383
VIDEO, AUDIO, ENCODINGS = 0xE0, 0xE1, 0x6D80
WIDTH, HEIGHT, SHOWN_WIDTH, SHOWN_HEIGHT, SHOWN_UNIT = (
    0xB0,
    0xBA,
    0x54B0,
    0x54BA,
    0x54B2,
)
CROPS = (0x54AA, 0x54BB, 0x54CC, 0x54DD)  # bottom, top, left, right
COLOUR, LIGHT = 0x55B0, 0x55D0

INSIDE = frozenset([INFO, TRACKS, CLUSTER, BLOCK_GROUP])
INSIDE |= {SEEK_HEAD, SEEK, CUES, CUE, CUE_POSITIONS}
# Numbers that stay, and what of.
HEAD_NUMBERS = {0x4286, 0x42F7, 0x42F2, 0x42F3, 0x4287, 0x4285}  # versions, limits
CLUSTER_NUMBERS = {TIMESTAMP, 0xA7, 0xAB}  # its place, the length of the one before
BLOCK_NUMBERS = {0x9B, 0xFB, 0x75A2, 0xFA}  # duration, reference, padding, priority
SEEK_NUMBERS = {0x53AB, 0x53AC, 0xB3, 0xF7, 0xF1, 0xF0, 0xB2, 0x5378, 0xEA}
NUMBERS = HEAD_NUMBERS | CLUSTER_NUMBERS | BLOCK_NUMBERS | SEEK_NUMBERS
NUMBERS |= {TIMESTAMP_SCALE, DURATION}
SIZES = {WIDTH, HEIGHT, *CROPS, SHOWN_WIDTH, SHOWN_HEIGHT, SHOWN_UNIT}
SOUND_NUMBERS = {0xB5, 0x78B5, 0x9F, 0x6264}  # rates, channels, bits
COLOUR_NUMBERS = {*range(0x55B1, 0x55BE), *range(0x55D1, 0x55DB)}
TRACK_NUMBERS = {NUMBER, KIND, 0x73C5, 0xB9, 0x88, 0x55AA, 0x9C, 0x6DE7, 0x6DF8}
TRACK_NUMBERS |= {0x55EE, DEFAULT_DURATION, 0x23314F, 0xAA, 0x56AA, 0x56BB}
TRACK_NUMBERS |= {0x9A, 0x9D, *SIZES, *SOUND_NUMBERS, *COLOUR_NUMBERS}  # interlacing
TRACK_INSIDE = frozenset([VIDEO, AUDIO, COLOUR, LIGHT])
NUMBER_BYTES = 8
CODECS = {1: (b"V_VP8", b"V_VP9", b"V_AV1"), 2: (b"A_OPUS",)}  # by the kind of track
PLAYABLE = frozenset(codec for codecs in CODECS.values() for codec in codecs)
MAX_TRACKS = 64
MAX_TRACK_BYTES = MAX_HELD_BYTES
TRACK_LEVELS = 4  # the track, its video, that one's colour, and its light
MAX_CODEC_BYTES = 32
DURATION_BYTES = 7  # as an element: a float of four bytes
UNKNOWN = -1
NS_PER_S = 1_000_000_000
OTHER_CODEC = (
    "This video is coded in a way that few browsers play: please send it as WebM"
    " with VP8, VP9 or AV1 and Opus, or as MP4."
)
NO_WEBM = "Of Matroska files, only WebM is taken: please send it as WebM or MP4."


class Element(NamedTuple):
    id: int
    header: bytes
    length: int  # of its content; UNKNOWN: until one comes that cannot be in it

    @property
    def all_bytes(self) -> int:
        return len(self.header) + self.length


def walk(picture: WalkedPicture, *state: Any) -> Walk:
    segment = Segment(picture)
    if state:
        segment.restore(*state)
    else:
        yield from _head(picture)
        yield from segment.begin()
    yield from segment.walk()


def _element(start: bytes) -> Generator[Request, bytes, Element]:
    """The element that begins with these two bytes."""
    id_bytes = _length_of_number(start[0])
    refuse_unless(id_bytes <= 4)
    if len(start) < id_bytes + 1:
        start += yield Take(id_bytes + 1 - len(start))
    size_bytes = _length_of_number(start[id_bytes])
    missing = id_bytes + size_bytes - len(start)
    if missing:
        start += yield Take(missing)
    name = int.from_bytes(start[:id_bytes], "big")
    length = int.from_bytes(start[id_bytes:], "big") & ((1 << 7 * size_bytes) - 1)
    if length == (1 << 7 * size_bytes) - 1:
        length = UNKNOWN
    return Element(name, start, length)


def _length_of_number(first: int) -> int:
    """How many bytes EBML's number has whose first byte this is."""
    refuse_unless(first != 0)
    return 9 - first.bit_length()


def _short_length(buffer: bytes, at: int) -> tuple[int, int]:
    """A length of one or two bytes: (where it ends, what it is); -1: another one.

    The buffer has two bytes from there.
    """
    first = buffer[at]
    if first & 0x80:
        return at + 1, (first & 0x7F if first != 0xFF else -1)
    length = (first & 0x3F) << 8 | buffer[at + 1]
    return at + 2, (length if first & 0x40 and length != 0x3FFF else -1)


def _head(picture: WalkedPicture) -> Walk:
    head = yield from _element((yield Take(2)))
    refuse_unless(head.id == EBML and 0 < head.length <= 256)
    picture.put(head.header)
    left = head.length
    while left:
        part = yield from _next(left)
        left -= part.all_bytes
        if part.id == DOC_TYPE:
            refuse_unless(part.length <= 16)
            content = yield Take(part.length)
            if content.rstrip(b"\x00") != b"webm":
                raise PictureType(NO_WEBM)
            picture.put(part.header + content)
        elif part.id in NUMBERS and part.length <= NUMBER_BYTES:
            picture.put(part.header)
            yield Pass(part.length, KEEP)
        else:
            yield from _voided(picture, part)


def _next(left: int) -> Generator[Request, bytes, Element]:
    """Of an element that has `left` bytes more, the next one inside."""
    refuse_unless(left >= 2)
    part = yield from _element((yield Take(2)))
    refuse_unless(part.length >= 0 and part.all_bytes <= left)
    return part


def _voided(output: Output, element: Element) -> Walk:
    refuse_unless(element.length != UNKNOWN)
    yield from _void(output, element.all_bytes, element.length)


def _void(output: Output, all_bytes: int, to_come: int) -> Walk:
    """Instead of so many bytes, of which `to_come` have not passed yet."""
    start = void_start(all_bytes)
    output.put(start)
    output.put(bytes(all_bytes - len(start) - to_come))
    yield from blank(output, to_come)


def void_start(all_bytes: int) -> bytes:
    """How a Void begins that has so many bytes in all."""
    for size_bytes in range(1, 9):
        length = all_bytes - 1 - size_bytes
        if length < (1 << 7 * size_bytes) - 1:
            number = length | 1 << 7 * size_bytes
            return bytes([VOID]) + number.to_bytes(size_bytes, "big")
    raise PictureType()


class BufferedElement:
    """Buffers what is put until it is known whether it is stored."""

    def __init__(self) -> None:
        self.content = bytearray()

    def put(self, data: bytes) -> None:
        self.content += data


class Segment:
    KNOWN = (  # what it knows between two elements, beside its tracks
        *("end", "scale_ns", "duration", "counted", "last_step", "cluster_at"),
        *("has_blocks", "room_at", "room_bytes", "is_in_info"),
    )

    def __init__(self, picture: WalkedPicture) -> None:
        self.picture = picture
        self.end = 2**62  # where it ends, if it says so
        self.scale_ns = 1_000_000
        self.duration = 0.0  # in that; 0: it is not told
        self.counted = 0  # the same, from the blocks
        self.last_step = 0
        self.cluster_at = 0
        self.has_blocks = False
        self.tracks: tuple[tuple[int, int, bool], ...] = ()  # number, kind, stays?
        self.kinds: dict[int, int] = {}  # number of a track that stays -> its kind
        self.lost_kinds: set[int] = set()
        self.lost: set[int] = set()  # numbers of tracks that go
        self.room_at = 0  # a Void in which there is room for a duration
        self.room_bytes = 0
        self.is_in_info = False

    def begin(self) -> Walk:
        segment = yield from _element((yield Take(2)))
        refuse_unless(segment.id == SEGMENT)
        self.picture.put(segment.header)
        if segment.length != UNKNOWN:
            self.end = self.picture.put_bytes + segment.length

    def restore(self, tracks: list[tuple[int, int, bool]], *numbers: Any) -> None:
        """As it was at a mark."""
        for name, number in zip(self.KNOWN, numbers, strict=True):
            setattr(self, name, number)
        for track in tracks:
            self._know(*track)

    def walk(self) -> Walk:
        numbers_of = attrgetter(*self.KNOWN)
        while self.picture.put_bytes < self.end:
            self.picture.mark(self.tracks, *numbers_of(self))
            start = yield Next(2)
            if not start:
                break
            element = yield from _element(start)
            refuse_unless(self.picture.put_bytes + element.all_bytes <= self.end)
            yield from self._follow(element)
            yield Skim(self._skim)
        is_whole = self.picture.put_bytes == self.end or self.end == 2**62
        if not (self.has_blocks and is_whole):
            raise PictureTruncated()
        self._tell_duration()

    def _follow(self, element: Element) -> Walk:
        name = element.id
        if name in (SIMPLE_BLOCK, BLOCK):
            yield from self._block(element)
        elif name == TRACK:
            yield from self._track(element)
        elif name in INSIDE:
            self.picture.put(element.header)
            self._enter(name)
        elif name in NUMBERS and 0 <= element.length <= NUMBER_BYTES:
            content = yield Take(element.length)
            self.picture.put(element.header + content)
            self._note(name, content)
        else:
            self._find_room(element)
            yield from _voided(self.picture, element)

    def _enter(self, name: int) -> None:
        self.is_in_info = name == INFO
        if name == CLUSTER:
            self._judge()

    def _note(self, name: int, content: bytes) -> None:
        if name == TIMESTAMP:
            self.cluster_at = int.from_bytes(content, "big")
        elif name == TIMESTAMP_SCALE:
            self.scale_ns = int.from_bytes(content, "big") or self.scale_ns
        elif name == DURATION and len(content) in (4, 8):
            (value,) = struct.unpack(">f" if len(content) == 4 else ">d", content)
            self.duration = value if 0 < value < 2**53 else 0.0

    def _find_room(self, element: Element) -> None:
        is_room = DURATION_BYTES <= element.all_bytes != DURATION_BYTES + 1
        if self.is_in_info and is_room and not self.room_bytes:
            self.room_at = self.picture.put_bytes
            self.room_bytes = element.all_bytes

    # ---- Tracks ----

    def _track(self, element: Element) -> Walk:
        refuse_unless(0 < element.length <= MAX_TRACK_BYTES)
        refuse_unless(not self.has_blocks)
        track = WebmTrack()
        yield from track.inside(element.length)
        refuse_unless(track.number not in self.kinds and len(self.tracks) < MAX_TRACKS)
        self._know(track.number, track.kind, track.is_playable)
        if track.is_playable:
            self.picture.put(element.header + track.held.content)
            if track.kind == 1 and list(self.kinds.values()).count(1) == 1:
                self.picture.set_size(*track.size)
        else:
            yield from _void(self.picture, element.all_bytes, 0)

    def _know(self, number: int, kind: int, is_playable: bool) -> None:
        self.tracks = (*self.tracks, (number, kind, is_playable))
        if is_playable:
            self.kinds[number] = kind
        else:
            self.lost.add(number)
            self.lost_kinds.add(kind)

    def _judge(self) -> None:
        """Blocks come next: what is it, and can it be played?"""
        refuse_unless(bool(self.tracks))
        kinds = set(self.kinds.values())
        if not kinds or (self.lost_kinds - kinds) & CODECS.keys():
            raise PictureType(OTHER_CODEC)
        self.picture.type = "video/webm" if 1 in kinds else "audio/webm"

    # ---- Blocks ----

    def _block(self, element: Element) -> Walk:
        refuse_unless(bool(self.tracks) and element.length >= 4)
        start = yield Take(4)
        number_bytes = _length_of_number(start[0])
        refuse_unless(number_bytes == 1)  # there are no tracks above 127 anywhere
        number = start[0] & 0x7F
        if number in self.lost:
            yield from _void(self.picture, element.all_bytes, element.length - 4)
            return
        refuse_unless(number in self.kinds)
        self._time(start[1:3])
        self.picture.put(element.header + start)
        yield Pass(element.length - 4, KEEP)

    def _skim(self, buffer: bytes, at: int, end: int) -> tuple[int, int]:
        """Over short blocks of tracks that stay, and short Voids."""
        end = min(end, at + self.end - self.picture.put_bytes)
        start, count = at, 0  # of what stays, and was not put yet
        while at + 3 <= end:
            content, length = _short_length(buffer, at + 1)
            after = content + length
            if length < 0 or after > end:
                break
            if buffer[at] == SIMPLE_BLOCK and length >= 4:
                if (buffer[content] ^ 0x80) not in self.kinds:
                    break
                self._time(buffer[content + 1 : content + 3])
            elif buffer[at] == VOID and content == at + 2 and not self.is_in_info:
                self.picture.put(buffer[start:content])
                self.picture.put(bytes(length))
                start = after
            else:
                break
            at = after
            count += 1
        self.picture.put(buffer[start:at])
        return at, count

    def _time(self, place: bytes) -> None:
        """Of a block that stays, in its cluster."""
        self.has_blocks = True
        self._count(self.cluster_at + int.from_bytes(place, "big", signed=True))

    def _count(self, at: int) -> None:
        if at > self.counted:
            self.last_step, self.counted = at - self.counted, at

    def _tell_duration(self) -> None:
        """The last block is taken to be as long as the one before."""
        counted = self.counted + self.last_step
        self.picture.duration_ms = in_ms(
            (self.duration or counted) * self.scale_ns, NS_PER_S
        )
        if self.duration or not self.room_bytes or not counted:
            return
        told = b"\x44\x89\x84" + struct.pack(">f", counted)
        left = self.room_bytes - DURATION_BYTES
        if left:
            start = void_start(left)
            told += start + bytes(left - len(start))
        self.picture.edits.append(Edit(self.room_at, len(told), told))


class WebmTrack:
    """One entry of Tracks: what stays of it, and what it says."""

    def __init__(self) -> None:
        self.held = BufferedElement()
        self.codec = b""
        self.values: dict[int, int] = {}

    @property
    def number(self) -> int:
        return self.values.get(NUMBER, 0)

    @property
    def kind(self) -> int:
        return self.values.get(KIND, 0)

    @property
    def is_playable(self) -> bool:
        return self.codec in CODECS.get(self.kind, ()) and 0 < self.number < 127

    @property
    def size(self) -> tuple[int, int]:
        """As it is shown."""
        bottom, top, left, right = (self.values.get(name, 0) for name in CROPS)
        width = self.values.get(WIDTH, 0) - left - right
        height = self.values.get(HEIGHT, 0) - top - bottom
        if self.values.get(SHOWN_UNIT, 0) == 0:
            width = self.values.get(SHOWN_WIDTH, width)
            height = self.values.get(SHOWN_HEIGHT, height)
        return width, height

    def _private(self, content: bytes) -> bytes:
        """Subtitles have words in there; such a track goes as a whole."""
        is_other_kind = self.kind and self.kind not in CODECS
        is_other_codec = self.codec and self.codec not in PLAYABLE
        return bytes(len(content)) if is_other_kind or is_other_codec else content

    def inside(self, left: int, levels: int = TRACK_LEVELS) -> Walk:
        refuse_unless(levels > 0)
        while left:
            part = yield from _next(left)
            left -= part.all_bytes
            # What is compressed or encrypted once more is not WebM.
            refuse_unless(part.id != ENCODINGS)
            if part.id in TRACK_INSIDE:
                self.held.put(part.header)
                yield from self.inside(part.length, levels - 1)
            elif part.id == CODEC:
                refuse_unless(part.length <= MAX_CODEC_BYTES)
                content = yield Take(part.length)
                self.held.put(part.header + content)
                self.codec = content.rstrip(b"\x00")
            elif part.id == PRIVATE:
                content = yield Take(part.length, self._private)
                self.held.put(part.header + content)
            elif part.id in TRACK_NUMBERS and part.length <= NUMBER_BYTES:
                content = yield Take(part.length)
                self.held.put(part.header + content)
                self.values[part.id] = int.from_bytes(content, "big")
            else:
                yield from _voided(self.held, part)
