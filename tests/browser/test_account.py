"""One's own account: who else came in, programs, and what was done."""

import json
from urllib.request import Request, urlopen

from playwright.sync_api import expect

from tests.browser.tabs import PASSWORD, PHONE, live
from tests.browser.test_pages import violations


def sign_in(sea, agent, password=PASSWORD):
    """As another browser of ada's would."""
    headers = {"User-Agent": agent, "Content-Type": "application/json"}
    body = json.dumps({"name": "ada", "password": password}).encode()
    headers["Accept"] = "application/json"
    with urlopen(Request(f"{sea.url}/sign_in", body, headers)):
        pass


def test_a_new_browser_is_asked_about_in_every_open_tab(tab, sea):
    sign_in(sea, "Firefox/140 Linux")
    desk = live(tab("ada", f"/rooms/{sea.lounge}"))
    phone = live(tab("ada", "/rooms", **PHONE))
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    sign_in(sea, "Safari/605 iPhone")
    words = "You signed in with Safari on iPhone. Was that you?"
    for page in (desk, phone):
        expect(page.locator(".connection__news")).to_contain_text(words)
        assert violations(page) == []
    assert desk.evaluate("window.shifts") == 0
    desk.get_by_role("button", name="Yes").click()
    expect(desk.locator(".connection__news")).to_have_count(0)
    phone.get_by_role("link", name="No").click()
    expect(phone.locator(".list__item", has_text="Safari on iPhone")).to_contain_text(
        "new"
    )
    expect(grace.locator(".connection__news")).to_have_count(0)


def test_a_token_is_made_and_ended_without_javascript(tab, sea):
    page = tab(None, "/sign_in", java_script_enabled=False)
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    page.goto(f"{sea.url}/settings")
    page.click("text=a token of yours")
    page.fill("[name=name]", "Weather")
    page.select_option("[name=scope]", "read")
    page.click("text=Make it")
    token = page.input_value('[aria-label="Token"]')
    sea.tokens["weather"] = token
    assert sea.ask("weather", "me")["user"]["name"] == "ada"
    row = page.locator(".list__item", has_text="Weather")
    expect(row).to_contain_text("Only reads")
    page.get_by_role("button", name="End Weather").click()
    expect(page.locator(".notice")).to_have_text("That token works no more.")
    expect(row).to_have_count(0)
