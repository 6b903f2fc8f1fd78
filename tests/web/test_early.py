"""What is answered ahead of its handler is, to the byte, what the handler answers."""

import asyncio
import gzip
import re

import pytest

from hai.core.rate_limits import Buckets
from hai.web.routes import API_ROUTES, ROUTES, early_rules
from tests.core.pictures.test_stored import upload
from tests.core.talk.test_hai_cache import every_order
from tests.factories import make_hai, order
from tests.pictures import picture

# What differs from one answer to the next of the same handler.
DIFFERING = (
    re.compile(rb'(?<=name="client_id" autocomplete="off" value=")[^"]+'),
    re.compile(rb"(?<=\r\nDate: )[^\r]+"),
    re.compile(rb"(?<=; expires=)[^;]+"),
)
GREETINGS = {
    "plain": [],
    "a browser": ["Accept: text/html,*/*;q=0.8", "Accept-Encoding: gzip, deflate, br"],
    "a program": ["Accept: application/json", "Accept-Encoding: identity"],
    "no gzip": ["Accept: text/html", "Accept-Encoding: gzip;q=0"],
    "it ends": ["Connection: close"],
    "from elsewhere": ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"],
    "through a proxy": ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"],
    "a range": ["Range: bytes=0-9", 'If-None-Match: "x"'],
    "an empty body": ["Content-Length: 0"],
    "a body": ["Content-Length: 3", "", "a=b"],
    "a bad scheme": ["Authorization: Basic YTpi"],
    "a bad bearer": ["Authorization: Bearer nonsense"],
    "two hosts": ["Host: other.example"],
}


def credentials(person, kind):
    """Header lines by which a person is known, or hopes to be."""
    cookies = {
        "cookie": f"hai_session={person.cookie}",
        "among others": f"a=b; hai_session={person.cookie}; hai_room=1",
        "twice": f"hai_session=x; hai_session={person.cookie}",
        "twice, the other way": f"hai_session={person.cookie}; hai_session=x",
        "another": f"xhai_session={person.cookie}",
        "quoted": f'hai_session="{person.cookie}"',
    }
    if kind in ("bearer", "Basic"):
        return [f"Authorization: {kind} {person.token}"]
    return [f"Cookie: {cookies[kind]}"] if kind in cookies else []


KINDS = ("none", "cookie", "among others", "twice", "twice, the other way", "another")
KINDS += ("quoted", "bearer", "Basic")


