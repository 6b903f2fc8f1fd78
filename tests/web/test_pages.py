"""Pages: who is led where, what each shows, and that nothing leaks."""

import base64
import hashlib
import re

import pytest

from hai.web.http.responses import accepts_gzip
from tests.factories import make_hai, make_room

PAGES = ["/rooms", "/people", "/search?q=hai", "/settings", "/eliza"]
HTML = {"Accept": "text/html"}


async def see(client, path):
    answer = await client.get(path, headers=HTML)
    assert answer.status == 200, answer.text
    return answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_drawn_for_who_is_signed_in(client, cast, path):
    answer = await client(cast.linus).get(path, headers=HTML)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", [*PAGES, "/rooms/1", "/rooms/1/edit"])
async def test_a_stranger_is_led_to_sign_in_and_back(client, cast, path):
    answer = await client().get(path, headers=HTML)
    assert answer.status == 302
    assert answer.location.startswith("/sign_in?next=/")
    assert (await client().get(path)).code == "unauthorized"


async def test_the_front_door_leads_to_set_up_on_the_first_run(app, client):
    assert (await client().get("/")).location == "/setup"


async def test_the_front_door_leads_a_stranger_to_sign_in(client, cast):
    assert (await client().get("/")).location == "/sign_in"


async def test_the_front_door_leads_to_the_room_shown_last(core, client, cast):
    browser = client(cast.ada)
    await make_hai(core, cast.grace, cast.lab)
    assert (await browser.get("/")).location == f"/rooms/{cast.lab['id']}"
    await see(browser, f"/rooms/{cast.lounge['id']}")
    assert (await browser.get("/")).location == f"/rooms/{cast.lounge['id']}"
    browser.cookies["hai_room"] = "9999"
    assert (await browser.get("/")).location == f"/rooms/{cast.lab['id']}"


async def test_a_room_page_carries_its_hais_and_its_form(core, client, cast):
    await make_hai(core, cast.ada, cast.lounge, "the <b>tide</b> is out")
    text = await see(client(cast.linus), f"/rooms/{cast.lounge['id']}")
    assert "the &lt;b&gt;tide&lt;/b&gt; is out" in text
    assert "<b>tide" not in text
    assert 'name="client_id"' in text
    assert 'enctype="multipart/form-data"' in text
    assert "image/webp" in text


async def test_a_room_page_pages_back(core, client, cast):
    hais = [
        await make_hai(core, cast.ada, cast.lounge, f"wave{n:03}") for n in range(45)
    ]
    room = f"/rooms/{cast.lounge['id']}"
    newest = await see(client(cast.linus), room)
    assert "wave044" in newest and "wave004" not in newest
    older = await see(client(cast.linus), f"{room}?before={hais[5]['id']}")
    assert "wave004" in older and "wave005" not in older
    around = await see(client(cast.linus), f"{room}?around={hais[0]['id']}")
    assert "wave000" in around


@pytest.mark.parametrize(
    "query", ["before=x", "around=-1", "before=1e9", "before=" + "9" * 30]
)
async def test_a_page_that_is_no_number_is_a_bad_request(client, cast, query):
    answer = await client(cast.ada).get(f"/rooms/{cast.lounge['id']}?{query}")
    assert answer.code == "bad_request"


@pytest.mark.parametrize("path", ["/rooms/{lab}", "/rooms/{lab}/edit", "/rooms/9999"])
async def test_a_closed_room_and_no_room_look_the_same(client, cast, path):
    path = path.format(lab=cast.lab["id"])
    answer = await client(cast.linus).get(path, headers=HTML)
    assert answer.status == 404
    assert "Lab" not in answer.text


async def test_an_open_room_is_offered_but_not_shown(core, client, cast):
    room = await make_room(core, cast.ada, name="Harbour")
    await make_hai(core, cast.ada, room, "for members only")
    answer = await client(cast.linus).get(f"/rooms/{room['id']}", headers=HTML)
    assert answer.status == 403
    assert "Harbour" in answer.text
    assert f"/rooms/{room['id']}/join" in answer.text
    assert "for members only" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/rooms/x",
        "/rooms/007",
        "/rooms/9007199254740992",
        "/pictures/" + "9" * 17,
    ],
)
async def test_unknown_urls_are_not_found(client, cast, path):
    assert (await client(cast.ada).get(path)).code == "not_found"
    page = await client(cast.ada).get(path, headers=HTML)
    assert page.status == 404
    assert page.headers["Content-Type"].startswith("text/html")


