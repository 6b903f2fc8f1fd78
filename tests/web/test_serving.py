"""Pictures served: conditions, ranges (RFC 9110), from memory, and never spoiled."""

import asyncio
from types import SimpleNamespace

import pytest

from hai.core import picture_cache
from hai.core.picture_cache import PictureCache
from hai.storage import thumbnails
from hai.storage.blobs import CHUNK_BYTES
from tests.factories import give_avatar, make_hai, order
from tests.pictures import big_png, file, picture

SMALL = big_png(5000)
LARGE = big_png(2 * CHUNK_BYTES + 100)
STILL = b"RIFF a still"


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def content(request):
    return request.param


async def sent(client, core, person, room, data, name="sea.png"):
    """A picture that is in a hai, with its hai, its address and its tag."""
    path = f"/rooms/{room['id']}/pictures"
    answer = await client(person).post(path, files=[file(data, name)])
    made = answer.json["pictures"][0]
    hai = await make_hai(core, person, room, "look", picture_ids=[made["id"]])
    head = await client(person).request("HEAD", made["url"])
    return SimpleNamespace(
        id=made["id"], url=made["url"], hai=hai, tag=head.headers["ETag"]
    )


async def with_still(client, core, person, room):
    """One with a thumbnail, as if a child had made it; its address."""
    made = await sent(client, core, person, room, SMALL)
    size = (640, 480)
    await core.db.write(thumbnails.insert, made.id, "image/webp", size, STILL)
    made.still = f"{made.url}?size=thumbnail"
    return made


# --- Conditions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"x", W/"y", {tag}', 304),
        ('"x",{tag},"z"', 304),
        ("*", 304),
        ('"x"', 200),
        ('W/"x", "y"', 200),
        ("nonsense", 200),
        ("", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_it_is_told_so(
    core, client, cast, content, method, listed, status
):
    made = await sent(client, core, cast.ada, cast.lab, content)
    headers = {"If-None-Match": listed.format(tag=made.tag), "Range": "bytes=0-9"}
    if status == 200:
        del headers["Range"]
    answer = await client(cast.grace).request(method, made.url, headers=headers)
    assert answer.status == status
    assert answer.headers["ETag"] == made.tag
    assert "immutable" in answer.headers["Cache-Control"]
    if status == 304 or method == "HEAD":
        assert answer.body == b""


@pytest.mark.parametrize(
    ("listed", "status"),
    [
        ("{tag}", 206),
        ('W/"a-", {tag}', 206),
        ("*", 206),
        ("W/{tag}", 412),
        ('"x"', 412),
        ("", 412),
    ],
)
async def test_who_goes_on_must_mean_this_one(
    core, client, cast, content, listed, status
):
    made = await sent(client, core, cast.ada, cast.lab, content)
    headers = {"If-Match": listed.format(tag=made.tag), "Range": "bytes=10-19"}
    answer = await client(cast.grace).get(made.url, headers=headers)
    assert answer.status == status
    assert answer.body == (content[10:20] if status == 206 else b"")


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        ("{tag}", 206),
        ("W/{tag}", 200),
        ('"x"', 200),
        ("Wed, 25 Nov 2026 02:00:00 GMT", 200),
    ],
)
async def test_a_part_only_of_what_one_has(
    core, client, cast, content, if_range, status
):
    made = await sent(client, core, cast.ada, cast.lab, content)
    headers = {"If-Range": if_range.format(tag=made.tag), "Range": "bytes=10-19"}
    answer = await client(cast.grace).get(made.url, headers=headers)
    assert answer.status == status
    assert answer.body == (content[10:20] if status == 206 else content)


@pytest.mark.parametrize("wanted", ["Bytes=0-0", "bytes=0-0", " bytes=0-0 "])
async def test_units_are_read_in_any_case(core, client, cast, content, wanted):
    made = await sent(client, core, cast.ada, cast.lab, content)
    answer = await client(cast.ada).get(made.url, headers={"Range": wanted})
    assert (answer.status, answer.body) == (206, content[:1])


async def test_a_part_across_chunks_and_of_the_last_byte(core, client, cast):
    made = await sent(client, core, cast.ada, cast.lab, LARGE)
    last, first, end = len(LARGE) - 1, CHUNK_BYTES - 2, 2 * CHUNK_BYTES + 2
    for wanted, part in (
        (f"bytes={first}-{end - 1}", LARGE[first:end]),
        (f"bytes={last}-", LARGE[last:]),
        (f"bytes={last}-{last}", LARGE[last:]),
        ("bytes=-1", LARGE[last:]),
    ):
        answer = await client(cast.ada).get(made.url, headers={"Range": wanted})
        assert (answer.status, answer.body) == (206, part)
        assert answer.headers["Content-Length"] == str(len(answer.body))


