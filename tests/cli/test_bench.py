"""`run.py bench`: that it measures and counts rightly; how fast is not tested."""

import json
import math
import socket

import pytest

from hai.bench import (
    bare_loop,
    fairness,
    fanout,
    idle,
    pages,
    pictures,
    posts,
    searches,
    storm,
    upload,
)
from hai.bench.bench import Bench
from hai.bench.load import closed_loop
from hai.bench.load.clients import BenchError
from hai.bench.load.stream import FactStream, StreamReader
from hai.bench.load.wire import (
    client_frame,
    next_frame,
    number_of,
    send_hai_frame,
)
from hai.bench.results import Figure, percentile, table
from hai.bench.room import LoadResult
from hai.cli import bench, main
from hai.realtime.wire.frames import frame


def fact(number, rest=""):
    told = {"hai": {"id": number, "text": f"{number} hello{rest}"}}
    text = json.dumps(["hai_sent", told], separators=(",", ":"))
    return frame(b"42" + text.encode())


def hear(reading, data, at_once):
    """Give the data in pieces; return what was none of the stream."""
    others = []
    for start in range(0, len(data), at_once):
        others += reading.read(memoryview(data[start : start + at_once]), 0.0)
    return others


@pytest.mark.parametrize("first_at_once", [1, 7, 10_000])
@pytest.mark.parametrize("at_once", [1, 3, 19, 10_000])
def test_however_the_bytes_come_all_facts_are_counted(first_at_once, at_once):
    stream = FactStream()
    facts = b"".join(fact(number) for number in range(20))
    first, second = StreamReader(stream), StreamReader(stream)
    assert hear(first, facts, first_at_once) == []
    assert hear(second, facts, at_once) == []
    assert stream.numbers == list(range(20))
    assert (second.heard, second.errors) == (20, 0)


@pytest.mark.parametrize("at_once", [1, 5, 10_000])
def test_pings_and_acks_between_facts_are_handed_out(at_once):
    stream = FactStream()
    hear(StreamReader(stream), fact(0) + fact(1) + fact(2), 10_000)
    reading = StreamReader(stream)
    mixed = fact(0) + frame(b"2") + fact(1) + frame(b"430[{}]" * 30) + fact(2)
    assert hear(reading, mixed, at_once) == [b"2", b"430[{}]" * 30]
    assert (reading.heard, reading.errors) == (3, 0)


@pytest.mark.parametrize(
    "heard",
    [
        fact(0) + fact(2),
        fact(0) + fact(0) + fact(1),
        fact(1) + fact(0),
        fact(0) + fact(1, " altered"),
    ],
    ids=["lost", "twice", "swapped", "altered"],
)
def test_what_others_did_not_hear_is_an_error(heard):
    stream = FactStream()
    hear(StreamReader(stream), b"".join(map(fact, range(5))), 10_000)
    reading = StreamReader(stream)
    hear(reading, heard, 10_000)
    assert reading.errors


def test_latency_counts_what_came_together():
    stream = FactStream()
    reading = StreamReader(stream)
    reading.read(memoryview(fact(0) + fact(1)), 1.5)
    reading.read(memoryview(fact(2)), 2.5)
    assert reading.log == [(1.5, 0, 2), (2.5, 2, 3)]


def test_a_hai_carries_its_number():
    sent = send_hai_frame(17, 3, "tag")
    payload = sent[8:]  # two bytes of head, two of length, four of mask
    assert payload.startswith(b'4217["send_hai",{"room_id":3,"client_id":"tag17"')
    assert number_of(payload) == 17


def test_frames_of_all_lengths():
    for size in (0, 125, 126, 70_000):
        whole = frame(b"x" * size)
        assert next_frame(whole, 0) == (len(whole) - size, len(whole))
        assert next_frame(whole[:-1], 0) is None
    assert client_frame(b"3") == b"\x81\x81\0\0\0\x003"


def test_a_figure_knows_its_goal():
    assert Figure("a", "b", 9.9, "us", "<= 10").is_reached
    assert not Figure("a", "b", 9.9, "/s", ">= 10").is_reached
    assert Figure("a", "b", 1, "s").is_reached is None
    assert "reached" in table([Figure("a", "b", 9.9, "us", "<= 10")])
    assert percentile([3, 1, 2], 0.99) == 3
    assert math.isnan(percentile([], 0.5))


def test_the_bare_loop_is_measured():
    listener = socket.create_server(("127.0.0.1", 0))
    clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
    opened = [listener.accept()[0] for _ in range(3)]
    assert bare_loop.send_all(opened, rate=100, seconds=0.1) > 0
    for sock in (*clients, *opened, listener):
        sock.close()


WRK_SAID = """Running 1s test @ http://127.0.0.1:8888/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.64ms    1.05ms  11.75ms   84.05%
    Req/Sec     1.73k   268.49     2.04k    78.18%
  1891 requests in 1.10s, 368.47KB read
"""
WRK_FAILED = """  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 10
"""


