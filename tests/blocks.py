"""Files made of the smallest blocks that their formats have: hostile if there are many.

With a few they are files like others, whole to their end; a server that works on each
block for a microsecond, and does nothing else meanwhile, has stopped for everybody.
"""

import struct
from functools import cache

from tests import videos
from tests.metadata import riff_chunk
from tests.pictures import chunk, picture
from tests.videos import box, made, ogg_page, table

TINY_FRAME = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
TINY_TIMING = b"!\xf9\4\0\2\0\0\0"
SOUND = ogg_page(2, 0, 1, 0, b"OpusHead\1" + bytes(10))
SOUND += ogg_page(0, 0, 1, 1, b"OpusTags" + bytes(8))


def gif(blocks):
    one = picture("GIF")
    return one[:-1] + blocks + b";"


def jpeg(blocks):
    one = picture("JPEG")
    return one[:20] + blocks + one[20:]


def png(blocks):
    one = picture()
    return one[:33] + blocks + one[33:]


def webp(blocks):
    size = struct.pack("<I", 39)[:3] + struct.pack("<I", 29)[:3]
    body = riff_chunk(b"VP8X", bytes(4) + size) + blocks + picture("WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def mp4(blocks):
    return made("fragmented") + blocks


def webm(blocks):
    return made("live webm") + blocks


def ogg(pages):
    return SOUND + pages + ogg_page(4, 960_000, 1, 2, b"end")


# What it is made of -> (a whole file around such blocks, one block).
KINDS = {
    "frames of a GIF": (gif, TINY_FRAME),
    "timed frames of a GIF": (gif, TINY_TIMING + TINY_FRAME),
    "comments of a GIF": (gif, b"!\xfe\0"),
    "loops of a GIF": (gif, b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"),
    "comments of a JPEG": (jpeg, b"\xff\xfe\0\2"),
    "comments of one byte": (jpeg, b"\xff\xfe\0\3x"),
    "tables of a JPEG": (jpeg, b"\xff\xdb\0\2"),
    "previews of a JPEG": (jpeg, b"\xff\xe0\0\2"),
    "texts of a PNG": (png, chunk(b"teXt", b"")),
    "pixels of a PNG": (png, chunk(b"IDAT", b"")),
    "Exif of a PNG": (png, chunk(b"eXIf", b"")),
    "unknown parts of a WebP": (webp, riff_chunk(b"JUNK", b"")),
    "kept parts of a WebP": (webp, riff_chunk(b"ALPH", b"x")),
    "frames of a WebP": (webp, riff_chunk(b"ANMF", bytes(16))),
    "boxes of an MP4": (mp4, box(b"udta", b"")),
    "fragments of an MP4": (mp4, box(b"moof", b"")),
    "samples of an MP4": (mp4, box(b"mdat", b"")),
    "Voids of a WebM": (webm, b"\xec\x80"),
    "tags of a WebM": (webm, b"\xed\x82ok"),
    "blocks of a WebM": (webm, b"\xa3\x84\x81\0\0\x80"),
    "long lengths in a WebM": (webm, b"\xa3\x40\x04\x81\0\0\x80"),
    "pages of an Ogg": (ogg, ogg_page(0, 960, 1, 2, b"s")),
    "strange pages of an Ogg": (ogg, ogg_page(0, 960, 2, 2, b"s")),
    "empty pages of an Ogg": (ogg, ogg_page(0, 960, 1, 2)),
}


def made_of(kind, count):
    """A whole file with so many of these blocks."""
    around, block = KINDS[kind]
    return around(block * count)


def gif_of_sub_blocks(count):
    """One frame, whose pixels come byte by byte."""
    return gif(b",\0\0\0\0\1\0\1\0\0\2" + b"\1D" * count + b"\0")


@cache
def film_of_holes(count):
    """Of a track that goes, and has a sample of one byte every third."""
    starts = [struct.pack(">I", 1_000 + 3 * number) for number in range(count)]
    tables = (
        box(b"stsz", struct.pack(">III", 0, 1, count))
        + table(b"stsc", [struct.pack(">III", 1, 1, 1)])
        + table(b"stco", starts)
    )
    kind = box(b"hdlr", bytes(8) + b"meta" + bytes(12))
    media = box(b"mdia", kind + box(b"minf", box(b"stbl", tables)))
    parts = {name: content for name, content, _ in videos.boxes(made("mp4"))}
    header = box(b"moov", parts[b"moov"] + box(b"trak", media))
    return made("mp4")[:32] + box(b"mdat", b"\xff" * (4 * count + 2_000)) + header
