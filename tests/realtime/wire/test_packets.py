"""The short way of reading a packet gives what the long one gives, or nothing."""

import pytest

from hai.realtime.wire.packets import (
    AckCache,
    Malformed,
    Packet,
    dumps,
    plain_event,
)

USUAL = ['2["hai"]', '20["hai"]', '217["send_hai",{"text":"Θάλασσα [2] {"}]']
UNUSUAL = [
    "2",
    "0",
    "",
    '2/eliza,["message"]',
    '2/,["message"]',
    '51-["hai",{"_placeholder":true,"num":0}]',
    '43["hai"]',
    '2{"a":1}',
    "2[1]",
    '2x["hai"]',
    '2٣["hai"]',  # an Arabic digit
    '2-1["hai"]',
    "2" + "9" * 16 + '["hai"]',
    b'2["hai"]',
]
MALFORMED = {
    "empty": "2[]",
    "no end": '2["hai"',
    "no JSON": '2["hai",NaN]',
    "too deep": '2["hai",' + "[" * 40 + "]" * 40 + "]",
    "many lists": '2["hai",' + "[]," * 6000 + "[]]",
    "many objects without an end": '2["hai",[' + '{"a":{}},' * 6000,
}


@pytest.mark.parametrize("message", USUAL)
def test_a_usual_event_is_read_alike(message):
    packet = Packet(encoded_packet=message)
    assert plain_event(message) == (packet.id, packet.data)
    assert packet.namespace in (None, "/")


@pytest.mark.parametrize("message", UNUSUAL)
def test_anything_else_is_left_to_the_long_way(message):
    assert plain_event(message) is None


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_refused_both_ways(name):
    """So that it need not be parsed twice."""
    for read in (plain_event, lambda message: Packet(encoded_packet=message)):
        with pytest.raises(Malformed):
            read(MALFORMED[name])


def test_what_is_too_much_is_not_parsed(monkeypatch):
    parsed = []
    monkeypatch.setattr("hai.realtime.wire.packets._decode", parsed.append)
    for name in ("many lists", "many objects without an end"):
        with pytest.raises(Malformed):
            plain_event(MALFORMED[name])
    assert parsed == []


def test_brackets_in_strings_are_text():
    text = "[{" * 6000 + '\\"' + "[" * 6000
    said = dumps(["hai", text, [[["deep"]]]])
    assert plain_event(f"2{said}") == (None, ["hai", text, [[["deep"]]]])


def test_lone_surrogates_are_replaced_and_pairs_are_kept():
    said = '2["a\\ud800b\\uD83D\\ude00\\udc00\\ud800"]'
    assert plain_event(said) == (None, ["a\ufffdb\U0001f600\ufffd\ufffd"])


@pytest.mark.parametrize("message", [m for m in UNUSUAL if isinstance(m, str)])
def test_the_long_way_refuses_or_reads_it(message):
    """Whatever it is, it ends in a packet or in Malformed, never otherwise."""
    try:
        assert Packet(encoded_packet=message).packet_type in range(7)
    except Malformed:
        pass


def test_an_ack_says_the_hai_in_the_words_of_its_fact():
    ack_cache = AckCache()
    hai = {"id": 1, "text": "γεια"}
    told = ack_cache.encode({"hai": hai})
    assert ack_cache.dumps({"hai": hai}) is told
    assert told == dumps({"hai": hai})


def test_another_hai_and_other_acks_are_encoded_afresh():
    ack_cache = AckCache()
    hai = {"id": 1, "text": "hai"}
    ack_cache.encode({"hai": hai})
    for ack in ({"hai": {**hai, "id": 2}}, {"hai": hai, "more": 1}, {}, {"room": hai}):
        assert ack_cache.dumps(ack) == dumps(ack)
    ack_cache.clear()
    hai["text"] = "later"
    assert ack_cache.dumps({"hai": hai}) == dumps({"hai": hai})
