"""What there is, is written down, each kind in its own document; what is written down
is there; and every link leads somewhere.

Tables are the source: settings, orders, facts, errors, metrics, routes, commands, and
the schemas of the wire objects. A document's tables are read like data.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from hai import __version__, cli, config, events
from hai.config import SETTINGS
from hai.core.orders import ORDERS
from hai.errors import all_errors
from hai.metrics import METRICS
from hai.web.openapi import describe
from hai.web.routes import API_ROUTES, ROUTES

ROOT = Path(__file__).resolve().parent.parent
README_LINES = 130
IMAGE_BYTES = 120_000
DOCUMENTS = sorted(
    path for folder in (ROOT, ROOT / "docs") for path in folder.glob("*.md")
)
SCHEMAS = describe(API_ROUTES)["components"]["schemas"]
CELL = re.compile(r"(?<!\\)\|")  # what parts the cells of a row


@cache
def document(name):
    """The text of a document; its tables are for `table`."""
    return (ROOT / name).read_text()


@cache
def section(name, heading):
    """What stands below a heading of a document, up to the next of its level."""
    _, _, below = document(name).partition(f"\n{heading}\n")
    level = heading.partition(" ")[0]
    return re.split(rf"^#{{1,{len(level)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def table(text):
    """The rows of the first table in a text, without its head: lists of cells."""
    found = re.search(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    lines = found[0].splitlines()[2:] if found else []
    return [[cell.strip() for cell in CELL.split(line)[1:-1]] for line in lines]


def fields(name, heading):
    """{field: the next cells} of the table below a heading."""
    rows = table(section(name, heading))
    return {row[0].strip("`"): row[1:] for row in rows}


@cache
def help_text():
    return " ".join(cli.build_parser().format_help().split())


def in_words(path):
    """Return a route's path as documents write it: /rooms/ID/hais, /join/CODE."""
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path)


def test_a_route_is_put_in_words():
    assert in_words("/rooms/{id}/members/{id}") == "/rooms/ID/members/ID"


def test_a_table_is_read_like_data():
    text = "words\n\n| a | b |\n|---|---|\n| `x` | one\\|two |\n\n| c |\n|---|\n| y |\n"
    assert table(text) == [["`x`", "one\\|two"]]
    assert table("no table") == []


# --- Everything that there is, is written down ---------------------------------------


