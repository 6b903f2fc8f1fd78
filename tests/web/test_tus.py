"""tus 1.0.0 as its document says it (tus.io/protocols/resumable-upload), over real
sockets: what a client may count on, and what a hostile one cannot do."""

import asyncio
import base64
import contextlib
import hashlib
import random
import signal
import sqlite3
from email.utils import parsedate_to_datetime

import pytest

from hai.core.identity import sessions
from hai.core.people import admin
from hai.storage.blobs import CHUNK_BYTES
from hai.storage.models import Chunk, Picture, UnfinishedUpload
from hai.web import tus
from tests import videos
from tests.core.pictures.test_resumable import long_one
from tests.factories import make_hai, order
from tests.metadata import SECRET, strangers, talkative
from tests.pictures import TYPES, big_png, picture

LIMIT = 4 * 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def config_flags():
    kinds = ("picture", "video", "voice")
    return {f"max_{kind}_bytes": str(LIMIT) for kind in kinds}


def metadata(**fields):
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in fields.items()
    )


async def create(browser, room, length, *, body=None, base="", **headers):
    headers = {**TUS, "Upload-Length": str(length), **headers}
    if body is not None:
        headers |= BYTES
    path = f"{base}/rooms/{room['id']}/uploads"
    return await browser.request("POST", path, headers=headers, body=body)


async def patch(browser, path, offset, body, **headers):
    headers = {**TUS, **BYTES, "Upload-Offset": str(offset), **headers}
    return await browser.request("PATCH", path, headers=headers, body=body)


async def head(browser, path):
    return await browser.request("HEAD", path, headers=TUS)


async def delete(browser, path):
    return await browser.request("DELETE", path, headers=TUS)


async def soon(check):
    async with asyncio.timeout(60):
        while not await check():
            await asyncio.sleep(0.01)


async def rows(core):
    return await core.db.read(
        lambda: tuple(m.select().count() for m in (UnfinishedUpload, Picture, Chunk))
    )


# --- As the document says ------------------------------------------------------------


@pytest.mark.parametrize("base", ["", "/api/v1"])
async def test_a_picture_in_three_pieces(core, client, cast, base):
    data, ada = big_png(700_000), client(cast.ada)
    about = metadata(filename="sea.png", alt="The sea")
    made = await create(
        ada, cast.lounge, len(data), base=base, **{"Upload-Metadata": about}
    )
    assert made.status == 201
    assert made.headers["Tus-Resumable"] == "1.0.0"
    path = made.location
    assert path.startswith(f"{base}/uploads/")
    parsedate_to_datetime(made.headers["Upload-Expires"])
    for start, end in ((0, 300_000), (300_000, 300_001), (300_001, len(data))):
        at = await head(ada, path)
        assert (at.status, at.body) == (200, b"")
        assert at.headers["Upload-Offset"] == str(start)
        assert at.headers["Upload-Length"] == str(len(data))
        assert at.headers["Upload-Metadata"] == about
        assert at.headers["Cache-Control"] == "no-store"
        answer = await patch(ada, path, start, data[start:end])
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Upload-Offset"] == str(end)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert ("Upload-Expires" in answer.headers) == (end < len(data))
    picture_id = int(answer.headers["Hai-Picture"])
    assert (await ada.get(f"/pictures/{picture_id}")).body == data
    at = await head(ada, path)
    assert at.headers["Upload-Offset"] == str(len(data))
    assert at.headers["Hai-Picture"] == str(picture_id)
    found = (await ada.get(path)).json["upload"]
    assert found["picture"]["name"] == "sea.png"
    assert found["picture"]["alt"] == "The sea"
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[picture_id])
    assert hai["pictures"][0]["id"] == picture_id


async def test_what_the_server_can_do_is_told_to_anybody(client, cast):
    for path in (f"/rooms/{cast.lab['id']}/uploads", f"/uploads/{'x' * 43}"):
        answer = await client().request("OPTIONS", path)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(LIMIT)
        assert answer.headers["Tus-Extension"] == (
            "creation,creation-with-upload,termination,expiration,checksum"
        )
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"


@pytest.mark.parametrize("kind", TYPES)
async def test_a_small_one_comes_with_its_creation(core, client, cast, kind):
    data, ada = talkative(kind, 6), client(cast.ada)
    about = metadata(filename=f"sea.{kind}", filetype="text/html")
    answer = await create(
        ada, cast.lounge, len(data), body=data, **{"Upload-Metadata": about}
    )
    assert answer.status == 201
    assert answer.headers["Upload-Offset"] == str(len(data))
    made = answer.json["upload"]["picture"]
    assert "expires_at" not in answer.json["upload"]  # it is a picture, and stays one
    assert made["type"] == TYPES[kind]
    assert str(made["id"]) == answer.headers["Hai-Picture"]
    assert strangers((await ada.get(made["url"])).body) == []


