"""What the log says of requests: from whom they are, and of pages that do not fit."""

import logging

import pytest

from hai.core import origin

ENGINE = "/socket.io/?EIO=4&transport=polling"
NOTHING = "/nowhere/"


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda name: [r.getMessage() for r in caplog.records if r.name == name]


class TestAddresses:
    @pytest.fixture(params=["127.0.0.1", "192.0.2.1"])
    def trusted(self, request):
        return request.param

    @pytest.fixture
    def config_flags(self, trusted):
        return {"trusted_proxies": trusted}

    @pytest.mark.parametrize("path", [NOTHING, "/static/nothing.css", "/ws", ENGINE])
    async def test_the_access_log_names_the_client_and_not_the_proxy(
        self, client, lines, trusted, path
    ):
        headers = {"X-Forwarded-For": "9.9.9.9, 198.51.100.7"}
        await client().get(f"{path}&EIO=1" if "?" in path else path, headers=headers)
        (line,) = lines("tornado.access")
        is_believed = trusted == "127.0.0.1"
        assert ("(198.51.100.7)" if is_believed else "(127.0.0.1)") in line


class TestMisfits:
    @pytest.fixture(autouse=True)
    def misfits(self, monkeypatch):
        found = origin.Misfits()
        monkeypatch.setattr(origin, "misfits", found)
        monkeypatch.setattr("hai.web.http.base.misfits", found)
        return found

    async def refused(self, client, path, headers):
        browser = client()
        ask = browser.get if path == ENGINE else browser.post
        assert (await ask(path, headers=headers)).status == 403

    @pytest.mark.parametrize("path", [ENGINE, "/sign_in"])
    async def test_a_page_that_does_not_fit_is_told_once_with_both_places(
        self, client, app, lines, misfits, path
    ):
        headers = {"Origin": "https://hai.example.org"}
        for _ in range(3):
            await self.refused(client, path, headers)
        (line,) = lines("hai.core.origin")
        assert "'https://hai.example.org'" in line
        assert f"'http://127.0.0.1:{app.port}'" in line
        assert "--public-url" in line
        misfits._say_at_s = 0.0  # a minute later
        await self.refused(client, path, headers)
        assert len(lines("hai.core.origin")) == 2

    @pytest.mark.parametrize("path", [ENGINE, "/sign_in"])
    async def test_another_site_is_no_fault_of_the_configuration(
        self, client, lines, path
    ):
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        await self.refused(client, path, foreign)
        assert lines("hai.core.origin") == []

    async def test_what_somebody_sends_is_shown_in_parts_and_in_ascii(
        self, client, lines
    ):
        await self.refused(client, ENGINE, {"Origin": "http://\xe9\x9b" + "x" * 5000})
        (line,) = lines("hai.core.origin")
        assert line.isascii()
        assert len(line) < 1000
