"""Pictures that are not kept: which go, what stays, and who was asked before."""

import asyncio

import pytest

from hai import clock, errors
from hai.core import retention
from hai.core.people import admin
from hai.core.pictures import (
    arriving as uploads,
)
from hai.core.pictures import (
    expiry,
    stored,
)
from hai.core.pictures.arriving import receiver_to, sink_for
from hai.core.pictures.stored import Sweeper
from hai.core.talk import hais
from hai.storage import blobs
from hai.storage.models import Chunk, GonePicture, Hai, Picture, PictureRemoval, Room
from hai.storage.sqlite import verify
from hai.units import DAY_MS
from tests.factories import make_hai, make_user, order
from tests.pictures import big_png, picture

KIB = 1024


async def upload(core, person, room, data=None, alt=None):
    arriving = receiver_to(sink_for(core, person.identity, room["id"], "sea.png", alt))
    await arriving.feed(data or picture())
    return (await arriving.finish())["id"]


async def send_old(core, person, room, *, days, text="", datas=(None,), alt=None):
    """A hai with pictures that was sent so many days ago."""
    ids = [await upload(core, person, room, data, alt) for data in datas]
    hai = await make_hai(core, person, room, text, picture_ids=ids)
    sent_at = clock.now_ms() - days * DAY_MS - 1000
    await core.db.write(
        lambda tx: Hai.update(sent_at=sent_at).where(Hai.id == hai["id"]).execute()
    )
    return hai | {"sent_at": sent_at}


async def keep(core, person, room, days, **more):
    payload = {"room_id": room["id"], "picture_days": days} | more
    return (await order(core, person, "change_room", payload))["room"]


async def see(core, person, hai):
    return await core.db.read(hais.get, person.identity, hai["id"])


async def is_sound(core):
    return list(verify.problems(core.db.path, verify.Counts())) == []


def is_gone(hai):
    return [("gone_at" in picture) for picture in hai["pictures"]]


# --- The rule of a room --------------------------------------------------------------


async def test_a_rule_takes_the_older_ones_and_leaves_the_words(core, cast):
    old = await send_old(
        core, cast.grace, cast.lab, days=31, text="the lake", alt="A lake"
    )
    new = await send_old(core, cast.grace, cast.lab, days=29)
    other = await send_old(core, cast.ada, cast.lounge, days=400)
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    assert await expiry.run(core) == 1
    shown = await see(core, cast.ada, old)
    (left,) = shown["pictures"]
    assert shown["text"] == "the lake"
    assert left["alt"] == "A lake" and left["gone_at"] and "blur" not in left
    assert left["id"] == old["pictures"][0]["id"]
    with pytest.raises(errors.NotFound):
        await stored.get(core, cast.grace.identity, left["id"])
    assert is_gone(await see(core, cast.ada, new)) == [False]
    assert is_gone(await see(core, cast.ada, other)) == [False]
    assert await is_sound(core)


async def test_a_rule_that_removes_something_must_be_meant(core, cast):
    await send_old(
        core, cast.grace, cast.lab, days=31, datas=(picture(), picture("GIF"))
    )
    with pytest.raises(errors.NotConfirmed) as refused:
        await keep(core, cast.ada, cast.lab, 30, name="Renamed")
    assert refused.value.details["picture_count"] == 2
    assert refused.value.details["picture_bytes"] > 0
    shown = await order(core, cast.ada, "get_changes", {"since_rev": 0})
    lab = next(room for room in shown["rooms"] if room["id"] == cast.lab["id"])
    assert lab["name"] == "Lab" and "picture_days" not in lab
    assert await expiry.run(core) == 0


async def test_a_rule_that_removes_nothing_yet_asks_nobody(core, cast):
    await send_old(core, cast.grace, cast.lab, days=29)
    assert (await keep(core, cast.ada, cast.lab, 30))["picture_days"] == 30
    assert "picture_days" not in await keep(core, cast.ada, cast.lab, 0)


