"""Pictures for seeded hais: small PNG files of skies, made without a library."""

import random
import struct
import zlib


def make_png(width: int, height: int, chance: random.Random) -> bytes:
    """Draw a sky: one colour above fading into another below, 1 KiB."""
    top, bottom = ([chance.randrange(256) for _ in range(3)] for _ in range(2))
    lines = []
    for y in range(height):
        part = y / height
        colour = bytes(
            int(a + (b - a) * part) for a, b in zip(top, bottom, strict=True)
        )
        lines.append(b"\0" + colour * width)
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(lines), 9)
    chunks = ((b"IHDR", size), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    )
