"""Passkeys on the wire: added, used, removed; and all that must not sign anybody in."""

import asyncio
import copy
import json

import pytest

from hai.core.identity import sessions
from hai.core.people import admin
from hai.storage.database import execute
from tests.authenticators import PRESENT, Device, raw, text
from tests.factories import make_user
from tests.web.sign_in.test_required_factor import for_admins
from tests.web.sign_in.test_second_factor import (
    HTML,
    PAGE,
    PASSWORD,
    ada,
    enter,
    names_of_deeds,
    step,
    time,
)

__all__ = ["ada", "time"]  # fixtures
HOST = {"Host": "hai.example"}
ORIGIN = "http://hai.example"


@pytest.fixture
def config_flags(request):
    return {"second_factor": getattr(request, "param", "off")}


@pytest.fixture
def device():
    return Device(ORIGIN, "hai.example")


async def options_to_add(browser, **fields):
    path = "/settings/passkeys/options"
    answer = await browser.post(path, json=fields, headers=HOST)
    return answer.json["create"]


async def add(browser, device, name="Phone", **fields):
    made = device.create(await options_to_add(browser, **fields))
    return await send(browser, made, name)


async def send(browser, made, name="Phone"):
    form = {"credential": made, "name": name}
    return await browser.post("/settings/passkeys", json=form, headers=HOST)


async def options_to_sign_in(browser):
    answer = await browser.post("/sign_in/passkey/options", json={}, headers=HOST)
    return answer.json["get"]


async def use(browser, signed):
    path, form = "/sign_in/passkey", {"credential": signed}
    return await browser.post(path, json=form, headers=HOST)


async def sign_in(browser, device):
    return await use(browser, device.get(await options_to_sign_in(browser)))


@pytest.fixture
def added(io_loop, client, ada, device):
    """ada's device, whose passkey is added, and her recovery codes."""
    answer = io_loop.run_sync(lambda: add(client(ada), device))
    device.recovery_codes = answer.json["recovery_codes"]
    return device


async def test_a_passkey_signs_in_without_the_password(core, client, ada, device):
    answer = await add(client(ada), device)
    assert answer.status == 201 and len(answer.json["recovery_codes"]) == 8
    browser = client()
    assert (await sign_in(browser, device)).status == 200
    assert (await browser.get("/api/v1/me")).json["user"]["id"] == ada.id
    assert "added_passkey" in await names_of_deeds(core)


async def test_the_browser_is_asked_for_a_finger_and_for_this_site(client, ada):
    asked = await options_to_add(client(ada))
    assert asked["rp"]["id"] == "hai.example"
    chosen = asked["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required",) * 2
    assert "ada" not in str(raw(asked["user"]["id"]))
    wanted = await options_to_sign_in(client())
    assert wanted["rpId"] == "hai.example"
    assert wanted["userVerification"] == "required"
    assert len(raw(wanted["challenge"])) > 32


async def test_the_password_alone_is_not_enough_then(client, added):
    browser = client()
    assert (await enter(browser)).location == "/sign_in/code?next=/"
    page = await browser.get("/sign_in/code", headers=HTML)
    assert "Recovery code" in page.markup and "/sign_in/passkey" in page.text
    assert (await step(browser, added.recovery_codes[0])).status == 303


async def test_a_passkey_is_the_second_step_too(client, added):
    browser = client()
    await enter(browser)
    assert (await sign_in(browser, added)).status == 200
    assert "hai_second_step" not in browser.cookies


async def test_a_second_one_brings_no_new_recovery_codes(client, ada, added):
    other = Device(ORIGIN, "hai.example")
    answer = await add(client(ada), other, "Key")
    assert answer.json == {"recovery_codes": []}
    page = (await client(ada).get(PAGE, headers=HTML)).text
    assert "Phone" in page and "Key" in page


async def test_the_form_brings_it_as_text(client, ada, device):
    """As the page does, and the codes are shown on a page."""
    browser = client(ada)
    made = device.create(await options_to_add(browser))
    form = {"credential": json.dumps(made), "name": "Phone"}
    page = await browser.post("/settings/passkeys", form=form, headers=HTML | HOST)
    assert page.status == 201 and page.text.count("<code>") == 8
    stranger = client()
    signed = json.dumps(device.get(await options_to_sign_in(stranger)))
    answer = await stranger.post(
        "/sign_in/passkey",
        form={"credential": signed, "next": "/people"},
        headers=HTML | HOST,
    )
    assert (answer.status, answer.location) == (303, "/people")


# --- What must not sign in -----------------------------------------------------------


def elsewhere(device):
    device.origin = "https://evil.example"


def other_port(device):
    device.origin = "http://hai.example:81"


def other_rp(device):
    device.rp_id = "evil.example"


def nobody_looked(device):
    device.flags = PRESENT


def nobody_there(device):
    device.flags = 0


LIES = [elsewhere, other_port, other_rp, nobody_looked, nobody_there]


