"""Uploads that are made to keep the server busy: others go on, and there is an end."""

import asyncio
import struct

import pytest

from hai.core.turns import Turns
from tests.blocks import made_of
from tests.core.test_turns import Ticks
from tests.pictures import big_png, file, picture

AVATAR = "/api/v1/me/avatar"
TUS = {
    "Tus-Resumable": "1.0.0",
    "Content-Type": "application/offset+octet-stream",
}
NO_PICTURE = b"%PDF-1.7 and so on, for longer than a picture's first bytes"


async def by_form(browser, room, data):
    path = f"/rooms/{room['id']}/hais"
    headers = {"Accept": "application/json"}
    return await browser.post(
        path, form={"text": ""}, files=[file(data)], headers=headers
    )


async def by_dropzone(browser, room, data):
    return await browser.post(f"/rooms/{room['id']}/pictures", files=[file(data)])


async def by_tus(browser, room, data):
    headers = TUS | {"Upload-Length": str(len(data))}
    path = f"/rooms/{room['id']}/uploads"
    return await browser.request("POST", path, headers=headers, body=data)


async def by_tus_later(browser, room, data):
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))}
    path = f"/rooms/{room['id']}/uploads"
    created = await browser.request("POST", path, headers=headers)
    if created.status != 201:
        return created
    headers = TUS | {"Upload-Offset": "0"}
    return await browser.request("PATCH", created.location, headers=headers, body=data)


async def as_avatar(browser, room, data):
    return await browser.post(AVATAR, files=[file(data)])


WAYS = [by_form, by_dropzone, by_tus, by_tus_later, as_avatar]
STILLS = (
    "tables of a JPEG",
    "timed frames of a GIF",
    "loops of a GIF",
    "Exif of a PNG",
)
FILMS = ("fragments of an MP4", "tags of a WebM", "pages of an Ogg")
CASES = [(way, kind) for way in WAYS for kind in STILLS]
CASES += [(way, kind) for way in WAYS[1:4] for kind in FILMS]


@pytest.mark.parametrize(("way", "kind"), CASES)
async def test_meanwhile_the_loop_goes_round_and_others_talk(
    app, client, ws, cast, way, kind
):
    """Each slice is one step here: after any of them everybody else has a turn."""
    app.core.turns = turns = Turns(slice_s=0, rest_s=0)
    grace = await ws(cast.grace)
    async with Ticks() as ticks:
        work = way(client(cast.ada), cast.lounge, made_of(kind, 1_500))
        upload = asyncio.create_task(work)
        order = {"room_id": cast.lounge["id"], "text": "hello", "client_id": "1"}
        assert "hai" in await grace.order("send_hai", order)
        answer = await upload
    assert answer.status in (201, 204)
    assert turns.slice_count > (10 if "timed" in kind or "Ogg" in kind else 1_000)
    assert ticks.count >= turns.slice_count


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_in_too_many_pieces_is_refused_in_words(client, cast, way):
    data = made_of("comments of a JPEG", 100_000)
    answer = await way(client(cast.ada), cast.lounge, data)
    assert (answer.status, answer.code) == (415, "picture_type")
    assert answer.json["error"]["message"] == "The picture is in too many pieces."


@pytest.fixture
def few(app):
    """Three refused uploads, and no more of them come."""
    limit = app.web.refused_uploads
    limit.burst, limit.per_second = 3, 0


@pytest.mark.parametrize("way", WAYS)
async def test_refused_uploads_are_counted(few, client, cast, way):
    ada, grace = client(cast.ada), client(cast.grace)
    codes = [(await way(ada, cast.lounge, NO_PICTURE)).code for _ in range(3)]
    assert codes == ["picture_type"] * 3
    for other_way in WAYS:
        answer = await other_way(ada, cast.lounge, picture())
        assert (answer.status, answer.code) == (429, "rate_limited")
    assert (await way(grace, cast.lounge, picture())).status in (201, 204)


@pytest.mark.parametrize("way", WAYS)
async def test_good_uploads_are_not(few, client, cast, way):
    ada = client(cast.ada)
    statuses = [(await way(ada, cast.lounge, picture())).status for _ in range(5)]
    assert set(statuses) <= {201, 204}


@pytest.mark.parametrize(
    "data",
    [
        picture()[:-9],
        picture("JPEG")[:200],
        made_of("comments of a JPEG", 100_000),
        picture()[:16] + struct.pack(">I", 70_000) + picture()[20:],
    ],
    ids=["a PNG cut short", "a JPEG cut short", "too many pieces", "too wide"],
)
async def test_whatever_is_wrong_with_them(few, client, cast, data):
    ada = client(cast.ada)
    for _ in range(3):
        assert (await by_dropzone(ada, cast.lounge, data)).status in (415, 422)
    assert (await by_dropzone(ada, cast.lounge, data)).code == "rate_limited"


async def test_a_cut_connection_is_nobody_s_fault(few, app, client, cast):
    for _ in range(5):
        head = (
            f"POST /rooms/{cast.lounge['id']}/pictures HTTP/1.1\r\nHost: hai\r\n"
            f"Authorization: Bearer {cast.ada.token}\r\nContent-Length: 9999\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        _, writer = await asyncio.open_connection("127.0.0.1", app.port)
        writer.write(head.encode() + b"--x\r\n")
        await soon(lambda: app.web.uploads)
        writer.close()
        await soon(lambda: not app.web.uploads)
    answer = await by_dropzone(client(cast.ada), cast.lounge, big_png(9_000))
    assert answer.status == 201


async def soon(check):
    async with asyncio.timeout(30):
        while not check():
            await asyncio.sleep(0.01)


class TestWithoutRateLimits:
    @pytest.fixture
    def config_flags(self):
        return {"rate_limits": "off"}

    @pytest.mark.parametrize("way", WAYS)
    async def test_none_is_counted(self, few, client, cast, way):
        ada = client(cast.ada)
        codes = [(await way(ada, cast.lounge, NO_PICTURE)).code for _ in range(6)]
        assert codes == ["picture_type"] * 6
