"""What there is, is written down: in the README, in --help or in openapi.json.

Tables are the source: settings, orders, facts, errors, metrics, routes, commands. The
browser's list of facts is the same as the server's.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from hai import cli, events
from hai.config import SETTINGS
from hai.core.orders import ORDERS
from hai.errors import all_errors
from hai.metrics import METRICS
from hai.web.openapi import describe
from hai.web.routes import API_ROUTES, ROUTES

ROOT = Path(__file__).resolve().parent.parent


@cache
def readme():
    return (ROOT / "README.md").read_text()


@cache
def help_text():
    return " ".join(cli.build_parser().format_help().split())


def in_words(path):
    """Return a route's path as the README writes it: /rooms/ID/hais, /join/CODE."""
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path)


def test_a_route_is_put_in_words():
    assert in_words("/rooms/{id}/members/{id}") == "/rooms/ID/members/ID"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_table_and_in_help(setting):
    assert f"| `{setting.flag}` |" in readme()
    assert setting.variable in help_text()


@pytest.mark.parametrize("name", [fact.name for fact in events.FACTS] + list(ORDERS))
def test_every_fact_and_order_is_named(name):
    assert f"`{name}`" in readme()


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_error_is_listed_with_its_status(error):
    words = " ".join(readme().split())
    assert f"`{error.code}` {error.status}" in words


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_explains_itself(metric):
    """Prometheus shows the help beside the number, so that is where it is read."""
    assert metric.help
    assert metric.name.startswith("hai_")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_address_is_listed(route):
    assert f"`{in_words(route.path)}`" in readme()


@pytest.mark.parametrize("route", API_ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_address_of_the_api_has_a_summary_in_openapi(route):
    operation = describe(API_ROUTES)["paths"][route.path][route.method.lower()]
    assert operation["summary"]


def test_every_order_has_an_address_in_the_api():
    assert ORDERS.keys() == {route.order for route in API_ROUTES} - {""}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_in_the_readme_and_in_help(name):
    assert f"run.py {name}" in readme()
    assert f" {name} " in help_text()


def test_no_command_is_promised_that_is_not_there():
    promised = set(re.findall(r"`run\.py (\w+)", readme()))
    assert promised <= set(cli.COMMANDS)


def test_every_flag_in_the_readme_s_table_exists():
    flags = set(re.findall(r"^\| `(--[a-z-]+)` \|", readme(), re.MULTILINE))
    assert flags == {setting.flag for setting in SETTINGS}


def test_the_browser_knows_the_same_facts():
    script = (ROOT / "static/js/net/events.js").read_text()
    names = {fact.name for fact in events.FACTS}
    assert names <= set(re.findall(r"""["'](\w+)["']""", script))


def test_every_file_that_the_readme_names_exists():
    names = set(
        re.findall(r"`((?:hai|deploy|templates|static|tests)/[\w./]*)`", readme())
    )
    missing = [name for name in names if not (ROOT / name).exists()]
    assert len(names) > 15
    assert [name for name in missing if not name.startswith("static/vendor")] == []
