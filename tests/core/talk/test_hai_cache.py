"""What is kept of hais is what anybody would read, and only who may read it gets it."""

import json

import pytest

from hai import errors
from hai.cache import Cache
from hai.core import orders
from hai.core.objects import hai_objects
from hai.core.orders import ORDERS
from hai.core.people import admin
from hai.core.pictures import expiry, thumbnail_queue
from hai.core.pictures.thumbnail_child import MadeThumbnail
from hai.core.talk import changes, hai_cache, hais
from hai.storage import hais as rows
from hai.storage.models import Hai
from tests.core.pictures.test_stored import upload
from tests.core.test_retention import keep, send_old
from tests.factories import make_hai, make_room, make_user, order
from tests.pictures import picture

# What reads hais of a room, and what each of them has to be asked.
WINDOWS = (
    {},
    {"limit": 1},
    {"after": 0},
    {"after": 0, "limit": 2},
    {"with_pictures": True},
)


def read_plainly(room_id):
    """Every hai of a room as no cache has seen it, and what says that it changed."""
    ids = [row[0] for row in Hai.select(Hai.id).where(Hai.room == room_id).tuples()]
    found = {hai["id"]: hai for hai in hai_objects(rows.find(ids))}
    return found, rows.moment(0, room_id).talk


def plain_page(user_id, room_id, payload):
    """The reference: the same page as if nothing had ever been kept."""
    wanted = hais.Window(room_id, **({"limit": hais.DEFAULT_LIMIT} | payload))
    page = hais._page(Cache(0), user_id, wanted)
    plain = {"hais": [dict(hai) for hai in page["hais"]], "has_more": page["has_more"]}
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


class Onlooker:
    """Reads a room in all ways, before and after something was done in it."""

    def __init__(self, core, people, room):
        self.core, self.people, self.room_id = core, people, room["id"]
        self.before, self.talk = {}, None
        self.change_count = 0

    async def look(self, act=""):
        await self.compare_pages(act)
        found, talk = await self.core.db.read(read_plainly, self.room_id)
        for hai_id, hai in found.items():
            before = self.before.get(hai_id, {"rev": 0})
            if hai != before:
                assert hai["rev"] > before["rev"], f"{act} changed {before} to {hai}"
                self.change_count += 1
        if found != self.before:
            assert talk != self.talk, f"{act} would not be seen"
        self.before, self.talk = found, talk

    async def compare_pages(self, act):
        """Twice: what is read now, and what is kept of that."""
        for payload in (*WINDOWS, *WINDOWS):
            for who in self.people:
                asked = payload | {"room_id": self.room_id}
                ack = await order(self.core, who, "get_hais", asked)
                plain = await self.core.db.read(
                    plain_page, who.id, self.room_id, payload
                )
                assert hai_cache.encode(ack) == plain, f"after {act}"
                assert json.loads(plain) == ack


async def make_thumbnail(core, picture_id):
    made = MadeThumbnail(9, 9, "data:image/webp;base64,AAAA", b"RIFF")
    await core.db.write(thumbnail_queue._store, picture_id, made)


async def drop_thumbnail(core, picture_id):
    await core.db.write(thumbnail_queue._drop, picture_id)


async def every_order(core, cast, room, first, shown):
    """Something to do for ada with each order: name -> payload. first: a hai of hers;
    shown: a picture that is not sent yet."""
    room_id = {"room_id": room["id"]}
    other = await make_user(core, "mary")
    hai_id = {"hai_id": first["id"]}
    return {
        "send_hai": room_id
        | {
            "client_id": "c1",
            "text": "",
            "picture_ids": [shown["id"]],
            "reply_to": first["id"],
        },
        "edit_hai": hai_id | {"text": "other"},
        "add_reaction": hai_id | {"emoji": "🌊"},
        "describe_picture": {"picture_id": shown["id"], "alt": "the sea"},
        "remove_reaction": hai_id | {"emoji": "🌊"},
        "mark_read": room_id | hai_id,
        "start_typing": room_id,
        "get_hais": room_id,
        "get_changes": {"since_rev": 0},
        "create_room": {"name": "Tower", "kind": "open"},
        "change_room": room_id | {"name": "Attic", "has_receipts": True},
        "open_direct": {"user_ids": [cast.linus.id]},
        "join_room": {"room_id": cast.lounge["id"]},
        "leave_room": {"room_id": cast.lounge["id"]},
        "add_member": room_id | {"user_id": other.id},
        "remove_member": room_id | {"user_id": other.id},
        "delete_hai": hai_id,
    }


async def test_whatever_is_done_is_seen_in_a_new_rev_and_read_anew(core, cast):
    """Every order of the table, and what Hai does by itself."""
    ada, room = cast.ada, cast.lab
    looking = Onlooker(core, (cast.ada, cast.grace), room)
    first = await make_hai(core, ada, room, "*first*\u2028<b>")
    shown = await upload(core, ada, room, picture())
    await looking.look()
    payloads = await every_order(core, cast, room, first, shown)
    assert payloads.keys() == ORDERS.keys()
    for name, payload in payloads.items():
        await order(core, ada, name, payload)
        await looking.look(name)
        if name == "describe_picture":
            await make_thumbnail(core, shown["id"])
            await looking.look("a thumbnail")
            await drop_thumbnail(core, shown["id"])
            await looking.look("a damaged thumbnail")
    assert looking.change_count >= 9  # or nothing was tried