async def test_the_first_bytes_may_come_with_the_creation(client, cast):
    data, ada = big_png(500_000), client(cast.ada)
    answer = await create(ada, cast.lounge, len(data), body=data[:100_000])
    assert answer.headers["Upload-Offset"] == "100000"
    done = await patch(
        ada, answer.location, 100_000, data[100_000:], Accept="application/json"
    )
    assert done.status == 200
    made = done.json["upload"]["picture"]
    assert made["bytes"] == len(data)


async def test_the_original_is_kept_where_it_is_wanted(client, cast):
    data, ada = talkative("JPEG"), client(cast.ada)
    about = {"Upload-Metadata": metadata(keep_metadata="on")}
    answer = await create(ada, cast.lounge, len(data), **about)
    await patch(ada, answer.location, 0, data[:1000])
    done = await patch(ada, answer.location, 1000, data[1000:])
    served = await ada.get(f"/pictures/{done.headers['Hai-Picture']}")
    assert served.body == data


async def test_where_only_post_passes_its_head_says_what_it_is(client, cast):
    data, ada = big_png(50_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    headers = {**TUS, **BYTES, "Upload-Offset": "0"}

    async def as_post(method, body=b"", **more):
        more["X-HTTP-Method-Override"] = method
        return await ada.request("POST", path, body=body, headers=headers | more)

    assert (await as_post("PATCH", data[:9])).headers["Upload-Offset"] == "9"
    assert (await head(ada, path)).headers["Upload-Offset"] == "9"
    assert (await as_post("DELETE")).status == 204
    assert (await head(ada, path)).status == 404
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await as_post("PATCH", b"x", **foreign)).status == 403


async def test_an_upload_is_taken_back(app, core, client, cast):
    data, ada = big_png(700_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    await patch(ada, path, 0, data[:600_000])
    assert (await rows(core))[2] == 2
    assert (await delete(ada, path)).status == 204
    for answer in (await head(ada, path), await delete(ada, path)):
        assert answer.status == 404
        assert "Upload-Offset" not in answer.headers
    assert (await patch(ada, path, 600_000, data[600_000:])).status == 404
    await app.web.close()
    assert await rows(core) == (0, 0, 0)


async def test_a_whole_one_is_taken_back_unless_it_was_sent(app, core, client, cast):
    data, ada = big_png(5_000), client(cast.ada)
    first = await create(ada, cast.lounge, len(data), body=data)
    second = await create(ada, cast.lounge, len(data), body=data)
    await make_hai(
        core,
        cast.ada,
        cast.lounge,
        "",
        picture_ids=[int(first.headers["Hai-Picture"])],
    )
    for answer in (first, second):
        assert (await delete(ada, answer.location)).status == 204
    for answer, status in ((first, 200), (second, 404)):
        path = f"/pictures/{answer.headers['Hai-Picture']}"
        assert (await ada.get(path)).status == status


# --- What is wrong is told, with a code, and stores nothing ---------------------------


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, "upload_version"),
        ({"Tus-Resumable": ""}, 412, "upload_version"),
        ({"Upload-Length": ""}, 400, "bad_request"),
        ({"Upload-Length": "-1"}, 400, "bad_request"),
        ({"Upload-Length": "1e3"}, 400, "bad_request"),
        ({"Upload-Length": "9" * 400}, 400, "bad_request"),
        ({"Upload-Length": str(LIMIT + 1)}, 413, "too_large"),
        ({"Upload-Length": "0"}, 422, "picture_truncated"),
        ({"Upload-Length": "", "Upload-Defer-Length": "1"}, 400, "bad_request"),
        ({"Upload-Concat": "partial"}, 400, "bad_request"),
        ({"Upload-Metadata": "filename !!"}, 400, "bad_request"),
        ({"Upload-Metadata": "filename /w=="}, 400, "bad_request"),
        ({"Upload-Metadata": "k " + "QUFB" * 4000}, 400, "bad_request"),
    ],
)
async def test_a_wrong_creation_is_refused(core, client, cast, headers, status, code):
    answer = await create(client(cast.ada), cast.lounge, 100, **headers)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert (answer.headers.get("Tus-Version") == "1.0.0") == (status == 412)
    assert await rows(core) == (0, 0, 0)


