"""Pictures to be served or uploaded: as long as wanted, known to the last byte.

They are PNG files by their structure, which is all that the server reads; what
stands where the pixels would be is noise. Thumbnails are put beside them as if a
child had made them.
"""

import asyncio
import random
import struct
import zlib
from collections.abc import Iterator

from hai import config, ids
from hai.app import open_core
from hai.bench.community import Community
from hai.core import orders
from hai.core.context import Core
from hai.core.identity import sessions
from hai.core.identity.sessions import Identity
from hai.core.pictures.arriving import receiver_to, sink_for
from hai.core.pictures.thumbnails import TYPE
from hai.storage import thumbnails
from hai.storage.writer import Transaction

PIECE_BYTES = 256 * 1024
SIDE_PX = 9  # of what the file says it is
SIZE_PX = (640, 480)  # of its thumbnail


def thumbnail(number: int, byte_count: int) -> bytes:
    return random.Random(number).randbytes(byte_count)


def png(byte_count: int) -> Iterator[bytes]:
    """The file in pieces, so that none needs to be held."""
    size = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size)
    tail = _chunk(b"IEND", b"")
    left = byte_count - len(head) - len(tail) - 12
    yield head + struct.pack(">I", left) + b"IDAT"
    noise, checksum = random.Random(0).randbytes(PIECE_BYTES), zlib.crc32(b"IDAT")
    while left:
        piece = noise[:left]
        left -= len(piece)
        checksum = zlib.crc32(piece, checksum)
        yield piece
    yield struct.pack(">I", checksum) + tail


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def fill(
    community: Community, *, small: int, thumbnail_bytes: int, large_bytes: int
) -> tuple[list[int], int]:
    """Send them as person 0 in the first pair's room: so many with a thumbnail, and
    a large one. Returns their ids."""
    return asyncio.run(_fill(community, small, thumbnail_bytes, large_bytes))


async def _fill(
    community: Community, small: int, thumbnail_bytes: int, large_bytes: int
) -> tuple[list[int], int]:
    settings = config.load({"data": str(community.folder)}, {})
    async with open_core(settings) as core:
        who = sessions.find(core, community.tokens[0])
        assert who is not None
        room_id = community.pair_room_ids[0]
        found = []
        for number in range(small):  # no two of them have the same bytes
            picture_id = await _send(core, who, room_id, 1000 + number)
            content = thumbnail(number, thumbnail_bytes)
            await core.db.write(_add_thumbnail, picture_id, content)
            found.append(picture_id)
        return found, await _send(core, who, room_id, large_bytes)


async def _send(core: Core, who: Identity, room_id: int, byte_count: int) -> int:
    upload = receiver_to(sink_for(core, who, room_id, "noise.png"))
    for piece in png(byte_count):
        await upload.feed(piece)
    picture_id = int((await upload.finish())["id"])
    payload = {"room_id": room_id, "picture_ids": [picture_id], "text": ""}
    await orders.run(
        core, who, "send_hai", payload | {"client_id": ids.new_client_id()}
    )
    return picture_id


def _add_thumbnail(tx: Transaction, picture_id: int, content: bytes) -> None:
    """(writer thread)"""
    thumbnails.mark_tried(tx, picture_id, None)
    thumbnails.insert(tx, picture_id, TYPE, SIZE_PX, content)
