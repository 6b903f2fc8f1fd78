"""The first owner, joining by invitation, and one's own settings."""

import dataclasses

import pytest

from hai import clock
from hai.core.identity import invites, sessions
from hai.core.people import accounts, admin
from tests.factories import make_user

HTML = {"Accept": "text/html"}
PASSWORD = "calm water 7"
FORM = {"name": "ada", "display_name": "Ada L.", "password": PASSWORD}


async def set_up(browser, headers=None, **fields):
    headers = HTML | (headers or {})
    return await browser.post("/setup", form=FORM | fields, headers=headers)


async def test_the_operator_sets_up_from_this_machine(core, client):
    browser = client()
    assert (await browser.get("/setup", headers=HTML)).status == 200
    assert (await set_up(browser)).location == "/"
    first_page = await browser.get((await browser.get("/")).location, headers=HTML)
    assert first_page.status == 200 and "Everyone" in first_page.text
    assert not accounts.needs_set_up(core)


async def test_setting_up_is_done_once(client):
    await set_up(client())
    for answer in (
        await client().get("/setup"),
        await client().post("/setup", json=FORM),
    ):
        assert answer.code == "not_found"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "hai.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_from_elsewhere_the_token_is_needed(core, client, headers):
    assert 'name="token"' in (await client().get("/setup", headers=HTML | headers)).text
    for token in ("", "wrong"):
        answer = await set_up(client(), headers, token=token)
        assert answer.status == 403 and accounts.needs_set_up(core)
    assert (await set_up(client(), headers, token=core.set_up_token)).status == 303


async def test_the_token_comes_with_the_link(core, client):
    path = f"/setup?token={core.set_up_token}"
    answer = await client().get(path, headers=HTML | {"Host": "hai.example"})
    assert core.set_up_token in answer.text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "two words"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"display_name": "x" * 41}, "display_name"),
        ({"display_name": "bell\x07"}, "display_name"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"password": "letmein1"}, "password"),
        ({"password": "lovelace42", "display_name": "Ada Lovelace"}, "password"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_is_kept(client, fields, field):
    answer = await set_up(client(), **fields)
    assert answer.status == 400
    assert PASSWORD not in answer.text
    program = await client().post("/setup", json=FORM | fields)
    assert program.code == "bad_request"
    assert program.json["error"]["details"]["field"] == field


@pytest.fixture
def ada(io_loop, core):
    person = make_user(core, "ada", role="owner", password=PASSWORD)
    return io_loop.run_sync(lambda: person)


async def test_joining_by_invitation(core, client, ada):
    code = await invites.create(core, ada.id)
    browser = client()
    assert (await browser.get(f"/join/{code}", headers=HTML)).status == 200
    form = {"name": "grace", "display_name": "Grace", "password": PASSWORD}
    assert (
        await browser.post(f"/join/{code}", form=form, headers=HTML)
    ).location == "/"
    me = (await browser.get("/api/v1/me")).json["user"]
    assert (me["name"], me["role"]) == ("grace", "member")


async def test_a_taken_name_is_said_on_the_form(core, client, ada):
    code = await invites.create(core, ada.id)
    form = {"name": "ADA", "display_name": "Another", "password": PASSWORD}
    answer = await client().post(f"/join/{code}", form=form, headers=HTML)
    assert answer.status == 400 and "taken" in answer.text and "Another" in answer.text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/join/wrong", "Ask for a new one"),
        ("/join", "Joining needs an invite"),
        ("/join/" + "x" * 64, "Ask for a new one"),
    ],
)
async def test_without_an_invitation_nobody_joins(client, ada, path, words):
    form = {"name": "eve", "display_name": "Eve", "password": PASSWORD}
    assert (await client().get(path)).code == "not_found"
    assert (await client().post(path, form=form)).code == "not_found"
    page = (await client().get(path, headers=HTML)).markup
    assert words in page
    assert "only for others to see" not in page


async def test_only_admins_invite(core, client, ada):
    grace = await make_user(core, "grace")
    answer = await client(ada).post("/invites", json={})
    assert answer.status == 201
    assert "/join/" in answer.json["url"]
    page = await client(ada).post("/invites", headers=HTML)
    assert "/join/" in page.text
    assert (await client(grace).post("/invites", json={})).code == "forbidden"


