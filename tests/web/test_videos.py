"""Videos and voices over HTTP: sent like pictures, with sizes of their own, and played
in parts."""

import asyncio
import re

import pytest

from hai.storage.models import Chunk, Picture
from tests.factories import make_hai
from tests.metadata import SECRET
from tests.pictures import big_png, file, picture
from tests.videos import KINDS, TYPES, box, made, strangers, talkative

KIB = 1024
LIMITS = {"picture": 300 * KIB, "video": 200 * KIB, "voice": 100 * KIB}
ENDINGS = {
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/webm": ".webm",
}


@pytest.fixture
def config_flags():
    return {f"max_{kind}_bytes": str(limit) for kind, limit in LIMITS.items()}


async def upload(browser, room, *files, **form):
    path = f"/rooms/{room['id']}/pictures"
    return await browser.post(path, form=form, files=list(files))


async def sent(core, client, person, room, data, name):
    answer = await upload(client(person), room, file(data, name))
    made = answer.json["pictures"][0]
    hai = await make_hai(core, person, room, "look", picture_ids=[made["id"]])
    return hai["pictures"][0]


async def nothing_is_stored(core):
    async with asyncio.timeout(60):
        while await core.db.read(
            lambda: Picture.select().count() + Chunk.select().count()
        ):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_sent_and_comes_back_without_what_it_said(core, client, cast, kind):
    data = talkative(kind)
    found = await sent(core, client, cast.ada, cast.lounge, data, "../boat.html")
    is_seen = TYPES[kind].startswith("video/")
    assert found["type"] == TYPES[kind]
    assert (found["width"], found["height"]) == ((64, 48) if is_seen else (0, 0))
    assert abs(found["duration_ms"] - 2000) < 120
    answer = await client(cast.grace).get(found["url"])
    assert SECRET in data and SECRET not in answer.body
    assert strangers(answer.body) == []
    assert answer.headers["Content-Type"] == TYPES[kind]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    name = f"boat.html{ENDINGS[TYPES[kind]]}"
    assert name in answer.headers["Content-Disposition"]
    assert (await client(cast.linus).get(found["url"])).status in (200, 404)


async def test_it_is_for_members_only(core, client, cast):
    found = await sent(core, client, cast.ada, cast.lab, made("mp4"), "boat.mp4")
    assert (await client(cast.grace).get(found["url"])).status == 200
    assert (await client(cast.linus).get(found["url"])).code == "not_found"


async def test_browsers_ask_for_parts_of_it(core, client, cast):
    found = await sent(core, client, cast.ada, cast.lounge, made("mp4"), "boat.mp4")
    browser, size = client(cast.grace), found["bytes"]
    whole = (await browser.get(found["url"])).body
    for wanted, start, end in (
        ("bytes=0-", 0, size),
        ("bytes=0-1", 0, 2),
        (f"bytes={size - 100}-", size - 100, size),
        ("bytes=-50", size - 50, size),
    ):
        answer = await browser.get(found["url"], headers={"Range": wanted})
        assert answer.status == 206
        assert answer.body == whole[start:end]
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    answer = await browser.get(found["url"], headers={"Range": f"bytes={size}-"})
    assert answer.status == 416


async def test_the_original_is_kept_when_asked_for(core, client, cast):
    data = talkative("mp4")
    form = {"keep_metadata": "on"}
    answer = await upload(client(cast.ada), cast.lounge, file(data, "a.mp4"), **form)
    url = answer.json["pictures"][0]["url"]
    assert (await client(cast.ada).get(url)).body == data


def padded(kind, length):
    """A video or voice of exactly so many bytes."""
    data = made(kind)
    return data + box(b"free", bytes(length - len(data) - 8))


@pytest.mark.parametrize("kind", ["picture", "video", "voice"])
async def test_each_has_a_limit_of_its_own(core, client, cast, kind):
    def of(length):
        if kind == "picture":
            return file(big_png(length))
        return file(padded("mp4" if kind == "video" else "m4a", length), "a.mp4")

    limit = LIMITS[kind]
    refused = await upload(client(cast.ada), cast.lounge, of(limit + 1))
    assert (refused.status, refused.code) == (413, "too_large")
    assert refused.json["error"]["message"] == f"The {kind} is too large."
    assert refused.json["error"]["details"] == {"max_bytes": limit}
    await nothing_is_stored(core)
    assert (await upload(client(cast.ada), cast.lounge, of(limit))).status == 201


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (made("mp4")[:-1], "picture_truncated"),
        (made("webm")[:-1], "picture_truncated"),
        (made("ogg")[:-1], "picture_truncated"),
        (made("mp4")[:40], "picture_truncated"),
        (made("mp4")[:32] + box(b"moov", b""), "picture_type"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "picture_type"),
        (b"OggS" + bytes(60), "picture_type"),
        (b"\0\0\0\x1cftypheic" + bytes(60), "picture_type"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(60), "picture_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_wrong_is_told_and_leaves_nothing(core, client, cast, data, code):
    answer = await upload(client(cast.ada), cast.lounge, file(data, "a.mp4"))
    assert answer.code == code
    await nothing_is_stored(core)


async def test_pictures_videos_and_a_voice_go_in_one_hai(client, cast):
    """One curl for a program, with the text."""
    files = [file(picture()), file(made("webm"), "b.webm"), file(made("ogg"), "c.ogg")]
    path = f"/api/v1/rooms/{cast.lounge['id']}/hais"
    answer = await client(cast.ada).post(path, form={"text": "all"}, files=files)
    types = [one["type"] for one in answer.json["hai"]["pictures"]]
    assert types == ["image/png", "video/webm", "audio/ogg"]


async def test_the_page_draws_them_for_everybody(core, client, cast):
    """The browser's own controls are there without JavaScript."""
    await sent(core, client, cast.ada, cast.lounge, made("mp4"), "boat.mp4")
    await sent(core, client, cast.ada, cast.lounge, made("m4a"), "hm.m4a")
    path = f"/rooms/{cast.lounge['id']}"
    page = (await client(cast.grace).get(path, headers={"Accept": "text/html"})).markup
    assert re.search(r'<video .*preload="metadata" width="\d+" height="\d+"', page)
    assert 'aria-label="Video from Ada, not described" controls' in page
    assert 'aria-label="Voice hai 0:02" controls' in page


@pytest.mark.parametrize("kind", ["mp4", "m4a"])
async def test_one_says_later_what_it_shows(core, client, cast, kind):
    """And hears it read aloud."""
    made_ = await sent(core, client, cast.ada, cast.lounge, made(kind), "a")
    path, html = f"/rooms/{cast.lounge['id']}", {"Accept": "text/html"}
    describe = f"/api/v1/pictures/{made_['id']}"
    answer = await client(cast.ada).post(describe, json={"alt": "The harbour"})
    assert answer.json["hai"]["pictures"][0]["alt"] == "The harbour"
    page = (await client(cast.grace).get(path, headers=html)).markup
    assert 'aria-label="The harbour"' in page


async def test_the_microphone_is_ours_alone(client, cast):
    answer = await client(cast.ada).get("/rooms", headers={"Accept": "text/html"})
    assert "microphone=(self)" in answer.headers["Permissions-Policy"]
    policy = answer.headers["Content-Security-Policy"]
    assert "media-src 'self' blob:" in policy
