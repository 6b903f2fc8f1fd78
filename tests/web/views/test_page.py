"""What every page may call."""

import json

from hai.web.views.page import audit_words, browser_words, page_json


def test_the_carried_state_cannot_end_its_element():
    text = page_json(None, text="</script><!--\u2028")
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"text": "</script><!--\u2028"}


def test_browsers_are_named_as_well_as_one_can_tell():
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    words = [browser_words(None, agent) for agent in (firefox, "curl/8", "", None)]
    assert words == ["Firefox on Linux", "curl", "A program", "A program"]


def test_what_somebody_is_called_is_no_format():
    record = {"name": "deactivated", "user": "{what.__class__}"}
    assert audit_words(None, record) == "deactivated {what.__class__}"
    assert audit_words(None, {"name": "of a newer Hai"}) == "did something"