async def test_a_creation_with_bytes_is_checked_first(core, client, cast):
    ada, data = client(cast.ada), picture()
    plain = {"Content-Type": "image/png"}
    path = f"/rooms/{cast.lounge['id']}/uploads"
    headers = {**TUS, "Upload-Length": str(len(data)), **plain}
    answer = await ada.request("POST", path, headers=headers, body=data)
    assert (answer.status, answer.code) == (415, "upload_type")
    answer = await create(ada, cast.lounge, len(data) - 1, body=data)
    assert (answer.status, answer.code) == (413, "too_large")
    assert await rows(core) == (0, 0, 0)


@pytest.mark.parametrize(
    ("offset", "headers", "status", "code"),
    [
        ("0", {}, 409, "upload_offset"),
        ("100001", {}, 409, "upload_offset"),
        ("", {}, 400, "bad_request"),
        ("x", {}, 400, "bad_request"),
        ("100000", {"Content-Type": "image/png"}, 415, "upload_type"),
        ("100000", {"Tus-Resumable": "1.0.1"}, 412, "upload_version"),
    ],
)
async def test_a_wrong_patch_changes_nothing(
    client, cast, offset, headers, status, code
):
    data, ada = big_png(300_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data), body=data[:100_000])).location
    answer = await patch(ada, path, offset, data[100_000:], **headers)
    assert (answer.status, answer.code) == (status, code)
    assert (await head(ada, path)).headers["Upload-Offset"] == "100000"
    assert (await patch(ada, path, 100_000, data[100_000:])).status == 204


async def test_more_than_was_said_is_refused(client, cast):
    data, ada = picture(), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    answer = await patch(ada, path, 0, data + b"x")
    assert (answer.status, answer.code) == (413, "too_large")
    assert (await patch(ada, path, 0, data)).headers["Hai-Picture"]


async def test_a_patch_of_a_whole_one_is_refused(client, cast):
    data, ada = picture(), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data), body=data)).location
    for offset, body in ((len(data), b""), (len(data), b"x"), (0, data)):
        assert (await patch(ada, path, offset, body)).status in (409, 413)
    assert (await head(ada, path)).headers["Hai-Picture"]


async def test_nothing_may_come_again_and_again(client, cast):
    data, ada = picture(), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    for _ in range(3):
        answer = await patch(ada, path, 0, b"")
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, "0")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.7 is no picture", "picture_type"),
        (picture()[:-4], "picture_truncated"),
        (big_png(600_000)[:-4], "picture_truncated"),
        (b"x", "picture_type"),
    ],
)
async def test_what_is_no_picture_is_gone_at_once(app, core, client, cast, data, code):
    ada = client(cast.ada)
    answer = await create(ada, cast.lounge, len(data), body=data)
    assert answer.code == code
    path = (await create(ada, cast.lounge, len(data))).location
    assert (await patch(ada, path, 0, data)).code == code
    assert (await head(ada, path)).status == 404
    await app.web.close()
    assert await rows(core) == (0, 0, 0)


class TestLimits:
    @pytest.fixture
    def config_flags(self):
        return {"max_picture_bytes": "500000", "max_video_bytes": "2000000"}

    async def test_the_largest_of_the_limits_is_told(self, app, client, cast):
        path = f"/rooms/{cast.lounge['id']}/uploads"
        answer = await client().request("OPTIONS", path)
        most = app.core.config.max_upload_bytes
        assert answer.headers["Tus-Max-Size"] == str(most)

    async def test_a_picture_larger_than_pictures_may_be_is_gone_at_once(
        self, app, core, client, cast
    ):
        data, ada = big_png(600_000), client(cast.ada)
        path = (await create(ada, cast.lounge, len(data))).location
        answer = await patch(ada, path, 0, data[:100_000])
        assert (answer.status, answer.code) == (413, "too_large")
        assert answer.json["error"]["details"] == {"max_bytes": 500_000}
        assert (await head(ada, path)).status == 404
        await app.web.close()
        assert await rows(core) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["mp4 first", "mov", "live webm", "ogg", "m4a"])
async def test_a_film_or_voice_in_pieces_is_played_in_parts(client, cast, kind):
    data, ada = videos.large(kind), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    for at in range(0, len(data), 400_000):
        answer = await patch(ada, path, at, data[at : at + 400_000])
        assert answer.status == 204
    made = (await ada.get(path)).json["upload"]["picture"]
    assert made["type"] == videos.TYPES[kind] and made["duration_ms"] > 5000
    stored = await ada.get(made["url"])
    assert stored.headers["Content-Type"] == videos.TYPES[kind]
    assert SECRET not in stored.body and videos.strangers(stored.body) == []
    part = await ada.get(made["url"], headers={"Range": "bytes=300000-300099"})
    assert (part.status, part.body) == (206, stored.body[300_000:300_100])


