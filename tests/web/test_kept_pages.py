"""A room's page that is kept is the page that would be drawn, for the one who asks."""

import contextlib
import re

import pytest

from hai import clock
from hai.cache import Cache
from hai.core.people import accounts, admin
from hai.core.talk import first_state
from hai.units import DAY_MS
from hai.web.rooms import RoomHandler
from hai.web.views import times
from tests.core.pictures.test_stored import upload
from tests.core.talk.test_hai_cache import every_order, make_thumbnail
from tests.factories import give_avatar, make_hai, make_room, order
from tests.pictures import picture
from tests.reads import until

HTML = {"Accept": "text/html"}
CLIENT_ID = re.compile(r'(?<=name="client_id" autocomplete="off" value=")[^"]+')


class PlainRoomHandler(RoomHandler):
    """The reference: drawn for this request, from what was read for it."""

    async def get(self, room_id):
        edges = {name: self.query_id(name) for name in ("before", "around", "after")}
        state = await first_state.for_room(self.core, self.user, room_id, **edges)
        title = state["room"].get("name", "Direct")
        names = {"state": state, "client_id": "x" * 20}
        await self.page("rooms/show.html", title, **names)


@pytest.fixture
def plain(app):
    """`async with plain():` nothing is kept, and /plain/ID draws like that."""
    app.web.add_handlers(".*", [(r"/plain/([1-9][0-9]*)", PlainRoomHandler)])

    @contextlib.contextmanager
    def without_cache():
        kept, app.core.cache = app.core.cache, Cache(0)
        yield
        app.core.cache = kept

    return without_cache


class Looking:
    """Somebody who looks at a room's page, kept and plain."""

    def __init__(self, browser, room, plain):
        self.browser, self.room_id, self.plain = browser, room["id"], plain

    async def compare(self, query="", act=""):
        with self.plain():
            wanted = await self.see(f"/plain/{self.room_id}{query}")
        for _ in range(2):
            found = await self.see(f"/rooms/{self.room_id}{query}")
            assert found == wanted, f"{query} after {act}"
        return found

    async def see(self, path):
        """Compressed or not, it is the same."""
        answer = await self.browser.get(path, headers=HTML)
        assert answer.status == 200, answer.text
        assert len(CLIENT_ID.findall(answer.text)) == 1
        return CLIENT_ID.sub("", answer.text)


@pytest.fixture
def looking(client, cast, plain):
    return [Looking(client(one), cast.lab, plain) for one in (cast.ada, cast.grace)]


async def test_whatever_is_done_is_on_the_page_of_everybody(core, cast, looking):
    ada = cast.ada
    first = await make_hai(core, ada, cast.lab, "first </script> & *bold*")
    await make_hai(core, cast.grace, cast.lab, "re", reply_to=first["id"])
    shown = await upload(core, ada, cast.lab, picture())
    queries = [f"?{edge}={first['id']}" for edge in ("around", "before", "after")]
    queries += ["", "?done=saved"]

    async def compare(act):
        for one in looking:
            for query in queries:
                seen.add(await one.compare(query, act))

    seen = set()
    await compare("the beginning")
    payloads = await every_order(core, cast, cast.lab, first, shown)
    for name, payload in payloads.items():
        await order(core, ada, name, payload)
        await compare(name)
        if name == "describe_picture":
            await make_thumbnail(core, shown["id"])
            await compare("a thumbnail")
    assert len(seen) > 50  # or nothing was tried


async def test_people_and_their_presence_are_on_the_page(core, cast, looking):
    """None of that changes the room."""
    member = {"room_id": cast.lab["id"], "user_id": cast.linus.id}
    await order(core, cast.ada, "add_member", member)
    hai = await make_hai(core, cast.linus, cast.lab, "here")
    await make_hai(core, cast.grace, cast.lab, "and there", reply_to=hai["id"])
    await make_hai(core, cast.linus, cast.lab, "once more")
    await order(core, cast.ada, "add_reaction", {"hai_id": hai["id"], "emoji": "🌊"})
    about = {"room_id": cast.lab["id"], "has_receipts": True}
    await order(core, cast.ada, "change_room", about)
    latest = await make_hai(core, cast.grace, cast.lab, "seen?")
    read = {"room_id": cast.lab["id"], "hai_id": latest["id"]}
    others = {"room_id": cast.lounge["id"], "text": "elsewhere", "client_id": "c1"}
    pages = set()

    async def compare():
        for one in looking:
            pages.add(await one.compare())

    await compare()
    await order(core, cast.ada, "mark_read", read)
    await compare()
    for one in (cast.grace, cast.linus, cast.ada):
        await accounts.change_profile(core, one.identity, display_name=f"A {one.name}")
        await compare()
    await give_avatar(core, cast.ada)
    await compare()
    core.presence.connected(cast.grace.id)
    await compare()
    core.presence.grace_s = 0
    core.presence.disconnected(cast.grace.id)
    await until(lambda: not core.presence.is_online(cast.grace.id))
    await compare()
    await order(core, cast.linus, "send_hai", others)  # unread in the list of rooms
    await compare()
    await make_room(core, cast.grace, cast.ada, name="New")
    await compare()
    await admin.change_role(
        core, cast.ada.identity, user_id=cast.grace.id, role="admin"
    )
    await compare()
    assert len(pages) >= 18


