"""What is different when the browser came by https: cookies, and what it is told.

Hai itself speaks plain HTTP; a proxy in front says how the request reached it.
"""

from http.cookies import SimpleCookie

import pytest

from hai.core.identity import cookies, sessions
from tests.clients import COOKIE, Client
from tests.factories import make_user
from tests.realtime.raw import Raw

HTML = {"Accept": "text/html"}
PASSWORD = "calm water 7"
HTTPS = {"X-Forwarded-Proto": "https"}
HOST_COOKIE = "__Host-hai_session"
HSTS = "max-age=31536000"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def ada(io_loop, core):
    return io_loop.run_sync(lambda: make_user(core, "ada", password=PASSWORD))


async def sign_in(browser, **headers):
    form = {"name": "ada", "password": PASSWORD}
    return await browser.post("/sign_in", form=form, headers=HTML | headers)


def set_cookies(answer):
    """{name: morsel} of what the answer sets."""
    found = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        found.load(line)
    return found


class TestThroughATrustedProxy:
    @pytest.fixture
    def config_flags(self):
        return {"trusted_proxies": "127.0.0.1"}

    async def test_the_session_s_cookie_is_for_this_host_and_https_only(
        self, client, ada
    ):
        browser = client()
        cookie = set_cookies(await sign_in(browser, **HTTPS))[HOST_COOKIE]
        assert cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax"
        assert cookie["path"] == "/" and not cookie["domain"]
        assert list(browser.cookies) == [HOST_COOKIE]
        assert (await browser.get("/api/v1/me", headers=HTTPS)).status == 200

    @pytest.mark.parametrize("said", ["http", "http, https", "https, http", ""])
    async def test_what_the_nearest_proxy_says_counts(self, client, ada, said):
        browser = client()
        await sign_in(browser, **{"X-Forwarded-Proto": said})
        is_https = said.endswith("https")
        assert list(browser.cookies) == [HOST_COOKIE if is_https else COOKIE]

    async def test_a_cookie_of_before_is_read_and_replaced(self, core, client, ada):
        browser = client(ada)
        assert (await browser.get("/api/v1/me", headers=HTTPS)).status == 200
        page = await browser.get("/settings", headers=HTML | HTTPS)
        assert (page.status, browser.cookies) == (200, {HOST_COOKIE: ada.cookie})
        assert set_cookies(page)[HOST_COOKIE]["secure"]
        again = await browser.get("/settings", headers=HTML | HTTPS)
        assert again.status == 200 and "Set-Cookie" not in again.headers

    async def test_the_one_for_this_host_counts_before_any_other(
        self, core, client, ada
    ):
        """Another site of the same domain can set the other name, and only that."""
        grace = await make_user(core, "grace")
        browser = client()
        browser.cookies = {COOKIE: grace.cookie, HOST_COOKIE: ada.cookie}
        me = (await browser.get("/api/v1/me", headers=HTTPS)).json["user"]
        assert me["name"] == "ada"

    async def test_signing_out_takes_it_away(self, core, client, ada):
        browser = client()
        await sign_in(browser, **HTTPS)
        token = browser.cookies[HOST_COOKIE]
        answer = await browser.post("/sign_out", headers=HTML | HTTPS)
        assert set_cookies(answer)[HOST_COOKIE]["secure"]  # or browsers ignore it
        assert browser.cookies == {} and sessions.find(core, token) is None

    @pytest.mark.parametrize("path", ["/socket.io/?EIO=4&transport=polling", "/ws"])
    async def test_sockets_take_it_too(self, app, cast, path):
        asked = HTTPS if "polling" in path else HTTPS | UPGRADE
        for token, statuses in ((cast.ada.cookie, (200, 101)), ("stolen", (401,))):
            line = await Raw.open(app.port)
            headers = asked | {"Cookie": f"{HOST_COOKIE}={token}"}
            await line.request("GET", path, headers)
            assert line.status in statuses
            line.close()

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/sign_in", 200),
            ("GET", "/", 302),
            ("GET", "/nowhere", 404),
            ("GET", "/rooms", 401),
            ("GET", "/healthz", 200),
            ("DELETE", "/rooms", 405),
            ("POST", "/sign_in", 400),
            ("GET", "/static/js/app.js", 200),
            ("GET", "/static/nothing", 404),
            ("GET", "/socket.io/?EIO=4&transport=polling", 200),
            ("GET", "/socket.io/?EIO=1", 400),
            ("GET", "/socket.io/?EIO=4&transport=websocket", 101),
            ("GET", "/ws", 101),
        ],
    )
    async def test_every_answer_says_to_use_nothing_else(
        self, app, cast, method, path, status
    ):
        more = {"Content-Type": "application/json"}
        if status == 101:
            more = UPGRADE | {"Cookie": f"{COOKIE}={cast.ada.cookie}"}
        for said, hsts in (("http", None), ("https", HSTS)):
            line = await Raw.open(app.port)
            headers = {"X-Forwarded-Proto": said} | more
            await line.request(method, path, headers, b"{" if method == "POST" else b"")
            assert line.status == status
            assert line.headers.get("strict-transport-security") == hsts
            line.close()


class TestBehindAnAddress:
    @pytest.fixture
    def config_flags(self):
        return {"public_url": "https://hai.example"}

    async def test_without_a_proxy_s_word_the_public_address_says_it(self, app):
        line = await Raw.open(app.port)
        await line.request("GET", "/sign_in", host="hai.example")
        assert line.headers["strict-transport-security"] == HSTS
        await line.request("GET", "/healthz", host="127.0.0.1")
        assert "strict-transport-security" not in line.headers
        line.close()


async def test_a_proxy_that_is_not_trusted_is_not_believed(client, ada):
    browser = client()
    answer = await sign_in(browser, **HTTPS)
    assert list(browser.cookies) == [COOKIE]
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize(
    ("setting", "hsts"), [("off", None), ("subdomains", f"{HSTS}; includeSubDomains")]
)
class TestSaid:
    @pytest.fixture
    def config_flags(self, setting):
        return {"trusted_proxies": "127.0.0.1", "hsts": setting}

    async def test_the_operator_says_how_much(self, app, hsts):
        browser = Client(app.url)
        answer = await browser.get("/sign_in", headers=HTTPS)
        assert answer.headers.get("Strict-Transport-Security") == hsts
        browser.close()


def test_below_a_path_the_prefix_promises_less():
    assert cookies.full_name("hai_session", True, "/chat") == "__Secure-hai_session"
    assert cookies.full_name("hai_session", False, "/chat") == "hai_session"