async def test_head_says_what_get_would_and_knows_no_range(core, client, cast, content):
    made = await sent(client, core, cast.ada, cast.lab, content)
    whole = await client(cast.ada).get(made.url)
    head = await client(cast.ada).request(
        "HEAD", made.url, headers={"Range": "bytes=1-2"}
    )
    assert (head.status, head.body) == (200, b"")
    names = set(whole.headers) - {"Date"}
    assert {n: head.headers.get(n) for n in names} == {
        n: whole.headers[n] for n in names
    }


@pytest.mark.parametrize(
    ("query", "how"),
    [("", "inline"), ("?download=1", "attachment"), ("?download=0", "inline")],
)
async def test_a_picture_is_saved_under_its_name(core, client, cast, query, how):
    made = await sent(client, core, cast.ada, cast.lab, SMALL, "Sölden 2%.png")
    answer = await client(cast.grace).get(made.url + query)
    assert answer.headers["Content-Disposition"] == (
        f"{how}; filename=\"S_lden 2_.png\"; filename*=UTF-8''S%C3%B6lden%202%25.png"
    )
    assert answer.body == SMALL


# --- From memory ---------------------------------------------------------------------


async def test_what_is_kept_is_shown_to_members_only(core, client, cast):
    made = await with_still(client, core, cast.ada, cast.lab)
    for url, body in ((made.still, STILL), (made.url, SMALL)):
        for _ in "12":
            assert (await client(cast.grace).get(url)).body == body
        assert (await client(cast.linus).get(url)).status == 404
    assert core.picture_cache.byte_count == len(STILL) + len(SMALL)
    leaving = {"room_id": cast.lab["id"]}
    await order(core, cast.grace, "leave_room", leaving)
    for url in (made.still, made.url):
        assert (await client(cast.grace).get(url)).status == 404


async def test_what_is_deleted_is_not_shown_from_memory(core, client, cast):
    made = await with_still(client, core, cast.ada, cast.lab)
    for url in (made.still, made.url):
        assert (await client(cast.grace).get(url)).status == 200
    await order(core, cast.ada, "delete_hai", {"hai_id": made.hai["id"]})
    for url in (made.still, made.url):
        assert (await client(cast.grace).get(url)).status == 404


async def test_what_is_taken_back_is_not_shown_from_memory(core, client, cast):
    ada = client(cast.ada)
    answer = await ada.post(f"/rooms/{cast.lab['id']}/pictures", files=[file(SMALL)])
    url = answer.json["pictures"][0]["url"]
    assert (await ada.get(url)).status == 200
    assert (await ada.post(f"{url}/discard")).status == 204
    assert (await ada.get(url)).status == 404


async def test_the_cache_is_bounded_and_the_oldest_goes_first(io_loop, monkeypatch):
    monkeypatch.setattr(picture_cache, "MAX_BYTES", 100)
    monkeypatch.setattr(picture_cache, "MAX_ONE_BYTES", 60)
    cache = PictureCache()
    cache.put(1, "one", b"x" * 50)
    cache.put(2, "two", b"x" * 50)
    cache.put(1, "one again", b"x" * 50)
    assert cache.find(1) == ("one", b"x" * 50)
    cache.put(3, "three", b"x" * 50)
    assert cache.find(2) is None and cache.find(1) and cache.find(3)
    cache.put(4, "too large", b"x" * 61)
    assert cache.find(4) is None and cache.byte_count == 100


async def test_the_cache_is_empty_when_nobody_looks(io_loop, monkeypatch):
    monkeypatch.setattr(picture_cache, "IDLE_S", 0.02)
    cache = PictureCache()
    cache.put(1, "one", b"x" * 50)
    async with asyncio.timeout(60):
        while cache.byte_count:
            await asyncio.sleep(0.01)
    assert cache.find(1) is None
    cache.put(1, "one", b"x" * 50)
    assert cache.find(1)


# --- Damage --------------------------------------------------------------------------


