"""Sealed texts open as they were sealed, for a while, and not otherwise."""

import pytest

from hai import clock
from hai.core.identity import seals


@pytest.fixture
def sealed():
    return seals.seal("test", "7.ada", 1, "x", minutes=5)


def test_what_was_sealed_opens(sealed):
    assert seals.open_sealed("test", sealed, 1, "x") == "7.ada"


@pytest.mark.parametrize(
    ("purpose", "bound"), [("other", (1, "x")), ("test", (1,)), ("test", (2, "x"))]
)
def test_it_opens_for_nothing_else(sealed, purpose, bound):
    assert seals.open_sealed(purpose, sealed, *bound) is None


@pytest.mark.parametrize("text", ["", "x", "é", "a" * 43, "A" * 5000, "=", "a-b_"])
def test_nonsense_does_not_open(text):
    assert seals.open_sealed("test", text, 1, "x") is None


def test_a_changed_sign_is_noticed(sealed):
    for at in range(len(sealed) - 1):  # of the last one, some bits mean nothing
        sign = "A" if sealed[at] != "A" else "B"
        assert (
            seals.open_sealed("test", sealed[:at] + sign + sealed[at + 1 :], 1, "x")
            is None
        )


def test_it_ends_after_its_minutes(sealed, monkeypatch):
    later = clock.now_ms() + 5 * seals.MINUTE_MS
    monkeypatch.setattr(clock, "now_ms", lambda: later)
    assert seals.open_sealed("test", sealed, 1, "x") is None
