"""Signing in at a provider: whose account it is here, and what a bad answer does."""

import asyncio
import base64
import json
import time as real_time
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from hai.core import audit
from hai.core.identity import invites, sessions
from hai.core.people import admin, external_accounts
from hai.web.sign_in import provider as provider_module
from tests import openid
from tests.factories import make_user
from tests.openid import CLIENT_ID, SECRET, Provider
from tests.web.sign_in.test_second_factor import (
    HTML,
    PAGE,
    PASSWORD,
    ada,
    names_of_deeds,
    set_up,
    step,
    time,
)

__all__ = ["ada", "time"]  # fixtures
GRACE = {"email": "grace@example.org", "email_verified": True, "name": "Grace H."}


@pytest.fixture
def provider(io_loop):
    provider = Provider()
    yield provider
    io_loop.run_sync(provider.stop)


@pytest.fixture
def config_flags(provider, tmp_path, request):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    return {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret_file": str(secret),
        "oidc_sign_up_domains": "example.org, example.net",
        "oidc_sign_up_groups": "crew",
    } | getattr(request, "param", {})


async def there_and_back(browser, provider, subject, query=""):
    """Go to the provider and come back; gives Hai's answer."""
    begun = await browser.get(f"/sign_in/oidc{query}", headers=HTML)
    assert begun.status == 302, begun.text
    path = provider.approve(begun.location, subject)
    return await browser.get(path, headers=HTML)


async def name_of(browser):
    return (await browser.get("/api/v1/me")).json["user"]["name"]


async def sign_up(client, provider, subject="g-1", **claims):
    provider.people[subject] = GRACE | claims
    browser = client()
    assert (await there_and_back(browser, provider, subject)).status == 303
    return browser


# --- Whose account it is -------------------------------------------------------------


async def test_whoever_has_an_address_of_the_domain_joins(core, client, provider):
    browser = await sign_up(client, provider)
    assert await name_of(browser) == "grace"
    again = client()
    answer = await there_and_back(again, provider, "g-1", "?next=/people")
    assert answer.location == "/people"
    assert await name_of(again) == "grace"
    assert (await names_of_deeds(core)).count("joined_by_account") == 1


async def test_what_goes_to_the_provider_is_what_the_standard_asks(client, provider):
    browser = client()
    begun = await browser.get("/sign_in/oidc", headers=HTML)
    asked = parse_qs(urlsplit(begun.location).query)
    assert begun.location.startswith(provider.issuer + "/authorize?")
    assert asked["response_type"] == ["code"] and asked["client_id"] == [CLIENT_ID]
    assert asked["code_challenge_method"] == ["S256"]
    assert "openid" in asked["scope"][0].split()
    secrets = [asked[name][0] for name in ("state", "nonce", "code_challenge")]
    assert len(set(secrets)) == 3 and all(len(one) == 43 for one in secrets)
    cookie = begun.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    await browser.get(provider.approve(begun.location, "x"), headers=HTML)
    assert provider.credentials == (
        "Basic "
        + base64.b64encode(b"hai%20of%20tests:a%20secret%3A%20%C3%BC%2F%25").decode(),
        None,
    )


async def test_a_provider_that_wants_the_secret_in_the_form_gets_it(client, provider):
    methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    provider.lies["description"] = methods
    await there_and_back(client(), provider, "x")
    assert provider.credentials == ("", SECRET)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "grace@evil.example"},
        {"email": "grace@sub.example.org"},
        {"email": "grace@example.org@evil.example"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": None},
        {"email": ["grace@example.org"]},
        {"email_verified": None, "groups": "crew"},
        {"email": None, "groups": ["crewmen"]},
    ],
)
async def test_others_do_not_join(client, provider, claims):
    provider.people["g-1"] = GRACE | claims
    browser = client()
    answer = await there_and_back(browser, provider, "g-1")
    assert answer.status == 403 and "Join with an invite" in answer.markup
    assert "hai_session" not in browser.cookies


