"""Thumbnails: what the child makes, and that nothing it is given can hurt."""

import asyncio
import base64
import io
import os
import signal
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from hai.core.pictures import stored as pictures
from hai.core.pictures import thumbnails
from hai.core.pictures.arriving import receiver_to, sink_for
from hai.core.pictures.thumbnail_child import ChildKilled, ThumbnailChild
from hai.core.pictures.thumbnail_queue import ThumbnailQueue
from hai.errors import PictureDamaged
from hai.storage.models import Picture, Thumbnail
from tests.factories import make_hai, order
from tests.metadata import SECRET, talkative
from tests.pictures import TYPES, big_png, chunk, picture


def a_picture(kind="JPEG", width=900, height=600, **options):
    return picture(kind, width, height, **options)


def moving(kind, size=(700, 500)):
    frames = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


async def pieces(data):
    for at in range(0, len(data), 262_144):
        yield data[at : at + 262_144]


@pytest.fixture
def child(io_loop):
    child = ThumbnailChild()
    yield child
    io_loop.run_sync(child.stop)


async def make(child, data, kind="JPEG"):
    return await child.make(TYPES[kind], len(data), pieces(data))


def is_written_to(child):
    """There is more of a picture to write than the process has taken yet."""
    stdin = child._process and child._process.stdin
    return bool(stdin and stdin.transport.get_write_buffer_size())


def opened(made):
    return Image.open(io.BytesIO(made.content)).convert("RGB")


@pytest.mark.parametrize("kind", TYPES)
async def test_a_large_picture_becomes_a_small_one(child, kind):
    made = await make(child, a_picture(kind), kind)
    assert (made.width, made.height) == opened(made).size == (640, 427)
    assert len(made.content) < 64 * 1024


async def test_the_blur_is_a_tiny_picture_that_a_page_can_show(child):
    made = await make(child, a_picture())
    kind, code = made.blur.split(",")
    assert kind == "data:image/webp;base64"
    assert len(made.blur) <= thumbnails.MAX_BLUR_CHARS
    with Image.open(io.BytesIO(base64.b64decode(code))) as blur:
        assert blur.size == (16, 11)


async def test_noise_blurs_too(child):
    noise = Image.merge("RGB", [Image.effect_noise((900, 700), 99) for _ in "rgb"])
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert 0 < len((await make(child, out.getvalue(), "PNG")).blur) <= 400


@pytest.mark.parametrize(("kind", "size"), [("JPEG", (427, 640)), ("PNG", (427, 640))])
async def test_a_thumbnail_stands_upright(child, kind, size):
    made = await make(child, talkative(kind, 6, width=900, height=600), kind)
    assert (made.width, made.height) == size
    assert SECRET not in made.content


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_of_what_moves_the_first_frame_is_shown(child, kind):
    made = await make(child, moving(kind), kind)
    red, green, blue = opened(made).getpixel((100, 100))
    assert red > 200 and green < 50 and blue < 50


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
async def test_every_kind_of_pixel_is_understood(child, mode):
    image = Image.new("I;16", (700, 20), 30_000)
    if mode != "I;16":
        image = Image.new("RGBA", (700, 20), (117, 117, 117, 255)).convert(mode)
    out = io.BytesIO()
    image.save(out, "PNG")
    made = await make(child, out.getvalue(), "PNG")
    grey = sum(opened(made).resize((1, 1)).getpixel((0, 0))) / 3
    assert 110 < grey < 124


def png_of(width, height, lines=b""):
    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(lines, 9))
    return b"\x89PNG\r\n\x1a\n" + size + pixels + chunk(b"IEND", b"")


def bomb():
    """89 megapixels of white in 0.3 MB."""
    return png_of(12_000, 7_400, (b"\x00" + b"\xff" * 36_000) * 7_400)


