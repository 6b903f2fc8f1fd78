"""Two people talk quietly beside a room of a thousand at half of its load, then beside
one who floods the server with searches (searches.py)."""

import time

from hai.bench import searches
from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import ClientPool
from hai.bench.results import Figure
from hai.bench.room import LoadedRoom

MEMBERS = 1000
BUSY_RATE = 500.0  # half of a million deliveries a second
QUIET_RATE = 20.0
WARM_S = 1.0


def run(bench: Bench) -> list[Figure]:
    return [*beside_a_busy_room(bench), *searches.run(bench)]


def beside_a_busy_room(bench: Bench) -> list[Figure]:
    community = make(
        bench.folder / "fairness", people=MEMBERS + 2, members=MEMBERS, pairs=1
    )
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        clients = pool.connect(community.tokens)
        busy = LoadedRoom(pool, server, clients[:MEMBERS], community.room_id)
        quiet = LoadedRoom(pool, server, clients[MEMBERS:], community.pair_room_ids[0])
        busy.load(BUSY_RATE, WARM_S)
        cpu_s, own_s = server.cpu_s, time.process_time()
        busy.begin(BUSY_RATE, bench.seconds)
        quiet.begin(QUIET_RATE, bench.seconds, senders=2)
        pool.run(
            busy.began_s + bench.seconds,
            due=lambda now_s: min(busy.post_due(now_s), quiet.post_due(now_s)),
        )
        busy.drain()
        quiet.drain()
        busy.server_cpu_s = quiet.server_cpu_s = server.cpu_s - cpu_s
    ended_s = time.perf_counter()
    own_s = time.process_time() - own_s
    loads = [room.result(ended_s, own_s) for room in (busy, quiet)]
    bench.say(f"busy, {loads[0].words}")
    bench.say(f"quiet pair: p50 {loads[1].p50_ms:.1f} ms, p99 {loads[1].p99_ms:.1f} ms")
    wrong = sum(load.lost + load.wrong for load in loads)
    return [
        Figure("fairness", "p99 of a quiet pair", loads[1].p99_ms, "ms", "<= 50"),
        Figure("fairness", "p99 of the busy room", loads[0].p99_ms, "ms"),
        Figure("fairness", "lost or wrong", wrong, "", "<= 0"),
    ]