INLINE = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)


@pytest.mark.parametrize("path", ["/rooms", "/sign_in", "/search?q=hai"])
async def test_the_policy_of_a_page_allows_no_inline_script_but_its_map(
    client, cast, path
):
    signed_in = None if path == "/sign_in" else cast.ada
    page = await client(signed_in).get(path, headers=HTML)
    policy = page.headers["Content-Security-Policy"]
    inline = dict(INLINE.findall(page.text))
    import_map = inline.pop(' type="importmap"')
    digest = hashlib.sha256(import_map.encode()).digest()
    allowed = f"script-src 'self' 'sha256-{base64.b64encode(digest).decode()}';"
    assert allowed in policy
    assert all('type="application/json"' in kind for kind in inline)  # never runs
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/rooms", "/nowhere", "/healthz", "/sign_in"])
async def test_every_answer_is_guarded(client, cast, path):
    headers = (await client(cast.ada).get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Content-Security-Policy"]


async def test_no_page_has_inline_styles_or_handlers(core, client, cast):
    await make_hai(core, cast.ada, cast.lounge, "hai!")
    for path in [
        *PAGES,
        f"/rooms/{cast.lounge['id']}",
        f"/rooms/{cast.lounge['id']}/edit",
    ]:
        text = " ".join((await see(client(cast.ada), path)).split())
        assert " style=" not in text
        assert " onclick=" not in text


async def test_a_notice_is_one_of_ours(client, cast):
    assert "Saved." in await see(client(cast.ada), "/settings?done=saved")
    assert "hacked" not in await see(client(cast.ada), "/settings?done=hacked%20%ff")


async def test_a_page_asked_for_by_head_has_no_body(client, cast):
    answer = await client(cast.ada).request("HEAD", "/rooms")
    assert (answer.status, answer.body) == (200, b"")


async def test_an_unknown_method_is_refused(client, cast):
    answer = await client(cast.ada).request("DELETE", "/rooms")
    assert answer.status == 405


async def test_a_fault_of_ours_shows_no_traceback(core, client, cast, expect_log):
    expect_log("GET /people failed")
    core.presence.socket_counts = None
    for headers in ({}, HTML):
        answer = await client(cast.ada).get("/people", headers=headers)
        assert answer.status == 503
        assert "Traceback" not in answer.text and "NoneType" not in answer.text
    core.presence.socket_counts = {}


async def test_people_lists_everybody(client, cast):
    text = await see(client(cast.linus), "/people")
    assert "Ada" in text and "Grace" in text


async def test_search_finds_what_i_may_see_only(core, client, cast):
    await make_hai(core, cast.ada, cast.lab, "a secret anchor")
    await make_hai(core, cast.ada, cast.lounge, "an open anchor")
    assert "secret anchor" in await see(client(cast.grace), "/search?q=secret")
    assert "secret anchor" not in await see(client(cast.linus), "/search?q=anchor")
    found = await client(cast.linus).get(
        "/search?q=anchor", headers={"Accept": "application/json"}
    )
    assert [hai["text"] for hai in found.json["hais"]] == ["an open anchor"]


async def test_search_pages_back(core, client, cast):
    for n in range(35):
        await make_hai(core, cast.ada, cast.lounge, f"shell {n}")
    text = await see(client(cast.linus), "/search?q=shell")
    assert "/search?q=shell&amp;before=" in text


async def test_pages_are_compressed_but_search_is_not(client, cast):
    """The test's client always says that it can read gzip."""
    for path, encoding in (("/rooms", "gzip"), ("/search?q=x", None)):
        answer = await client(cast.ada).get(path, headers=HTML)
        assert answer.headers.get("X-Consumed-Content-Encoding") == encoding


@pytest.mark.parametrize(
    ("accepted", "is_accepted"),
    [
        ("gzip", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("", False),
    ],
)
def test_who_can_read_gzip(accepted, is_accepted):
    assert accepts_gzip(accepted) == is_accepted
