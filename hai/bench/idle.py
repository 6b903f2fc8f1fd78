"""Ten thousand people who say nothing: memory per socket, CPU of the heartbeat."""

import time

from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import ClientPool
from hai.bench.results import Figure

SOCKETS = 10_000
PING_INTERVAL_S = 25.0  # the default setting: one round of pings and pongs


def run(bench: Bench) -> list[Figure]:
    with bench.serve(make(bench.folder / "empty", people=1)) as server:
        empty_mib = server.rss_kib / 1024
    community = make(bench.folder / "idle", people=SOCKETS)
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        pool.connect(community.tokens[:1])  # what is loaded once
        before_kib = server.rss_kib
        pool.connect(community.tokens[1:])
        pool.run(time.perf_counter() + 1.0)
        kib = (server.rss_kib - before_kib) / (SOCKETS - 1)
        cpu_s, began_s = server.cpu_s, time.perf_counter()
        pool.run(began_s + PING_INTERVAL_S)
        percent = 100 * (server.cpu_s - cpu_s) / (time.perf_counter() - began_s)
    bench.say(f"{kib:.1f} KiB per socket, {percent:.1f} % CPU")
    return [
        Figure("idle", "memory per socket", kib, "KiB", "<= 12"),
        Figure("idle", "memory of an empty server", empty_mib, "MiB", "<= 45"),
        Figure("idle", "CPU of a round of pings", percent, "%", "<= 2"),
    ]
