"""`seed` makes what an ordinary client can see, also while clients are connected."""

import io

from PIL import Image

from hai.cli.seed import seed
from hai.storage.models import Picture
from tests.factories import order


def test_it_says_what_it_added(command):
    printed = command("seed", "--users", "5", "--rooms", "5", "--hais", "60")
    assert printed.strip() == "added 5 users, 5 rooms, 60 hais"
    assert len(command("users", "list").splitlines()) == 5


def test_it_can_be_run_again(command):
    for _ in range(2):
        command("seed", "--users", "45", "--rooms", "6", "--hais", "10")
    names = [line.split()[0] for line in command("users", "list").splitlines()]
    assert len(names) == len(set(names)) == 90


def test_nothing_is_asked_for_and_nothing_made(command):
    printed = command("seed", "--users", "0", "--rooms", "0", "--hais", "10")
    assert printed.strip() == "added 0 users, 0 rooms, 0 hais"


async def test_seeded_rooms_hold_people_texts_replies_reactions_and_pictures(
    core, cast
):
    assert (await seed(core, users=30, rooms=5, hais=1500))["hais"] == 1500
    rooms = (await changes(core, cast.ada))["rooms"]
    hais = []
    for room in rooms:
        page = {"room_id": room["id"], "limit": 100}
        hais += (await order(core, cast.ada, "get_hais", page))["hais"]
    assert {room["kind"] for room in rooms} >= {"open", "closed"}
    assert len({hai["user_id"] for hai in hais}) > 10
    assert any("html" in hai for hai in hais)
    assert any("reply_to" in hai for hai in hais)
    assert any(hai["reactions"] for hai in hais)


async def test_seeded_pictures_are_pictures(core, cast, client):
    await seed(core, users=3, rooms=3, hais=1500)
    picture_ids = await core.db.read(lambda: [row.id for row in Picture.select()])
    assert picture_ids
    answer = await client(cast.ada).get(f"/pictures/{picture_ids[0]}")
    assert answer.headers["Content-Type"] == "image/png"
    Image.open(io.BytesIO(answer.body)).verify()


async def test_a_connected_client_sees_seeded_rooms_arrive_whole(core, cast, socket):
    """State and facts add up to a fresh state: no room is known by half."""
    ada = await socket(cast.ada)
    before = await changes(core, cast.ada)
    await seed(core, users=10, rooms=5, hais=200)
    await ada.settle()
    after = await changes(core, cast.ada)
    told = {
        fact["room"]["id"]: fact["room"]["rev"] for fact in ada.named("room_changed")
    }
    new = {room["id"] for room in after["rooms"]} - {r["id"] for r in before["rooms"]}
    assert new
    assert new <= told.keys()
    names = {fact["user"]["name"] for fact in ada.named("user_changed")}
    old_names = {user["name"] for user in before["users"]}
    assert names >= {user["name"] for user in after["users"]} - old_names


async def test_a_client_that_was_away_is_told_of_new_rooms_without_old_hais(core, cast):
    known = await changes(core, cast.linus)
    await seed(core, users=5, rooms=5, hais=100)
    since = {"since_rev": known["rev"], "epoch": known["epoch"]}
    news = await order(core, cast.linus, "get_changes", since)
    assert len(news["rooms"]) >= 4
    assert news["hais"] == []


async def changes(core, person):
    """Everything this person may see, from the start."""
    rows = {"users": [], "rooms": [], "hais": []}
    since_rev, has_more = 0, True
    while has_more:
        page = await order(core, person, "get_changes", {"since_rev": since_rev})
        for kind in rows:
            rows[kind] += page[kind]
        since_rev, has_more = page["rev"], page["has_more"]
    return {**rows, "rev": since_rev, "epoch": page["epoch"]}
