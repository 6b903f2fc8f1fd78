"""The second factor: set up, asked for, lost, required; and what it does not let by."""

import asyncio
import re

import pytest

from hai import clock
from hai.core import audit
from hai.core.identity import factors, sessions, totp
from hai.core.people import admin
from hai.storage.database import execute
from tests.factories import make_user

HTML = {"Accept": "text/html"}
PASSWORD = "calm water 7"
PAGE = "/settings/second_factor"
STEP_MS = 30_000


@pytest.fixture
def time(monkeypatch):
    """`time(steps)`: Hai's clock goes on by so many half minutes."""
    ahead_ms = 0
    now_ms = clock.now_ms

    def go(steps):
        nonlocal ahead_ms
        ahead_ms += steps * STEP_MS

    monkeypatch.setattr(clock, "now_ms", lambda: now_ms() + ahead_ms)
    return go


@pytest.fixture
def ada(io_loop, core):
    return io_loop.run_sync(lambda: make_user(core, "ada", password=PASSWORD))


class App:
    """What makes codes on a phone."""

    def __init__(self, secret, codes=()):
        self.secret = secret
        self.recovery_codes = codes

    def code(self, steps=0):
        return totp.code_of(self.secret, totp.step_at(clock.now_ms()) + steps)


@pytest.fixture
def phone(io_loop, core, ada, time):
    """ada's app, set up a minute ago."""
    return io_loop.run_sync(lambda: set_up(core, ada, time))


async def set_up(core, person, time):
    app = App(totp.new_secret())
    app.recovery_codes = await factors.set_up_totp(
        core, person.id, app.secret, app.code()
    )
    time(2)
    return app


async def enter(browser, name="ada", password=PASSWORD, **fields):
    form = {"name": name, "password": password, **fields}
    return await browser.post("/sign_in", form=form, headers=HTML)


async def step(browser, code, **fields):
    return await browser.post(
        "/sign_in/code", form={"code": code, **fields}, headers=HTML
    )


async def names_of_deeds(core):
    query = "SELECT name FROM deeds ORDER BY id"
    return [name for (name,) in await core.db.read(lambda: execute(query).fetchall())]


# --- Signing in ----------------------------------------------------------------------


async def test_after_the_password_the_code_is_asked_for(client, phone):
    browser = client()
    answer = await enter(browser, next="/people?x=1")
    assert (answer.status, answer.location) == (
        303,
        "/sign_in/code?next=/people%3Fx%3D1",
    )
    assert "hai_session" not in browser.cookies
    assert (await browser.get("/rooms")).status == 401
    form = await browser.get(answer.location, headers=HTML)
    assert 'name="next" value="/people?x=1"' in form.markup
    answer = await step(browser, phone.code(), next="/people?x=1")
    assert (answer.status, answer.location) == (303, "/people?x=1")
    assert "hai_second_step" not in browser.cookies
    assert (await browser.get("/rooms")).status == 200


async def test_the_half_of_a_sign_in_is_hidden_from_scripts(client, phone):
    cookie = (await enter(client())).headers["Set-Cookie"]
    assert "hai_second_step" in cookie
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


class TestByHttps:
    @pytest.fixture
    def config_flags(self):
        return {"trusted_proxies": "127.0.0.1"}

    async def test_no_other_host_can_set_the_half_of_a_sign_in(self, client, phone):
        """With the half of somebody else one would go in as them."""
        browser, headers = client(), HTML | {"X-Forwarded-Proto": "https"}
        form = {"name": "ada", "password": PASSWORD}
        answer = await browser.post("/sign_in", form=form, headers=headers)
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-hai_second_step=") and "Secure" in cookie
        half = browser.cookies.pop("__Host-hai_second_step")
        browser.cookies["hai_second_step"] = half
        code = {"form": {"code": phone.code()}, "headers": headers}
        answer = await browser.post("/sign_in/code", **code)
        assert answer.location == "/sign_in?done=too_slow"
        browser.cookies["__Host-hai_second_step"] = half
        assert (await browser.post("/sign_in/code", **code)).location == "/"
        assert browser.cookies.keys() == {"hai_second_step", "__Host-hai_session"}


