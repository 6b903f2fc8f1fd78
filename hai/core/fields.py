"""The fields of orders: what each may contain, checked before anything is done.

A field's `check` returns the value or raises BadRequest or TextTooLong. The `schema`
beside it is the same rule as JSON Schema, for openapi.json.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from hai import errors
from hai.ids import MAX_ID

MAX_CLIENT_ID_CHARS = 64
MAX_NAME_CHARS = 40
MAX_ROOM_NAME_CHARS = 80
MAX_TOPIC_CHARS = 250
MAX_EPOCH_CHARS = 64
MAX_PICTURES = 10
MAX_ALT_CHARS = 1000  # a long description; screen readers read it in one go
MAX_IDS = 1_000
MAX_DAYS = 3650  # ten years; 0 means forever
MAX_EMOJI_CHARS = 16  # a family with skin tones is 11

Check = Callable[[str, Any], Any]
Schema = dict[str, Any]  # JSON Schema
Checked = dict[str, Any]  # the checked fields of an order's payload


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an order's payload."""

    check: Check
    schema: Schema
    is_required: bool = True

    def optional(self) -> "Field":
        return Field(self.check, self.schema, False)


def of(payload: Any) -> dict[str, Field]:
    """The fields of a TypedDict whose keys are declared as Annotated[type, Field]."""
    found = {}
    for name, hint in get_type_hints(payload, include_extras=True).items():
        is_required = name in payload.__required_keys__
        annotated = hint if is_required else get_args(hint)[0]
        field: Field = get_args(annotated)[1]
        found[name] = field if is_required else field.optional()
    return found


def take(fields: dict[str, Field], payload: Any) -> Checked:
    """The checked values of a payload; unknown fields are ignored."""
    if not isinstance(payload, dict):
        raise errors.BadRequest("An order takes one object.")
    values = {}
    for name, field in fields.items():
        value = payload.get(name)
        if value is not None:
            values[name] = field.check(name, value)
        elif field.is_required:
            raise _wrong(name, "is missing")
    return values


# Names of form fields for people; programs find the field's name in `details`.
SPOKEN = {"name": "The name", "display_name": "Your name", "topic": "The topic"}


def _wrong(name: str, what: str) -> errors.BadRequest:
    return errors.BadRequest(f"{SPOKEN.get(name, name)} {what}.", field=name)


def is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= MAX_ID  # a bool is not an id


def _id(name: str, value: Any) -> int:
    if not is_id(value):
        raise _wrong(name, "must be a whole number above 0")
    return int(value)


