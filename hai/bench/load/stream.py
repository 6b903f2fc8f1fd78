"""What everybody in a room hears: the same bytes, so it is checked as bytes.

A room's facts are the same for all its members. Whoever hears one first adds it to
the stream, where it is read once; everybody else's bytes are compared with the stream,
at the speed of memory. So a generator in Python checks a million deliveries a second
for loss, repetition and order, each single byte of them.
"""

from bisect import bisect_right

from hai.bench.load.wire import (
    SENT,
    next_frame,
    number_of,
)

HEAD_BYTES = 20  # so many bytes tell a fact from other frames


class FactStream:
    """The facts of one room from some moment on."""

    def __init__(self) -> None:
        self.told = bytearray()
        self.ends: list[int] = []  # where each fact ends
        self.numbers: list[int] = []  # which hai each tells

    def add(self, frame: bytes, fact: bytes) -> None:
        self.told += frame
        self.ends.append(len(self.told))
        self.numbers.append(number_of(fact))

    def fact_around(self, position: int) -> tuple[int, int]:
        """Where the fact that `position` is in begins and ends."""
        index = bisect_right(self.ends, position)
        start = self.ends[index - 1] if index else 0
        return start, self.ends[index] if position > start else position


class StreamReader:
    """One member's place in the stream.

    `read(data)` returns the payloads that are none of the stream: pings and acks.
    log: (time, first fact, fact after the last) of everything that was heard.
    """

    __slots__ = ("_held", "errors", "heard", "log", "position", "stream")

    def __init__(self, stream: FactStream) -> None:
        self.stream = stream
        self.position = 0
        self.heard = 0  # facts
        self.errors = 0  # facts that are not what others heard
        self.log: list[tuple[float, int, int]] = []
        self._held = b""  # the beginning of a frame

    def read(self, data: memoryview, now_s: float) -> list[bytes]:
        stream, others = self.stream, []
        if not self._held and stream.told.startswith(data, self.position):
            self.position += len(data)
        else:
            others = self._read_frames(bytes(data))
        heard = bisect_right(stream.ends, self.position, self.heard)
        if heard > self.heard:
            self.log.append((now_s, self.heard, heard))
            self.heard = heard
        return others

    def _read_frames(self, data: bytes) -> list[bytes]:
        """Data that is not, or not only, the stream as it is known so far."""
        start, end = self.stream.fact_around(self.position)
        if self.position - start < HEAD_BYTES:  # it may be another frame's head
            self._held = bytes(self.stream.told[start : self.position]) + self._held
            self.position = end = start
        data = self._held + data
        at = min(end - self.position, len(data))
        self._compare(data[:at])
        others = []
        while found := next_frame(data, at):
            start, end = found
            if data.startswith(SENT, start):
                self._take_fact(data[at:end], data[start:end])
            else:
                others.append(data[start:end])
            at = end
        self._held = data[at:]
        if self.stream.told.startswith(self._held, self.position):
            self.position += len(self._held)
            self._held = b""
        return others

    def _take_fact(self, frame: bytes, fact: bytes) -> None:
        if self.position == len(self.stream.told):
            self.stream.add(frame, fact)
            self.position += len(frame)
        else:
            self._compare(frame)

    def _compare(self, data: bytes) -> None:
        if not self.stream.told.startswith(data, self.position):
            self.errors += 1
        self.position += len(data)
