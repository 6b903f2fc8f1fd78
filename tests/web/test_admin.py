"""/admin: what its pages show, what its forms do, and what they refuse."""

import asyncio
import re
from urllib.parse import quote

import pytest

from hai.core.identity import sessions
from hai.core.people import admin, resets
from hai.core.pictures import expiry
from tests.clients import credentials, encode_multipart
from tests.core.test_retention import send_old
from tests.factories import make_user
from tests.pictures import big_png, file

HTML = {"Accept": "text/html"}
PAGES = ("", "/users", "/users/{grace}", "/rooms", "/rooms/{lab}", "/deeds")


def path_of(page, cast):
    return "/admin" + page.format(grace=cast.grace.id, lab=cast.lab["id"])


async def act(client, cast, person, what, form=None, **options):
    path = f"/admin/users/{cast.grace.id}/{what}"
    return await client(person).post(path, form=form or {}, headers=HTML, **options)


async def test_every_page_is_drawn_for_people_and_for_programs(client, core, cast):
    await send_old(core, cast.grace, cast.lab, days=3)
    for page in PAGES:
        path = path_of(page, cast)
        drawn = await client(cast.ada).get(path, headers=HTML)
        assert drawn.status == 200 and "<h1" in drawn.text
        told = await client(cast.ada).get(path, headers={"Accept": "application/json"})
        assert told.status == 200 and told.json


async def test_pages_are_for_owners_and_admins(client, cast, core):
    admina = await make_user(core, "admina", role="admin")
    for page in PAGES:
        got = [
            (await client(person).get(path_of(page, cast), headers=HTML)).status
            for person in (cast.grace, cast.linus, admina, cast.ada)
        ]
        assert got == [403, 403, 200, 200]
    assert "/admin" in (await client(admina).get("/people", headers=HTML)).text
    assert "/admin" not in (await client(cast.grace).get("/people", headers=HTML)).text


async def test_nonsense_in_a_list_is_refused(client, cast):
    wrong = ("sort=x", "page=0", "page=-1", "page=x", "page=99999999", "page=1.5")
    for page in ("/users", "/rooms"):
        for query in wrong:
            path = f"/admin{page}?{query}"
            assert (await client(cast.ada).get(path, headers=HTML)).status == 400


async def test_a_search_is_only_a_search(client, cast):
    for name in ("<script>alert(1)</script>", "%' OR 1=1 --", "\0zz", "É", "_x"):
        path = f"/admin/users?q={quote(name)}"
        answer = await client(cast.ada).get(path, headers=HTML)
        assert answer.status == 200
        assert "<script>alert" not in answer.text
        assert f"/admin/users/{cast.grace.id}" not in answer.text


@pytest.mark.parametrize("path", ["/users/999999", "/rooms/999999"])
async def test_what_is_not_there_is_not_there(client, cast, path):
    answer = await client(cast.ada).get("/admin" + path, headers=HTML)
    assert answer.status == 404


async def test_sums_are_of_users_and_of_rooms(client, cast):
    files = [file(big_png(70_000))]
    for room in (cast.lab, cast.lounge):
        await client(cast.grace).post(f"/api/v1/rooms/{room['id']}/hais", files=files)
    as_json = {"Accept": "application/json"}
    users = (await client(cast.ada).get("/admin/users", headers=as_json)).json["users"]
    rooms = (await client(cast.ada).get("/admin/rooms", headers=as_json)).json["rooms"]
    whole = (await client(cast.ada).get("/admin", headers=as_json)).json
    assert (users[0]["name"], users[0]["picture_bytes"]) == ("grace", 140_000)
    assert {r["name"]: r["picture_count"] for r in rooms[:2]} == {"Lab": 1, "Lounge": 1}
    assert (whole["pictures"], whole["picture_bytes"]) == (2, 140_000)
    assert whole["disk_free_bytes"] > 0 and whole["database_bytes"] > 70_000


async def test_nobody_learns_who_is_in_a_direct_room(client, cast):
    path = f"/admin/rooms/{cast.direct['id']}"
    answer = await client(cast.ada).get(path, headers=HTML)
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    assert "A direct room" in main and "Grace" not in main


# --- Actions -------------------------------------------------------------------------


async def test_forms_lead_back_to_the_user(client, cast):
    here = f"/admin/users/{cast.grace.id}"
    for what, form, notice in (
        ("role", {"role": "admin"}, "saved"),
        ("role", {"role": "member"}, "saved"),
        ("quota", {"megabytes": "5"}, "saved"),
        ("sessions/end", {}, "signed_out_user"),
        ("deactivate", {}, "deactivated"),
        ("reactivate", {}, "reactivated"),
    ):
        answer = await act(client, cast, cast.ada, what, form)
        assert (answer.status, answer.location) == (303, f"{here}?done={notice}")
    drawn = await client(cast.ada).get(here, headers=HTML)
    assert "let Grace store 5.0 MB" in drawn.text


