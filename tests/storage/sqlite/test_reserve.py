"""The space that is held for the day when there is none."""

import resource

import pytest

from hai.storage.sqlite import reserve


@pytest.fixture
def held(tmp_path):
    return reserve.Reserve(tmp_path / "hai.reserve")


def test_it_is_given_up_bit_by_bit(held):
    assert held.take()
    assert held.path.stat().st_size == reserve.RESERVE_BYTES
    steps = 0
    while held.give_some():
        steps += 1
    assert steps == reserve.RESERVE_BYTES // reserve.STEP_BYTES
    assert held.path.stat().st_size == 0


def test_it_is_taken_again_but_not_looked_at_all_the_time(held, monkeypatch):
    held.take()
    held.give_some()
    assert not held.retake()
    monkeypatch.setattr(reserve, "RETRY_S", 0)
    assert held.retake()
    assert held.path.stat().st_size == reserve.RESERVE_BYTES


def test_where_there_is_no_room_it_keeps_what_it_has(held):
    held.take()
    held.give_some()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (reserve.STEP_BYTES, before[1]))
    try:
        assert not held.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    size = held.path.stat().st_size
    assert size == reserve.RESERVE_BYTES - reserve.STEP_BYTES


def test_what_an_earlier_run_has_left_counts(held):
    held.take()
    held.give_some()
    again = reserve.Reserve(held.path)
    assert again.give_some()
    assert held.path.stat().st_size == reserve.RESERVE_BYTES - 2 * reserve.STEP_BYTES


def test_removed_by_somebody_there_is_nothing_to_give(held):
    held.take()
    held.path.unlink()
    assert not held.give_some()
    assert not held.path.exists()
