"""Which hosts Hai is reached at, and where the links lead that it makes."""

import socket

import pytest

from hai.core.people.links import is_this_machine
from hai.storage.database import execute
from tests.realtime.raw import Raw

HTML = {"Accept": "text/html"}
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def code_of(answer):
    return answer.json["error"]["code"]


class Asker:
    """Requests of ada's with any Host, each on a connection of its own."""

    def __init__(self, app, cast):
        self.app, self.token = app, cast.ada.token

    async def __call__(self, host, path="/api/v1/me", method="GET", **headers):
        line = await Raw.open(self.app.port)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = {"Authorization": f"Bearer {self.token}"}
        await line.request(method, path, bearer | named, host=host)
        line.close()
        return line


@pytest.fixture
def ask(app, cast):
    return Asker(app, cast)


class TestWithAPublicUrl:
    @pytest.fixture
    def config_flags(self):
        return {"public_url": "https://hai.example", "allowed_hosts": "hai.local"}

    @pytest.mark.parametrize("host", ["hai.example", "HAI.example:443", "hai.local:1"])
    async def test_its_own_hosts_are_served(self, ask, host):
        assert (await ask(host)).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            *("evil.example", "127.0.0.1", "localhost:8888", "hai.example.evil", "["),
            *("hai.example:444", ""),
        ],
    )
    async def test_any_other_is_refused(self, ask, host):
        refused = await ask(host or " ")
        assert (refused.status, code_of(refused)) == (421, "misdirected")

    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("POST", "/invites", {}),
            ("GET", "/static/js/app.js", {}),
            ("GET", "/nowhere", {}),
            ("GET", "/socket.io/?EIO=4&transport=polling", {}),
            ("GET", "/socket.io/?EIO=4&transport=websocket", UPGRADE),
            ("GET", "/ws", UPGRADE),
            ("POST", "/sign_in", HTML),
            # Not a path, though a page is asked for: where would that be?
            ("GET", "http://evil.example/", HTML),
            ("GET", "@evil.example/", HTML),
        ],
    )
    async def test_whatever_is_asked_for(self, ask, method, path, headers):
        refused = await ask("evil.example", path, method, **headers)
        assert refused.status == 421
        assert "location" not in refused.headers

    async def test_whoever_wants_a_page_is_sent_there(self, ask):
        sent = await ask("127.0.0.1:8888", "/rooms/1?around=2", **HTML)
        assert sent.status == 307
        assert sent.headers["location"] == "https://hai.example/rooms/1?around=2"

    async def test_health_checks_come_by_address(self, ask):
        for path in ("/healthz", "/metrics"):
            assert (await ask("127.0.0.1:8888", path)).status == 200

    @pytest.mark.parametrize(
        ("host", "page", "status"),
        [
            ("hai.example", "https://hai.example", 201),
            ("hai.local", "http://hai.local", 201),
            ("hai.local", "https://evil.example", 403),
            ("hai.local", "http://hai.example", 403),
        ],
    )
    async def test_each_host_is_the_origin_of_its_own_pages(
        self, ask, host, page, status
    ):
        answer = await ask(host, "/invites", "POST", Origin=page, **JSON)
        assert answer.status == status

    async def test_links_lead_to_the_public_one(self, ask):
        made = await ask("hai.local", "/invites", "POST", **JSON)
        assert made.json["url"].startswith("https://hai.example/join/")


JSON = {"Accept": "application/json"}


