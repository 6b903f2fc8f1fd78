"""What is acked is stored, once, in one order, whatever happens to the server.

Each of these can be run for longer: `python -m tests.durability.kill --help`.
"""

import pytest

from tests.durability import (
    backups,
    kill,
    order,
    power,
    power_once,
    restart,
    retries,
    swarm,
)


def test_what_was_acked_survives_kill_9():
    acked = swarm.run(kill.run(kills=5, seed=1, hais=1000, pictures=20))
    assert acked.problems == []
    assert acked.backups


def test_what_was_acked_survives_power_loss():
    steps, acks, problems = swarm.run(power.run(cuts=300, hais=300))
    assert problems == []
    assert power.checkpoints_of(steps) > 10
    assert len(acks.hais) == 300 and len(acks.pictures) > 5


def test_a_server_that_does_not_sync_would_be_found_out():
    """The playback can fail: with durability=normal acked hais are lost."""
    _, _, problems = swarm.run(power.run(100, 60, 1, "--durability", "normal"))
    assert any("hai" in problem for problem in problems)
    assert not any("does not open" in problem for problem in problems)


@pytest.mark.parametrize("name", power_once.RECORDINGS)
def test_a_power_cut_in_what_happens_once_leaves_all_or_nothing(name):
    steps, problems = power_once.run(name, cuts=40, seed=1)
    assert problems == []
    assert {"write", "sync"} <= {step.kind for step in steps}


@pytest.mark.parametrize("name", power_once.RECORDINGS)
def test_what_happens_once_and_is_not_synced_would_be_found_out(name):
    _, problems = power_once.run(name, cuts=40, seed=1, leave_out="sync")
    assert problems


def test_a_send_that_is_tried_again_is_stored_once():
    assert swarm.run(retries.run(sends=2000, kills=2)) == []


def test_all_hear_the_same_hais_in_the_same_order():
    heard, wanted = swarm.run(order.run(senders=5, receivers=12, hais=2000))
    assert len(wanted) == 2000
    assert order.problems_of(heard, wanted) == (0, 0, 0)


def test_told_to_stop_it_tells_everybody_and_all_come_back():
    blackout = swarm.run(restart.run(200, "SIGTERM"))
    assert blackout.problems == []
    assert blackout.exit_code == 0
    assert blackout.told == [True] * 150


def test_killed_it_comes_back_and_nothing_is_lost():
    blackout = swarm.run(restart.run(200, "SIGKILL"))
    assert blackout.problems == []
    assert blackout.told == [False] * 150


def test_a_backup_under_load_is_whole():
    problems, talk = swarm.run(backups.run(backups=3))
    assert problems == []
    assert len(talk.acked) >= 100
    assert 0 < talk.longest_log_bytes < backups.LOG_BYTES


@pytest.mark.slow
def test_what_was_acked_survives_kill_9_often():
    acked = swarm.run(kill.run(kills=200, seed=2))
    assert acked.problems == []
    assert len(acked.hais) >= 100_000
