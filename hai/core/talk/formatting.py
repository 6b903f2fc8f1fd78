"""The safe HTML of a hai's text, made once on the server.

`to_html` supports links, bold, italic, strikethrough, code, quotes and lists, and
nothing else: no pictures, headings, tables or raw HTML. It does not look for names or
emoji. A text that needs none of it has no HTML at all: the page shows the text itself
with `white-space: pre-wrap`.

About the HTML: blocks are `p`, `blockquote`, `ul`, `ol`, `li` and `pre`, with no white
space between them; a line break within a block is `<br>`; blank lines separate
paragraphs. So it looks right with and without `pre-wrap`. Every tag is written in this
file, with no attributes except those of `LINK` and the start number of an ordered list;
nothing else can be produced.

It runs on the event loop, within 2 ms for any 4,000 characters: a text whose marks
might take longer (`_cost_us`) is left plain. markdown-it-py is loaded by the first text
that needs it, in 17 ms and 1.2 MiB, or by `load()` before that. linkify-it-py is not
used: it takes 1.3 ms for 4,000 plain characters, and links `setup.py` to a site in
Paraguay.
"""

import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape, unescape
from typing import Any

# The cheap check: a mark within a line, or a block mark at the start of a line.
INLINE_MARK = re.compile(r"[*_`\[]")
STRIKE = "~~"  # a single one means "about": ~5
LINK_MARK = re.compile(r"://|mailto:", re.IGNORECASE)
BLOCK_MARK = re.compile(r"[ \t]*(?:>|-|\d{1,9}[.)])[ \t]")
LATER_BLOCK_MARK = re.compile(r"\n" + BLOCK_MARK.pattern)

MARK = re.compile(r"[*_~`\[\\]|:(?=//)|(?<=mailto):", re.IGNORECASE)
ITEM = re.compile(r"(?:[-*]|\d{1,9}[.)])[ \t]+\S")
LANGUAGE = re.compile(r"[\w+#.-]*")
# An address may contain one pair of brackets: https://example.org/Hai_(fish)
ADDRESS = r"(?:[^\s()<>\[\]\"`\\]|\([^\s()<>\[\]\"`\\]*\))"
TARGET = rf"(?:https?://[^\W_]{ADDRESS}*+|mailto:[\w.+-]{{1,64}}@[^\W_]{ADDRESS}*+)"
BARE_LINK = re.compile(TARGET, re.IGNORECASE)
NAMED_LINK = re.compile(rf"\[([^\[\]]++)\]\(({TARGET})\)", re.IGNORECASE)
SCHEMES = ("https", "http", "mailto")
LINK = '<a href="{}" rel="noopener noreferrer nofollow ugc" target="_blank">'

MAX_LEVEL = 6  # a quote is one level deep, a list two: deeper ones stay text

BLOCK_TAG = re.compile(r"</?(?:p|blockquote|[uo]l|li|pre)\b[^>]*>|<br>")
TAG = re.compile(r"<[^>]*>")

TAGS = {
    "paragraph_open": "<p>",
    "paragraph_close": "</p>",
    "blockquote_open": "<blockquote>",
    "blockquote_close": "</blockquote>",
    "bullet_list_open": "<ul>",
    "bullet_list_close": "</ul>",
    "ordered_list_close": "</ol>",
    "list_item_open": "<li>",
    "list_item_close": "</li>",
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "em_open": "<em>",
    "em_close": "</em>",
    "s_open": "<s>",
    "s_close": "</s>",
    "link_close": "</a>",
}
PLAIN = frozenset(("paragraph_open", "paragraph_close", "inline", "text"))


def to_html(text: str) -> str | None:
    """The HTML of the text, or None if plain text is enough.

    Cost: 1 us for ordinary text, 0.1 ms for a line with a mark, 2 ms at most.
    """
    if not _may_have_marks(text):
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _cost_us(text) > MAX_COST_US:
        return None
    tokens = load().parse(text)
    if not _has_marks(tokens):
        return None
    return "".join(_render(tokens))


