"""What is stored of a picture and must be otherwise in the end.

Only at its end do some formats say how long they are, or what is in them that
should not be. So chunks that are stored already are overwritten, before anybody
can see the picture.
"""

import hashlib
from collections import defaultdict

from hai.core.context import Core
from hai.core.pictures.formats.walk import PART, Edit
from hai.core.turns import Work
from hai.storage import blobs

HASHED_CHUNKS = 8  # read at once


def by_chunk(edits: list[Edit]) -> Work[dict[int, list[Edit]]]:
    """Chunk number -> its edits, which begin where the chunk does."""
    found: dict[int, list[Edit]] = defaultdict(list)
    for number, edit in enumerate(edits):
        if not number % PART:
            yield None
        _share_out(edit, found)
    return found


def _share_out(edit: Edit, found: dict[int, list[Edit]]) -> None:
    start, length, data = edit
    done = 0
    while done < length:
        number, at = divmod(start + done, blobs.CHUNK_BYTES)
        count = min(length - done, blobs.CHUNK_BYTES - at)
        found[number].append(Edit(at, count, data[done : done + count]))
        done += count


def apply(content: bytearray, edits: list[Edit]) -> Work[None]:
    """One chunk. It keeps its length, whatever is asked for."""
    for number, (start, length, data) in enumerate(edits):
        if not number % PART:
            yield None
        end = min(start + length, len(content))
        if start < end:
            content[start:end] = (data or bytes(length))[: end - start]


async def apply_stored(
    core: Core, user_id: int, picture_id: int, edits: dict[int, list[Edit]]
) -> bool:
    """Of a user's picture. Returns whether anything had to be changed."""
    is_changed = False
    for number in sorted(edits):
        chunk = await core.db.read(blobs.read_chunk, picture_id, number)
        content = bytearray(chunk or b"")
        await core.turns.run(user_id, apply(content, edits[number]))
        data = bytes(content)
        if data != chunk:
            is_changed = True
            await core.db.write_chunk(
                blobs.overwrite, picture_id, number, data, chunk_bytes=len(data)
            )
    return is_changed


async def digest_of(core: Core, picture_id: int, chunk_count: int) -> "hashlib._Hash":
    """SHA-256 of the chunks as they are stored, made off the loop and in slices."""
    digest = hashlib.sha256()
    for start in range(0, chunk_count, HASHED_CHUNKS):
        numbers = range(start, min(start + HASHED_CHUNKS, chunk_count))
        await core.db.read(_hash_chunks, digest, picture_id, numbers)
    return digest


def _hash_chunks(digest: "hashlib._Hash", picture_id: int, numbers: range) -> None:
    """(reader thread)"""
    for number in numbers:
        digest.update(blobs.read_chunk(picture_id, number) or b"")
