"""The audit log as people and admins see it, and security.txt."""

import pytest

from hai.core import audit
from hai.core.identity import passwords
from tests.clients import Client
from tests.factories import make_user

HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
PASSWORD = "calm water 7"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HOME, CAFE = "203.0.113.1", "2001:db8:1:2::77"


@pytest.fixture
def config_flags():
    return {"trusted_proxies": "127.0.0.1", "allowed_hosts": "hai.local"}


@pytest.fixture
def ada(io_loop, core):
    return io_loop.run_sync(
        lambda: make_user(core, "ada", role="owner", password=PASSWORD)
    )


@pytest.fixture
def grace(io_loop, core):
    return io_loop.run_sync(lambda: make_user(core, "grace", password=PASSWORD))


def at(address, agent=FIREFOX):
    return {"X-Forwarded-For": address, "User-Agent": agent}


async def try_password(client, address, password, name="grace", agent=FIREFOX):
    form = {"name": name, "password": password}
    return await client().post("/sign_in", json=form, headers=at(address, agent))


async def deeds(browser, path="/settings/history"):
    """What was done since the accounts were made, oldest first."""
    found = (await browser.get(path, headers=JSON)).json["deeds"]
    made_by_factories = [row for row in found if "device" not in row]
    rest = [row for row in found if row not in made_by_factories]
    return rest[::-1]


def told(rows):
    return [(row["name"], row["address"], row["device"]) for row in rows]


async def test_everybody_sees_who_came_in_and_who_tried(core, client, grace):
    """Also the whole address of somebody who has a /64."""
    await try_password(client, HOME, PASSWORD)
    for _ in range(3):
        await try_password(client, CAFE, "wrong water", agent="curl/8")
    await try_password(client, HOME, "wrong water")
    await core.db.write(lambda tx: None)  # failures are stored behind the answers
    rows = await deeds(client(grace))
    assert told(rows) == [
        ("signed_in", HOME, "Firefox on Linux"),
        ("failed_sign_in", CAFE, "curl"),
        ("failed_sign_in", HOME, "Firefox on Linux"),
    ]
    assert [row.get("details") for row in rows] == [None, "3", "1"]
    page = (await client(grace).get("/settings/history", headers=HTML)).markup
    assert "<b>Somebody</b> tried a wrong password or code for you (3×)" in page
    assert "<b>You</b> signed in" in page and CAFE in page


async def test_what_is_done_with_one_s_account_is_there(core, client, grace):
    browser = client(grace)
    await browser.post(
        "/settings/tokens",
        json={"name": "Weather", "scope": "read", "days": 1},
        headers=at(HOME),
    )
    (made,) = [
        one
        for one in (await browser.get("/api/v1/me/tokens")).json["tokens"]
        if one["name"] == "Weather"
    ]
    path = f"/api/v1/me/tokens/{made['id']}"
    await browser.request("DELETE", path, headers=at(HOME))
    for old in ("wrong water", PASSWORD):
        new = {"old_password": old, "password": "calm sea 88"}
        await browser.post("/settings/password", json=new, headers=at(CAFE))
    await core.db.write(lambda tx: None)
    rows = await deeds(browser)
    names = [row["name"] for row in rows if row["name"] != "failed_sign_in"]
    # A new password ends the others: grace's bearer token.
    assert names[:2] == ["made_own_token", "ended_token"]
    assert names[2:] == ["ended_token", "changed_password"]
    assert rows[0]["details"] == rows[1]["details"] == "Weather"
    assert "failed_sign_in" in [row["name"] for row in rows]