def to_words(html: str) -> str:
    """The plain text of such HTML; a line for each block or break.

    The page does the same, in `static/js/lib/text.js`.
    """
    lines = TAG.sub("", BLOCK_TAG.sub("\n", html)).split("\n")
    return unescape("\n".join(line for line in lines if line.strip()))


def _may_have_marks(text: str) -> bool:
    return bool(
        INLINE_MARK.search(text)
        or STRIKE in text
        or BLOCK_MARK.match(text)
        or (":" in text and LINK_MARK.search(text))
        or ("\n" in text and LATER_BLOCK_MARK.search(text))
    )


# ---- What a text may cost ----

# Fitted to the slowest texts found by random search: each is the worst-case cost of
# one mark, so an ordinary text takes half of the sum.
MAX_COST_US = 1500
COSTS_US = {
    "*": 10,
    "_": 10,
    "~": 6,
    "`": 6,
    "[": 6,
    "\\": 4,
    ":/": 20,
    "@": 20,
    "> ": 40,
    "\n": 5,
}
BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
BLANK_LINE_COST_US = 12
ITEM_LIKE = re.compile(r"(?<![^\s>])(?:[-*]|\d{1,9}[.)])[ \t]")
ITEM_COST_US = 40


def _cost_us(text: str) -> int:
    items = ITEM_COST_US * len(ITEM_LIKE.findall(text))
    blank_lines = BLANK_LINE_COST_US * len(BLANK_LINE.findall(text))
    marks = sum(cost * text.count(mark) for mark, cost in COSTS_US.items())
    return items + blank_lines + marks


# ---- The parser: markdown-it with the rules a chat wants ----


@cache
def load() -> Any:
    """Import and configure the parser; from any thread, as often as you like."""
    parser = importlib.import_module("markdown_it").MarkdownIt("zero")
    parser.enable(["fence", "list", "backticks", "emphasis", "strikethrough"])
    parser.disable("text_join")
    parser.block.ruler.before("list", "quote", _quote, {"alt": ["paragraph", "list"]})
    parser.block.ruler.at("list", _list, {"alt": ["paragraph"]})
    parser.block.ruler.before("list", "outdent", _outdent, {"alt": ["paragraph"]})
    parser.inline.ruler.at("text", _plain)
    parser.inline.ruler.before("backticks", "backslash", _backslash)
    parser.inline.ruler.push("named_link", _named_link)
    parser.inline.ruler.push("bare_link", _bare_link)
    return parser


def _quote(state: Any, start: int, end: int, silent: bool) -> bool:
    """Lines that begin with "> ", and no line after them.

    Unlike in Markdown, where the reply below a quote would become part of it, and `>:(`
    a sad quote.
    """
    lines = list(_quoted_lines(state, start, start + 1 if silent else end))
    if state.level >= MAX_LEVEL or not any(map(str.strip, lines)):
        return False
    if silent:
        return True
    state.push("blockquote_open", "blockquote", 1)
    inner = type(state)("\n".join(lines), state.md, state.env, state.tokens)
    inner.level = state.level
    state.md.block.tokenize(inner, 0, inner.lineMax)
    state.push("blockquote_close", "blockquote", -1)
    state.line = start + len(lines)
    return True


def _quoted_lines(state: Any, start: int, end: int) -> Iterator[str]:
    for number in range(start, end):
        line = state.src[_line_start(state, number) : state.eMarks[number]]
        is_quoted = line == ">" or line.startswith("> ")
        if not is_quoted or state.sCount[number] < state.blkIndent:
            return
        yield line[2:]


def _line_start(state: Any, number: int) -> int:
    return int(state.bMarks[number] + state.tShift[number])


def _list(state: Any, start: int, end: int, silent: bool) -> bool:
    """Markdown's lists, except empty ones: "-" and "+ 1" are answers."""
    begin = _line_start(state, start)
    if state.level >= MAX_LEVEL or not ITEM.match(state.src, begin):
        return False
    return bool(_markdown_list()(state, start, end, silent))


