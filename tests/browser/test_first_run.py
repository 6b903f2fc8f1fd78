"""The first minutes: from the printed link to the first hai, and one's first guest."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import DESK, PASSWORD, PHONE, live, texts, write
from tests.browser.test_pages import violations


def fill_account(page, name):
    page.fill("[name=display_name]", name)
    page.fill("[name=name]", name.lower())
    page.fill("[name=password]", PASSWORD)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_from_the_printed_link_to_the_first_hai(chromium, served, size):
    link = re.search(r"http\S+/setup\S+", served.printed)[0]
    page = chromium.new_context(**size).new_page()
    page.goto(link)
    assert violations(page) == []
    fill_account(page, "Ada")
    page.keyboard.press("Enter")
    live(page)
    write(page, "First!")
    expect(page.locator(".hai:not([data-state])")).to_have_count(1)
    page.goto(f"{served.url}/people")
    page.click("text=Make an invite link")
    invite = page.get_by_label("Invite link").input_value()
    guest = chromium.new_context(**size).new_page()
    guest.goto(invite)
    assert violations(guest) == []
    fill_account(guest, "Grace")
    guest.click("text=Join")
    live(guest)
    assert texts(guest) == ["First!"]
    for one in (page, guest):
        one.context.close()


def test_a_set_up_form_that_is_wrong_keeps_what_was_typed(chromium, served):
    page = chromium.new_context(**DESK).new_page()
    page.goto(re.search(r"http\S+/setup\S+", served.printed)[0])
    fill_account(page, "Ada")
    page.fill("[name=name]", "not a name")
    page.keyboard.press("Enter")
    expect(page.locator("[role=alert]")).to_be_visible()
    expect(page.locator("[name=display_name]")).to_have_value("Ada")
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    live(page)
    page.context.close()