class TestBehindATrustedProxy:
    @pytest.fixture
    def config_flags(self):
        return {"public_url": "https://hai.example", "trusted_proxies": "127.0.0.1"}

    @pytest.mark.parametrize("host", ["hai:8888", "127.0.0.1:8888", "[::1]:8888"])
    async def test_it_may_use_a_name_that_only_the_two_know(self, ask, host):
        assert (await ask(host)).status == 200

    @pytest.mark.parametrize(
        ("host", "forwarded", "status"),
        [
            ("hai:8888", "hai.example", 200),
            ("hai:8888", "evil.example, hai.example", 200),
            ("hai:8888", "evil.example", 421),
            ("hai.example", "evil.example", 421),
        ],
    )
    async def test_what_it_was_asked_for_counts(self, ask, host, forwarded, status):
        asked = await ask(host, X_Forwarded_Host=forwarded)
        assert asked.status == status

    async def test_a_name_of_the_internet_is_none_of_theirs(self, ask):
        assert (await ask("evil.example")).status == 421


MADE = ["127.0.0.1:8888", "localhost", "[::1]:8888", "127.9.9.9", "hai.local:8888"]
NOT_MADE = [
    *("evil.example", "192.0.2.1:8888", "0.0.0.0:8888", "224.0.0.1", "[2001:db8::1]"),
    *("localhost.evil.example", "127.0.0.1.evil.example"),
    *("127.0.0.1:99999", "2130706433"),
]


class TestWithoutAPublicUrl:
    @pytest.fixture
    def config_flags(self):
        return {"allowed_hosts": "hai.local, 192.168.1.5"}

    @pytest.mark.parametrize("host", MADE)
    async def test_links_are_made_at_addresses_that_are_ours(self, ask, cast, host):
        invite = await ask(host, "/invites", "POST", **JSON)
        assert invite.json["url"].startswith(f"http://{host}/join/")
        path = f"/admin/users/{cast.grace.id}/reset"
        reset = await ask(host, path, "POST", **JSON)
        assert reset.json["url"].startswith(f"http://{host}/reset/")

    @pytest.mark.parametrize("host", NOT_MADE)
    async def test_and_at_no_other(self, core, ask, cast, host):
        paths = ("/invites", f"/admin/users/{cast.grace.id}/reset")
        for path in paths:
            refused = await ask(host, path, "POST", **JSON)
            assert (refused.status, code_of(refused)) == (421, "misdirected")
        for table in ("invites", "password_resets"):
            count = await core.db.read(
                lambda table=table: execute(f"SELECT count(*) FROM {table}").fetchone()
            )
            assert count == (0,)

    async def test_the_pages_say_what_is_missing(self, client, cast):
        browser = client(cast.ada)
        for path in ("/people", f"/admin/users/{cast.grace.id}"):
            for host, is_known in (("evil.example", False), ("hai.local", True)):
                page = await browser.get(path, headers=HTML | {"Host": host})
                assert ("--public-url" not in page.text) is is_known
                assert ("link" in page.text.split("<main")[1]) is True
        refused = await browser.post("/invites", headers=HTML | {"Host": "evil"})
        assert refused.status == 421 and "public_url" in refused.text

    async def test_a_forwarded_host_is_nothing_without_trust(self, ask):
        made = await ask("hai.local", "/invites", "POST", X_Forwarded_Host="x", **JSON)
        assert made.json["url"].startswith("http://hai.local/join/")


class TestBehindAProxyWithoutAPublicUrl:
    @pytest.fixture
    def config_flags(self):
        return {"trusted_proxies": "127.0.0.1", "allowed_hosts": "hai.example"}

    async def test_links_have_what_the_proxy_was_asked_for(self, ask):
        headers = JSON | {"X_Forwarded_Proto": "https"}
        for host, status in (("hai.example", 201), ("evil.example", 421)):
            forwarded = headers | {"X_Forwarded_Host": host}
            made = await ask("127.0.0.1:8888", "/invites", "POST", **forwarded)
            assert made.status == status
            if status == 201:
                assert made.json["url"].startswith("https://hai.example/join/")


def test_addresses_of_this_machine_are_told_from_others():
    """A datagram socket that is connected has an address of ours; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        has_network = probe.connect_ex(("192.0.2.1", 9)) == 0
        own = probe.getsockname()[0] if has_network else "127.0.0.1"
    assert is_this_machine(own) and not is_this_machine("192.0.2.1")