class TestOpen:
    @pytest.fixture
    def config_flags(self):
        return {"sign_up": "open"}

    async def test_anybody_joins(self, client, ada):
        form = {"name": "eve", "display_name": "", "password": PASSWORD}
        assert "/join" in (await client().get("/sign_in", headers=HTML)).text
        assert (await client().get("/join", headers=HTML)).status == 200
        assert (await client().post("/join", form=form)).status == 303


class TestClosed:
    @pytest.fixture
    def config_flags(self):
        return {"sign_up": "closed"}

    async def test_nobody_joins(self, core, client, ada):
        code = await invites.create(core, ada.id)
        for path in ("/join", f"/join/{code}"):
            assert (await client().get(path)).status in (403, 404)
        assert (await client(ada).post("/invites", json={})).code == "forbidden"


async def test_the_display_name_is_changed(client, ada):
    answer = await client(ada).post(
        "/settings", form={"display_name": "Countess"}, headers=HTML
    )
    assert answer.location == "/settings?done=saved"
    assert (await client(ada).get("/api/v1/me")).json["user"][
        "display_name"
    ] == "Countess"
    assert (
        await client(ada).post("/settings", json={"display_name": ""})
    ).code == "bad_request"


async def test_the_password_is_changed_and_other_sessions_end(core, client, ada):
    other = await sessions.start(core, ada.id, "browser", "Phone/1.0")
    form = {"old_password": PASSWORD, "password": "deep water 8"}
    answer = await client(ada).post("/settings/password", form=form, headers=HTML)
    assert answer.location == "/settings?done=password"
    assert sessions.find(core, other) is None
    old, new = [
        await client().post("/sign_in", json={"name": "ada", "password": word})
        for word in (PASSWORD, "deep water 8")
    ]
    assert (old.status, new.status) == (401, 200)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("wrong", "deep water 8", "forbidden"), (PASSWORD, "short", "bad_request")],
)
async def test_a_wrong_change_of_password_changes_nothing(client, ada, old, new, code):
    form = {"old_password": old, "password": new}
    assert (await client(ada).post("/settings/password", json=form)).code == code
    page = await client(ada).post("/settings/password", form=form, headers=HTML)
    assert page.status in (400, 403)
    assert old not in page.text and "deep water" not in page.text


async def test_the_log_holds_no_token_and_no_invitation(core, client, ada, caplog):
    caplog.set_level("INFO")
    code = await invites.create(core, ada.id)
    await client().get(f"/join/{code}?token=secret-token", headers=HTML)
    await client().get("/setup?token=secret-token")
    assert "GET /join/***" in caplog.text
    assert code not in caplog.text and "secret-token" not in caplog.text


class TestBeforeThereIsAnOwner:
    async def test_every_way_in_leads_to_the_set_up(self, client):
        for path in ("/", "/sign_in"):
            assert (await client().get(path, headers=HTML)).location == "/setup"

    @pytest.mark.parametrize("sign_up", ["open", "invite"])
    async def test_a_stranger_who_was_faster_locks_nobody_out(
        self, core, client, sign_up
    ):
        core.config = dataclasses.replace(core.config, sign_up=sign_up)
        path = "/join"
        if sign_up == "invite":
            path += "/" + await invites.create(core, None)
        joined = await client().post(path, form=FORM | {"name": "mallory"})
        assert joined.status == 303
        page = await client().get("/sign_in", headers=HTML)
        assert 'href="/setup"' in page.text
        assert (await set_up(client())).location == "/"
        assert not accounts.needs_set_up(core)
        assert 'href="/setup"' not in (await client().get("/sign_in")).text


EASY = "Too easy to guess. Four unrelated words would do."


