"""Codes of an app: the values of the RFCs, and when one counts."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from hai.core.identity import totp

SECRET = b"12345678901234567890"
NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(at_s, code):
    """Appendix B, the last six of its eight figures."""
    assert totp.code_of(SECRET, totp.step_at(1000 * at_s)) == code


@pytest.mark.parametrize(
    ("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_code_counts_for_half_a_minute_more_either_way(steps, counts):
    step = totp.step_at(NOW_MS) + steps
    found = totp.find_step(SECRET, totp.code_of(SECRET, step), NOW_MS)
    assert found == (step if counts else None)


def test_a_code_that_was_used_and_those_before_it_do_not_count():
    now = totp.step_at(NOW_MS)
    for step in (now - 1, now):
        code = totp.code_of(SECRET, step)
        assert totp.find_step(SECRET, code, NOW_MS, after=now) is None
    newer = totp.code_of(SECRET, now + 1)
    assert totp.find_step(SECRET, newer, NOW_MS, after=now) == now + 1


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"])
def test_what_is_not_six_figures_is_no_code(text):
    assert not totp.is_code(text)


def test_the_link_says_whose_and_where_it_is():
    secret = totp.new_secret()
    parts = urlsplit(totp.link(secret, account="ada", place="hai.example.org"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Hai hai.example.org:ada"
    named = parse_qs(parts.query)
    assert named["issuer"] == ["Hai hai.example.org"]
    assert totp.from_text(named["secret"][0]) == secret
