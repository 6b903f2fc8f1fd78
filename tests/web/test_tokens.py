"""Bearer tokens of one's own, and how long sessions last."""

import pytest

from hai import clock
from hai.core.identity import sessions
from hai.core.people import accounts, resets, tokens
from hai.storage.models import Session
from hai.units import DAY_MS
from tests.factories import make_user

HTML = {"Accept": "text/html"}
PASSWORD = "calm water 7"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ada(io_loop, core):
    return io_loop.run_sync(lambda: make_user(core, "ada", password=PASSWORD))


async def make_token(browser, **fields):
    asked = {"name": "Weather", "scope": "all", "days": 30} | fields
    return await browser.post("/settings/tokens", json=asked)


async def list_tokens(browser):
    return (await browser.get("/api/v1/me/tokens")).json["tokens"]


# --- Tokens --------------------------------------------------------------------------


async def test_a_token_is_made_used_listed_and_ended(core, client, cast):
    browser = client(cast.grace)
    made = await make_token(browser, name="Weather", scope="read")
    assert made.status == 201
    token = made.json["token"]
    program = client()
    program.token = token
    assert (await program.get("/api/v1/me")).json["user"]["name"] == "grace"
    listed = {one["name"]: one for one in await list_tokens(program)}
    weather = listed["Weather"]
    assert weather["scope"] == "read"
    assert weather["expires_at"] == weather["created_at"] + 30 * DAY_MS
    assert token not in str(listed)
    path = f"/api/v1/me/tokens/{weather['id']}"
    assert (await browser.request("DELETE", path)).status == 204
    assert (await program.get("/api/v1/me")).code == "unauthorized"
    assert "Weather" not in str(await list_tokens(browser))
    assert (await browser.request("DELETE", path)).code == "not_found"


async def test_nobody_ends_another_s_token_or_a_browser_as_one(core, client, cast):
    theirs = sessions.find(core, cast.ada.token).session_id
    browser_id = cast.grace.identity.session_id
    for token_id in (theirs, browser_id):
        for method, path in (
            ("DELETE", f"/api/v1/me/tokens/{token_id}"),
            ("POST", f"/settings/tokens/{token_id}/end"),
        ):
            refused = await client(cast.grace).request(method, path)
            assert refused.code == "not_found"
    assert sessions.find(core, cast.ada.token)
    assert sessions.find(core, cast.grace.cookie)


async def test_the_page_shows_a_token_once(client, cast):
    browser = client(cast.grace)
    form = {"name": "Weather <3", "scope": "all", "days": "0"}
    made = await browser.post("/settings/tokens", form=form, headers=HTML)
    assert made.status == 201
    token = made.text.split('readonly value="')[1].split('"')[0]
    assert len(token) == 43
    page = await browser.get("/settings/tokens", headers=HTML)
    assert "Weather &lt;3" in page.markup and token not in page.text
    assert "not used yet" in page.markup and "no end" in page.markup


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"name": "turned \u202e round"}, "name"),
        ({"scope": "write"}, "scope"),
        ({"scope": ""}, "scope"),
        ({"days": -1}, "days"),
        ({"days": 3651}, "days"),
        ({"days": "soon"}, "days"),
        ({"days": None}, "days"),
        ({"days": True}, "days"),
    ],
)
async def test_what_makes_no_sense_makes_no_token(client, cast, fields, field):
    browser = client(cast.grace)
    before = await list_tokens(browser)
    refused = await make_token(browser, **fields)
    assert refused.code == "bad_request"
    assert refused.json["error"]["details"]["field"] == field
    assert await list_tokens(browser) == before


async def test_a_program_makes_no_further_tokens(client, cast):
    for browser in (client(cast.grace, bearer=True), client()):
        browser.cookies = {"hai_session": cast.grace.token}
        assert (await make_token(browser)).code == "forbidden"