async def test_the_line_above_what_is_new_is_each_readers_own(core, cast, looking):
    """It begins a run of hais anew, for those who see it."""
    sent = [await make_hai(core, cast.ada, cast.lounge, f"{n}") for n in range(4)]
    for one in looking:
        one.room_id = cast.lounge["id"]
        await one.compare()
    about = {"room_id": cast.lounge["id"]}
    for hai in sent:
        await order(core, cast.grace, "mark_read", about | {"hai_id": hai["id"]})
        for one in looking:
            await one.compare(act=f"reading {hai['id']}")


async def test_what_is_kept_is_taken_and_only_while_it_holds(
    core, cast, client, monkeypatch
):
    await make_hai(core, cast.ada, cast.lab)
    browser, path = client(cast.ada), f"/rooms/{cast.lab['id']}"
    reads, read = [], first_state._for_room_page

    def noted(*args):
        reads.append(args)
        return read(*args)

    monkeypatch.setattr(first_state, "_for_room_page", noted)

    async def reads_of_a_visit():
        before = len(reads)
        assert (await browser.get(path, headers=HTML)).status == 200
        return len(reads) - before

    assert await reads_of_a_visit() == 1
    assert await reads_of_a_visit() == 0
    secret = await make_room(core, cast.linus, name="Not ada's", kind="closed")
    await make_hai(core, cast.linus, secret)
    assert await reads_of_a_visit() == 0  # nothing that she may see has changed
    await make_hai(core, cast.linus, cast.lounge)
    assert await reads_of_a_visit() == 1


async def test_a_page_says_at_which_rev_it_is_of_now(core, cast, client):
    browser, path = client(cast.ada), f"/rooms/{cast.lab['id']}"
    await browser.get(path, headers=HTML)
    secret = await make_room(core, cast.linus, name="Not ada's", kind="closed")
    await make_hai(core, cast.linus, secret)
    rev = (await core.db.read(first_state.server_row))[0]
    page = await browser.get(path, headers=HTML)
    assert f'"rev":{rev},"epoch":' in page.text


async def test_each_page_has_a_client_id_of_its_own(core, cast, client):
    """So what two people type into two pages are two hais."""
    browser, path = client(cast.ada), f"/rooms/{cast.lab['id']}"
    pages = [await browser.get(path, headers=HTML) for _ in range(3)]
    assert len({CLIENT_ID.search(page.text)[0] for page in pages}) == 3


async def test_who_may_not_read_a_room_gets_none_of_its_kept_pages(core, cast, client):
    await make_hai(core, cast.ada, cast.lab, "between us")
    path = f"/rooms/{cast.lab['id']}"
    member = {"room_id": cast.lab["id"], "user_id": cast.linus.id}
    for _ in range(2):
        await client(cast.ada).get(path, headers=HTML)
    linus = client(cast.linus)
    assert (await linus.get(path, headers=HTML)).status == 404
    await order(core, cast.ada, "add_member", member)
    assert "between us" in (await linus.get(path, headers=HTML)).text
    await order(core, cast.ada, "remove_member", member)
    assert (await linus.get(path, headers=HTML)).status == 404
    assert (await client().get(path)).status == 401
    await make_hai(core, cast.ada, cast.lounge, "among all")
    await linus.get(f"/rooms/{cast.lounge['id']}", headers=HTML)
    await order(core, cast.linus, "leave_room", {"room_id": cast.lounge["id"]})
    offered = await linus.get(f"/rooms/{cast.lounge['id']}", headers=HTML)
    assert offered.status == 403 and "among all" not in offered.text


async def test_at_midnight_a_page_is_drawn_anew(core, cast, client, monkeypatch):
    await make_hai(core, cast.ada, cast.lab)
    browser, path = client(cast.ada), f"/rooms/{cast.lab['id']}"
    assert "Yesterday" not in (await browser.get(path, headers=HTML)).text
    now_ms = clock.now_ms() + DAY_MS
    for module in (clock, times):
        monkeypatch.setattr(module, "now_ms", lambda: now_ms)
    assert "Yesterday" in (await browser.get(path, headers=HTML)).text