HOSTILE = {
    "65,535 pixels wide": ("PNG", lambda: png_of(65_535, 1_300)),
    "65,535 pixels each way": ("PNG", lambda: png_of(65_535, 65_535)),
    "no pixels": ("PNG", lambda: png_of(900, 900)),
    "cut short": ("JPEG", lambda: a_picture()[:3000]),
    "nothing": ("JPEG", lambda: b""),
    "text": ("GIF", lambda: b"GIF89a" + b"hai" * 5000),
    "another type": ("WEBP", a_picture),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_cannot_be_decoded_has_no_thumbnail(child, name):
    kind, build = HOSTILE[name]
    assert await make(child, build(), kind) is None
    assert await make(child, a_picture())


async def test_a_bomb_ends_within_the_limits(child):
    await make(child, bomb(), "PNG")
    assert await make(child, a_picture())


async def test_the_first_of_thirty_thousand_frames_is_enough(child):
    one = a_picture("GIF")
    at = one.index(b",")
    frames = one[:at] + one[at:-1] + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0" * 30_000 + b";"
    assert (await make(child, frames, "GIF")).width == 640


async def test_a_child_that_was_killed_is_followed_by_another(child):
    await make(child, a_picture())
    first = child.pid
    os.kill(first, signal.SIGKILL)
    with suppress(ChildKilled):  # it may not have been noticed yet
        await make(child, a_picture())
    assert await make(child, a_picture())
    assert child.pid != first


async def test_of_a_picture_whose_child_was_killed_nothing_is_known(child):
    """Not so of one that took all the time that a child may take."""
    await make(child, a_picture())
    for how in (signal.SIGKILL, signal.SIGXCPU):
        pid = child.pid
        os.kill(pid, signal.SIGSTOP)
        making = asyncio.create_task(make(child, big_png(3_000_000), "PNG"))
        while not is_written_to(child):
            await asyncio.sleep(0.001)
        os.kill(pid, how)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        if how is signal.SIGKILL:
            with pytest.raises(ChildKilled):
                await making
            await make(child, a_picture())
        else:
            assert await making is None


async def test_a_child_that_hangs_is_ended(child, monkeypatch):
    await make(child, a_picture())
    os.kill(child.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr("hai.core.pictures.thumbnail_child.ANSWER_S", 0.3)
        assert await make(child, a_picture()) is None
    assert await make(child, a_picture())


async def test_the_child_knows_nothing_of_our_environment(child, monkeypatch):
    monkeypatch.setenv("HAI_DATABASE_URL", "secret")
    await make(child, a_picture())
    assert b"secret" not in environment_of(child.pid)


def environment_of(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


# --- With rooms and hais --------------------------------------------------------------


@pytest.fixture
def queue(io_loop, core):
    queue = ThumbnailQueue(core)
    io_loop.run_sync(start_of(queue))
    yield queue
    io_loop.run_sync(queue.stop)


def start_of(queue):
    async def start():
        queue.start()

    return start


async def upload(core, person, room, data, name="sea.jpg"):
    arriving = receiver_to(sink_for(core, person.identity, room["id"], name))
    await arriving.feed(data)
    return await arriving.finish()


async def tried(core, picture_id):
    """Wait until a thumbnail was made or given up; returns the picture's row."""
    while True:
        row = await core.db.read(Picture.get_by_id, picture_id)
        if row.thumbnail_tried_at:
            return row
        await asyncio.sleep(0.01)


async def test_a_thumbnail_made_before_sending_travels_with_the_hai(core, cast, queue):
    stored = await upload(core, cast.ada, cast.lounge, a_picture())
    await tried(core, stored["id"])
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[stored["id"]])
    (sent,) = hai["pictures"]
    assert sent["blur"].startswith("data:image/webp;base64,")
    url = f"/pictures/{stored['id']}?size=thumbnail"
    about = {"type": "image/webp", "width": 640, "height": 427, "url": url}
    assert sent["thumbnail"] == about


async def test_a_thumbnail_made_after_sending_changes_the_hai(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, a_picture())
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[stored["id"]])
    assert "thumbnail" not in hai["pictures"][0]
    queue = ThumbnailQueue(core)  # as after a restart
    queue.start()
    await tried(core, stored["id"])
    await queue.stop()
    payload = {"since_rev": hai["rev"]}
    (changed,) = (await order(core, cast.grace, "get_changes", payload))["hais"]
    assert changed["rev"] > hai["rev"]
    assert changed["pictures"][0]["thumbnail"]["width"] == 640


async def test_a_child_killed_while_at_work_costs_no_thumbnail(
    core, cast, queue, expect_log
):
    expect_log("ended by signal 9")
    first = await upload(core, cast.ada, cast.lounge, a_picture())
    await tried(core, first["id"])
    os.kill(queue.child.pid, signal.SIGSTOP)
    data = noise_png(1100)
    stored = await upload(core, cast.ada, cast.lounge, data, "noise.png")
    while not is_written_to(queue.child):
        await asyncio.sleep(0.001)
    os.kill(queue.child.pid, signal.SIGKILL)
    await tried(core, stored["id"])
    assert (await core.db.read(Thumbnail.get_by_id, stored["id"])).width == 640


async def test_a_picture_that_gets_each_child_killed_is_given_up(
    core, cast, queue, expect_log
):
    expect_log("ended by signal 9")
    await tried(core, (await upload(core, cast.ada, cast.lounge, a_picture()))["id"])
    killed = set()
    os.kill(queue.child.pid, signal.SIGSTOP)
    stored = await upload(core, cast.ada, cast.lounge, noise_png(1100), "noise.png")
    while not (await core.db.read(Picture.get_by_id, stored["id"])).thumbnail_tried_at:
        if queue.child.pid not in killed and is_written_to(queue.child):
            killed.add(queue.child.pid)
            os.kill(queue.child.pid, signal.SIGKILL)
        await asyncio.sleep(0)
    assert len(killed) == 2
    assert await core.db.read(Thumbnail.select().count) == 1


def noise_png(side):
    noise = Image.merge("RGB", [Image.effect_noise((side, side), 99) for _ in "rgb"])
    out = io.BytesIO()
    noise.save(out, "PNG")
    return out.getvalue()


async def test_a_spoiled_thumbnail_is_not_shown_but_made_again(
    core, cast, queue, expect_log
):
    expect_log("not as it was stored")
    stored = await upload(core, cast.ada, cast.lounge, a_picture())
    await tried(core, stored["id"])
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[stored["id"]])
    who = cast.grace.identity
    good = (await core.db.read(Thumbnail.get_by_id, stored["id"])).bytes
    await core.db.write(lambda tx: tx.execute(SPOIL))
    with pytest.raises(PictureDamaged):
        await pictures.get_thumbnail(core, who, stored["id"])
    payload = {"since_rev": hai["rev"]}
    while True:
        told = (await order(core, cast.grace, "get_changes", payload))["hais"]
        if told and "thumbnail" in told[0]["pictures"][0]:
            break
        await asyncio.sleep(0.01)
    assert (await pictures.get_thumbnail(core, who, stored["id"]))[1] == good
    assert told[0]["rev"] >= hai["rev"] + 2  # it was gone, and is there again


