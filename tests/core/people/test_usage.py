"""Who uses what: what counts, and what it costs to ask."""

import asyncio

import pytest

from hai.core.people import usage
from hai.core.pictures import resumable
from hai.errors import StorageFull
from hai.storage import usage as rows
from hai.storage.database import execute
from tests.core.pictures.test_stored import upload
from tests.pictures import picture
from tests.reads import held, until

MIB = 1024 * 1024


@pytest.fixture
def config_flags():
    return {"max_bytes_in_all": str(20 * MIB), "max_picture_bytes": str(20 * MIB)}


async def promise(core, person, room, length):
    return await resumable.begin(core, person.identity, room["id"], length)


async def state_of(core):
    return usage.quota_state(core, await usage.totals(core))


async def test_what_is_promised_counts_in_the_figures_as_it_does_for_the_limit(
    core, cast
):
    assert await state_of(core) == ""
    await promise(core, cast.ada, cast.lab, 15 * MIB)
    sums = await usage.totals(core)
    assert sums["taken_bytes"] == sums["database_bytes"] + 15 * MIB
    assert (await usage.user(core, cast.ada.id))["picture_bytes"] == 15 * MIB
    with pytest.raises(StorageFull):
        await promise(core, cast.grace, cast.lab, 6 * MIB)
    left = 20 * MIB - sums["taken_bytes"] - 64 * 1024
    await promise(core, cast.grace, cast.lab, left)
    assert await state_of(core) == ""
    with pytest.raises(StorageFull):
        await promise(core, cast.linus, cast.lounge, 65 * 1024)


async def test_one_member_cannot_be_promised_all_there_is(core, cast):
    """One upload may take all that is left; several half of it together."""
    for _ in range(2):
        await promise(core, cast.ada, cast.lab, 4 * MIB)
    with pytest.raises(StorageFull) as refused:
        await promise(core, cast.ada, cast.lab, 4 * MIB)
    assert refused.value.code == "storage_full"
    assert "other uploads" in refused.value.message
    assert await promise(core, cast.grace, cast.lab, 5 * MIB)
    assert await promise(core, cast.linus, cast.lounge, 5 * MIB)


@pytest.mark.parametrize(
    ("sql", "index"),
    [(rows.ONE_USER, "user_id=?"), (rows.ONE_ROOM, "room_id=?")],
    ids=["user", "room"],
)
async def test_one_row_is_asked_for_one_row(core, cast, sql, index):
    plan = await core.db.read(
        lambda: execute(f"EXPLAIN QUERY PLAN {sql}", (1, 1, 1, 0)).fetchall()
    )
    looked = [row[3] for row in plan if " pictures" in row[3]]
    assert looked and all("SEARCH" in step and index in step for step in looked)
    stored = await upload(core, cast.ada, cast.lab, picture())
    await upload(core, cast.grace, cast.lounge, picture("JPEG"))
    assert (await usage.user(core, cast.ada.id))["picture_bytes"] == stored["bytes"]
    assert (await usage.room(core, cast.lab["id"]))["picture_bytes"] == stored["bytes"]
    assert (await usage.room(core, cast.direct["id"]))["picture_count"] == 0


async def test_sums_for_a_scraper_are_counted_once_a_minute(core, cast):
    now = [0.0]
    cached = usage.CachedTotals(core, lambda: now[0])
    assert (await cached.get())["pictures"] == 0
    await upload(core, cast.ada, cast.lab, picture())
    now[0] = usage.RECENT_S - 1
    assert (await cached.get())["pictures"] == 0
    assert (await usage.totals(core))["pictures"] == 1
    now[0] = usage.RECENT_S
    both = await asyncio.gather(cached.get(), cached.get())
    assert [sums["pictures"] for sums in both] == [1, 1]


async def test_sums_are_counted_once_also_when_who_asked_first_has_gone(core):
    cached, readers = usage.CachedTotals(core), core.db.readers
    async with held(core.db):
        first = asyncio.create_task(cached.get())
        await until(lambda: readers.waiting_count == 1)
        first.cancel()
        await until(first.done)
        second = asyncio.create_task(cached.get())
        await asyncio.sleep(0)
        assert readers.waiting_count == 1
    assert (await second)["pictures"] == 0
