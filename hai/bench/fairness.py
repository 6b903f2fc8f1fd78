"""Two people talk quietly beside a room of a thousand at half of its load, then beside
one who floods the server with searches (searches.py). And what one who has been away
for long costs whenever they ask for their rooms."""

import http.client
import math
import time

from hai.bench import searches
from hai.bench.bench import Bench
from hai.bench.community import add_talk, make
from hai.bench.load.clients import BenchError, ClientPool
from hai.bench.processes import ServerProcess
from hai.bench.results import Figure
from hai.bench.room import LoadedRoom

MEMBERS = 1000
BUSY_RATE = 500.0  # half of a million deliveries a second
QUIET_RATE = 20.0
WARM_S = 1.0
PAIRS = 32  # rooms of each of two persons
UNREAD = 1_000  # in each of them, for one of the two
ASKED = 400  # times


def run(bench: Bench) -> list[Figure]:
    return [*beside_a_busy_room(bench), *searches.run(bench), *far_behind(bench)]


def far_behind(bench: Bench) -> list[Figure]:
    """The one who has sent everything has read it, too."""
    community = make(bench.folder / "behind", people=2, rooms=PAIRS)
    for room_id in community.room_ids:
        add_talk(community, room_id, ["The sea is calm tonight."] * UNREAD)
    with bench.serve(community) as server:
        ask_for_rooms(server, community.tokens[0])
        near_us, far_us = [ask_for_rooms(server, one) for one in community.tokens]
    bench.say(f"list of {PAIRS} rooms: {near_us:.0f} us, far behind {far_us:.0f} us")
    return [
        Figure("fairness", f"list of {PAIRS} rooms, all read", near_us, "us"),
        Figure("fairness", f"{UNREAD:,} unread in each", far_us, "us"),
        Figure("fairness", "ratio", far_us / (near_us or math.nan), "", "<= 1.5"),
    ]


def ask_for_rooms(server: ServerProcess, token: str) -> float:
    """Microseconds of CPU for each answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    cpu_s = server.cpu_s
    for _ in range(ASKED):
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", "/api/v1/rooms", headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise BenchError(f"the list of rooms: {answer.status}")
    connection.close()
    return 1e6 * (server.cpu_s - cpu_s) / ASKED


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
