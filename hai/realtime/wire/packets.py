"""JSON and Socket.IO packets, strictly: what is malformed raises Malformed.

The packet class is python-socketio's with our JSON in it and a bound on what
a client may announce. Bounds: JSON depth and number of arrays and objects,
number of attachments and their bytes. `NaN` and `Infinity` are no JSON. Lone
surrogates, which JSON can spell and UTF-8 cannot, become U+FFFD, as browsers do
when they encode.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from socketio import packet as sio

MAX_DEPTH = 32  # no order nests deeper than 5
# Arrays and objects in one message. They cost the most of all JSON, 0.5 us each to
# parse and as much to look into; an order has a handful.
MAX_CONTAINERS = 5_000
MAX_NAMESPACE_CHARS = 128
MAX_ATTACHMENTS = 16
MAX_ACK_ID_DIGITS = 15
MAX_ATTACHMENT_BYTES = 1_000_000  # of one packet, together


class Malformed(Exception):
    """These bytes are not what the protocol allows; the connection ends."""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
# A string, or what never ends one: no place is looked at twice.
_STRING = re.compile(r'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
# Not ASCII only: Greek would take three times the bytes.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: Any, **_ignored: Any) -> str:
    """Compact JSON; python-socketio's own options are the same ones."""
    return _encode(value)


class Memory:
    """JSON of what was told last, for the acks that say the same once more.

    A hai is encoded for its fact; its ack is the same object in the same words.
    """

    def __init__(self) -> None:
        self._told: dict[int, tuple[dict[str, Any], str]] = {}

    def tell(self, payload: dict[str, Any]) -> str:
        """Encode a fact's payload, and remember it if acks will say it too."""
        text = dumps(payload)
        if "hai" in payload:
            hai = payload["hai"]
            self._told[id(hai)] = hai, text  # kept alive, so that its id is its own
        return text

    def dumps(self, ack: dict[str, Any]) -> str:
        if len(ack) == 1 and (found := self._told.get(id(ack.get("hai")))):
            return found[1]
        return dumps(ack)

    def clear(self) -> None:
        self._told.clear()


def loads(text: str) -> Any:
    """Parse; ValueError for anything that is not shallow JSON of few parts."""
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
    """Before it is parsed, without the brackets in strings."""
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
    """Whole pairs have been joined by the decoder: what is left of them is lone."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _decode(_SURROGATE.sub("\ufffd", text))
    return value


class _Json:
    """What python-socketio calls its `json` module."""

    dumps = staticmethod(dumps)
    loads = staticmethod(loads)


def event_head(message: str) -> tuple[int | None, int] | None:
    """(ack id, where the JSON array begins) of an event of the default namespace;
    None for any other packet, and for what is wrong already here."""
    if not message.startswith("2"):
        return None
    at = message.find("[", 1, MAX_ACK_ID_DIGITS + 2)
    digits = message[1:at]
    if at < 0 or (digits and not (digits.isascii() and digits.isdigit())):
        return None
    return int(digits) if digits else None, at


def plain_event(message: str | bytes) -> tuple[int | None, list[Any]] | None:
    """(ack id, [name, *arguments]) of the usual packet, in a quarter of the time.

    None for whatever is not an event of the default namespace: `Packet` says what
    that is, or what is wrong with it. Raises Malformed.
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
        """Number of attachments that belong to it. Raises Malformed."""
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
