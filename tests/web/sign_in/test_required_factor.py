"""Where a second factor is asked for: nothing goes without, but setting it up."""

import pytest

from hai.core.identity import sessions
from hai.core.people import admin
from tests.clients import NativeSocket, Socket
from tests.factories import make_user
from tests.web.sign_in.test_second_factor import (
    HTML,
    PAGE,
    PASSWORD,
    App,
    ada,
    confirm,
    enter,
    phone,
    secret_on,
    set_up,
    time,
)

__all__ = ["ada", "phone", "time"]  # fixtures


@pytest.fixture
def config_flags(request):
    return {"second_factor": getattr(request, "param", "all")}


for_admins = pytest.mark.parametrize("config_flags", ["admins"], indirect=True)


async def test_who_has_none_can_only_set_it_up(core, client, ada, time):
    browser = client()
    assert (await enter(browser, next="/people")).location == "/people"
    for path in ("/people", "/", "/settings", "/rooms", "/sign_in", "/admin"):
        answer = await browser.get(path, headers=HTML)
        assert answer.status == 302 and answer.location in (PAGE, "/"), path
    for path in (
        "/api/v1/me",
        "/api/v1/changes?since_rev=0",
        "/metrics",
        "/pictures/1",
    ):
        assert (await browser.get(path)).code == "second_factor_needed", path
    for path in ("/rooms", "/api/v1/direct", "/settings/password", "/settings/avatar"):
        assert (await browser.post(path, json={})).code == "second_factor_needed", path
    assert (await browser.get("/healthz")).status == 200
    page = await browser.get(PAGE, headers=HTML)
    assert "First, a second step" in page.text and 'id="page"' not in page.text
    done = await confirm(browser, page, App(secret_on(page)).code())
    assert done.status == 201
    assert (await browser.get("/people", headers=HTML)).status == 200


async def test_no_socket_opens_for_whoever_has_none(core, app, ada):
    for kind in (NativeSocket, Socket):
        with pytest.raises(Exception) as refused:
            await kind().connect(app.url, cookie=ada.cookie)
        assert "403" in str(refused.value) or "403" in repr(refused.value)
    await set_up(core, ada, lambda steps: None)
    live = await NativeSocket().connect(app.url, cookie=ada.cookie)
    await live.settle()
    await live.close()


async def test_they_may_sign_out(client, ada):
    assert (await client(ada).post("/sign_out", headers=HTML)).status == 303


async def test_tokens_and_bots_go_on(core, client, ada):
    bot = await make_user(core, "robot", kind="bot")
    assert (await client(ada, bearer=True).get("/api/v1/me")).status == 200
    assert not sessions.find(core, bot.cookie).lacks_factor


async def test_it_stays_on_but_may_be_replaced(core, client, ada, phone):
    form = {"password": PASSWORD, "code": phone.code()}
    page = await client(ada).get(PAGE, headers=HTML)
    assert f"{PAGE}/off" not in page.text and f"{PAGE}/begin" in page.text
    assert (await client(ada).post(f"{PAGE}/off", json=form)).code == "forbidden"
    assert (await client(ada).post(f"{PAGE}/begin", json=form)).status == 201


@for_admins
async def test_members_are_not_asked_until_they_become_admins(core, client, ada):
    owner = await make_user(core, "olga", role="owner")
    assert sessions.find(core, owner.cookie).lacks_factor
    assert not sessions.find(core, ada.cookie).lacks_factor
    await admin.change_role(core, None, user_id=ada.id, role="admin")
    assert sessions.find(core, ada.cookie) is None  # signed in by too little
    browser = client()
    await enter(browser)
    assert (await browser.get("/people", headers=HTML)).location == PAGE


@for_admins
async def test_an_admin_with_a_second_factor_stays_signed_in(core, ada, phone):
    await admin.change_role(core, None, user_id=ada.id, role="admin")
    assert sessions.find(core, ada.cookie)