WRONG_FORMS = [
    ("role", {}),
    ("role", {"role": "god"}),
    ("quota", {"megabytes": "-1"}),
    ("quota", {"megabytes": "1e9"}),
    ("quota", {"megabytes": "9" * 16}),
    ("pictures/remove", {}),
    ("pictures/remove", {"days": "x"}),
    ("pictures/remove", {"days": "99999"}),
]


async def test_a_wrong_form_is_said_on_the_page_and_changes_nothing(client, cast):
    before = (await client(cast.ada).get("/api/v1/users")).json
    for what, form in WRONG_FORMS:
        answer = await act(client, cast, cast.ada, what, form)
        assert answer.status == 400 and 'role="alert"' in answer.text
    assert (await client(cast.ada).get("/api/v1/users")).json == before


async def test_a_quota_in_json_is_a_whole_number(client, cast):
    path = f"/admin/users/{cast.grace.id}/quota"
    for value in ("5", 1.5, True, [], -1):
        answer = await client(cast.ada).post(path, json={"max_bytes": value})
        assert answer.code == "bad_request"


async def test_the_last_owner_is_told_why_not(core, client, cast):
    path = f"/admin/users/{cast.ada.id}/deactivate"
    answer = await client(cast.ada).post(path, headers=HTML)
    assert answer.status == 403 and "There must be an owner" in answer.text
    assert sessions.find(core, cast.ada.cookie)


async def test_other_sites_cannot_act(core, client, cast):
    headers = HTML | {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    path = f"/admin/users/{cast.grace.id}/deactivate"
    answer = await client(cast.ada).post(path, headers=headers)
    assert answer.status == 403
    assert sessions.find(core, cast.grace.cookie)


async def test_sockets_close_at_once(any_socket, client, cast):
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    await act(client, cast, cast.ada, "deactivate")
    await grace.closed.wait()
    assert grace.named("session_ended")
    changed = await linus.fact(
        "user_changed", lambda told: told["user"]["id"] == cast.grace.id
    )
    assert changed["user"]["deactivated_at"]
    await linus.settle()
    assert not linus.closed.is_set()


async def test_who_was_let_go_is_refused_everywhere(client, cast):
    await act(client, cast, cast.ada, "deactivate")
    for path in ("/api/v1/me", f"/api/v1/rooms/{cast.direct['id']}/hais"):
        for bearer in (True, False):
            answer = await client(cast.grace, bearer=bearer).get(path)
            assert answer.status == 401


@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
async def test_an_upload_that_outlives_its_session_sends_nothing(
    app, client, cast, accepts
):
    """Also not to a direct room, whose people stay."""
    body, kind = encode_multipart({"text": "too late"}, [file(big_png(5_000))])
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    head = [
        f"POST /rooms/{cast.direct['id']}/hais HTTP/1.1",
        "Host: x",
        f"Accept: {accepts}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *(f"{k}: {v}" for k, v in credentials(cast.grace.token).items()),
    ]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body[:2000])
    while not app.web.uploads:
        await asyncio.sleep(0.01)
    await act(client, cast, cast.ada, "deactivate")
    writer.write(body[2000:])
    assert b" 401 " in await reader.readline()
    writer.close()
    path = f"/api/v1/rooms/{cast.direct['id']}/hais"
    assert (await client(cast.ada).get(path)).json["hais"] == []


async def test_pictures_are_removed_after_one_has_been_asked(core, client, cast):
    old = await send_old(core, cast.grace, cast.lab, days=31)
    form = {"days": "30"}
    asked = await act(client, cast, cast.ada, "pictures/remove", form)
    assert asked.status == 409 and "This removes 1 picture" in asked.text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', asked.markup))
    assert fields == {"days": "30", "is_confirmed": "on"}
    done = await act(client, cast, cast.ada, "pictures/remove", fields)
    assert done.location.endswith("?done=removing")
    url = old["pictures"][0]["url"]
    while (await client(cast.grace).get(url)).status != 404:
        pass
    room = await client(cast.grace).get(f"/rooms/{cast.lab['id']}", headers=HTML)
    assert "A picture, no longer kept" in room.text