# --- Only the one who began it -------------------------------------------------------


async def test_others_cannot_tell_that_it_is_there(client, cast):
    data = big_png(300_000)
    ada = client(cast.ada)
    path = (await create(ada, cast.lab, len(data), body=data[:1000])).location
    nowhere = "/uploads/" + "x" * 43
    for other in (client(cast.grace), client(cast.linus), client(cast.grace)):
        for ask in (head, delete, lambda o, p: patch(o, p, 1000, data[1000:])):
            there, not_there = await ask(other, path), await ask(other, nowhere)
            assert there.status == not_there.status == 404
            assert there.body == not_there.body
        assert (await other.get(path)).code == "not_found"
    for ask in (head, delete):
        assert (await ask(client(), path)).status == 401
    assert (await patch(ada, path, 1000, data[1000:])).headers["Hai-Picture"]


async def test_who_has_left_the_room_cannot_go_on(core, client, cast):
    data, grace = big_png(300_000), client(cast.grace)
    path = (await create(grace, cast.lab, len(data), body=data[:1000])).location
    payload = {"room_id": cast.lab["id"], "user_id": cast.grace.id}
    await order(core, cast.ada, "remove_member", payload)
    assert (await patch(grace, path, 1000, data[1000:])).status == 404
    assert (await create(grace, cast.lab, 100)).status == 404


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_a_foreign_page_can_do_nothing(client, cast, method):
    data, ada = picture(), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    headers = {**TUS, **BYTES, "Upload-Offset": "0", "Upload-Length": "9", **foreign}
    where = f"/rooms/{cast.lounge['id']}/uploads" if method == "POST" else path
    assert (await ada.request(method, where, headers=headers)).status == 403
    assert (await head(ada, path)).headers["Upload-Offset"] == "0"


async def test_who_may_not_is_told_before_the_body_is_read(app, cast):
    head_ = (
        f"POST /rooms/{cast.lab['id']}/uploads HTTP/1.1\r\nHost: hai\r\n"
        f"Authorization: Bearer {cast.linus.token}\r\nTus-Resumable: 1.0.0\r\n"
        "Upload-Length: 900000\r\nContent-Length: 900000\r\n"
        "Content-Type: application/offset+octet-stream\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head_.encode())
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    assert b" 404 " in line


async def test_too_many_at_once_are_refused(app, client, cast):
    ada, data = client(cast.ada), big_png(300_000)
    paths = [(await create(ada, cast.lounge, len(data))).location for _ in range(11)]
    writers = [
        await begin_patch(app, cast.ada, path, 0, data, 10) for path in paths[1:]
    ]
    await soon(lambda: are_under_way(app, 10))
    assert (await patch(ada, paths[0], 0, data)).code == "rate_limited"
    for writer in writers:
        writer.close()
    await soon(lambda: are_under_way(app, 0))
    assert (await patch(ada, paths[0], 0, data)).status == 204
    assert app.web.receiving == {}


# --- Checksums -----------------------------------------------------------------------


def checksum(data, algorithm="sha256"):
    digest = hashlib.new(algorithm, data).digest()
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(digest).decode()}"}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_bytes_that_are_what_they_say_are_kept(client, cast, algorithm):
    data, ada = big_png(1_500_000), client(cast.ada)
    start = data[:100_000]
    made = await create(
        ada, cast.lounge, len(data), body=start, **checksum(start, algorithm)
    )
    path = made.location
    for at, end in ((100_000, 900_000), (900_000, len(data))):
        piece = data[at:end]
        answer = await patch(ada, path, at, piece, **checksum(piece, algorithm))
        assert answer.status == 204
        assert answer.headers["Upload-Offset"] == str(end)
    assert (await ada.get(f"/pictures/{answer.headers['Hai-Picture']}")).body == data


@pytest.mark.parametrize("first", [0, 10_000, 600_000])
async def test_bytes_that_are_others_are_gone(app, core, client, cast, first):
    """Whatever was there before stays as it was, and the right ones go on."""
    data, ada = big_png(1_500_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data), body=data[:first])).location
    before = await rows(core)
    rest = data[first:]
    for wrong in (rest[:-1] + b"x", rest[: 2 * CHUNK_BYTES]):
        answer = await patch(ada, path, first, wrong, **checksum(rest))
        assert (answer.status, answer.code) == (460, "upload_checksum")
        assert (await head(ada, path)).headers["Upload-Offset"] == str(first)
        app.web.sweep_soon()
        await soon(lambda: are_rows(core, before))
    done = await patch(ada, path, first, rest, **checksum(rest))
    assert (await ada.get(f"/pictures/{done.headers['Hai-Picture']}")).body == data


