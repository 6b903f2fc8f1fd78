"""Token buckets: a reserve, then a steady rate."""

import math

from hai import clock
from hai.core.rate_limits import SWEEP_EVERY, Buckets


def test_a_bucket_empties_and_refills(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    buckets = Buckets(per_second=2, burst=3)
    assert [buckets.take("ada") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("grace")
    now_s[0] = 0.5
    assert [buckets.take("ada") for _ in range(2)] == [True, False]
    now_s[0] = 100
    assert [buckets.take("ada") for _ in range(4)] == [True, True, True, False]


def test_a_bucket_says_how_long_it_takes(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    buckets = Buckets(per_second=1 / 60, burst=1)
    assert buckets.wait_s("ada") == 0
    buckets.take("ada")
    assert buckets.wait_s("ada") == 60
    now_s[0] = 45
    assert round(buckets.wait_s("ada")) == 15
    assert Buckets(per_second=0, burst=0).wait_s("ada") == math.inf


def test_switched_off_everything_passes():
    buckets = Buckets(per_second=0, burst=0, is_on=False)
    assert buckets.take("ada")


def test_full_buckets_are_forgotten(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    buckets = Buckets(per_second=1, burst=1)
    for number in range(SWEEP_EVERY * 3):
        now_s[0] += 0.01
        buckets.take(number)
    assert len(buckets._filled) < SWEEP_EVERY + 200


def test_what_is_paid_for_afterwards_may_cost_more_than_was_left(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    buckets = Buckets(per_second=2, burst=3)
    assert buckets.has_any("ada")
    buckets.charge("ada", 7)  # 4 too much: 2 s
    assert not buckets.has_any("ada")
    assert buckets.has_any("grace")
    now_s[0] = 1.9
    assert not buckets.has_any("ada")
    now_s[0] = 2.1
    assert buckets.has_any("ada")


def test_switched_off_nobody_is_in_debt():
    buckets = Buckets(per_second=0, burst=0, is_on=False)
    buckets.charge("ada", 7)
    assert buckets.has_any("ada")
