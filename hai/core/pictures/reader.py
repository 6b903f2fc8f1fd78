"""Recognises pictures, videos and voices by their bytes, while they pass by.

Each type has a walker (formats/) that follows its file format to the end, so
that a picture cut short is known from a whole one, and that leaves out what is
nobody's business. Nothing is decoded, and no more than one small block (at
most 64 KiB) is held at a time. A reader can be saved between any two bytes, in
some hundred bytes that hold no metadata, and go on in another process.
"""

import json
from collections.abc import Callable, Iterator
from itertools import groupby, repeat
from typing import Any

from hai.core.pictures.formats import (
    gif,
    jpeg,
    mp4,
    ogg,
    png,
    webm,
    webp,
)
from hai.core.pictures.formats.spans import (
    in_parts,
    packed,
    unpacked,
)
from hai.core.pictures.formats.walk import (
    PART,
    PAUSE,
    SKIMMED_BYTES,
    Edit,
    Next,
    Pass,
    Request,
    Rest,
    Seek,
    Skim,
    SubBlocks,
    Take,
    Walk,
)
from hai.core.turns import Work, do
from hai.errors import PictureTruncated, PictureType

MAX_SIDE_PX = 65_535  # the most that JPEG can say; larger ones are never photographs
MAGIC_BYTES = 12  # WebP is known by bytes 0 to 3 and 8 to 11, MP4 by 4 to 11
# A step takes 1 to 5 us, a block in a run of its like, which counts as one, 0.3 us. So
# many steps are free, and one more for so many bytes; what has more is made to keep us
# busy. An animation of tiny frames has a step for twenty bytes, a voice in packets of
# 20 ms one for forty. A photograph has some hundred in all, with many scans too, and a
# film, whose fragments have thirty, one for 300 bytes of a quiet voice.
FREE_STEPS, BYTES_PER_STEP = 50_000, 16
PACES = {"image/jpeg": (10_000, 256), "video/mp4": (30_000, 256)}
# Between two marks. Ordinary are some hundred; but in the header of a film that goes
# on for hours the tables of a camera's own tracks may have half of it.
MAX_ANSWER_BYTES = 1024 * 1024
MAX_ANSWERS = 20_000  # a restored reader gives them all again, in 50 ms
TOO_MANY_PIECES = "The picture is in too many pieces."

# What a saved reader knows as it is; `_rest` only where the sender keeps metadata.
SAVED = (
    *("type", "width", "height", "is_whole", "is_animated", "put_bytes"),
    *("duration_ms", "step_count"),
    *("_format", "_seen_bytes", "_left", "_marked", "_marked_put_bytes"),
)


