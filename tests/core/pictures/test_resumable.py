"""A picture that came in pieces, with an end after any of them, is the same picture."""

import contextlib
import sqlite3
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hai import clock, ids
from hai.core.identity.sessions import find
from hai.core.pictures import (
    arriving,
    resumable,
)
from hai.core.pictures import (
    stored as pictures,
)
from hai.core.pictures.formats.spans import packed, unpacked
from hai.core.pictures.formats.walk import PART
from hai.core.pictures.reader import PictureReader
from hai.core.pictures.receiver import LOOK_BYTES
from hai.core.turns import do
from hai.errors import NotFound, PictureTruncated, PictureType, StorageFull, TooLarge
from hai.storage import blobs
from hai.storage.blobs import CHUNK_BYTES
from hai.storage.models import Chunk, Picture, UnfinishedUpload
from hai.storage.sqlite import verify
from tests import videos
from tests.metadata import SECRET, riff_chunk, strangers, talkative, webp
from tests.pictures import TYPES, animated, big_png, picture

LONG = 3 * CHUNK_BYTES


def person(core, who):
    return find(core, who.token)


async def begin(core, who, room, data, **about):
    return await resumable.begin(
        core, person(core, who), room["id"], len(data), name="sea.png", **about
    )


async def again(core, who, token):
    """As another process would find it."""
    core.unread.clear()
    return await resumable.resume(core, person(core, who), token)


async def stored_bytes(core, picture_id):
    found = await core.db.read(blobs.find, picture_id)
    pieces = [piece async for piece in pictures.read(core, picture_id, 0, found[2])]
    return b"".join(pieces)


async def whole(core, who, room, data, **about):
    upload = await begin(core, who, room, data, **about)
    await upload.feed(data)
    return await upload.finish()


async def count(core, model):
    return await core.db.read(lambda: model.select().count())


# --- The reader ----------------------------------------------------------------------


def in_pieces(data, cuts, **options):
    """What is stored when the reader is saved and made anew at each cut; and all
    that was saved."""
    reader, stored, saved = PictureReader(**options), bytearray(), []
    at, ends = 0, sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    while ends:
        end = ends.pop(0)
        stored += reader.feed(data[at:end])
        saved.append(reader.save())
        at = end - len(reader.unread)
        keeps = reader.keeps_metadata
        reader = PictureReader.restored(saved[-1], keeps_metadata=keeps)
        ends = [end for end in ends if end > at]
        if at < end == len(data):
            stored += reader.feed(data[at:])
            break
    reader.finish()
    stored[: len(reader.head)] = reader.head
    for start, length, new in reader.edits:
        stored[start : start + length] = new or bytes(length)
    about = (reader.type, reader.width, reader.height, reader.is_animated)
    return bytes(stored), (*about, reader.duration_ms), "".join(saved)


SAMPLES = [
    *[talkative(kind, orientation) for kind in TYPES for orientation in (1, 6)],
    talkative("JPEG", 6, progressive=True),
    talkative("WEBP", 6, frame_count=3),
    *[animated(kind) for kind in ("GIF", "PNG", "WEBP")],
]
FILMS = list(videos.KINDS)  # and voices


def is_still(data):
    return any(
        data.startswith(start) for start in (b"\x89PNG", b"\xff\xd8", b"GIF", b"RIFF")
    )