async def are_rows(core, expected):
    return await rows(core) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha256",
        "sha256 !",
        "sha256 c2hhcmtz",
        "md5 1B2M2Y8AsgTpgAmY7PhCfg==",
        "é é",
    ],
)
async def test_a_checksum_that_is_none_is_refused(core, client, cast, value):
    data, ada = big_png(50_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    said = {"Upload-Checksum": value}
    assert (await patch(ada, path, 0, data, **said)).code == "bad_request"
    assert (await head(ada, path)).headers["Upload-Offset"] == "0"
    answer = await create(ada, cast.lounge, len(data), body=data, **said)
    assert answer.code == "bad_request"
    assert await rows(core) == (1, 0, 0)


async def test_a_mismatch_is_called_as_the_protocol_does(app, client, cast):
    data, ada = big_png(50_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    wrong = checksum(data[1:])
    writer = await begin_patch(app, cast.ada, path, 0, data, len(data), **wrong)
    line = await asyncio.wait_for(writer.reader.readline(), 60)
    assert line == b"HTTP/1.1 460 Checksum Mismatch\r\n"
    writer.close()


async def test_a_creation_with_other_bytes_leaves_nothing(app, core, client, cast):
    data, ada = big_png(700_000), client(cast.ada)
    said = checksum(data[1:])
    answer = await create(ada, cast.lounge, len(data), body=data, **said)
    assert answer.code == "upload_checksum"
    await app.web.close()
    assert await rows(core) == (0, 0, 0)


@pytest.mark.parametrize("first", [0, 600_000])
async def test_of_a_cut_line_unchecked_bytes_do_not_stay(
    app, core, client, cast, first
):
    data, ada = big_png(2_000_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data), body=data[:first])).location
    before, rest = await rows(core), checksum(data[first:])
    writer = await begin_patch(app, cast.ada, path, first, data, 700_000, **rest)
    await soon(lambda: has_received(app, path, first + 700_000))
    writer.close()
    await soon(lambda: are_under_way(app, 0))
    assert (await head(ada, path)).headers["Upload-Offset"] == str(first)
    app.web.sweep_soon()
    await soon(lambda: are_rows(core, before))


async def are_under_way(app, count):
    return sum(app.web.uploads.values()) == count


# --- Lines that are cut, and servers that end ----------------------------------------


