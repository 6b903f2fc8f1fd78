"""Videos and voices: known by their bytes, and what they say about the sender goes."""

import random
import struct
import time

import pytest

from hai.core.pictures.formats.ogg import checksum
from hai.core.pictures.formats.webm import void_start
from hai.core.pictures.reader import PictureReader
from hai.errors import PictureTruncated, PictureType
from tests.metadata import SECRET
from tests.videos import (
    H264,
    KINDS,
    LASTS_MS,
    OPUS,
    SIGHT,
    SOUND,
    TYPES,
    box,
    boxes,
    converted,
    ffmpeg,
    frames,
    made,
    ogg_page,
    part_starts,
    probed,
    slow_checksum,
    strangers,
    table,
    talkative,
)

FUZZ_COUNT = 300  # of each kind, on every run
SLOW_FUZZ_COUNT = 200_000


def follow(data, step=1 << 20, **options):
    """(what is stored of it, the reader), when it comes `step` bytes at a time."""
    reader = PictureReader(**options)
    stored = bytearray()
    for at in range(0, len(data), step):
        stored += reader.feed(data[at : at + step])
    reader.finish()
    for start, length, new in reader.edits:
        assert start >= 0 and start + length <= len(stored)
        stored[start : start + length] = new or bytes(length)
    return bytes(stored), reader


def clean(data, step=1 << 20):
    return follow(data, step)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_known_by_its_bytes_however_they_come(kind):
    data = talkative(kind)
    for step in (17, 4096, 1 << 20):
        _, reader = follow(data, step)
        assert reader.type == TYPES[kind]
        is_seen = TYPES[kind].startswith("video/")
        assert (reader.width, reader.height) == ((64, 48) if is_seen else (0, 0))
        assert abs(reader.duration_ms - LASTS_MS) < 120


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_goes_and_every_frame_stays(kind):
    data = talkative(kind)
    assert SECRET in data
    cleaned = clean(data, 997)
    assert SECRET not in cleaned
    assert strangers(cleaned) == []
    assert frames(cleaned) == frames(made(kind))
    told = probed(cleaned)
    assert "48.2" not in told and "2024" not in told and "Ada" not in told


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_opinion_sees_what_is_wrong_with_the_original(kind):
    assert strangers(talkative(kind)) != []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_clean_stays_as_it_is(kind):
    cleaned = clean(talkative(kind))
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize("kind", KINDS)
def test_the_original_is_kept_when_the_sender_wants_it(kind):
    data = talkative(kind)
    kept, reader = follow(data, 1000, keeps_metadata=True)
    assert kept == data
    assert reader.duration_ms


@pytest.mark.parametrize("kind", ["mp4", "mp4 first", "mov"])
def test_the_samples_of_a_cameras_own_tracks_go(kind):
    """Before or after their table: in the first case they are stored by then."""
    _, reader = follow(talkative(kind))
    assert bool(reader.edits) == (kind != "mp4 first")


def test_a_recording_learns_how_long_it_is():
    """Browsers do not write it; then one could not seek."""
    assert "duration=N/A" in probed(made("live webm")).split("[FORMAT]")[1]
    told = probed(clean(made("live webm"))).split("[FORMAT]")[1]
    assert float(told.split("duration=")[1].split()[0]) == pytest.approx(2, abs=0.12)


@pytest.mark.parametrize(("degrees", "size"), [(90, (48, 64)), (180, (64, 48))])
def test_a_film_taken_sideways_is_as_wide_as_it_is_shown(degrees, size):
    turn = ("-c", "copy", "-metadata:s:v", f"rotate={degrees}")
    data = converted(made("mp4"), *turn, ending="mp4")
    cleaned, reader = follow(data)
    assert (reader.width, reader.height) == size
    assert str(degrees) in probed(cleaned).split("rotation=")[1].split()[0]


@pytest.mark.parametrize("codec", ["libx265", "libaom-av1", "libvpx-vp9"])
def test_newer_codecs_are_taken(codec):
    fast = {
        "libaom-av1": ("-cpu-used", "8"),
        "libx265": ("-x265-params", "log-level=0"),
    }
    words = (*SIGHT, "-c:v", codec, *fast.get(codec, ()), "-t", "0.2")
    for ending in ("mp4", "webm") if codec != "libx265" else ("mp4",):
        data = ffmpeg(*words, ending=ending)
        cleaned, reader = follow(data)
        assert (reader.width, reader.height) == (64, 48)
        assert strangers(cleaned) == []
        assert frames(cleaned) == frames(data)


