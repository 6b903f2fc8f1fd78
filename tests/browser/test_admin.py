"""The owner's view, and a room's rule for pictures, as people use them."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

from playwright.sync_api import expect

from tests.browser.tabs import PHONE, live
from tests.browser.test_pages import violations
from tests.clients import encode_multipart

PAGES = ("/admin", "/admin/users", "/admin/users/{id}", "/admin/rooms", "/admin/deeds")


def post_picture(sea, name, path):
    """Send one over the plain form, as a program would."""
    body, kind = encode_multipart(
        {"text": "the lake"}, [("picture", "lake.jpg", "image/jpeg", path.read_bytes())]
    )
    headers = {"Authorization": f"Bearer {sea.tokens[name]}", "Content-Type": kind}
    url = f"{sea.url}/api/v1/rooms/{sea.lounge}/hais"
    with urlopen(Request(url, body, headers)):
        pass


def test_an_owner_looks_after_a_user_without_javascript(tab, sea):
    page = tab("ada", "/admin", java_script_enabled=False)
    page.click("text=All people")
    page.fill("[name=q]", "gra")
    page.click('button:text-is("Find")')
    page.click(".used >> text=@grace")
    page.select_option("[name=role]", "admin")
    page.click("section:has(#role_title) button")
    expect(page.locator(".notice")).to_have_text("Saved.")
    page.fill("[name=megabytes]", "5")
    page.click("section:has(#pictures_title) button >> nth=0")
    expect(page.locator(".figures")).to_contain_text("5.0 MB")
    page.click("text=Make a link for a new password")
    link = page.input_value('[aria-label="Link for a new password"]')
    grace = tab(None, None, java_script_enabled=False)
    grace.goto(link)
    grace.fill("[name=password]", "a sea of her own")
    grace.click("text=Set it and sign in")
    expect(grace.locator("nav")).to_contain_text("grace")
    page.click("text=History")
    deeds = page.locator(".deed").filter(has_text="grace").filter(has_text="ada")
    expect(deeds).to_have_count(3)
    expect(deeds.last).to_contain_text("ada made grace an admin")


def test_a_deactivated_user_is_out_of_every_open_tab(tab, sea):
    linus = live(tab("linus", f"/rooms/{sea.lounge}", allow=("Failed to load",)))
    page = live(tab("ada", f"/admin/users/{sea.ids['linus']}"))
    page.click("summary >> text=Deactivate")
    page.click("text=Deactivate linus")
    expect(linus).to_have_url(f"{sea.url}/sign_in")
    expect(page.locator(".notice")).to_contain_text("Signed out everywhere")
    page.click("text=Let them back in")
    expect(page.locator(".notice")).to_contain_text("Back in the lists")


def test_a_room_s_rule_asks_and_open_pages_follow(tab, sea, pictures):
    post_picture(sea, "grace", Path(pictures[0]))
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    expect(grace.locator(".picture")).to_have_count(1)
    sea.server.stop()
    age(sea.server.data / "hai.db", days=31)
    sea.server.start()
    allow = ("Failed to load",)  # the answer that asks
    page = live(tab("ada", f"/rooms/{sea.lounge}/edit", allow=allow))
    page.select_option("[name=picture_days]", "30")
    page.click("text=Save")
    expect(page.locator("form[role=alert]")).to_contain_text("This removes 1 picture")
    live(page).click("text=Keep them")
    page.wait_for_url("**/edit")
    expect(page.locator("[name=picture_days]")).to_have_value("0")
    expect(grace.locator(".picture")).to_have_count(1)
    page.select_option("[name=picture_days]", "30")
    page.click("text=Save")
    page.click("text=Remove them")
    live(grace)
    gone = grace.locator(".hai__gone")
    expect(gone).to_have_text("A picture, no longer kept")
    expect(grace.locator(".hai__text").last).to_have_text("the lake")
    expect(grace.locator(".picture")).to_have_count(0)
    topic = re.compile("pictures are kept 30 days")
    expect(grace.locator("#room_topic")).to_have_text(topic)
    drawn = grace.locator(".hai").last.evaluate("hai => hai.outerHTML")
    grace.reload()
    assert plain(grace.locator(".hai").last.evaluate("hai => hai.outerHTML")) == plain(
        drawn
    )


def plain(html):
    """Without what only one tab did or offers, and the space between tags."""
    html = re.sub(r'<button class="hai__more".*?</button>', "", html)
    html = re.sub(r'<div class="hai__tools".*?</div>', "", html)
    html = re.sub(r' (tabindex|data-fresh)="[^"]*"', "", html)
    return re.sub(r">\s+<", "><", html)


def age(path, *, days):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE hais SET sent_at = sent_at - ?", (days * 86_400_000,))


def test_axe_and_the_policy_find_nothing_and_nothing_is_cut_off(tab, sea):
    sea.server.run("users", "add", "x" * 40)
    for scheme, size in (("light", PHONE), ("dark", {})):
        page = tab("ada", None, color_scheme=scheme, **size)
        found = {}
        for path in PAGES:
            page.goto(sea.url + path.format(id=sea.ids["grace"]))
            page.wait_for_selector("html[data-live]")
            problems = violations(page) + page.evaluate("window.violations")
            if page.evaluate(TOO_WIDE):
                problems.append("wider than the screen")
            found[path] = problems
        assert {path: rules for path, rules in found.items() if rules} == {}


TOO_WIDE = """() => [document.documentElement, document.querySelector(".sheet")].some(
  (element) => element.scrollWidth > element.clientWidth)"""
