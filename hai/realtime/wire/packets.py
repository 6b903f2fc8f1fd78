"""JSON and Socket.IO packets, parsed strictly: malformed input raises Malformed.

The packet class is python-socketio's with our JSON and with limits on what a client may
announce: JSON depth, number of arrays and objects, number and size of attachments.
`NaN` and `Infinity` are not JSON. Lone surrogates, which JSON can express and UTF-8
cannot, become U+FFFD, as in browsers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from socketio import packet as sio

MAX_DEPTH = 32  # no order nests deeper than 5
# Arrays and objects in one message. They are the most expensive part of JSON, 0.5 us
# each to parse and as much to inspect; an order has a handful.
MAX_CONTAINERS = 5_000
MAX_NAMESPACE_CHARS = 128
MAX_ATTACHMENTS = 16
MAX_ACK_ID_DIGITS = 15
MAX_ATTACHMENT_BYTES = 1_000_000  # of one packet in total


# Socket.IO packets by its msgpack parser are maps that begin with their `type`.
MSGPACK_PACKET = re.compile(rb"[\x81-\x8f]\xa4type")
_MSGPACK_WORDS = (
    b"Hai speaks Socket.IO's default parser, which is JSON: leave out the msgpack one."
)
# {type: CONNECT_ERROR, nsp: "/", data: {message}}, the text with one byte of length.
MSGPACK_REFUSAL = (
    b"\x83\xa4type\x04\xa3nsp\xa1/\xa4data\x81\xa7message\xd9"
    + bytes((len(_MSGPACK_WORDS),))
    + _MSGPACK_WORDS
)


class Malformed(Exception):
    """These bytes violate the protocol; the connection ends."""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
# A string, or an unterminated one: no position is examined twice.
_STRING = re.compile(r'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
# Not ASCII only: Greek would take three times the bytes.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: Any, **_ignored: Any) -> str:
    """Compact JSON; python-socketio's own options are the same ones."""
    return _encode(value)


class AckCache:
    """The JSON of facts sent in this turn, reused by the acks that repeat it.

    A hai is encoded for its fact; its ack holds the same object and the same JSON.
    """

    def __init__(self) -> None:
        self._encoded: dict[int, tuple[object, str]] = {}

    def encode(self, payload: Mapping[str, object]) -> str:
        """Encode a fact's payload, and keep it if an ack will repeat it."""
        text = dumps(payload)
        if "hai" in payload:
            hai = payload["hai"]
            self._encoded[id(hai)] = (
                hai,
                text,
            )  # kept alive, so that its id stays unique
        return text

    def dumps(self, ack: Mapping[str, object]) -> str:
        if len(ack) == 1 and (found := self._encoded.get(id(ack.get("hai")))):
            return found[1]
        return dumps(ack)

    def clear(self) -> None:
        self._encoded.clear()


def loads(text: str) -> Any:
    """Parse; ValueError for anything but shallow JSON of limited size."""
    brackets = text.count("[") + text.count("{")
    if brackets > MAX_CONTAINERS:
        brackets = _count_containers(text)
    try:
        value = _decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if brackets > MAX_DEPTH and _depth_exceeds(value):
        raise ValueError("nested too deeply")
    if "\\ud" in text or "\\uD" in text:
        value = _without_surrogates(value)
    return value


def _count_containers(text: str) -> int:
    """Before parsing, without the brackets in strings."""
    bare = _STRING.sub("", text)
    count = bare.count("[") + bare.count("{")
    if count > MAX_CONTAINERS:
        raise ValueError("too many parts")
    return count


def _depth_exceeds(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        return (item for item in value if isinstance(item, list | dict))
    if isinstance(value, dict):
        return (item for item in value.values() if isinstance(item, list | dict))
    return iter(())


def _without_surrogates(value: Any) -> Any:
    """The decoder has joined whole pairs: any surrogate left is a lone one."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _decode(_SURROGATE.sub("\ufffd", text))
    return value


class _Json:
    """What python-socketio uses as its `json` module."""

    dumps = staticmethod(dumps)
    loads = staticmethod(loads)


def event_head(message: str) -> tuple[int | None, int] | None:
    """(ack id, where the JSON array begins) of an event of the default namespace; None
    for any other packet and for a malformed head."""
    if not message.startswith("2"):
        return None
    at = message.find("[", 1, MAX_ACK_ID_DIGITS + 2)
    digits = message[1:at]
    if at < 0 or (digits and not (digits.isascii() and digits.isdigit())):
        return None
    return int(digits) if digits else None, at


def plain_event(message: str | bytes) -> tuple[int | None, list[Any]] | None:
    """(ack id, [name, *arguments]) of the usual packet, in a quarter of the time.

    None for anything but an event of the default namespace: `Packet` decides what that
    is, or what is wrong with it. Raises Malformed.
    """
    if isinstance(message, bytes) or (head := event_head(message)) is None:
        return None
    ack_id, at = head
    try:
        data = loads(message[at:])
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not isinstance(data, list) or not data:
        raise Malformed("an event is an array that begins with its name")
    return (ack_id, data) if isinstance(data[0], str) else None


class Packet(sio.Packet):
    """A Socket.IO packet, decoded strictly."""

    json = _Json

    def decode(self, encoded_packet: str) -> int:
        """The number of attachments that belong to it. Raises Malformed."""
        if encoded_packet[:1] not in "0123456" or not encoded_packet:
            raise Malformed("unknown packet type")
        try:
            count: int = super().decode(encoded_packet)
        except (ValueError, RecursionError) as error:
            raise Malformed(str(error)) from None
        self._check(count)
        return count

    def _check(self, count: int) -> None:
        kind, data = self.packet_type, self.data
        if len(self.namespace or "") > MAX_NAMESPACE_CHARS:
            raise Malformed("namespace too long")
        if kind in (sio.BINARY_EVENT, sio.BINARY_ACK):
            if count > MAX_ATTACHMENTS:
                raise Malformed("too many attachments")
        elif count:
            raise Malformed("attachments where none belong")
        if kind in (sio.EVENT, sio.BINARY_EVENT):
            is_event = (
                isinstance(data, list) and data and isinstance(data[0], str | int)
            )
            if not is_event:
                raise Malformed("an event is an array that begins with its name")
        elif kind in (sio.ACK, sio.BINARY_ACK):
            if not isinstance(data, list) or self.id is None:
                raise Malformed("an ack is an array with an id")
        elif kind == sio.CONNECT:
            if data is not None and not isinstance(data, dict):
                raise Malformed("auth is an object")
        elif kind == sio.CONNECT_ERROR or data is not None:
            raise Malformed("only servers say that")

    def add_attachment(self, attachment: bytes) -> bool:
        """Whether it was the last one. Raises Malformed."""
        size = sum(map(len, self.attachments)) + len(attachment)
        if size > MAX_ATTACHMENT_BYTES:
            raise Malformed("attachments too large")
        try:
            return bool(super().add_attachment(attachment))
        except (ValueError, TypeError, LookupError):
            raise Malformed("attachments and placeholders do not fit") from None