@pytest.mark.parametrize("lie", LIES)
async def test_a_passkey_of_elsewhere_or_without_a_finger_is_refused(
    client, added, lie
):
    lie(added)
    browser = client()
    answer = await sign_in(browser, added)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert "hai_session" not in browser.cookies


@pytest.mark.parametrize("lie", LIES)
async def test_nor_is_one_added(client, ada, device, lie):
    lie(device)
    answer = await add(client(ada), device)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert (await enter(client())).location == "/"


async def test_a_signature_works_once(client, added):
    browser = client()
    signed = added.get(await options_to_sign_in(browser))
    cookie = browser.cookies["hai_passkey"]
    assert (await use(browser, signed)).status == 200
    again = client()
    again.cookies["hai_passkey"] = cookie
    assert (await use(again, signed)).code == "bad_request"


async def test_a_challenge_works_once_even_for_a_new_signature(client, added):
    browser = client()
    options = await options_to_sign_in(browser)
    cookie = browser.cookies["hai_passkey"]
    assert (await use(browser, added.get(options))).status == 200
    browser.cookies["hai_passkey"] = cookie
    assert (await use(browser, added.get(options))).code == "bad_request"


async def test_a_challenge_is_of_the_browser_that_asked(client, added):
    signed = added.get(await options_to_sign_in(client()))
    thief = client()
    assert (await use(thief, signed)).code == "bad_request"
    await options_to_sign_in(thief)
    assert (await use(thief, signed)).code == "bad_request"


async def test_a_challenge_to_add_does_not_sign_in(client, ada, added):
    browser = client()
    await options_to_sign_in(browser)
    options = await options_to_add(client(ada))
    assert (await use(browser, added.get(options))).code == "bad_request"


async def test_a_challenge_to_add_is_of_its_session(core, client, ada, device):
    grace = await make_user(core, "grace")
    made = device.create(await options_to_add(client(ada)))
    assert (await send(client(grace), made)).code == "bad_request"
    assert (await send(client(ada), made)).status == 201
    assert (await send(client(ada), made)).code == "bad_request"


async def test_a_challenge_ends_after_five_minutes(client, added, time):
    browser = client()
    signed = added.get(await options_to_sign_in(browser))
    time(10)
    assert (await use(browser, signed)).code == "bad_request"


async def test_one_challenge_for_two_at_once_lets_one_in(client, added):
    browser = client()
    options = await options_to_sign_in(browser)
    both = [use(browser, added.get(options)) for _ in range(2)]
    statuses = sorted(answer.status for answer in await asyncio.gather(*both))
    assert statuses == [200, 400]


async def test_another_key_does_not_sign_for_it(client, added):
    forged = Device(ORIGIN, "hai.example")
    forged.id, forged.handle = added.id, added.handle
    assert (await sign_in(client(), forged)).code == "bad_request"


async def test_one_does_not_sign_in_as_somebody_else(core, client, ada, added):
    """grace says that her passkey is ada's."""
    grace = await make_user(core, "grace")
    hers = Device(ORIGIN, "hai.example")
    await add(client(grace), hers)
    hers.handle = added.handle
    assert (await sign_in(client(), hers)).code == "bad_request"
    hers.id = added.id
    assert (await sign_in(client(), hers)).code == "bad_request"


async def test_nobody_adds_what_somebody_else_has(core, client, ada, added):
    grace = await make_user(core, "grace")
    thief = Device(ORIGIN, "hai.example")
    thief.id = added.id
    assert (await add(client(grace), thief)).code == "bad_request"


async def test_a_counter_that_goes_back_is_a_copy(client, added, expect_log):
    expect_log("counts backwards")
    copied = copy.copy(added)
    for _ in range(2):
        assert (await sign_in(client(), added)).status == 200
    assert (await sign_in(client(), copied)).code == "unauthorized"
    assert (await sign_in(client(), added)).status == 200


async def test_a_device_that_does_not_count_is_fine(client, added):
    for _ in range(2):
        added.count = -1
        assert (await sign_in(client(), added)).status == 200


async def test_of_somebody_deactivated_it_does_not_work(core, client, ada, added):
    await admin.deactivate(core, None, user_id=ada.id)
    assert (await sign_in(client(), added)).code == "unauthorized"


NONSENSE = [
    "",
    "{",
    "[]",
    "{}",
    '{"response": 1}',
    '{"response": {"clientDataJSON": 1}}',
    '{"response": {"clientDataJSON": "W10"}}',
    '{"response": {"clientDataJSON": "e30"}}',
    '{"response": {"clientDataJSON": "é"}}',
    '{"response": []}',
    "[" * 5000,
]


@pytest.mark.parametrize("credential", NONSENSE)
@pytest.mark.parametrize("path", ["/sign_in/passkey", "/settings/passkeys"])
async def test_nonsense_is_refused(client, ada, path, credential):
    form = {"credential": credential, "name": "x"}
    headers = HOST | {"Accept": "application/json"}
    answer = await client(ada).post(path, form=form, headers=headers)
    assert answer.code == "bad_request"


