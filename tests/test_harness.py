"""The harness itself: what the other tests lean on must be able to fail."""

import ast
import logging
from pathlib import Path

import pytest

from tests.conftest import LogKeeper
from tests.factories import make_hai

TESTS = Path(__file__).parent


async def test_a_member_hears_a_hai_and_a_stranger_to_the_room_does_not(
    any_socket, core, cast
):
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    hai = await make_hai(core, cast.ada, cast.lab, "for the lab only")
    assert (await grace.fact("hai_sent"))["hai"] == hai
    await linus.settle()
    assert linus.named("hai_sent") == []


async def test_an_order_is_acked_on_every_transport(any_socket, cast):
    ada = await any_socket(cast.ada)
    order = {"room_id": cast.lounge["id"], "text": "hai!", "client_id": "one"}
    ack = await ada.order("send_hai", order)
    assert ada.named("hai_sent") == [ack]


async def test_an_upgraded_socket_hears_everything_once(socket, core, cast):
    grace = await socket(cast.grace, "upgrade")
    for number in range(20):
        await make_hai(core, cast.ada, cast.lounge, f"number {number}")
    await grace.settle()
    texts = [fact["hai"]["text"] for fact in grace.named("hai_sent")]
    assert texts == [f"number {number}" for number in range(20)]


async def test_a_client_is_who_it_says_it_is(client, cast):
    for who in (client(cast.ada), client(cast.ada, bearer=True)):
        assert (await who.get("/api/v1/me")).json["user"]["name"] == "ada"
    stranger = await client().get("/api/v1/me")
    assert (stranger.status, stranger.code) == (401, "unauthorized")


async def test_a_form_with_a_picture_is_sent(client, cast):
    ada = client(cast.ada)
    path = f"/api/v1/rooms/{cast.lounge['id']}/hais"
    answer = await ada.post(path, files=[], form={"text": "by form"})
    assert answer.status == 201
    assert answer.json["hai"]["text"] == "by form"


def kept(*messages, expected=()):
    keeper = LogKeeper()
    keeper.expected.extend(expected)
    for message in messages:
        record = logging.LogRecord("hai", logging.WARNING, "", 0, message, None, None)
        keeper.handle(record)
    return keeper.problems()


@pytest.mark.parametrize(
    ("messages", "expected", "count"),
    [
        ([], [], 0),
        (["stray"], [], 1),
        (["known", "known"], ["kno.n"], 0),
        (["known", "stray"], ["known"], 1),
        ([], ["known"], 1),
    ],
)
def test_stray_lines_and_missing_lines_are_problems(messages, expected, count):
    assert len(kept(*messages, expected=expected)) == count


def asserts_only(function):
    """Whether it asserts, and returns nothing that its caller could look at."""
    inside = [node for statement in function.body for node in walk_own(statement)]
    returns = (ast.Return, ast.Yield, ast.YieldFrom)
    has_value = any(isinstance(n, returns) and n.value is not None for n in inside)
    return any(isinstance(n, ast.Assert) for n in inside) and not has_value


def walk_own(node):
    """A statement without the functions and classes defined in it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk_own(child)


def test_a_helper_that_asserts_says_so_in_its_name():
    """One that returns something may guard what it was given to start from."""
    named = ("test_", "assert_", "check_", "expect_", "must_", "wait_for_")
    silent = [
        f"{path.relative_to(TESTS)}:{one.lineno} {one.name}"
        for path in TESTS.rglob("*.py")
        for one in ast.parse(path.read_text()).body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        and asserts_only(one)
        and not one.name.startswith(named)
    ]
    assert silent == []
