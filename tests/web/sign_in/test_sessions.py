"""Signing in and out, cookies, and other people's sites."""

import pytest

from hai import clock
from hai.core.identity import passwords, sessions
from tests.factories import make_user

HTML = {"Accept": "text/html"}
PASSWORD = "calm water 7"


@pytest.fixture
def ada(io_loop, core):
    return io_loop.run_sync(lambda: make_user(core, "ada", password=PASSWORD))


async def sign_in(browser, name="ada", password=PASSWORD, **fields):
    form = {"name": name, "password": password, **fields}
    return await browser.post("/sign_in", form=form, headers=HTML)


async def test_signing_in_gives_a_cookie_that_scripts_cannot_read(client, ada):
    answer = await sign_in(client(), next="/rooms?x=1")
    assert (answer.status, answer.location) == (303, "/rooms?x=1")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert "Secure" not in cookie


async def test_a_name_is_the_same_in_capitals(client, ada):
    assert (await sign_in(client(), name=" ADA ")).status == 303


async def test_signing_in_works_for_programs_too(client, ada):
    browser = client()
    answer = await browser.post("/sign_in", json={"name": "ada", "password": PASSWORD})
    assert answer.status == 200
    assert (await browser.get("/api/v1/me")).json["user"]["name"] == "ada"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong water"), ("nobody", PASSWORD), ("", ""), ("ada", "x" * 5000)],
)
async def test_a_wrong_name_and_a_wrong_password_look_the_same(
    client, ada, name, password
):
    answer = await sign_in(client(), name=name, password=password)
    assert answer.status == 401
    assert "do not match" in answer.text
    assert "Set-Cookie" not in answer.headers


async def test_the_form_keeps_the_name_but_not_the_password(client, ada):
    text = (await sign_in(client(), password="wrong water", next="/people")).text
    assert 'value="ada"' in text and 'value="/people"' in text
    assert "wrong water" not in text


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "", "javascript:1"],
)
async def test_nobody_is_led_to_another_site(client, ada, path):
    assert (await sign_in(client(), next=path)).location == "/"


async def test_guessing_is_slowed_down(app, client, ada):
    app.web.tries.per_second = 0  # however slow we are
    answers = [await sign_in(client(), password=f"guess {n}") for n in range(11)]
    assert [a.status for a in answers] == [401] * 10 + [429]


async def test_signing_in_anew_ends_what_the_browser_had(core, client, ada):
    grace = await make_user(core, "grace", password=PASSWORD)
    browser = client(ada)
    assert (await sign_in(browser, name="grace")).status == 303
    await core.db.write(lambda tx: None)
    assert sessions.find(core, ada.cookie) is None
    found = sessions.find(core, browser.cookies["hai_session"])
    assert found.user_id == grace.id and sessions.find(core, grace.cookie)
    program = client(ada, bearer=True)
    assert (await sign_in(program)).status == 303
    assert sessions.find(core, ada.token)


async def test_signing_out_ends_the_session(core, client, ada):
    browser = client(ada)
    answer = await browser.post("/sign_out", headers=HTML)
    assert answer.location == "/sign_in?done=signed_out"
    assert sessions.find(core, ada.cookie) is None
    assert "hai_session" not in browser.cookies


async def test_a_cookie_that_is_not_good_is_nobody(client, ada):
    browser = client()
    browser.cookies["hai_session"] = "stolen"
    assert (await browser.get("/rooms")).status == 401
    assert (await browser.get("/")).location == "/sign_in"


@pytest.mark.parametrize("token", ["stolen", "", "x" * 10_000])
@pytest.mark.parametrize("path", ["/rooms", "/", "/healthz", "/nowhere"])
async def test_a_bearer_that_is_not_good_is_refused_everywhere(
    client, ada, path, token
):
    headers = {"Authorization": f"Bearer {token}"}
    assert (await client(ada).get(path, headers=headers)).code == "unauthorized"