async def failures(core):
    """[(details, device)] of the wrong passwords and codes that are recorded."""
    await core.db.write(lambda tx: None)  # they are stored behind the answers
    found, _ = await audit.page(core, names={"failed_sign_in"})
    return [(row["details"], row["device"]) for row in found]


async def test_a_wrong_code_is_recorded_as_a_wrong_password_is(core, client, phone):
    browser = client()
    assert (await enter(browser, code="000 000")).status == 401
    await enter(browser)
    assert await failures(core) == [("1", "A program")]
    assert (await step(browser, "no-code")).status == 401
    assert await failures(core) == [("2", "A program")]


@pytest.mark.parametrize("what", ["begin", "codes", "off"])
async def test_so_is_one_at_a_change(core, client, ada, phone, time, what):
    time(20)
    for form in (
        {"password": PASSWORD, "code": "no-code"},
        {"password": "wrong water", "code": phone.code()},
    ):
        answer = await client(ada).post(f"{PAGE}/{what}", form=form, headers=HTML)
        assert answer.status in (401, 403)
    assert await failures(core) == [("2", "A program")]


async def test_a_wrong_password_says_nothing_of_a_second_step(client, phone):
    answer = await enter(client(), password="wrong water")
    assert answer.status == 401 and "do not match" in answer.text
    assert "Set-Cookie" not in answer.headers


async def test_a_code_works_once(client, phone):
    """Also in another browser, and also an older one that was not used."""
    code, older = phone.code(), phone.code(-1)
    for given, status in ((code, 303), (code, 401), (older, 401)):
        browser = client()
        await enter(browser)
        assert (await step(browser, given)).status == status


async def test_of_two_that_come_with_one_code_one_gets_in(client, phone):
    browsers = [client() for _ in range(4)]
    for browser in browsers:
        await enter(browser)
    code = phone.code()
    answers = await asyncio.gather(*(step(browser, code) for browser in browsers))
    assert sorted(answer.status for answer in answers) == [303, 401, 401, 401]


async def test_the_code_that_set_it_up_does_not_sign_in(core, client, ada, time):
    app = App(totp.new_secret())
    code = app.code()
    await factors.set_up_totp(core, ada.id, app.secret, code)
    browser = client()
    await enter(browser)
    assert (await step(browser, code)).status == 401


@pytest.mark.parametrize("code", ["", "000000", "x", "x" * 24, "x" * 5000, "12 34 56"])
async def test_a_wrong_code_is_said_on_its_form(client, phone, code):
    browser = client()
    await enter(browser)
    if code == phone.code() or code == phone.code(-1) or code == phone.code(1):
        return
    answer = await step(browser, code, next="/people")
    assert answer.status == 401 and 'value="/people"' in answer.text
    assert "hai_session" not in browser.cookies


async def test_codes_may_be_typed_with_spaces(client, phone):
    browser = client()
    await enter(browser)
    code = phone.code()
    assert (await step(browser, f" {code[:3]} {code[3:]} ")).status == 303


async def test_recovery_codes_work_once_each(core, client, phone):
    one, other = phone.recovery_codes[:2]
    for code, status in (
        (one, 303),
        (one, 401),
        (other.upper().replace("-", " "), 303),
    ):
        browser = client()
        await enter(browser)
        assert (await step(browser, code)).status == status
    assert (await names_of_deeds(core)).count("used_recovery_code") == 2


async def test_recovery_codes_are_nowhere_in_the_database(core, phone):
    await core.db.write(lambda tx: None)
    plain = [code.replace("-", "") for code in phone.recovery_codes]
    for file in core.config.data.iterdir():
        content = file.read_bytes() if file.is_file() else b""
        for code in phone.recovery_codes + plain:
            assert code.encode() not in content