@pytest.mark.parametrize("part", ["attestationObject", "clientDataJSON"])
@pytest.mark.parametrize("change", ["", "AAAA", "n" * 4000, "-" * 8, "oWNmbXQ"])
async def test_a_spoilt_passkey_is_refused(client, ada, device, part, change):
    browser = client(ada)
    made = device.create(await options_to_add(browser))
    made["response"][part] = change
    assert (await send(browser, made)).code == "bad_request"


@pytest.mark.parametrize("part", ["authenticatorData", "signature", "userHandle"])
@pytest.mark.parametrize("change", ["A", "AAAA", "n" * 4000, 7, {}])
async def test_a_spoilt_signature_is_refused(client, added, part, change):
    browser = client()
    signed = added.get(await options_to_sign_in(browser))
    signed["response"][part] = change
    assert (await use(browser, signed)).code == "bad_request"


async def test_a_client_data_of_another_kind_is_refused(client, added):
    browser = client()
    signed = added.get(await options_to_sign_in(browser))
    data = raw(signed["response"]["clientDataJSON"]).replace(b".get", b".create")
    signed["response"]["clientDataJSON"] = text(data)
    assert (await use(browser, signed)).code == "bad_request"


# --- The list ------------------------------------------------------------------------


async def passkey_id(core):
    query = "SELECT max(id) FROM passkeys"
    return (await core.db.read(lambda: execute(query).fetchone()))[0]


async def test_one_is_named_and_removed(core, client, ada, added):
    path = f"/settings/passkeys/{await passkey_id(core)}"
    browser = client(ada)
    answer = await browser.post(path, form={"name": "My key"}, headers=HTML)
    assert answer.location == f"{PAGE}?done=saved"
    assert "My key" in (await browser.get(PAGE, headers=HTML)).text
    answer = await browser.post(f"{path}/remove", form={}, headers=HTML)
    assert answer.location == f"{PAGE}?done=passkey_removed"
    assert (await sign_in(client(), added)).code == "unauthorized"
    assert (await enter(client())).location == "/"  # nothing is left to ask for
    assert "removed_passkey" in await names_of_deeds(core)


async def test_nobody_touches_somebody_elses(core, client, added):
    grace = await make_user(core, "grace")
    path = f"/settings/passkeys/{await passkey_id(core)}"
    for what in (path, f"{path}/remove"):
        answer = await client(grace).post(what, json={"name": "x"})
        assert answer.code == "not_found"
    assert (await sign_in(client(), added)).status == 200


async def test_later_adding_and_removing_want_the_password_and_a_code(
    core, client, ada, added, time
):
    time(20)
    browser = client(ada)
    remove = f"/settings/passkeys/{await passkey_id(core)}/remove"
    code = added.recovery_codes[0]
    for path in ("/settings/passkeys/options", remove):
        for form, status in (({}, 403), ({"password": PASSWORD}, 401)):
            assert (await browser.post(path, json=form, headers=HOST)).status == status
    form = {"password": PASSWORD, "code": code}
    assert (await options_to_add(browser, **form))["challenge"]
    form["code"] = added.recovery_codes[1]
    assert (await browser.post(remove, json=form)).status == 200


@for_admins
async def test_the_last_one_stays_where_it_is_asked_for(core, client, device):
    olga = await make_user(core, "olga", role="owner")
    assert sessions.find(core, olga.cookie).lacks_factor
    assert (await add(client(olga), device)).status == 201
    assert not sessions.find(core, olga.cookie).lacks_factor
    path = f"/settings/passkeys/{await passkey_id(core)}/remove"
    assert (await client(olga).post(path, json={})).code == "forbidden"
    assert (await sign_in(client(), device)).status == 200


async def test_an_admin_who_turns_it_off_ends_passkeys_too(core, client, ada, added):
    boss = await make_user(core, "boss", role="admin")
    path = f"/admin/users/{ada.id}/second_factor/reset"
    assert (await client(boss).post(path, json={})).status == 200
    assert (await sign_in(client(), added)).code == "unauthorized"


async def test_twenty_are_enough(client, ada):
    browser = client(ada)
    for number in range(20):
        answer = await add(browser, Device(ORIGIN, "hai.example"), f"Key {number}")
        assert answer.status < 300
    answer = await add(browser, Device(ORIGIN, "hai.example"))
    assert answer.code == "bad_request" and "20" in answer.text


async def test_trying_is_slowed_down(app, client, added):
    app.web.tries.per_second = 0
    statuses = [(await use(client(), {})).status for _ in range(11)]
    assert statuses == [400] * 10 + [429]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_behind_a_proxy_the_browsers_scheme_is_not_known(client, ada, scheme):
    device = Device(f"{scheme}://hai.example", "hai.example")
    assert (await add(client(ada), device)).status == 201
