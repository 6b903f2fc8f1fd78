"""Where the pictures of an album lie; tests/js holds the page to the same cases."""

import json
import random
from pathlib import Path

import pytest

from hai.web.views.albums import (
    COLUMNS,
    GAP_PX,
    HIGHEST_PX,
    LOWEST_PX,
    Tile,
    album,
)

CASES = json.loads(Path(__file__).parents[2].joinpath("js/albums.json").read_text())
LANDSCAPE, PORTRAIT, SQUARE = (1600, 1067), (1067, 1600), (1000, 1000)
PANORAMA, SCREENSHOT = (6000, 1000), (800, 3200)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["sizes"][:3]))
def test_albums_are_laid_out_as_the_page_does(case):
    tiles = album(tuple(map(tuple, case["sizes"])))
    laid = [[tile.span, tile.rows, tile.width, tile.height] for tile in tiles]
    assert laid == case["tiles"]


def rows_of(*sizes):
    """How many lie in each row."""
    rows, reached = [], 0
    for tile in album(sizes):
        if reached % COLUMNS == 0:
            rows.append(0)
        rows[-1] += 1
        reached += tile.span
    return rows


def test_pictures_lie_as_one_would_lay_them():
    assert rows_of(*[LANDSCAPE] * 2) == [2]
    assert rows_of(*[LANDSCAPE] * 3) == [1, 2]
    assert rows_of(*[PORTRAIT] * 3) == [3]
    assert rows_of(*[SQUARE] * 4) == [2, 2]
    assert rows_of(*[LANDSCAPE] * 5) == [2, 3]
    assert rows_of(PANORAMA, LANDSCAPE, LANDSCAPE) == [1, 2]
    assert rows_of(*[SCREENSHOT] * 3) == [3]
    assert [tile.rows for tile in album((PORTRAIT, LANDSCAPE, LANDSCAPE))] == [2, 1, 1]


def test_one_picture_keeps_its_shape_within_the_column():
    sizes = [(1600, 1067), (1200, 1600), (200, 150), (1, 1), (10_000, 1), (6000, 1000)]
    boxes = [(608, 405), (315, 420), (200, 150), (72, 72), (608, 72), (608, 101)]
    assert [album((size,)) for size in sizes] == [(Tile(0, 1, *b),) for b in boxes]


def test_a_tall_screenshot_alone_is_wide_enough_to_be_read():
    assert album((SCREENSHOT,)) == (Tile(0, 1, 189, 420),)


def test_whatever_the_shapes_rows_are_full_and_heights_in_bounds():
    chance = random.Random("sea")
    for _ in range(300):
        count = chance.randint(2, 10)
        sizes = [
            (chance.randint(1, 65535), chance.randint(1, 65535)) for _ in "x" * count
        ]
        tiles = album(tuple(sizes))
        assert len(tiles) == count and all(tile.span > 0 for tile in tiles)
        if tiles[0].rows == 2:
            right = [tile.height for tile in tiles[1:]]
            assert abs(sum(right) + GAP_PX - tiles[0].height) <= 2
            continue
        assert sum(tile.span for tile in tiles) % COLUMNS == 0
        assert all(LOWEST_PX <= tile.height <= HIGHEST_PX for tile in tiles)
