"""The layout of up to ten pictures in one hai: rows of equal height, in order.

An album is `WIDTH_PX` wide and has `COLUMNS` columns; each picture becomes a tile that
spans some of them. Of all ways to break the pictures into rows, the one is chosen whose
rows are closest to a good height with the least cropping. Tiles have fixed shapes
before any picture has loaded, so nothing moves later. `static/js/lib/album.js` computes
the same layout: both are tested against tests/js/albums.json, and use only arithmetic
that gives equal results.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

WIDTH_PX, GAP_PX, COLUMNS = 608, 4, 48
GOOD_PX, LOWEST_PX, HIGHEST_PX = 230, 96, 420  # heights of a row
ALBUM_PX = 520  # taller ones push the conversation out of view
MOST_IN_ROW = 4
TALL, WIDE, WIDEST = (
    0.55,
    3.0,
    6.0,
)  # aspect ratios beyond which a tile is cropped; WIDEST: alone
CUT_WEIGHT = 2  # cropping is worse than a row too low or too high
TALL_ALONE = 0.45  # narrower ones, like screenshots, would be illegible
LEAST_PX = 72  # smaller ones are hard to tap
PORTRAIT, LANDSCAPE = 0.9, 1.1

Size = tuple[int, int]
Judged = dict[tuple[int, int], tuple[float, float]]  # (start, count) -> cost, height


@dataclass(frozen=True, slots=True)
class Tile:
    """The place of one picture. span: columns, 0 when it is alone; rows: 1 or 2; width,
    height: in CSS pixels, on a screen that is wide enough."""

    span: int
    rows: int
    width: int
    height: int


@lru_cache(maxsize=2048)
def album(sizes: tuple[Size, ...]) -> tuple[Tile, ...]:
    """A tile for each picture of these sizes. 1 ms for ten, then cached."""
    if not sizes:
        return ()
    if len(sizes) == 1:
        return (alone(*sizes[0]),)
    shapes = tuple((width or 1) / (height or 1) for width, height in sizes)
    return _beside(shapes) or _in_rows(shapes)


def alone(width: int, height: int) -> Tile:
    """Its own shape, within the column; a very tall one shows its top."""
    shown_height = min(height or 1, (width or 1) / TALL_ALONE)
    scale = min(1, WIDTH_PX / (width or 1), HIGHEST_PX / shown_height)
    box = [max(LEAST_PX, _round(side * scale)) for side in (width, shown_height)]
    return Tile(0, 1, *box)


def _beside(shapes: tuple[float, ...]) -> tuple[Tile, ...]:
    """A portrait with two landscapes beside it, one above the other; else ()."""
    if len(shapes) != 3 or shapes[0] > PORTRAIT or min(shapes[1:]) < LANDSCAPE:
        return ()
    first, *others = (_clamp(shape, TALL, WIDE) for shape in shapes)
    per_px = sum(1 / shape for shape in others)  # height of the two, by their width
    width = ((WIDTH_PX - GAP_PX) / first - GAP_PX) / (per_px + 1 / first)
    height = min(HIGHEST_PX, (WIDTH_PX - GAP_PX - width) / first)
    span = _round((WIDTH_PX - width) / (WIDTH_PX + GAP_PX) * COLUMNS)
    heights = [(height - GAP_PX) / shape / per_px for shape in others]
    return (
        _tile(span, height, rows=2),
        *(_tile(COLUMNS - span, low) for low in heights),
    )


def _in_rows(shapes: tuple[float, ...]) -> tuple[Tile, ...]:
    """The first of the best ways to break them into rows."""
    judged = {
        (start, count): _judge(_shown(shapes[start : start + count]))
        for start in range(len(shapes))
        for count in range(1, min(MOST_IN_ROW, len(shapes) - start) + 1)
    }
    best = min(_ways(len(shapes)), key=lambda way: _cost(way, judged))
    starts = (sum(best[:number]) for number in range(len(best)))
    rows = (shapes[at : at + n] for at, n in zip(starts, best, strict=True))
    return tuple(tile for row in rows for tile in _row(_shown(row)))


@lru_cache
def _ways(count: int) -> list[tuple[int, ...]]:
    """All ways to break so many into rows, short first rows first: 401 for ten."""
    if not count:
        return [()]
    firsts = range(1, min(MOST_IN_ROW, count) + 1)
    return [(first, *rest) for first in firsts for rest in _ways(count - first)]


def _shown(shapes: tuple[float, ...]) -> tuple[float, ...]:
    """The shapes in a row, limited to what is shown uncropped."""
    widest = WIDEST if len(shapes) == 1 else WIDE
    return tuple(_clamp(shape, TALL, widest) for shape in shapes)


def _natural_px(row: tuple[float, ...]) -> float:
    """The height at which nothing of a row is cut off."""
    return (WIDTH_PX - GAP_PX * (len(row) - 1)) / sum(row)


def _judge(row: tuple[float, ...]) -> tuple[float, float]:
    """(how far from good a row is, its height)."""
    natural = _natural_px(row)
    height = _clamp(natural, LOWEST_PX, HIGHEST_PX)
    return _off(height, GOOD_PX) + CUT_WEIGHT * _off(natural, height), height


def _cost(way: tuple[int, ...], judged: Judged) -> float:
    """How far from good: the mean of the rows, and more for a high album."""
    cost, total, start = 0.0, GAP_PX * (len(way) - 1.0), 0
    for count in way:
        row_cost, height = judged[start, count]
        cost += row_cost
        total += height
        start += count
    return cost / len(way) + max(0.0, total - ALBUM_PX) / ALBUM_PX


def _off(one: float, other: float) -> float:
    return max(one / other, other / one) - 1


def _row(row: tuple[float, ...]) -> Iterator[Tile]:
    """Tiles whose spans are nearest to the widths, and fill the row."""
    natural = _natural_px(row)
    height = _clamp(natural, LOWEST_PX, HIGHEST_PX)
    edge, reached = 0, 0.0
    for shape in row:
        reached += (shape * natural + GAP_PX) / (WIDTH_PX + GAP_PX) * COLUMNS
        span = _round(reached) - edge
        edge += span
        yield _tile(span, height)


def _tile(span: int, height: float, rows: int = 1) -> Tile:
    width = (WIDTH_PX + GAP_PX) * span / COLUMNS - GAP_PX
    return Tile(span, rows, _round(width), _round(height))


def _clamp(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))


def _round(value: float) -> int:
    """Halves up, as JavaScript does."""
    return math.floor(value + 0.5)
