"""What reads cost: whose pay for it, and whose do not."""

import pytest

from hai.core import read_budget
from hai.core.read_budget import ReadBudget
from hai.errors import RateLimited

ADA = 1


@pytest.fixture
def budget(monkeypatch):
    monkeypatch.setattr(read_budget, "MS_PER_S", 0)
    return ReadBudget(is_on=True)


def test_small_reads_are_free_however_many(budget):
    for _ in range(100_000):
        budget.charge(ADA, read_budget.FREE_MS)
    budget.admit(ADA)


def test_who_has_used_up_the_reserve_is_refused(budget):
    budget.charge(ADA, read_budget.RESERVE_MS - 1)
    budget.admit(ADA)
    budget.charge(ADA, read_budget.FREE_MS + 1)
    with pytest.raises(RateLimited):
        budget.admit(ADA)
    budget.admit(ADA + 1)


def test_the_server_s_own_work_is_nobody_s(budget):
    budget.charge(None, 2 * read_budget.RESERVE_MS)
    assert budget.buckets.has_any(None)