async def test_somebody_elses_codes_are_of_no_use(core, client, phone, time):
    grace = await make_user(core, "grace", password=PASSWORD)
    app = await set_up(core, grace, time)
    browser = client()
    await enter(browser)
    for code in (app.code(), app.recovery_codes[0]):
        assert (await step(browser, code)).status == 401
    assert (await step(browser, phone.code())).status == 303


async def test_guessing_codes_is_slowed_down(app, client, phone):
    """From any address: the tries are the user's."""
    app.web.name_tries.per_second = 0  # however slow we are
    app.web.tries.is_on = False
    browser = client()
    await enter(browser)
    wrong = str((int(phone.code()) + 1) % 10**6).zfill(6)
    answers = [await step(browser, wrong) for _ in range(11)]
    assert [a.status for a in answers] == [401] * 10 + [429]
    assert (await step(browser, phone.code())).status == 429
    assert (await enter(client())).status == 303  # the password has its own tries


async def test_tries_at_codes_cannot_keep_out_whom_a_place_knows(
    app, client, ada, phone
):
    app.web.name_tries.per_second = 0
    app.web.tries.is_on = False
    await client(ada).get("/settings", headers=HTML)
    browser = client()
    await enter(browser)
    wrong = str((int(phone.code()) + 1) % 10**6).zfill(6)
    statuses = [(await step(browser, wrong)).status for _ in range(10)]
    assert statuses == [401] * 10
    assert (await step(browser, phone.code())).status == 303


@pytest.mark.parametrize("half", ["", "stolen", "A" * 120])
async def test_without_the_password_there_is_no_second_step(client, phone, half):
    browser = client()
    browser.cookies["hai_second_step"] = half
    answer = await browser.get("/sign_in/code", headers=HTML)
    assert answer.location == "/sign_in"
    answer = await step(browser, phone.code())
    assert answer.location == "/sign_in?done=too_slow"
    told = await browser.post("/sign_in/code", json={"code": phone.code()})
    assert told.code == "unauthorized"


async def test_half_a_sign_in_ends_after_ten_minutes(client, phone, time):
    browser = client()
    await enter(browser)
    time(20)
    answer = await step(browser, phone.code())
    assert answer.location == "/sign_in?done=too_slow"


async def test_half_a_sign_in_ends_with_the_password(core, client, ada, phone):
    browser = client()
    await enter(browser)
    code = await admin.make_reset(core, None, user_id=ada.id)
    await client().post(
        f"/reset/{code}", form={"password": "still water 8"}, headers=HTML
    )
    assert (await step(browser, phone.code())).location == "/sign_in?done=too_slow"


async def test_a_link_for_a_new_password_is_no_way_around(core, client, ada, phone):
    code = await admin.make_reset(core, None, user_id=ada.id)
    browser = client()
    form = {"password": "still water 8"}
    answer = await browser.post(f"/reset/{code}", form=form, headers=HTML)
    assert answer.location == "/sign_in/code?next=/"
    assert "hai_session" not in browser.cookies
    assert (await step(browser, phone.code())).location == "/"
    assert (await browser.get("/rooms")).status == 200


async def test_programs_send_the_code_too_or_afterwards(client, phone, time):
    browser = client()
    who = {"name": "ada", "password": PASSWORD}
    answer = await browser.post("/sign_in", json=who)
    assert (answer.status, answer.code) == (401, "code_needed")
    assert (
        await browser.post("/sign_in/code", json={"code": phone.code()})
    ).status == 200
    assert (await browser.get("/api/v1/me")).status == 200
    time(2)
    browser = client()
    answer = await browser.post("/sign_in", json=who | {"code": phone.code()})
    assert answer.status == 200 and "hai_session" in browser.cookies


