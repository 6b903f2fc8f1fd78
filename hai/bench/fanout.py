"""One room of a thousand: what a delivery costs, and how many there can be.

At 50 hais a second the cost of one delivery, beside a bare loop of `send(2)` to as
many sockets; then the rate is raised for as long as p99 stays below 250 ms. How long a
delivery takes while there is room to spare is read off at half of the most.
"""

from hai.bench import bare_loop
from hai.bench.bench import Bench
from hai.bench.community import make
from hai.bench.load.clients import BenchError, ClientPool
from hai.bench.results import Figure
from hai.bench.room import NOTHING, LoadedRoom, LoadResult

MEMBERS = 1000
QUIET_RATE = 50.0  # hais a second
STOCK_RATE = 5.0  # it is overloaded at 10
RATES = (
    *(100, 200, 400, 600, 800, 1000, 1250, 1500, 2000, 2500, 3000, 3500, 4000),
    *(5000, 6000, 7000, 8000, 10000),
)
MAX_P99_MS = 250.0
WARM_S = 1.0


def run(bench: Bench) -> list[Figure]:
    community = make(bench.folder / "fanout", people=MEMBERS, members=MEMBERS)
    bare_us = measure_bare(bench)
    bench.say(f"bare send(2): {bare_us:.2f} us")
    with bench.serve(community) as server, ClientPool(server.port) as pool:
        clients = pool.connect(community.tokens)
        room = LoadedRoom(pool, server, clients, community.room_id)
        room.load(QUIET_RATE, WARM_S)
        quiet = room.load(QUIET_RATE, bench.seconds)
        bench.say(quiet.words)
        held = raise_rate(bench, room)
    most = held[-1]
    half = half_of(held)
    figures = [
        Figure(
            "fanout", "CPU per delivery at 50/s", quiet.us_per_delivery, "us", "<= 10"
        ),
        Figure("fanout", "bare send(2)", bare_us, "us"),
        Figure("fanout", "ratio", quiet.us_per_delivery / bare_us, "", "<= 1.6"),
        Figure("fanout", "p99 at 50/s", quiet.p99_ms, "ms"),
        Figure("fanout", "lost or wrong at 50/s", quiet.lost + quiet.wrong, "", "<= 0"),
        Figure("fanout", "most within 250 ms", most.per_s, "/s", ">= 2500000"),
        Figure("fanout", "p99 there", most.p99_ms, "ms", "<= 250"),
        Figure("fanout", "CPU per delivery there", most.us_per_delivery, "us"),
        Figure("fanout", "p99 at half of that", half.p99_ms, "ms", "<= 25"),
        Figure("fanout", "CPU per delivery then", half.us_per_delivery, "us"),
    ]
    return figures + (measure_stock(bench) if bench.with_stock else [])


def raise_rate(bench: Bench, room: LoadedRoom) -> list[LoadResult]:
    """The runs in which nothing was lost and p99 stayed below the limit, the most last.

    NOTHING if there was none. A server that closes connections has been given too
    much: that is the end, too.
    """
    held: list[LoadResult] = []
    for rate in RATES:
        try:
            load = room.load(rate, bench.seconds)
        except BenchError as end:
            bench.say(f"{rate:,.0f} hais/s: {end}")
            break
        bench.say(load.words)
        if not load.is_whole or load.p99_ms > MAX_P99_MS:
            break
        held.append(load)
    return held or [NOTHING]


def half_of(held: list[LoadResult]) -> LoadResult:
    """The run nearest to half of the most, not above it; NOTHING if there is none."""
    fitting = [load for load in held if load.rate <= held[-1].rate / 2]
    return fitting[-1] if fitting else NOTHING


def measure_bare(bench: Bench) -> float:
    """Microseconds of CPU per send, to sockets that this process reads."""
    numbers = [str(MEMBERS), str(QUIET_RATE), str(min(bench.seconds, 5.0))]
    command = ["-m", "hai.bench.bare_loop", *numbers]
    with bench.start(command) as server, ClientPool(server.port):
        assert server.process.stdout is not None
        return bare_loop.read_all(server.port, MEMBERS, server.process.stdout)


def measure_stock(bench: Bench) -> list[Figure]:
    command = ["-m", "hai.bench.stock"]
    with bench.start(command) as server, ClientPool(server.port) as pool:
        clients = pool.connect([""] * MEMBERS)
        room = LoadedRoom(pool, server, clients, 1)
        room.load(STOCK_RATE, WARM_S)
        load = room.load(STOCK_RATE, bench.seconds)
    bench.say(f"stock, {load.words}")
    name = "stock python-socketio, CPU per delivery at 5/s"
    return [Figure("fanout", name, load.us_per_delivery, "us")]
