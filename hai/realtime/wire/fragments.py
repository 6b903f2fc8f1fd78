"""WebSocket messages that arrive piece by piece, and their text, checked as it comes.

Bad UTF-8 is refused with the first byte that makes it so, as RFC 6455 (8.1) suggests:
in a message of many frames as in a frame that has not arrived in full.
"""

import codecs

from hai.realtime.wire.frames import (
    BAD_TEXT,
    POLICY,
    TEXT,
    ProtocolViolation,
    unmask,
)

# What has bytes is bounded by them, what has none is not: in one message.
MAX_EMPTY_FRAGMENTS = 1024
TEXT_OPCODE = TEXT & 0x0F

Utf8Decoder = codecs.getincrementaldecoder("utf-8")


def decode(payload: bytes) -> str:
    """Raises ProtocolViolation."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise ProtocolViolation(BAD_TEXT, "not UTF-8") from None


class Utf8Check:
    """Whether bytes that come in pieces are UTF-8."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = Utf8Decoder()

    def feed(self, piece: bytes, *, is_last: bool) -> None:
        """Raises ProtocolViolation."""
        try:
            self._decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            raise ProtocolViolation(BAD_TEXT, "not UTF-8") from None

    def copy(self) -> "Utf8Check":
        copy = Utf8Check()
        copy._decoder.setstate(self._decoder.getstate())
        return copy


class FragmentedMessage:
    """A message of several frames, whose last has not come. As bytes in one place: the
    pieces of a text of tiny frames would take fifty times their size."""

    __slots__ = ("_empty_count", "data", "opcode", "text")

    def __init__(self, opcode: int) -> None:
        self.opcode = opcode
        self.data = bytearray()
        self.text = Utf8Check() if opcode == TEXT_OPCODE else None
        self._empty_count = 0

    def add(self, payload: bytes, *, is_last: bool) -> None:
        """Raises ProtocolViolation."""
        self._empty_count += not payload
        if self._empty_count > MAX_EMPTY_FRAGMENTS:
            raise ProtocolViolation(POLICY, "too many empty fragments")
        self.data += payload
        if self.text is not None:
            self.text.feed(payload, is_last=is_last)


class TextFrame:
    """A frame of text of which a part has arrived: unmasked and checked as it comes.

    text: the check of the message up to here. start: where its payload begins; the
    four bytes before are its mask.
    """

    __slots__ = ("_clear", "_start", "_text")

    def __init__(self, text: Utf8Check, start: int) -> None:
        self._text, self._start, self._clear = text, start, bytearray()

    def check(self, frame: bytearray) -> None:
        """What is new of it. Raises ProtocolViolation."""
        new = self._unmask_new(frame, len(frame))
        self._text.feed(new, is_last=False)
        self._clear += new

    def payload(self, buffer: bytes | bytearray, end: int) -> bytes:
        """All of it, when it is here. `end`: of the frame in the buffer."""
        self._clear += self._unmask_new(buffer, end)
        return bytes(self._clear)

    def _unmask_new(self, frame: bytes | bytearray, end: int) -> bytes:
        start, known = self._start, len(self._clear)
        mask, turn = frame[start - 4 : start], known % 4
        new = frame[start + known : end]
        return unmask(new, mask[turn:] + mask[:turn], len(new))