SPOIL = "UPDATE thumbnails SET bytes = CAST(x'00' || substr(bytes, 2) AS BLOB)"


async def test_a_small_still_picture_needs_none(core, cast):
    stored = await upload(core, cast.ada, cast.lounge, picture())
    assert (await core.db.read(Picture.get_by_id, stored["id"])).thumbnail_tried_at


async def test_a_small_moving_picture_has_a_still(core, cast, queue):
    data = moving("GIF", (60, 40))
    stored = await upload(core, cast.ada, cast.lounge, data)
    await tried(core, stored["id"])
    assert stored["is_animated"] is True
    row = await core.db.read(Thumbnail.get_by_id, stored["id"])
    assert (row.width, row.height) == (60, 40)


async def test_what_cannot_be_decoded_is_tried_once(core, cast, queue):
    broken = png_of(900, 900, b"nonsense")
    stored = await upload(core, cast.ada, cast.lounge, broken)
    row = await tried(core, stored["id"])
    assert row.blur is None
    assert await core.db.read(Thumbnail.select().count) == 0


async def test_the_thumbnail_of_a_deleted_picture_goes(core, cast, queue):
    stored = await upload(core, cast.ada, cast.lounge, a_picture())
    await tried(core, stored["id"])
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[stored["id"]])
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    await pictures.sweep_discarded(core)
    assert await core.db.read(Thumbnail.select().count) == 0
    assert await core.db.read(Picture.select().count) == 0


async def test_the_child_goes_when_there_is_nothing_to_do(core, cast, monkeypatch):
    monkeypatch.setattr("hai.core.pictures.thumbnail_queue.IDLE_S", 0.05)
    queue = ThumbnailQueue(core)
    queue.start()
    for _ in range(2):
        stored = await upload(core, cast.ada, cast.lounge, a_picture())
        await tried(core, stored["id"])
        while queue.child.pid:
            await asyncio.sleep(0.01)
    await queue.stop()
