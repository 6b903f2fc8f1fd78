"""The bus tells everyone, whatever one of them does."""

from hai import events
from hai.bus import Bus


def test_a_subscriber_that_fails_stops_no_other(expect_log):
    expect_log("a subscriber failed on TypingStarted")
    heard, bus = [], Bus()
    bus.subscribe(events.TypingStarted, lambda fact: 1 / 0)
    bus.subscribe(events.TypingStarted, heard.append)
    bus.publish(events.TypingStarted(1, 2))
    assert heard == [events.TypingStarted(1, 2)]


def test_facts_of_other_kinds_are_not_heard():
    heard, bus = [], Bus()
    bus.subscribe(events.ReadMarked, heard.append)
    bus.publish(events.TypingStarted(1, 2))
    assert heard == []


def test_every_fact_has_a_name_of_its_own_and_an_audience():
    names = [fact.name for fact in events.FACTS]
    assert len(set(names)) == len(names) == 10
    assert events.TypingStarted(1, 2).audience().but_user_id == 2