def _outdent(state: Any, start: int, end: int, silent: bool) -> bool:
    """A line at the margin ends the list above it; in Markdown it would not."""
    return silent and bool(state.sCount[start] < state.blkIndent)


@cache
def _markdown_list() -> Any:
    return importlib.import_module("markdown_it.rules_block").list_block


def _plain(state: Any, silent: bool) -> bool:
    """Up to the next mark. Markdown's own rule stops three times as often."""
    mark = MARK.search(state.src, state.pos, state.posMax)
    end = mark.start() if mark else state.posMax
    state.append_pending(state.src[state.pos : end])
    is_some = end > state.pos
    state.pos = end
    return bool(is_some)


def _backslash(state: Any, silent: bool) -> bool:
    """A mark after a backslash is plain text; only `¯\\_(ツ)_/¯` keeps its arm."""
    pair = state.src[state.pos : min(state.pos + 2, state.posMax)]
    if pair == "\\_":
        state.append_pending(pair)
    elif pair in ("\\*", "\\~", "\\`", "\\["):
        state.push("text_special", "", 0).content = pair[1]
    else:
        return False
    state.pos += 2
    return True


def _named_link(state: Any, silent: bool) -> bool:
    """`[the wiki](https://example.org)`; the name may contain other marks."""
    if state.src[state.pos] != "[":
        return False
    match = NAMED_LINK.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    end = state.posMax
    state.push("link_open", "a", 1).content = match[2]
    state.pos, state.posMax = match.span(1)
    state.linkLevel += 1
    state.md.inline.tokenize(state)
    state.linkLevel -= 1
    state.pos, state.posMax = match.end(), end
    state.push("link_close", "a", -1)
    return True


def _bare_link(state: Any, silent: bool) -> bool:
    """An address in the text. The position is at its colon, past its scheme."""
    if state.src[state.pos] != ":" or state.linkLevel:
        return False
    scheme = _scheme_before(state.src, state.pos)
    start = state.pos - len(scheme)
    match = BARE_LINK.match(state.src, start, state.posMax) if scheme else None
    if not match:
        return False
    address = match[0].rstrip(".,;:!?'*_~…")
    state.pending = state.pending[: -len(scheme)]
    state.push("link_open", "a", 1).content = address
    state.push("text", "", 0).content = address
    state.push("link_close", "a", -1)
    state.pos = start + len(address)
    return True


def _scheme_before(text: str, colon: int) -> str:
    before = text[max(0, colon - 7) : colon].lower()
    scheme = next((s for s in SCHEMES if before.endswith(s)), "")
    return "" if before[: -len(scheme)][-1:].isalnum() else scheme


# ---- The HTML ----


def _has_marks(tokens: Iterable[Any]) -> bool:
    return any(
        _has_marks(token.children)
        if token.type == "inline"
        else token.type not in PLAIN and token.markup != "__"
        for token in tokens
    )


def _render(tokens: Iterable[Any]) -> Iterator[str]:
    """One piece per token; a token of a type not named here raises KeyError."""
    for token in tokens:
        match token.type:
            case "inline":
                yield from _render(token.children)
            case "text" | "text_special":
                yield escape(token.content).replace("\n", "<br>")
            case "code_inline":
                yield f"<code>{escape(token.content)}</code>"
            case "fence":
                yield f"<pre><code>{escape(_code(token))}</code></pre>"
            case "link_open":
                yield LINK.format(escape(token.content))
            case "ordered_list_open":
                number = int(token.attrs.get("start", 1))
                yield "<ol>" if number == 1 else f'<ol start="{number}">'
            case "strong_open" | "strong_close" if token.markup == "__":
                yield "__"  # __init__ is a name, not a shout
            case _ if not token.hidden:
                yield TAGS[token.type]


def _code(fence: Any) -> str:
    """What is between the fences, and after the first one if that is no language."""
    first: str = fence.info.strip()
    content: str = fence.content.removesuffix("\n")
    if content and LANGUAGE.fullmatch(first):
        return content
    return f"{first}\n{content}".strip("\n")