async def test_nobody_piles_them_up(client, cast, monkeypatch):
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)  # there is one already
    browser = client(cast.grace)
    statuses = [(await make_token(browser)).status for _ in range(3)]
    assert statuses == [201, 403, 403]


class TestReadingOnly:
    @pytest.fixture
    def reader(self, io_loop, client, cast):
        made = io_loop.run_sync(lambda: make_token(client(cast.grace), scope="read"))
        return made.json["token"]

    async def test_it_reads(self, client, socket, cast, reader):
        program = client()
        program.token = reader
        room = cast.lounge["id"]
        for path in ("me", "rooms", f"rooms/{room}/hais", "changes?since_rev=0"):
            assert (await program.get(f"/api/v1/{path}")).status == 200
        live = await socket(token=reader)
        assert "hais" in await live.order("get_hais", {"room_id": room})
        assert "rev" in await live.order("get_changes", {"since_rev": 0})

    async def test_it_changes_nothing_over_http(self, client, cast, reader):
        program = client()
        program.token = reader
        room = cast.lounge["id"]
        for method, path in (
            ("POST", f"/api/v1/rooms/{room}/hais"),
            ("POST", f"/rooms/{room}/pictures"),
            ("POST", f"/rooms/{room}/uploads"),
            ("POST", f"/api/v1/rooms/{room}/read"),
            ("POST", "/settings"),
            ("DELETE", "/api/v1/me/avatar"),
            ("DELETE", "/api/v1/me/tokens/1"),
        ):
            refused = await program.request(method, path)
            assert (refused.status, refused.code) == (403, "forbidden")
        cookies = client()
        cookies.cookies = {"hai_session": reader}
        assert (await cookies.post("/rooms", json={})).code == "forbidden"

    async def test_nor_over_any_socket(self, any_socket, cast, client, reader):
        grace = await any_socket(as_person(reader))
        room = {"room_id": cast.lounge["id"]}
        orders = {
            "send_hai": room | {"text": "x", "client_id": "c"},
            "start_typing": room,
            "create_room": {"name": "x", "kind": "open"},
            "leave_room": room,
        }
        for name, payload in orders.items():
            assert (await grace.order(name, payload))["error"]["code"] == "forbidden"
        assert "hais" in await grace.order("get_hais", room)


def as_person(token):
    """For `any_socket`, which asks for a person's cookie or token."""
    return type("Program", (), {"cookie": token, "token": token})


async def test_a_token_ends_when_its_day_has_come(
    core, client, any_socket, cast, monkeypatch
):
    """Also what it has open."""
    ends = (await make_token(client(cast.grace), days=1)).json["token"]
    stays = (await make_token(client(cast.grace), days=0)).json["token"]
    grace = await any_socket(as_person(ends))
    await sessions.end_over(core)
    assert sessions.find(core, ends)
    later = clock.now_ms() + DAY_MS + 1
    monkeypatch.setattr(clock, "now_ms", lambda: later)
    assert sessions.find(core, ends) is None and sessions.find(core, stays)
    await sessions.end_over(core)
    await grace.fact("session_ended")
    await grace.closed.wait()
    assert sessions.find(core, stays)


async def test_a_person_s_tokens_end_with_the_password_and_a_bot_s_do_not(core, ada):
    bot = await make_user(core, "gull", kind="bot")
    own = await tokens.make(core, ada.identity, name="x", scope="all", days=None)
    await accounts.change_password(core, ada.identity, old=PASSWORD, new="calm sea 88")
    assert sessions.find(core, own) is None
    again = await tokens.make(core, ada.identity, name="x", scope="all", days=None)
    code = await core.db.write(resets.insert, ada.id)
    await resets.use(core, code, "quiet harbour 5")
    assert sessions.find(core, again) is None
    assert sessions.find(core, bot.token)


# --- How long browsers stay signed in ------------------------------------------------


async def set_times(core, token, *, seen_days, begun_days):
    session_id = sessions.find(core, token).session_id
    now_ms = clock.now_ms()
    times = {
        "seen_at": now_ms - round(seen_days * DAY_MS),
        "created_at": now_ms - round(begun_days * DAY_MS),
    }
    await core.db.write(
        lambda tx: Session.update(**times).where(Session.id == session_id).execute()
    )


