"""What Hai takes from inside other packages, name by name.

Nobody promises these names, so a new version may take them away or change what they
ask for: then it fails here, by name. The Python table is complete: what `hai` uses is
found in its syntax trees and compared.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from functools import cache
from pathlib import Path

import pytest

import hai

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engineio", "socketio", "tornado")
# Made to be subclassed: of these only what begins with an underscore is private.
OPEN_CLASSES = re.compile(r"tornado\.|socketio\.(async|base)_namespace\.")
OURSELVES = ("self", "cls", "super()")
OF_NAMED_TUPLES = ("_asdict", "_make", "_replace")  # documented, for all that

# class -> name -> (a method's parameters or None, the files of hai/ that use it)
TABLE = {
    "engineio.async_server.AsyncServer": {
        "_trigger_event": ("self event *args **kwargs", "realtime/wire/engine.py"),
        "create_queue": ("self *args **kwargs", "realtime/wire/engine.py"),
        "disconnect": ("self sid", "realtime/wire/engine.py"),
        "send_packet": ("self sid pkt", "realtime/wire/engine.py"),
        "sockets": (None, "realtime/wire/engine.py"),
    },
    "engineio.async_socket.AsyncSocket": {
        "close": ("self wait abort reason", "realtime/wire/engine.py"),
        "closed": (None, "realtime/wire/engine.py"),
        "closing": (None, "realtime/wire/engine.py"),
        "connected": (None, "realtime/wire/engine.py"),
        "poll": ("self", "realtime/wire/engine.py"),
        "send": ("self pkt", "realtime/wire/engine.py"),
        "upgraded": (None, "realtime/wire/engine.py"),
    },
    "engineio.base_server.BaseServer": {
        "generate_id": ("self", "realtime/wire/engine.py"),
        "max_http_buffer_size": (None, "realtime/wire/engine.py"),
        "ping_interval": (None, "realtime/wire/engine.py"),
        "ping_timeout": (None, "realtime/wire/engine.py"),
        "reason": (None, "realtime/wire/engine.py"),
    },
    "engineio.base_socket.BaseSocket": {
        "server": (None, "realtime/wire/engine.py"),
        "sid": (None, "realtime/wire/engine.py"),
    },
    "socketio.async_manager.AsyncManager": {
        "emit": (
            "self event data namespace room skip_sid callback to **kwargs",
            "realtime/fanout.py",
        ),
    },
    "socketio.async_server.AsyncServer": {
        "_engineio_server_class": ("self", "realtime/socket_server.py"),
        "_handle_ack": ("self eio_sid namespace id data", "realtime/socket_server.py"),
        "_handle_connect": ("self eio_sid namespace data", "realtime/socket_server.py"),
        "_handle_disconnect": (
            "self eio_sid namespace reason",
            "realtime/socket_server.py",
        ),
        "_handle_event": (
            "self eio_sid namespace id data",
            "realtime/socket_server.py",
        ),
    },
    "socketio.base_manager.BaseManager": {
        "basic_disconnect": ("self sid namespace **kwargs", "realtime/fanout.py"),
        "basic_enter_room": ("self sid namespace room eio_sid", "realtime/fanout.py"),
        "basic_leave_room": ("self sid namespace room", "realtime/fanout.py"),
        "callbacks": (None, "realtime/fanout.py"),
        "eio_sid_from_sid": ("self sid namespace", "realtime/namespace.py"),
        "get_participants": ("self namespace room", "realtime/fanout.py"),
        "get_rooms": ("self sid namespace", "realtime/fanout.py"),
        "is_connected": ("self sid namespace", "realtime/socket_server.py"),
        "is_sid_room": ("self namespace room", "realtime/fanout.py"),
        "pending_connect": (None, "realtime/fanout.py"),
        "pending_disconnect": (None, "realtime/fanout.py"),
        "rooms": (None, "realtime/fanout.py"),
        "server": (None, "realtime/fanout.py"),
        "sid_from_eio_sid": ("self eio_sid namespace", "realtime/socket_server.py"),
    },
    "socketio.base_server.BaseServer": {
        "eio": (None, "realtime/socket_server.py"),
        "handlers": (None, "realtime/socket_server.py"),
        "manager": (None, "realtime/socket_server.py"),
        "namespace_handlers": (None, "realtime/socket_server.py"),
        "packet_class": (None, "realtime/fanout.py"),
    },
    "socketio.packet.Packet": {
        "add_attachment": ("self attachment", "realtime/wire/packets.py"),
        "attachments": (None, "realtime/wire/packets.py"),
        "data": (None, "realtime/wire/packets.py"),
        "decode": ("self encoded_packet", "realtime/wire/packets.py"),
        "id": (None, "realtime/wire/packets.py"),
        "json": (None, "realtime/wire/packets.py"),
        "namespace": (None, "realtime/wire/packets.py"),
        "packet_type": (None, "realtime/wire/packets.py"),
    },
    "tornado.http1connection.HTTP1Connection": {
        "_body_timeout": (None, "web/http/connection.py"),
        "_clear_callbacks": ("self", "web/http/connection.py"),
        "_deliver_body": ("self delegate data", "web/http/connection.py"),
        "_disconnect_on_finish": (None, "web/http/connection.py"),
        "_finish_future": (None, "web/http/connection.py"),
        "_finish_request": ("self future", "web/http/connection.py"),
        "_max_body_size": (None, "web/http/connection.py"),
        "_on_connection_close": ("self", "web/http/connection.py"),
        "_read_chunked_body": ("self delegate", "web/http/connection.py"),
        "_read_finished": (None, "web/http/connection.py"),
        "_read_fixed_body": ("self content_length delegate", "web/http/connection.py"),
        "_request_headers": (None, "web/http/connection.py"),
        "_request_start_line": (None, "web/http/connection.py"),
        "_response_start_line": (None, "web/http/connection.py"),
        "_write_finished": (None, "web/http/connection.py"),
    },
    "tornado.http1connection.HTTP1ServerConnection": {
        "_server_request_loop": ("self delegate", "web/http/connection.py"),
    },
    "tornado.httpserver.HTTPServer": {
        "_connections": (None, "web/http/listener.py"),
    },
    "tornado.iostream.BaseIOStream": {
        "_check_max_bytes": ("self delimiter size", "web/http/connection.py"),
        "_find_read_pos": ("self", "web/http/connection.py"),
        "_read_buffer": (None, "web/http/connection.py"),
        "_read_buffer_size": (None, "web/http/connection.py"),
        "_read_regex": (None, "web/http/connection.py"),
    },
    "tornado.tcpserver.TCPServer": {
        "_handle_connection": ("self connection address", "web/http/listener.py"),
        "_handlers": (None, "web/http/listener.py"),
        "_sockets": (
            None,
            "bench/peers/stock_pages.py bench/stock.py bench/stock_pictures.py"
            " web/http/listener.py",
        ),
        "_stopped": (None, "web/http/listener.py"),
    },
    "tornado.web.RequestHandler": {
        "_finished": (
            None,
            "web/http/base.py web/http/bodies.py",
        ),
        "_headers": (None, "web/pictures.py"),
        "_headers_written": (None, "web/pictures.py"),
        "_request_summary": ("self", "realtime/wire/transport.py"),
    },
}

# name -> (parameters, the file that uses it), of static/vendor/dropzone
DROPZONE = {
    "_finished": ("files, responseText, e", "static/js/net/upload.js"),
    "_errorProcessing": ("files, message, xhr", "static/js/net/upload.js"),
    "uploadFiles": ("files", "static/js/net/upload.js"),
}

ENTRIES = [
    (owner, name, parameters, set(files.split()))
    for owner, names in TABLE.items()
    for name, (parameters, files) in names.items()
]


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [pytest.param(*entry[:3], id=f"{entry[0]}.{entry[1]}") for entry in ENTRIES],
)
def test_a_name_that_hai_takes_is_there(owner, name, parameters):
    module, _, cls = owner.rpartition(".")
    owner = getattr(importlib.import_module(module), cls)
    assert name in names_of(owner)
    if parameters is not None:
        assert parameters_of(getattr(owner, name)) == parameters


def test_the_table_names_all_that_hai_takes_and_where():
    listed = {(owner, name): files for owner, name, _, files in ENTRIES}
    found = taken_from_parents()
    assert found.keys() - listed.keys() == set()
    assert {
        key: found[key] - listed[key] for key in found if found[key] - listed[key]
    } == {}


def test_private_names_of_other_objects_are_in_the_table_too():
    listed = {(name, file) for _, name, _, files in ENTRIES for file in files}
    assert taken_from_others(), "there is something to look at"
    assert taken_from_others() - listed == set()


def test_nothing_is_listed_that_hai_does_not_take():
    unused = [
        f"{name} in {file}"
        for _, name, _, files in ENTRIES
        for file in files
        if not re.search(rf"\b{name}\b", (ROOT / "hai" / file).read_text())
    ]
    assert unused == []


@pytest.mark.parametrize("name", DROPZONE)
def test_a_name_of_dropzone_is_there(name):
    parameters, user = DROPZONE[name]
    library = (ROOT / "static/vendor/dropzone/dropzone.mjs").read_text()
    assert f"\t{name}({parameters}) {{\n" in library
    assert f".{name}" in (ROOT / user).read_text()


def test_scripts_take_no_other_private_name():
    """Ours begin with `#`."""
    found = {
        (name, str(path.relative_to(ROOT)))
        for path in (ROOT / "static/js").rglob("*.js")
        for name in re.findall(r"[\w)\]]\.(_\w+)", path.read_text())
    }
    assert found == {(n, file) for n, (_, file) in DROPZONE.items() if n[0] == "_"}


# --- What hai takes ------------------------------------------------------------------


@cache
def modules():
    names = [found.name for found in pkgutil.walk_packages(hai.__path__, "hai.")]
    return [importlib.import_module(name) for name in names]


def taken_from_parents():
    """Return (class, name) -> files: what classes of hai override or use of parents."""
    found = {}
    for module in modules():
        for cls in classes_of(module):
            for name in names_used_by(cls):
                if owner := private_owner(cls, name):
                    key = f"{owner.__module__}.{owner.__qualname__}", name
                    found.setdefault(key, set()).add(file_of(module))
    return found


def taken_from_others():
    """Return (private name, file) where it is none of hai's own."""
    return {
        (node.attr, file_of(module))
        for module in modules()
        if imports_packages(module)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute)
        and is_private(node.attr)
        and node.attr not in OF_NAMED_TUPLES
        and ast.unparse(node.value) not in OURSELVES
        and not any(node.attr in names_of(cls) for cls in classes_of(module))
    }


