"""Words for counts and days; what is drawn large."""

import pytest

from hai.web.views.rooms import keeping_choices
from hai.web.views.words import count_words, days_words, size_of
from tests.web.views.made import hai


@pytest.mark.parametrize(
    "text", ["🌊", "👩‍👩‍👧‍👦", "🇩🇪 🇯🇵", "❤️", "1️⃣", "👋🏽👋🏿", " 🎉🎉 "]
)
def test_emoji_alone_are_drawn_large(text):
    assert size_of(hai(text=text)) == "emoji"


@pytest.mark.parametrize(
    "text", ["", "hi 🌊", "1", "#", "© ", "→", "🎉" * 7, "你好", "ㄱ"]
)
def test_words_are_not_emoji(text):
    assert size_of(hai(text=text)) == "text"


def test_a_wave_is_drawn_large():
    assert size_of(hai(text=" hai! ")) == "wave"
    assert size_of(hai(text="hai!", pictures=[{}])) == "text"


def test_a_count_ends_where_counting_does():
    assert [count_words(count) for count in (1, 999, 1000)] == ["1", "999", "999+"]


def test_how_long_is_said_in_words_one_knows():
    assert [days_words(days) for days in (0, 1, 7, 30, 365, 3650)] == [
        "forever",
        "a day",
        "a week",
        "30 days",
        "a year",
        "3,650 days",
    ]
    assert [days for days, _ in keeping_choices(None, 45)] == [0, 7, 30, 45, 90, 365]
