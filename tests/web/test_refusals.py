"""Bad input: answered at once, with a stable code, and nothing kept of it."""

import asyncio
import json
import resource

import pytest

from hai.web.application import SERVER_OPTIONS
from tests.factories import make_hai

BIG = 50 * 1024 * 1024
MIB = 1024 * 1024
MAX_HEADER_BYTES = SERVER_OPTIONS["max_header_size"]


async def talk(app, head, body=b"", *, repeat=1, lines=None):
    """Send raw bytes; returns (status, answer's body, bytes that were taken)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode() + b"\r\n\r\n")
    taken = 0
    try:
        for _ in range(repeat):
            writer.write(body)
            taken += len(body)
            await asyncio.wait_for(writer.drain(), 60)
    except (ConnectionError, TimeoutError):
        pass
    answer = b""
    try:
        answer = await asyncio.wait_for(reader.read(65536), 60)
    except ConnectionError:
        pass
    writer.close()
    status = int(answer.split(b" ", 2)[1]) if answer else 0
    return status, answer.partition(b"\r\n\r\n")[2], taken


def head_of(method, path, length, token="", kind="application/octet-stream"):
    lines = [f"{method} {path} HTTP/1.1", "Host: hai", f"Content-Length: {length}"]
    lines.append(f"Content-Type: {kind}")
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join(lines)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/rooms", 413),
        ("/rooms/1", 413),
        ("/sign_in", 413),
        ("/direct", 413),
        ("/rooms/1/hais", 413),
        ("/api/v1/rooms", 413),
        ("/api/v1/rooms/1/hais", 413),
        ("/rooms/1/pictures", 413),  # no multipart: it takes no pictures
        ("/healthz", 405),
        ("/pictures/1", 413),
        ("/search", 405),
        ("/settings", 413),
        ("/eliza", 405),
    ],
)
async def test_50_mb_to_what_takes_none_is_refused_and_not_kept(
    app, cast, path, status
):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = head_of("POST", path, BIG, cast.ada.token)
    got, body, _ = await talk(app, head, bytes(MIB), repeat=50)
    assert got == status
    assert json.loads(body)["error"]["code"] in (
        "not_found",
        "too_large",
        "bad_request",
    )
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 8 * 1024


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ws", 405),
        ("/socket.io/?EIO=4&transport=polling", 400),
        ("/manifest.webmanifest", 413),
        ("/static/css/base.css", 413),
    ],
)
async def test_50_mb_to_a_socket_or_a_file_are_not_kept(
    app, cast, client, path, status
):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = head_of("POST", path, BIG, cast.ada.token)
    got, body, _ = await talk(app, head, bytes(MIB), repeat=50)
    assert got == status
    assert json.loads(body)["error"]["code"] in ("bad_request", "too_large")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024
    assert (await client().get("/healthz")).status == 200


@pytest.mark.parametrize(
    "path", ["/rooms", "/nowhere", "/rooms/1/pictures", "/sign_in"]
)
async def test_a_stranger_is_refused_at_the_headers(app, cast, path):
    """No byte of the body is sent, and the answer comes."""
    status, _, _ = await talk(app, head_of("POST", path, BIG))
    assert status in (401, 404, 413)


async def test_a_body_without_a_length_is_bounded_too(app, cast):
    head = (
        "POST /rooms HTTP/1.1\r\nHost: hai\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: Bearer {cast.ada.token}"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, _, _ = await talk(
        app, head, b"10000\r\n" + bytes(65536) + b"\r\n", repeat=800
    )
    assert status == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "1, 2", "9" * 30, "9" * 5000])
async def test_a_length_that_is_none_is_refused(app, cast, length):
    status, _, _ = await talk(app, head_of("POST", "/rooms", length, cast.ada.token))
    assert status in (400, 413)


async def test_headers_without_end_are_cut_off(app, expect_log):
    head = "GET / HTTP/1.1\r\nHost: hai\r\n" + "X: y\r\n" * 20_000
    status, _, _ = await talk(app, head)
    assert status in (0, 400, 431)


@pytest.mark.parametrize("end", ["", "\r\n\r\n"])
async def test_headers_that_are_too_long_are_answered(app, end):
    """By one byte, so that all is read, and no reset takes the answer back."""
    head = "GET /rooms HTTP/1.1\r\nHost: hai\r\nCookie: "
    head += "x" * (MAX_HEADER_BYTES + 1 - len(head) - len(end)) + end
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 431 ")
    assert json.loads(answer.partition("\r\n\r\n")[2])["error"]["code"] == "too_large"


async def test_a_chunk_without_a_length_is_not_called_a_long_header(app, cast):
    head = (
        "POST /rooms HTTP/1.1\r\nHost: hai\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: Bearer {cast.ada.token}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode() + b"1" * 100)
    assert b" 431 " not in await reader.read()
    writer.close()


async def test_others_are_answered_while_somebody_sends_slowly(app, client, cast):
    head = head_of("POST", "/rooms", 100, cast.ada.token)
    _, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode() + b"\r\n\r\nab")
    assert (await client(cast.grace).get("/rooms")).status == 200
    writer.close()


@pytest.mark.parametrize(
    ("method", "path", "payload"),
    [
        ("POST", "/rooms", {"name": 7, "kind": "open"}),
        ("POST", "/rooms", {"name": "x", "kind": "direct"}),
        ("POST", "/rooms", {"name": "x" * 81, "kind": "open"}),
        ("POST", "/rooms", {"name": "x", "kind": "open", "member_ids": "all"}),
        ("POST", "/rooms", {"name": ["x"], "kind": "open"}),
        ("POST", "/rooms/{lounge}", {}),
        ("POST", "/rooms/{lounge}", {"topic": 7}),
        ("POST", "/rooms/{lounge}/hais", {"text": 7}),
        (
            "POST",
            "/rooms/{lounge}/hais",
            {"text": "x", "client_id": ""} | {"reply_to": "x"},
        ),
        ("POST", "/rooms/{lounge}/hais", {"text": "x", "reply_to": True}),
        ("POST", "/rooms/{lounge}/hais", {"text": "x", "reply_to": 2**53}),
        ("POST", "/rooms/{lounge}/hais", {"text": "x", "picture_ids": {"a": 1}}),
        ("POST", "/rooms/{lounge}/hais", {"text": "x", "picture_ids": [1, 1]}),
        ("POST", "/rooms/{lounge}/hais", {"text": "\u0000"}),
        ("POST", "/rooms/{lounge}/members", {"user_id": 1.5}),
        ("POST", "/rooms/{lounge}/members", {"user_id": None}),
        ("POST", "/direct", {}),
        ("POST", "/direct", {"user_ids": []}),
        ("POST", "/settings", {"display_name": 7}),
        ("POST", "/settings", {"display_name": "\u202eada"}),
        ("POST", "/settings/password", {"old_password": 7, "password": 8}),
        ("POST", "/sign_in", {"name": {}, "password": []}),
        ("POST", "/api/v1/rooms/{lounge}/read", {"hai_id": "x"}),
        ("POST", "/api/v1/hais/{hai}", {}),
        ("POST", "/api/v1/hais/{hai}", {"text": ""}),
        ("POST", "/api/v1/hais/{hai}/reactions", {"emoji": "not an emoji"}),
    ],
)
async def test_wrong_types_and_missing_fields(
    core, client, cast, method, path, payload
):
    hai = await make_hai(core, cast.ada, cast.lounge)
    path = path.format(lounge=cast.lounge["id"], hai=hai["id"])
    answer = await client(cast.ada).post(path, json=payload)
    assert (answer.status, answer.code) == (400, "bad_request"), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/hais/999999/delete",
        "/api/v1/hais/999999/reactions",
        "/api/v1/rooms/999999/read",
        "/rooms/999999/members/1/remove",
        "/rooms/999999/hais",
        "/rooms/999999/join",
        "/pictures/999999/discard",
        "/settings/sessions/999999/end",
    ],
)
async def test_unknown_ids_are_not_found(client, cast, path):
    payload = {"text": "x", "emoji": "🌊", "hai_id": 1}
    assert (await client(cast.ada).post(path, json=payload)).code == "not_found"


async def test_other_peoples_hais_are_theirs(core, client, cast):
    theirs = await make_hai(core, cast.grace, cast.lounge, "mine")
    path = f"/api/v1/hais/{theirs['id']}"
    browser = client(cast.linus)
    assert (await browser.post(path, json={"text": "x"})).code == "forbidden"
    assert (await browser.post(f"{path}/delete", json={})).code == "forbidden"


async def test_text_of_4000_characters_passes_and_4001_do_not(client, cast):
    path = f"/rooms/{cast.lounge['id']}/hais"
    fits = await client(cast.ada).post(path, json={"text": "𝄞" * 4000})
    assert fits.status == 201
    for way in (path, "/api/v1" + path):
        long = await client(cast.ada).post(way, json={"text": "x" * 4001})
        assert (long.status, long.code) == (422, "text_too_long")


@pytest.mark.parametrize(
    "path",
    [
        "/%ff",
        "/rooms/%00",
        "/rooms/../../etc/passwd",
        "/static/../hai/app.py",
        "/%2e%2e/",
    ],
)
async def test_strange_paths_are_not_found(client, cast, path):
    answer = await client(cast.ada).get(path)
    assert answer.status in (400, 404)
    assert "Traceback" not in answer.text


async def test_a_strange_query_is_no_trouble(client, cast):
    for query in ("done=%ff", "q=%00", "next=%0d%0aX:y", "a=" + "b" * 5000):
        assert (await client(cast.ada).get(f"/search?{query}")).status == 200


async def test_who_waits_for_our_word_gets_one_answer_only(app, cast):
    """Not the refusal and then, for all that, "100 Continue"."""
    head = head_of("POST", "/rooms", BIG, cast.ada.token) + "\r\nExpect: 100-continue"
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode() + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.count(b"HTTP/1.1") == 1


async def test_who_may_send_is_told_to_go_on(app, cast):
    body = b'{"name": "Pier", "kind": "open"}'
    head = head_of("POST", "/rooms", len(body), cast.ada.token, "application/json")
    head += "\r\nExpect: 100-continue\r\nAccept: application/json"
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(head.encode() + b"\r\n\r\n")
    assert b"100" in await asyncio.wait_for(reader.readline(), 60)
    writer.write(body)
    await reader.readline()
    assert b" 201 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


@pytest.mark.parametrize("path", ["/sign_in", "/sign_out", "/setup", "/join"])
async def test_of_a_stranger_little_is_held(client, cast, path):
    answer = await client().post(path, form={"name": "x" * 17_000})
    assert answer.status in (404, 413)