async def test_bearer_tokens_need_no_second_step(client, ada, phone):
    assert (await client(ada, bearer=True).get("/api/v1/me")).status == 200


# --- Setting it up -------------------------------------------------------------------


def secret_on(page):
    found = re.search(r'readonly value="([A-Z2-7]{32})"', page.markup)
    return totp.from_text(found[1])


def sealed_on(page):
    return re.search(r'name="sealed" value="([^"]+)"', page.markup)[1]


async def confirm(browser, page, code, **fields):
    form = {"sealed": sealed_on(page), "code": code} | fields
    return await browser.post(f"{PAGE}/confirm", form=form, headers=HTML)


async def test_it_is_set_up_with_the_first_code_of_an_app(core, client, ada, time):
    browser = client(ada)
    page = await browser.get(PAGE, headers=HTML)
    assert "<svg" in page.text and "otpauth://totp/Hai%20127.0.0.1:ada?" in page.text
    app = App(secret_on(page))
    wrong = await confirm(browser, page, "12345")
    assert wrong.status == 400 and secret_on(wrong) == app.secret
    done = await confirm(browser, page, app.code())
    codes = re.findall(r"<code>([a-z0-9-]{29})</code>", done.text)
    assert done.status == 201 and len(set(codes)) == 8
    assert codes[0] not in (await browser.get(PAGE, headers=HTML)).text
    assert "set_up_factor" in await names_of_deeds(core)
    time(2)
    stranger = client()
    await enter(stranger)
    assert (await step(stranger, app.code())).status == 303


async def test_a_secret_that_was_only_shown_changes_nothing(client, ada):
    await client(ada).get(PAGE, headers=HTML)
    assert (await enter(client())).location == "/"


async def test_a_secret_is_of_the_session_that_was_shown_it(core, client, ada):
    page = await client(ada).get(PAGE, headers=HTML)
    other = await make_user(core, "grace")
    answer = await confirm(client(other), page, App(secret_on(page)).code())
    assert answer.status == 400 and "start again" in answer.text
    assert not (await factors.state_of(core, other.id, "member")).is_on


async def test_later_setting_it_up_wants_the_password(client, ada, time):
    time(20)
    browser = client(ada)
    page = await browser.get(PAGE, headers=HTML)
    assert "otpauth" not in page.text
    wrong = await browser.post(f"{PAGE}/begin", form={"password": "x"}, headers=HTML)
    assert wrong.status == 403 and "otpauth" not in wrong.text
    right = await browser.post(
        f"{PAGE}/begin", form={"password": PASSWORD}, headers=HTML
    )
    assert right.status == 201 and "otpauth" in right.text


async def test_who_has_no_password_signs_in_again_before_a_change(core, client, time):
    grace = await make_user(core, "grace")
    time(20)
    answer = await client(grace).post(f"{PAGE}/begin", json={})
    assert answer.code == "forbidden"


PROOF = {"password": PASSWORD, "code": "right"}


@pytest.mark.parametrize("what", ["begin", "codes", "off"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 403),
        ({"password": PASSWORD}, 401),
        ({"password": "wrong water", "code": "right"}, 403),
        ({"password": PASSWORD, "code": "123"}, 401),
        (PROOF, 0),
    ],
)
async def test_a_change_wants_the_password_and_a_code(
    core, client, ada, phone, what, given, status
):
    given = given | ({"code": phone.code()} if given.get("code") == "right" else {})
    answer = await client(ada).post(f"{PAGE}/{what}", form=given, headers=HTML)
    assert answer.status == status or (not status and answer.status < 400)
    state = await factors.state_of(core, ada.id, "member")
    assert state.is_on == (
        what != "off" or given.get("password") != PASSWORD or bool(status)
    )