async def test_only_who_may_change_the_room_makes_a_rule(core, cast):
    with pytest.raises(errors.Forbidden):
        await keep(core, cast.grace, cast.lab, 30, is_confirmed=True)
    with pytest.raises(errors.NotFound):
        await keep(core, cast.linus, cast.lab, 30, is_confirmed=True)
    with pytest.raises(errors.Forbidden):
        await keep(core, cast.ada, cast.direct, 30, is_confirmed=True)


@pytest.mark.parametrize("days", [-1, 3651, 1.5, "30", True, 2**60])
async def test_days_are_whole_and_not_too_many(core, cast, days):
    with pytest.raises(errors.BadRequest):
        await keep(core, cast.ada, cast.lab, days, is_confirmed=True)


@pytest.mark.parametrize("value", [False, 1, "yes", "off"])
async def test_only_yes_is_yes(core, cast, value):
    with pytest.raises(errors.BadRequest):
        await keep(core, cast.ada, cast.lab, 30, is_confirmed=value)


async def test_a_rule_that_is_lifted_in_the_middle_takes_no_more(
    core, cast, monkeypatch
):
    """Each slice looks again, on the writer's thread, at what holds then."""
    monkeypatch.setattr(expiry, "SLICE_HAIS", 1)
    sent = [await send_old(core, cast.grace, cast.lab, days=31) for _ in range(40)]
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    taking = asyncio.create_task(expiry.run(core))
    while await core.db.read(GonePicture.select().count) == 0:
        await asyncio.sleep(0)
    await keep(core, cast.ada, cast.lab, 0)
    await taking
    left = [is_gone(await see(core, cast.ada, hai)) for hai in sent]
    assert [True] in left and [False] in left


async def test_the_places_of_pictures_are_kept(core, cast):
    """Also where only some of a hai's pictures are gone."""
    datas = (picture("PNG"), picture("GIF"), picture("JPEG"))
    hai = await send_old(core, cast.grace, cast.lab, days=3, datas=datas)
    ids = [one["id"] for one in hai["pictures"]]

    def take_the_middle(tx):
        Picture.update(hai=None, completed_at=None, uploaded_at=0).where(
            Picture.id == ids[1]
        ).execute()
        GonePicture.create(
            id=ids[1], hai=hai["id"], position=1, name="x", type="image/gif",
            bytes=1, width=1, height=1, gone_at=1,
        )  # fmt: skip

    await core.db.write(take_the_middle)
    shown = await see(core, cast.ada, hai)
    assert [one["id"] for one in shown["pictures"]] == ids
    assert is_gone(shown) == [False, True, False]


async def test_the_same_bytes_stay_where_they_are_kept(core, cast):
    data = big_png(300 * KIB)
    old = await send_old(core, cast.grace, cast.lab, days=31, datas=(data,))
    kept = await send_old(core, cast.grace, cast.lounge, days=31, datas=(data,))
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    await expiry.run(core)
    await stored.sweep_discarded(core)
    kept_id = kept["pictures"][0]["id"]
    pieces = [p async for p in stored.read(core, kept_id, 0, len(data))]
    assert b"".join(pieces) == data
    assert is_gone(await see(core, cast.ada, old)) == [True]
    assert await is_sound(core)


async def test_a_hai_of_gone_pictures_can_be_answered_edited_and_deleted(core, cast):
    old = await send_old(core, cast.grace, cast.lab, days=31)
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    await expiry.run(core)
    await make_hai(core, cast.ada, cast.lab, "what was it?", reply_to=old["id"])
    await order(core, cast.grace, "edit_hai", {"hai_id": old["id"], "text": "a lake"})
    await order(core, cast.grace, "edit_hai", {"hai_id": old["id"], "text": ""})
    assert await is_sound(core)
    await order(core, cast.grace, "delete_hai", {"hai_id": old["id"]})
    assert await core.db.read(GonePicture.select().count) == 0
    assert await is_sound(core)


# --- By an admin ---------------------------------------------------------------------