async def test_a_group_joins_too(client, provider):
    claims = {"email_verified": False, "groups": ["staff", "crew"]}
    assert await name_of(await sign_up(client, provider, **claims)) == "grace"


@pytest.mark.parametrize("config_flags", [{"sign_up": "closed"}], indirect=True)
async def test_where_joining_is_closed_nobody_joins(client, provider):
    provider.people["g-1"] = GRACE
    answer = await there_and_back(client(), provider, "g-1")
    assert answer.status == 403


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "grace.h"}, "grace.h"),
        ({"preferred_username": "Ünï çødé"}, "n-d"),
        ({"preferred_username": "漢字", "email": "漢@example.org"}, "Grace-H"),
        ({"preferred_username": "x" * 300}, "x" * 34),
        ({"preferred_username": "", "name": "\u202e"}, "grace"),
        ({"preferred_username": ["x"], "name": {}}, "grace"),
    ],
)
async def test_a_name_is_made_of_what_there_is(client, provider, claims, name):
    assert await name_of(await sign_up(client, provider, **claims)) == name


async def test_a_name_that_is_taken_gets_a_number(client, provider, ada):
    browser = await sign_up(client, provider, preferred_username="ADA")
    assert await name_of(browser) == "ADA-2"


async def test_nobody_is_linked_by_their_mail_address_or_name(client, provider, ada):
    claims = {"preferred_username": "ada", "email": "ada@example.org"}
    browser = await sign_up(client, provider, **claims)
    assert await name_of(browser) != "ada"


async def test_an_invite_lets_anybody_join(core, client, provider):
    code = await invites.create(core, None)
    page = await client().get(f"/join/{code}", headers=HTML)
    assert f"/sign_in/oidc?invite={code}" in page.text
    provider.people["l-1"] = {"preferred_username": "linus"}
    browser = client()
    answer = await there_and_back(browser, provider, "l-1", f"?invite={code}")
    assert answer.status == 303 and await name_of(browser) == "linus"


@pytest.mark.parametrize("code", ["wrong", "é", "x" * 500])
async def test_a_bad_invite_does_not(client, provider, code):
    answer = await there_and_back(client(), provider, "l-1", f"?invite={quote(code)}")
    assert answer.status == 404 and "invite" in answer.text


async def begin_link(browser):
    answer = await browser.post("/settings/accounts", json={})
    return answer.json["path"].removeprefix("/sign_in/oidc")


async def test_one_links_ones_own_account_in_the_settings(core, client, provider, ada):
    browser = client(ada)
    query = await begin_link(browser)
    answer = await there_and_back(browser, provider, "a-1", query)
    assert answer.location == f"{PAGE}?done=linked"
    elsewhere = client()
    await there_and_back(elsewhere, provider, "a-1")
    assert await name_of(elsewhere) == "ada"
    assert "linked_account" in await names_of_deeds(core)


async def test_another_site_cannot_make_somebody_link(core, client, provider, ada):
    """It can lead a browser here, but not bring what only our form draws."""
    browser = client(ada)
    for query in ("?link=x", "?link=" + "A" * 90):
        answer = await browser.get(f"/sign_in/oidc{query}", headers=HTML)
        assert answer.status == 400
    answer = await browser.get("/sign_in/oidc", headers=HTML)
    path = provider.approve(answer.location, "evil")
    await browser.get(path, headers=HTML)
    assert await external_accounts.list_of(core, ada.id) == []