async def test_turned_off_the_password_is_enough(core, client, ada, phone):
    form = {"password": PASSWORD, "code": phone.code()}
    answer = await client(ada).post(f"{PAGE}/off", form=form, headers=HTML)
    assert answer.location == "/settings?done=factor_off"
    assert (await enter(client())).location == "/"
    assert "turned_off_factor" in await names_of_deeds(core)
    again = await set_up(core, ada, lambda steps: None)
    assert len(again.recovery_codes) == 8  # the old ones are gone


async def test_new_recovery_codes_end_the_old_ones(client, ada, phone):
    form = {"password": PASSWORD, "code": phone.code()}
    answer = await client(ada).post(f"{PAGE}/codes", json=form)
    assert answer.status == 201
    browser = client()
    await enter(browser)
    assert (await step(browser, phone.recovery_codes[0])).status == 401
    assert (await step(browser, answer.json["recovery_codes"][0])).status == 303


async def test_another_app_takes_the_place_of_the_old_one(client, ada, phone, time):
    browser = client(ada)
    form = {"password": PASSWORD, "code": phone.recovery_codes[0]}
    page = await browser.post(f"{PAGE}/begin", form=form, headers=HTML)
    new = App(secret_on(page))
    answer = await confirm(browser, page, new.code())
    assert answer.location == f"{PAGE}?done=factor_on"  # recovery codes stay
    time(2)
    stranger = client()
    await enter(stranger)
    assert (await step(stranger, phone.code())).status == 401
    assert (await step(stranger, new.code())).status == 303


@pytest.mark.parametrize("what", ["begin", "codes", "off"])
async def test_wrong_codes_at_a_change_are_slowed_down(app, client, ada, phone, what):
    app.web.name_tries.per_second = 0
    app.web.tries.is_on = False
    form = {"password": PASSWORD, "code": "123"}
    browser, path = client(ada), f"{PAGE}/{what}"
    statuses = {(await browser.post(path, json=form)).status for _ in range(10)}
    assert statuses == {401}
    right = phone.code()
    answer = await browser.post(path, json=form | {"code": right})
    assert answer.status == 429
    app.web.name_tries.is_on = False  # it was not used either
    answer = await browser.post(path, json=form | {"code": right})
    assert answer.status < 400


async def test_programs_can_do_all_of_it(client, ada, time):
    browser = client(ada)
    begun = (await browser.post(f"{PAGE}/begin", json={})).json
    app = App(totp.from_text(begun["secret"]))
    form = {"sealed": begun["sealed"], "code": app.code()}
    made = await browser.post(f"{PAGE}/confirm", json=form)
    assert len(made.json["recovery_codes"]) == 8
    told = await browser.get(PAGE, headers={"Accept": "application/json"})
    state = {"totp": True, "passkeys": 0, "recovery_codes": 8, "is_required": False}
    assert told.json == {"second_factor": state}


# --- An admin helps ------------------------------------------------------------------


async def test_an_admin_turns_it_off_for_whoever_lost_it(core, client, ada, phone):
    boss = await make_user(core, "boss", role="admin")
    page = await client(boss).get(f"/admin/users/{ada.id}", headers=HTML)
    assert "second_factor/reset" in page.text
    path = f"/admin/users/{ada.id}/second_factor/reset"
    assert (await client(boss).post(path, form={}, headers=HTML)).status == 303
    assert sessions.find(core, ada.cookie) is None
    assert sessions.find(core, ada.token)
    assert (await enter(client())).location == "/"
    deeds = (await client(boss).get("/admin/deeds", headers=HTML)).markup
    assert "turned off two-step sign-in for Ada" in deeds


async def test_an_admin_does_not_touch_an_owners(core, client, time):
    owner = await make_user(core, "olga", role="owner", password=PASSWORD)
    await set_up(core, owner, time)
    boss = await make_user(core, "boss", role="admin")
    path = f"/admin/users/{owner.id}/second_factor/reset"
    assert (await client(boss).post(path, json={})).code == "forbidden"
    assert (await factors.state_of(core, owner.id, "owner")).is_on
