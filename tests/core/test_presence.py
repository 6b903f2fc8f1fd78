"""Online with the first socket, offline a while after the last."""

import asyncio

import pytest

from hai.bus import Bus
from hai.core.presence import Presence
from hai.events import PresenceChanged


@pytest.fixture
def told():
    return []


@pytest.fixture
def presence(told):
    bus = Bus()
    bus.subscribe(PresenceChanged, lambda fact: told.append(fact.payload()))
    presence = Presence(bus, grace_s=0.05)
    yield presence
    presence.close()


async def test_two_tabs_are_one_person(presence, told):
    presence.connected(7)
    presence.connected(7)
    presence.disconnected(7)
    await asyncio.sleep(0.1)
    assert presence.of(7) == "online"
    assert told == [{"user_id": 7, "presence": "online"}]


async def test_the_last_tab_is_followed_by_a_grace(presence, told):
    presence.connected(7)
    presence.disconnected(7)
    assert presence.of(7) == "online"
    await asyncio.sleep(0.1)
    assert presence.of(7) == "offline"
    assert told[-1] == {"user_id": 7, "presence": "offline"}


async def test_a_reload_is_told_to_nobody(presence, told):
    presence.connected(7)
    presence.disconnected(7)
    presence.connected(7)
    await asyncio.sleep(0.1)
    assert told == [{"user_id": 7, "presence": "online"}]


class Watched(dict):
    """Lets something happen just when somebody is first looked up."""

    def __init__(self, rows, act):
        super().__init__(rows)
        self.act = act

    def __contains__(self, user_id):
        act, self.act = self.act, lambda: None
        act()
        return super().__contains__(user_id)


async def test_who_comes_back_while_another_thread_looks_is_not_missed(presence):
    presence.connected(7)
    presence.disconnected(7)
    presence.leaving = Watched(presence.leaving, lambda: presence.connected(7))
    assert presence.is_online(7)


async def test_who_leaves_is_at_no_moment_missing(presence):
    presence.connected(7)
    presence.leaving = Watched({}, lambda: presence.disconnected(7))
    assert presence.is_online(7)
