"""Pictures over HTTP: uploaded, refused, cut off, served whole and in part."""

import asyncio
import contextlib
import hashlib
import random
import sqlite3
import struct

import pytest

from hai.storage.blobs import CHUNK_BYTES
from hai.storage.models import Chunk, Picture
from hai.storage.sqlite import reserve
from hai.web.pictures import FormUploadHandler
from tests.clients import encode_multipart
from tests.factories import make_hai, order
from tests.metadata import SECRET, riff_chunk, strangers, talkative, webp
from tests.pictures import TYPES, big_png, file, picture

LIMIT = 2 * 1024 * 1024
HTML = {"Accept": "text/html"}


@pytest.fixture
def config_flags():
    kinds = ("picture", "video", "voice")
    return {f"max_{kind}_bytes": str(LIMIT) for kind in kinds}


async def upload(browser, room, *files, **form):
    files = list(files) or [file(picture())]
    return await browser.post(f"/rooms/{room['id']}/pictures", form=form, files=files)


async def stored(core):
    """(pictures, chunks) in the database."""
    return await core.db.read(
        lambda: (Picture.select().count(), Chunk.select().count())
    )


async def sent(core, client, person, room, data):
    """A picture that is in a hai; returns its path."""
    answer = await upload(client(person), room, file(data))
    made = answer.json["pictures"][0]
    await make_hai(core, person, room, "look", picture_ids=[made["id"]])
    return made["url"]


async def soon(check):
    """Wait until it is so: what follows a cut connection happens by itself."""
    async with asyncio.timeout(60):
        while not await check():
            await asyncio.sleep(0.01)


# --- Uploading -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
async def test_an_upload_answers_what_the_picture_is(client, cast, kind):
    answer = await upload(client(cast.ada), cast.lounge, file(picture(kind), "sea.x"))
    assert answer.status == 201
    found = answer.json["pictures"][0]
    assert found.pop("id") > 0
    assert found.pop("url").startswith("/pictures/")
    size = len(picture(kind))
    assert found == {
        "name": "sea.x",
        "type": TYPES[kind],
        "bytes": size,
        "width": 40,
        "height": 30,
    }


async def test_ten_pictures_go_in_one_request_and_eleven_do_not(core, client, cast):
    ten = [file(picture(width=n + 1), f"{n}.png") for n in range(10)]
    answer = await upload(client(cast.ada), cast.lounge, *ten)
    assert [p["width"] for p in answer.json["pictures"]] == list(range(1, 11))
    refused = await upload(client(cast.ada), cast.lounge, *ten, ten[0])
    assert refused.code == "bad_request"
    await soon(lambda: are_stored(core, 10))


async def are_stored(core, count):
    return await stored(core) == (count, count)


async def test_an_alt_describes_the_picture_after_it(client, cast):
    files = [file(picture(), "a.png"), file(picture(), "b.png")]
    answer = await upload(client(cast.ada), cast.lounge, *files, alt="the sea")
    first, second = answer.json["pictures"]
    assert first["alt"] == "the sea" and "alt" not in second


async def test_an_alt_can_be_written_while_it_is_not_sent(core, client, cast):
    answer = await upload(client(cast.ada), cast.lounge)
    path = answer.json["pictures"][0]["url"]
    assert (await client(cast.grace).post(path, json={"alt": "x"})).code == "not_found"
    described = await client(cast.ada).post(path, json={"alt": " the  sea "})
    assert described.json["picture"]["alt"] == "the sea"
    picture_id = described.json["picture"]["id"]
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[picture_id])
    assert hai["pictures"][0]["alt"] == "the sea"
    assert (await client(cast.ada).post(path, json={"alt": "y"})).code == "not_found"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<html><script>alert(1)</script>", "picture_type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_type"),
        (picture()[:-1], "picture_truncated"),
        (picture()[:20], "picture_truncated"),
        (b"", "picture_truncated"),
        (big_png(LIMIT + 1), "too_large"),
        (big_png(CHUNK_BYTES * 3)[:-5], "picture_truncated"),
    ],
)
async def test_what_is_wrong_is_told_and_leaves_nothing(core, client, cast, data, code):
    good = file(big_png(CHUNK_BYTES * 2))
    answer = await upload(client(cast.ada), cast.lounge, good, file(data))
    assert answer.code == code
    await soon(lambda: is_empty(core))