LONG = [((29.9, 100), True), ((30.1, 100), False), ((0.01, 179.9), True)]
LONG += [((0.01, 180.1), False)]


@pytest.mark.parametrize(("days", "is_good"), LONG)
async def test_a_session_lasts_thirty_days_unseen_and_half_a_year_in_all(
    core, client, cast, days, is_good
):
    browser = client(cast.grace)
    await set_times(core, cast.grace.cookie, seen_days=days[0], begun_days=days[1])
    await set_times(core, cast.linus.token, seen_days=days[0], begun_days=days[1])
    assert (await browser.get("/api/v1/me")).status == (200 if is_good else 401)
    await sessions.end_over(core)
    left = await sessions.list_of(core, cast.grace.id)
    assert ("browser" in [one.kind for one in left]) is is_good
    assert sessions.find(core, cast.linus.token)  # a program is not seen every day


@pytest.mark.parametrize("kind", ["websocket", "ws"])
async def test_whoever_has_a_socket_open_is_seen(core, socket, ws, cast, kind):
    """A client that polls is seen by that, each time."""
    cookie = cast.grace.cookie
    tab = await (ws(cookie=cookie) if kind == "ws" else socket(cast.grace, kind))
    for person in (cast.grace, cast.linus):
        await set_times(core, person.cookie, seen_days=31, begun_days=60)
    await sessions.end_over(core)
    await tab.settle()
    assert sessions.find(core, cookie)
    assert sessions.find(core, cast.linus.cookie) is None


class TestOtherTimes:
    @pytest.fixture
    def config_flags(self):
        return {"session_unseen_days": "2", "session_days": "3"}

    async def test_the_operator_says_how_long(self, core, client, cast):
        for days, is_good in (((1.9, 2.9), True), ((2.1, 2.9), False)):
            await set_times(
                core, cast.grace.cookie, seen_days=days[0], begun_days=days[1]
            )
            found = sessions.find(core, cast.grace.cookie)
            assert bool(found) is is_good


# --- A new browser is told -----------------------------------------------------------


class TestNewDevices:
    @pytest.fixture
    def config_flags(self):
        return {"trusted_proxies": "127.0.0.1"}

    async def sign_in(self, client, address, agent):
        headers = {"X-Forwarded-For": address, "User-Agent": agent} | HTML
        form = {"name": "ada", "password": PASSWORD}
        assert (await client().post("/sign_in", form=form, headers=headers)).status

    async def test_a_browser_or_an_address_that_is_new_is_told_and_no_other(
        self, client, any_socket, ada
    ):
        tab = await any_socket(ada)
        home, away = "203.0.113.1", "203.0.113.2"
        for address, agent in (
            (home, FIREFOX),
            (home, FIREFOX),
            (away, FIREFOX),
            (home, "curl/8"),
            (away, FIREFOX),
        ):
            await self.sign_in(client, address, agent)
        await tab.settle()
        told = [fact["device"] for fact in tab.named("session_started")]
        assert told == ["Firefox on Linux", "Firefox on Linux", "curl"]

    async def test_the_settings_show_it_with_its_address(self, client, ada):
        await self.sign_in(client, "203.0.113.1", FIREFOX)
        page = (await client(ada).get("/settings", headers=HTML)).markup
        assert "203.0.113.1" in page and ">new</span>" in page


async def test_the_first_browser_of_an_account_is_nothing_new(core, any_socket, cast):
    """There is nobody to tell, and who has just joined knows."""
    newcomer = await accounts.add_user(core, "newcomer")
    bot = await tokens.add(core, newcomer["id"])
    tab = await any_socket(as_person(bot))
    await sessions.start(core, newcomer["id"], "browser", FIREFOX)
    await tab.settle()
    assert tab.named("session_started") == []