async def test_pictures_that_go_are_seen_in_a_new_rev(core, cast):
    looking = Onlooker(core, (cast.ada, cast.grace), cast.lab)
    await send_old(core, cast.grace, cast.lab, days=40, datas=(picture(),))
    await looking.look()
    await keep(core, cast.ada, cast.lab, 30, is_confirmed=True)
    await expiry.run(core)
    await looking.look("a room's rule")
    await send_old(core, cast.grace, cast.lab, days=3, datas=(picture("JPEG"),))
    await looking.look("another")
    done = looking.change_count
    given = {"user_id": cast.grace.id, "days": 1, "is_confirmed": True}
    await admin.remove_pictures_of_user(core, cast.ada.identity, **given)
    await expiry.run(core)
    await looking.look("an admin")
    assert looking.change_count > done


async def test_who_may_not_read_a_room_gets_nothing_that_is_kept_of_it(core, cast):
    """Not before they were asked in, nor after they were removed."""
    await make_hai(core, cast.ada, cast.lab, "secret")
    about = {"room_id": cast.lab["id"]}
    for _ in range(2):  # read, and kept
        ack = await order(core, cast.ada, "get_hais", about)
    assert [hai["text"] for hai in ack["hais"]] == ["secret"]
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "get_hais", about)
    member = about | {"user_id": cast.linus.id}
    await order(core, cast.ada, "add_member", member)
    assert (await order(core, cast.linus, "get_hais", about))["hais"]
    await order(core, cast.ada, "remove_member", member)
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "get_hais", about)
    for open_to_all in (await make_room(core, cast.ada, name="Open"),):
        await make_hai(core, cast.ada, open_to_all)
        about = {"room_id": open_to_all["id"]}
        await order(core, cast.ada, "get_hais", about)
        with pytest.raises(errors.Forbidden):
            await order(core, cast.linus, "get_hais", about)
    with pytest.raises(errors.NotFound):
        await order(core, cast.ada, "get_hais", {"room_id": 10**9})


async def test_changes_and_searches_share_what_is_kept_and_read_the_same(core, cast):
    for number in range(5):
        await make_hai(core, cast.ada, cast.lounge, f"hello *{number}*")
    page = await order(core, cast.linus, "get_hais", {"room_id": cast.lounge["id"]})
    found = await core.db.read(changes._get, core, cast.linus.id, 0, None, 500)
    again = {hai["id"]: hai for hai in found["hais"]}
    assert [again[hai["id"]] for hai in page["hais"]] == page["hais"]
    assert all(again[hai["id"]] is hai for hai in page["hais"])  # the very same object
    assert json.loads(hai_cache.encode(found)) == found


async def test_a_failed_order_leaves_nothing_of_itself(core, cast):
    """The writer's own view of a hai, before its commit, is not kept."""
    hai = await make_hai(core, cast.ada, cast.lounge, "as it was")
    about = {"room_id": cast.lounge["id"]}
    await order(core, cast.ada, "get_hais", about)

    def change_and_fail(tx):
        rows.change(tx, hai["id"], text="never so")
        assert hais.get(cast.ada.identity, hai["id"])["text"] == "never so"
        raise errors.Busy()

    with pytest.raises(errors.Busy):
        await core.db.write(change_and_fail)
    await make_hai(core, cast.grace, cast.lounge, "later")
    ack = await order(core, cast.ada, "get_hais", about)
    assert [hai["text"] for hai in ack["hais"]] == ["as it was", "later"]


async def test_a_page_that_is_kept_takes_no_reader(core, cast):
    """So it is on the loop's own connection that access and age are asked."""
    await make_hai(core, cast.ada, cast.lounge)
    about = {"room_id": cast.lounge["id"]}
    await order(core, cast.ada, "get_hais", about)
    asked = orders.run(core, cast.grace.identity, "get_hais", about)
    assert asked.done()
    await make_hai(core, cast.ada, cast.lounge)
    assert not orders.run(core, cast.grace.identity, "get_hais", about).done()


# --- The cache itself ----------------------------------------------------------------


def test_a_cache_keeps_no_more_than_its_bytes():
    cache = Cache(1000)
    for number in range(10_000):
        cache.put(number, str(number), 10)
        assert cache.byte_count <= 1000
    assert cache.find(9_999) == "9999"
    assert cache.find(0) is None


def test_what_is_asked_for_stays():
    cache = Cache(1000)
    cache.put("wanted", 1, 10)
    for number in range(10_000):
        cache.put(number, number, 10)
        assert cache.find("wanted") == 1


def test_what_is_large_or_put_twice_is_counted_rightly():
    cache = Cache(1000)
    cache.put("large", 1, 251)
    assert cache.find("large") is None
    for value in range(100):
        cache.put("same", value, 100)
    assert (cache.find("same"), cache.byte_count) == (99, 100)


def test_a_cache_of_no_bytes_keeps_nothing():
    cache = Cache(0)
    cache.put("key", 1, 1)
    assert cache.find("key") is None
