"""Two people who talk beside what is measured: how long it lets them wait."""

from hai.bench.community import Community
from hai.bench.load.clients import ClientPool
from hai.bench.processes import ServerProcess
from hai.bench.results import percentile
from hai.bench.room import LoadedRoom

RATE = 20.0
LONGEST_S = 600.0


class QuietPair:
    """The last pair of a community, talking for as long as somebody else is busy."""

    def __init__(
        self, pool: ClientPool, server: ServerProcess, community: Community
    ) -> None:
        clients = pool.connect(community.tokens[-2:])
        self.room = LoadedRoom(pool, server, clients, community.pair_room_ids[-1])

    def begin(self) -> None:
        self.room.begin(RATE, LONGEST_S, senders=2)

    def due(self, now_s: float) -> float:
        return self.room.post_due(now_s)

    def end(self) -> None:
        """What was sent must still arrive."""
        self.room.wanted = self.room.sent
        self.room.drain()

    @property
    def p99_ms(self) -> float:
        return percentile(self.room.latencies_ms(), 0.99)

    @property
    def wrong(self) -> int:
        heard: int = sum(client.state.heard for client in self.room.clients)
        lost = self.room.sent * len(self.room.clients) - heard
        return lost + self.room.wrong_count()