@pytest.mark.parametrize("data", [*SAMPLES, *map(videos.talkative, FILMS)])
def test_a_reader_goes_on_after_any_byte(data):
    straight = in_pieces(data, [])
    for cut in range(1, len(data), 1 + len(data) // 400):
        stored, about, saved = in_pieces(data, [cut])
        assert (stored, about) == straight[:2]
        assert SECRET.hex() not in saved
        assert SECRET[:8].hex() not in saved
    assert (strangers if is_still(data) else videos.strangers)(straight[0]) == []


@given(
    data=st.sampled_from(SAMPLES),
    cuts=st.lists(st.integers(1, 6000), max_size=30),
    keeps=st.booleans(),
)
def test_a_reader_goes_on_after_any_ends(data, cuts, keeps):
    straight = in_pieces(data, [], keeps_metadata=keeps)
    assert in_pieces(data, cuts, keeps_metadata=keeps)[:2] == straight[:2]


@given(
    kind=st.sampled_from(FILMS),
    cuts=st.lists(st.integers(1, 40_000), max_size=30),
    keeps=st.booleans(),
)
def test_a_reader_of_films_goes_on_after_any_ends(kind, cuts, keeps):
    data = videos.talkative(kind)
    straight = in_pieces(data, [], keeps_metadata=keeps)
    stored, about, saved = in_pieces(data, cuts, keeps_metadata=keeps)
    assert (stored, about) == straight[:2]
    assert keeps or SECRET[:8].hex() not in saved


def test_what_is_saved_does_not_grow_with_the_picture():
    reader = PictureReader()
    data = big_png(2_000_000)
    reader.feed(data[:-12])
    still = picture("GIF")[:-1]
    gif = PictureReader()
    gif.feed(still + still[still.index(b",\0\0\0\0") :] * 2_000)
    assert len(reader.save()) < 500 and len(gif.save()) < 500


@pytest.mark.parametrize("kind", FILMS)
def test_what_is_saved_does_not_grow_with_the_film(kind):
    data, most = videos.large(kind), 0
    reader = PictureReader()
    for at in range(0, len(data), 10_000):
        reader.feed(data[at : at + 10_000])
        most = max(most, len(reader.save()))
    assert most < 6_000  # the header with all that is in it; mostly 500


def test_what_is_saved_does_not_grow_with_what_is_left_out():
    """Each 64 KiB of it are a step; they are counted, not told one by one."""
    reader, start = PictureReader(), videos.made("mp4 first")[:32]
    reader.feed(start + struct.pack(">I4s", 2**31, b"uuid"))
    for _ in range(200):
        reader.feed(bytes(1 << 20))
    assert len(reader.save()) < 800
    reader = PictureReader.restored(reader.save(), keeps_metadata=False)
    stored = reader.feed(b"x" * (1 << 20))
    assert stored.strip(b"\0") == b""


@pytest.mark.parametrize("is_first", [False, True])
def test_a_drone_s_hour_of_telemetry_goes_wherever_it_is_cut(is_first):
    """A place among the samples every second, before or after the table of them."""
    samples = [SECRET + bytes([second % 251]) for second in range(3600)]
    film = videos.made("mp4 first")
    data = videos.with_many_samples(film, samples, is_first=is_first)
    assert data.count(SECRET) >= 3600
    straight = in_pieces(data, [])
    stored, about, saved = in_pieces(data, range(50_000, len(data), 33_333))
    assert (stored, about) == straight[:2]
    assert SECRET not in stored and SECRET[:8].hex() not in saved
    assert videos.frames(stored) == videos.frames(film)


def test_spans_are_packed_and_found_again():
    many = [(3 * number, 3 * number + 1) for number in range(5 * PART + 1)]
    for spans in ([], [(0, 1)], [(7, 9), (10, 2**40), (2**62, 2**63 - 1)], many):
        assert do(unpacked(do(packed(spans)))) == spans


# --- The upload ----------------------------------------------------------------------


def long_one(kind, length=LONG):
    """Several chunks with metadata at its beginning and its end."""
    if kind in FILMS:
        return videos.large(kind)
    data = talkative(kind, 6)
    if kind == "PNG":
        return big_png(length)[:-12] + data[8 + 25 :]
    if kind == "WEBP":
        frame = bytes(16) + riff_chunk(b"VP8 ", bytes(length))
        body = webp(6)[12:] + riff_chunk(b"ANMF", frame)
        return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
    if kind == "GIF":
        start = data.index(b"!\xf9")
        chatter = b"!\xfe" + (bytes([len(SECRET)]) + SECRET) * 3_000 + b"\x00"
        colours = (b"\xff" + bytes(255)) * (length // 256) + b"\x00"
        profile = b"!\xff\x0bICCRGBG1012" + colours
        return data[:start] + chatter + profile + data[start:]
    end = data.index(b"\xff\xd9", data.rindex(b"\xff\xda"))
    return data[:end] + bytes(length) + data[end:]


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("kind", [*TYPES, *FILMS])
@pytest.mark.parametrize("step", [100_003, 300_000])
async def test_an_upload_in_pieces_is_the_same_picture(core, cast, kind, step, keeps):
    data = long_one(kind)
    straight = await whole(core, cast.ada, cast.lounge, data, keeps_metadata=keeps)
    upload = await begin(core, cast.ada, cast.lounge, data, keeps_metadata=keeps)
    token, rounds = upload.token, 0
    while not upload.is_here:
        at = upload.received_bytes
        await upload.feed(data[at : at + step])
        if not upload.is_here:
            await upload.keep()
            upload = await again(core, cast.ada, token)
            assert at < upload.received_bytes <= at + step
        rounds += 1
    made = await upload.finish()
    assert rounds >= 3
    assert made | {"id": 0, "url": ""} == straight | {"id": 0, "url": ""}
    bytes_ = await stored_bytes(core, made["id"])
    assert bytes_ == await stored_bytes(core, straight["id"])
    assert (SECRET in bytes_) == (keeps and SECRET in data)
    assert [*verify.problems(core.db.path, verify.Counts())] == []


@pytest.mark.parametrize("end", ["finish", "delete"])
async def test_what_has_ended_waits_in_no_memory(core, cast, end):
    data = picture("JPEG", exif=b"Exif\x00\x00" + b"x" * 65_000)
    upload = await begin(core, cast.ada, cast.lounge, data)
    await upload.feed(data[:5_000])
    await upload.keep()
    assert core.unread
    if end == "finish":
        later = await resumable.resume(core, cast.ada.identity, upload.token)
        await later.feed(data[later.received_bytes :])
        await later.finish()
    else:
        await resumable.delete(core, cast.ada.identity, upload.token)
    assert core.unread == {}


async def test_what_was_not_kept_is_asked_for_again(core, cast):
    """As after a kill: only what came with whole chunks is there."""
    data = big_png(LONG)
    upload = await begin(core, cast.ada, cast.lounge, data)
    await upload.feed(data[: CHUNK_BYTES + 100_000])
    later = await again(core, cast.ada, upload.token)
    assert CHUNK_BYTES <= later.received_bytes <= CHUNK_BYTES + LOOK_BYTES
    await later.feed(data[later.received_bytes :])
    made = await later.finish()
    assert await stored_bytes(core, made["id"]) == data


async def test_no_metadata_is_ever_on_the_disk(core, cast, config):
    """But samples that a film only at its end says are no pictures: see below."""
    late = ("mp4", "mov")
    for kind in [*TYPES, *(kind for kind in FILMS if kind not in late)]:
        data = long_one(kind)
        upload = await begin(core, cast.ada, cast.lounge, data)
        for end in range(0, len(data), 50_001):
            await upload.feed(data[upload.received_bytes : end])
            await upload.keep()
            upload = await again(core, cast.ada, upload.token)
        await upload.feed(data[upload.received_bytes :])
        await upload.keep()
    files = [path for path in config.data.iterdir() if path.is_file()]
    assert config.database_path in files
    for path in files:
        content = path.read_bytes()
        assert SECRET not in content and SECRET.hex().encode() not in content


@pytest.mark.parametrize("kind", ["mp4", "mov"])
async def test_a_film_that_says_late_what_must_go_is_mended(core, cast, kind):
    data = long_one(kind)
    upload = await begin(core, cast.ada, cast.lounge, data)
    for end in range(0, len(data), 50_001):
        await upload.feed(data[upload.received_bytes : end])
        await upload.keep()
        saved = await core.db.read(lambda: UnfinishedUpload.get().reader) or ""
        assert SECRET[:8].hex() not in saved and SECRET.decode() not in saved
        upload = await again(core, cast.ada, upload.token)
    await upload.feed(data[upload.received_bytes :])
    made = await upload.finish()
    stored = await stored_bytes(core, made["id"])
    assert SECRET in data and SECRET not in stored
    assert videos.strangers(stored) == []
    assert [*verify.problems(core.db.path, verify.Counts())] == []


async def test_what_is_no_picture_says_so_wherever_it_stops(core, cast):
    upload = await begin(core, cast.ada, cast.lounge, b"x" * 100)
    await upload.feed(b"x" * 11)
    await upload.keep()
    upload = await again(core, cast.ada, upload.token)
    with pytest.raises(PictureType):
        await upload.feed(b"x" * 89)
    short = picture()[:-4]
    upload = await begin(core, cast.ada, cast.lounge, short)
    await upload.feed(short)
    with pytest.raises(PictureTruncated):
        await upload.finish()


async def test_more_than_was_said_is_refused_and_harms_nothing(core, cast):
    data = picture()
    upload = await begin(core, cast.ada, cast.lounge, data)
    with pytest.raises(TooLarge):
        await upload.feed(data + b"x")
    await upload.feed(data)
    assert (await upload.finish())["bytes"] == len(data)


async def test_an_upload_is_its_senders_alone(core, cast):
    token = (await begin(core, cast.ada, cast.lounge, picture())).token
    for act in (resumable.resume, resumable.get_progress, resumable.delete):
        with pytest.raises(NotFound):
            await act(core, person(core, cast.grace), token)
        with pytest.raises(NotFound):
            await act(core, person(core, cast.ada), ids.new_token())


async def test_the_same_bytes_are_stored_once(core, cast):
    data = big_png(LONG)
    first = await whole(core, cast.ada, cast.lounge, data)
    upload = await begin(core, cast.grace, cast.lounge, data)
    await upload.feed(data[:400_000])
    await upload.keep()
    upload = await again(core, cast.grace, upload.token)
    await upload.feed(data[upload.received_bytes :])
    made = await upload.finish()
    assert made["id"] != first["id"]
    progress = await resumable.get_progress(
        core, person(core, cast.grace), upload.token
    )
    assert progress.picture["id"] == made["id"]
    await pictures.sweep_discarded(core)
    assert await count(core, Chunk) == 3


async def test_unfinished_ones_are_left_alone_until_they_expire(
    core, cast, monkeypatch
):
    data = big_png(LONG)
    upload = await begin(core, cast.ada, cast.lounge, data)
    await upload.feed(data[:400_000])
    await upload.keep()
    done = await whole(core, cast.ada, cast.lounge, picture())
    now = clock.now_ms()

    async def sweep_at(later_ms):
        monkeypatch.setattr(clock, "now_ms", lambda: now + later_ms)
        await pictures.expire_uploads(core)
        await pictures.sweep(core, clock.now_ms() - pictures.ABANDONED_MS)

    await core.db.write(blobs.discard_unfinished)
    await sweep_at(pictures.ABANDONED_MS + 1000)  # the whole one was never sent
    assert await core.db.read(blobs.find, done["id"]) is None
    assert (await again(core, cast.ada, upload.token)).received_bytes == 400_000
    await sweep_at(arriving.RESUMABLE_MS + 1000)
    with pytest.raises(NotFound):
        await again(core, cast.ada, upload.token)
    for model in (UnfinishedUpload, Picture, Chunk):
        assert await count(core, model) == 0


async def test_a_user_has_so_many_unfinished_ones_and_no_more(core, cast, monkeypatch):
    monkeypatch.setattr(resumable, "MAX_UNFINISHED", 3)
    tokens = [
        (await begin(core, cast.ada, cast.lounge, picture())).token for _ in range(5)
    ]
    other = await begin(core, cast.grace, cast.lounge, picture())
    assert await count(core, UnfinishedUpload) == 4
    await again(core, cast.grace, other.token)
    await again(core, cast.ada, tokens[2])
    with pytest.raises(NotFound):
        await again(core, cast.ada, tokens[1])


class TestLimits:
    @pytest.fixture
    def config_flags(self):
        limits = {"picture": "300000", "video": "2000000", "voice": "800000"}
        return {f"max_{kind}_bytes": limit for kind, limit in limits.items()}

    async def test_the_largest_may_begin_and_each_has_its_own(self, core, cast):
        with pytest.raises(TooLarge):
            await begin(core, cast.ada, cast.lounge, bytes(2_000_001))
        film = await whole(core, cast.ada, cast.lounge, videos.large("mp4"))
        assert film["type"] == "video/mp4" and film["bytes"] > 1_000_000
        voice = videos.large("ogg")
        upload = await begin(core, cast.ada, cast.lounge, voice)
        with pytest.raises(TooLarge, match="voice"):
            await upload.feed(voice)

    async def test_a_picture_too_large_is_refused_by_its_first_bytes(self, core, cast):
        data = big_png(300_001)
        upload = await begin(core, cast.ada, cast.lounge, data)
        with pytest.raises(TooLarge, match="picture"):
            await upload.feed(data[:1000])

    async def test_a_voice_that_looked_like_a_film_is_known_in_the_end(
        self, core, cast
    ):
        data = videos.made("m4a") + videos.box(b"free", bytes(800_000))
        upload = await begin(core, cast.ada, cast.lounge, data)
        with pytest.raises(TooLarge, match="voice"):
            await upload.feed(data)
            await upload.finish()


class TestQuotas:
    @pytest.fixture
    def config_flags(self):
        return {"max_bytes_per_user": "1000000"}

    async def test_an_upload_has_its_room_from_the_beginning(self, core, cast):
        data = big_png(600_000)
        upload = await begin(core, cast.ada, cast.lounge, data)
        with pytest.raises(StorageFull):
            await begin(core, cast.ada, cast.lounge, data)
        await begin(core, cast.grace, cast.lounge, data)
        await resumable.delete(core, person(core, cast.ada), upload.token)
        again = await begin(core, cast.ada, cast.lounge, data)
        await again.feed(data)
        await again.finish()
        with pytest.raises(StorageFull):
            await begin(core, cast.ada, cast.lounge, data)


async def test_a_bit_of_another_process_is_found_by_verify(core, cast):
    data = big_png(LONG)
    upload = await begin(core, cast.ada, cast.lounge, data)
    await upload.feed(data[:400_000])
    await upload.keep()
    with contextlib.closing(sqlite3.connect(core.db.path)) as db, db:
        db.execute("UPDATE uploads SET chunk_count = 7")
    (line,) = verify.problems(core.db.path, verify.Counts())
    assert "chunks" in line


async def test_small_pieces_of_a_large_block_come_on(core, cast):
    """The block is understood as a whole, and till then waits in memory, bounded."""
    data = picture("JPEG", exif=b"Exif\x00\x00" + b"x" * 65_000)
    upload = await begin(core, cast.ada, cast.lounge, data)
    for at in range(0, len(data), 10_000):
        assert upload.received_bytes == at
        await upload.feed(data[at : at + 10_000])
        await upload.keep()
        ada = person(core, cast.ada)
        progress = await resumable.get_progress(core, ada, upload.token)
        assert progress.received == min(at + 10_000, len(data))
        upload = await resumable.resume(core, ada, upload.token)
    await upload.finish()
    for _ in range(2 * resumable.MAX_UNREAD):
        upload = await begin(core, cast.ada, cast.lounge, data)
        await upload.feed(data[:5_000])
        await upload.keep()
    assert len(core.unread) == resumable.MAX_UNREAD