async def test_a_reply_to_a_picture_may_come_when_that_is_gone(core, cast):
    """It was written before, and waited for a network."""
    old = await send_old(core, cast.ada, cast.lab, days=31)
    other = await send_old(core, cast.ada, cast.lab, days=1, datas=(big_png(KIB),))
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    await expiry.run(core)
    answered = old["pictures"][0]["id"]
    late = await make_hai(
        core, cast.grace, cast.lab, "oh", reply_to=old["id"], reply_to_picture=answered
    )
    assert late["reply_to_picture"] == answered
    with pytest.raises(errors.NotFound):
        await make_hai(
            core,
            cast.grace,
            cast.lab,
            "no",
            reply_to=other["id"],
            reply_to_picture=answered,
        )


async def test_an_admin_removes_what_somebody_sent(core, cast):
    old = await send_old(core, cast.grace, cast.lounge, days=31)
    new = await send_old(core, cast.grace, cast.lounge, days=29)
    other = await send_old(core, cast.linus, cast.lounge, days=31)
    who, given = cast.ada.identity, {"user_id": cast.grace.id, "days": 30}
    with pytest.raises(errors.NotConfirmed):
        await admin.remove_pictures_of_user(core, who, **given)
    assert await core.db.read(PictureRemoval.select().count) == 0
    ack = await admin.remove_pictures_of_user(core, who, **given, is_confirmed=True)
    assert ack["picture_count"] == 1
    assert await expiry.run(core) == 1
    shown = [is_gone(await see(core, cast.ada, hai)) for hai in (old, new, other)]
    assert shown == [[True], [False], [False]]
    assert await core.db.read(PictureRemoval.select().count) == 0


async def test_what_is_sent_after_the_removal_stays(core, cast):
    await send_old(core, cast.grace, cast.lab, days=0)
    given = {"room_id": cast.lab["id"], "days": 0, "is_confirmed": True}
    await admin.remove_pictures_of_room(core, cast.ada.identity, **given)
    await asyncio.sleep(0.002)  # another millisecond
    new = await make_hai(
        core,
        cast.grace,
        cast.lab,
        "",
        picture_ids=[await upload(core, cast.grace, cast.lab)],
    )
    assert await expiry.run(core) == 1
    assert is_gone(await see(core, cast.ada, new)) == [False]


async def test_an_admin_has_no_say_in_direct_rooms(core, cast):
    admina = await make_user(core, "admina", role="admin")
    given = {"room_id": cast.direct["id"], "days": 0, "is_confirmed": True}
    with pytest.raises(errors.Forbidden):
        await admin.remove_pictures_of_room(core, admina.identity, **given)
    with pytest.raises(errors.NotFound):
        await admin.remove_pictures_of_room(
            core, admina.identity, **given | {"room_id": 999_999}
        )
    await send_old(core, cast.ada, cast.direct, days=1)
    ack = await admin.remove_pictures_of_room(core, cast.ada.identity, **given)
    assert ack["picture_count"] == 1


async def test_a_removal_goes_on_past_hais_that_were_deleted_meanwhile(
    core, cast, monkeypatch
):
    monkeypatch.setattr(expiry, "SLICE_HAIS", 1)
    first, second = [
        await send_old(core, cast.grace, cast.lab, days=31) for _ in range(2)
    ]
    given = {"user_id": cast.grace.id, "days": 30, "is_confirmed": True}
    await admin.remove_pictures_of_user(core, cast.ada.identity, **given)
    take, deleted = core.db.write_chunk, []

    async def take_late(*args, **more):
        if not deleted:
            deleted.append(first["id"])
            await order(core, cast.grace, "delete_hai", {"hai_id": first["id"]})
        return await take(*args, **more)

    monkeypatch.setattr(core.db, "write_chunk", take_late)
    assert await expiry.run(core) == 1
    ack = await order(core, cast.grace, "get_hais", {"room_id": cast.lab["id"]})
    assert [hai["id"] for hai in ack["hais"]] == [second["id"]]
    assert "gone_at" in ack["hais"][0]["pictures"][0]


async def test_of_direct_rooms_only_an_owner_removes_somebody_s_pictures(core, cast):
    """An admin is told of none there, and takes none."""
    admina = await make_user(core, "admina", role="admin")
    told, private = [
        await send_old(core, cast.grace, room, days=31)
        for room in (cast.lounge, cast.direct)
    ]
    given = {"user_id": cast.grace.id, "days": 30, "is_confirmed": True}
    for who, is_private_gone in ((admina, False), (cast.ada, True)):
        ack = await admin.remove_pictures_of_user(core, who.identity, **given)
        assert ack["picture_count"] == 1
        assert await expiry.run(core) == 1
        assert is_gone(await see(core, cast.ada, told)) == [True]
        assert is_gone(await see(core, cast.ada, private)) == [is_private_gone]
    assert not await core.db.read(PictureRemoval.select().count)


