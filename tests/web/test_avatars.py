"""Avatars over HTTP: given, seen, replaced, taken back, and what is refused."""

import asyncio
import io
import os
import random

import pytest
from PIL import Image

from hai.core import quotas
from hai.core.pictures import avatars
from hai.storage import blobs
from hai.storage.models import Avatar, Chunk, Picture, User
from tests.clients import encode_multipart
from tests.factories import make_user
from tests.metadata import SECRET, talkative
from tests.pictures import TYPES, animated, big_png, file, picture, turned_jpeg

API = "/api/v1/me/avatar"
FORM = "/settings/avatar"
HTML = {"Accept": "text/html"}


def halves(width=300, height=200, kind="PNG", mode="RGB"):
    """Red at the left end, blue at the right; the square in the middle is green."""
    image = Image.new(mode, (width, height), "lime")
    edge = (width - height) // 2
    image.paste("red", (0, 0, edge, height))
    image.paste("blue", (width - edge, 0, width, height))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def png_head(width, height):
    whole = bytearray(big_png(2000))
    whole[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(whole)


def noise(side=128):
    pixels = random.Random(1).randbytes(3 * side * side)
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(out, "PNG")
    return out.getvalue()


async def give(browser, data, path=API, **options):
    return await browser.post(path, files=[file(data)], **options)


async def url_of(browser):
    return (await browser.get("/api/v1/me")).json["user"].get("avatar_url")


async def counts(core):
    models = (Avatar, Picture, Chunk)
    return await core.db.read(lambda: [m.select().count() for m in models])


def opened(answer):
    return Image.open(io.BytesIO(answer.body))


# --- Giving oneself one --------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
async def test_the_square_in_the_middle_is_kept(core, client, cast, kind):
    answer = await give(client(cast.ada), halves(kind=kind))
    assert answer.status == 201
    user = answer.json["user"]
    assert user["rev"] > cast.ada.user["rev"]
    assert user["avatar_url"] == f"/avatars/{cast.ada.id}/{user['rev']}"
    image = opened(await client(cast.linus).get(user["avatar_url"]))
    assert (image.format, image.size) == ("WEBP", (200, 200))
    for x in (3, 100, 196):
        red, green, blue = image.convert("RGB").getpixel((x, 100))
        assert green > 200 and red < 60 and blue < 60
    assert await counts(core) == [1, 0, 0]


async def test_a_large_one_is_made_small_and_stands_upright(client, cast):
    ada = client(cast.ada)
    large = await give(ada, halves(3000, 2000, "JPEG"))
    assert opened(await ada.get(large.json["user"]["avatar_url"])).size == (256, 256)
    turned = await give(ada, turned_jpeg(6))
    assert opened(await ada.get(turned.json["user"]["avatar_url"])).size == (30, 30)


async def test_what_is_see_through_stands_on_white(client, cast):
    clear = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(clear, "PNG")
    user = (await give(client(cast.ada), clear.getvalue())).json["user"]
    image = opened(await client(cast.ada).get(user["avatar_url"]))
    assert image.convert("RGB").getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
async def test_of_what_moves_a_still_is_kept(client, cast, kind):
    user = (await give(client(cast.ada), animated(kind))).json["user"]
    assert not opened(await client(cast.ada).get(user["avatar_url"])).is_animated


@pytest.mark.parametrize("kind", TYPES)
async def test_nothing_of_its_metadata_is_kept(client, cast, kind):
    user = (await give(client(cast.ada), talkative(kind))).json["user"]
    answer = await client(cast.ada).get(user["avatar_url"])
    assert SECRET not in answer.body


async def test_a_webp_is_put_right_at_its_end(client, cast):
    """Its first bytes say how long it is, and were written to the disk before."""
    pixels = random.Random(2).randbytes(3 * 500 * 500)
    out = io.BytesIO()
    image = Image.frombytes("RGB", (500, 500), pixels)
    image.save(out, "WEBP", lossless=True, exif=b"Exif\0\0" + SECRET * 20)
    assert len(out.getvalue()) > 2 * blobs.CHUNK_BYTES
    answer = await give(client(cast.ada), out.getvalue())
    image = opened(await client(cast.ada).get(answer.json["user"]["avatar_url"]))
    assert image.size == (256, 256)


async def test_the_plain_form_leads_back_and_says_so(client, cast):
    ada = client(cast.ada)
    done = await give(ada, halves(), FORM, headers=HTML)
    assert (done.status, done.location) == (303, "/settings?done=avatar")
    page = await ada.get("/settings?done=avatar")
    assert await url_of(ada) in page.text and "That is you now." in page.text


async def test_what_was_wrong_with_the_plain_form_is_said_on_it(client, cast):
    broken = png_head(3000, 2000)
    page = await give(client(cast.ada), broken, FORM, headers=HTML)
    assert page.status == 422 and "could not be read" in page.text
    assert 'action="/settings/avatar"' in page.text
    empty = await client(cast.ada).post(FORM, files=[file(b"", "")], headers=HTML)
    assert empty.status == 400 and "no picture" in empty.text


async def test_a_bot_gives_itself_one_by_its_token(core, client, cast):
    bot = await make_user(core, "gull", kind="bot")
    user = (await give(client(bot, bearer=True), halves())).json["user"]
    assert user["kind"] == "bot" and "avatar_url" in user


# --- Seeing it -----------------------------------------------------------------------


async def test_an_avatar_is_served_guarded_and_for_ever(client, cast):
    path = (await give(client(cast.ada), halves())).json["user"]["avatar_url"]
    answer = await client(cast.linus).get(path)
    headers = answer.headers
    assert headers["Content-Type"] == "image/webp"
    assert headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    again = {"If-None-Match": headers["ETag"]}
    assert (await client(cast.linus).get(path, headers=again)).status == 304
    head = await client(cast.linus).request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.body))
    assert (await client().get(path)).status == 401