def _count_from_0(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise _wrong(name, "must be a whole number")
    return value


def _up_to(limit: int) -> Check:
    def check(name: str, value: Any) -> int:
        if type(value) is not int or not 1 <= value <= limit:
            raise _wrong(name, f"must be 1 to {limit}")
        return value

    return check


def _ids(limit: int) -> Check:
    def check(name: str, value: Any) -> list[int]:
        if not isinstance(value, list) or len(value) > limit:
            raise _wrong(name, f"must be a list of at most {limit} ids")
        if not all(is_id(item) for item in value) or len(set(value)) < len(value):
            raise _wrong(name, "must hold different ids")
        return value

    return check


def check_string(name: str, value: Any) -> str:
    """Text that can be stored: UTF-8, without NUL."""
    if not isinstance(value, str):
        raise _wrong(name, "must be text")
    if "\0" in value:
        raise _wrong(name, "must not contain NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _wrong(name, "must be valid Unicode") from None
    return value


def check_line(name: str, value: Any, limit: int, *, low: int = 1) -> str:
    """One visible line: no control or direction marks, trimmed."""
    text = " ".join(check_string(name, value).split())
    if not low <= len(text) <= limit:
        raise _wrong(name, f"must have {low} to {limit} characters")
    if not is_plain(text) or (text and not _is_visible(text)):
        raise _wrong(name, "has characters that cannot be shown")
    return text


def is_plain(text: str) -> bool:
    """Whether it contains nothing that reorders, hides or breaks other text."""
    return not any(_is_unsafe(character, text) for character in text)


def _is_unsafe(character: str, text: str) -> bool:
    """Control, direction and invisible characters, except those that join emoji and the
    letters of some scripts."""
    if character in UNSAFE:
        return True
    if character in JOINERS or (character in FLAG_TAGS and BLACK_FLAG in text):
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")


# Characters that show nothing: fillers, the empty Braille cell.
UNSAFE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
JOINERS = frozenset("\u200c\u200d")
BLACK_FLAG = "\U0001f3f4"  # begins the flags of regions, spelt in tags
FLAG_TAGS = frozenset(map(chr, range(0xE0020, 0xE0080)))


def _is_visible(text: str) -> bool:
    return any(unicodedata.category(c)[0] in "LNPS" for c in text)


def _line(limit: int, low: int = 1) -> Check:
    def check(name: str, value: Any) -> str:
        return check_line(name, value, limit, low=low)

    return check


def _client_id(name: str, value: Any) -> str:
    text = check_string(name, value)
    if not 1 <= len(text) <= MAX_CLIENT_ID_CHARS:
        raise _wrong(name, f"must have 1 to {MAX_CLIENT_ID_CHARS} characters")
    return text


def _short(limit: int) -> Check:
    def check(name: str, value: Any) -> str:
        text = check_string(name, value)
        if len(text) > limit:
            raise _wrong(name, "is too long")
        return text

    return check


def _alt(name: str, value: Any) -> str:
    """A description: one line of it is kept, see uploads.clean_alt."""
    text = check_string(name, value)
    if len(text) > MAX_ALT_CHARS:
        limit = f"A description has at most {MAX_ALT_CHARS:,} characters."
        raise errors.TextTooLong(limit)
    return text


def _yes_or_no(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return value


def _on_or_off(name: str, value: Any) -> bool:
    """In a form it is a word."""
    if isinstance(value, bool):
        return value
    if value not in ("on", "off"):
        raise _wrong(name, "must be true or false")
    return bool(value == "on")


def _one_of(*choices: str) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise _wrong(name, "must be " + " or ".join(choices))
        return str(value)

    return check


def _days(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_DAYS:
        raise _wrong(name, f"must be 0 to {MAX_DAYS}")
    return value


def _yes(name: str, value: Any) -> bool:
    """In a form it is the value that a ticked checkbox sends."""
    if value is not True and value != "on":
        raise _wrong(name, "must be true, or not be there")
    return True


def _emoji(name: str, value: Any) -> str:
    text = check_string(name, value)
    if len(text) > MAX_EMOJI_CHARS or not ONE_EMOJI.fullmatch(text):
        raise _wrong(name, "must be one emoji")
    return text


# Unicode's emoji sequences (UTS 51): a flag, a keycap, or pictographs joined into one,
# each with its presentation selector, skin tone and tags.
_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
    "\ufe0f?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*"
)
ONE_EMOJI = re.compile(
    f"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_PICTURE}(?:\u200d{_PICTURE})*"
)

ID = Field(_id, {"type": "integer", "minimum": 1, "maximum": MAX_ID})
REV = Field(_count_from_0, {"type": "integer", "minimum": 0, "maximum": MAX_ID})
TEXT = Field(check_string, {"type": "string"})
ALT = Field(_alt, {"type": "string", "maxLength": MAX_ALT_CHARS})
YES_OR_NO = Field(_yes_or_no, {"type": "boolean"})
ON_OR_OFF = Field(_on_or_off, {"type": "boolean"})
CLIENT_ID = Field(
    _client_id, {"type": "string", "minLength": 1, "maxLength": MAX_CLIENT_ID_CHARS}
)
EMOJI = Field(_emoji, {"type": "string", "maxLength": MAX_EMOJI_CHARS})
EPOCH = Field(_short(MAX_EPOCH_CHARS), {"type": "string"})
ROOM_NAME = Field(
    _line(MAX_ROOM_NAME_CHARS),
    {"type": "string", "minLength": 1, "maxLength": MAX_ROOM_NAME_CHARS},
)
TOPIC = Field(
    _line(MAX_TOPIC_CHARS, low=0), {"type": "string", "maxLength": MAX_TOPIC_CHARS}
)
DAYS = Field(_days, {"type": "integer", "minimum": 0, "maximum": MAX_DAYS})
YES = Field(_yes, {"const": True})
ROOM_KIND = Field(_one_of("open", "closed"), {"enum": ["open", "closed"]})


def ids(limit: int = MAX_IDS) -> Field:
    items = {"type": "integer", "minimum": 1}
    return Field(
        _ids(limit),
        {"type": "array", "items": items, "maxItems": limit, "uniqueItems": True},
    )


def up_to(limit: int) -> Field:
    return Field(_up_to(limit), {"type": "integer", "minimum": 1, "maximum": limit})
