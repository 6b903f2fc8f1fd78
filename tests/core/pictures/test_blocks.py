"""Files of the smallest blocks: followed in runs, in slices, and not without end."""

import random

import pytest

from hai.core.pictures.formats.walk import PART, SKIMMED_BYTES
from hai.core.pictures.reader import PictureReader
from hai.core.pictures.receiver import LOOK_BYTES
from hai.errors import PictureTruncated, PictureType
from tests import videos
from tests.blocks import KINDS, film_of_holes, gif_of_sub_blocks, made_of
from tests.core.pictures.test_resumable import in_pieces
from tests.pictures import TYPES, animated, picture

STEPS = (1, 5, 61, 1000, LOOK_BYTES, 1 << 20)


def follow(data, step, **options):
    """All that is to be known of it; or the code of its refusal."""
    reader, stored = PictureReader(**options), bytearray()
    try:
        for at in range(0, len(data), step):
            stored += reader.feed(data[at : at + step])
        reader.finish()
    except (PictureType, PictureTruncated) as error:
        return error.code
    about = (reader.type, reader.width, reader.height, reader.is_animated)
    return bytes(stored), reader.head, reader.edits, about, reader.duration_ms


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_blocks_is_what_its_blocks_are(kind):
    """However many of them are here at once."""
    data = made_of(kind, 70)
    straight = follow(data, 1)
    assert isinstance(straight, tuple)
    assert [follow(data, step) for step in STEPS] == [straight] * len(STEPS)


@pytest.mark.parametrize("kind", KINDS)
def test_so_is_one_of_damaged_blocks(kind):
    chance, original = random.Random(kind), made_of(kind, 12)
    for _ in range(150):
        data = bytearray(original)
        for _ in range(chance.choice((1, 1, 3, 9))):
            data[chance.randrange(len(data))] = chance.choice(
                (chance.randrange(256), 0, 1, 0x21, 0x2C, 0x80, 0xFE, 0xFF)
            )
        assert follow(bytes(data), 3) == follow(bytes(data), 1 << 20), data.hex()


@pytest.mark.parametrize("kind", KINDS)
def test_one_can_go_on_anywhere_in_a_run(kind):
    data = made_of(kind, 70)
    straight = in_pieces(data, [])[:2]
    start = len(data) // 3
    for cut in range(start, start + 60):
        assert in_pieces(data, [cut, cut + 100])[:2] == straight


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Ogg" not in kind])
def test_a_file_in_too_many_pieces_is_refused_in_words(kind):
    """Not Ogg: its smallest page has 27 bytes, and a MiB of them is soon followed."""
    data = made_of(kind, 400_000)
    reader = PictureReader()
    with pytest.raises(PictureType) as refused:
        for at in range(0, len(data), LOOK_BYTES):
            reader.feed(data[at : at + LOOK_BYTES])
    assert refused.value.code == "picture_type"
    if kind != "samples of an MP4":
        assert refused.value.message == "The picture is in too many pieces."


def test_so_is_a_gif_whose_pixels_come_byte_by_byte():
    data = gif_of_sub_blocks(400_000)
    reader = PictureReader()
    with pytest.raises(PictureType, match="pieces"):
        for at in range(0, len(data), LOOK_BYTES):
            reader.feed(data[at : at + LOOK_BYTES])


@pytest.mark.parametrize("kind", [*KINDS, "sub-blocks"])
def test_little_is_done_between_two_stops(kind):
    """Another's turn can come after any of them."""
    is_one_frame = kind == "sub-blocks"
    data = gif_of_sub_blocks(10_000) if is_one_frame else made_of(kind, 2_500)
    reader, most = PictureReader(), 0
    for at in range(0, len(data), LOOK_BYTES):
        before = reader.step_count
        for _ in reader.following(data[at : at + LOOK_BYTES]):
            most = max(most, reader.step_count - before)
            before = reader.step_count
    assert 0 < most <= SKIMMED_BYTES // 2  # of two bytes each


def test_a_film_of_many_holes_is_judged_in_slices():
    count = 30_000
    data, reader = film_of_holes(count), PictureReader()
    stops = sum(1 for _ in reader.following(data))
    stops += sum(1 for _ in reader.finishing())
    assert len(reader.edits) == count
    assert stops > 4 * count / PART  # in order, merged, packed, and looked up
    saved = "".join(reader.save())
    assert sum(1 for _ in reader.saving()) > count / PART
    work = PictureReader.restoring(saved, keeps_metadata=False)
    assert sum(1 for _ in work) > count / PART
    assert PictureReader.restored(saved, keeps_metadata=False).edits == reader.edits


def test_a_film_of_many_holes_can_go_on_elsewhere():
    data = film_of_holes(3_000)
    straight = in_pieces(data, [])
    cuts = [len(data) - 9_000, len(data) - 5_000, len(data) - 1]
    assert in_pieces(data + b"\0\0\0\7junk", cuts)[:2] == straight[:2]


def ordinary():
    for kind in TYPES:
        yield picture(kind, 1500, 1000)
    yield picture("JPEG", 1500, 1000, progressive=True)
    yield picture("JPEG", 1500, 1000, restart_marker_blocks=1)
    yield from map(animated, ("GIF", "PNG", "WEBP"))
    yield from map(videos.large, videos.KINDS)


@pytest.mark.parametrize("data", ordinary())
def test_ordinary_files_are_far_below_what_is_too_many(data):
    reader = PictureReader()
    for at in range(0, len(data), 1400):  # as packets come
        reader.feed(data[at : at + 1400])
    reader.finish()
    assert reader.step_count < 500 + len(data) / 256