async def is_empty(core):
    return await stored(core) == (0, 0)


async def test_the_type_is_what_the_bytes_say(client, cast):
    lie = file(picture("GIF"), "page.html", "text/html")
    answer = await upload(client(cast.ada), cast.lounge, lie)
    assert answer.json["pictures"][0]["type"] == "image/gif"


@pytest.mark.parametrize(
    "files",
    [
        [],
        [file(picture(), field="document")],
        [file(b"", "")],
    ],
)
async def test_a_form_without_a_picture_is_refused(core, client, cast, files):
    body, kind = encode_multipart({}, files)
    path = f"/rooms/{cast.lounge['id']}/pictures"
    answer = await client(cast.ada).post(
        path, body=body, headers={"Content-Type": kind}
    )
    assert answer.code == "bad_request"
    await soon(lambda: is_empty(core))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image/png", picture()),
        ("application/json", b"{}"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=", b"no boundary"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 50 + b"\r\n"),
        ("multipart/form-data; boundary=x", b"--y--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\nbroken"),
        ("multipart/form-data; boundary=\u00e9".encode().decode("latin1"), b"x"),
    ],
)
async def test_what_is_no_form_is_refused(core, client, cast, kind, body):
    path = f"/rooms/{cast.lounge['id']}/pictures"
    answer = await client(cast.ada).post(
        path, body=body, headers={"Content-Type": kind}
    )
    assert answer.code in ("bad_request", "too_large")
    await soon(lambda: is_empty(core))


async def test_many_small_parts_are_refused(core, client, cast):
    body, kind = encode_multipart({f"field{n}": n for n in range(100)}, [])
    path = f"/rooms/{cast.lounge['id']}/pictures"
    answer = await client(cast.ada).post(
        path, body=body, headers={"Content-Type": kind}
    )
    assert answer.code == "too_large"


async def test_a_form_that_ends_early_is_a_truncated_picture(core, client, cast):
    body, kind = encode_multipart({}, [file(big_png(CHUNK_BYTES * 3))])
    path = f"/rooms/{cast.lounge['id']}/pictures"
    answer = await client(cast.ada).post(
        path, body=body[: CHUNK_BYTES * 2], headers={"Content-Type": kind}
    )
    assert answer.code == "picture_truncated"
    await soon(lambda: is_empty(core))


async def test_a_cut_connection_leaves_nothing(app, core, cast):
    writer = await begin_upload(app, cast, big_png(CHUNK_BYTES * 4))
    await soon(lambda: has_chunks(core))
    writer.close()
    await soon(lambda: is_empty(core))


async def has_chunks(core):
    return (await stored(core))[1] > 0


