"""Search over HTTP: in parts, in turn with others, and never for those who left."""

import asyncio
import re
from html import unescape
from urllib.parse import urlencode

import pytest

from hai.cache import Cache
from hai.core import read_budget
from hai.core.identity import sessions
from hai.core.people import accounts
from hai.core.talk import search
from hai.storage import search_index
from hai.storage.sqlite.readers import MAX_WAITING_SLOW
from tests.factories import make_hai, make_user, order
from tests.reads import PATIENCE_S, Endless, held, until, waiting
from tests.realtime.raw import Raw

JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html"}
QUERY = "/search?q=%E9%9D%99"  # 静
OLD, NEW = "an old password", "a new password"


@pytest.fixture
def hurried(monkeypatch):
    """Every search has time for one look, at three hais."""
    monkeypatch.setattr(search, "BUDGET_S", 0)
    monkeypatch.setattr(search, "FIRST_CANDIDATES", 3)


@pytest.fixture
def looks(monkeypatch):
    """Who has looked for something on a reader thread, in that order."""
    order = []
    scan = search_index.scan

    def noted(user_id, *args):
        order.append(user_id)
        return scan(user_id, *args)

    monkeypatch.setattr(search_index, "scan", noted)
    return order


@pytest.fixture
def ask(io_loop, app):
    """`await ask(person, path)`: a connection that has asked, and read no answer.

    With a form it is a POST.
    """
    opened = []

    async def asking(person, path=QUERY, form=None):
        opened.append(await Raw.open(app.port))
        body = urlencode(form or {})
        lines = [
            f"{'POST' if form else 'GET'} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Accept: application/json",
            f"Authorization: Bearer {person.token}",
        ]
        if form:
            lines += [f"Content-Length: {len(body)}"]
            lines += ["Content-Type: application/x-www-form-urlencoded"]
        opened[-1].write("\r\n".join([*lines, "", body]).encode())
        return opened[-1]

    yield asking
    for raw in opened:
        raw.close()


async def answers(raws):
    """Their statuses, in the order given."""
    async with asyncio.timeout(PATIENCE_S):
        return [await raw.answer() for raw in raws]


def older(page):
    """Where the page's button for older ones leads; None without one."""
    found = re.search(r'<a class="button" href="(/search[^"]+)"', page.text)
    return unescape(found[1]) if found else None


# --- In parts ------------------------------------------------------------------------


async def test_programs_are_told_that_a_search_is_partial_and_where_to_go_on(
    core, client, cast, hurried
):
    sent = [await make_hai(core, cast.ada, cast.lab, f"平静{n}") for n in range(7)]
    grace, found, path = client(cast.grace), [], QUERY
    while path:
        answer = (await grace.get(path, headers=JSON)).json
        found += [hai["id"] for hai in answer["hais"]]
        is_partial = answer.get("is_partial", False)
        assert is_partial == answer["has_more"] == ("before" in answer)
        path = is_partial and f"{QUERY}&before={answer['before']}"
    assert found == [hai["id"] for hai in reversed(sent)]


async def test_a_search_with_time_says_nothing_of_parts(core, client, cast):
    await make_hai(core, cast.ada, cast.lab, "平静")
    answer = (await client(cast.grace).get(QUERY, headers=JSON)).json
    assert sorted(answer) == ["hais", "has_more", "users"]
    page = await client(cast.grace).get(QUERY, headers=PAGE)
    assert "平静" in page.text
    assert "still to be looked through" not in page.markup
    assert older(page) is None


async def test_the_page_says_so_and_its_link_leads_on_also_where_nothing_was_found(
    core, client, cast, hurried
):
    oldest = await make_hai(core, cast.ada, cast.lab, "平静")
    for number in range(7):
        await make_hai(core, cast.ada, cast.lounge, f"The sea is rough {number}.")
    grace, pages, path = client(cast.grace), [], QUERY
    while path:
        pages.append(await grace.get(path, headers=PAGE))
        path = older(pages[-1])
    assert len(pages) == 3
    for page in pages[:-1]:
        assert "Nothing found yet" in page.text
        assert "still to be looked through" in page.markup
    assert f"#hai_{oldest['id']}" in pages[-1].text
    assert "still to be looked through" not in pages[-1].markup