def test_what_wrk_says_is_read():
    found = closed_loop.read_report(WRK_SAID, 1.25)
    assert (found.count, found.wrong, found.seconds) == (1891, 0, 1.25)
    assert closed_loop.read_report(WRK_SAID + WRK_FAILED, 1.0).wrong == 13
    with pytest.raises(BenchError):
        closed_loop.read_report("unable to connect", 1.0)


@pytest.fixture
def small(monkeypatch):
    """Every scenario with few people, and for a moment."""
    for module in (fanout, fairness):
        monkeypatch.setattr(module, "MEMBERS", 20)
        monkeypatch.setattr(module, "WARM_S", 0.1)
    monkeypatch.setattr(fanout, "RATES", (100,))
    monkeypatch.setattr(fairness, "BUSY_RATE", 50.0)
    monkeypatch.setattr(searches, "HAIS", 200)
    monkeypatch.setattr(posts, "PAIRS", 3)
    monkeypatch.setattr(posts, "WARM_S", 0.1)
    monkeypatch.setattr(idle, "SOCKETS", 20)
    monkeypatch.setattr(idle, "PING_INTERVAL_S", 0.5)
    monkeypatch.setattr(pictures, "SMALL", 3)
    monkeypatch.setattr(pictures, "LARGE_BYTES", 600_000)
    monkeypatch.setattr(pictures, "WARM_S", 0.1)
    monkeypatch.setattr(upload, "UPLOAD_BYTES", 600_000)
    monkeypatch.setattr(upload, "WARM_S", 0.1)
    monkeypatch.setattr(closed_loop, "WRK", "")
    monkeypatch.setattr(pages, "SEED", {"users": 3, "rooms": 3, "hais": 60})
    monkeypatch.setattr(pages, "FAR_ROOMS", 2)
    monkeypatch.setattr(pages, "UNREAD", 20)
    monkeypatch.setattr(pages, "ROUNDS", 1)
    monkeypatch.setattr(pages, "WARM_S", 0.05)
    monkeypatch.setattr(storm, "SOCKETS", 20)
    monkeypatch.setattr(storm, "LISTENERS", 10)
    monkeypatch.setattr(fairness, "UNREAD", 20)
    monkeypatch.setattr(fairness, "ASKED", 3)


@pytest.mark.parametrize("name", bench.SCENARIOS)
def test_a_scenario_loses_nothing(small, tmp_path, name, capsys):
    report = tmp_path / "figures.json"
    flags = ["--seconds", "0.5", "--json", str(report), "--stock"]
    assert main(["bench", name, *flags, "--data", str(tmp_path / "data")]) == 0
    figures = {f["name"]: f for f in json.loads(report.read_text())["figures"]}
    known = [f["value"] for f in figures.values() if f["value"] is not None]
    assert known and min(known) >= 0  # a busy machine may have no rate that was whole
    for figure_name in figures:
        if "lost" in figure_name or "not caught up" in figure_name:
            assert figures[figure_name]["value"] == 0
    assert "scenario" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


class Ramp:
    """A room whose loads are given: a Load, or what ends the connection."""

    def __init__(self, *loads):
        self.loads = list(loads)

    def load(self, rate, seconds):
        found = self.loads.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def load_of(rate, lost=0, p99_ms=5.0):
    return LoadResult(rate, 10, 10, 10 * int(rate), lost, 0, 1.0, 1.0, p99_ms, 1.0, 1.0)


@pytest.mark.parametrize(
    ("loads", "best"),
    [
        ((load_of(1), load_of(2), BenchError("closed")), 20),
        ((load_of(1), load_of(2, lost=1)), 10),
        ((load_of(1), load_of(2, p99_ms=300.0)), 10),
        ((load_of(1, lost=1),), 0),
        ((BenchError("closed"),), 0),
    ],
)
def test_the_best_rate_is_one_that_was_whole(loads, best):
    """A server that closes connections ends the ramp, and not the report."""
    said = []
    bench_ = Bench(None, None, 1.0, False, said.append)
    found = fanout.raise_rate(bench_, Ramp(*loads))[-1]
    assert found.per_s == best
    assert math.isnan(found.p99_ms) == (best == 0)  # no figure, rather than a good one
    assert len(said) == len(loads)


def test_half_of_the_most_is_a_run_of_its_own():
    held = [load_of(rate) for rate in (100, 200, 400, 600, 800)]
    assert fanout.half_of(held).rate == 400
    assert fanout.half_of(held[:4]).rate == 200
    assert math.isnan(fanout.half_of(held[:1]).p99_ms)


def test_the_report_says_what_was_measured_on_what(tmp_path, small):
    report = tmp_path / "figures.json"
    flags = ["--seconds", "0.2", "--json", str(report)]
    assert main(["bench", "posts", *flags, "--data", str(tmp_path / "data")]) == 0
    said = json.loads(report.read_text())
    assert said["seconds"] == 0.2
    assert said["cores"].keys() == {"server", "generator"}
    assert said["libraries"]["tornado"]
    assert said["sqlite"] >= "3.35"
    assert said["kernel"]
    assert "cpu" in said
