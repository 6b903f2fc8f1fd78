"""A page as bytes that can be sent again, with holes for what differs in each answer.

A page is drawn once with marks in place of the holes and is cut at them. Marks are
random and new in each process, so nothing that anybody writes can be one.

Compressed, it is joined from pieces that were compressed when first asked for (2 ms of
CPU for 60 KB, where joining takes 5 us: benchmark `pages`). That is safe only if no
secret shares a window of deflate with what an attacker chooses: otherwise the length of
the answer tells, guess by guess, whether the two are alike (the BREACH attack). Of a
room's page an attacker may choose hais, who can be in the room; of the address only
numbers are in the page. What is the reader's own (their rooms with names and unread
counts, who they are) stands before and after what is the room's, and at both borders
the window is emptied (Z_FULL_FLUSH). A hole is a stored block, which refers to nothing,
and to which nothing refers. So nobody can guess at the reader's rooms by writing hais;
and what is in the room's own window, its members may read anyway. Where a query and
private content are in one page, nothing is compressed: see search.py.
"""

import secrets
import struct
import zlib
from typing import NamedTuple

ZIP_LEVEL = 5  # 6 to 9 take up to twice as long for 2 % less
CLIENT_ID_CHARS = 20  # of ids.new_client_id: its hole is as long in every answer

# For the template: where the reader's own part ends, and the two holes.
BORDER = f"<!--{secrets.token_urlsafe()}-->"
CLIENT_ID = secrets.token_urlsafe(CLIENT_ID_CHARS)[:CLIENT_ID_CHARS]
REV = secrets.randbelow(2**52) + 2**52  # its digits, as JSON has them

GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
GZIP_END = b"\x03\x00"  # an empty last block
NO_UTF8 = b"\xff" * CLIENT_ID_CHARS  # in a hole's place: no text is like it
CRC_POLYNOMIAL = 0xEDB88320


class KeptPage:
    """One page for one reader. Holes: a client_id, and the rev it is of."""

    __slots__ = ("_zipped", "byte_count", "texts")

    def __init__(self, drawn: bytes) -> None:
        mine, room = _cut(drawn, BORDER.encode())
        before, room = _cut(room, CLIENT_ID.encode())
        after, rest = _cut(room, str(REV).encode())
        self.texts = (mine, before, after, rest)
        self.byte_count = len(drawn) * 3 // 2  # with its compressed form
        self._zipped: ZippedPage | None = None

    def text(self, client_id: str, rev: int) -> bytes:
        mine, before, after, rest = self.texts
        return b"".join(
            (mine, before, client_id.encode(), after, str(rev).encode(), rest)
        )

    def zipped(self, client_id: str, rev: int) -> bytes:
        """The same as gzip (RFC 1952)."""
        if self._zipped is None:
            self._zipped = ZippedPage.of(*self.texts)
        return self._zipped.joined(client_id.encode(), str(rev).encode())


def _cut(text: bytes, mark: bytes) -> tuple[bytes, bytes]:
    """What stands before and after a mark that is there once, or ValueError."""
    before, after = text.split(mark)
    return before, after


class Piece(NamedTuple):
    """Compressed text. crc: of the text; shifts: see `_shifts`."""

    deflated: bytes
    byte_count: int
    crc: int
    shifts: tuple[int, ...]


class ZippedPage(NamedTuple):
    """What stands before, between and after the holes."""

    first: Piece
    after: Piece
    rest: Piece

    @classmethod
    def of(cls, mine: bytes, before: bytes, after: bytes, rest: bytes) -> "ZippedPage":
        deflate = zlib.compressobj(ZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated = deflate.compress(mine) + deflate.flush(zlib.Z_FULL_FLUSH)
        deflated += deflate.compress(before) + deflate.flush(zlib.Z_SYNC_FLUSH)
        first = _piece(deflated, mine + before)
        # What is in the hole is in the window, so that distances across it are right.
        deflate.compress(NO_UTF8)
        deflate.flush(zlib.Z_SYNC_FLUSH)
        deflated = deflate.compress(after) + deflate.flush(zlib.Z_FULL_FLUSH)
        second = _piece(deflated, after)
        deflated = deflate.compress(rest) + deflate.flush(zlib.Z_FULL_FLUSH)
        return cls(first, second, _piece(deflated, rest))

    def joined(self, client_id: bytes, rev: bytes) -> bytes:
        crc = zlib.crc32(client_id, self.first.crc)
        crc = _shifted(crc, self.after.shifts) ^ self.after.crc
        crc = zlib.crc32(rev, crc)
        crc = _shifted(crc, self.rest.shifts) ^ self.rest.crc
        byte_count = sum(piece.byte_count for piece in self)
        byte_count += len(client_id) + len(rev)
        return b"".join(
            (
                GZIP_HEAD,
                self.first.deflated,
                _stored(client_id),
                self.after.deflated,
                _stored(rev),
                self.rest.deflated,
                GZIP_END,
                struct.pack("<II", crc, byte_count),
            )
        )


def _piece(deflated: bytes, text: bytes) -> Piece:
    return Piece(deflated, len(text), zlib.crc32(text), _shifts(len(text)))


def _stored(text: bytes) -> bytes:
    """A block that is not compressed (RFC 1951, 3.2.4), at a byte's edge."""
    return struct.pack("<BHH", 0, len(text), len(text) ^ 0xFFFF) + text


# --- The checksum of two texts, from theirs ------------------------------------------
# As zlib's own crc32_combine, which Python does not have; the checksum of 60 KB would
# take 50 us in each answer. A CRC is a polynomial modulo another one, its highest power
# in the lowest bit: to put n bytes after a text multiplies it by x to the power of 8 n.


def _shifts(byte_count: int) -> tuple[int, ...]:
    """What each bit of a checksum becomes when so many bytes come after it."""
    power, factor = 1 << 31, 1 << 23  # 1, and x to the power of 8
    while byte_count:
        if byte_count & 1:
            power = _product(power, factor)
        factor = _product(factor, factor)
        byte_count >>= 1
    shifts = [power]  # of the highest bit, which is 1; the next is x, and so on
    for _ in range(31):
        shifts.append(_times_x(shifts[-1]))
    return tuple(reversed(shifts))


def _shifted(crc: int, shifts: tuple[int, ...]) -> int:
    found = 0
    while crc:
        low = crc & -crc
        found ^= shifts[low.bit_length() - 1]
        crc ^= low
    return found


def _product(one: int, other: int) -> int:
    product, bit = 0, 1 << 31
    while one:
        if one & bit:
            product ^= other
            one ^= bit
        bit >>= 1
        other = _times_x(other)
    return product


def _times_x(crc: int) -> int:
    return (crc >> 1) ^ (CRC_POLYNOMIAL if crc & 1 else 0)
