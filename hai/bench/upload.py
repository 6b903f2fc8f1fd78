"""One person uploads a very large picture; two others talk meanwhile."""

import threading
import time
from dataclasses import dataclass

from hai.bench import gallery
from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import BenchError, ClientPool
from hai.bench.load.http import LatencyProbe, upload
from hai.bench.processes import ServerProcess
from hai.bench.quiet import QuietPair
from hai.bench.results import Figure, percentile
from hai.units import MIB

UPLOAD_BYTES = 500 * 1024 * 1024
WARM_S = 1.0
LONGEST_S = 300.0


@dataclass(frozen=True)
class UploadResult:
    seconds: float
    cpu_s: float
    rss_kib: int  # more than before, at most

    @property
    def mib_per_s(self) -> float:
        return UPLOAD_BYTES / MIB / self.seconds

    @property
    def cpu_ms(self) -> float:
        """For one MiB."""
        return 1e3 * self.cpu_s / (UPLOAD_BYTES / MIB)

    @property
    def words(self) -> str:
        return (
            f"{self.mib_per_s:.0f} MiB/s, {self.cpu_ms:.2f} ms of CPU per MiB,"
            f" RSS +{self.rss_kib / 1024:.1f} MiB"
        )


class UploadThread(threading.Thread):
    """The upload, in a thread that mostly waits for the kernel."""

    def __init__(self, server: ServerProcess, path: str, token: str = "") -> None:
        super().__init__()
        self.server = server
        self.path, self.token = path, token
        self.answer = ""
        self.before_kib = server.rss_kib
        server.forget_peak()
        self.cpu_s, self.began_s = server.cpu_s, time.perf_counter()

    def run(self) -> None:
        pieces = gallery.png(UPLOAD_BYTES)
        self.answer = upload(
            self.server.port, self.path, self.token, pieces, UPLOAD_BYTES
        )
        self.ended_s = time.perf_counter()

    def result(self) -> UploadResult:
        self.join()
        if " 201 " not in self.answer:
            raise BenchError(self.answer)
        return UploadResult(
            self.ended_s - self.began_s,
            self.server.cpu_s - self.cpu_s,
            max(0, self.server.rss_peak_kib - self.before_kib),
        )


def run(bench: Bench) -> list[Figure]:
    community = make(bench.folder / "upload", people=4, pairs=2)
    path = f"/rooms/{community.pair_room_ids[0]}/pictures"
    limit = ("--max-picture-bytes", str(2 * UPLOAD_BYTES))
    with bench.serve(community, *limit) as server, ClientPool(server.port) as pool:
        pair = QuietPair(pool, server, community)
        pair.begin()
        pool.run(time.perf_counter() + WARM_S, due=pair.due)
        pair.end()
        pair.begin()
        sending = UploadThread(server, path, community.tokens[0])
        sending.start()
        pool.run(
            time.perf_counter() + LONGEST_S,
            due=pair.due,
            is_done=lambda: not sending.is_alive(),
        )
        arrived = sending.result()
        pair.end()
    bench.say(f"{arrived.words}, others' p99 {pair.p99_ms:.1f} ms")
    figures = [
        Figure("upload", "in", arrived.mib_per_s, "MiB/s"),
        Figure("upload", "CPU per MiB", arrived.cpu_ms, "ms"),
        Figure("upload", "memory for it", arrived.rss_kib / 1024, "MiB", "<= 8"),
        Figure("upload", "p99 of a quiet pair", pair.p99_ms, "ms", "<= 50"),
        Figure("upload", "lost or wrong", pair.wrong, "", "<= 0"),
    ]
    return figures + (run_stock(bench) if bench.with_stock else [])


def run_stock(bench: Bench) -> list[Figure]:
    command = ["-m", "hai.bench.stock_pictures", str(bench.folder / "stock.db")]
    with bench.start(command) as server:
        asking = LatencyProbe(server.port, "/")
        asking.start()
        sending = UploadThread(server, "/pictures")
        sending.start()
        arrived = sending.result()
        latency_ms = percentile(asking.stop(), 0.99)
    bench.say(f"stock: {arrived.words}, others' p99 {latency_ms:.1f} ms")
    return [
        Figure("upload", "stock in", arrived.mib_per_s, "MiB/s"),
        Figure("upload", "stock CPU per MiB", arrived.cpu_ms, "ms"),
        Figure("upload", "stock memory for it", arrived.rss_kib / 1024, "MiB"),
        Figure("upload", "stock p99 of a small request", latency_ms, "ms"),
    ]
