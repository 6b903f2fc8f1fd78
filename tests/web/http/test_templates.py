"""The templates as text: what they draw is tested page by page."""

from pathlib import Path

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
