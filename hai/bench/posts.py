"""Fifty people write to fifty others, the next hai after the ack of the last.

A closed loop. Each hai is synced to disk, indexed, acked, and heard by both.
"""

import time

from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import Client, ClientPool
from hai.bench.load.wire import (
    ACK,
    PONG_FRAME,
    SENT,
    number_of,
    send_hai_frame,
)
from hai.bench.results import Figure, percentile

PAIRS = 50
WARM_S = 1.0
DRAIN_S = 30.0  # for the acks of what was sent last


class WriterAndReader:
    """A writer, a reader, and what each has heard of the writer's hais."""

    def __init__(self, room_id: int, tag: str) -> None:
        self.room_id = room_id
        self.tag = tag
        self.sent = self.acked = 0
        self.heard = [0, 0]  # by the writer, by the reader
        self.wrong = 0
        self.sent_s = 0.0
        self.latencies_s: list[float] = []
        self.is_stopping = False

    def post(self, writer: Client) -> None:
        self.sent_s = time.perf_counter()
        writer.send(send_hai_frame(self.sent, self.room_id, self.tag))
        self.sent += 1

    def write(self, writer: Client, data: memoryview, now_s: float) -> None:
        for payload in writer.payloads(data):
            if payload.startswith(ACK):
                self.wrong += b'{"error":' in payload or self.heard[0] != self.sent
                self.acked += 1
                self.latencies_s.append(now_s - self.sent_s)
                if not self.is_stopping:
                    self.post(writer)
            else:
                self._take(writer, payload, 0)

    def read(self, reader: Client, data: memoryview, now_s: float) -> None:
        for payload in reader.payloads(data):
            self._take(reader, payload, 1)

    def _take(self, client: Client, payload: bytes, who: int) -> None:
        if payload.startswith(SENT):
            self.wrong += number_of(payload) != self.heard[who]
            self.heard[who] += 1
        elif payload == b"2":
            client.send(PONG_FRAME)

    @property
    def is_drained(self) -> bool:
        return self.acked == self.sent and self.heard == [self.sent, self.sent]


def run(bench: Bench) -> list[Figure]:
    community = make(bench.folder / "posts", people=2 * PAIRS, pairs=PAIRS)
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        clients = pool.connect(community.tokens)
        pairs = [
            WriterAndReader(room_id, f"p{time.time_ns():x}.")
            for room_id in community.pair_room_ids
        ]
        for number, pair in enumerate(pairs):
            writer, reader = clients[2 * number], clients[2 * number + 1]
            writer.on_data, reader.on_data = pair.write, pair.read
            pair.post(writer)
        pool.run(time.perf_counter() + WARM_S)
        for pair in pairs:
            pair.latencies_s.clear()
        cpu_s, own_s, began_s = server.cpu_s, time.process_time(), time.perf_counter()
        pool.run(began_s + bench.seconds)
        seconds = time.perf_counter() - began_s
        cpu_s, own_s = server.cpu_s - cpu_s, time.process_time() - own_s
        latencies = [1000 * s for pair in pairs for s in pair.latencies_s]
        for pair in pairs:
            pair.is_stopping = True
        pool.run(
            time.perf_counter() + DRAIN_S,
            is_done=lambda: all(p.is_drained for p in pairs),
        )
    missing = sum(not pair.is_drained for pair in pairs)
    acked = len(latencies)
    bench.say(
        f"{acked / seconds:,.0f} acked/s, {1e6 * cpu_s / acked:.0f} us each,"
        f" server {100 * cpu_s / seconds:.0f} %,"
        f" generator {100 * own_s / seconds:.0f} %"
    )
    return [
        Figure("posts", "acked", acked / seconds, "/s", ">= 8000"),
        Figure("posts", "CPU per hai", 1e6 * cpu_s / acked, "us", "<= 125"),
        Figure("posts", "p50 of the ack", percentile(latencies, 0.5), "ms"),
        Figure("posts", "p99 of the ack", percentile(latencies, 0.99), "ms"),
        Figure(
            "posts", "lost or wrong", missing + sum(p.wrong for p in pairs), "", "<= 0"
        ),
    ]
