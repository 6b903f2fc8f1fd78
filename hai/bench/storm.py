"""The server is started again and ten thousand clients come back at once.

All of them try from the moment that the new process begins, with as many
connections under way as there are clients; the time is over when each has connected,
asked for what it missed, and has got it.
"""

import json
import time

from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import Client, ClientPool
from hai.bench.load.wire import (
    ACK,
    PONG_FRAME,
    order_frame,
)
from hai.bench.results import Figure
from hai.bench.room import LoadedRoom

SOCKETS = 10_000  # all in one room, in which they missed something
LISTENERS = 50  # of them, there when it was said
MISSED = 5
ANSWER_S = 30.0


class Reconnection:
    """Clients that come back at a rev and ask until there is no more."""

    def __init__(self, rev: int, epoch: str) -> None:
        self.since = {"since_rev": rev, "epoch": epoch}
        self.caught_up = 0
        self.hais = 0

    def begin(self, client: Client) -> None:
        client.on_data = self.hear
        client.send(order_frame(1, "get_changes", self.since))

    def hear(self, client: Client, data: memoryview, now_s: float) -> None:
        for payload in client.payloads(data):
            if payload.startswith(ACK):
                changes = json.loads(payload[payload.index(b"[") :])[0]
                self._take(client, changes)
            elif payload == b"2":
                client.send(PONG_FRAME)

    def _take(self, client: Client, changes: dict[str, object]) -> None:
        hais = changes["hais"]
        assert isinstance(hais, list)
        self.hais += len(hais)
        if changes["has_more"]:
            again = self.since | {"since_rev": changes["rev"]}
            client.send(order_frame(1, "get_changes", again))
        else:
            self.caught_up += 1


def run(bench: Bench) -> list[Figure]:
    community = make(bench.folder / "storm", people=SOCKETS, members=SOCKETS)
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        clients = pool.connect(community.tokens[:LISTENERS])
        room = LoadedRoom(pool, server, clients, community.room_id)
        missed = room.load(MISSED, 1.0, senders=1).sent
        first = json.loads(
            bytes(room.stream.told[room.stream.told.index(b"[") : room.stream.ends[0]])
        )
        back = Reconnection(first[1]["hai"]["rev"] - 1, epoch_of(pool, clients[0]))
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        pool.connect(
            community.tokens,
            at_once=SOCKETS,
            on_ready=back.begin,
            is_done=lambda: back.caught_up == SOCKETS,
        )
        seconds = time.perf_counter() - server.began_s
        cpu_s = server.cpu_s
    lost = SOCKETS * missed - back.hais
    bench.say(
        f"{seconds:.1f} s, {1e6 * cpu_s / SOCKETS:.0f} us of CPU each, lost {lost}"
    )
    return [
        Figure("storm", f"{SOCKETS:,} at once, all caught up", seconds, "s", "<= 10"),
        Figure("storm", "CPU per client", 1e6 * cpu_s / SOCKETS, "us"),
        Figure("storm", "hais not caught up with", lost, "", "<= 0"),
    ]


def epoch_of(pool: ClientPool, client: Client) -> str:
    """The database's, as every page has it: clients come back with it."""
    heard: list[bytes] = []
    client.on_data = lambda client, data, now_s: heard.extend(client.payloads(data))
    client.send(order_frame(1, "get_changes", {"since_rev": 0, "limit": 1}))
    pool.run(time.perf_counter() + ANSWER_S, is_done=lambda: bool(heard))
    return str(json.loads(heard[0][heard[0].index(b"[") :])[0]["epoch"])
