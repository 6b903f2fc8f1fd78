"""Pings in time, on a clock that never jumps."""

import asyncio
import time

import pytest

from hai.realtime.wire import heartbeat


class Member:
    slot = None

    def __init__(self, due_s):
        self.due_s = due_s
        self.visits = []

    def on_due(self, now_s):
        self.visits.append(now_s)
        return self.due_s if now_s < self.due_s else None


class Clock:
    """The part of a loop that a wheel needs; the test says when time passes."""

    def __init__(self):
        self.now_s = 1000.0
        self.calls = []

    def time(self):
        return self.now_s

    def call_at(self, when_s, act):
        self.calls.append((when_s, act))
        return self.calls[-1]

    def call_later(self, pause_s, act):
        return self.call_at(self.now_s + pause_s, act)

    def pass_until(self, until_s):
        """What is due on the way is called when it is due."""
        while due := [call for call in self.calls if call[0] <= until_s]:
            call = min(due, key=lambda one: one[0])
            self.calls.remove(call)
            self.now_s = max(self.now_s, call[0])
            call[1]()
        self.now_s = until_s


@pytest.fixture
def clock():
    return Clock()


def test_the_wheel_visits_in_time(clock):
    wheel = heartbeat.TimerWheel(clock, 0.6)
    members = [Member(1000 + delay / 100) for delay in range(0, 40, 3)]
    for member in members:
        wheel.add(member, member.due_s)
    gone = Member(1000.2)
    wheel.add(gone, gone.due_s)
    wheel.remove(gone)
    clock.pass_until(1001)
    assert (wheel.count, clock.calls) == (0, [])  # and it has stopped turning
    assert gone.visits == []
    for member in members:
        assert 0 <= member.visits[-1] - member.due_s < 2 * wheel.tick_s


def test_a_loop_that_was_held_up_visits_all_that_it_missed(clock):
    """In the order in which they were due, with turns of the loop between them."""
    wheel = heartbeat.TimerWheel(clock, 0.6)
    members = [Member(1000 + delay / 10) for delay in range(1, 6)]
    for member in members:
        wheel.add(member, member.due_s)
    clock.now_s = 1010  # nothing was called all the while
    order = []
    while not all(member.visits for member in members):
        assert len(clock.calls) == 1  # the next turn is a call of its own
        clock.calls.pop()[1]()
        order += [one for one in members if one.visits and one not in order]
    assert order == members


def test_many_who_are_due_at_once_are_visited_in_parts(clock):
    """Others run between them; who leaves or moves meanwhile comes once at most."""
    wheel = heartbeat.TimerWheel(clock, 0.6)
    members = [Member(1000.1) for _ in range(100)]
    for member in members:
        wheel.add(member, member.due_s)
    clock.now_s = 1000.2

    def turn():
        clock.calls.pop()[1]()
        return [one for one in members if not one.visits]

    while len(unvisited := turn()) == 100:
        pass
    assert len(unvisited) == 100 - heartbeat.VISITS_A_TURN
    gone, moved = unvisited[:2]
    wheel.remove(gone)
    wheel.remove(moved)
    wheel.add(moved, 1000.3)
    while len(turn()) > 2:
        pass
    assert (gone.visits, moved.visits) == ([], [])
    clock.pass_until(1001)
    assert [len(one.visits) for one in members if one is not gone] == [1] * 99
    assert (wheel.count, clock.calls) == (0, [])


def test_a_deadline_beyond_the_wheel_is_kept(clock):
    wheel = heartbeat.TimerWheel(clock, 0.6)  # reaches two and a half seconds
    member = Member(1006)
    wheel.add(member, member.due_s)
    clock.pass_until(1007)
    assert len(member.visits) == 3
    assert 0 <= member.visits[-1] - member.due_s < 2 * wheel.tick_s


async def test_one_bad_member_stops_nobody(io_loop, expect_log):
    class Bad(Member):
        def on_due(self, now_s):
            raise RuntimeError("broken")

    expect_log("a heartbeat failed")
    loop = asyncio.get_running_loop()
    wheel = heartbeat.TimerWheel(loop, 0.3)
    good, bad = Member(loop.time()), Bad(0)
    wheel.add(bad, loop.time())
    wheel.add(good, loop.time())
    while not good.visits:
        await asyncio.sleep(0.01)
    assert bad.slot is not None  # it is looked at again
    wheel.remove(bad)
    assert wheel.count == 0


class TestPings:
    @pytest.fixture
    def config_flags(self):
        return {"ping_interval_s": "0.25", "ping_timeout_s": "30"}

    async def test_who_answers_stays_and_a_clock_jump_ends_nobody(
        self, cast, any_socket, monkeypatch
    ):
        ada = await any_socket(cast.ada)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3600)
        await asyncio.sleep(1)
        await ada.settle()

    async def test_idle_members_stand_in_one_wheel(self, app, cast, any_socket):
        sockets = [await any_socket(cast.ada) for _ in range(5)]
        assert app.realtime.engine.wheel.count == 5
        for socket in sockets:
            await socket.close()
        while app.realtime.engine.wheel.count:
            await asyncio.sleep(0.01)
