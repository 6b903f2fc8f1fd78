"""Signing in and out, cookies, and other people's sites."""

import pytest

from hai.core.identity import sessions
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


async def test_strangers_cannot_keep_somebody_out(client, ada, app):
    """Wrong guesses from elsewhere do not use up the tries of one's own place."""
    app.web.tries.take("elsewhere", 10)
    for _ in range(20):
        app.web.name_tries.take("ada")
    assert (await sign_in(client())).status == 303


async def test_signing_in_rightly_uses_up_no_tries(client, ada):
    assert {(await sign_in(client())).status for _ in range(15)} == {303}