async def test_signing_in_there_is_recorded_with_its_place(core, client, provider):
    browser = await sign_up(client, provider, "g-1")
    who = sessions.find(core, browser.cookies["hai_session"])
    found, _ = await audit.page(core, user_id=who.user_id)
    places = {row["name"]: row.get("address") for row in found}
    assert places == {"signed_in": "127.0.0.1", "joined_by_account": "127.0.0.1"}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_begin_a_sign_in(client, provider, ada, site):
    """Which the provider, where one is signed in, might answer without a question."""
    browser = client(ada)
    headers = HTML | {"Sec-Fetch-Site": site}
    answer = await browser.get("/sign_in/oidc?next=/people", headers=headers)
    assert (answer.status, answer.location) == (302, "/sign_in?next=/people")
    own = HTML | {"Sec-Fetch-Site": "same-origin"}
    answer = await browser.get("/sign_in/oidc", headers=own)
    assert answer.location.startswith(provider.issuer)


async def test_a_link_is_of_the_session_that_drew_it(core, client, provider, ada):
    grace = await make_user(core, "grace")
    query = await begin_link(client(ada))
    answer = await client(grace).get(f"/sign_in/oidc{query}", headers=HTML)
    assert answer.status == 400


async def test_an_account_signs_in_one_person(core, client, provider, ada):
    await sign_up(client, provider, "g-1")
    browser = client(ada)
    answer = await there_and_back(browser, provider, "g-1", await begin_link(browser))
    assert answer.status == 403 and "somebody else" in answer.text


async def test_later_linking_wants_the_password(client, provider, ada, time):
    time(20)
    browser = client(ada)
    answer = await browser.post("/settings/accounts", json={})
    assert answer.code == "forbidden"
    form = {"password": PASSWORD}
    answer = await browser.post("/settings/accounts", form=form, headers=HTML)
    assert answer.status == 201 and "/sign_in/oidc?link=" in answer.text


async def test_an_admins_link_links_too(core, client, provider, ada):
    code = await admin.make_reset(core, None, user_id=ada.id)
    page = await client().get(f"/reset/{code}", headers=HTML)
    assert f"/sign_in/oidc?reset={code}" in page.text
    browser = client()
    await there_and_back(browser, provider, "a-1", f"?reset={code}")
    assert await name_of(browser) == "ada"
    answer = await there_and_back(client(), provider, "b-1", f"?reset={code}")
    assert answer.status == 404


async def test_the_second_step_is_asked_for_all_the_same(
    core, client, provider, ada, time
):
    browser = client(ada)
    await there_and_back(browser, provider, "a-1", await begin_link(browser))
    phone = await set_up(core, ada, time)
    time(-2)  # the provider's clock is the real one
    elsewhere = client()
    answer = await there_and_back(elsewhere, provider, "a-1")
    assert answer.location == "/sign_in/code?next=/"
    assert "hai_session" not in elsewhere.cookies
    assert (await step(elsewhere, phone.code(1))).status == 303


async def test_one_unlinks_but_never_the_last_way_in(core, client, provider, ada):
    browser = client(ada)
    await there_and_back(browser, provider, "a-1", await begin_link(browser))
    found = await external_accounts.list_of(core, ada.id)
    path = f"/settings/accounts/{found[0].id}/remove"
    other = await sign_up(client, provider, "g-1")
    assert (await other.post(path, json={})).code == "not_found"
    answer = await browser.post(path, form={}, headers=HTML)
    assert answer.location == f"{PAGE}?done=unlinked"
    theirs = sessions.find(core, other.cookies["hai_session"]).user_id
    only = (await external_accounts.list_of(core, theirs))[0].id
    answer = await other.post(f"/settings/accounts/{only}/remove", json={})
    assert answer.code == "forbidden"


async def test_who_was_deactivated_does_not_come_in(core, client, provider):
    browser = await sign_up(client, provider)
    who = sessions.find(core, browser.cookies["hai_session"])
    await admin.deactivate(core, None, user_id=who.user_id)
    answer = await there_and_back(client(), provider, "g-1")
    assert answer.status == 403 and "any more" in answer.text


# --- Answers that are not good -------------------------------------------------------


def without_signature(claims):
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}."


