"""Pages and other answers over HTTP, each beside stock Tornado with the same bytes.

Hai and the peer run on the same core and are asked in turn, so that whatever else the
machine does falls on both. A `share` is the peer's CPU time for one answer by Hai's:
how many of its requests Hai answers in the same time. The peer has no sessions, no
permissions and no database, and draws nothing.
"""

import asyncio
import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from hai import config
from hai.app import open_core
from hai.bench.bench import RUN, Bench
from hai.bench.community import Community, add_talk, make
from hai.bench.load import closed_loop
from hai.bench.load.clients import BenchError
from hai.bench.processes import ServerProcess
from hai.bench.results import Figure
from hai.core.identity import sessions
from hai.storage import rooms as room_rows
from hai.storage.writer import Transaction

SEED = {"users": 20, "rooms": 10, "hais": 2000}  # what `run.py seed` makes
FAR_ROOMS = 32
UNREAD = 1000  # hais in each of them
ROUNDS = 4
WARM_S = 0.3
COMMON_WORD = "the"
PAGE = {"Accept": "text/html"}
ZIPPED = {"Accept-Encoding": "gzip"}


class PageReaders(NamedTuple):
    """Tokens: of a member of all seeded rooms; of one who has read both of their rooms;
    of one who is behind in 32 rooms. room_id: where all three are."""

    member: str
    near: str
    far: str
    room_id: int


@dataclass(frozen=True)
class Question:
    """goal: of its share. is_beside_hello: the peer greets, instead of handing out the
    same bytes."""

    name: str
    path: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    goal: str = ""
    is_beside_hello: bool = False

    @property
    def all_headers(self) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return bearer | self.headers


@dataclass
class Cost:
    """What one server's answers have cost so far."""

    answers: int = 0
    cpu_s: float = 0.0
    seconds: float = 0.0
    wrong: int = 0

    def ask(
        self, server: ServerProcess, path: str, headers: dict[str, str], seconds: float
    ) -> None:
        cpu_s = server.cpu_s
        found = closed_loop.ask(server.port, path, headers, seconds)
        self.cpu_s += server.cpu_s - cpu_s
        self.answers += found.count
        self.seconds += found.seconds
        self.wrong += found.wrong

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.cpu_s / max(1, self.answers)

    @property
    def words(self) -> str:
        return f"{self.answers / self.seconds:,.0f}/s, {self.cpu_us:,.0f} us"


def run(bench: Bench) -> list[Figure]:
    bench.say(closed_loop.words())
    community, readers = _make(bench.folder / "pages")
    questions = _questions(readers)
    with bench.serve(community) as server:
        bodies = [_fetch(server.port, question) for question in questions]
        with _serve_stock(bench, bodies) as stock:
            figures, wrong = [], 0
            for number, question in enumerate(questions):
                cost, peer = _compare(bench, server, stock, question, number)
                wrong += cost.wrong + peer.wrong
                figures += _figures(question, cost, peer, bodies[number])
        figures += _compare_readers(bench, server, readers)
    figures.append(_measure_cold(bench, community, questions[0]))
    return [*figures, Figure("pages", "lost or refused", wrong, "", "<= 0")]


def _questions(readers: PageReaders) -> list[Question]:
    room = f"/rooms/{readers.room_id}"
    token = readers.member
    hais = f"/api/v1{room}/hais"
    search = f"/search?q={COMMON_WORD}"
    return [
        Question("a room's page", room, token, PAGE, ">= 0.5"),
        Question("a room's page, gzip", room, token, PAGE | ZIPPED, ">= 0.5"),
        Question("a room's hais", hais, token, {}, ">= 0.9", True),
        Question("a search", search, token, PAGE, ">= 0.3"),
        Question("/healthz", "/healthz", goal=">= 0.75", is_beside_hello=True),
    ]


def _compare(
    bench: Bench,
    server: ServerProcess,
    stock: ServerProcess,
    question: Question,
    number: int,
) -> tuple[Cost, Cost]:
    """Of Hai and of the peer, asked in turn."""
    stock_path = "/" if question.is_beside_hello else f"/pages/{number}"
    asked = [(server, question.path, question.all_headers), (stock, stock_path, {})]
    for warming in asked:
        Cost().ask(*warming, WARM_S)
    costs = [Cost(), Cost()]
    for _ in range(ROUNDS):
        for cost, one in zip(costs, asked, strict=True):
            cost.ask(*one, bench.seconds / 2 / ROUNDS)
    peer = "greets" if question.is_beside_hello else "has the same bytes"
    bench.say(f"{question.name}: {costs[0].words}; stock {peer}: {costs[1].words}")
    return costs[0], costs[1]


