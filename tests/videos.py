"""Videos and voices that say too much, and a second opinion on what is left of them.

They are made by ffmpeg, once in each run, with all the metadata it writes; what it does
not write (telemetry, addresses of other files, boxes of phones) is put in by hand.
`strangers` reads a whole file with none of the server's code.
"""

import functools
import struct
import subprocess
import tempfile
from pathlib import Path

from tests.metadata import SECRET

SAYS = SECRET.decode()
ABOUT = {
    "title": SAYS,
    "comment": SAYS,
    "artist": SAYS,
    "location": "+48.2082+016.3738/",
    "creation_time": "2024-05-06T07:08:09Z",
    "encoder": SAYS,
}
SIGHT = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "6")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "6")
AAC = ("-c:a", "aac", "-b:a", "32k")
OPUS = ("-c:a", "libopus", "-b:a", "24k")

# kind: (type, what ffmpeg is told, the ending of the file)
KINDS = {
    "mp4": ("video/mp4", (*SIGHT, *SOUND, *H264, *AAC), "mp4"),
    "mp4 first": (
        "video/mp4",
        (*SIGHT, *SOUND, *H264, *AAC, "-moov_size", "12000"),
        "mp4",
    ),
    "fragmented": (
        "video/mp4",
        (*SIGHT, *SOUND, *H264, *AAC, "-movflags", "frag_keyframe+empty_moov"),
        "mp4",
    ),
    "mov": ("video/mp4", (*SIGHT, *SOUND, *H264, *AAC), "mov"),
    "webm": ("video/webm", (*SIGHT, *SOUND, *VP8, *OPUS), "webm"),
    "live webm": ("video/webm", (*SIGHT, *SOUND, *VP8, *OPUS, "-live", "1"), "webm"),
    "m4a": ("audio/mp4", (*SOUND, *AAC), "m4a"),
    "ogg": ("audio/ogg", (*SOUND, *OPUS), "ogg"),
    "webm voice": ("audio/webm", (*SOUND, *OPUS), "webm"),
}
TYPES = {kind: type_ for kind, (type_, _, _) in KINDS.items()}
LASTS_MS = 2000


def ffmpeg(*words, ending):
    """The file that ffmpeg makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"made.{ending}")
        command = ("ffmpeg", "-nostdin", "-v", "error", *words, str(path))
        subprocess.run(command, check=True, timeout=60)
        return path.read_bytes()


def told(about):
    return [word for item in about.items() for word in ("-metadata", "=".join(item))]


@functools.cache
def made(kind, lasts_s=2, options=()):
    """A short film or voice with what ffmpeg writes of metadata."""
    _, words, ending = KINDS[kind]
    tracks = ["-metadata:s", f"handler_name={SAYS}", "-metadata:s", f"title={SAYS}"]
    about = (*told(ABOUT), *tracks, *options)
    return ffmpeg(*words, *about, "-t", str(lasts_s), ending=ending)


@functools.cache
def talkative(kind):
    """With all that phones and cameras write as well, and something behind it."""
    return PUT_IN.get(kind, lambda data: data)(made(kind))


LARGER = ("-vf", "scale=160:120,noise=alls=40:allf=t", "-crf", "20", "-b:v", "1M")
LOUDER = ("-b:a", "256k")


@functools.cache
def large(kind):
    """The same, of about a megabyte."""
    is_sound = TYPES[kind].startswith("audio/")
    data = made(kind, 40, LOUDER) if is_sound else made(kind, 8, LARGER)
    return PUT_IN.get(kind, lambda data: data)(data)


def converted(data, *words, ending, before=()):
    """One file made of another."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        return ffmpeg(*before, "-i", file.name, *words, ending=ending)


def frames(data):
    """A digest of every frame and all sound, as ffmpeg decodes them."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        command = ("ffmpeg", "-v", "error", "-i", file.name, "-f", "md5", "-")
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        assert done.stderr == b"", done.stderr
        return done.stdout


def probed(data):
    """All that ffprobe tells about it."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        about = ("-show_format", "-show_streams", "-show_chapters", file.name)
        command = ("ffprobe", "-v", "error", *about)
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        return done.stdout.decode()


# --- MP4, by hand --------------------------------------------------------------------


def box(name, content):
    return struct.pack(">I4s", len(content) + 8, name) + content


