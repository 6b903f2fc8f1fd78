"""What reads cost: whose pay for it, and whose do not."""

import pytest

from hai.core import reading
from hai.core.reading import Reading
from hai.errors import RateLimited

ADA = 1


@pytest.fixture
def books(monkeypatch):
    monkeypatch.setattr(reading, "MS_PER_S", 0)
    return Reading(is_on=True)


def test_small_reads_are_free_however_many(books):
    for _ in range(100_000):
        books.charge(ADA, reading.FREE_MS)
    books.admit(ADA)


def test_who_has_used_up_the_reserve_is_refused(books):
    books.charge(ADA, reading.RESERVE_MS - 1)
    books.admit(ADA)
    books.charge(ADA, reading.FREE_MS + 1)
    with pytest.raises(RateLimited):
        books.admit(ADA)
    books.admit(ADA + 1)


def test_the_server_s_own_work_is_nobody_s(books):
    books.charge(None, 2 * reading.RESERVE_MS)
    assert books.buckets.has_any(None)
