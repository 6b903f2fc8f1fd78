"""A room under load: some members post at a fixed rate, everybody listens.

An open loop: hai number i is meant to be sent at began + i / rate, however slow the
server is, and its latency counts from then.
"""

import math
import time
from dataclasses import dataclass
from itertools import count

from hai.bench.load.clients import (
    BenchError,
    Client,
    ClientPool,
)
from hai.bench.load.stream import FactStream, StreamReader
from hai.bench.load.wire import (
    ACK,
    PONG_FRAME,
    send_hai_frame,
)
from hai.bench.processes import ServerProcess
from hai.bench.results import percentile

DRAIN_S = 30.0  # for what is still on its way when the last hai was sent
SAMPLES = 200_000  # latencies that the percentiles are taken of

_runs = count(1)


@dataclass(frozen=True)
class LoadResult:
    """What one run found. Latencies are of deliveries, in milliseconds."""

    rate: float
    sent: int
    acked: int
    deliveries: int
    lost: int
    wrong: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu_s: float
    generator_cpu_s: float

    @property
    def us_per_delivery(self) -> float:
        return 1e6 * self.server_cpu_s / max(1, self.deliveries)

    @property
    def per_s(self) -> float:
        return self.deliveries / self.seconds

    @property
    def is_whole(self) -> bool:
        """Nothing lost, doubled, altered or out of order."""
        return not self.lost and not self.wrong and self.acked == self.sent

    @property
    def words(self) -> str:
        return (
            f"{self.rate:,.0f} hais/s: {self.per_s:,.0f} deliveries/s,"
            f" {self.us_per_delivery:.2f} us each,"
            f" p50 {self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms, lost {self.lost},"
            f" server {100 * self.server_cpu_s / self.seconds:.0f} %,"
            f" generator {100 * self.generator_cpu_s / self.seconds:.0f} %"
        )


NOTHING = LoadResult(0, 0, 0, 0, 0, 0, 1.0, math.nan, math.nan, 0.0, 0.0)


class LoadedRoom:
    """The members' clients of one room. `rate`s may be tried one after another."""

    def __init__(
        self,
        pool: ClientPool,
        server: ServerProcess,
        clients: list[Client],
        room_id: int,
    ) -> None:
        self.pool = pool
        self.server = server
        self.clients = clients
        self.room_id = room_id

    def prepare(self, senders: int) -> None:
        """A new stream, which all clients are at the beginning of."""
        self.stream = FactStream()
        self.tag = f"{time.time_ns():x}.{next(_runs)}."
        self.senders = self.clients[:: max(1, len(self.clients) // senders)][:senders]
        self.sent = self.acked = self.refused = 0
        self.intended: list[float] = []  # when each hai was meant to be sent
        for client in self.clients:
            client.state = StreamReader(self.stream)
            client.on_data = self.hear

    def hear(self, client: Client, data: memoryview, now_s: float) -> None:
        for payload in client.state.read(data, now_s):
            if payload == b"2":
                client.send(PONG_FRAME)
            elif payload.startswith(ACK):
                self.acked += 1
                self.refused += b'{"error":' in payload
            elif payload[:1] == b"1" or payload.startswith(b"41"):
                raise BenchError("the server ended a session")

    def post_due(self, now_s: float) -> float:
        """Send what should have been sent by now; when the next is due."""
        due = min(self.wanted, int((now_s - self.began_s) * self.rate) + 1)
        while self.sent < due:
            sender = self.senders[self.sent % len(self.senders)]
            sender.send(send_hai_frame(self.sent, self.room_id, self.tag))
            self.intended.append(self.began_s + self.sent / self.rate)
            self.sent += 1
        return self.began_s + self.sent / self.rate

    def begin(self, rate: float, seconds: float, senders: int = 50) -> None:
        self.prepare(senders)
        self.rate, self.seconds = rate, seconds
        self.wanted = int(rate * seconds)
        self.began_s = time.perf_counter()

    def load(self, rate: float, seconds: float, senders: int = 50) -> LoadResult:
        """Post for so long, wait for what is on its way, and count."""
        cpu_s, own_s = self.server.cpu_s, time.process_time()
        self.begin(rate, seconds, senders)
        self.pool.run(self.began_s + seconds, due=self.post_due)
        self.drain()
        ended_s = time.perf_counter()
        self.server_cpu_s = self.server.cpu_s - cpu_s
        return self.result(ended_s, time.process_time() - own_s)

    def drain(self) -> None:
        limit_s = time.perf_counter() + DRAIN_S
        self.pool.run(limit_s, is_done=self.is_drained)

    def is_drained(self) -> bool:
        return self.acked >= self.sent and all(
            client.state.heard >= self.sent for client in self.clients
        )

    def result(self, ended_s: float, generator_cpu_s: float) -> LoadResult:
        deliveries = sum(client.state.heard for client in self.clients)
        latencies = self.latencies_ms()
        return LoadResult(
            rate=self.rate,
            sent=self.sent,
            acked=self.acked - self.refused,
            deliveries=deliveries,
            lost=self.sent * len(self.clients) - deliveries,
            wrong=self.wrong_count(),
            seconds=max(self.seconds, ended_s - self.began_s),
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            server_cpu_s=self.server_cpu_s,
            generator_cpu_s=generator_cpu_s,
        )

    def wrong_count(self) -> int:
        """Facts that differ between members, come twice, or out of order."""
        differing: int = sum(client.state.errors for client in self.clients)
        numbers = self.stream.numbers
        twice = len(numbers) - len(set(numbers))
        last = [-1] * len(self.senders)  # of each sender
        swapped = 0
        for number in numbers:
            sender = number % len(self.senders)
            swapped += number < last[sender]
            last[sender] = number
        return differing + twice + swapped

    def latencies_ms(self) -> list[float]:
        """A sample over all members and all of the time."""
        deliveries = sum(client.state.heard for client in self.clients)
        step = max(1, deliveries // SAMPLES)
        times = [self.intended[number] for number in self.stream.numbers]
        found, skip = [], 0
        for client in self.clients:
            for heard_s, first, end in client.state.log:
                for index in range(first + skip, end, step):
                    found.append(1000 * (heard_s - times[index]))
                skip = (skip - (end - first)) % step
        return found
