"""Who is connected where, in rooms of ten thousand."""

import pytest

from hai.realtime.directory import Directory
from hai.realtime.presence import Tabs

PEOPLE = range(1, 10_001)
ROOM, OTHER = 7, 8


class Watcher:
    """Presence, as far as tabs tell it; keeps nothing."""

    def connected(self, user_id):
        pass

    disconnected = connected


class CountingTab:
    """A socket that counts whatever is asked or told of it."""

    touched = 0

    def __getattr__(self, name):
        CountingTab.touched += 1
        raise AttributeError(name)


@pytest.fixture
def directory():
    found = Directory()
    found.load((ROOM, user_id) for user_id in PEOPLE)
    found.join(OTHER, 1)
    return found


@pytest.fixture
def tabs(directory):
    """Everybody has a tab; user 1 has two."""
    found = Tabs(directory, Watcher())
    found.opened = {user_id: CountingTab() for user_id in PEOPLE}
    for user_id, tab in found.opened.items():
        found.enter(tab, user_id)
    found.second = CountingTab()
    found.enter(found.second, 1)
    return found


def test_joining_and_leaving_a_large_room_touches_no_socket(directory, tabs):
    assert len(tabs.of_room(ROOM)) == 10_001
    CountingTab.touched = 0
    directory.leave(ROOM, 5)
    directory.join(OTHER, 5)
    directory.join(OTHER, 6)
    assert CountingTab.touched == 0
    assert len(tabs.of_room(ROOM)) == 10_000
    assert tabs.opened[5] not in tabs.of_room(ROOM)
    assert set(tabs.of_room(OTHER)) == {
        tabs.opened[1],
        tabs.second,
        tabs.opened[5],
        tabs.opened[6],
    }
    assert CountingTab.touched == 0


def test_who_comes_or_goes_does_not_make_a_large_room_be_counted_anew(
    tabs, monkeypatch
):
    tabs.of_room(ROOM)
    monkeypatch.setattr(tabs, "of_users", None)  # nobody may ask for them all
    third = CountingTab()
    tabs.enter(third, 2)
    assert third in tabs.of_room(ROOM)
    tabs.leave(third, 2)
    tabs.leave(third, 2)  # harmless
    tabs.leave(tabs.opened[3], 3)
    assert set(tabs.of_room(ROOM)) == {
        tabs.second,
        *(tab for user_id, tab in tabs.opened.items() if user_id != 3),
    }


def test_all_tabs_of_the_one_who_types_are_left_out(tabs):
    others = tabs.of_room_but(ROOM, 1)
    assert len(others) == 9_999
    assert not {tabs.second, tabs.opened[1]} & set(others)
    assert list(tabs.of_room_but(OTHER, 1)) == []