async def begin_patch(app, person, path, offset, data, count, **headers):
    """Say that all of the rest will come, and send `count` bytes of it."""
    rest = data[offset:]
    more = "".join(f"{name}: {headers[name]}\r\n" for name in headers)
    head_ = (
        f"PATCH {path} HTTP/1.1\r\nHost: hai\r\nTus-Resumable: 1.0.0\r\n"
        f"Authorization: Bearer {person.token}\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: application/offset+octet-stream\r\n"
        f"Content-Length: {len(rest)}\r\n{more}\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head_.encode() + rest[:count])
    await writer.drain()
    writer.reader = reader
    return writer


async def received(app, path):
    """What the request under way has brought, as the server counts."""
    handler = app.web.receiving.get(path.rsplit("/", 1)[1])
    return handler.upload.received_bytes if handler and handler.upload else 0


async def has_received(app, path, count):
    return await received(app, path) == count


async def test_a_cut_line_keeps_what_it_brought(app, client, cast):
    data, ada = big_png(2_000_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    at = 0
    for count in (10_000, 300_000, 700_000):
        writer = await begin_patch(app, cast.ada, path, at, data, count)
        await soon(lambda end=at + count: has_received(app, path, end))
        writer.close()
        at += count
        await soon(lambda: are_under_way(app, 0))
        assert (await head(ada, path)).headers["Upload-Offset"] == str(at)
    done = await patch(ada, path, at, data[at:])
    served = await ada.get(f"/pictures/{done.headers['Hai-Picture']}")
    assert hashlib.sha256(served.body).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("ask", ["HEAD", "PATCH", "DELETE"])
async def test_a_dead_line_does_not_lock_the_upload(app, core, client, cast, ask):
    """Its other end never says so: whoever comes anew has the upload at once."""
    data, ada = big_png(2_000_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    dead = await begin_patch(app, cast.ada, path, 0, data, 500_000)
    await soon(lambda: has_received(app, path, 500_000))
    if ask == "PATCH":
        answer = await patch(ada, path, 500_000, data[500_000:])
        assert answer.headers["Hai-Picture"]
    elif ask == "HEAD":
        assert (await head(ada, path)).headers["Upload-Offset"] == "500000"
    else:
        assert (await delete(ada, path)).status == 204
        await app.web.close()
        assert await rows(core) == (0, 0, 0)
    assert await rest_of(dead.reader) == b""  # it was closed
    dead.close()
    assert app.web.receiving == {}


async def test_what_a_dead_line_still_brings_goes_nowhere(app, client, cast):
    data, ada = big_png(1_000_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    dead = await begin_patch(app, cast.ada, path, 0, data, 100_000)
    await soon(lambda: has_received(app, path, 100_000))
    newer = await begin_patch(app, cast.ada, path, 100_000, data, 50_000)
    await soon(lambda: has_received(app, path, 150_000))
    with contextlib.suppress(ConnectionError):
        dead.write(b"\0" * 500_000)
        await dead.drain()
    newer.write(data[150_000:])
    status = await asyncio.wait_for(newer.reader.readline(), 60)
    assert b" 204 " in status
    found = (await ada.get(path)).json["upload"]["picture"]
    assert (await ada.get(found["url"])).body == data
    for writer in (dead, newer):
        writer.close()


async def test_a_line_that_brings_nothing_is_given_up(app, client, cast, monkeypatch):
    monkeypatch.setattr(tus, "STALLED_S", 0.2)
    data, ada = big_png(1_000_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    silent = await begin_patch(app, cast.ada, path, 0, data, 200_000)
    assert await rest_of(silent.reader) == b""
    silent.close()
    await soon(lambda: are_under_way(app, 0))
    assert (await head(ada, path)).headers["Upload-Offset"] == "200000"


async def rest_of(reader):
    """What comes until the server ends it: by a reset where it had not read all."""
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(), 60)
    return b""


async def test_who_is_signed_out_brings_nothing_more(app, core, client, cast):
    data, grace = big_png(1_000_000), client(cast.grace)
    path = (await create(grace, cast.lounge, len(data))).location
    writer = await begin_patch(app, cast.grace, path, 0, data, 200_000)
    await soon(lambda: has_received(app, path, 200_000))
    other = client(cast.ada)
    kept = (await create(other, cast.lounge, len(data))).location
    staying = await begin_patch(app, cast.ada, kept, 0, data, 200_000)
    await soon(lambda: has_received(app, kept, 200_000))
    await admin.deactivate(core, cast.ada.identity, user_id=cast.grace.id)
    assert await rest_of(writer.reader) == b""
    assert await received(app, kept) == 200_000
    for one in (writer, staying):
        one.close()


@pytest.mark.parametrize("turns", [None, *range(0, 24, 2)])
async def test_nor_does_who_is_signed_out_while_they_create_one(app, core, cast, turns):
    """Also from the first turn of the loop on; None: when it is counted."""
    who = sessions.find(core, cast.grace.token)
    data = big_png(1_000_000)
    head_ = (
        f"POST /rooms/{cast.lounge['id']}/uploads HTTP/1.1\r\nHost: hai\r\n"
        f"Authorization: Bearer {cast.grace.token}\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Length: {len(data)}\r\nContent-Length: {len(data)}\r\n"
        f"Content-Type: application/offset+octet-stream\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head_.encode() + data[:400_000])
    if turns is None:
        await soon(lambda: are_under_way(app, 1))
    for _ in range(turns or 0):
        await asyncio.sleep(0)
    await sessions.end(core, who.user_id, who.session_id)
    assert (await rest_of(reader))[9:12] in (b"", b"401")
    writer.close()
    await soon(lambda: are_under_way(app, 0))
    await app.web.close()
    assert await rows(core) == (0, 0, 0)


async def test_the_first_bytes_of_a_creation_that_is_cut_do_not_stay(app, core, cast):
    """Nobody was told its address."""
    data = big_png(1_000_000)
    head_ = (
        f"POST /rooms/{cast.lounge['id']}/uploads HTTP/1.1\r\nHost: hai\r\n"
        f"Authorization: Bearer {cast.ada.token}\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Length: {len(data)}\r\nContent-Length: {len(data)}\r\n"
        "Content-Type: application/offset+octet-stream\r\n\r\n"
    )
    _, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head_.encode() + data[:600_000])
    await soon(lambda: has_chunks(core))
    writer.close()
    await soon(lambda: is_empty(core))


async def has_chunks(core):
    return (await rows(core))[2] > 0


async def is_empty(core):
    return await rows(core) == (0, 0, 0)


async def test_a_failure_at_the_very_end_is_made_good_by_head(
    core, client, cast, monkeypatch
):
    """All bytes are there and kept, and then nothing else could be stored."""
    data, ada = big_png(500_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data), body=data[:-100])).location
    real = core.db.write_chunk

    def busy(run, *args, **options):
        if run.__name__ == "_store_chunk":
            raise tus.Busy()
        return real(run, *args, **options)

    monkeypatch.setattr(core.db, "write_chunk", busy)
    answer = await patch(ada, path, len(data) - 100, data[-100:])
    assert answer.code == "busy"
    monkeypatch.undo()
    at = await head(ada, path)
    offset = int(at.headers["Upload-Offset"])
    assert offset == len(data) - 100
    done = await patch(ada, path, offset, data[offset:])
    assert (await ada.get(f"/pictures/{done.headers['Hai-Picture']}")).body == data


async def test_a_server_that_is_told_to_stop_keeps_what_came(app, core, client, cast):
    data, ada = big_png(2_000_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    writer = await begin_patch(app, cast.ada, path, 0, data, 500_000)
    await soon(lambda: has_received(app, path, 500_000))
    await app.http.close_all_connections()
    await app.web.close()
    row = await core.db.read(lambda: UnfinishedUpload.get())
    assert (row.received, row.chunk_count) == (500_000, 1)
    writer.close()


@pytest.mark.parametrize(("more", "status"), [(b"", b" 204 "), (b"x", b" 413 ")])
async def test_the_length_of_a_body_need_not_be_said(app, client, cast, more, status):
    data, ada = big_png(300_000), client(cast.ada)
    path = (await create(ada, cast.lounge, len(data))).location
    head_ = (
        f"PATCH {path} HTTP/1.1\r\nHost: hai\r\nTus-Resumable: 1.0.0\r\n"
        f"Authorization: Bearer {cast.ada.token}\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head_.encode())
    for piece in (data[:100_000], data[100_000:] + more, b""):
        writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
    assert status in await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    at = await head(ada, path)
    assert ("Hai-Picture" in at.headers) == (not more)
    offset = int(at.headers["Upload-Offset"])
    if more:  # what came before is kept, and what is right goes on
        assert 0 < offset <= len(data)
        done = await patch(ada, path, offset, data[offset:])
        assert done.headers["Hai-Picture"]
    await soon(lambda: are_under_way(app, 0))


class Line:
    """A client of a server in another process, which may be killed at any time."""

    def __init__(self, server, token):
        self.server, self.token = server, token

    async def ask(self, method, path, *, body=b"", **headers):
        """(status, headers, body)"""
        reader, writer = await self.begin(method, path, body, len(body), **headers)
        try:
            await writer.drain()
            top, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
        status, *fields = top.decode().split("\r\n")
        return int(status.split()[1]), dict(f.split(": ", 1) for f in fields), rest

    async def begin(self, method, path, body, count, **headers):
        """Ask with all of the body, and send `count` bytes of it."""
        lines = [f"{method} {path} HTTP/1.1", "Host: hai", "Connection: close"]
        headers |= {"Authorization": f"Bearer {self.token}", **TUS, **BYTES}
        headers["Content-Length"] = len(body)
        lines += [f"{name.replace('_', '-')}: {headers[name]}" for name in headers]
        port = int(self.server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + body[:count])
        return reader, writer


@pytest.mark.gen_test(timeout=600)  # the machine may be busy
async def test_a_server_killed_again_and_again_goes_on(serve):
    """One upload of each format, at any byte; in the end the bytes are the same as of
    one that came in one piece."""
    server, chance = serve(), random.Random(11)
    line = Line(server, server.add_user("ada", role="owner"))
    path = f"/rooms/{server.run('rooms', 'add', 'Lounge', '--all').strip()}/uploads"
    places = {}  # address -> [data, how much of it has come]
    for kind in TYPES:
        data = long_one(kind, 7 * CHUNK_BYTES)
        _, headers, _ = await line.ask("POST", path, Upload_Length=len(data))
        places[headers["Location"]] = [data, 0]
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        await bring_some(line, places, chance)
        server.stop(how)
        server.start()
        for address, place in places.items():
            _, headers, _ = await line.ask("HEAD", address)
            came = int(headers["Upload-Offset"])
            assert came >= place[1]
            place[1] = came
    assert all(at > 2 * CHUNK_BYTES for _, at in places.values())
    for address, (data, at) in places.items():
        rest = data[at:]
        status, headers, _ = await line.ask(
            "PATCH", address, body=rest, Upload_Offset=at
        )
        assert status == 204
        made = await line.ask("GET", f"/pictures/{headers['Hai-Picture']}")
        _, headers, _ = await line.ask("POST", path, body=data, Upload_Length=len(data))
        whole = await line.ask("GET", f"/pictures/{headers['Hai-Picture']}")
        assert made[2] == whole[2] and len(whole[2]) > 2 * CHUNK_BYTES
        assert SECRET not in whole[2]
    server.run("verify")
    server.stop()
    for found in server.data.glob("hai.db*"):
        assert SECRET not in found.read_bytes()


@pytest.mark.gen_test(timeout=600)  # the machine may be busy
@pytest.mark.parametrize("first", [0, 300_000])
async def test_a_server_killed_before_it_compared_has_none_of_it(serve, first):
    server = serve()
    line = Line(server, server.add_user("ada", role="owner"))
    path = f"/rooms/{server.run('rooms', 'add', 'Lounge', '--all').strip()}/uploads"
    data = big_png(2_000_000)
    _, headers, _ = await line.ask("POST", path, Upload_Length=len(data))
    address = headers["Location"]
    if first:
        await line.ask("PATCH", address, body=data[:first], Upload_Offset=0)
    rest = data[first:]
    said = {"Upload_Checksum": checksum(rest)["Upload-Checksum"]}
    _, writer = await line.begin(
        "PATCH", address, rest, len(rest) - 1, Upload_Offset=first, **said
    )
    async with asyncio.timeout(60):
        while stored_chunks(server) < 5:
            await asyncio.sleep(0.02)
    server.stop(signal.SIGKILL)
    writer.close()
    server.start()
    _, headers, _ = await line.ask("HEAD", address)
    assert headers["Upload-Offset"] == str(first)
    status, headers, _ = await line.ask(
        "PATCH", address, body=rest, Upload_Offset=first, **said
    )
    assert status == 204
    served = await line.ask("GET", f"/pictures/{headers['Hai-Picture']}")
    assert served[2] == data
    server.run("verify")


def stored_chunks(server):
    with contextlib.closing(sqlite3.connect(server.data / "hai.db")) as db:
        return db.execute("SELECT count(*) FROM chunks").fetchone()[0]


async def bring_some(line, places, chance):
    """Until at least one more chunk of each upload is stored, and a bit more."""
    before, writers = await chunk_counts(line.server), []
    for address, (data, at) in places.items():
        count = CHUNK_BYTES + chance.randint(130_000, 200_000)
        ends = await line.begin(
            "PATCH", address, data[at:], min(count, len(data) - at), Upload_Offset=at
        )
        writers.append(ends[1])
    async with asyncio.timeout(60):
        while not all(map(int.__gt__, await chunk_counts(line.server), before)):
            await asyncio.sleep(0.02)
    for writer in writers:
        writer.close()


async def chunk_counts(server):
    with contextlib.closing(sqlite3.connect(server.data / "hai.db")) as db:
        rows_ = db.execute("SELECT chunk_count FROM uploads ORDER BY id").fetchall()
    return [row[0] for row in rows_]


class BreakingLine:
    """Carries some mebibytes of each connection to a port, and then resets it."""

    def __init__(self, to_port, chance):
        self.to_port, self.chance, self.cut_count = to_port, chance, 0

    async def start(self):
        self.server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def carry(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self.to_port
        )
        back = asyncio.create_task(self.copy(far_reader, writer, 1 << 30))
        if not await self.copy(reader, far_writer, self.chance.randint(1, 12_000_000)):
            self.cut_count += 1
            for end in (writer, far_writer):
                end.transport.abort()
        await back
        writer.close()

    async def copy(self, reader, writer, budget):
        """False: the budget is used up."""
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                writer.write(piece[:budget])
                await writer.drain()
                budget -= len(piece)
                if budget <= 0:
                    return False
        writer.close()
        return True


class TestALargeOne:
    @pytest.fixture
    def config_flags(self):
        return {}

    @pytest.mark.gen_test(timeout=600)  # the machine may be busy
    async def test_fifty_mebibytes_come_over_a_line_that_breaks(self, app, cast):
        """Nothing that has come comes a second time."""
        data, line, at = big_png(50 * 1024 * 1024), Line(app, cast.ada.token), 0
        path = f"/rooms/{cast.lounge['id']}/uploads"
        _, headers, _ = await line.ask("POST", path, Upload_Length=len(data))
        address = headers["Location"]
        breaking = await BreakingLine(app.port, random.Random(3)).start()
        far = Line(breaking, cast.ada.token)
        while at < len(data):
            with contextlib.suppress(OSError, ValueError, IndexError):  # cut anywhere
                await far.ask("PATCH", address, body=data[at:], Upload_Offset=at)
            _, headers, _ = await line.ask("HEAD", address)
            assert int(headers["Upload-Offset"]) >= at
            at = int(headers["Upload-Offset"])
        assert breaking.cut_count > 4
        _, _, body = await line.ask("GET", f"/pictures/{headers['Hai-Picture']}")
        assert body == data
        breaking.server.close()