@pytest.mark.parametrize(
    ("words", "ending", "advice"),
    [
        ((*SIGHT, "-c:v", "mjpeg"), "mov", "H.264"),
        ((*SIGHT, *SOUND, *H264, "-c:a", "pcm_s16le"), "mov", "H.264"),
        ((*SOUND, "-c:a", "libvorbis"), "ogg", "Opus"),
        ((*SOUND, "-c:a", "libvorbis"), "webm", "Opus"),
        ((*SOUND, *OPUS), "mka", "WebM"),
    ],
)
def test_what_few_browsers_play_is_refused_with_advice(words, ending, advice):
    with pytest.raises(PictureType, match=advice):
        follow(ffmpeg(*words, "-t", "0.2", ending=ending))


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_it_is_truncated(kind):
    """A recording, and Ogg, can end wherever one of their parts does."""
    data = clean(made(kind))
    chance = random.Random(kind)
    ends = part_starts(data)
    cuts = [*range(40), *(chance.randrange(len(data)) for _ in range(80))]
    for length in cuts:
        if length not in ends or length < 40:
            with pytest.raises(PictureTruncated):
                follow(data[:length])


@pytest.mark.parametrize("kind", ["fragmented", "live webm", "ogg"])
def test_a_recording_may_end_after_any_part_with_sound(kind):
    data = clean(made(kind))
    last = max(part_starts(data))
    if kind == "fragmented":
        last = data.rindex(b"moof") - 4
    _, reader = follow(data[:last])
    assert 0 < reader.duration_ms < LASTS_MS + 120


# --- Made to be refused --------------------------------------------------------------


def mp4_with(old, new):
    data = made("mp4 first")
    assert old in data
    return data.replace(old, new, 1)


def deep(depth):
    content = b""
    for _ in range(depth):
        content = box(b"udta", box(b"moov", content))
    return content


def webm_videos(depth):
    """Of a track, one in the other."""
    video = b""
    for _ in range(depth):
        video = b"\xe0" + (len(video) | 1 << 21).to_bytes(3, "big") + video
    return video


MOOV = {name: content for name, content, _ in boxes(made("mp4"))}[b"moov"]
START = made("mp4")[:32]
WEBM = made("webm")
SEGMENT_AT = WEBM.index(b"\x18\x53\x80\x67")
HEAD = WEBM[:SEGMENT_AT]
LIVE = HEAD + b"\x18\x53\x80\x67\x01" + b"\xff" * 7