async def begin_upload(app, cast, data, *, part=0.7):
    """Send a part of an upload and leave the connection open."""
    body, kind = encode_multipart({}, [file(data)])
    head = (
        f"POST /rooms/{cast.lounge['id']}/pictures HTTP/1.1\r\nHost: hai\r\n"
        f"Authorization: Bearer {cast.ada.token}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode() + body[: int(len(body) * part)])
    await writer.drain()
    writer.reader = reader
    return writer


async def test_a_server_that_stops_meanwhile_leaves_nothing_seen(app, core, cast):
    writer = await begin_upload(app, cast, big_png(CHUNK_BYTES * 4))
    await soon(lambda: has_chunks(core))
    await app.http.close_all_connections()
    await app.web.close()
    assert await is_empty(core)
    writer.close()


async def test_too_many_uploads_at_once_are_refused(app, core, client, cast):
    writers = [
        await begin_upload(app, cast, big_png(CHUNK_BYTES * 2)) for _ in range(10)
    ]
    await soon(lambda: are_under_way(app, 10))
    assert (await upload(client(cast.ada), cast.lounge)).code == "rate_limited"
    assert (await upload(client(cast.grace), cast.lounge)).status == 201
    for writer in writers:
        writer.close()
    await soon(lambda: are_under_way(app, 0))
    assert (await upload(client(cast.ada), cast.lounge)).status == 201


async def are_under_way(app, count):
    return sum(app.web.uploads.values()) == count


async def test_a_form_that_fails_in_an_unforeseen_way_leaves_nothing(
    core, client, cast, expect_log, monkeypatch
):
    def fail(self):
        raise RuntimeError("unforeseen")

    expect_log("POST /rooms/.* failed")
    with monkeypatch.context() as patch:
        patch.setattr(FormUploadHandler, "keep", fail)
        answer = await upload(client(cast.ada), cast.lounge)
    assert (answer.status, answer.code) == (503, "busy")
    await soon(lambda: is_empty(core))
    assert (await upload(client(cast.ada), cast.lounge)).status == 201


async def test_who_may_not_upload_is_told_before_the_body_is_read(app, core, cast):
    """All that is sent is the head, and the answer is there."""
    lab_id = cast.lab["id"]
    cases = [(cast.linus, 9_000_000, b" 404 "), (cast.ada, 40_000_000, b" 413 ")]
    for person, length, status in cases:
        head = (
            f"POST /rooms/{lab_id}/pictures HTTP/1.1\r\nHost: hai\r\n"
            f"Authorization: Bearer {person.token}\r\nContent-Length: {length}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        writer.write(head.encode())
        line = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
        assert status in line  # 40 MB is too much for ten of 2 MiB


async def test_an_unsent_picture_is_taken_back_by_its_uploader(core, client, cast):
    answer = await upload(client(cast.ada), cast.lounge)
    path = answer.json["pictures"][0]["url"] + "/discard"
    assert (await client(cast.grace).post(path)).code == "not_found"
    assert (await client(cast.ada).post(path)).status == 204
    assert (await client(cast.ada).post(path)).code == "not_found"
    await soon(lambda: is_empty(core))


# --- Serving -------------------------------------------------------------------------


async def test_a_picture_is_served_whole_and_guarded(core, client, cast):
    data = big_png(CHUNK_BYTES * 2 + 5)
    path = await sent(core, client, cast.ada, cast.lab, data)
    answer = await client(cast.grace).get(path)
    assert answer.body == data
    headers = answer.headers
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Length"] == str(len(data))
    assert headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"].startswith('inline; filename="sea.png"')


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (f"bytes={CHUNK_BYTES}-", CHUNK_BYTES, None),
        ("bytes=-7", -7, None),
        ("bytes=5-99999999", 5, None),
        ("bytes=-99999999", 0, None),
    ],
)
async def test_a_part_of_a_picture_is_served(core, client, cast, wanted, start, end):
    data = big_png(CHUNK_BYTES + 100)
    path = await sent(core, client, cast.ada, cast.lounge, data)
    answer = await client(cast.linus).get(path, headers={"Range": wanted})
    assert answer.status == 206
    assert answer.body == data[start:end]
    first = start % len(data)
    last = first + len(answer.body) - 1
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"


@pytest.mark.parametrize("wanted", ["bytes=5000-", "bytes=9999-10000", "bytes=-0"])
async def test_a_part_that_is_not_there_cannot_be_served(core, client, cast, wanted):
    path = await sent(core, client, cast.ada, cast.lounge, big_png(5000))
    answer = await client(cast.ada).get(path, headers={"Range": wanted})
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["Content-Range"] == "bytes */5000"


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,5-9",
        "bytes=-",
        "bytes=9-5",
        "lines=1-2",
        "bytes=x-",
        "bytes=" + "9" * 400,
    ],
)
async def test_a_range_we_do_not_know_is_answered_whole(core, client, cast, wanted):
    data = big_png(5000)
    path = await sent(core, client, cast.ada, cast.lounge, data)
    answer = await client(cast.ada).get(path, headers={"Range": wanted})
    assert (answer.status, answer.body) == (200, data)


