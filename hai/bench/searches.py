"""One member searches all the time: how long others wait for hais and for pages.

Half of the scenario `fairness`. What is searched for is in none of the hais, and no
index helps to know that: every search looks at all of them, or until its time is over.
"""

import time
from dataclasses import dataclass
from urllib.parse import quote

from hai.bench.bench import Bench
from hai.bench.community import add_talk, make
from hai.bench.load.clients import ClientPool
from hai.bench.load.http import SteadyRequests
from hai.bench.quiet import QuietPair
from hai.bench.results import Figure, percentile

HAIS = 60_000
SEARCH_RATE = 20.0
READ_RATE = 20.0
DRAIN_S = 60.0  # for searches that were not refused
TEXT = "The sea is calm tonight, the tide is full"
# Eleven words that are in each of them, and one in a script without spaces.
QUERY = "T e s i c a l m t o \u9b5a"


@dataclass(frozen=True)
class Latencies:
    """p99 in milliseconds, of who does not search."""

    hais_ms: float
    reads_ms: float


class SearchFlood:
    """Two who talk, one of them who reads, and one who searches."""

    def __init__(
        self,
        pool: ClientPool,
        pair: QuietPair,
        reads: SteadyRequests,
        flood: SteadyRequests,
    ) -> None:
        self.pool, self.pair, self.reads, self.flood = pool, pair, reads, flood
        self.wrong = 0

    def waits(self, seconds: float, *, is_flooded: bool) -> Latencies:
        """Of those seconds."""
        self.pair.begin()
        self.reads.begin()
        self.flood.begin()
        busy = [self.pair.due, self.reads.due, *[self.flood.due] * is_flooded]
        self.pool.run(
            time.perf_counter() + seconds,
            due=lambda now_s: min(due(now_s) for due in busy),
        )
        self._drain()
        self.wrong += self.pair.wrong + self.reads.refused
        return Latencies(self.pair.p99_ms, percentile(self.reads.latencies_ms, 0.99))

    def _drain(self) -> None:
        self.pair.end()
        self.pool.run(
            time.perf_counter() + DRAIN_S,
            is_done=lambda: self.reads.is_answered and self.flood.is_answered,
        )
        self.wrong += self.reads.asked - self.reads.answered


def run(bench: Bench) -> list[Figure]:
    community = make(bench.folder / "searches", people=4, pairs=2)
    talk_id, pair_id = community.pair_room_ids
    add_talk(community, talk_id, [f"{TEXT} {number}" for number in range(HAIS)])
    searcher, reader = community.tokens[0], community.tokens[-1]
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        pair = QuietPair(pool, server, community)
        page = f"/api/v1/rooms/{pair_id}/hais?limit=40"
        reads = SteadyRequests(pool, page, reader, READ_RATE)
        flood = SteadyRequests(pool, f"/search?q={quote(QUERY)}", searcher, SEARCH_RATE)
        attack = SearchFlood(pool, pair, reads, flood)
        attack.waits(bench.seconds / 5, is_flooded=False)
        quiet = attack.waits(bench.seconds, is_flooded=False)
        flooded = attack.waits(bench.seconds, is_flooded=True)
    bench.say(_words("alone", quiet))
    bench.say(_words(f"beside {SEARCH_RATE:.0f} searches/s", flooded))
    bench.say(
        f"searches: p50 {percentile(flood.latencies_ms, 0.5):.0f} ms,"
        f" {flood.refused} of {flood.asked} refused"
    )
    return [
        Figure("fairness", "p99 of hais beside searches", flooded.hais_ms, "ms"),
        _ratio("hais", flooded.hais_ms, quiet.hais_ms),
        Figure("fairness", "p99 of reads beside searches", flooded.reads_ms, "ms"),
        _ratio("reads", flooded.reads_ms, quiet.reads_ms),
        Figure("fairness", "lost or refused beside searches", attack.wrong, "", "<= 0"),
    ]


def _words(when: str, waits: Latencies) -> str:
    return f"{when}: p99 of hais {waits.hais_ms:.1f} ms, reads {waits.reads_ms:.1f} ms"


def _ratio(what: str, beside_ms: float, alone_ms: float) -> Figure:
    name = f"p99 of {what} beside searches : alone"
    return Figure("fairness", name, beside_ms / alone_ms, "", "<= 2")