def classes_of(module):
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def names_used_by(cls):
    """What a class defines, and what it takes from itself and its parents."""
    tree = tree_of(cls)
    taken = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in OURSELVES
    }
    return taken | {
        name for name in vars(cls) if re.search(rf"\b{name}\b", ast.unparse(tree))
    }


def private_owner(cls, name):
    """Return the foreign class that a private name comes from, or None."""
    if name.startswith("__"):
        return None
    for base in cls.__mro__:
        if base.__module__.split(".")[0] in PACKAGES and name in names_of(base):
            is_open = OPEN_CLASSES.match(base.__module__ + ".")
            return base if is_private(name) or not is_open else None
    return None


@cache
def names_of(cls):
    """What a class defines itself, and what its methods assign to self."""
    assigned = {
        node.attr
        for node in ast.walk(tree_of(cls))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) == "self"
    }
    return {*vars(cls), *assigned}


def parameters_of(method):
    """Return names only, with their stars."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = inspect.signature(method).parameters.values()
    return " ".join(stars.get(each.kind, "") + each.name for each in parameters)


def imports_packages(module):
    return any(
        isinstance(node, ast.Import | ast.ImportFrom)
        and {name.split(".")[0] for name in imported(node)} & set(PACKAGES)
        for node in ast.walk(tree_of(module))
    )


def imported(node):
    if isinstance(node, ast.ImportFrom):
        return [node.module]
    return [alias.name for alias in node.names]


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


@cache
def tree_of(thing):
    return ast.parse(textwrap.dedent(inspect.getsource(thing)))


def file_of(module):
    return str(Path(module.__file__).relative_to(ROOT / "hai"))
