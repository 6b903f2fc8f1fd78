import asyncio
import hashlib
from functools import partial

import pytest

from hai import clock
from hai.core.pictures import stored as pictures
from hai.core.pictures.arriving import (
    clean_alt,
    clean_name,
    receiver_to,
    sink_for,
)
from hai.core.pictures.stored import ABANDONED_MS, Sweeper
from hai.core.pictures.thumbnail_queue import ThumbnailQueue
from hai.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    PictureTruncated,
    PictureType,
    TextTooLong,
    TooLarge,
)
from hai.storage import blobs
from hai.storage.blobs import CHUNK_BYTES
from hai.storage.database import execute
from hai.storage.models import Chunk, Picture
from tests.factories import make_hai, order
from tests.pictures import big_png, picture

LIMIT = 3 * 1024 * 1024


@pytest.fixture
def config_flags():
    return {"max_picture_bytes": str(LIMIT)}


async def upload(core, person, room, data, name="sea.png", step=64 * 1024):
    arriving = receiver_to(sink_for(core, person.identity, room["id"], name))
    for at in range(0, len(data), step):
        await arriving.feed(data[at : at + step])
    return await arriving.finish()


async def count(core):
    """(pictures, chunks) that are stored."""
    return await core.db.read(
        lambda: (Picture.select().count(), Chunk.select().count())
    )


async def read_all(core, picture_id, start, end):
    return b"".join([p async for p in pictures.read(core, picture_id, start, end)])


async def test_a_picture_comes_back_as_it_was_sent(core, cast):
    data = big_png(2 * CHUNK_BYTES + 77)
    stored = await upload(core, cast.ada, cast.lounge, data)
    found = await pictures.get(core, cast.ada.identity, stored["id"])
    assert stored["bytes"] == found.byte_count == len(data)
    assert found.sha256 == hashlib.sha256(data).digest()
    assert await read_all(core, stored["id"], 0, len(data)) == data
    assert await count(core) == (1, 3)


@pytest.mark.parametrize("length", [CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
async def test_a_picture_may_end_anywhere_in_a_chunk(core, cast, length):
    data = big_png(length)
    stored = await upload(core, cast.ada, cast.lounge, data, step=1000)
    assert await read_all(core, stored["id"], 0, length) == data
    middle = await read_all(core, stored["id"], length - 2000, length - 1)
    assert middle == data[-2000:-1]


async def test_a_small_picture_is_one_commit(core, cast):
    before = core.db.writer.write_count
    await upload(core, cast.ada, cast.lounge, picture())
    assert core.db.writer.write_count == before + 1


async def test_nobody_sees_a_picture_before_it_is_whole(core, cast):
    arriving = receiver_to(
        sink_for(core, cast.ada.identity, cast.lounge["id"], "sea.png")
    )
    await arriving.feed(big_png(2 * CHUNK_BYTES)[: CHUNK_BYTES + 1])
    with pytest.raises(NotFound):
        await pictures.get(core, cast.ada.identity, arriving.sink.picture_id)
    with pytest.raises(NotFound):
        await send(core, cast.ada, cast.lounge, arriving.sink.picture_id)


async def test_only_its_uploader_sees_a_picture_that_was_not_sent(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, picture())
    with pytest.raises(NotFound):
        await pictures.get(core, cast.grace.identity, stored["id"])


async def test_a_sent_picture_is_seen_by_the_rooms_members_only(core, cast):
    stored = await upload(core, cast.ada, cast.lab, picture())
    await send(core, cast.ada, cast.lab, stored["id"])
    assert await pictures.get(core, cast.grace.identity, stored["id"])
    with pytest.raises(NotFound):
        await pictures.get(core, cast.linus.identity, stored["id"])


async def test_a_picture_can_be_sent_by_its_uploader_to_its_room_once(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, picture())
    for person, room in [(cast.grace, cast.lounge), (cast.ada, cast.lab)]:
        with pytest.raises(NotFound):
            await send(core, person, room, stored["id"])
    await send(core, cast.ada, cast.lounge, stored["id"])
    with pytest.raises(NotFound):
        await send(core, cast.ada, cast.lounge, stored["id"])


async def send(core, person, room, *picture_ids):
    return await make_hai(core, person, room, "", picture_ids=list(picture_ids))


async def describe(core, person, picture_id, alt):
    payload = {"picture_id": picture_id, "alt": alt}
    return (await order(core, person, "describe_picture", payload))["hai"]


async def test_who_sent_a_picture_describes_it_later(core, cast):
    stored = await upload(core, cast.ada, cast.lab, picture())
    hai = await send(core, cast.ada, cast.lab, stored["id"])
    described = await describe(core, cast.ada, stored["id"], " The\nbay\x07 ")
    assert described["pictures"][0]["alt"] == "The bay"
    assert described["rev"] > hai["rev"] and "edited_at" not in described
    again = await describe(core, cast.ada, stored["id"], "The bay")
    assert again == described
    bare = await describe(core, cast.ada, stored["id"], "")
    assert "alt" not in bare["pictures"][0] and bare["rev"] > described["rev"]
    with pytest.raises(Forbidden):
        await describe(core, cast.grace, stored["id"], "Mine")
    with pytest.raises(NotFound):
        await describe(core, cast.linus, stored["id"], "Mine")
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    with pytest.raises(NotFound):
        await describe(core, cast.ada, stored["id"], "Gone")


@pytest.mark.parametrize(
    ("alt", "error"),
    [("x" * 1001, TextTooLong), ("\0", BadRequest), (7, BadRequest)],
)
async def test_a_description_is_a_line_of_text(core, cast, alt, error):
    stored = await upload(core, cast.ada, cast.lab, picture())
    hai = await send(core, cast.ada, cast.lab, stored["id"])
    with pytest.raises(error):
        await describe(core, cast.ada, stored["id"], alt)
    ack = await order(core, cast.ada, "get_hais", {"room_id": cast.lab["id"]})
    assert ack["hais"] == [hai]


async def test_too_large_a_picture_is_refused_as_it_passes_the_limit(core, cast):
    arriving = receiver_to(
        sink_for(core, cast.ada.identity, cast.lounge["id"], "sea.png")
    )
    with pytest.raises(TooLarge):
        await arriving.feed(big_png(LIMIT + 1))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (picture()[:-9], PictureTruncated),
        (b"", PictureTruncated),
        (b"just text, really", PictureType),
        (b"hai", PictureType),
    ],
)
async def test_what_is_wrong_leaves_nothing_behind(core, cast, data, error):
    with pytest.raises(error):
        await upload(core, cast.ada, cast.lounge, data)
    assert await count(core) == (0, 0)