async def test_a_removal_that_was_cut_off_goes_on_at_the_next_start(core, cast):
    old = await send_old(core, cast.grace, cast.lab, days=31)
    given = {"user_id": cast.grace.id, "days": 30, "is_confirmed": True}
    await admin.remove_pictures_of_user(core, cast.ada.identity, **given)
    sweeper = Sweeper(core)
    sweeper.start()
    while await core.db.read(Chunk.select().count):
        await asyncio.sleep(0.01)
    await sweeper.stop()
    assert is_gone(await see(core, cast.ada, old)) == [True]


async def test_the_sweeper_is_woken_by_a_rule(core, cast):
    sweeper = Sweeper(core)
    sweeper.start()
    while not sweeper.is_resting:
        await asyncio.sleep(0.01)
    old = await send_old(core, cast.grace, cast.lab, days=31)
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    while is_gone(await see(core, cast.ada, old)) != [True]:
        await asyncio.sleep(0.01)
    await sweeper.stop()


async def test_discarded_bytes_wake_the_sweeper_for_themselves_alone(core, cast):
    """What is due to expire waits for its hour, or for who says that it shall go."""
    old = await send_old(core, cast.grace, cast.lab, days=31)
    sweeper = Sweeper(core)
    sweeper.start()
    while not sweeper.is_resting:
        await asyncio.sleep(0.01)
    await core.db.write(lambda tx: Room.update(picture_days=30).execute())
    unsent = await upload(core, cast.ada, cast.lab, big_png(2 * KIB))
    await stored.discard(core, [unsent])
    rows = Chunk.select().where(Chunk.picture == unsent)
    while await core.db.read(rows.count):
        core.bus.publish(uploads.PictureDiscarded())
        await asyncio.sleep(0.01)
    assert is_gone(await see(core, cast.ada, old)) == [False]
    core.bus.publish(retention.PictureRemovalRequested())
    while is_gone(await see(core, cast.ada, old)) != [True]:
        await asyncio.sleep(0.01)
    await sweeper.stop()


# --- Quotas --------------------------------------------------------------------------


async def test_a_quota_of_one_user_holds_for_them_alone(core, cast):
    who = cast.ada.identity
    await admin.set_quota(core, who, user_id=cast.grace.id, max_bytes=100 * KIB)
    await upload(core, cast.grace, cast.lounge, big_png(90 * KIB))
    with pytest.raises(errors.StorageFull):
        await upload(core, cast.grace, cast.lounge, big_png(20 * KIB))
    assert await upload(core, cast.linus, cast.lounge, big_png(200 * KIB))
    await admin.set_quota(core, who, user_id=cast.grace.id, max_bytes=None)
    assert await upload(core, cast.grace, cast.lounge, big_png(21 * KIB))


async def test_gone_pictures_count_no_more(core, cast):
    await admin.set_quota(core, None, user_id=cast.grace.id, max_bytes=100 * KIB)
    data = big_png(90 * KIB)
    await send_old(core, cast.grace, cast.lounge, days=31, datas=(data,))
    given = {"user_id": cast.grace.id, "days": 30, "is_confirmed": True}
    await admin.remove_pictures_of_user(core, None, **given)
    await expiry.run(core)
    await stored.sweep_discarded(core)
    assert await core.db.read(blobs.stored_bytes, cast.grace.id) == 0
    assert await upload(core, cast.grace, cast.lounge, big_png(80 * KIB))


@pytest.mark.parametrize("max_bytes", [-1, 2**60])
async def test_a_quota_is_a_number_of_bytes(core, cast, max_bytes):
    with pytest.raises(errors.BadRequest):
        await admin.set_quota(core, None, user_id=cast.grace.id, max_bytes=max_bytes)