async def spoil(core, table, **where):
    """Flip a bit in the middle of what is stored, as a disk might."""
    number = where.pop("number", 0)
    name, value = where.popitem()
    more = f" AND number = {number}" if table == "chunks" else ""

    def flip(tx):
        query = f"SELECT bytes FROM {table} WHERE {name} = ?{more}"
        data = bytearray(tx.execute(query, (value,)).fetchone()[0])
        data[len(data) // 2] ^= 1
        change = f"UPDATE {table} SET bytes = ? WHERE {name} = ?{more}"
        tx.execute(change, (bytes(data), value))

    await core.db.write(flip)


async def damage_count(client, cast):
    text = (await client(cast.ada).get("/metrics")).text
    lines = [line for line in text.splitlines() if "damaged_total " in line]
    return int(lines[-1].split()[-1])


async def test_a_spoiled_picture_is_not_served(
    app, core, client, cast, content, expect_log
):
    await app.thumbnails.stop()  # it would read the large one, and count as well
    made = await sent(client, core, cast.ada, cast.lab, content)
    await spoil(core, "chunks", picture_id=made.id)
    expect_log("a picture is not as it was stored")
    answer = await client(cast.grace).get(made.url)
    assert (answer.status, answer.code) == (500, "picture_damaged")
    assert "ETag" not in answer.headers and "immutable" not in str(answer.headers)
    assert await damage_count(client, cast) == 1


async def test_a_later_spoiled_chunk_cuts_the_line(app, core, client, cast, expect_log):
    made = await sent(client, core, cast.ada, cast.lab, LARGE)
    await spoil(core, "chunks", picture_id=made.id, number=1)
    expect_log("a picture is not as it was stored.*'chunk': 1")
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    request = f"GET {made.url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    writer.write(f"{request}{cast.ada.token}\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b" 200 OK" in head and f"Content-Length: {len(LARGE)}".encode() in head
    assert body == LARGE[:CHUNK_BYTES]
    writer.close()
    part = {"Range": f"bytes=0-{CHUNK_BYTES - 1}"}
    whole = await client(cast.ada).get(made.url, headers=part)
    assert whole.body == LARGE[:CHUNK_BYTES]


async def test_a_spoiled_thumbnail_is_not_served(core, client, cast, expect_log):
    made = await with_still(client, core, cast.ada, cast.lab)
    await spoil(core, "thumbnails", picture_id=made.id)
    expect_log("a picture is not as it was stored")
    assert (await client(cast.grace).get(made.still)).code == "picture_damaged"
    assert not core.picture_cache.byte_count


async def test_a_spoiled_avatar_is_not_served(core, client, cast, expect_log):
    url = f"/avatars/{cast.ada.id}/{await give_avatar(core, cast.ada)}"
    await spoil(core, "avatars", user_id=cast.ada.id)
    expect_log("a picture is not as it was stored")
    assert (await client(cast.grace).get(url)).code == "picture_damaged"
    assert await damage_count(client, cast) == 1


async def test_what_is_shared_is_checked_for_each_who_shares_it(
    core, client, cast, expect_log
):
    await sent(client, core, cast.ada, cast.lab, LARGE)
    twin = await sent(client, core, cast.linus, cast.lounge, LARGE)
    assert (await client(cast.linus).get(twin.url)).body == LARGE
    expect_log("a picture is not as it was stored")
    await core.db.write(lambda tx: tx.execute("UPDATE chunks SET sha256 = x'00'"))
    assert (await client(cast.linus).get(twin.url)).code == "picture_damaged"


async def test_a_chunk_of_before_has_no_digest_and_is_served(core, client, cast):
    made = await sent(client, core, cast.ada, cast.lab, LARGE)
    await core.db.write(lambda tx: tx.execute("UPDATE chunks SET sha256 = NULL"))
    assert (await client(cast.grace).get(made.url)).body == LARGE


async def test_of_a_spoiled_picture_no_thumbnail_is_made(
    app, core, client, cast, expect_log
):
    """It is tried once, and the next picture has its turn."""
    await app.thumbnails.stop()
    made = await sent(client, core, cast.ada, cast.lab, picture("JPEG", 900, 600))
    await spoil(core, "chunks", picture_id=made.id)
    expect_log("a picture is not as it was stored")
    other = await sent(client, core, cast.ada, cast.lab, picture("JPEG", 900, 601))
    app.thumbnails.start()
    async with asyncio.timeout(60):
        while await core.db.read(thumbnails.find_untried, False):
            await asyncio.sleep(0.02)
    assert await core.db.read(thumbnails.find, other.id)
    assert not await core.db.read(thumbnails.find, made.id)