async def test_at_the_end_of_an_unlucky_search_the_page_says_that_it_is_the_end(
    core, client, cast, hurried
):
    for number in range(4):
        await make_hai(core, cast.ada, cast.lounge, f"The sea is rough {number}.")
    first = await client(cast.grace).get(QUERY, headers=PAGE)
    last = await client(cast.grace).get(older(first), headers=PAGE)
    assert "Nothing older" in last.text
    assert older(last) is None


# --- In turn -------------------------------------------------------------------------


@pytest.mark.parametrize("config_flags", [{}, {"rate_limits": "off"}])
async def test_another_s_search_waits_for_one_of_a_flood_and_not_for_all(
    app, cast, looks, ask
):
    async with held(app.core.db):
        asked = [await ask(cast.linus) for _ in range(5)]
        await until(lambda: waiting(app.core.db) == 5)
        asked.append(await ask(cast.grace))
        await until(lambda: waiting(app.core.db) == 6)
    assert await answers(asked) == [200] * 6
    assert looks == [cast.linus.id, cast.grace.id, *[cast.linus.id] * 4]


async def test_pages_and_hais_do_not_wait_for_searches_at_all(app, client, cast, ask):
    async with held(app.core.db):
        asked = [await ask(cast.linus) for _ in range(5)]
        await until(lambda: waiting(app.core.db) == 5)
        grace = client(cast.grace)
        hai = await make_hai(app.core, cast.ada, cast.lounge, "Good morning.")
        page = await grace.get(f"/rooms/{cast.lounge['id']}", headers=PAGE)
        assert f'id="hai_{hai["id"]}"' in page.text
        assert (await grace.get("/api/v1/changes?since_rev=0")).status == 200
        assert (await grace.get("/healthz")).status == 200
        assert waiting(app.core.db) == 5
    assert await answers(asked) == [200] * 5


@pytest.mark.parametrize("config_flags", [{}, {"rate_limits": "off"}])
async def test_who_has_many_searches_waiting_is_refused_the_next_at_once(
    app, cast, ask
):
    async with held(app.core.db):
        asked = [await ask(cast.linus) for _ in range(MAX_WAITING_SLOW)]
        await until(lambda: waiting(app.core.db) == MAX_WAITING_SLOW)
        one_more = await ask(cast.linus)
        assert await answers([one_more]) == [503]
        assert one_more.json["error"]["code"] == "busy"
        asked.append(await ask(cast.grace))
        await until(lambda: waiting(app.core.db) == MAX_WAITING_SLOW + 1)
    assert await answers(asked) == [200] * (MAX_WAITING_SLOW + 1)


# --- For nobody ----------------------------------------------------------------------


async def test_searches_of_a_client_that_hangs_up_are_dropped(app, cast, looks, ask):
    readers = app.core.db.readers
    async with held(app.core.db):
        gone = [await ask(cast.linus) for _ in range(5)]
        asked = [await ask(cast.grace)]
        await until(lambda: waiting(app.core.db) == 6)
        for raw in gone:
            raw.close()
        await until(lambda: waiting(app.core.db) == 1)
    assert await answers(asked) == [200]
    assert looks == [cast.grace.id]
    assert readers.unwanted_count == 5


async def test_the_search_that_runs_for_a_client_that_hangs_up_is_interrupted(
    app, client, cast, monkeypatch, ask
):
    readers = app.core.db.readers
    scan = Endless()
    monkeypatch.setattr(search_index, "scan", scan)
    gone = await ask(cast.linus)
    await until(scan.begun.is_set)
    asked = await ask(cast.grace, "/search?q=calm")
    await until(lambda: waiting(app.core.db) == 1)
    gone.close()
    assert await answers([asked]) == [200]
    await until(lambda: readers.running_count == 0)
    text = (await client(cast.ada).get("/metrics")).text
    assert "hai_reads_unwanted_total 1\n" in text
    assert 'hai_http_requests_total{status="499"} 1\n' in text


@pytest.mark.parametrize("path", ["/people", "/rooms", "/rooms/{}", "/api/v1/rooms"])
async def test_no_page_is_looked_up_for_a_client_that_hangs_up(app, cast, path, ask):
    async with held(app.core.db), held(app.core.db, is_slow=False):
        room_id = cast.lounge["id"]
        gone = await ask(cast.linus, path.format(room_id))
        await until(lambda: waiting(app.core.db) == 1)
        gone.close()
        await until(lambda: waiting(app.core.db) == 0)