async def test_discarding_takes_every_chunk(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, big_png(3 * CHUNK_BYTES))
    await pictures.discard(core, [stored["id"], 0])
    with pytest.raises(NotFound):
        await pictures.get(core, cast.ada.identity, stored["id"])
    await pictures.sweep_discarded(core)
    assert await count(core) == (0, 0)


async def test_a_sent_picture_cannot_be_discarded(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, picture())
    await send(core, cast.ada, cast.lounge, stored["id"])
    with pytest.raises(NotFound):
        await pictures.discard_own(core, cast.ada.identity, stored["id"])
    await pictures.discard(core, [stored["id"]])
    await pictures.sweep_discarded(core)
    assert await pictures.get(core, cast.grace.identity, stored["id"])


async def test_the_bytes_of_a_deleted_hai_go(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, big_png(3 * CHUNK_BYTES))
    hai = await send(core, cast.ada, cast.lounge, stored["id"])
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    with pytest.raises(NotFound):
        await pictures.get(core, cast.ada.identity, stored["id"])
    await pictures.sweep(core, clock.now_ms() - ABANDONED_MS)
    assert await count(core) == (0, 0)


async def test_a_reader_of_a_deleted_picture_is_told(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, picture())
    await pictures.discard(core, [stored["id"]])
    await pictures.sweep_discarded(core)
    with pytest.raises(NotFound):
        await read_all(core, stored["id"], 0, 10)


async def test_abandoned_pictures_are_swept_and_others_stay(core, cast):
    kinds = ("PNG", "GIF")
    old, new = [await upload(core, cast.ada, cast.lounge, picture(k)) for k in kinds]
    day_old = clock.now_ms() - ABANDONED_MS - 1
    await core.db.write(
        lambda tx: (
            Picture.update(uploaded_at=day_old).where(Picture.id == old["id"]).execute()
        )
    )
    await pictures.sweep(core, clock.now_ms() - ABANDONED_MS)
    assert await pictures.get(core, cast.ada.identity, new["id"])
    assert await count(core) == (1, 1)


async def test_what_the_last_run_left_unfinished_is_swept_at_the_start(core, cast):
    arriving = receiver_to(
        sink_for(core, cast.ada.identity, cast.lounge["id"], "sea.png")
    )
    await arriving.feed(big_png(2 * CHUNK_BYTES)[: CHUNK_BYTES + 1])
    assert await count(core) == (1, 1)
    sweeper = Sweeper(core)
    sweeper.start()
    while await count(core) != (0, 0):
        pass
    await sweeper.stop()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("background", [Sweeper, ThumbnailQueue])