class PictureReader:
    """Follows one picture. `feed` it every byte, then call `finish`.

    All that may take long is there as Work, too (core/turns.py), to be done in slices:
    `following`, `finishing`, `saving`, `restoring`. Between two of them, and not before
    one is over, the reader may be looked at.

    type, width, height: known once enough has passed; 0 before. In the end:
    head: what the stored picture must begin with instead; b"": as it does.
    edits: what else of it must be stored otherwise than it was.
    is_animated: it says that it has more than one frame.
    duration_ms: of a video or a voice; 0: it is not known.
    step_count: how much work it was.
    Raises PictureType as soon as the bytes cannot be a picture.
    """

    def __init__(self, *, keeps_metadata: bool = False) -> None:
        self.type = ""
        self.width = 0
        self.height = 0
        self.is_whole = False
        self.is_animated = False
        self.duration_ms = 0
        self.head = b""
        self.edits: list[Edit] = []
        self.put_bytes = 0
        self.step_count = 0
        self.keeps_metadata = keeps_metadata
        self._seen_bytes = 0
        self._rest = b""
        self._left = 0  # of what is being passed over, or of a GIF's sub-block
        self._kept: list[bytes] = []
        self._format = ""  # whose walker it is; a film may prove to be a voice
        self._walk: Walk | None = None
        self._request: Request = Take(MAGIC_BYTES)
        self._marked: tuple[Any, ...] = ()  # what the walker said at its last mark
        self._marked_put_bytes = 0  # and what was stored by then
        self._answers: list[bytes] = []  # what it was told since
        self._answer_bytes = 0

    @property
    def unread(self) -> bytes:
        """The last bytes: a saved reader must be fed them again."""
        return b"" if self.is_whole or self.keeps_metadata else self._rest

    def save(self) -> str:
        return do(self.saving())

    def saving(self) -> Work[str]:
        """All that `restored` needs; of metadata there is nothing in it."""
        state = {name: getattr(self, name) for name in SAVED}
        state["head"] = self.head.hex()
        state["edits"] = []
        for edits in in_parts(self.edits):
            yield None
            state["edits"] += [(at, n, new.hex()) for at, n, new in edits if new]
        state["blanks"] = yield from packed(
            (at, at + length) for at, length, new in self.edits if not new
        )
        state["answers"] = yield from _written(self._answers)
        state["has_begun"] = self._walk is not None
        state["rest"] = self._rest.hex() if self.keeps_metadata else ""
        return json.dumps(state)

    @classmethod
    def restored(cls, saved: str, *, keeps_metadata: bool) -> "PictureReader":
        return do(cls.restoring(saved, keeps_metadata=keeps_metadata))

    @classmethod
    def restoring(cls, saved: str, *, keeps_metadata: bool) -> Work["PictureReader"]:
        """The reader as it was, but for its `unread` bytes."""
        reader = cls(keeps_metadata=keeps_metadata)
        state = json.loads(saved)
        if state["has_begun"] and not state["is_whole"]:
            yield from reader._walk_again(state)
        for name in SAVED:
            setattr(reader, name, state[name])
        reader.head = bytes.fromhex(state["head"])
        reader.edits = [
            Edit(at, length, bytes.fromhex(new)) for at, length, new in state["edits"]
        ]
        for part in in_parts((yield from unpacked(state.get("blanks", "")))):
            yield None
            reader.edits += [Edit(start, end - start) for start, end in part]
        reader._rest = bytes.fromhex(state["rest"])
        reader._kept.clear()
        return reader

    def _walk_again(self, state: dict[str, Any]) -> Work[None]:
        """From the last mark to where it was; what it puts is stored already."""
        self._walk = WALKERS[state["_format"]](self, *state["_marked"])
        self.put_bytes = state["_marked_put_bytes"]
        self._request = next(self._walk)
        self._forget_answers()
        yield from self._skip_pauses()
        for answer in _read(state["answers"]):
            if isinstance(self._request, Take | Pass) and self._request.is_kept:
                self.put_bytes += self._request.length
            self._ask_on(answer)
            yield None
            yield from self._skip_pauses()
            self._kept.clear()

    def _skip_pauses(self) -> Work[None]:
        """These answers are nothing that has to be known again."""
        while self._request is PAUSE and not self.is_whole:
            self._ask_on(b"")
            yield None

    def feed(self, data: bytes) -> bytes:
        return do(self.following(data))

    def following(self, data: bytes) -> Work[bytes]:
        """Look at the next bytes; returns the bytes to be stored for them."""
        if not self.is_whole:
            yield from self._follow(data)
            self._check_steps(len(data))
        kept, self._kept = b"".join(self._kept), []
        return data if self.keeps_metadata else kept

    def finish(self) -> None:
        do(self.finishing())

    def finishing(self) -> Work[None]:
        """The bytes have ended. Raises PictureTruncated if the picture has not."""
        if self._may_end:
            self._ask_on(b"")
            yield from self._skip_pauses()
        if not self.is_whole:
            if self._walk is None and not _could_begin(self._rest):
                raise PictureType()
            raise PictureTruncated()
        if self.keeps_metadata:
            self.head, self.edits = b"", []

    @property
    def _may_end(self) -> bool:
        """The walker knows no end but that of the file."""
        is_asked = isinstance(self._request, Rest) or (
            isinstance(self._request, Next) and not self._rest
        )
        return self._walk is not None and not self.is_whole and is_asked

    def put(self, data: bytes) -> None:
        """Store this. For the walker."""
        self._kept.append(data)
        self.put_bytes += len(data)

    def set_size(self, width: int, height: int) -> None:
        if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
            raise PictureType("The picture's width or height is out of range.")
        self.width, self.height = width, height

    def turn(self) -> None:
        self.width, self.height = self.height, self.width

    def mark(self, *state: Any) -> None:
        self._marked = state
        self._marked_put_bytes = self.put_bytes
        self._forget_answers()

    def _forget_answers(self) -> None:
        self._answers.clear()
        self._answer_bytes = 0

    def _follow(self, data: bytes) -> Work[None]:
        """Serve the walker's requests as far as the bytes go."""
        buffer, at = self._rest + data, 0
        if self._walk is None and len(buffer) >= MAGIC_BYTES:
            self._begin(buffer[:MAGIC_BYTES])
        while self._walk is not None and not self.is_whole:
            answer, at = self._serve(buffer, at)
            if answer is None:
                break
            self._ask_on(answer)
            yield None
        self._rest = b"" if self.is_whole else buffer[at:]

    def _check_steps(self, byte_count: int) -> None:
        self._seen_bytes += byte_count
        usual = FREE_STEPS, BYTES_PER_STEP
        free, bytes_per_step = PACES.get(self._format, usual)
        if self.step_count > free + self._seen_bytes // bytes_per_step:
            raise PictureType(TOO_MANY_PIECES)

    def _begin(self, magic: bytes) -> None:
        self._format = self.type = _recognise(magic)
        self._walk = WALKERS[self._format](self)
        self._request = next(self._walk)

    def _ask_on(self, answer: bytes) -> None:
        assert self._walk is not None
        self.step_count += 1
        if self._request is not PAUSE:
            self._answers.append(answer)
            self._answer_bytes += len(answer) + 1
        try:
            self._request = request = self._walk.send(answer)
        except StopIteration:
            self.is_whole = True
        else:
            self._left = request.length if isinstance(request, Pass) else 0
            if (
                self._answer_bytes > MAX_ANSWER_BYTES
                or len(self._answers) > MAX_ANSWERS
            ):
                raise PictureType(TOO_MANY_PIECES)

    def _serve(self, buffer: bytes, at: int) -> tuple[bytes | None, int]:
        """The answer to the present request (None: not all is here), and its end."""
        request = self._request
        if isinstance(request, Take | Next):
            end = at + request.length
            return (
                (self._taken(request, buffer[at:end]), end)
                if end <= len(buffer)
                else (None, at)
            )
        if isinstance(request, Pass):
            return self._pass(buffer, at, request.is_kept)
        if isinstance(request, Seek):
            return self._seek(buffer, at, request)
        if isinstance(request, Skim):
            return self._skim(buffer, at, request)
        if isinstance(request, Rest):
            if request.is_kept:
                self.put(buffer[at:])
            return None, len(buffer)
        return self._pass_sub_blocks(buffer, at, request)

    def _taken(self, request: Take | Next, content: bytes) -> bytes:
        if isinstance(request, Next):
            return content
        if request.is_kept:
            self.put(content)
        return request.essence(content)

    def _pass(self, buffer: bytes, at: int, is_kept: bool) -> tuple[bytes | None, int]:
        end = min(at + self._left, len(buffer))
        self._left -= end - at
        if is_kept:
            self.put(buffer[at:end])
        return (None if self._left else b""), end

    def _seek(self, buffer: bytes, at: int, request: Seek) -> tuple[bytes | None, int]:
        found = request.pattern.search(buffer, at)
        # Without a match the last byte may be the beginning of one.
        end = found.start() if found else max(at, len(buffer) - 1)
        if request.is_kept:
            self.put(buffer[at:end])
        return (found.group(), found.end()) if found else (None, end)

    def _skim(self, buffer: bytes, at: int, request: Skim) -> tuple[bytes, int]:
        end, count = request.over(buffer, at, min(len(buffer), at + SKIMMED_BYTES))
        self.step_count += count - 1  # to look whether there are any is none
        return (end - at).to_bytes(4, "big"), end

    def _pass_sub_blocks(
        self, buffer: bytes, at: int, request: SubBlocks
    ) -> tuple[bytes | None, int]:
        """In one loop: a hostile GIF may have a sub-block every other byte."""
        start, end = at, len(buffer)
        at, count, is_over = gif.follow_sub_blocks(buffer, at + self._left, end)
        self.step_count += count
        self._left = max(0, at - end)
        at = min(at, end)
        if request.is_kept:
            self.put(buffer[start:at])
        return (b"" if is_over else None), at


