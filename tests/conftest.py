"""The harness: every test's server, people and clients.

pytest-tornado runs an `async def` test on the loop of its `io_loop` fixture; the `app`
fixture is a whole Hai with a real port, a real SQLite file and real sockets on that
same loop. A warning or an unexpected log line fails the test.
"""

import asyncio
import inspect
import logging
import re
import shutil
from collections import Counter
from contextlib import AsyncExitStack

import hypothesis
import pytest
from tornado.ioloop import IOLoop

from hai import config as settings
from hai.app import make_app, open_core
from tests.clients import Client, NativeSocket, Socket
from tests.ready import Ready
from tests.served import Served

TEST_TIMEOUT_S = 180  # above what a test waits for one thing: that says more

QUICK_PARAMETERS = 3  # of each test
HEAVY = {  # folders and files whose tests start processes, or read films to the end
    *("browser", "cli", "deploy", "durability"),
    *("test_bombs", "test_metadata", "test_posters", "test_resumable", "test_stopping"),
    *("test_thumbnails", "test_tus", "test_verify", "test_videos"),
    *("test_interleavings", "test_page_interleavings"),
}


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow")
    parser.addoption(
        "--quick", action="store_true", help="what a minute allows of each folder"
    )
    parser.addoption(
        "--seed", default="", help="another beginning of what is by chance"
    )


def pytest_configure(config):
    """Property tests try the same examples each time; with --slow many new ones."""
    hypothesis.settings.register_profile(
        "steady", derandomize=True, deadline=None, database=None
    )
    hypothesis.settings.register_profile("slow", deadline=None, max_examples=2000)
    slow = config.getoption("--slow")
    hypothesis.settings.load_profile("slow" if slow else "steady")


def pytest_collection_modifyitems(config, items):
    """Let async tests run on the loop; leave the slow ones out unless asked for."""
    for item in items:
        is_async = inspect.iscoroutinefunction(getattr(item, "obj", None))
        if is_async and not item.get_closest_marker("gen_test"):
            item.add_marker(pytest.mark.gen_test(timeout=TEST_TIMEOUT_S))
    if not config.getoption("--slow"):
        leave_out(config, items, [one for one in items if is_marked(one, "slow")])
    if config.getoption("--quick"):
        leave_out(config, items, [*not_quick(items)])


def is_marked(item, name):
    return item.get_closest_marker(name) is not None


def leave_out(config, items, others):
    config.hook.pytest_deselected(items=others)
    others = set(others)
    items[:] = [item for item in items if item not in others]


def not_quick(items):
    """What --quick leaves out: HEAVY, and of a test all but its first parameters.

    What is marked `quick` stays: something of each folder.
    """
    seen = Counter()
    for item in items:
        seen[test := item.nodeid.partition("[")[0]] += 1
        is_heavy = any(
            name in HEAVY for name in (item.path.parent.name, item.path.stem)
        )
        if (is_heavy or seen[test] > QUICK_PARAMETERS) and not is_marked(item, "quick"):
            yield item


@pytest.fixture(scope="session")
def seed(request):
    """What chance begins with: the same each time, unless --seed says otherwise."""
    return request.config.getoption("--seed")


# --- The log -------------------------------------------------------------------------


class LogKeeper(logging.Handler):
    """Keeps what would alarm an operator: warnings and worse."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []
        self.expected = []

    def emit(self, record):
        # 4xx answers are what many tests ask for; the access log warns of each.
        if record.name == "tornado.access" and record.levelno < logging.ERROR:
            return
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            self.lines[-1] += "\n" + text

    def problems(self):
        """Return the unexpected lines, and the expected ones that never came."""
        stray = [
            line
            for line in self.lines
            if not any(re.search(pattern, line) for pattern in self.expected)
        ]
        missing = [
            f"expected in the log, but not there: {pattern}"
            for pattern in self.expected
            if not any(re.search(pattern, line) for line in self.lines)
        ]
        return stray + missing


@pytest.fixture(autouse=True)
def log_keeper():
    keeper = LogKeeper()
    logging.getLogger().addHandler(keeper)
    yield keeper
    logging.getLogger().removeHandler(keeper)
    problems = keeper.problems()
    if problems:
        pytest.fail("log lines:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture
def expect_log(log_keeper):
    """`expect_log(pattern)`: the test must log such a line (WARNING or above)."""
    return log_keeper.expected.append


# --- The server in this process ------------------------------------------------------


@pytest.fixture
def io_loop(log_keeper):
    """A new loop for the test; what still runs at its end is cancelled."""
    asyncio.set_event_loop(None)  # or Tornado makes one, to put back, and leaves it
    loop = IOLoop(make_current=True)
    yield loop
    loop.run_sync(cancel_all_tasks)
    loop.run_sync(loop.asyncio_loop.shutdown_asyncgens)
    loop.run_sync(loop.asyncio_loop.shutdown_default_executor)
    loop.close(all_fds=True)
    asyncio.set_event_loop(None)


async def cancel_all_tasks():
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def config_flags():
    """Settings of the test's server, as flags; a test module may override this."""
    return {}


@pytest.fixture
def config(tmp_path, config_flags):
    flags = {"port": "0", "data": str(tmp_path / "data")} | config_flags
    return settings.load(flags, {})


