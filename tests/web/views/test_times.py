"""Times in words."""

from datetime import UTC, datetime

import pytest

from hai import clock
from hai.web.views.times import day_words, exact_time, iso_time, when

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


@pytest.mark.parametrize(
    "ms", [0, 1, DAY_MS - 1, 951_782_399_999, NOW_MS, NOW_MS * 2 + 7]
)
def test_a_time_is_what_the_calendar_says(ms):
    then = datetime.fromtimestamp(ms / 1000, UTC)
    assert datetime.fromisoformat(iso_time(ms)) == then
    day = f"{then:%a} {then.day} {then:%b %Y}"
    assert exact_time(ms) == f"{day}, {then:%H:%M}"
    assert when(ms).endswith(f"{then:%H:%M}")