class BothWays:
    """Asks over sockets of its own, with and without early answers."""

    def __init__(self, app):
        self.app = app
        self.early_count = 0

    async def compare(self, path, *lines, method="GET", version="1.1"):
        """Three times, as the second may find what the first has kept."""
        request = [f"{method} {path} HTTP/{version}", "Host: hai.example", *lines]
        bytes_ = "\r\n".join([*request, "", ""]).encode()
        self.app.web.early_rules = []
        wanted = await self.ask(bytes_)
        self.app.web.early_rules = early_rules()
        for _ in range(2):
            found = await self.ask(bytes_)
            assert found == wanted, f"{method} {path} {lines}"
        return wanted

    async def ask(self, request):
        """(head, its lines in order, and body) without what differs."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.app.port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        has_body = length and not request.startswith(b"HEAD")
        body = await reader.readexactly(int(length[1])) if has_body else b""
        writer.close()
        if b"\r\nContent-Encoding: gzip" in head and body:
            body = gzip.decompress(body)
        for pattern in DIFFERING:
            head, body = pattern.sub(b"", head + b"\r\n"), pattern.sub(b"", body)
        if b"\r\nContent-Encoding: gzip" in head:  # it depends on the client_id
            head = re.sub(rb"(?<=\r\nContent-Length: )\d+", b"", head)
        return sorted(head.split(b"\r\n")), body


@pytest.fixture
def both(app, cast, monkeypatch):
    """Counts what was answered early, to know that anything was."""
    asking = BothWays(app)
    log_request = app.web.log_request

    def count(handler):
        asking.early_count += type(handler).__name__ == "EarlyRequest"
        log_request(handler)

    monkeypatch.setattr(app.web, "log_request", count)
    return asking


def every_path(room_id, hai_id):
    """Each route once, with ids that are there, and some that are not."""
    paths = [route.path for route in (*ROUTES, *API_ROUTES)]
    for path in dict.fromkeys(paths):
        path = re.sub(r"\{(code|token)\}", "x" * 43, path)
        path = path.replace("{hai_id}", str(hai_id))
        yield re.sub(r"\{\w+\}", str(room_id), path)
    hais = f"/api/v1/rooms/{room_id}/hais"
    yield from (f"{hais}?limit={limit}" for limit in (1, 40, 100, 101, 0, "x"))
    yield from (
        f"{hais}?before={hai_id}",
        f"{hais}?limit=2&before={hai_id}",
    )
    yield from (f"/rooms/{room_id}?done=saved", f"/rooms/{room_id}?around={hai_id}")
    yield from ("/rooms/9007199254740993", f"/rooms/{room_id}/", f"//rooms/{room_id}")
    yield from ("/healthz?x=y", "/healthz/", "/rooms/0", "/api/v1/rooms/999999/hais")


# They say something else each time.
COUNTING = {"/metrics", "/admin", "/settings/second_factor"}
WITHOUT_LIMITS = pytest.mark.parametrize("config_flags", [{"rate_limits": "off"}])


async def test_every_route_is_answered_alike_both_ways(core, cast, both):
    hai = await make_hai(core, cast.ada, cast.lab, "*hai* ü")
    paths = list(every_path(cast.lab["id"], hai["id"]))
    assert len(paths) > 60
    for path in paths:
        if path in COUNTING:
            continue
        await both.compare(path, *GREETINGS["a browser"])
        for person in (cast.ada, cast.linus):
            lines = [*credentials(person, "cookie"), *GREETINGS["a browser"]]
            await both.compare(path, *lines)
    assert both.early_count > 10


EARLY_PATHS = ("/rooms/{id}", "/api/v1/rooms/{id}/hais", "/healthz")


@WITHOUT_LIMITS
@pytest.mark.parametrize("path", EARLY_PATHS)
async def test_however_it_is_asked_it_is_answered_alike(core, cast, both, path):
    await make_hai(core, cast.ada, cast.lab, "hai")
    path = path.format(id=cast.lab["id"])
    for kind in KINDS:
        for lines in GREETINGS.values():
            await both.compare(path, *credentials(cast.grace, kind), *lines)
    for method in ("HEAD", "POST", "PUT", "OPTIONS", "NONSENSE"):
        await both.compare(path, *credentials(cast.grace, "cookie"), method=method)
    for lines in ([], ["Connection: keep-alive"]):
        lines = [*credentials(cast.grace, "cookie"), *lines]
        await both.compare(path, *lines, version="1.0")
    assert both.early_count >= 30


PLACES = [
    {"public_url": "https://hai.example"},
    {"public_url": "http://hai.example", "hsts": "off"},
    {"public_url": "https://elsewhere.example", "hsts": "subdomains"},
    {"second_factor": "all"},
    {},
]
HTTPS = [["X-Forwarded-Proto: https"], ["X-Forwarded-Proto: http"], []]
AGENT = "Accept: text/html,*/*;q=0.8"


def prefixed(token):
    """Cookie headers of browsers that have come by https, and by http before."""
    for prefix in ("__Host-", "__Secure-", ""):
        yield f"{prefix}hai_session={token}"
        yield f"{prefix}hai_session=h.{token}"
        yield f"hai_room=1; {prefix}hai_session={token}; __Host-hai_room=2"
    yield f"hai_session=x; __Host-hai_session={token}"
    yield f"__Host-hai_session={token}; hai_session={token}"
    yield f"__Secure-hai_session={token};__Host-hai_session=x"
    yield f"__Other-hai_session={token}"


@pytest.mark.parametrize(
    "config_flags",
    [
        {"rate_limits": "off", "trusted_proxies": "127.0.0.1"} | place
        for place in PLACES
    ],
)
@pytest.mark.parametrize("path", EARLY_PATHS)
async def test_by_https_and_for_another_host_it_is_answered_alike(
    core, cast, both, path
):
    """The cookies' names, the session behind an old one, HSTS, and whose host it is."""
    await make_hai(core, cast.ada, cast.lab, "hai")
    path = path.format(id=cast.lab["id"])
    for cookie in prefixed(cast.grace.cookie):
        for proxied in HTTPS:
            await both.compare(path, f"Cookie: {cookie}", *proxied, AGENT)
    for host in ("other.example", "127.0.0.1"):
        lines = [f"X-Forwarded-Host: {host}", *credentials(cast.grace, "bearer")]
        await both.compare(path, *lines, *HTTPS[0])
    is_ours = "elsewhere" not in core.config.public_url or path == "/healthz"
    assert bool(both.early_count) is is_ours
    if core.config.second_factor == "all" and path != "/healthz":
        early_count = both.early_count
        await both.compare(path, f"Cookie: hai_session={cast.grace.cookie}", AGENT)
        assert both.early_count == early_count


