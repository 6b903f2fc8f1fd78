"""WebSocket frames (RFC 6455): their bytes, close codes and opcodes."""

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
CONTINUATION, FIN = 0x00, 0x80

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_CODE, LOST = 1000, 1001, 1002, 1005, 1006
BAD_TEXT, POLICY, TOO_BIG, INTERNAL_ERROR = 1007, 1008, 1009, 1011
RESTART, TRY_LATER = 1012, 1013


class ProtocolViolation(Exception):
    """The other side broke the protocol; `code` goes into the close frame."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """One unmasked, unfragmented frame."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(code.to_bytes(2, "big") + reason.encode()[:120], CLOSE)


def unmask(data: bytes | bytearray, key: bytes | bytearray, size: int) -> bytes:
    """XOR with the repeated key, as one big number: 0.5 us for 200 bytes."""
    pad = (bytes(key) * (size // 4 + 1))[:size]
    number = int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")
    return number.to_bytes(size, "little")


def is_allowed_code(code: int) -> bool:
    """Codes that may stand in a close frame (RFC 6455, 7.4)."""
    return 3000 <= code <= 4999 or (
        1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    )


def frame_end(frames: bytes, offset: int) -> int:
    """Where the frame around `offset` ends, in a run of our own frames."""
    end = 0
    while end < offset:
        size = frames[end + 1]
        end += 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(frames[end : end + width], "big")
            end += width
        end += size
    return end