async def test_the_page_says_whose_pictures_go(client, core, cast):
    admina = await make_user(core, "admina", role="admin")
    path = f"/admin/users/{cast.grace.id}"
    for person, words in (
        (cast.ada, "Also from their direct rooms"),
        (admina, "not from direct rooms: only an owner"),
    ):
        shown = await client(person).get(path, headers=HTML)
        assert words in shown.text


async def test_a_room_asks_before_its_rule_removes_something(core, client, cast):
    await send_old(core, cast.grace, cast.lab, days=31)
    path = f"/rooms/{cast.lab['id']}"
    form = {"name": "Lab", "topic": "Deep", "picture_days": "30"}
    asked = await client(cast.ada).post(path, form=form, headers=HTML)
    assert asked.status == 409 and "This removes 1 picture" in asked.text
    assert (
        await client(cast.ada).post(path, json=form | {"picture_days": 30})
    ).code == ("not_confirmed")
    confirmed = form | {"is_confirmed": "on"}
    done = await client(cast.ada).post(path, form=confirmed, headers=HTML)
    assert done.location == f"{path}/edit?done=saved"
    for person in (cast.ada, cast.grace):
        shown = await client(person).get(path, headers=HTML)
        assert "Deep · pictures are kept 30 days" in shown.text
    about = await client(cast.grace).get(f"{path}/edit", headers=HTML)
    assert "Pictures are kept here 30 days" in about.markup


async def test_gone_pictures_are_told_to_open_pages(any_socket, core, client, cast):
    old = await send_old(core, cast.grace, cast.lab, days=31, text="the lake")
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    given = {"room_id": cast.lab["id"], "days": 30, "is_confirmed": True}
    await admin.remove_pictures_of_room(core, cast.ada.identity, **given)
    told = await grace.fact("hai_changed", lambda fact: fact["hai"]["id"] == old["id"])
    assert told["hai"]["pictures"][0]["gone_at"] and told["hai"]["text"] == "the lake"
    await linus.settle()
    assert not linus.named("hai_changed")
    assert await expiry.run(core) == 0


# --- A new password ------------------------------------------------------------------


async def test_a_link_for_a_new_password_is_shown_once(client, cast):
    answer = await act(client, cast, cast.ada, "reset")
    (path,) = re.findall(r'value="http[^"]*(/reset/[\w-]+)"', answer.text)
    assert answer.status == 201
    again = await client(cast.ada).get(f"/admin/users/{cast.grace.id}", headers=HTML)
    assert "/reset/" not in again.text
    browser = client()
    form = await browser.get(path, headers=HTML)
    assert form.status == 200 and "@grace" in form.text
    short = await browser.post(path, form={"password": "short"}, headers=HTML)
    assert short.status == 400 and 'role="alert"' in short.text
    done = await browser.post(path, form={"password": "deep water 8"}, headers=HTML)
    assert (done.status, done.location) == (303, "/")
    assert (await browser.get("/api/v1/me")).json["user"]["name"] == "grace"
    used = await client().post(path, form={"password": "deep water 9"}, headers=HTML)
    assert used.status == 404


async def test_guessing_links_is_slowed_down(app, client, cast):
    app.web.tries.per_second = 0  # however slow we are
    codes = [
        (await client().post(f"/reset/guess{n}", form={"password": "x" * 9})).status
        for n in range(12)
    ]
    assert codes == [404] * 10 + [429] * 2


async def test_the_log_holds_no_link(core, client, cast, caplog):
    caplog.set_level("INFO")
    url = await client(cast.ada).post(f"/admin/users/{cast.grace.id}/reset", json={})
    code = url.json["url"].rsplit("/", 1)[1]
    await client().get(f"/reset/{code}", headers=HTML)
    assert "GET /reset/***" in caplog.text and code not in caplog.text
    assert (await resets.find(core, code)).name == "grace"


# --- Metrics -------------------------------------------------------------------------


async def test_refused_uploads_are_counted_by_reason(client, cast):
    path = f"/api/v1/rooms/{cast.lab['id']}/hais"
    await client(cast.grace).post(path, files=[file(b"no picture")])
    await client(cast.linus).post(path, files=[file(big_png(5_000))])
    await client(cast.grace).post(path, files=[file(big_png(70_000))])
    text = (await client(cast.ada).get("/metrics")).text
    assert 'hai_uploads_refused_total{code="picture_type"} 1' in text
    assert 'hai_uploads_refused_total{code="not_found"} 1' in text
    assert re.search(r"^hai_picture_bytes 70000$", text, re.MULTILINE)
    assert re.search(r"^hai_pictures 1$", text, re.MULTILINE)
    assert re.search(r"^hai_disk_free_bytes [1-9]", text, re.MULTILINE)
