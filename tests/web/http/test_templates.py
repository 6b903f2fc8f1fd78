"""The templates as text: what they draw is tested page by page."""

import itertools
from pathlib import Path

from tornado.escape import xhtml_escape

from hai.web.http.templates import escaped, own_templates

SIGNS = ["", "a", "é\u2028", "&", "<b>", "\"'>", "&amp;", "a\nb", "\0", "<" * 9]

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
MAX_COLUMNS = 120


def test_no_line_of_a_template_is_too_long_to_read():
    paths = list(TEMPLATES.rglob("*.html"))
    assert len(paths) > 40
    long = [
        f"{path.relative_to(TEMPLATES)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert long == []


def test_what_is_drawn_is_escaped_as_tornado_does():
    for signs in itertools.product(SIGNS, repeat=3):
        text = "".join(signs)
        assert escaped(text.encode()) == xhtml_escape(text).encode()


def test_what_a_name_holds_cannot_end_its_element():
    template = own_templates().load("rooms/_room_link.html")
    assert template.autoescape == "escaped"
