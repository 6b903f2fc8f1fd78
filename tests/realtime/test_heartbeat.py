"""Pings in time, on a clock that never jumps."""

import asyncio
import time

import pytest

from hai.realtime import heartbeat


class Member:
    slot = None

    def __init__(self, due_s):
        self.due_s = due_s
        self.visits = []

    def on_due(self, now_s):
        self.visits.append(now_s)
        return self.due_s if now_s < self.due_s else None


async def test_the_wheel_visits_in_time(io_loop):
    loop = asyncio.get_running_loop()
    wheel = heartbeat.Wheel(loop, 0.3)
    began_s = loop.time()
    members = [Member(began_s + delay / 100) for delay in range(0, 40, 3)]
    for member in members:
        wheel.add(member, member.due_s)
    gone = Member(began_s + 0.2)
    wheel.add(gone, gone.due_s)
    wheel.remove(gone)
    await asyncio.sleep(0.5)
    assert wheel.count == 0
    assert gone.visits == []
    for member in members:
        assert member.visits[-1] == pytest.approx(member.due_s, abs=0.05)
        assert member.visits[-1] >= member.due_s


async def test_a_deadline_beyond_the_wheel_is_kept(io_loop):
    loop = asyncio.get_running_loop()
    wheel = heartbeat.Wheel(loop, 0.3)
    wheel.tick_s = 0.001  # reaches a quarter of a second
    member = Member(loop.time() + 0.6)
    wheel.add(member, member.due_s)
    await asyncio.sleep(0.7)
    assert len(member.visits) == 3


async def test_one_bad_member_stops_nobody(io_loop, expect_log):
    class Bad(Member):
        def on_due(self, now_s):
            raise RuntimeError("broken")

    expect_log("a heartbeat failed")
    loop = asyncio.get_running_loop()
    wheel = heartbeat.Wheel(loop, 0.3)
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
        return {"ping_interval_s": "0.25", "ping_timeout_s": "0.2"}

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
        await asyncio.sleep(0.2)
        assert app.realtime.engine.wheel.count == 0