def by_another_key(claims):
    other = ECKey.generate_key("P-256", {"kid": "1"})
    return jwt.encode({"alg": "ES256", "kid": "1"}, claims, other)


def by_the_shared_secret(claims):
    key = OctKey.import_key(SECRET.encode() * 3)
    return jwt.encode({"alg": "HS256", "kid": "1"}, claims, key)


NOW = int(real_time.time())
LIES = {
    "aud": {"claims": {"aud": "somebody else"}},
    "auds": {"claims": {"aud": [CLIENT_ID, "somebody else"]}},
    "azp": {"claims": {"azp": "somebody else"}},
    "no aud": {"claims": {"aud": None}},
    "iss": {"claims": {"iss": "https://evil.example"}},
    "nonce": {"claims": {"nonce": "old"}},
    "no nonce": {"claims": {"nonce": None}},
    "expired": {"claims": {"exp": NOW - 120}},
    "no exp": {"claims": {"exp": None}},
    "exp nan": {"claims": {"exp": "9999999999"}},
    "of tomorrow": {"claims": {"iat": NOW + 86_400}},
    "of yesterday": {"claims": {"iat": NOW - 86_400}},
    "no sub": {"claims": {"sub": None}},
    "sub": {"claims": {"sub": "x" * 256}},
    "sub 7": {"claims": {"sub": 7}},
    "alg none": {"sign": without_signature},
    "another key": {"sign": by_another_key},
    "HS256": {"sign": by_the_shared_secret},
    "no token": {"sign": lambda claims: None},
    "nonsense": {"sign": lambda claims: "a.b.c"},
    "a list": {"sign": lambda claims: ["a"]},
    "userinfo": {"userinfo": {"sub": "somebody else"}},
    "back iss": {"back": {"iss": "https://evil.example"}},
    "back error": {"back": {"error": "access_denied"}},
    "code": {"back": {"code": "another"}},
}


async def assert_refused(client, provider, expect_log, subject="g-1"):
    """One clear page, one line in the log, no session."""
    provider.people[subject] = GRACE
    expect_log("signing in at .* failed")
    browser = client()
    begun = await browser.get("/sign_in/oidc", headers=HTML)
    answer = begun
    if begun.status == 302:
        path = provider.approve(begun.location, subject)
        answer = await browser.get(path, headers=HTML)
    assert answer.status == 401
    assert "Signing in at 127.0.0.1 did not work" in answer.markup
    assert 'name="password"' in answer.text
    assert "hai_session" not in browser.cookies


def lines_of(log_keeper):
    return [line for line in log_keeper.lines if "hai.web" in line]


@pytest.mark.parametrize("lie", LIES)
async def test_an_answer_that_is_not_good_signs_nobody_in(
    client, provider, expect_log, log_keeper, lie
):
    if lie == "code":
        expect_log("Uncaught exception")  # the provider of this test's own
    provider.lies |= LIES[lie]
    await assert_refused(client, provider, expect_log)
    assert len(lines_of(log_keeper)) == 1


DESCRIPTIONS = [
    {"issuer": "https://evil.example"},
    {"issuer": None},
    {"token_endpoint": None},
    {"token_endpoint": "file:///etc/passwd"},
    {"jwks_uri": 7},
    {"authorization_endpoint": "javascript:alert(1)"},
]


@pytest.mark.parametrize("description", DESCRIPTIONS)
async def test_a_provider_that_describes_itself_wrongly_is_not_used(
    client, provider, expect_log, log_keeper, description
):
    provider.lies["description"] = description
    await assert_refused(client, provider, expect_log)
    assert len(lines_of(log_keeper)) == 1


