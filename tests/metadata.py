"""Pictures that say too much, and a second opinion on what is left of them.

`strangers` reads a whole file with none of the server's code: it knows what may
be in a cleaned picture, byte for byte, and names everything else.
"""

import contextlib
import functools
import io
import struct
import warnings

from PIL import Image, ImageCms, PngImagePlugin

from tests.pictures import chunk, picture

SECRET = b"48.2082N 16.3738E Ada's Camera 0815"
PIECES = (b"48.2082N", b"16.3738E", b"Ada's Camera", b"Camera 0815")  # of SECRET
XMP = b"<x:xmpmeta><dc:creator>" + SECRET + b"</dc:creator></x:xmpmeta>"
TAIL = b"\xff\xd8\xff\xe1\x00\x40Exif\x00\x00" + SECRET * 2


def exif(orientation=1):
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = SECRET.decode()
    block.get_ifd(0x8825)[1] = "N"
    block.get_ifd(0x8825)[29] = SECRET.decode()
    return block.tobytes()


@functools.cache
def profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@functools.cache
def talkative(kind, orientation=1, **options):
    """A picture with every kind of metadata that its format has, and a tail."""
    return TALKATIVE[kind](orientation, **options) + TAIL


def jpeg(orientation, **options):
    about = {"exif": exif(orientation), "icc_profile": profile(), "comment": SECRET}
    data = picture("JPEG", **about, **options)
    head, rest = data[:20], data[20:]  # start and JFIF
    said = [
        (0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + XMP),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + SECRET),
        (0xE2, b"MPF\x00" + SECRET),
        (0xE0, b"JFXX\x00\x10" + SECRET),
        (0xEF, SECRET),
    ]
    return head + b"".join(segment(*one) for one in said) + SECRET + rest


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def png(orientation, **options):
    said = PngImagePlugin.PngInfo()
    said.add_text("Author", SECRET.decode())
    said.add_text("Comment", SECRET.decode(), zip=True)
    said.add_itxt("XML:com.adobe.xmp", XMP.decode())
    said.add(b"gAMA", (45455).to_bytes(4, "big"))
    about = {"exif": exif(orientation), "icc_profile": profile(), "pnginfo": said}
    data = picture("PNG", **about, **options)
    extra = chunk(b"tIME", b"\x07\xea\x01\x02\x03\x04\x05") + chunk(b"prVt", SECRET)
    return data[:-12] + extra + data[-12:]


def gif(orientation, **options):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    about = {"save_all": True, "append_images": frames[1:], "loop": 3}
    frames[0].save(out, "GIF", comment=SECRET, duration=50, **about)
    xmp = b"!\xff\x0bXMP DataXMP" + XMP + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    text = b"!\x01\x0c" + bytes(12) + b"\x05" + SECRET[:5] + b"\x00"
    own = b"!\xff\x0bADAAPPS 1.0\x05" + SECRET[:5] + b"\x00"
    return out.getvalue()[:-1] + xmp + text + own + b";"


def webp(orientation, frame_count=1, **options):
    frames = [Image.new("RGBA", (40, 30), (9 * n, 99, 9, 200)) for n in range(9)]
    about = {"exif": exif(orientation), "icc_profile": profile(), "xmp": XMP}
    if frame_count > 1:
        about |= {"save_all": True, "append_images": frames[1:frame_count]}
    out = io.BytesIO()
    frames[0].save(out, "WEBP", **about, **options)
    body = out.getvalue()[12:] + riff_chunk(b"ADA ", SECRET)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def riff_chunk(name, content):
    padding = bytes(len(content) & 1)
    return struct.pack("<4sI", name, len(content)) + content + padding


TALKATIVE = {"JPEG": jpeg, "PNG": png, "GIF": gif, "WEBP": webp}