async def test_everybody_is_told_at_once(client, any_socket, cast):
    linus = await any_socket(cast.linus)

    def is_ada(payload):
        return payload["user"]["id"] == cast.ada.id

    given = (await give(client(cast.ada), halves())).json["user"]
    assert (await linus.fact("user_changed", is_ada))["user"] == given
    await client(cast.ada).request("DELETE", API)
    told = (await linus.fact("user_changed", is_ada))["user"]
    assert "avatar_url" not in told and told["rev"] > given["rev"]


# --- Replacing and taking back -------------------------------------------------------


async def test_a_new_one_has_a_new_address_and_the_old_one_is_gone(core, client, cast):
    ada = client(cast.ada)
    await give(ada, halves())
    old = await url_of(ada)
    await give(ada, halves(200, 200))
    assert await url_of(ada) != old
    assert (await ada.get(old)).status == 404
    assert await counts(core) == [1, 0, 0]


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", API), ("POST", f"{FORM}/remove")]
)
async def test_a_removed_one_is_gone_with_its_bytes(core, client, cast, method, path):
    ada = client(cast.ada)
    await give(ada, halves())
    old = await url_of(ada)
    json = {"Accept": "application/json"}
    for _ in "12":  # once more changes nothing
        answer = await ada.request(method, path, headers=json)
        assert answer.status == 200 and "avatar_url" not in answer.json["user"]
    assert (await ada.get(old)).status == 404
    assert await counts(core) == [0, 0, 0]
    assert await core.db.read(blobs.stored_bytes, cast.ada.id) == 0


async def test_nobody_removes_another_s(core, client, cast):
    await give(client(cast.ada), halves())
    await client(cast.linus).request("DELETE", API)
    await client(cast.linus).post(f"{FORM}/remove", form={"user_id": cast.ada.id})
    form = {"user_id": cast.ada.id}
    await client(cast.linus).post(API, form=form, files=[file(picture())])
    assert await url_of(client(cast.linus)) and await url_of(client(cast.ada))
    rev = (await client(cast.ada).get("/api/v1/me")).json["user"]["rev"]
    for path in (f"/avatars/{cast.linus.id}/{rev}", f"/avatars/999999/{rev}"):
        assert (await client(cast.linus).get(path)).code == "not_found"


async def test_who_is_deactivated_has_none(core, client, cast):
    user = (await give(client(cast.ada), halves())).json["user"]

    def deactivate(tx):
        User.update(deactivated_at=tx.now_ms).where(User.id == cast.ada.id).execute()

    await core.db.write(deactivate)
    assert (await client(cast.linus).get(user["avatar_url"])).status == 404
    found = await client(cast.linus).get(
        f"/people?ids={cast.ada.id}", headers={"Accept": "application/json"}
    )
    assert "avatar_url" not in found.json["users"][0]


async def test_an_avatar_counts_as_room_that_is_used(core, client, cast):
    await give(client(cast.ada), noise())
    used = await core.db.read(blobs.stored_bytes, cast.ada.id)
    stored = await core.db.read(lambda: Avatar.get().bytes)
    assert used == len(stored) > 1000


@pytest.mark.parametrize("config_flags", [{"max_bytes_per_user": "500"}])
async def test_without_room_nothing_is_changed(core, client, cast):
    assert (await give(client(cast.ada), noise())).code == "storage_full"
    assert await counts(core) == [0, 0, 0]
    assert (await give(client(cast.ada), picture())).status == 201