HOSTILE = {
    "nothing behind its name": START,
    "a film of four gigabytes": START + struct.pack(">I4s", 2**32 - 1, b"moov"),
    "a box of 2^63 bytes": START + b"\0\0\0\1moov" + struct.pack(">Q", 2**63),
    "a box of 7 bytes": START + b"\0\0\0\7moov" + bytes(99),
    "a moov to the end": START + b"\0\0\0\0moov" + MOOV,
    "two moovs": made("mp4") + box(b"moov", MOOV),
    "no tracks": START + box(b"moov", b"") + box(b"mdat", bytes(9)),
    "a track of nothing": START
    + box(b"moov", box(b"trak", b""))
    + box(b"mdat", bytes(9)),
    "a table of four billion": mp4_with(b"stts\0\0\0\0\0\0\0\1", b"stts" + b"\xff" * 8),
    "four billion sizes": mp4_with(
        b"stsz\0\0\0\0\0\0\0\0\0", b"stsz\0\0\0\0\0\0\0\0\xff"
    ),
    "a child larger than its parent": mp4_with(b"\0\0\0\x5ctkhd", b"\0\xff\0\x5ctkhd"),
    "samples elsewhere": mp4_with(b"url \0\0\0\1", b"url \0\0\0\0"),
    "an hdlr after the tables": mp4_with(b"hdlr", b"hdlx"),
    "no size": mp4_with(b"\0\x40\0\0\0\x30\0\0", bytes(8)).replace(
        b"\0\x40\0\x30", bytes(4)
    ),
    "depth in a track": START
    + box(b"moov", box(b"trak", box(b"mdia", deep(400))))
    + box(b"mdat", b""),
    "a WebM of nothing": HEAD,
    "a Segment of nothing": HEAD + b"\x18\x53\x80\x67\x80",
    "an element of 2^56 bytes": LIVE + b"\x12\x54\xc3\x67\x01" + b"\xff" * 6 + b"\xfe",
    "a tag without an end": LIVE + b"\x12\x54\xc3\x67\xff" + bytes(99),
    "a cluster before its tracks": LIVE + b"\x1f\x43\xb6\x75\xff\xa3\x84\x81\0\0\0",
    "an impossible name": LIVE + b"\0" * 20,
    "a block of another track": clean(made("live webm")) + b"\xa3\x85\x95\0\0\0\0",
    "videos in videos": LIVE
    + b"\x16\x54\xae\x6b\xff\xae\x20\xea\x60"
    + webm_videos(15_000),
    "tracks in tracks": LIVE + b"\x16\x54\xae\x6b\xff" * 3,
    "Ogg that is no Opus": ogg_page(2, 0, 1, 0, b"\x7fFLAC" + bytes(40)),
    "an Ogg of nothing": ogg_page(2, 0, 1, 0, b"OpusHead\1" + bytes(10)),
    "comments with sound behind": ogg_page(2, 0, 1, 0, b"OpusHead\1" + bytes(10))
    + ogg_page(0, 0, 1, 1, b"OpusTags" + bytes(8), b"sound")
    + ogg_page(4, 960, 1, 2, b"sound"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_made_to_hurt_is_refused_at_once(case):
    began_s = time.process_time()
    with pytest.raises((PictureType, PictureTruncated)):
        follow(HOSTILE[case], 4096)
    assert time.process_time() - began_s < 30  # it takes milliseconds; no loop is in it


FRAGMENTED = made("fragmented")


def tiny_fragment(count):
    """Of so many samples, of which only the durations are told."""
    run = struct.pack(">II", 0x100, count) + bytes(4 * count)
    track = box(b"tfhd", struct.pack(">II", 0, 1)) + box(b"trun", run)
    return box(b"moof", box(b"traf", track))


@pytest.mark.parametrize(
    "data",
    [
        START + box(b"free", b"") * 200_000,
        LIVE + b"\xec\x80" * 400_000,
        START + box(b"moov", MOOV) + box(b"moof", b"") * 200_000,
        START + box(b"moov", box(b"free", bytes(24)) * 30_000 + MOOV),
        FRAGMENTED + box(b"free", bytes(24)) * 60_000,
        FRAGMENTED + tiny_fragment(16) * 30_000,
    ],
    ids=[
        *("boxes", "voids", "fragments", "boxes in a header"),
        *("boxes of 32 bytes", "fragments of 16 samples"),
    ],
)
def test_a_film_in_too_many_pieces_is_refused(data):
    with pytest.raises(PictureType):
        follow(data, 16 * 1024)


def test_an_hour_in_fragments_of_a_second_is_no_such_film():
    """Of a quiet voice, 4 KB each; pictures bring more bytes and hardly more boxes."""
    second = tiny_fragment(47) + box(b"mdat", bytes(4000))
    _, reader = follow(FRAGMENTED + second * 3600, 64 * 1024)
    assert reader.is_whole


def test_a_table_of_telemetry_without_end_is_refused():
    """Of a track that goes, its table has to be held."""
    endless = box(b"stco", struct.pack(">II", 0, 10**6) + bytes(4 * 10**6))
    media = box(b"hdlr", bytes(8) + b"meta" + bytes(13)) + box(
        b"minf", box(b"stbl", endless)
    )
    moov = box(b"moov", box(b"trak", box(b"mdia", media)) + MOOV)
    with pytest.raises(PictureType):
        follow(START + moov + box(b"mdat", b""))


def test_many_holes_beside_many_boxes_are_followed_at_once():
    """Of each box with samples, only the holes in it are looked at."""
    count = 50_000
    starts = [struct.pack(">I", 10**6 + 8 * number) for number in range(count)]
    tables = (
        box(b"stsz", struct.pack(">III", 0, 4, count))
        + table(b"stsc", [struct.pack(">III", 1, 1, 1)])
        + table(b"stco", starts)
    )
    kind = box(b"hdlr", bytes(8) + b"meta" + bytes(12))
    media = box(b"mdia", kind + box(b"minf", box(b"stbl", tables)))
    film = START + box(b"moov", MOOV + box(b"trak", media))
    began_s = time.process_time()
    follow(film + box(b"mdat", b"") * 9_000, 16 * 1024)
    assert time.process_time() - began_s < 30  # it takes 0.4 s


@pytest.mark.parametrize(
    "start",
    [LIVE + b"\x19\x41\xa4\x69\x10\x80\0\0", START + b"\0\x80\0\x08uuid"],
    ids=["webm", "mp4"],
)
def test_zeros_come_as_what_they_stand_for_goes(start):
    """Not all at once, or they would need as much memory as the file has bytes."""
    reader = PictureReader()
    reader.feed(start)
    sizes = [len(reader.feed(bytes(16 * 1024))) for _ in range(512)]
    assert sum(sizes) == 8 * 1024 * 1024 and max(sizes) <= 64 * 1024


def test_a_lie_about_the_duration_is_not_believed():
    data = bytearray(clean(made("mp4 first")))
    while (at := data.find(b"mdhd\0\0\0\0")) >= 0:
        data[at : at + 4] = b"MDHD"
        data[at + 16 : at + 20] = struct.pack(">I", 1)
        data[at + 20 : at + 24] = b"\xff\xff\xff\xfe"
    _, reader = follow(bytes(data).replace(b"MDHD", b"mdhd"))
    assert reader.duration_ms == 0


def test_other_streams_in_an_ogg_go():
    data = made("ogg")
    at = data.index(b"OggS", 4)
    other = ogg_page(2, 0, 77, 0, b"fishead\0" + SECRET)
    assert clean(data[:at] + other + data[at:] + SECRET) == clean(data)


def test_what_follows_the_last_page_of_an_ogg_goes():
    data = clean(made("ogg"))
    assert clean(data + made("ogg")) == data


def test_comments_on_many_pages_are_emptied():
    data = made("ogg")
    first = data[: data.index(b"OggS", 4)]
    serial = struct.unpack_from("<I", data, 14)[0]
    tags = b"OpusTags" + SECRET * 5000
    pages, sequence = b"", 1
    for at in range(0, len(tags), 255 * 255):
        piece = tags[at : at + 255 * 255]
        kind, is_last = (1 if at else 0), len(piece) < 255 * 255
        segments = b"\xff" * (len(piece) // 255)
        segments += bytes([len(piece) % 255]) if is_last else b""
        head = struct.pack("<4sBBqII", b"OggS", 0, kind, 0, serial, sequence)
        page = head + bytes(4) + bytes([len(segments)]) + segments + piece
        pages += page[:22] + slow_checksum(page) + page[26:]
        sequence += 1
    sound = data[data.index(b"OggS", data.index(b"OpusTags")) :]
    cleaned = clean(first + pages + sound, 5000)
    assert SECRET not in cleaned
    assert len(cleaned) == len(first + pages + sound)
    assert frames(cleaned) == frames(data)


def test_a_checksum_is_as_the_standard_says():
    chance = random.Random(1)
    for _ in range(20):
        page = chance.randbytes(chance.randrange(27, 300))
        whole = page[:22] + bytes(4) + page[26:]
        assert struct.pack("<I", checksum(whole)) == slow_checksum(page)


@pytest.mark.parametrize(
    "length", [2, 3, 127, 128, 129, 130, 16_385, 16_386, 2**21 + 9]
)
def test_a_void_is_as_long_as_it_is_to_be(length):
    start = void_start(length)
    size_bytes = len(start) - 1
    said = int.from_bytes(start[1:], "big") & ((1 << 7 * size_bytes) - 1)
    assert len(start) + said == length
    assert said != (1 << 7 * size_bytes) - 1  # which would say that it is not known


# --- Damaged on purpose --------------------------------------------------------------


def damaged(data, chance):
    """A few bytes changed, most of them in what is read and not just passed."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        is_head = chance.randrange(4)
        at = chance.randrange(min(len(data), 1500) if is_head == 0 else len(data))
        if is_head == 1:
            at = len(data) - 1 - chance.randrange(min(len(data), 4000))
        data[at] = chance.choice((chance.randrange(256), 0, 1, 0xFF, 0x80))
    at, length = chance.randrange(len(data)), chance.randrange(1, 300)
    change = chance.randrange(8)
    if change == 0:
        del data[at : at + length]
    elif change == 1:
        data[at:at] = data[at : at + length]
    return bytes(data)


def fuzz(kind, count, seed):
    """Returns how many were taken."""
    chance = random.Random(f"{kind} {seed}")
    original = talkative(kind)
    taken = 0
    for turn in range(count):
        data = damaged(original, chance)
        try:
            cleaned, _ = follow(data, chance.choice((301, 4096, 1 << 20)))
        except (PictureType, PictureTruncated):
            continue
        taken += 1
        assert strangers(cleaned) == [], turn
    return taken


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_lets_metadata_through_or_makes_it_fail_otherwise(kind):
    assert fuzz(kind, FUZZ_COUNT, "steady") > FUZZ_COUNT / 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nor_do_many_damages(kind):
    taken = fuzz(kind, SLOW_FUZZ_COUNT // len(KINDS), "slow")
    print(f"{kind}: {taken:,} taken")
