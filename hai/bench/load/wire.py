"""What a Socket.IO client says and hears on its WebSocket, as bytes.

Frames are masked with a key of zeros: the server does its part of the work, and we
need not do ours.
"""

import json
from collections.abc import Mapping

NO_MASK = b"\0\0\0\0"
SENT = b'42["hai_sent",'  # how the fact begins that the scenarios count
ACK = b"43"
TEXT_KEY = b'"text":"'
PADDING = "The sea is calm tonight, the tide is full, the moon lies fair upon. " * 2


def handshake(path: str, token: str) -> bytes:
    """The request that opens the socket of a token's user."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Authorization: Bearer {token}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def client_frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + NO_MASK + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + NO_MASK + payload


PONG_FRAME = client_frame(b"3")
CONNECT_FRAME = client_frame(b"40")


def order_frame(ack_id: int, name: str, payload: Mapping[str, object]) -> bytes:
    array = json.dumps([name, payload], separators=(",", ":"))
    return client_frame(f"42{ack_id}{array}".encode())


def send_hai_frame(number: int, room_id: int, tag: str) -> bytes:
    """The hai with this number. `tag` tells one run from another."""
    return client_frame(
        f'42{number}["send_hai",{{"room_id":{room_id},"client_id":"{tag}{number}",'
        f'"text":"{number} {PADDING}"}}]'.encode()
    )


def number_of(fact: bytes) -> int:
    """The number of the hai that a `hai_sent` tells."""
    start = fact.index(TEXT_KEY) + len(TEXT_KEY)
    return int(fact[start : fact.index(b" ", start)])


def next_frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and ends, if it is whole."""
    available = len(data) - at
    if available < 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        start += width
        if available < 2 + width:
            return None
        size = int.from_bytes(data[at + 2 : start], "big")
    return (start, start + size) if start + size <= len(data) else None
