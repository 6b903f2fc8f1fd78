"""Makes thumbnails: a program of its own, `python -m hai.core.pictures.thumbnails`.

Decoding is where hostile pictures strike, so it happens here and not in the
server: this process may use little memory and little time, can open no file and no
socket and begin no process (confinement.py), and is no loss when it dies. It reads
pictures from its standard input and writes thumbnails to its standard output, one after
the other, in the form that `ask` and `answer` below describe; thumbnail_child.py is the
other end.

A thumbnail is the first frame, upright, in sRGB, without any metadata. With it
comes a blur: the same picture 16 pixels large, to show until the real one is
there. An avatar is made in the same way, from the square in the middle and on
white, without a blur.
"""

import base64
import importlib
import io
import os
import resource
import signal
import struct
import sys
import warnings
from typing import Any, BinaryIO

from hai.core.pictures import confinement

SIDE_PX = 640  # sharp at twice the density in a 320 px column
QUALITY = 80
AVATAR_SIDE_PX = 256  # sharp at four times the density in a head of 64 px
BLUR_SIDE_PX = 16
BLUR_QUALITY = 20
MAX_BLUR_CHARS = 400
MAX_PIXELS = 89_000_000  # where Pillow begins to suspect a bomb
MAX_PICTURE_BYTES = 100 * 1024 * 1024  # it is held, beside what it decodes to

MEMORY_BYTES = 512 * 1024 * 1024  # of addresses: 89 megapixels take 380
CPU_S = 15  # for one picture; a photograph takes 0.1 s, on a small board 1 s
FILES = 64
NICENESS = 10  # people's hais go first

PILLOW = (
    *("PngImagePlugin", "JpegImagePlugin", "GifImagePlugin", "WebPImagePlugin"),
    *("BmpImagePlugin", "PpmImagePlugin"),  # before anything is saved
    "MpoImagePlugin",  # for JPEGs that say that they have more than one picture
    *("TiffImagePlugin", "ImageCms"),  # for EXIF and profiles
    *("ImageColor", "ImageFilter", "ImageOps", "ImagePalette"),
)
FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
}
TYPE = "image/webp"  # of thumbnails
READY = b"R"
# type (padded with zeros), whether an avatar is wanted, length; the bytes follow
QUESTION = struct.Struct(">12s?Q")
ANSWER = struct.Struct(
    ">HHHI"
)  # width, height, lengths of blur and bytes, which follow


def ask(type_: str, byte_count: int, *, is_avatar: bool = False) -> bytes:
    """What a picture is announced with."""
    return QUESTION.pack(type_.encode(), is_avatar, byte_count)


def answer(size: tuple[int, int], blur: str, thumbnail: bytes) -> bytes:
    """A thumbnail; one of no size says that there is none."""
    return ANSWER.pack(*size, len(blur), len(thumbnail)) + blur.encode() + thumbnail


NONE = answer((0, 0), "", b"")


def make(type_: str, picture: bytes) -> bytes:
    """The answer for one picture. Raises whatever Pillow finds wrong."""
    image = _open(type_, picture)
    if image is None:
        return NONE
    image.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))  # JPEGs decode small at once
    image = _plain(image)
    image.thumbnail((SIDE_PX, SIDE_PX), reducing_gap=2.0)
    image = _in_srgb(_upright(image, type_))
    return answer(image.size, _blur(image), _encode(image, QUALITY))


def make_avatar(type_: str, picture: bytes) -> bytes:
    """The same for the square in its middle, never made larger than it is."""
    image = _open(type_, picture)
    if image is None:
        return NONE
    image.draft("RGB", (2 * AVATAR_SIDE_PX, 2 * AVATAR_SIDE_PX))
    image = _upright(_plain(image), type_)
    shorter = min(image.size)
    left, top = (image.width - shorter) // 2, (image.height - shorter) // 2
    side = min(AVATAR_SIDE_PX, shorter)
    box = (left, top, left + shorter, top + shorter)
    image = _in_srgb(image.resize((side, side), box=box, reducing_gap=2.0))
    return answer(image.size, "", _encode(_on_white(image), QUALITY))


def _open(type_: str, picture: bytes) -> Any:
    """Not decoded yet; None when it has too many pixels for that."""
    pillow = importlib.import_module("PIL.Image")
    image = pillow.open(io.BytesIO(picture), formats=[FORMATS[type_]])
    return None if image.width * image.height > MAX_PIXELS else image


def _upright(image: Any, type_: str) -> Any:
    if type_ != "image/webp":  # whose orientation browsers do not obey
        importlib.import_module("PIL.ImageOps").exif_transpose(image, in_place=True)
    return image


def _on_white(image: Any) -> Any:
    """Behind an avatar stands a letter, which must not shine through."""
    if image.mode != "RGBA":
        return image
    ground = importlib.import_module("PIL.Image").new("RGB", image.size, "white")
    ground.paste(image, mask=image)
    return ground


def _plain(image: Any) -> Any:
    """With eight bits for each colour and no palette, so that it can be resized."""
    if image.mode.startswith("I"):  # 16 bits: Pillow would clip instead of scale
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA") if image.mode != "RGBA" else image
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _in_srgb(image: Any) -> Any:
    """Wide colours would look pale where the profile is gone."""
    profile = image.info.get("icc_profile")
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        cms = importlib.import_module("PIL.ImageCms")
        try:
            return cms.profileToProfile(
                image, io.BytesIO(profile), cms.createProfile("sRGB"), outputMode=mode
            )
        except (cms.PyCMSError, OSError, ValueError):
            pass  # a broken profile: as if there were none
    return image.convert(mode)


def _blur(image: Any) -> str:
    """A data: URL; empty when it would be too long."""
    small = image.copy()
    small.thumbnail((BLUR_SIDE_PX, BLUR_SIDE_PX))
    code = base64.b64encode(_encode(small, BLUR_QUALITY)).decode()
    blur = f"data:{TYPE};base64,{code}"
    return blur if len(blur) <= MAX_BLUR_CHARS else ""


def _encode(image: Any, quality: int) -> bytes:
    out = io.BytesIO()
    image.info.clear()  # or its profile is written again
    image.save(out, "WEBP", quality=quality)
    return out.getvalue()


def limit_process() -> None:
    """Bound what this process may take, whatever a picture makes of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's, not ours
    os.nice(NICENESS)


def limit_next_picture() -> None:
    """The processor time counts from the process's beginning: allow some more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def load_pillow() -> None:
    """Only what the four formats take, 60 ms instead of 120; but all of it, also what
    Pillow imports late: afterwards no file can be opened."""
    for name in (*(f"PIL.{name}" for name in PILLOW), "copy"):
        importlib.import_module(name)
    warnings.simplefilter(
        "error", importlib.import_module("PIL.Image").DecompressionBombWarning
    )


def serve(pictures: BinaryIO, thumbnails: BinaryIO) -> None:
    """Until there are no more pictures."""
    while start := pictures.read(QUESTION.size):
        type_, is_avatar, byte_count = QUESTION.unpack(start)
        picture = pictures.read(byte_count)
        if len(picture) < byte_count:
            return  # the server has gone
        limit_next_picture()
        try:
            make_one = make_avatar if is_avatar else make
            made = make_one(type_.rstrip(b"\x00").decode(), picture)
        except Exception:  # of any kind: there is no thumbnail then
            made = NONE
        thumbnails.write(made)
        thumbnails.flush()


def main() -> None:
    load_pillow()
    limit_process()
    confinement.confine_decoder()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