PLACES = ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"]
ACTS = [
    openid.leads_elsewhere,
    openid.sends_too_much,
    openid.drips_too_much,
    openid.hangs,
    openid.says_nonsense,
    openid.says_a_list,
    openid.nests,
    openid.fails,
    openid.hangs_up,
]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("place", PLACES)
async def test_whatever_a_provider_does_costs_a_page_and_a_line(
    client, provider, expect_log, log_keeper, monkeypatch, place, act
):
    if act is openid.hangs:
        monkeypatch.setattr(provider_module, "TIMEOUT_S", 0.5)
    provider.lies[place] = act
    await assert_refused(client, provider, expect_log)
    assert len(lines_of(log_keeper)) == 1


async def test_who_waits_with_others_for_a_dead_provider_does_not_ask_it_again(
    client, provider, expect_log, monkeypatch
):
    expect_log("signing in at .* failed")
    monkeypatch.setattr(provider_module, "TIMEOUT_S", 0.5)
    provider.lies[PLACES[0]] = openid.hangs
    asked = [client().get("/sign_in/oidc", headers=HTML) for _ in range(5)]
    assert [a.status for a in await asyncio.gather(*asked)] == [401] * 5


async def test_a_key_that_is_new_is_looked_for(client, provider, monkeypatch):
    await sign_up(client, provider)
    monkeypatch.setattr(provider_module, "NEW_KEYS_EVERY_S", -1.0)
    provider.key = ECKey.generate_key("P-256", {"kid": "2", "alg": "ES256"})
    provider.lies["sign"] = lambda claims: jwt.encode(
        {"alg": "ES256", "kid": "2"}, claims, provider.key
    )
    browser = client()
    answer = await there_and_back(browser, provider, "g-1")
    assert answer.status == 303 and provider.seen.count("/keys") == 2


async def test_it_is_asked_what_it_is_once(client, provider):
    for _ in range(3):
        await sign_up(client, provider)
    assert provider.seen.count(PLACES[0]) == 1 and provider.seen.count("/keys") == 1


# --- Answers that are not to what was asked ------------------------------------------


async def test_an_answer_is_of_the_browser_that_asked(client, provider):
    provider.people["g-1"] = GRACE
    begun = await client().get("/sign_in/oidc", headers=HTML)
    path = provider.approve(begun.location, "g-1")
    thief = client()
    assert (await thief.get(path, headers=HTML)).status == 400
    await thief.get("/sign_in/oidc", headers=HTML)
    assert (await thief.get(path, headers=HTML)).status == 400
    assert "hai_session" not in thief.cookies


async def test_an_answer_works_once(client, provider):
    provider.people["g-1"] = GRACE
    browser = client()
    begun = await browser.get("/sign_in/oidc", headers=HTML)
    path = provider.approve(begun.location, "g-1")
    assert (await browser.get(path, headers=HTML)).status == 303
    assert (await browser.get(path, headers=HTML)).status == 400


async def test_a_way_there_and_back_has_ten_minutes(client, provider, time):
    browser = client()
    begun = await browser.get("/sign_in/oidc", headers=HTML)
    time(20)
    path = provider.approve(begun.location, "g-1")
    answer = await browser.get(path, headers=HTML)
    assert answer.status == 400 and "too long" in answer.text


@pytest.mark.parametrize("query", ["", "?state=", "?state=x&code=y", "?code=y"])
async def test_nonsense_that_comes_back_is_refused(client, provider, query):
    path = "/sign_in/oidc/callback" + query
    answer = await client().get(path, headers=HTML)
    assert answer.status == 400 and 'name="password"' in answer.text
    assert (await client().get(path)).code == "bad_request"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example"])
async def test_nobody_is_led_to_another_site_afterwards(client, provider, path):
    provider.people["g-1"] = GRACE
    answer = await there_and_back(client(), provider, "g-1", f"?next={path}")
    assert answer.location == "/"


async def test_trying_is_slowed_down(app, client, provider):
    app.web.tries.per_second = 0
    path = "/sign_in/oidc/callback?state=x"
    statuses = [(await client().get(path)).status for _ in range(11)]
    assert statuses == [400] * 10 + [429]
    assert (await client().get("/sign_in/oidc", headers=HTML)).status == 429
