"""openapi.json, generated from the table of API routes and the table of orders.

OpenAPI 3.1, so its schemas are JSON Schema, as in core/fields.py.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hai import __version__, shapes
from hai.core.fields import MAX_PICTURES, Schema
from hai.core.orders import ORDERS
from hai.errors import all_errors


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One row. order: its name in the table of orders, or "" if there is none.

    query: fields taken from the query; response: its TypedDict, where there is no order
    and the response has a body.
    """

    method: str
    path: str  # with {room_id} and the like
    order: str = ""
    help: str = ""
    query: tuple[str, ...] = ()
    response: type | None = None
    is_multipart: bool = False
    max_pictures: int = MAX_PICTURES
    is_public: bool = False
    body: str = ""  # "bytes": of a tus upload
    name: str = ""  # for reverse_url


def describe(table: tuple[ApiRoute, ...]) -> Schema:
    """The whole document."""
    paths: Schema = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hai", "version": __version__},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": SCHEMAS,
            "responses": {"error": _error_response()},
        },
    }


def _operation(route: ApiRoute) -> Schema:
    order = ORDERS.get(route.order)
    response = order.ack if order else route.response
    content = _json(_record(response or shapes.EmptyAck))
    found: Schema = {
        "operationId": _operation_id(route),
        "summary": route.help or (order.help if order else ""),
        "parameters": _parameters(route),
        "responses": {
            **{s: _done(s, content) for s in _statuses(route)},
            "default": {"$ref": "#/components/responses/error"},
        },
    }
    if route.method == "POST" or route.body:
        found["requestBody"] = {"content": _body(route)}
    if route.is_public:
        found["security"] = []
    return found


def _statuses(route: ApiRoute) -> list[str]:
    order = ORDERS.get(route.order)
    if not order and not route.response and not route.path.endswith(".json"):
        return ["200" if route.method == "HEAD" else "204"]
    makes = route.is_multipart or (route.body and route.method == "POST")
    statuses = ["201" if (order and order.creates) or makes else "200"]
    return [*statuses, "201"] if order and order.may_create else statuses


def _done(status: str, content: Schema) -> Schema:
    return {"description": "Done."} | ({"content": content} if status != "204" else {})


def _operation_id(route: ApiRoute) -> str:
    """Unique: send_hai, or get_rooms where there is no order."""
    last = [part for part in route.path.split("/") if not part.startswith("{")][-1]
    return route.order or f"{route.method.lower()}_{last}"


def _in_path(route: ApiRoute) -> list[str]:
    parts = route.path.split("/")
    return [part[1:-1] for part in parts if part.startswith("{")]


def _parameters(route: ApiRoute) -> list[Schema]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _schema(route, name)}
        for name in _in_path(route)
    ]
    order = ORDERS.get(route.order)
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": bool(order and order.fields[name].is_required),
            "schema": _schema(route, name),
        }
        for name in route.query
    ]
    return in_path + in_query


def _schema(route: ApiRoute, name: str) -> Schema:
    order = ORDERS.get(route.order)
    if order and name in order.fields:
        return order.fields[name].schema
    if name == "token":
        return TEXT
    return {"type": "integer", "minimum": 1}


def _body(route: ApiRoute) -> Schema:
    """The order's fields that are not in the path; client_id may be left out."""
    if route.body:
        return {"application/offset+octet-stream": {}}
    order = ORDERS.get(route.order)
    fields = order.fields if order else {}
    inside = {n: f for n, f in fields.items() if n not in _in_path(route)}
    required = [n for n, f in inside.items() if f.is_required and n != "client_id"]
    properties: Schema = {name: field.schema for name, field in inside.items()}
    schema = {"type": "object", "properties": properties, "required": required}
    content = _json(schema) if order else {}
    if route.is_multipart:
        many = {"type": "array", "items": PICTURE_FILE, "maxItems": route.max_pictures}
        files = {"picture": many if route.max_pictures > 1 else AVATAR_FILE}
        about = {
            "alt": {"type": "array", "items": {"type": "string"}},
            "keep_metadata": {"enum": ["on"]},
        }
        if route.max_pictures == 1:
            properties, about = {}, {}
        content["multipart/form-data"] = {
            "schema": schema | {"properties": properties | about | files}
        }
    return content


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _error_response() -> Schema:
    return {
        "description": "Nothing of it was stored.",
        "content": _json(_record(shapes.ErrorAck)),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _record(shape: Any) -> Schema:
    """The schema of a TypedDict: a row of shapes.py, field by field."""
    hints = get_type_hints(shape)
    return {
        "type": "object",
        "properties": {name: _field(hint) for name, hint in hints.items()},
        "required": [name for name in hints if name in shape.__required_keys__],
    }


def _field(hint: Any) -> Schema:
    if hint in NAMES:
        return _ref(NAMES[hint])
    if hint in SIMPLE:
        return SIMPLE[hint]
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Literal:
        return {"const": arguments[0]}
    if kind is list:
        return _list(_field(arguments[0]))
    assert kind is dict, hint  # in JSON all its keys are text
    return {"type": "object", "additionalProperties": _field(arguments[1])}


AVATAR_FILE: Schema = {"type": "string", "contentMediaType": "image/*"}
PICTURE_FILE: Schema = {
    "type": "string",
    "contentMediaType": "image/*, video/* or audio/*",
}
WHOLE: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
YES_OR_NO: Schema = {"type": "boolean"}
SIMPLE: dict[Any, Schema] = {
    int: WHOLE,
    str: TEXT,
    bool: YES_OR_NO,
    dict[str, object]: {"type": "object"},
}
SHAPES: dict[str, type] = {
    "hai": shapes.HaiObject,
    "picture": shapes.PictureObject,
    "thumbnail": shapes.ThumbnailObject,
    "room": shapes.RoomObject,
    "user": shapes.UserObject,
    "upload": shapes.UploadObject,
    "token": shapes.TokenObject,
    "error": shapes.ErrorObject,
}
NAMES = {shape: name for name, shape in SHAPES.items()}
SCHEMAS: dict[str, Schema] = {name: _record(shape) for name, shape in SHAPES.items()}
SCHEMAS["error"]["properties"]["code"] = {"enum": [e.code for e in all_errors()]}