@WITHOUT_LIMITS
async def test_after_every_order_it_is_answered_alike(core, cast, both):
    first = await make_hai(core, cast.ada, cast.lab, "first")
    shown = await upload(core, cast.ada, cast.lab, picture())
    payloads = await every_order(core, cast, cast.lab, first, shown)
    for name, payload in payloads.items():
        await order(core, cast.ada, name, payload)
        for path in EARLY_PATHS:
            path = path.format(id=cast.lab["id"])
            for person in (cast.ada, cast.grace, cast.linus):
                lines = [*credentials(person, "bearer"), "Accept: text/html"]
                await both.compare(path, *lines)
    assert both.early_count >= len(payloads) * 8


async def test_who_has_left_gets_no_early_answer(core, cast, client, both):
    """Neither a member who was removed, nor a session that was ended."""
    await make_hai(core, cast.ada, cast.lounge, "among us")
    path = f"/api/v1/rooms/{cast.lounge['id']}/hais"
    linus, grace = client(cast.linus), client(cast.grace)
    for _ in range(2):
        assert "among us" in (await linus.get(path)).text
        assert "among us" in (await grace.get(path)).text
    assert both.early_count >= 2
    await order(core, cast.linus, "leave_room", {"room_id": cast.lounge["id"]})
    assert (await linus.get(path)).status == 403
    await grace.post("/sign_out", form={})
    assert (await grace.get(path)).status == 401


def counted(app, status):
    """Answers with this status so far, as the metrics have them."""
    line = f'hai_http_requests_total{{status="{status}"}} '
    _, _, rest = app.web.metrics.text().partition(line)
    return int(rest.split("\n")[0] or 0)


async def test_early_answers_count_like_all_others(app, core, cast, client, both):
    """In the metrics, and among the orders of who asks."""
    await make_hai(core, cast.ada, cast.lab)
    app.web.orders = Buckets(1e-9, 5, is_on=True)
    before = counted(app, 200)
    grace, path = client(cast.grace), f"/api/v1/rooms/{cast.lab['id']}/hais"
    answers = [await grace.get(path) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert both.early_count == 4  # all good ones but the first, which was read
    assert counted(app, 200) == before + 5
    assert counted(app, 429) == 2


async def test_an_answer_that_fails_goes_to_its_handler(app, both, client, expect_log):
    def fail(request):
        raise ValueError("a defect")

    app.web.early_rules = [(re.compile("/healthz"), fail)]
    expect_log("no early answer to /healthz")
    assert (await client().get("/healthz")).json["status"] == "ok"
    assert both.early_count == 0