def boxes(data):
    """(name, content, start) of each in a row."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + length], at
        assert length >= 8
        at += length


def table(name, rows, head=b""):
    return box(name, bytes(4) + head + struct.pack(">I", len(rows)) + b"".join(rows))


def telemetry_track(at, samples, handler=b"meta"):
    """A track of a camera's own, whose samples stand one after the other at `at`."""
    u32 = struct.Struct(">I").pack
    sizes = [u32(len(sample)) for sample in samples]
    starts = [
        u32(at + sum(map(len, samples[:number]))) for number in range(len(samples))
    ]
    tables = (
        box(b"stsd", bytes(4) + u32(1) + box(b"gpmd", bytes(6) + b"\0\1" + SECRET))
        + table(b"stts", [u32(len(samples)) + u32(1000)])
        + table(b"stsc", [u32(1) + u32(1) + u32(1)])
        + table(b"stsz", sizes, head=bytes(4))
        + table(b"stco", starts)
    )
    inside = box(b"gmhd", box(b"gmin", SECRET)) + box(b"stbl", tables)
    head = bytes(12) + u32(9) + bytes(68)
    media = (
        box(b"mdhd", bytes(12) + u32(1000) + u32(2000) + bytes(4))
        + box(b"hdlr", bytes(8) + handler + bytes(12) + SECRET)
        + box(b"minf", inside)
    )
    own = box(b"udta", box(b"name", SECRET)) + box(b"tapt", SECRET)
    return box(b"trak", box(b"tkhd", head) + own + box(b"mdia", media))


TAIL = b"\0\0\0\4JUNK" + SECRET  # no box
SAMPLES = [b"GPS5" + SECRET, b"FACE" + SECRET * 3, b"GPS5" + SECRET]


def phone_boxes():
    return (
        box(b"udta", box(b"\xa9xyz", SECRET) + box(b"GPMF", SECRET))
        + box(b"meta", bytes(4) + box(b"hdlr", bytes(20)) + box(b"ilst", SECRET))
        + box(b"uuid", b"\xbe\x7a\xcf\xcb" + bytes(12) + SECRET)
        + box(b"SDLN", SECRET)
    )


def with_telemetry(data, between=b""):
    """Samples in an mdat of their own, before moov, which knows them."""
    *before, (name, moov, start) = [one for one in boxes(data) if one[0] != b"mfra"]
    assert name == b"moov" and before
    mdat = box(b"mdat", b"".join(SAMPLES))
    extra = box(b"free", SECRET) + box(b"uuid", bytes(16) + SECRET)
    track = telemetry_track(start + len(extra) + 8, SAMPLES)
    moov = box(b"moov", moov + track + phone_boxes())
    return data[:start] + extra + mdat + between + moov + box(b"sefd", SECRET) + TAIL


def with_telemetry_first(data):
    """moov comes first, and what it says of the samples is still to come."""
    _, (_, moov, start), (_, free, _), *_ = boxes(data)
    samples_at = len(data) + 8
    more = telemetry_track(samples_at, SAMPLES) + phone_boxes()
    left = len(free) - len(more)
    assert left > 0
    again = box(b"moov", moov + more) + box(b"free", (SECRET * 400)[:left])
    tail = box(b"mdat", b"".join(SAMPLES)) + TAIL
    return data[:start] + again + data[start + len(again) :] + tail


def with_many_samples(data, samples, *, is_first):
    """As of a drone: in an mdat of their own between others' bytes."""
    _, (_, moov, start), *_ = boxes(data)
    mixed = b"".join(sample + bytes(5) for sample in samples)
    u32 = struct.Struct(">I").pack

    def film(mixed_at, shift):
        starts = [mixed_at]
        for sample in samples[:-1]:
            starts.append(starts[-1] + len(sample) + 5)
        track = telemetry_track(mixed_at, samples)
        old = track[track.index(b"stco") + 12 :][: 4 * len(samples)]
        track = track.replace(old, b"".join(map(u32, starts)))
        return box(b"moov", shifted(moov, shift) + track)

    more = len(film(0, 0)) - len(moov) - 8
    whole = box(b"mdat", mixed)
    rest = data[start + 8 + len(moov) :]
    if is_first:
        return data[:start] + film(len(data) + more + 8, more) + rest + whole
    at = len(data) - len(moov) - 8
    return data[:start] + rest + whole + film(at + 8, -len(moov) - 8)


def shifted(moov, by):
    """With all samples so many bytes later; the tables are of 32 bits."""
    moved, at = bytearray(moov), moov.find(b"stco")
    while at >= 0:
        (count,) = struct.unpack_from(">I", moov, at + 8)
        for place in range(at + 12, at + 12 + 4 * count, 4):
            (old,) = struct.unpack_from(">I", moov, place)
            struct.pack_into(">I", moved, place, old + by)
        at = moov.find(b"stco", at + 12)
    return bytes(moved)


PUT_IN = {
    "mp4": with_telemetry,
    "mov": with_telemetry,
    "mp4 first": with_telemetry_first,
}

# --- The second opinion --------------------------------------------------------------

INSIDE = set(b"moov trak mdia minf stbl edts dinf mvex moof traf".split())
LEAVES = set(
    b"ftyp styp mdat sidx mfra mvhd tkhd mdhd hdlr vmhd smhd elst dref stsd stts ctts"
    b" cslg stss stps stsc stsz stz2 stco co64 mehd trex mfhd tfhd tfdt trun".split()
)


def strangers(data):
    """Names of what should not be in a cleaned video or voice."""
    if data[4:8] == b"ftyp":
        return [*look_at_boxes(data)]
    if data.startswith(b"OggS"):
        return [*look_at_ogg(data)]
    return [*look_at_webm(data)]