@pytest.fixture(scope="session")
def ready(tmp_path_factory):
    """Databases made once, to be copied: see tests/ready.py."""
    return Ready(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def beginning(request, io_loop, config, ready):
    """The database that the test's server or core opens; gives its cast, if any."""
    names = request.fixturenames
    kind = {"has_server": needs_server(request), "has_cast": "cast" in names}
    return io_loop.run_sync(lambda: ready.copy(config, **kind))


@pytest.fixture
def app(io_loop, config, beginning):
    """A whole server, started: `app.core`, `app.url`, `app.port`."""
    app = make_app(config)
    io_loop.run_sync(app.start)
    yield app
    io_loop.run_sync(app.stop, timeout=TEST_TIMEOUT_S)


@pytest.fixture
def core(request, io_loop, config, beginning):
    """The core: of the test's server if it has one, else opened without edges."""
    if needs_server(request):
        yield request.getfixturevalue("app").core
        return
    stack = AsyncExitStack()
    yield io_loop.run_sync(lambda: stack.enter_async_context(open_core(config)))
    io_loop.run_sync(stack.aclose)


def needs_server(request):
    return not {"app", "client", "socket", "ws", "any_socket"}.isdisjoint(
        request.fixturenames
    )


@pytest.fixture
def cast(core, beginning):
    """The people and rooms of most tests.

    ada is the owner, grace and linus are members. All are in the open `lounge`; ada
    and grace are in the closed `lab` and write to each other in `direct`. So linus is
    the one who must not hear of those two.
    """
    return beginning


# --- Its clients ---------------------------------------------------------------------


@pytest.fixture
def client(io_loop, app):
    """`client(person)`: a browser signed in by cookie; `client()`: a stranger.

    `client(person, bearer=True)` sends the person's bearer token instead.
    """
    clients = []

    def make(person=None, *, bearer=False):
        secrets = {}
        if person:
            secrets = {"token": person.token} if bearer else {"cookie": person.cookie}
        clients.append(Client(app.url, **secrets))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture(params=["websocket", "polling"])
def transport(request):
    """Runs the test once for each Socket.IO transport."""
    return request.param


@pytest.fixture
def socket(io_loop, app):
    """`await socket(person, "polling")`: a connected Socket.IO client.

    Over WebSocket by default; "upgrade" begins with polling. Keywords override who
    it is: token, cookie, auth.
    """
    sockets = []

    async def make(person=None, transport="websocket", **secrets):
        if person and not secrets:
            secrets = {"cookie": person.cookie}
        both = ["polling", "websocket"]
        transports = both if transport == "upgrade" else [transport]
        sockets.append(Socket())
        return await sockets[-1].connect(app.url, transports=transports, **secrets)

    yield make
    io_loop.run_sync(lambda: close_all(sockets))


@pytest.fixture
def ws(io_loop, app):
    """`await ws(person)`: a connected plain WebSocket on /ws, by bearer token."""
    sockets = []

    async def make(person=None, **secrets):
        if person and not secrets:
            secrets = {"token": person.token}
        socket = await NativeSocket().connect(app.url, **secrets)
        sockets.append(socket)
        return socket

    yield make
    io_loop.run_sync(lambda: close_all(sockets))


@pytest.fixture(params=["websocket", "polling", "ws"])
def any_socket(request, socket, ws):
    """`await any_socket(person)`: the test runs once over each way to be live."""
    if request.param == "ws":
        return ws
    return lambda person: socket(person, request.param)


async def close_all(sockets):
    for socket in sockets:
        await socket.close()


# --- The server in a process of its own ----------------------------------------------


@pytest.fixture
def serve(tmp_path):
    """`serve(*flags)` starts `run.py` on a free port and returns the Served."""
    servers = []

    def start(*flags, data=None, env=None):
        servers.append(Served(data or tmp_path / "served", *flags, env=env))
        return servers[-1].start()

    yield start
    for server in servers:
        if server.process:
            server.stop()


@pytest.fixture
def served(serve):
    """A server with default settings, in a process of its own."""
    return serve()


WHOLE = "/usr/bin/chromium"
# The same engine without windows, and without the question who may use a microphone:
# half of the CPU for a page.
SHELL = shutil.which("chromium-headless-shell") or WHOLE
# One that beeps; whether a page may use it is still asked for.
MICROPHONE = ["--use-fake-device-for-media-stream"]
# Debian's wrapper asks for rasterization by a GPU; there is none to test with.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", *MICROPHONE]


@pytest.fixture(scope="session")
def browser_of():
    """`browser_of(path)`: one for all tests of a worker, or its follower if it died."""
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright().start()
    running = {}  # path -> browser

    def browser_of(path):
        if path not in running or not running[path].is_connected():
            running[path] = playwright.chromium.launch(
                executable_path=path, args=ARGUMENTS
            )
        return running[path]

    yield browser_of
    for browser in running.values():
        browser.close()
    playwright.stop()


@pytest.fixture
def chromium(request, browser_of):
    """Debian's Chromium: `chromium.new_context()`; whole where the mark says so."""
    return browser_of(WHOLE if is_marked(request.node, "microphone") else SHELL)


@pytest.fixture(autouse=True)
def no_loop_runs(request):
    """Until it is stopped Playwright's loop counts as running in this thread.

    It rests in a greenlet of its own, so that other tests may run theirs meanwhile.
    """
    if "chromium" in request.fixturenames:
        yield
        return
    resting = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(resting)