async def test_what_admins_do_is_seen_by_both_and_from_where_only_by_admins(
    client, ada, grace
):
    owner = client(ada)
    path = f"/admin/users/{grace.id}/role"
    await owner.post(path, json={"role": "admin"}, headers=at(HOME))
    (seen,) = [
        row
        for row in (await client(grace).get("/settings/history", headers=JSON)).json[
            "deeds"
        ]
        if row["name"] == "changed_role"
    ]
    assert (seen["actor"], seen["details"]) == ("Ada", "an admin")
    assert "address" not in seen and "device" not in seen
    rows = await deeds(owner, "/admin/deeds?kind=acts")
    assert told(rows) == [("changed_role", HOME, "Firefox on Linux")]
    assert (await deeds(owner))[-1]["address"] == HOME  # her own deed


async def test_nobody_sees_what_is_not_theirs(core, client, ada, grace):
    await try_password(client, HOME, PASSWORD, name="ada")
    await try_password(client, CAFE, "wrong water", name="ada")
    await core.db.write(lambda tx: None)
    assert len(await deeds(client(ada))) == 2
    assert await deeds(client(grace)) == []
    assert (await client(grace).get("/admin/deeds")).code == "forbidden"


async def test_admins_find_what_they_look_for(core, client, ada, grace):
    await try_password(client, HOME, PASSWORD)
    await try_password(client, HOME, PASSWORD, name="ada")
    browser = client(ada)
    await browser.post("/invites", headers=at(HOME) | {"Host": "hai.local"})
    acts = await deeds(browser, "/admin/deeds?kind=acts")
    access = await deeds(browser, f"/admin/deeds?kind=access&user_id={grace.id}")
    assert [row["name"] for row in acts] == ["made_invite"]
    assert [(row["name"], row["user"]) for row in access] == [("signed_in", "Grace")]
    assert (await browser.get("/admin/deeds?kind=x")).code == "bad_request"
    path = f"/admin/deeds?kind=access&user_id={grace.id}"
    page = (await browser.get(path, headers=HTML)).markup
    assert HOME in page and "Only what" in page


async def test_a_stranger_s_name_is_no_record(core, client, grace):
    before = await audit.page(core)
    await try_password(client, HOME, "wrong water", name="nobody")
    await core.db.write(lambda tx: None)
    assert await audit.page(core) == before


async def test_a_password_that_was_not_looked_at_is_no_failure(core, client, grace):
    core.hashes_waiting = passwords.MAX_WAITING
    assert (await try_password(client, HOME, "wrong water")).status == 429
    core.hashes_waiting = 0
    await core.db.write(lambda tx: None)
    assert await deeds(client(grace)) == []


async def test_the_history_comes_in_pages(core, client, grace, monkeypatch):
    for number in range(audit.PAGE_LIMIT + 3):
        await try_password(client, f"198.51.100.{number}", PASSWORD)
    browser = client(grace)
    first = (await browser.get("/settings/history", headers=JSON)).json
    last = first["deeds"][-1]["id"]
    rest = (await browser.get(f"/settings/history?before={last}", headers=JSON)).json
    assert first["has_more"] and not rest["has_more"]
    ids = [row["id"] for row in first["deeds"] + rest["deeds"]]
    assert ids == sorted(set(ids), reverse=True)
    page = await browser.get("/settings/history", headers=HTML)
    assert f"before={last}" in page.text


# --- security.txt --------------------------------------------------------------------

TEXT = "/.well-known/security.txt"


async def test_without_a_contact_there_is_no_security_txt(client):
    assert (await client().get(TEXT)).status == 404


class TestWithAContact:
    @pytest.fixture
    def config_flags(self):
        return {
            "security_contact": "mailto:ada@example.org",
            "public_url": "https://hai.example",
        }

    async def test_whom_to_tell_is_said(self, app):
        browser = Client(f"http://127.0.0.1:{app.port}")
        answer = await browser.get(TEXT, headers={"Host": "hai.example"})
        browser.close()
        assert answer.headers["Content-Type"].startswith("text/plain")
        lines = dict(line.split(": ", 1) for line in answer.text.splitlines())
        assert lines["Contact"] == "mailto:ada@example.org"
        assert lines["Canonical"] == f"https://hai.example{TEXT}"
        assert lines["Expires"].endswith("T00:00:00Z")