async def test_a_bearer_is_as_good_as_the_cookie(client, ada):
    program = client(ada, bearer=True)
    assert (await program.get("/rooms", headers=HTML)).status == 200
    assert (
        await program.post("/rooms", json={"name": "Pier", "kind": "open"})
    ).status == 201


async def test_other_sessions_are_ended_from_the_settings(core, client, ada):
    other = await sessions.start(core, ada.id, "browser", "Phone/1.0")
    other_id = sessions.find(core, other).session_id
    text = (await client(ada).get("/settings", headers=HTML)).text
    assert f"/settings/sessions/{other_id}/end" in text
    assert (
        await client(ada).post("/settings/sessions/end", headers=HTML)
    ).status == 303
    assert sessions.find(core, other) is None
    assert sessions.find(core, ada.cookie)


async def test_one_session_is_ended_and_nobody_elses(core, client, ada):
    grace = await make_user(core, "grace")
    theirs = grace.identity.session_id
    answer = await client(ada).post(f"/settings/sessions/{theirs}/end", json={})
    assert answer.code == "not_found"
    mine = await sessions.start(core, ada.id, "browser", "Phone/1.0")
    mine_id = sessions.find(core, mine).session_id
    assert (
        await client(ada).post(f"/settings/sessions/{mine_id}/end", json={})
    ).status == 200
    assert sessions.find(core, mine) is None and sessions.find(core, grace.cookie)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://sister.example"},
        {"Origin": "null"},
    ],
)
async def test_other_sites_cannot_post_for_me(core, client, ada, headers):
    answer = await client(ada).post("/sign_out", headers=headers)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert sessions.find(core, ada.cookie)


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}])
async def test_our_own_page_and_programs_can(core, client, ada, headers):
    assert (await client(ada).post("/sign_out", headers=headers)).status == 303


class TestBehindAProxy:
    @pytest.fixture
    def config_flags(self):
        return {
            "public_url": "https://hai.example",
            "trusted_proxies": "127.0.0.1",
        }

    @pytest.fixture
    def app(self, app):
        app.__class__ = type("LocalApp", (type(app),), {"url": property(local_url)})
        return app

    async def test_the_cookie_is_secure_and_the_public_origin_is_ours(
        self, client, ada
    ):
        headers = {"Origin": "https://hai.example", "Accept": "text/html"}
        form = {"name": "ada", "password": PASSWORD}
        answer = await client().post("/sign_in", form=form, headers=headers)
        assert answer.status == 303
        assert "Secure" in answer.headers["Set-Cookie"]

    async def test_guesses_are_counted_by_the_forwarded_address(self, app, client, ada):
        app.web.tries.per_second = 0

        async def guess(address):
            headers = {"X-Forwarded-For": address}
            form = {"name": address, "password": "nope nope"}
            return (await client().post("/sign_in", form=form, headers=headers)).status

        assert {await guess("203.0.113.1") for _ in range(10)} == {401}
        assert await guess("203.0.113.1") == 429
        assert await guess("203.0.113.2") == 401


def local_url(app):
    return f"http://127.0.0.1:{app.port}"


HOUR_S = 3600


@pytest.fixture
def clock_s(monkeypatch):
    """The server's monotonic clock, which stands still until the test sets it.

    At a whole second: of others, an hour later is not always 3,600 s later.
    """
    now_s = [float(round(clock.monotonic_s()))]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    return now_s


async def guess(browser, address, name="ada", password="wrong water"):
    form = {"name": name, "password": password}
    headers = {"X-Forwarded-For": address}
    return await browser.post("/sign_in", json=form, headers=headers)