async def test_what_a_client_ordered_before_it_hung_up_is_carried_out(app, client, ask):
    """Only questions are taken back. This order reads, hashes, then writes."""
    eve = await make_user(app.core, "eve", password=OLD)
    form = {"old_password": OLD, "password": NEW}
    async with held(app.core.db), held(app.core.db, is_slow=False):
        gone = await ask(eve, "/settings/password", form)
        await until(lambda: waiting(app.core.db) == 1)
        gone.close()
        await until(lambda: not app.http._connections)  # the server has noticed
        assert waiting(app.core.db) == 1
    await until(lambda: sessions.find(app.core, eve.cookie) is None)
    signed_in = await client().post("/sign_in", json={"name": "eve", "password": NEW})
    assert signed_in.status == 200


# --- And not too often ---------------------------------------------------------------

COSTLY = [
    "/search?q=calm",
    QUERY,
    "/people",
    "/rooms",
    "/rooms/{}/edit",
    "/api/v1/users",
    "/api/v1/rooms",
    "/api/v1/changes?since_rev=0",
    "/api/v1/rooms/{}/hais",
]


@pytest.fixture
def dear(monkeypatch):
    """Every read counts, there is next to no reserve, and none comes back."""
    monkeypatch.setattr(read_budget, "FREE_MS", 0)
    monkeypatch.setattr(read_budget, "RESERVE_MS", 0.001)
    monkeypatch.setattr(read_budget, "MS_PER_S", 0)


@pytest.fixture
def poor(dear, app):
    """The server of those prices."""
    return app


async def test_who_floods_is_refused_what_is_costly_and_nothing_else(
    poor, client, cast
):
    linus, room_id = client(cast.linus), cast.lounge["id"]
    assert (await linus.get(QUERY, headers=JSON)).status == 200
    for path in COSTLY:
        answer = await linus.get(path.format(room_id), headers=JSON)
        assert (path, answer.status, answer.code) == (path, 429, "rate_limited")
    page = await linus.get(QUERY, headers=PAGE)
    assert page.status == 429
    assert "a little fast" in page.text
    sent = {"text": "hai!"}
    assert (await linus.get(f"/rooms/{room_id}", headers=PAGE)).status == 200
    assert (await linus.post(f"/api/v1/rooms/{room_id}/hais", json=sent)).status == 201
    assert (await client(cast.grace).get(QUERY, headers=JSON)).status == 200


@pytest.mark.parametrize("config_flags", [{"rate_limits": "off"}])
async def test_without_rate_limits_nobody_is_refused_for_what_it_cost(
    poor, client, cast
):
    linus = client(cast.linus)
    for path in COSTLY * 3:
        path = path.format(cast.lounge["id"])
        assert (await linus.get(path, headers=JSON)).status == 200, path


async def test_a_hit_is_drawn_for_who_searches_and_as_it_is_now(core, cast, client):
    """Parts are kept: what changes is drawn anew, what is others' stays theirs."""
    hai = await make_hai(core, cast.ada, cast.direct, "a walrus")
    await make_hai(core, cast.ada, cast.lounge, "a walrus")
    ada, grace, linus = client(cast.ada), client(cast.grace), client(cast.linus)

    async def compare(browser, name):
        found = await browser.get("/search?q=walrus", headers=PAGE)
        kept, core.cache = core.cache, Cache(0)
        plain = await browser.get("/search?q=walrus", headers=PAGE)
        core.cache = kept
        assert found.text == plain.text
        assert f'<span dir="auto">in {name}</span>' in found.text

    for _ in range(2):
        await compare(ada, "Grace")
        await compare(grace, "Ada")
        await compare(linus, "Lounge")
    await accounts.change_profile(core, cast.ada.identity, display_name="Countess")
    await compare(grace, "Countess")
    await compare(linus, "Lounge")
    await order(core, cast.ada, "edit_hai", {"hai_id": hai["id"], "text": "walrus!"})
    await compare(ada, "Grace")
    assert "walrus!" in (await grace.get("/search?q=walrus", headers=PAGE)).text
