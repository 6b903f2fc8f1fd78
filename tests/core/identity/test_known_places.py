"""Which addresses a user has been at: so many, and those of last."""

from hai.core.identity import known_places
from hai.core.identity.known_places import KnownPlaces


def test_a_place_is_known_for_the_one_who_was_there():
    places = KnownPlaces()
    places.note(1, "203.0.113.1")
    assert places.has(1, "203.0.113.1")
    assert not places.has(2, "203.0.113.1") and not places.has(1, "203.0.113.2")


def test_the_place_seen_longest_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr(known_places, "MAX_PLACES", 2)
    places = KnownPlaces()
    for address in ("home", "office", "home", "cafe"):
        places.note(1, address)
    assert [places.has(1, place) for place in ("home", "office", "cafe")] == [
        True,
        False,
        True,
    ]
