"""The HTML of a hai: what people mean by their marks, and never anything unsafe."""

import re
import subprocess
import sys
from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hai.core.talk.formatting import (
    COSTS_US,
    _cost_us,
    to_html,
)

LINK = '<a href="{0}" rel="noopener noreferrer nofollow ugc" target="_blank">{1}</a>'


def link(address, name=None):
    return LINK.format(escape(address), name or escape(address))


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "Shall we meet at 8:30? Bring 2 * 3 apples & <b>cake</b>.",
        "two\nlines",
        "a snake_case_name and __init__",
        "[not a link] and [nor this](javascript:alert(1))",
        ">:( and >_<",
        "-",
        "+ 1",
        "> ",
        "-1 degrees",
        "*",
        "~ about ~",
        "C:\\new\\table",
        "¯\\_(ツ)_/¯",
        "see setup.py or example.org",
        "http:// and xhttp://a.b",
        "# no heading",
        "![no picture](no)",
        "| no | table |\n|---|---|",
        "---",
        "&amp; &#42;",
        "<script>alert(1)</script>",
    ],
)
def test_ordinary_text_has_no_html(text):
    assert to_html(text) is None


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "**bold** *italic* _too_",
            "<strong>bold</strong> <em>italic</em> <em>too</em>",
        ),
        ("~~gone~~ `x < y`", "<s>gone</s> <code>x &lt; y</code>"),
        ("**a `*` b**", "<strong>a <code>*</code> b</strong>"),
        ("first\nsecond *line*", "first<br>second <em>line</em>"),
        ("*a*\n  b", "<em>a</em><br>  b"),
        ("*a* <i>b</i> & c", "<em>a</em> &lt;i&gt;b&lt;/i&gt; &amp; c"),
        ("\\*a\\* \\`b", "*a* `b"),
        ("*a* ¯\\_(ツ)_/¯", "<em>a</em> ¯\\_(ツ)_/¯"),
        ("*a* __init__", "<em>a</em> __init__"),
    ],
)
def test_marks_within_a_line(text, html):
    assert to_html(text) == f"<p>{html}</p>"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("see https://a.org/b?c=d&e, ok", f"see {link('https://a.org/b?c=d&e')}, ok"),
        ("(https://a.org/b).", f"({link('https://a.org/b')})."),
        ("https://a.org/Hai_(fish)", link("https://a.org/Hai_(fish)")),
        ("**https://a.org/**", f"<strong>{link('https://a.org/')}</strong>"),
        ("mailto:ada@a.org", link("mailto:ada@a.org")),
        ("HTTPS://A.org", link("HTTPS://A.org")),
        ("https://a.org/snake_case_*b", link("https://a.org/snake_case_*b")),
        ("https://münchen.example/ü", link("https://münchen.example/ü")),
        ("[the *wiki*](https://a.org/b)", link("https://a.org/b", "the <em>wiki</em>")),
        ("[https://b.org](https://a.org)", link("https://a.org", "https://b.org")),
        ("<https://a.org>", f"&lt;{link('https://a.org')}&gt;"),
        ('https://a.org/"onx="', f"{link('https://a.org/')}&quot;onx=&quot;"),
    ],
)
def test_links(text, html):
    assert to_html(text) == f"<p>{html}</p>"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a*\n\n\nb", "<p><em>a</em></p><p>b</p>"),
        ("*a*\r\n\r\nb", "<p><em>a</em></p><p>b</p>"),
        ("> a\n> b\nc", "<blockquote><p>a<br>b</p></blockquote><p>c</p>"),
        ("a\n> b", "<p>a</p><blockquote><p>b</p></blockquote>"),
        ("> a\n>\n> b", "<blockquote><p>a</p><p>b</p></blockquote>"),
        (
            "> > a\n> b",
            "<blockquote><blockquote><p>a</p></blockquote><p>b</p></blockquote>",
        ),
        ("- a\n- b\nc", "<ul><li>a</li><li>b</li></ul><p>c</p>"),
        ("a:\n* b\n* c", "<p>a:</p><ul><li>b</li><li>c</li></ul>"),
        ("- a\n  - b", "<ul><li>a<ul><li>b</li></ul></li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("7) a", '<ol start="7"><li>a</li></ol>'),
        ("```\nx  <y>\n\n  z\n```", "<pre><code>x  &lt;y&gt;\n\n  z</code></pre>"),
        ("```python\nx\n```\ny", "<pre><code>x</code></pre><p>y</p>"),
        ("```def f():\n  x\n```", "<pre><code>def f():\n  x</code></pre>"),
        ("```x", "<pre><code>x</code></pre>"),
        ("> ```\n> x\n> ```", "<blockquote><pre><code>x</code></pre></blockquote>"),
    ],
)
def test_blocks(text, html):
    assert to_html(text) == html


# ---- Nothing unsafe, nothing lost ----

