"""What every page may call."""

import json

from hai.web.views.page import audit_actor, audit_words, browser_words, page_json


def test_the_carried_state_cannot_end_its_element():
    text = page_json(None, text="</script><!--\u2028")
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"text": "</script><!--\u2028"}


def test_browsers_are_named_as_well_as_one_can_tell():
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    words = [browser_words(None, agent) for agent in (firefox, "curl/8", "", None)]
    assert words == ["Firefox on Linux", "curl", "A program", "A program"]


def test_a_record_is_put_in_words_for_its_reader():
    record = {"name": "changed_role", "details": "an admin", "user": "Grace"}
    record |= {"user_id": 2, "actor": "Ada", "actor_id": 1}
    readers = [record | about for about in ({}, {"reader_id": 1}, {"reader_id": 2})]
    assert [f"{audit_actor(None, r)} {audit_words(None, r)}" for r in readers] == [
        "Ada made Grace an admin",
        "You made Grace an admin",
        "Ada made you an admin",
    ]
    tried = {"name": "failed_sign_in", "details": "2", "user": "Grace"}
    assert audit_actor(None, tried) == "Somebody"
    assert audit_words(None, tried) == "tried a wrong password or code for Grace (2×)"


def test_what_somebody_is_called_is_no_format():
    record = {"name": "deactivated", "user": "{what.__class__}"}
    assert audit_words(None, record) == "deactivated {what.__class__}"
    assert audit_words(None, {"name": "of a newer Hai"}) == "did something"