async def test_a_password_that_is_easy_to_guess_is_refused_on_every_form(
    core, client, ada
):
    """Setting up, above, apart: it is done once."""
    invite = await invites.create(core, ada.id)
    reset = await admin.make_reset(core, ada.identity, user_id=ada.id)
    joining = {"name": "grace", "display_name": "Grace"}
    for who, path, form in (
        (None, f"/join/{invite}", joining | {"password": "grace1906"}),
        (None, f"/reset/{reset}", {"password": "qwertyuiop"}),
        (ada, "/settings/password", {"old_password": PASSWORD, "password": "ada12345"}),
    ):
        page = await client(who).post(path, form=form, headers=HTML)
        assert page.status == 400 and EASY in page.text
        program = await client(who).post(path, json=form)
        assert program.code == "bad_request"
        assert program.json["error"]["message"] == EASY
        assert program.json["error"]["details"] == {"field": "password"}
    old = {"name": "ada", "password": PASSWORD}
    assert (await client().post("/sign_in", json=old)).status == 200


async def test_the_old_password_is_not_guessed_from_an_open_browser(
    app, client, ada, monkeypatch
):
    """Ten tries and then one in three minutes; easy new ones are none."""
    now_s = [clock.monotonic_s()]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    app.web.tries.burst = 100  # of the address

    async def change(old, new="deep water 8"):
        form = {"old_password": old, "password": new}
        return await client(ada).post("/settings/password", json=form)

    for _ in range(12):
        assert (await change(PASSWORD, "password1")).code == "bad_request"
    codes = [(await change(f"guess {n}")).code for n in range(12)]
    assert codes == ["forbidden"] * 10 + ["rate_limited"] * 2
    refused = await change(PASSWORD)
    assert "in 3 minutes" in refused.json["error"]["message"]
    in_form = {"name": "ada", "password": PASSWORD}
    assert (await client().post("/sign_in", json=in_form)).status == 200
    now_s[0] += 181
    assert (await change(PASSWORD)).status == 200


@pytest.fixture
def watched(core, socket, ws, ada):
    """Ada's browser, her program, and somebody else's of either: all connected."""

    async def connect():
        grace = await make_user(core, "grace")
        bot = await make_user(core, "robot", kind="bot")
        others = [await socket(grace), await ws(grace), await ws(bot)]
        return await socket(ada), await ws(ada), others

    return connect


async def test_a_new_password_ends_the_programs_and_their_sockets(
    core, client, ada, watched
):
    """But not the browser that asks, nor anybody else's, bots included."""
    browser, program, others = await watched()
    form = {"old_password": PASSWORD, "password": "deep water 8"}
    assert (await client(ada).post("/settings/password", json=form)).status == 200
    await program.fact("session_ended")
    await program.closed.wait()
    assert (await client(ada, bearer=True).get("/api/v1/me")).status == 401
    assert (await client(ada).get("/api/v1/me")).status == 200
    for one in (browser, *others):
        await one.settle()
        assert not one.named("session_ended") and not one.closed.is_set()


async def test_a_link_for_a_new_password_ends_everything_of_its_user(
    core, client, ada, watched
):
    browser, program, others = await watched()
    code = await admin.make_reset(core, ada.identity, user_id=ada.id)
    form = {"password": "deep water 8"}
    assert (await client().post(f"/reset/{code}", json=form)).status == 200
    for one in (browser, program):
        await one.fact("session_ended")
        await one.closed.wait()
    assert (await client(ada, bearer=True).get("/api/v1/me")).status == 401
    for one in others:
        await one.settle()
        assert not one.named("session_ended") and not one.closed.is_set()


async def test_a_refused_change_of_password_ends_nothing(client, ada, watched):
    browser, program, _ = await watched()
    for old, new in ((PASSWORD, "password1"), ("wrong", "deep water 8")):
        form = {"old_password": old, "password": new}
        answer = await client(ada).post("/settings/password", json=form)
        assert answer.status in (400, 403)
    for one in (browser, program):
        await one.settle()
        assert not one.named("session_ended") and not one.closed.is_set()


async def test_a_program_that_changes_the_password_stays_signed_in(core, client, ada):
    form = {"old_password": PASSWORD, "password": "deep water 8"}
    program = client(ada, bearer=True)
    assert (await program.post("/settings/password", json=form)).status == 200
    assert (await program.get("/api/v1/me")).status == 200
    assert sessions.find(core, ada.cookie) is None