def pixels(data):
    """Every frame, as it is shown (without turning it)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # our second picture in a JPEG is none
        image = Image.open(io.BytesIO(data))
    with image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(image.convert("RGBA").tobytes())
        return image.size, image.info.get("icc_profile"), frames


# --- The second opinion --------------------------------------------------------------

ORIENTATIONS = [
    b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"
    + bytes([orientation, 0, 0, 0, 0, 0, 0])
    for orientation in range(2, 9)
]


def strangers(data):
    """Names of what should not be in a cleaned picture."""
    for magic, look in LOOKS.items():
        if data.startswith(magic):
            return [*look(data)]
    return ["no picture"]


def tells(content):
    return any(piece in content for piece in PIECES)


def told(data):
    """What Pillow reads of a picture besides its pixels and its colour profile."""
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            about = {n: v for n, v in image.info.items() if n != "icc_profile"}
            words = [about, dict(image.getexif()), getattr(image, "text", {})]
            return repr(words).encode()
    return b""


def look_at_jpeg(data):
    at, names = 2, {0xC4: "DHT", 0xCC: "DAC", 0xDB: "DQT", 0xDD: "DRI", 0xDC: "DNL"}
    while data[at : at + 2] != b"\xff\xd9":
        if data[at] != 0xFF or at + 4 > len(data):
            yield f"{data[at : at + 20]!r} between segments"
            return
        marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        content = data[at + 4 : at + 2 + length]
        if marker not in names and not is_known_segment(marker, content):
            yield f"segment {marker:x} {content[:30]!r}"
        at += 2 + length
        if tells(content) and marker not in (0xE2, 0xDB, 0xC4):
            yield "the secret"
        if marker == 0xDA:
            while data[at] != 0xFF or data[at + 1] in b"\x00\xff" + bytes(
                range(0xD0, 0xD8)
            ):
                at += 1
    if at + 2 != len(data):
        yield "a tail"


def is_known_segment(marker, content):
    if marker in (0xDA, 0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB):
        return len(content) <= 6 + 3 * 255
    return {
        0xE0: len(content) == 14
        and content[:5] == b"JFIF\0"
        and content[12:] == b"\0\0",
        0xE1: content[:6] == b"Exif\0\0" and content[6:] in ORIENTATIONS,
        0xE2: content.startswith(b"ICC_PROFILE\x00"),
        0xEE: len(content) == 12 and content.startswith(b"Adobe"),
    }.get(marker, False)


def look_at_png(data):
    known = b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB cICP iCCP acTL fcTL fdAT"
    known = [*known.split(), b"mDCV", b"mDCv", b"cLLI", b"cLLi"]
    at, name = 8, b""
    while at < len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        if name not in known and not (name == b"eXIf" and content in ORIENTATIONS):
            yield f"chunk {name!r}"
        if name not in (b"IDAT", b"fdAT", b"iCCP") and tells(content):
            yield "the secret"
        at += 12 + length
    if at != len(data):
        yield "a tail"


def look_at_gif(data):
    at = 13 + table_bytes(data[10])
    while data[at : at + 1] != b";":
        if data[at : at + 1] == b",":
            at += 11 + table_bytes(data[at + 9])
        elif data[at : at + 3] == b"!\xf9\x04" and data[at + 7] == 0:
            at += 7
        elif data[at + 3 : at + 14] in (b"NETSCAPE2.0", b"ANIMEXTS1.0"):
            if data[at + 14 : at + 16] != b"\x03\x01" or data[at + 18] != 0:
                yield "a loop with something in it"
            at += 18
        elif data[at : at + 14] == b"!\xff\x0bICCRGBG1012":
            at += 14
        else:
            yield f"block {data[at : at + 20]!r}"
            return
        while data[at]:
            at += 1 + data[at]
        at += 1
    if at + 1 != len(data):
        yield "a tail"


def table_bytes(flags):
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def look_at_webp(data):
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 != len(data):
        yield f"a length of {length} in {len(data)} bytes"
    names = []
    for name, content in riff_chunks(data[12:]):
        names.append(name)
        if name == b"ANMF":
            yield from look_at_frame(content)
        elif name == b"EXIF" and content not in ORIENTATIONS:
            yield "Exif"
        elif name in (b"VP8X", b"EXIF", b"ANIM") and tells(content):
            yield "the secret"
    known = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF"}
    yield from (f"chunk {name!r}" for name in set(names) - known)
    flags = data[20] if names[0] == b"VP8X" else 0
    if flags & 0xC5 or bool(flags & 8) != (b"EXIF" in names):
        yield f"flags {flags:x}"


def look_at_frame(content):
    for name, part in riff_chunks(content[16:]):
        if name not in (b"VP8 ", b"VP8L", b"ALPH") and part.strip(b"\x00"):
            yield f"chunk {name!r} in a frame"


def riff_chunks(data):
    at = 0
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
    if data[at:].strip(b"\x00"):
        yield b"rest", data[at:]


LOOKS = {
    b"\xff\xd8": look_at_jpeg,
    b"\x89PNG": look_at_png,
    b"GIF8": look_at_gif,
    b"RIFF": look_at_webp,
}
