"""Pictures are looked at: thumbnails as fast as they come, then large ones.

Closed loops on kept connections: a few people who scroll, then a few who open large
pictures. Two others talk meanwhile. Every byte is compared with what was stored.
"""

import time
from dataclasses import dataclass

from hai.bench import gallery
from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import ClientPool
from hai.bench.load.http import (
    DownloadLoop,
    LatencyProbe,
    get_request,
)
from hai.bench.processes import ServerProcess
from hai.bench.quiet import QuietPair
from hai.bench.results import Figure, percentile
from hai.units import MIB

SMALL = 100  # pictures with a thumbnail: a room that somebody scrolls through
THUMBNAIL_BYTES = 30 * 1024
LARGE_BYTES = 32 * 1024 * 1024
SCROLLING = 8  # connections
LOOKING = 4
WARM_S = 0.5

Requests = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class DownloadResult:
    """What one phase found. rss_kib: how much more than before it was, at most."""

    answers_per_s: float
    mib_per_s: float
    cpu_us: float  # for one answer
    cpu_ms: float  # for one MiB
    rss_kib: int
    wrong: int

    @property
    def words(self) -> str:
        return (
            f"{self.answers_per_s:,.0f}/s, {self.mib_per_s:,.0f} MiB/s,"
            f" {self.cpu_us:,.0f} us each, {self.cpu_ms:.2f} ms/MiB,"
            f" RSS +{self.rss_kib / 1024:.1f} MiB"
        )


def run(bench: Bench) -> list[Figure]:
    community = make(bench.folder / "pictures", people=4, pairs=2)
    sizes = {"thumbnail_bytes": THUMBNAIL_BYTES, "large_bytes": LARGE_BYTES}
    ids, large_id = gallery.fill(community, small=SMALL, **sizes)
    token = community.tokens[0]
    paths = [f"/pictures/{id_}?size=thumbnail" for id_ in ids]
    small, large = wanted(paths, f"/pictures/{large_id}", token)
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        pair = QuietPair(pool, server, community)
        pair.begin()
        scroll = measure(bench, pool, server, small, SCROLLING, pair)
        pair.end()
        scroll_ms, wrong = pair.p99_ms, pair.wrong
        pair.begin()
        open_large = measure(bench, pool, server, large, LOOKING, pair)
        pair.end()
    bench.say(f"thumbnails: {scroll.words}, others' p99 {scroll_ms:.1f} ms")
    bench.say(f"large: {open_large.words}, others' p99 {pair.p99_ms:.1f} ms")
    wrong += pair.wrong + scroll.wrong + open_large.wrong
    figures = [
        Figure("pictures", "thumbnails", scroll.answers_per_s, "/s", ">= 1000"),
        Figure("pictures", "CPU per thumbnail", scroll.cpu_us, "us"),
        Figure("pictures", "memory for thumbnails", scroll.rss_kib / 1024, "MiB"),
        Figure("pictures", "p99 of a quiet pair beside them", scroll_ms, "ms", "<= 50"),
        Figure("pictures", "large pictures", open_large.mib_per_s, "MiB/s"),
        Figure("pictures", "CPU per MiB", open_large.cpu_ms, "ms"),
        Figure("pictures", "memory for them", open_large.rss_kib / 1024, "MiB", "<= 8"),
        Figure("pictures", "p99 of a quiet pair then", pair.p99_ms, "ms", "<= 50"),
        Figure("pictures", "lost or wrong", wrong, "", "<= 0"),
    ]
    return figures + (run_stock(bench) if bench.with_stock else [])


def wanted(
    paths: list[str], large_path: str, token: str = ""
) -> tuple[Requests, Requests]:
    small = [
        (get_request(path, token), gallery.thumbnail(number, THUMBNAIL_BYTES))
        for number, path in enumerate(paths)
    ]
    whole = b"".join(gallery.png(LARGE_BYTES))
    return small, [(get_request(large_path, token), whole)]


def measure(
    bench: Bench,
    pool: ClientPool,
    server: ServerProcess,
    wanted: Requests,
    connections: int,
    pair: QuietPair | None = None,
) -> DownloadResult:
    due = pair.due if pair else None
    before_kib = server.rss_kib
    server.forget_peak()
    getters = [
        DownloadLoop(pool, wanted, number * len(wanted) // connections)
        for number in range(connections)
    ]
    pool.run(time.perf_counter() + WARM_S, due=due)
    answers = sum(getter.answers for getter in getters)
    byte_count = sum(getter.byte_count for getter in getters)
    cpu_s, began_s = server.cpu_s, time.perf_counter()
    pool.run(began_s + bench.seconds, due=due)
    seconds, cpu_s = time.perf_counter() - began_s, server.cpu_s - cpu_s
    answers = sum(getter.answers for getter in getters) - answers
    byte_count = sum(getter.byte_count for getter in getters) - byte_count
    for getter in getters:
        getter.is_stopping = True
    pool.run(
        time.perf_counter() + 60,
        due=due,
        is_done=lambda: all(getter.is_done for getter in getters),
    )
    return DownloadResult(
        answers_per_s=answers / seconds,
        mib_per_s=byte_count / MIB / seconds,
        cpu_us=1e6 * cpu_s / max(1, answers),
        cpu_ms=1e3 * cpu_s / (byte_count / MIB),
        rss_kib=max(0, server.rss_peak_kib - before_kib),
        wrong=sum(getter.wrong + (not getter.is_done) for getter in getters),
    )


def run_stock(bench: Bench) -> list[Figure]:
    sizes = [str(SMALL), str(THUMBNAIL_BYTES), str(LARGE_BYTES)]
    folder = str(bench.folder / "stock.db")
    command = ["-m", "hai.bench.stock_pictures", folder, *sizes]
    paths = [f"/pictures/{number}" for number in range(1, SMALL + 1)]
    small, large = wanted(paths, f"/pictures/{SMALL + 1}")
    results, latencies = [], []
    with bench.start(command) as server:
        for asked, connections in ((small, SCROLLING), (large, LOOKING)):
            with ClientPool(server.port) as pool:
                asking = LatencyProbe(server.port, "/")
                asking.start()
                results.append(measure(bench, pool, server, asked, connections))
                latencies.append(percentile(asking.stop(), 0.99))
    bench.say(
        f"stock, thumbnails: {results[0].words}, others' p99 {latencies[0]:.1f} ms"
    )
    bench.say(f"stock, large: {results[1].words}, others' p99 {latencies[1]:.1f} ms")
    return [
        Figure("pictures", "stock thumbnails", results[0].answers_per_s, "/s"),
        Figure("pictures", "stock CPU per thumbnail", results[0].cpu_us, "us"),
        Figure("pictures", "stock large pictures", results[1].mib_per_s, "MiB/s"),
        Figure("pictures", "stock CPU per MiB", results[1].cpu_ms, "ms"),
        Figure("pictures", "stock memory for them", results[1].rss_kib / 1024, "MiB"),
        Figure("pictures", "stock p99 of a small request then", latencies[1], "ms"),
    ]