# --- What is refused -----------------------------------------------------------------

REFUSED = {
    "text": (b"<svg onload=alert(1)>" * 50, "picture_type"),
    "nothing": (b"", "picture_truncated"),
    "truncated": (halves()[:-20], "picture_truncated"),
    "nonsense": (big_png(5000), "picture_unreadable"),
    "too large": (big_png(avatars.MAX_BYTES + 1), "too_large"),
    "too many pixels": (png_head(60_000, 60_000), "too_large"),
    "a broken head": (png_head(0, 5), "picture_type"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("path", [API, FORM])
async def test_what_is_wrong_is_told_and_changes_nothing(app, client, cast, path, name):
    data, code = REFUSED[name]
    ada = client(cast.ada)
    await give(ada, halves())
    before = await url_of(ada)
    answer = await give(ada, data, path, headers={"Accept": "application/json"})
    assert answer.code == code
    assert await url_of(ada) == before
    assert await counts(app.core) == [1, 0, 0]
    assert (await give(ada, halves())).status == 201  # nothing stands in the way


@pytest.mark.parametrize(
    "files",
    [
        [],
        [file(picture(), field="avatar")],
        [file(picture()), file(picture())],
    ],
    ids=["none", "another field", "two"],
)
async def test_a_form_has_one_picture(client, cast, files):
    body, kind = encode_multipart({"x": "y"}, files)
    answer = await client(cast.ada).post(API, body=body, headers={"Content-Type": kind})
    assert answer.code == "bad_request"


async def test_what_is_no_form_is_refused(client, cast):
    assert (await client(cast.ada).post(API, json={"a": 1})).code == "bad_request"
    assert (await client(cast.ada).post(API)).code == "bad_request"


async def begin(app, cast, data, part):
    """Send the first part of an upload; returns the connection."""
    body, kind = encode_multipart({}, [file(data)])
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    head = (
        f"POST {API} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Authorization: Bearer {cast.ada.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    at = int(part * len(body))
    writer.write(head.encode() + body[:at])
    await writer.drain()
    return reader, writer, body[at:]


async def until(check):
    async with asyncio.timeout(60):
        while not check():
            await asyncio.sleep(0.01)


def open_files(folder):
    """Files without a name that this process holds in a folder."""
    links = [
        os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
    ]
    return [
        link for link in links if link.startswith(str(folder)) and "(deleted)" in link
    ]


async def test_two_at_once_are_one_after_the_other(app, client, cast):
    reader, writer, rest = await begin(app, cast, big_png(600_000), 0.9)
    await until(lambda: app.web.avatars._users)
    second = await give(client(cast.ada), halves())
    assert (second.status, second.code) == (429, "rate_limited")
    assert (await give(client(cast.grace), halves())).status == 201
    writer.write(rest)
    assert b"picture_unreadable" in await reader.read(4096)
    writer.close()
    assert (await give(client(cast.ada), halves())).status == 201


async def test_a_cut_connection_leaves_nothing(app, client, cast):
    _, writer, _ = await begin(app, cast, big_png(600_000), 0.9)
    folder = app.config.data
    await until(lambda: open_files(folder))
    writer.transport.abort()
    await until(lambda: not app.web.avatars._users and not open_files(folder))
    assert await counts(app.core) == [0, 0, 0]
    assert (await give(client(cast.ada), halves())).status == 201
    assert not open_files(folder)


async def test_the_child_goes_when_there_is_nothing_to_do(
    app, client, cast, monkeypatch
):
    monkeypatch.setattr(avatars, "IDLE_S", 0.05)
    await give(client(cast.ada), halves())
    await until(lambda: not app.web.avatars.child.pid)
    assert (await give(client(cast.ada), halves())).status == 201


async def test_a_child_that_is_killed_is_followed_by_another(app, client, cast):
    await give(client(cast.ada), halves())
    before = await url_of(client(cast.ada))
    os.kill(app.web.avatars.child.pid, 9)
    assert (await give(client(cast.ada), halves())).status == 201
    assert await url_of(client(cast.ada)) != before


async def test_too_many_are_told_to_wait(app, client, cast, monkeypatch):
    monkeypatch.setattr(avatars, "MAX_WAITING", 0)
    assert (await give(client(cast.ada), halves())).code == "busy"


async def test_a_full_disk_is_told(client, cast, monkeypatch):
    monkeypatch.setattr(quotas.os, "statvfs", lambda path: os.statvfs_result([1] * 10))
    assert (await give(client(cast.ada), halves())).code == "storage_full"
