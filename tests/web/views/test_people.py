"""Avatars and their letters."""

import pytest

from hai.web.views import people


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("ada", "A"),
        ("émile", "É"),
        ("雪 Yuki", "雪"),
        ("@grace", "G"),
        ("🦈", "🦈"),
        ("", "?"),
    ],
)
def test_an_avatar_shows_the_first_letter(name, letter):
    assert people.letter(name) == letter
