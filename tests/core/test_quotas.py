"""How much may be stored, and that text goes on when pictures do not."""

import pytest

from hai.core.pictures.arriving import receiver_to, sink_for
from hai.core.quotas import size_words
from hai.errors import StorageFull
from tests.factories import make_hai
from tests.pictures import big_png

KIB = 1024
LIMITS = {
    "--max-bytes-per-user": {"max_bytes_per_user": str(100 * KIB)},
    "--max-bytes-in-all": {"max_bytes_in_all": str(500 * KIB)},
    "--min-free-bytes": {"min_free_bytes": str(2**52)},
}


@pytest.fixture(params=LIMITS)
def config_flags(request):
    return LIMITS[request.param]


async def upload(core, person, room, data):
    arriving = receiver_to(sink_for(core, person.identity, room["id"], "sea.png"))
    await arriving.feed(data)
    return await arriving.finish()


async def test_pictures_are_refused_and_text_is_not(core, cast):
    with pytest.raises(StorageFull):
        for size in range(40, 60):  # not twice the same, which takes no room
            await upload(core, cast.ada, cast.lounge, big_png(size * KIB))
    assert await make_hai(core, cast.ada, cast.lounge, "still here")


@pytest.mark.parametrize("config_flags", [LIMITS["--max-bytes-per-user"]])
async def test_what_one_user_has_used_is_not_held_against_another(core, cast):
    await upload(core, cast.ada, cast.lounge, big_png(99 * KIB))
    with pytest.raises(StorageFull):
        await upload(core, cast.ada, cast.lounge, big_png(2 * KIB))
    assert await upload(core, cast.grace, cast.lounge, big_png(99 * KIB))


@pytest.mark.parametrize(
    ("byte_count", "words"),
    [
        (0, "0 kB"),
        (812_000, "812 kB"),
        (999_900, "1.0 MB"),
        (34_000_000, "34 MB"),
        (1_234_000_000, "1.2 GB"),
        (2 * 10**15, "2,000 TB"),
    ],
)
def test_sizes_are_said_as_disks_are_sold(byte_count, words):
    assert size_words(byte_count) == words