def test_the_settings_are_those_of_the_table():
    found = fields("docs/configure.md", "## Settings")
    assert found.keys() == {setting.flag for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_its_default_and_is_in_help(setting):
    default = fields("docs/configure.md", "## Settings")[setting.flag][0].strip("`")
    size = re.fullmatch(r"(\d+) MiB", default)
    default = str(int(size[1]) * config.MIB) if size else default
    assert default == setting.default
    assert setting.variable in help_text()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_in_the_table_and_in_help(name):
    assert f"| `run.py {name}" in section("docs/configure.md", "## Commands")
    assert f" {name} " in help_text()


def ack_of(name):
    """The keys of an order's ack, as openapi.json has them."""
    route = next(route for route in API_ROUTES if route.order == name)
    answers = describe(API_ROUTES)["paths"][route.path][route.method.lower()]
    answer = answers["responses"].get("201") or answers["responses"]["200"]
    return answer["content"]["application/json"]["schema"]["properties"]


@pytest.mark.parametrize("order", ORDERS.values(), ids=lambda order: order.name)
def test_every_order_has_its_fields_and_its_ack(order):
    heading = f"### {order.name}"
    found = fields("docs/protocol.md", heading)
    asked = {name: row[1] for name, row in found.items()}
    assert asked == {
        name: "yes" if field.is_required else "no"
        for name, field in order.fields.items()
    }
    ack = re.search(
        r"Ack: `\{(.*?)\}`", section("docs/protocol.md", heading), re.DOTALL
    )
    assert ack, "there is no ack"
    keys = ack[1].replace("?", "").replace("\n", " ").split(", ")
    assert [key for key in keys if key] == list(ack_of(order.name))


def test_no_order_is_promised_that_is_not_there():
    headings = re.findall(
        r"^### (\w+)$", section("docs/protocol.md", "## Orders"), re.MULTILINE
    )
    assert sorted(headings) == sorted(ORDERS)


HAI = {"room_id": 1}
FACTS = {  # an example of each, with every field that it can have
    "hai_sent": events.HaiSent(HAI),
    "hai_changed": events.HaiChanged(HAI),
    "room_changed": events.RoomChanged({"id": 1}),
    "room_removed": events.RoomRemoved(1, 2),
    "user_changed": events.UserChanged({"id": 1}),
    "read_marked": events.ReadMarked(1, 2, 3, 4),
    "typing_started": events.TypingStarted(1, 2),
    "presence_changed": events.PresenceChanged(1, "online"),
    "session_ended": events.SessionEnded(1),
}


def test_the_facts_are_those_of_the_catalogue():
    found = section("docs/protocol.md", "## Facts")
    headings = re.findall(r"^### (\w+)$", found, re.MULTILINE)
    assert headings == [fact.name for fact in events.FACTS] == list(FACTS)


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_every_fact_has_its_fields(fact):
    found = fields("docs/protocol.md", f"### {fact.name}")
    assert found.keys() == fact.payload().keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_wire_object_has_its_fields(name):
    found = fields("docs/protocol.md", f"### {name}")
    assert found.keys() == SCHEMAS[name]["properties"].keys()
    always = {field for field, row in found.items() if row[1] == "always"}
    assert always == set(SCHEMAS[name]["required"])


def test_the_errors_are_those_of_the_tree_with_their_status():
    found = fields("docs/protocol.md", "## Errors")
    statuses = {code: int(row[0]) for code, row in found.items()}
    assert statuses == {error.code: error.status for error in all_errors()}


def test_the_metrics_are_those_of_the_list():
    text = section("docs/operate.md", "## Health and metrics")
    found = fields_of_metrics(text)
    assert found == {metric.name: metric.kind for metric in METRICS}


def fields_of_metrics(text):
    rows = re.findall(r"^\| `(hai_\w+)` \| (\w+) \|", text, re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_explains_itself(metric):
    """Prometheus shows the help beside the number, so that is where it is read."""
    assert metric.help
    assert metric.name.startswith("hai_")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_address_is_listed(route):
    assert f"`{in_words(route.path)}`" in document("docs/api.md")


def test_the_api_is_that_of_its_table():
    rows = table(section("docs/api.md", "## The API"))
    found = {row[0]: re.sub(r"\[`(\w+)`\].*", r"\1", row[1]) for row in rows}
    assert found == {f"{r.method} `{r.path}`": r.order for r in API_ROUTES}


@pytest.mark.parametrize("route", API_ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_address_of_the_api_has_a_summary_in_openapi(route):
    operation = describe(API_ROUTES)["paths"][route.path][route.method.lower()]
    assert operation["summary"]


def test_every_order_has_an_address_in_the_api():
    assert ORDERS.keys() == {route.order for route in API_ROUTES} - {""}


def test_the_browser_knows_the_same_facts():
    script = (ROOT / "static/js/net/events.js").read_text()
    names = {fact.name for fact in events.FACTS}
    assert names <= set(re.findall(r"""["'](\w+)["']""", script))


# --- What is written down is there ---------------------------------------------------


def test_the_readme_is_short():
    assert len(document("README.md").splitlines()) <= README_LINES


def test_the_pictures_of_the_readme_are_small():
    """Made by `python -m tests.screenshots`."""
    found = list((ROOT / "docs/images").iterdir())
    assert {path.name for path in found} == {"desktop.webp", "phone.webp"}
    assert max(path.stat().st_size for path in found) < IMAGE_BYTES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_is_promised_that_is_not_there(path):
    promised = set(re.findall(r"`run\.py (\w+)", path.read_text()))
    assert promised <= {*cli.COMMANDS, "COMMAND"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(path):
    pattern = r"`((?:hai|deploy|templates|static|tests|docs)/[\w./-]*)`"
    names = set(re.findall(pattern, path.read_text()))
    missing = [name for name in names if not (ROOT / name).exists()]
    assert [name for name in missing if not name.startswith("static/vendor")] == []


def test_every_document_that_the_code_names_exists():
    sources = [
        path
        for folder in ("hai", "static/js", "templates", "deploy", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".js", ".html", ".conf", "")
    ]
    named = {
        name
        for path in sources
        for name in re.findall(r"docs/[\w-]+\.md", path.read_text())
    }
    assert "docs/protocol.md" in named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_map_of_the_code_names_many_files():
    found = section("docs/architecture.md", "## Where to look")
    assert found.count("`hai/") > 15


def anchors(text):
    """The anchors of a document's headings, as code hosts make them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def test_headings_become_anchors():
    assert anchors("# Rev and epoch\n```\n# no\n```\n## `/ws`: plain\n") == {
        "rev-and-epoch",
        "ws-plain",
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    text = path.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert [link for link in links if not leads_somewhere(path, link)] == []


def leads_somewhere(path, link):
    if link.startswith("https://"):
        return True  # not ours to promise
    name, _, anchor = link.partition("#")
    target = path.parent / name if name else path
    if not target.is_file():
        return False
    return not anchor or anchor in anchors(target.read_text())


def test_the_version_stands_in_the_change_log():
    headings = re.findall(r"^## (.+)$", document("CHANGELOG.md"), re.MULTILINE)
    assert next(name for name in headings if name != "Unreleased") == __version__
