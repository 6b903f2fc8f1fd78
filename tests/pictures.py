"""Pictures for tests: real ones, drawn by Pillow, and big ones made by hand."""

import functools
import io
import struct
import zlib

from PIL import Image

TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}


@functools.cache
def picture(kind="PNG", width=40, height=30, **options):
    """The bytes of a small real picture."""
    image = Image.radial_gradient("L").resize((width, height)).convert("RGB")
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def animated(kind, size=(20, 10)):
    """Three frames."""
    frames = [Image.new("RGB", size, colour) for colour in ("red", "blue", "lime")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def turned_jpeg(orientation):
    """A JPEG of 40x30 whose camera was held on its side."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture("JPEG", exif=exif.tobytes())


def big_png(length):
    """A well-formed PNG file of exactly `length` bytes (its pixels are nonsense)."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)
    )
    tail = chunk(b"IEND", b"")
    filler = (b"hai" * 87382)[: 256 * 1024 - 1]
    room = length - len(head) - len(tail) - 12
    return head + chunk(b"IDAT", (filler * (room // len(filler) + 1))[:room]) + tail


def chunk(name, data):
    crc = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def file(data, name="sea.png", type_="image/png", field="picture"):
    """One entry of `client.post(files=[...])`."""
    return (field, name, type_, data)
