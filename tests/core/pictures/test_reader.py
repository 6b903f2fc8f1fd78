import random

import pytest

from hai.core.pictures.formats.exif import orientation_of
from hai.core.pictures.reader import PictureReader
from hai.errors import PictureTruncated, PictureType
from tests.pictures import TYPES, animated, picture, turned_jpeg


def follow(data, step=4096):
    """Read a picture `step` bytes at a time; returns (type, width, height)."""
    reader = PictureReader(keeps_metadata=True)
    for at in range(0, len(data), step):
        assert reader.feed(data[at : at + step]) == data[at : at + step]
    reader.finish()
    return reader.type, reader.width, reader.height


@pytest.mark.parametrize("step", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("kind", TYPES)
def test_a_picture_is_known_by_its_bytes_however_they_come(kind, step):
    assert follow(picture(kind), step) == (TYPES[kind], 40, 30)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animated_picture_is_followed_to_its_end(kind):
    data = animated(kind)
    assert follow(data, 5) == (TYPES[kind], 20, 10)
    with pytest.raises(PictureTruncated):
        follow(data[:-1])


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0II*\0"}])
def test_every_kind_of_webp_has_a_size(options):
    assert follow(picture("WEBP", **options)) == ("image/webp", 40, 30)


def test_a_progressive_jpeg_has_many_scans():
    assert follow(picture("JPEG", progressive=True), 9) == ("image/jpeg", 40, 30)


@pytest.mark.parametrize("kind", TYPES)
def test_a_picture_cut_anywhere_is_truncated(kind):
    data = picture(kind)
    for length in range(len(data)):
        with pytest.raises(PictureTruncated):
            follow(data[:length])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_taken_sideways_is_as_wide_as_it_is_shown(orientation):
    shown = (30, 40) if orientation > 4 else (40, 30)
    assert follow(turned_jpeg(orientation))[1:] == shown


@pytest.mark.parametrize(
    "segment",
    [
        b"",
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff",
        b"http://ns.adobe.com/xap/1.0/\x00<x/>",
    ],
)
def test_a_broken_exif_block_says_upright(segment):
    assert orientation_of(segment) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"<html><script>alert(1)</script></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"BM" + bytes(100),
        b"%PDF-1.7 and so on",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"\x00\x00\x00\x1cftypavif" + bytes(30),
        b"hai",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"GIF89a" + bytes(7) + b";",  # no width
        b"\xff\xd8\xff\xd9" + bytes(20),  # no frame
    ],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(PictureType):
        follow(data)


def test_sides_beyond_what_any_picture_has_are_refused():
    data = picture("PNG")
    with pytest.raises(PictureType):
        follow(data[:16] + (70_000).to_bytes(4, "big") + data[20:])


def test_a_refusal_comes_at_the_first_bytes_not_at_the_last():
    with pytest.raises(PictureType):
        PictureReader().feed(b"<!doctype html>")


@pytest.mark.parametrize("kind", TYPES)
def test_no_damage_makes_it_hang_or_fail_otherwise(kind):
    chance = random.Random(kind)
    data = picture(kind)
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            follow(bytes(damaged), chance.choice([3, 50, 4096]))
        except (PictureType, PictureTruncated):
            continue


@pytest.mark.parametrize(
    "data",
    [
        picture("JPEG")[:20] + b"\xff\xfe\x00\x02" * 100_000,
        picture("JPEG")[:20] + b"\xff\xdb\x00\x02" * 100_000,
        picture("GIF")[:-1] + b"!\xfe\x00" * 100_000,
    ],
)
def test_a_picture_in_too_many_pieces_is_refused(data):
    with pytest.raises(PictureType, match="pieces"):
        follow(data)