ALLOWED = {
    "p": set(),
    "br": set(),
    "strong": set(),
    "em": set(),
    "s": set(),
    "code": set(),
    "pre": set(),
    "blockquote": set(),
    "ul": set(),
    "ol": {"start"},
    "li": set(),
    "a": {"href", "rel", "target"},
}


class Strict(HTMLParser):
    """Fails on whatever is not allowed or not closed; collects the text."""

    def __init__(self, html):
        super().__init__()
        self.open = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert {name for name, _ in attributes} <= ALLOWED[tag]
        assert not (tag == "a" and "a" in self.open)
        for name, value in attributes:
            if name == "href":
                assert re.match(r"(?i)(https?://|mailto:)[^\s\"'<>]*$", value)
            elif name == "start":
                assert value.isdigit()
        if tag == "br":
            self.text += "\n"
        else:
            self.open.append(tag)
            self.text += " "

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text += "\n"

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


PIECES = st.sampled_from(
    [
        *(
            "*",
            "**",
            "_",
            "~~",
            "`",
            "```",
            "```py\n",
            "[",
            "]",
            "](",
            ")",
            "\\",
            "<",
            "&",
        ),
        *(
            "- ",
            "* ",
            "1. ",
            "7) ",
            "> ",
            ">",
            "\n",
            "\n\n",
            "  ",
            "\n    ",
            "\t",
            "\r",
        ),
        *(
            "https://a.b/c",
            "http://",
            "mailto:a@b.c",
            "javascript:alert(1)",
            "://",
            "@",
        ),
        *("[x](https://a.b)", "[y](javascript:z)", "<script>", '"', "' onx=", "&lt;"),
        *("word", "two words", "ü", "\N{SHARK}", "\0", "data:text/html,", "."),
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=100)


@given(TEXTS)
def test_whatever_the_text_the_html_is_safe(text):
    html = to_html(text)
    if html is not None:
        Strict(html)


WORDS = re.compile(r"[^\W\d_]+")
LOST = re.compile(  # on purpose: an address behind a name, a language after a fence
    r"\]\((?:https?|mailto):[^)]*\)+|(?:`{3,}|~{3,})[\w+#.-]*"
)


@given(TEXTS)
def test_no_word_is_lost_or_moved(text):
    html = to_html(text)
    if html is None:
        return
    shown = iter(WORDS.findall(Strict(html).text))
    assert all(word in shown for word in WORDS.findall(LOST.sub(" ", text)))


@given(st.text(alphabet="- >1.\n\ta*", max_size=120))
def test_nested_blocks_lose_nothing(text):
    html = to_html(text)
    if html is not None:
        assert Strict(html).text.count("a") == text.count("a")


# ---- What it costs ----


@pytest.mark.parametrize(
    "piece",
    [
        *("*", "**a", "a*", "_a*", "*a_b~~", "~~a", "`", "`a", "[", "[a](", "\\*"),
        *(
            "[a](http://a) ",
            "http://a ",
            "http://",
            "https://a(",
            "mailto:a@b ",
            "<***~~",
        ),
        *("- a\n", "1. a\nb\n", "- ", "> ", "> a\nb\n", "> > > - - a\n", "- a\n\n"),
        *("- a\n  - b\n    - c\n", "```\na\n", "\n  \n*", "*" + "x" * 20, "*a\r\n\r\n"),
        *("word * ", "a", ":", "[b", "]"),
    ],
)
def test_no_text_holds_the_loop_up(piece):
    """2 ms is promised. Calls are counted instead: they are the same everywhere."""
    text = (piece * 4000)[:4000]
    while to_html(text) is None and len(text) > 30:  # as long as is formatted at all
        text = text[: len(text) * 9 // 10]
    assert count_calls(to_html, text) < MAX_CALLS


MAX_CALLS = 12_000  # about 2 ms


def count_calls(function, *arguments):
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count


def test_too_many_marks_are_left_alone():
    assert to_html("**bold** " * 10) is not None
    assert to_html("**bold** " * 400) is None


def test_a_long_and_well_formatted_text_is_formatted():
    text = (
        "A **heading**\n\n"
        + "- an item of a list with a few words, and `code`\n" * 12
        + "\n> a quote\n\nand https://example.org/a/b\n\n"
        + "plain words in a row, as people write them. " * 60
    )
    assert to_html(text) is not None


@given(TEXTS)
def test_the_price_grows_with_the_text(text):
    assert _cost_us(text + text) >= _cost_us(text)


def test_every_mark_has_a_price():
    for mark in "*_~`[\\":
        assert COSTS_US[mark] > 0


def test_plain_text_costs_a_few_calls():
    assert count_calls(to_html, "Shall we meet at eight? I'll bring the cake.") < 10


def test_the_parser_comes_with_the_first_mark():
    code = """
import sys
from hai.core.formatting import to_html
assert to_html("plain") is None and "markdown_it" not in sys.modules
assert to_html("*not plain*") and "linkify_it" not in str(to_html("*a*"))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