async def test_what_is_woken_just_before_the_stop_ends_all_the_same(
    core, background, turns
):
    """However many turns of the loop lie between the two."""
    part = background(core)
    part.start()
    while not part.is_resting:
        await asyncio.sleep(0.01)
    part._is_needed.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await part.stop()


@pytest.mark.parametrize("length", [5_000, 2 * CHUNK_BYTES + 77])
@pytest.mark.parametrize("first_to_go", [0, 1])
async def test_the_same_bytes_are_stored_once(core, cast, length, first_to_go):
    """And stay as long as one picture is left that needs them."""
    data = big_png(length)
    ids = []
    for person, room in ((cast.ada, cast.lab), (cast.linus, cast.lounge)):
        ids.append((await upload(core, person, room, data))["id"])
        await pictures.sweep_discarded(core)
    assert await count(core) == (2, -(-length // CHUNK_BYTES))
    gone = ids.pop(first_to_go)
    await pictures.discard(core, [gone])
    await pictures.sweep_discarded(core)
    with pytest.raises(NotFound):
        await pictures.get(core, cast.ada.identity, gone)
    assert await read_all(core, ids[0], 0, length) == data
    await pictures.discard(core, ids)
    await pictures.sweep_discarded(core)
    assert await count(core) == (0, 0)


async def test_the_chunks_of_a_second_copy_go_at_once(core, cast):
    sweeper = Sweeper(core)
    sweeper.start()
    data = big_png(2 * CHUNK_BYTES + 77)
    for _ in range(2):
        await upload(core, cast.ada, cast.lounge, data)
    while await count(core) != (2, 3):
        await asyncio.sleep(0.01)
    await sweeper.stop()


async def test_who_has_the_same_picture_learns_nothing_of_the_other(core, cast):
    first = await upload(core, cast.ada, cast.lab, picture(), "of ada.png")
    second = await upload(core, cast.linus, cast.lounge, picture(), "of linus.png")
    assert second["name"] == "of linus.png"
    with pytest.raises(NotFound):
        await pictures.get(core, cast.linus.identity, first["id"])


async def test_the_file_shrinks_after_a_deletion(core, cast, monkeypatch):
    """The file on the disk, in as many steps as there are slices in it."""
    monkeypatch.setattr(pictures, "SPARE_BYTES", 0)
    kept = await upload(core, cast.ada, cast.lounge, big_png(LIMIT - 1))
    stored = await upload(core, cast.ada, cast.lounge, big_png(LIMIT))
    await checkpoint(core)
    before = core.db.path.stat().st_size
    await pictures.discard(core, [stored["id"]])
    await pictures.sweep_discarded(core)
    batches = core.db.writer.batch_count
    await pictures.shrink(core)
    assert before - core.db.path.stat().st_size > LIMIT * 0.9
    assert core.db.writer.batch_count == batches  # nobody's hai waited for a commit
    pages = lambda: execute("PRAGMA freelist_count").fetchone()[0]  # noqa: E731
    assert await core.db.read(pages) == 0
    whole = await read_all(core, kept["id"], 0, LIMIT - 1)
    assert whole == big_png(LIMIT - 1)


async def test_a_slice_of_free_space_is_many_pages(core, cast, monkeypatch):
    """SQLite gives back one page at a step: 160 MB would take an hour."""
    monkeypatch.setattr(pictures, "SPARE_BYTES", 0)
    stored = await upload(core, cast.ada, cast.lounge, big_png(LIMIT))
    await pictures.discard(core, [stored["id"]])
    await pictures.sweep_discarded(core)
    slices = 0
    while await core.db.run_maintenance(partial(blobs.shrink, spare_bytes=0)):
        slices += 1
    assert slices <= LIMIT // blobs.SHRINK_BYTES + 1


async def checkpoint(core):
    def run(connection, yield_to_writes):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    await core.db.run_maintenance(run)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("sea.png", "sea.png"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\ada\sea.png", "sea.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("two\nlines\x00.png", "twolines.png"),
        (".htaccess", "htaccess"),
        ("  \u2028 ", "picture"),
        ("", "picture"),
        (None, "picture"),
        ("海.png", "海.png"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
    ],
)
def test_a_file_name_is_cleaned(given, kept):
    assert clean_name(given) == kept


def test_an_alt_is_one_line_or_nothing():
    assert clean_alt("  the sea \n at night\x07 ") == "the sea at night"
    assert clean_alt(" \n ") is None
    assert len(clean_alt("x" * 2000)) == 1000
