"""Real Chromium before a real server: people in tabs, and what went wrong in them."""

import json
import shutil
import signal
import socket
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import DESK, PASSWORD
from tests.pictures import picture
from tests.served import Served
from tests.videos import made

PATIENCE_MS = 30_000  # for what must come; how long it takes is no matter
expect.set_options(timeout=PATIENCE_MS)

# What the console says when the network is away, which is what some tests are about.
NETWORK = ("net::ERR_", "WebSocket connection to", "WebSocket is already in CLOS")

# Remembers what should not happen, from before the first script of the page.
WATCH = """
window.shifts = 0;
window.shifted = [];
window.violations = [];
new PerformanceObserver((list) => {
  for (const { hadRecentInput, value, sources } of list.getEntries()) {
    if (hadRecentInput) continue;
    shifts += value;
    for (const { node } of sources) shifted.push(node?.outerHTML?.slice(0, 200) ?? "");
  }
}).observe({ type: "layout-shift", buffered: true });
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


NAMES = {"ada": "owner", "grace": "member", "linus": "member"}


class Sea:
    """A server with ada (owner), grace and linus, and a Lounge of all three."""

    def __init__(self, server, tokens):
        self.server = server
        self.url = server.url
        self.tokens = tokens  # name -> token
        self.ids = {name: self.ask(name, "me")["user"]["id"] for name in NAMES}
        self.lounge = self.add_room("Lounge")
        self.den = self.add_room("Den")

    def add_room(self, name):
        """Make an open room that everybody is in."""
        room = {"name": name, "kind": "open", "member_ids": list(self.ids.values())}
        return self.ask("ada", "rooms", room)["room"]["id"]

    def send(self, name, room_id, text, **fields):
        """Send a hai over the API."""
        return self.ask(name, f"rooms/{room_id}/hais", {"text": text} | fields)["hai"]

    def restart(self, how=signal.SIGTERM):
        self.server.stop(how)
        self.server.start()

    def ask(self, name, path, fields=None):
        """One request to the API: a POST if there are fields."""
        request = Request(
            f"{self.url}/api/v1/{path}",
            json.dumps(fields).encode() if fields else None,
            {
                "Authorization": f"Bearer {self.tokens[name]}",
                "Content-Type": "application/json",
            },
        )
        with urlopen(request) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """A data folder with everybody in it, made once; and their tokens."""
    server = Served(tmp_path_factory.mktemp("people") / "data").start()
    for name, role in NAMES.items():
        flags = ("--role", role, "--password-stdin")
        server.run("users", "add", name, *flags, stdin=PASSWORD + "\n")
    tokens = server.run("users", "token", *NAMES).split()
    server.stop()
    return server.data, dict(zip(NAMES, tokens, strict=True))


@pytest.fixture
def sea(serve, people, tmp_path):
    """On a port of its own choice that stays the same when it starts again."""
    data, tokens = people
    shutil.copytree(data, tmp_path / "served")
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    return Sea(serve("--rate-limits", "off", "--port", str(port)), tokens)


@pytest.fixture
def tab(chromium, sea):
    """`tab("ada", "/rooms/1")`: a signed-in tab in a browser of its own.

    `problems` may be filled by what a test allows; whatever else the console or the
    page's policy complains of fails the test.
    """
    opened = []

    def open_tab(
        name=None, path="/", *, context=None, allow=(), url=sea.url, **options
    ):
        if context is None:
            options = DESK | {"locale": "en-GB", "timezone_id": "UTC"} | options
            context = chromium.new_context(**options)
            if name:
                cookie = {"name": "hai_session", "value": sea.tokens[name]}
                context.add_cookies([cookie | {"url": url}])
            if options.get("java_script_enabled", True):
                context.add_init_script(WATCH)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        problems = []
        page.on("crash", lambda _: problems.append("Chromium crashed"))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: note(message, problems))
        opened.append(SimpleNamespace(page=page, problems=problems, allow=allow))
        if path:
            page.goto(url + path)
        return page

    yield open_tab
    for one in opened:
        strays = [
            text for text in one.problems if not text.startswith(one.allow or "\0")
        ]
        one.page.context.close()
        assert strays == []


def note(message, problems):
    if message.type == "error" and not any(sign in message.text for sign in NETWORK):
        problems.append(message.text)


@pytest.fixture
def pictures(tmp_path):
    """Two real picture files on disk."""
    paths = []
    for name, kind in (("lake.jpg", "JPEG"), ("bay.png", "PNG")):
        path = Path(tmp_path, name)
        path.write_bytes(picture(kind, 640, 427))
        paths.append(str(path))
    return paths


@pytest.fixture
def videos(tmp_path):
    """A real video and a real voice on disk."""
    paths = []
    for name, kind in (("boat.mp4", "mp4"), ("hum.m4a", "m4a")):
        path = Path(tmp_path, name)
        path.write_bytes(made(kind))
        paths.append(str(path))
    return paths