def _figures(question: Question, cost: Cost, peer: Cost, body: bytes) -> list[Figure]:
    name = question.name
    share = peer.cpu_us / cost.cpu_us if cost.cpu_s else 0.0
    return [
        Figure("pages", f"{name}: share of stock", share, "", question.goal),
        Figure("pages", f"{name}: CPU", cost.cpu_us, "us"),
        Figure("pages", f"{name}: size", len(body) / 1000, "KB"),
    ]


def _compare_readers(
    bench: Bench, server: ServerProcess, readers: PageReaders
) -> list[Figure]:
    """The same room's page, for somebody who is far behind in others."""
    costs = {name: Cost() for name in ("near", "far")}
    for seconds in (WARM_S, *[bench.seconds / 2 / ROUNDS] * ROUNDS):
        for name, cost in costs.items():
            asked = Question("", "", getattr(readers, name), PAGE).all_headers
            cost.ask(server, f"/rooms/{readers.room_id}", asked, seconds)
    near, far = costs["near"], costs["far"]
    bench.say(f"two rooms read: {near.words}; {FAR_ROOMS} rooms behind: {far.words}")
    ratio = far.cpu_us / near.cpu_us if near.cpu_s else 0.0
    name = f"{FAR_ROOMS} rooms with {UNREAD:,} unread : two rooms read"
    return [Figure("pages", name, ratio, "", "<= 1.5")]


def _measure_cold(bench: Bench, community: Community, question: Question) -> Figure:
    """The CPU time of a page of which nothing is kept."""
    cost = Cost()
    with bench.serve(community, "--cache-bytes", "0") as server:
        for one in (Cost(), cost):
            one.ask(server, question.path, question.all_headers, bench.seconds / 2)
    bench.say(f"{question.name}, nothing kept: {cost.words}")
    name = f"{question.name}, nothing kept: CPU"
    return Figure("pages", name, cost.cpu_us, "us")


def _fetch(port: int, question: Question) -> bytes:
    """The body as it comes. Raises BenchError if it is not a good one."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", question.path, headers=question.all_headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    is_zipped = answer.getheader("Content-Encoding") == "gzip"
    text = gzip.decompress(body) if is_zipped else body
    if answer.status != 200 or not text:
        raise BenchError(f"{question.name}: {answer.status}")
    if is_zipped != ("Accept-Encoding" in question.headers):
        raise BenchError(f"{question.name}: compressed, or not")
    return body


def _serve_stock(bench: Bench, bodies: Sequence[bytes]) -> ServerProcess:
    held = bench.folder / "bodies.json"
    texts = [base64.b64encode(body).decode() for body in bodies]
    held.write_text(json.dumps(texts))
    return bench.start(["-m", "hai.bench.peers.stock_pages", str(held)])


# --- The community -------------------------------------------------------------------


def _make(folder: Path) -> tuple[Community, PageReaders]:
    """Seeded rooms with a member of all, two more readers, and who wrote to one."""
    community = make(folder, people=4)
    seed = [f"--{name}={count}" for name, count in SEED.items()]
    subprocess.run(
        [sys.executable, *RUN, "seed", "--data", str(folder), *seed],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    rooms = asyncio.run(_rearrange(folder, community.tokens))
    for room_id in rooms[1:]:
        add_talk(community, room_id, [f"Old news {n}" for n in range(UNREAD)])
    _, member, near, far = community.tokens
    return community, PageReaders(member, near, far, rooms[0])


async def _rearrange(folder: Path, tokens: Sequence[str]) -> list[int]:
    """Ids of the busiest room, and of those in which one reader will be behind."""
    async with open_core(config.load({"data": str(folder)}, {})) as core:
        found = [sessions.find(core, token) for token in tokens]
        ids = [who.user_id for who in found if who is not None]
        return await core.db.write(_add_readers, *ids)


def _add_readers(
    tx: Transaction, author_id: int, member_id: int, near_id: int, far_id: int
) -> list[int]:
    """(writer thread)"""
    seeded = sorted(room_rows.of_user(member_id))
    for user_id, kept in ((near_id, seeded[:2]), (far_id, seeded[:1])):
        for room_id in seeded:
            if room_id in kept:
                room_rows.mark_read(tx, room_id, user_id, tx.next_rev())
            else:
                room_rows.end_membership(tx, room_id, user_id)
    new = [room_rows.insert(tx, "closed", name=f"Far {n}") for n in range(FAR_ROOMS)]
    for room_id in new:
        for user_id in (author_id, far_id):
            room_rows.begin_membership(tx, room_id, user_id)
        room_rows.touch(tx, room_id)
    return [seeded[0], *new]
