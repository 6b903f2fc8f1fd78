"""A bad network loses nothing, doubles nothing and leaves all with the same picture.

For longer: `python -m tests.durability.cuts --cuts 10000 --seed 7`.
"""

from types import SimpleNamespace

from tests.durability import cuts, swarm


def test_after_many_cuts_every_client_has_the_same_picture():
    scene, proxy = swarm.run(cuts.run(cuts=150, seed=7))
    assert scene.problems == []
    assert min(proxy.cut_counts.values()) > 20
    assert len(scene.acked) >= 50


def test_a_view_that_missed_something_would_be_found_out():
    """The comparison can fail: a client that forgets one hai is named."""
    hai = {"id": 5, "rev": 5, "room_id": 1, "user_id": 2}
    grace = SimpleNamespace(id=3)
    watcher = cuts.Watcher(None, grace, cuts.NativeClient, port=0, dice=None)
    wrong = cuts.differences(watcher, ({}, {1: [hai]}, {}))
    assert wrong == [f"NativeClient of 3: room 1: [(5, None, {hai})]"]
    wrong = cuts.differences(watcher, ({}, {}, {3: "Grace"}))
    assert wrong == ["NativeClient of 3: users [(3, None, 'Grace')]"]


def test_many_missed_hais_are_caught_up_with():
    _, problems = swarm.run(cuts.catch_up_missed(2000))
    assert problems == []
