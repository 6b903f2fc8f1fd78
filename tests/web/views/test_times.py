"""Times in words."""

import pytest

from hai import clock
from hai.web.views.times import day_words

DAY_MS = 86_400_000
NOW_MS = 1_795_393_800_000  # Monday 23 November 2026, 00:30 UTC


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, ""),
        (1, "Yesterday"),
        (3, "Fri"),
        (7, "16 Nov"),
        (365, "23 Nov 2025"),
        (-1, ""),
    ],
)
def test_days_are_called_as_one_would(monkeypatch, days, words):
    monkeypatch.setattr("hai.web.views.times.now_ms", lambda: NOW_MS)
    assert clock.now_ms() > 0
    assert day_words(NOW_MS - days * DAY_MS) == words
