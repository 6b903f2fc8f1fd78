"""The one thing of Exif that a picture needs: which way up it is shown."""

import struct

PREFIX = b"Exif\x00\x00"  # in JPEG always, in WebP sometimes, in PNG never
TAG = 0x0112
UPRIGHT = 1
TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height
MAX_TAGS = 100  # in the first directory; cameras write about twelve


def orientation_of(block: bytes) -> int:
    """1 to 8; 1 where the block says nothing that can be read."""
    tiff = block.removeprefix(PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * min(count, MAX_TAGS), 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, at)
            if tag == TAG:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass  # a broken Exif block is no reason to refuse the picture
    return UPRIGHT


def essence(block: bytes) -> bytes:
    """A block that says the same of the orientation, and nothing else."""
    return only_orientation(orientation_of(block))


def only_orientation(orientation: int) -> bytes:
    """The smallest Exif block that says it (without PREFIX)."""
    entry = struct.pack(">HHIHH", TAG, 3, 1, orientation, 0)
    return b"MM\x00*\x00\x00\x00\x08" + b"\x00\x01" + entry + bytes(4)