def look_at_boxes(data):
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        start = 8
        if length == 1:
            (length,), start = struct.unpack_from(">Q", data, at + 8), 16
        elif length == 0:
            length = len(data) - at
        content = data[at + start : at + length]
        if length < start or at + length > len(data):
            yield f"{name!r} of {length} bytes"
            return
        at += length
        if name in INSIDE:
            yield from look_at_boxes(content)
        elif name == b"free":
            if content.strip(b"\x00"):
                yield "something in a free box"
        elif name not in LEAVES:
            yield f"box {name!r}"
        else:
            yield from look_at_leaf(name, content)
    if data[at:].strip(b"\x00"):
        yield "something behind the last box"


def look_at_leaf(name, content):
    if name in (b"mvhd", b"tkhd", b"mdhd"):
        times = content[4 : 20 if content[0] == 1 else 12]
        if times.strip(b"\x00"):
            yield f"a date in {name!r}"
    if name == b"hdlr" and content[12:].strip(b"\x00"):
        yield "the name of a track"
    if name == b"stsd" and SECRET[:12] in content:
        yield "the name of an encoder"
    if name not in (b"mdat", b"stsd") and SECRET in content:
        yield f"the secret in {name!r}"


WEBM_INSIDE = {0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA0, 0x1A45DFA3}
WEBM_INSIDE |= {0x114D9B74, 0x4DBB, 0x1C53BB6B, 0xBB, 0xB7, 0xE0, 0xE1, 0x55B0, 0x55D0}
WEBM_TEXTS = {0x4282: b"webm", 0x86: None, 0x63A2: None, 0xA3: None, 0xA1: None}
# Of numbers, those that say something about the sender: titles, dates, programs.
WEBM_SAYS = {0x7BA9, 0x4461, 0x4D80, 0x5741, 0x1254C367, 0x1941A469, 0x1043A770}
WEBM_SAYS |= {0x73A4, 0x7384, 0x536E, 0x22B59C, 0x258688, 0xBF, 0x45A3, 0x4487}


def number(data, at, *, keeps_mark):
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    if not keeps_mark:
        value &= (1 << 7 * length) - 1
        if value == (1 << 7 * length) - 1:
            value = None
    return value, at + length


def elements(data):
    """(name, length, start, start of its content), one after the other, flat."""
    at = 0
    while at < len(data):
        start = at
        name, at = number(data, at, keeps_mark=True)
        length, at = number(data, at, keeps_mark=False)
        yield name, length, start, at
        if name not in WEBM_INSIDE:
            at += length or 0


def part_starts(data):
    """Where the parts of a file begin: boxes, elements or pages."""
    if data[4:8] == b"ftyp":
        return {start for _, _, start in boxes(data)}
    if data.startswith(b"OggS"):
        return {at for at in range(len(data)) if data[at : at + 4] == b"OggS"}
    return {start for _, _, start, _ in elements(data)}


def look_at_webm(data):
    for name, length, _, at in elements(data):
        if name in WEBM_INSIDE:
            continue  # what is in it comes next
        if length is None or at + length > len(data):
            yield f"element {name:x} of {length} bytes"
            return
        content = data[at : at + length]
        if name == 0xEC:
            if content.strip(b"\x00"):
                yield "something in a Void"
        elif name in WEBM_SAYS:
            yield f"element {name:x}"
        elif name not in WEBM_TEXTS and length > 8:
            yield f"a long element {name:x}"
        if SECRET in content and name not in (0xA1, 0xA3):
            yield f"the secret in {name:x}"


def look_at_ogg(data):
    at, serial, pages = 0, data[14:18], 0
    while data[at : at + 4] == b"OggS":
        segments = data[at + 27 : at + 27 + data[at + 26]]
        start = at + 27 + len(segments)
        content = data[start : start + sum(segments)]
        if data[at + 14 : at + 18] != serial:
            yield "a page of another stream"
        if pages == 1 and content[:8] != b"OpusTags":
            yield "no comments"
        if content[:8] == b"OpusTags" and content[8:].strip(b"\x00"):
            yield "comments"
        page = data[at : start + len(content)]
        if pages == 1 and slow_checksum(page) != data[at + 22 : at + 26]:
            yield "a wrong checksum"
        at += len(page)
        pages += 1
    if at != len(data):
        yield "a tail"


def slow_checksum(page):
    """As RFC 3533 describes it, bit by bit."""
    value = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x104C11DB7 if value & 1 << 31 else 0)
    return struct.pack("<I", value)


def ogg_page(kind, granule, serial, sequence, *packets):
    """One page with whole packets."""
    segments = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
        for packet in packets
    )
    head = struct.pack("<4sBBqII", b"OggS", 0, kind, granule, serial, sequence)
    page = head + bytes(4) + bytes([len(segments)]) + segments + b"".join(packets)
    return page[:22] + slow_checksum(page) + page[26:]