async def test_a_range_of_another_version_is_answered_whole(core, client, cast):
    path = await sent(core, client, cast.ada, cast.lounge, big_png(5000))
    tag = (await client(cast.ada).get(path)).headers["ETag"]
    for if_range, status in ((tag, 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": if_range}
        assert (await client(cast.ada).get(path, headers=headers)).status == status


async def test_a_picture_that_the_browser_has_is_not_sent_again(core, client, cast):
    path = await sent(core, client, cast.ada, cast.lounge, picture())
    tag = (await client(cast.ada).get(path)).headers["ETag"]
    again = await client(cast.ada).get(path, headers={"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")
    other = await client(cast.ada).get(path, headers={"If-None-Match": '"x"'})
    assert other.status == 200


async def test_head_tells_the_length_and_sends_nothing(core, client, cast):
    path = await sent(core, client, cast.ada, cast.lounge, picture())
    answer = await client(cast.ada).request("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(picture()))


async def test_who_may_not_see_a_picture_cannot_tell_it_is_there(core, client, cast):
    path = await sent(core, client, cast.ada, cast.lab, picture())
    for person, code in ((cast.linus, "not_found"), (None, "unauthorized")):
        there = await client(person).get(path)
        nowhere = await client(person).get("/pictures/99999")
        assert there.code == code
        assert (there.status, there.body) == (nowhere.status, nowhere.body)
        assert "ETag" not in there.headers


async def test_who_has_left_the_room_does_not_see_its_pictures(core, client, cast):
    path = await sent(core, client, cast.grace, cast.lab, picture())
    payload = {"room_id": cast.lab["id"], "user_id": cast.grace.id}
    await order(core, cast.ada, "remove_member", payload)
    assert (await client(cast.grace).get(path)).code == "not_found"


async def test_a_small_picture_has_no_thumbnail(core, client, cast):
    path = await sent(core, client, cast.ada, cast.lounge, picture())
    assert (await client(cast.ada).get(f"{path}?size=thumbnail")).code == "not_found"


async def test_a_thumbnail_is_served_to_the_same_people(core, client, cast):
    path = await sent(core, client, cast.ada, cast.lab, picture("JPEG", 900, 600))
    url = f"{path}?size=thumbnail"
    await soon(lambda: is_there(client(cast.grace), url))
    answer = await client(cast.grace).get(url)
    assert answer.headers["Content-Type"] == "image/webp"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.body[8:12] == b"WEBP"
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert (await client(cast.grace).get(url, headers=tag)).status == 304
    assert (await client(cast.linus).get(url)).code == "not_found"


async def is_there(client, url):
    return (await client.get(url)).status == 200


async def test_a_room_is_told_of_a_thumbnail(app, core, client, cast, socket):
    grace, linus = await socket(cast.grace), await socket(cast.linus)
    await app.thumbnails.stop()
    path = await sent(core, client, cast.ada, cast.lab, picture("JPEG", 900, 600))
    app.thumbnails.start()
    (found,) = (await grace.fact("hai_changed"))["hai"]["pictures"]
    assert found["thumbnail"]["url"] == f"{path}?size=thumbnail"
    assert found["blur"].startswith("data:image/webp")
    await linus.settle()
    assert linus.named("hai_changed") == []


@pytest.mark.parametrize("kind", TYPES)
async def test_metadata_is_not_stored_unless_it_is_wanted(client, cast, kind):
    data = talkative(kind, 6)
    cleaned = await upload(client(cast.ada), cast.lounge, file(data))
    kept = await upload(client(cast.ada), cast.lounge, file(data), keep_metadata="on")
    for answer, is_kept in ((cleaned, False), (kept, True)):
        (stored,) = answer.json["pictures"]
        served = await client(cast.ada).get(stored["url"])
        assert (SECRET in served.body) == is_kept
        assert stored["bytes"] == len(served.body)
        digest = hashlib.sha256(served.body).hexdigest()
        assert served.headers["ETag"] == f'"{digest}"'
    assert served.body == data


async def test_the_length_of_a_large_webp_is_put_right(client, cast):
    """Its head has long been stored when what must not stay of it is known."""
    frame = bytes(16) + riff_chunk(b"VP8 ", bytes(3 * CHUNK_BYTES))
    body = webp(6)[12:] + riff_chunk(b"ANMF", frame)
    large = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    answer = await upload(client(cast.ada), cast.lounge, file(large))
    served = await client(cast.ada).get(answer.json["pictures"][0]["url"])
    assert strangers(served.body) == []
    digest = hashlib.sha256(served.body).hexdigest()
    assert served.headers["ETag"] == f'"{digest}"'


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("page.html", "filename=\"page.html.png\"; filename*=UTF-8''page.html.png"),
        ("a b.PNG", "filename=\"a b.PNG\"; filename*=UTF-8''a%20b.PNG"),
        ("海.png", "filename=\"_.png\"; filename*=UTF-8''%E6%B5%B7.png"),
    ],
)
async def test_a_picture_is_saved_under_a_safe_name(client, cast, given, shown):
    answer = await upload(client(cast.ada), cast.lounge, file(picture(), given))
    served = await client(cast.ada).get(answer.json["pictures"][0]["url"])
    assert served.headers["Content-Disposition"] == "inline; " + shown


async def test_a_reader_who_goes_away_is_no_trouble(app, core, client, cast):
    path = await sent(core, client, cast.ada, cast.lounge, big_png(LIMIT))
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    head = f"GET {path} HTTP/1.1\r\nHost: hai\r\nAuthorization: Bearer {cast.ada.token}"
    writer.write(head.encode() + b"\r\n\r\n")
    await reader.readline()
    writer.close()
    assert (await client(cast.ada).get(path)).status == 200


# --- What might go wrong at any byte -------------------------------------------------


async def test_no_damage_to_a_form_does_harm(app, core, client, cast):
    """Answered with a code of ours, and only whole pictures stay."""
    app.web.refused_uploads.is_on = False
    chance = random.Random(7)
    body, kind = encode_multipart(
        {"alt": "sea"}, [file(picture()), file(picture("GIF"))]
    )
    path = f"/rooms/{cast.lounge['id']}/pictures"
    kept = 0
    for _ in range(150):
        damaged = bytearray(body)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cut = bytes(damaged[: chance.choice([len(body), chance.randrange(len(body))])])
        answer = await client(cast.ada).post(
            path, body=cut, headers={"Content-Type": kind}
        )
        assert answer.status in (201, 400, 413, 415, 422)
        kept += len(answer.json.get("pictures", []))
    await soon(lambda: are_whole(core, kept))


async def are_whole(core, count):
    """Pictures that are there; those with the same bytes share their chunks."""
    whole = Picture.select().where(Picture.completed_at.is_null(False))
    return await core.db.read(whole.count) == count


async def test_a_server_killed_meanwhile_sweeps_at_its_next_start(serve):
    server = serve()
    token = server.add_user("ada", role="owner")
    room_id = int(server.run("rooms", "add", "Lounge", "--all"))
    body, kind = encode_multipart({}, [file(big_png(CHUNK_BYTES * 6))])
    head = (
        f"POST /rooms/{room_id}/pictures HTTP/1.1\r\nHost: hai\r\nContent-Type: {kind}"
        f"\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    port = int(server.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body[: CHUNK_BYTES * 4])
    await soon(lambda: rows_of(server, "chunks"))
    server.process.kill()
    server.process.wait()
    writer.close()
    again = serve(data=server.data)
    await soon(lambda: are_gone(again))


async def rows_of(server, table):
    with contextlib.closing(sqlite3.connect(server.data / "hai.db")) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def are_gone(server):
    return not await rows_of(server, "chunks") and not await rows_of(server, "pictures")


async def test_a_full_disk_is_told_and_text_still_works(
    core, client, cast, expect_log, monkeypatch
):
    """What the refused picture had taken is free again, without a restart."""
    expect_log("the disk is full")
    expect_log("room on the disk again")
    monkeypatch.setattr(reserve, "RETRY_S", 0)

    def limit(tx):
        pages = tx.execute("PRAGMA page_count").fetchone()[0]
        tx.execute(f"PRAGMA max_page_count = {pages + 200}").fetchone()

    await core.db.write(limit)
    answer = await upload(client(cast.ada), cast.lounge, file(big_png(LIMIT)))
    assert (answer.status, answer.code) == (507, "storage_full")
    await soon(lambda: is_empty(core))
    assert await make_hai(core, cast.ada, cast.lounge, "still here")
