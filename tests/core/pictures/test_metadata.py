"""What a camera writes about place, time and owner leaves nobody's phone."""

import io
import struct

import pytest
from PIL import Image

from hai.core.pictures.reader import PictureReader
from hai.errors import PictureType
from tests.core.pictures.fuzz_metadata import KINDS, clean, fuzz, run, table
from tests.metadata import (
    SECRET,
    TAIL,
    pixels,
    profile,
    riff_chunk,
    segment,
    strangers,
    talkative,
    tells,
    told,
)
from tests.pictures import TYPES, animated, chunk, picture

SLOW_FUZZ_COUNT = 1_000_000


@pytest.mark.parametrize("step", [1, 13, 1 << 20])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_metadata_goes_and_the_picture_stays(kind, options, step):
    data = talkative(kind, **options)
    assert SECRET in data
    cleaned = clean(data, step)
    assert SECRET not in cleaned
    assert strangers(cleaned) == []
    assert pixels(cleaned) == pixels(data.removesuffix(TAIL))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_colour_profile_stays(kind):
    with Image.open(io.BytesIO(clean(talkative(kind)))) as image:
        assert image.info["icc_profile"] == profile()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_of_exif_only_the_orientation_stays(kind, orientation):
    cleaned = clean(talkative(kind, orientation))
    assert strangers(cleaned) == []
    with Image.open(io.BytesIO(cleaned)) as image:
        tags = dict(image.getexif())
    assert tags == ({} if orientation == 1 else {0x0112: orientation})


@pytest.mark.parametrize(("kind", "size"), [("PNG", (30, 40)), ("WEBP", (40, 30))])
def test_the_size_is_as_browsers_show_it(kind, size):
    """They turn a PNG as its Exif says, and a WebP never."""
    reader = PictureReader()
    reader.feed(talkative(kind, 6))
    assert (reader.width, reader.height) == size


@pytest.mark.parametrize("kind", TYPES)
def test_a_clean_picture_is_stored_as_it_is(kind):
    assert clean(picture(kind)) == picture(kind)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_keeps_moving(kind):
    data = animated(kind)
    assert pixels(clean(data)) == pixels(data)
    reader = PictureReader()
    reader.feed(data)
    assert reader.is_animated


def test_a_gif_repeats_as_often_as_before():
    with Image.open(io.BytesIO(clean(talkative("GIF")))) as image:
        assert (image.info["loop"], image.info["duration"]) == (3, 50)


def test_the_original_is_kept_when_the_sender_wants_it():
    for kind, options in KINDS:
        data = talkative(kind, 6, **options)
        assert clean(data, keeps_metadata=True) == data


def test_the_preview_inside_jfif_goes():
    data = picture("JPEG")
    jfif = data[6:18] + b"\x02\x01" + b"secret"
    cleaned = clean(data[:2] + segment(0xE0, jfif) + data[20:])
    assert cleaned == data


def test_a_comment_between_scans_goes():
    data = picture("JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    assert clean(data[:at] + segment(0xFE, SECRET) + data[at:]) == data


def test_what_hides_in_a_frame_of_a_webp_is_overwritten():
    data = animated("WEBP")
    at = data.index(b"ANMF")
    (length,) = struct.unpack_from("<I", data, at + 4)
    frame = data[at + 8 : at + 8 + length] + riff_chunk(b"XMP ", SECRET)
    body = data[12:at] + riff_chunk(b"ANMF", frame) + data[at + 8 + length :]
    cleaned = clean(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body, 7)
    assert SECRET not in cleaned
    assert strangers(cleaned) == []
    assert pixels(cleaned) == pixels(data)


@pytest.mark.parametrize(
    "data",
    [
        picture("JPEG")[:2] + segment(0xDB, SECRET) + picture("JPEG")[2:],
        picture("JPEG")[:2] + segment(0xC4, SECRET) + picture("JPEG")[2:],
        picture("JPEG")[:2] + segment(0xDA, SECRET) + picture("JPEG")[2:],
        picture("JPEG")[:20] + picture("JPEG"),
        picture()[:33] + chunk(b"SECR", SECRET) + picture()[33:],
        picture()[:33] + chunk(b"PLTE", SECRET * 30) + picture()[33:],
    ],
)
def test_what_only_looks_like_a_part_of_a_picture_is_refused(data):
    with pytest.raises(PictureType):
        clean(data)


@pytest.mark.parametrize(
    ("brand", "name"), [("heic", "heic"), ("mif1", "heic"), ("avif", "avif")]
)
def test_pictures_of_other_kinds_are_refused_with_advice(brand, name):
    with pytest.raises(PictureType, match="JPEG") as refused:
        clean(b"\x00\x00\x00\x1cftyp" + brand.encode() + bytes(40))
    assert refused.value.details == {"format": name}


# --- Damaged on purpose --------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(KINDS)), ids=str)
def test_no_damage_lets_metadata_through_or_spoils_a_picture(number):
    seen = fuzz(number, "steady")
    assert seen["stored"] >= seen["decoded"] > seen["inputs"] / 50


@pytest.mark.slow
def test_nor_do_a_million_damages():
    print(*table(run(SLOW_FUZZ_COUNT, "slow")), sep="\n")


def test_the_second_opinion_can_find_something():
    """Else a million inputs would show nothing."""
    for kind, options in KINDS:
        data = talkative(kind, **options)
        assert strangers(data.removesuffix(TAIL))
        assert tells(told(data))
