"""Where among its bytes a film has what goes: spans, of which there may be 130,000.

All that goes through them pauses after each PART of them (walk.py), also the walker
that waits for the result.
"""

import heapq
from array import array
from base64 import b64decode, b64encode
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import sub
from typing import Any, TypeVar
from zlib import compressobj, decompressobj

from hai.core.pictures.formats.walk import (
    PART,
    PAUSE,
    Pass,
)

Span = tuple[int, int]  # from, to
Result = TypeVar("Result")
Pausing = Generator[Pass, Any, Result]

SPAN_BYTES = 16  # packed, before they are compressed


def in_parts(items: Iterable[Result]) -> Iterator[list[Result]]:
    rest = iter(items)
    while part := list(islice(rest, PART)):
        yield part


def merged(samples: Iterable[tuple[int, int]]) -> Pausing[list[Span]]:
    """Of (start, length): spans in their order, none of which touches the next."""
    rows = yield from _in_order(samples)
    spans: list[Span] = []
    for part in in_parts(rows):
        yield PAUSE
        for start, length in part:
            if spans and start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(spans[-1][1], start + length)
            elif length:
                spans.append((start, start + length))
    return spans


def _in_order(samples: Iterable[Span]) -> Pausing[Iterable[Span]]:
    """As they come, as a rule: those of one track or two."""
    runs: list[list[Span]] = []
    for part in in_parts(samples):
        yield PAUSE
        part.sort()
        if runs and runs[-1][-1] <= part[0]:
            runs[-1] += part
        else:
            runs.append(part)
    return heapq.merge(*runs)


def common(some: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    """What is in both; each is in its order."""
    index = 0
    for start, end in some:
        while index < len(others) and others[index][1] <= start:
            index += 1
        at = index
        while at < len(others) and others[at][0] < end:
            yield max(start, others[at][0]), min(end, others[at][1])
            at += 1


def packed(spans: Iterable[Span]) -> Pausing[str]:
    """In their order and apart from one another: a few letters for each."""
    compressor, last, pieces = compressobj(1), 0, list[bytes]()
    for part in in_parts(spans):
        yield PAUSE
        ends = list(chain.from_iterable(part))
        steps = array("Q", map(sub, ends, [last, *ends]))
        pieces.append(compressor.compress(steps.tobytes()))
        last = ends[-1]
    if not last:
        return ""
    return b64encode(b"".join([*pieces, compressor.flush()])).decode()


def unpacked(text: str) -> Pausing[list[Span]]:
    spans: list[Span] = []
    decompressor, rest, last = decompressobj(), b64decode(text), 0
    while rest:
        yield PAUSE
        steps = array("Q")
        steps.frombytes(decompressor.decompress(rest, SPAN_BYTES * PART))
        rest = decompressor.unconsumed_tail
        for at in range(0, len(steps), 2):
            start = last + steps[at]
            last = start + steps[at + 1]
            spans.append((start, last))
    return spans
