"""Posters: one frame of a video, where ffmpeg is there; and nothing without it."""

import asyncio
import hashlib
import io
import os
import stat
import textwrap

import pytest
from PIL import Image

from hai.core.pictures import (
    poster_child,
    posters,
)
from hai.core.pictures import (
    stored as pictures,
)
from hai.core.pictures.arriving import receiver_to, sink_for
from hai.core.pictures.thumbnail_queue import ThumbnailQueue
from hai.errors import TooLarge
from hai.storage.blobs import CHUNK_BYTES
from hai.storage.models import Picture, Thumbnail
from hai.storage.sqlite.reserve import RESERVE_NAME
from tests.factories import make_hai, order
from tests.metadata import SECRET
from tests.videos import (
    box,
    boxes,
    frames,
    made,
    strangers,
    with_telemetry,
)

FFMPEG = posters.find_ffmpeg()


@pytest.fixture
def queue(core, io_loop):
    async def begin():
        queue = ThumbnailQueue(core)
        queue.start()
        return queue

    queue = io_loop.run_sync(begin)
    yield queue
    io_loop.run_sync(queue.stop)


async def upload(core, person, room, data, name="boat.mp4"):
    arriving = receiver_to(sink_for(core, person.identity, room["id"], name))
    for at in range(0, len(data), 64 * 1024):
        await arriving.feed(data[at : at + 64 * 1024])
    return await arriving.finish()


async def tried(core, picture_id):
    async with asyncio.timeout(30):
        while True:
            row = await core.db.read(Picture.get_by_id, picture_id)
            if row.thumbnail_tried_at:
                return row
            await asyncio.sleep(0.02)


async def stored_bytes(core, stored):
    pieces = pictures.read(core, stored["id"], 0, stored["bytes"])
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("kind", ["mp4", "live webm"])
async def test_a_video_that_was_sent_gets_a_poster(core, cast, queue, kind):
    stored = await upload(core, cast.ada, cast.lounge, made(kind))
    hai = await make_hai(core, cast.ada, cast.lounge, "", picture_ids=[stored["id"]])
    row = await tried(core, stored["id"])
    assert row.blur.startswith("data:image/webp;base64,")
    payload = {"since_rev": hai["rev"] - 1}
    (now,) = (await order(core, cast.grace, "get_changes", payload))["hais"]
    thumbnail = now["pictures"][0]["thumbnail"]
    assert (thumbnail["width"], thumbnail["height"]) == (64, 48)
    assert abs(now["pictures"][0]["duration_ms"] - 2000) < 120
    content = (await core.db.read(Thumbnail.get_by_id, stored["id"])).bytes
    with Image.open(io.BytesIO(content)) as image:
        assert image.convert("L").getextrema()[1] > 150  # there is something to see


async def test_who_comes_late_to_a_quick_child_still_has_its_frame(
    core, cast, queue, monkeypatch
):
    """It is over, and asyncio has its exit status, before we could hold on to it."""
    asked, hold = [], os.pidfd_open

    def too_late_at_first(pid):
        asked.append(pid)
        if len(asked) == 1:
            raise ProcessLookupError
        return hold(pid)

    monkeypatch.setattr(os, "pidfd_open", too_late_at_first)
    stored = await upload(core, cast.ada, cast.lounge, made("live webm"))
    assert (await tried(core, stored["id"])).blur.startswith("data:image/webp;base64,")
    assert len(asked) == 2  # the child for thumbnails


