import pytest

from hai.storage import blobs
from hai.storage.blobs import CHUNK_BYTES, SLICE_CHUNKS, NewPicture, PictureProperties
from hai.storage.models import Chunk, Picture

FOUND = PictureProperties("image/png", CHUNK_BYTES + 1, 4, 3, b"\x00" * 32)


async def store(core, cast, chunks=2):
    new = NewPicture(cast.lounge["id"], cast.ada.id, "sea.png", None)
    picture_id = await core.db.write(blobs.begin, new)
    for number in range(chunks):
        data = bytes([number % 256]) * 10
        await core.db.write_chunk(blobs.append, picture_id, number, data)
    return picture_id


async def test_chunks_are_read_by_number(core, cast):
    picture_id = await store(core, cast)
    assert await core.db.read(blobs.read_chunk, picture_id, 1) == b"\x01" * 10
    assert await core.db.read(blobs.read_chunk, picture_id, 2) is None


async def test_a_picture_is_complete_when_it_is_said_to_be(core, cast):
    picture_id = await store(core, cast)
    row = await core.db.read(Picture.get_by_id, picture_id)
    assert row.completed_at is None
    await core.db.write(blobs.complete, picture_id, FOUND)
    row = await core.db.read(Picture.get_by_id, picture_id)
    assert row.completed_at and (row.width, row.height) == (4, 3)


@pytest.mark.parametrize("chunks", [0, 1, SLICE_CHUNKS, SLICE_CHUNKS + 1])
async def test_bytes_are_deleted_slice_by_slice(core, cast, chunks):
    picture_id = await store(core, cast, chunks)
    await core.db.write(blobs.discard, [picture_id])
    slices = 0
    while await core.db.write_chunk(blobs.delete_slice, 1):
        slices += 1
        left = await core.db.read(Chunk.select().count)
        assert left == max(0, chunks - slices * SLICE_CHUNKS)
    assert await core.db.read(Picture.select().count) == 0
    assert slices == chunks // SLICE_CHUNKS + 1


async def test_discarding_spares_what_was_not_named(core, cast):
    gone, kept = await store(core, cast), await store(core, cast)
    await core.db.write(blobs.discard, [gone])
    while await core.db.write_chunk(blobs.delete_slice, 1):
        pass
    assert await core.db.read(blobs.read_chunk, kept, 0)
    assert await core.db.read(blobs.read_chunk, gone, 0) is None


async def test_the_unfinished_are_discarded_and_the_complete_are_not(core, cast):
    unfinished, complete = await store(core, cast), await store(core, cast)
    await core.db.write(blobs.complete, complete, FOUND)
    await core.db.write(blobs.discard_unfinished)
    while await core.db.write_chunk(blobs.delete_slice, 1):
        pass
    left = await core.db.read(lambda: [row.id for row in Picture.select()])
    assert left == [complete] != [unfinished]
