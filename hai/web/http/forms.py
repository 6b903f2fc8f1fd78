"""The contents of a body: form fields, urlencoded or multipart, or JSON.

Nothing here knows what the fields mean; core checks all of them.
"""

import json
from typing import Any

from tornado.httputil import HTTPFile, HTTPInputError, parse_body_arguments

from hai.core.orders import ORDERS
from hai.errors import BadRequest

Fields = dict[str, Any]


class Form:
    """The fields of a form, or of a JSON object."""

    def __init__(self, fields: Fields, *, is_json: bool = False) -> None:
        self.fields = fields  # of a form: name -> list of texts
        self.is_json = is_json
        if not is_json:
            self.fields = {n: [*map(_lines, v)] for n, v in fields.items()}

    @classmethod
    def parse(cls, content_type: str, body: bytes) -> "Form":
        """Raises BadRequest."""
        if content_type.partition(";")[0].strip().lower() == "application/json":
            return cls(parse_object(body), is_json=True)
        return cls(parse_form(content_type, body))

    def text(self, name: str) -> str:
        """A text field; empty if it is missing. Raises BadRequest."""
        value = self.fields.get(name, "")
        if not self.is_json and value:
            value = value[-1]
        if not isinstance(value, str):
            raise BadRequest(f"{name} must be text.", field=name)
        return value

    def typed(self) -> dict[str, str]:
        """What to show in a form that is shown again; never passwords."""
        if self.is_json:
            return {}
        return {n: v[-1] for n, v in self.fields.items() if "password" not in n}

    def payload(self) -> Fields:
        """The fields as an order's payload.

        A form contains only text: the orders' numbers become numbers if they look like
        them, `..._ids` becomes a list, and an empty id counts as missing.
        """
        if self.is_json:
            return dict(self.fields)
        found: Fields = {}
        for name, values in self.fields.items():
            if name.endswith("_ids"):
                found[name] = [_number(value) for value in values]
            elif name not in NUMBERS:
                found[name] = values[-1]
            elif values[-1]:
                found[name] = _number(values[-1])
        return found


NUMBERS = {"days"} | {
    name
    for order in ORDERS.values()
    for name, field in order.fields.items()
    if field.schema.get("type") == "integer"
}


def _lines(text: str) -> str:
    """Forms send a line break as two characters; a hai has one."""
    return text.replace("\r\n", "\n")


def _number(text: str) -> Any:
    """The number, or the unchanged text, which core will refuse."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


def parse_form(content_type: str, body: bytes) -> dict[str, list[str]]:
    """Raises BadRequest."""
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_body_arguments(content_type, body, arguments, files)
        return {
            name: [value.decode() for value in values]
            for name, values in arguments.items()
        }
    except (HTTPInputError, ValueError):  # also of bytes that are no UTF-8
        raise BadRequest("That form could not be read.") from None


def parse_object(body: bytes) -> Fields:
    """Raises BadRequest if it is not a JSON object, or is nested too deeply."""
    try:
        value = json.loads(body)
        if b"\\u" in body:  # half a surrogate pair is no text, and cannot be stored
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadRequest("That is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRequest("A JSON object is wanted.")
    return value