class TestGuessing:
    """Many addresses, by the header of a proxy that is believed."""

    @pytest.fixture
    def config_flags(self):
        return {"trusted_proxies": "127.0.0.1"}

    async def count(self, client, beginning, name="ada"):
        """How many guesses get through, each from an address of its own."""
        browser = client()
        answers = [
            await guess(browser, f"198.51.{beginning}.{n}", name) for n in range(40)
        ]
        statuses = [answer.status for answer in answers]
        assert set(statuses) <= {401, 429}
        return statuses.count(401)

    async def test_a_name_has_ten_guesses_and_then_twenty_an_hour(
        self, client, ada, clock_s
    ):
        """From however many addresses, and whether there is such a name or not."""
        for name in ("ada", " ADA ", "nobody"):
            expected = 0 if name == " ADA " else 10
            assert await self.count(client, 1, name) == expected
        clock_s[0] += HOUR_S / 4
        assert await self.count(client, 2) == 5
        clock_s[0] += HOUR_S * 100
        assert await self.count(client, 3) == 10

    async def test_it_says_when_to_try_again(self, client, ada, clock_s):
        await self.count(client, 1)
        refused = await guess(client(), "203.0.113.1", password=PASSWORD)
        assert (refused.status, refused.code) == (429, "rate_limited")
        message = refused.json["error"]["message"]
        assert message == "Too many tries. Please try again in 3 minutes."
        clock_s[0] += 150
        soon = await guess(client(), "203.0.113.1", password=PASSWORD)
        assert soon.json["error"]["message"].endswith("again in a minute.")
        clock_s[0] += 31
        in_again = await guess(client(), "203.0.113.1", password=PASSWORD)
        assert in_again.status == 200

    async def test_whoever_was_here_gets_in_where_they_were(self, client, ada, clock_s):
        """While strangers guess without end; and what is signed in stays so."""
        home, cafe = "203.0.113.1", "203.0.113.2"
        open_tab = client(ada)
        headers = HTML | {"X-Forwarded-For": home}
        assert (await open_tab.get("/settings", headers=headers)).status == 200
        await self.count(client, 1)
        assert (await guess(client(), cafe, password=PASSWORD)).status == 429
        assert (await guess(client(), home, password=PASSWORD)).status == 200
        assert (await open_tab.get("/api/v1/me")).status == 200
        statuses = [(await guess(client(), home)).status for _ in range(11)]
        assert statuses == [401] * 10 + [429]

    async def test_a_place_is_known_for_those_who_were_there(
        self, core, client, ada, clock_s
    ):
        grace = await make_user(core, "grace", password=PASSWORD)
        headers = HTML | {"X-Forwarded-For": "203.0.113.1"}
        assert (await client(grace).get("/settings", headers=headers)).status == 200
        await self.count(client, 1)
        assert (await guess(client(), "203.0.113.1", password=PASSWORD)).status == 429

    async def test_an_ipv6_customer_is_one_address(self, client, ada, clock_s):
        names = [f"name{n}" for n in range(11)]
        answers = [
            await guess(client(), f"2001:db8:1:2::{n}", name)
            for n, name in enumerate(names)
        ]
        assert [a.status for a in answers] == [401] * 10 + [429]
        assert (await guess(client(), "2001:db8:1:3::1", "other")).status == 401

    async def test_rightly_signing_in_costs_no_tries_of_the_name(
        self, client, ada, clock_s
    ):
        for n in range(15):
            answer = await guess(client(), f"203.0.113.{n}", password=PASSWORD)
            assert answer.status == 200
        assert await self.count(client, 1) == 10

    async def test_a_busy_server_costs_no_tries_of_the_name(
        self, core, client, ada, clock_s
    ):
        """The password was not looked at."""
        core.hashes_waiting = passwords.MAX_WAITING
        assert await self.count(client, 1) == 0
        core.hashes_waiting = 0
        assert await self.count(client, 2) == 10


class TestGuessingWithoutLimits:
    @pytest.fixture
    def config_flags(self):
        return {"rate_limits": "off"}

    async def test_switched_off_nobody_is_slowed_down(self, client, ada, clock_s):
        answers = [await sign_in(client(), password=f"guess {n}") for n in range(30)]
        assert {answer.status for answer in answers} == {401}


async def test_signing_in_rightly_uses_up_no_tries(client, ada):
    assert {(await sign_in(client())).status for _ in range(15)} == {303}