def _written(answers: list[bytes]) -> Work[list[str | int]]:
    """As JSON can say them; of empty ones in a row, how many."""
    written: list[str | int] = []
    for start in range(0, len(answers), PART):
        for has_content, group in groupby(answers[start : start + PART], bool):
            run = list(group)
            written += [one.hex() for one in run] if has_content else [len(run)]
        yield None
    return written


def _read(written: list[str | int]) -> Iterator[bytes]:
    """What was written by `_written`."""
    for item in written:
        if isinstance(item, int):
            yield from repeat(b"", item)
        else:
            yield bytes.fromhex(item)


# What a file begins with -> its format. WebP has its length between. A video that
# turns out to be only sound is an audio/... in the end.
MAGICS = (
    (png.SIGNATURE, "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF", "image/webp"),
    (webm.MAGIC, "video/webm"),
    (ogg.CAPTURE, "audio/ogg"),
)
FTYP = b"ftyp"  # after four bytes of length
WALKERS: dict[str, Callable[..., Walk]] = {
    "image/png": png.walk,
    "image/jpeg": jpeg.walk,
    "image/gif": gif.walk,
    "image/webp": webp.walk,
    "video/mp4": mp4.walk,
    "video/webm": webm.walk,
    "audio/ogg": ogg.walk,
}

# Pictures that Hai does not take: their brand -> what to do about it.
HEIC = (
    "HEIC pictures can be seen on few devices: please send it as a JPEG."
    ' (iPhone: Settings, Camera, Formats, "Most Compatible".)'
)
AVIF = "AVIF pictures are not taken yet: please send it as a JPEG, PNG or WebP."
BRANDS = {
    **dict.fromkeys((b"avif", b"avis", b"avio"), ("avif", AVIF)),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), ("heic", HEIC)),
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), ("heic", HEIC)),
    **dict.fromkeys((b"mif1", b"msf1", b"miaf"), ("heic", HEIC)),
}


def _recognise(magic: bytes) -> str:
    for start, type_ in MAGICS:
        if magic.startswith(start) and (start != b"RIFF" or magic[8:] == b"WEBP"):
            return type_
    if magic[4:8] != FTYP:
        raise PictureType()
    if magic[8:] in BRANDS:
        name, advice = BRANDS[magic[8:]]
        raise PictureType(advice, format=name)
    return "video/mp4"


def _could_begin(short: bytes) -> bool:
    """Whether fewer than MAGIC_BYTES bytes might have become a picture."""
    could_be_box = b"\x00\x00".startswith(short[:2]) and FTYP.startswith(short[4:8])
    return could_be_box or any(
        short.startswith(start) or start.startswith(short) for start, _ in MAGICS
    )