async def test_without_ffmpeg_a_video_waits_for_one(core, cast, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    queue = ThumbnailQueue(core)
    monkeypatch.undo()
    queue.start()
    film = await upload(core, cast.ada, cast.lounge, made("mp4"))
    still = io.BytesIO()
    Image.new("RGB", (900, 900)).save(still, "PNG")
    picture = await upload(core, cast.ada, cast.lounge, still.getvalue(), "a.png")
    await tried(core, picture["id"])  # pictures do not wait behind it
    assert not (await core.db.read(Picture.get_by_id, film["id"])).thumbnail_tried_at
    await queue.stop()
    later = ThumbnailQueue(core)
    later.start()
    assert (await tried(core, film["id"])).blur
    await later.stop()


async def test_what_ffmpeg_cannot_decode_has_no_poster(core, cast, queue):
    data = made("mp4")
    at = data.index(b"mdat") + 4
    broken = data[:at] + bytes(18_000) + data[at + 18_000 :]
    stored = await upload(core, cast.ada, cast.lounge, broken)
    assert (await tried(core, stored["id"])).blur is None


async def test_a_voice_needs_none(core, cast, queue):
    stored = await upload(core, cast.ada, cast.lounge, made("ogg"), "a.ogg")
    assert (stored["width"], stored["height"]) == (0, 0)
    assert (await core.db.read(Picture.get_by_id, stored["id"])).thumbnail_tried_at


async def test_nothing_stays_in_the_data_folder(core, cast, queue):
    before = set(os.listdir(core.config.data))
    before |= {
        "hai.db-wal",
        "hai.db-shm",
        RESERVE_NAME,
    }  # the writer's own, in its time
    stored = await upload(core, cast.ada, cast.lounge, made("mp4"))
    await tried(core, stored["id"])
    assert set(os.listdir(core.config.data)) <= before


def pretend(tmp_path, source):
    """A program in the place of ffmpeg, in Perl: every Debian has it below /usr."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/usr/bin/perl\n" + textwrap.dedent(source))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def poster_by(core, cast, program):
    stored = await upload(core, cast.ada, cast.lounge, made("mp4"))
    about = (stored["id"], stored["type"], stored["bytes"], 2000)
    return await posters.make(core, program, *about)


async def test_the_process_has_little(core, cast, tmp_path):
    said = await poster_by(
        core,
        cast,
        pretend(
            tmp_path,
            r"""
            use strict;
            my ($path) = grep { s/^file:// } @ARGV;
            open(my $video, "<", $path) or die;
            my $size = read($video, my $bytes, 1 << 24);
            $| = 1;
            print join(" ", $size, keys %ENV), "\n";
            exec "/bin/sh", "-c", "ulimit -v; ulimit -t; ulimit -f; ulimit -n";
            """,
        ),
    )
    first, *limits = said.decode().splitlines()
    size, *names = first.split()
    assert int(size) == len(made("mp4"))
    assert [name for name in names if "HAI" in name] == []
    memory = poster_child.MEMORY_BYTES // 1024
    wanted = [memory, poster_child.CPU_S, 0, poster_child.FILES]
    assert [int(limit) for limit in limits] == wanted


@pytest.mark.parametrize(
    "source",
    [
        "1 while 1",
        "print 'x' x 9_000_000",
        "exit 1",
        "my $x = 'x' x 2**31; print 'there was room'",
        "",
    ],
)
async def test_a_process_that_goes_wrong_makes_no_poster(
    core, cast, tmp_path, monkeypatch, source
):
    monkeypatch.setattr(posters, "ANSWER_S", 1.0)
    assert await poster_by(core, cast, pretend(tmp_path, source)) is None


# --- What is known only at the end of an upload --------------------------------------


async def test_telemetry_that_was_stored_before_its_table_goes(core, cast):
    between = box(b"free", bytes(3 * CHUNK_BYTES))
    data = with_telemetry(made("mp4"), between)
    stored = await upload(core, cast.ada, cast.lounge, data)
    content = await stored_bytes(core, stored)
    assert SECRET in data and SECRET not in content
    assert strangers(content) == []
    assert frames(content) == frames(made("mp4"))
    found = await pictures.get(core, cast.ada.identity, stored["id"])
    assert found.sha256 == hashlib.sha256(content).digest()


async def test_a_voice_may_be_as_large_as_a_voice_only(core, cast):
    """What it is, an MP4 may say at its end."""
    ftyp, *_, (_, moov, _) = boxes(made("m4a"))
    head = box(b"ftyp", ftyp[1]) + box(b"mdat", bytes(26 * 1024 * 1024))
    data = head + box(b"moov", moov)
    arriving = receiver_to(
        sink_for(core, cast.ada.identity, cast.lounge["id"], "long.m4a")
    )
    with pytest.raises(TooLarge) as refused:
        for at in range(0, len(data), 1024 * 1024):
            await arriving.feed(data[at : at + 1024 * 1024])
        await arriving.finish()
    assert refused.value.details["max_bytes"] == core.config.max_voice_bytes
