"""Nothing breaks out of its place: the longest names, many rooms, people who write."""

import json
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import DESK, PHONE, live

SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
NAME = "W" * 40
ROOM = "Z" * 80
WIDER = """() => [...document.querySelectorAll("html, .sheet, .sheet *, .talk, .hai,"
    + ".hai__head, .sidebar, .sidebar__rooms, .room__head, .room__foot, .unseen")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1)
  .filter((one) => getComputedStyle(one).display !== "inline")
  .filter((one) => getComputedStyle(one).overflowX === "visible"
    || one.matches("html, .sheet, .talk"))
  .map((one) => `${one.outerHTML.slice(0, 120)} ${one.scrollWidth}>${one.clientWidth}`)
"""


def rename(sea, name, display_name):
    request = Request(
        f"{sea.url}/settings",
        json.dumps({"display_name": display_name}).encode(),
        {
            "Authorization": f"Bearer {sea.tokens[name]}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
    )
    urlopen(request).close()


@SIZES
def test_the_longest_names_fit(tab, sea, size):
    rename(sea, "grace", NAME)
    everybody = list(sea.ids.values())
    payload = {"name": ROOM, "kind": "closed", "member_ids": everybody}
    room = sea.ask("ada", "rooms", payload)["room"]["id"]
    sea.ask("ada", f"rooms/{room}", {"topic": "Y" * 250})
    asked = sea.send("grace", room, "x" * 4000)
    for _ in range(42):
        sea.send("grace", room, "word " * 20, reply_to=asked["id"])
    offer = sea.ask("grace", "rooms", {"name": ROOM, "kind": "open"})["room"]["id"]
    remove = f"/rooms/{room}/members/{sea.ids['grace']}/remove"
    allow = ("Failed to load",)  # the room that is offered
    page = tab("ada", None, allow=allow, **size)
    found = {}
    paths = [f"/rooms/{room}{more}" for more in ("", "/edit", "/leave")]
    for path in [*paths, remove, "/rooms", f"/rooms/{offer}", "/people", "/settings"]:
        page.goto(sea.url + path)
        live(page)
        found[path] = page.evaluate(WIDER)
    assert {path: wide for path, wide in found.items() if wide} == {}


@SIZES
def test_a_quote_keeps_room_for_its_words(tab, sea, size):
    rename(sea, "grace", NAME)
    asked = sea.send("grace", sea.lounge, "Who comes to the lake?")
    sea.send("linus", sea.lounge, "I do", reply_to=asked["id"])
    page = live(tab("ada", f"/rooms/{sea.lounge}", **size))
    parts = [page.locator(f".hai__quote-{part}:visible") for part in ("name", "text")]
    name, words = [part.bounding_box()["width"] for part in parts]
    assert words >= 100 and name >= 40


@SIZES
def test_people_who_write_move_nothing(tab, sea, size):
    for name in ("grace", "linus"):
        rename(sea, name, NAME)
    page = live(tab("ada", f"/rooms/{sea.lounge}", **size))
    height = "document.querySelector('.talk').clientHeight"
    before = page.evaluate(height)
    others = [live(tab(name, f"/rooms/{sea.lounge}")) for name in ("grace", "linus")]
    verb = page.locator("[data-verb]")
    for other, words in zip(others, (" is writing", " are writing"), strict=True):
        other.locator("textarea").press_sequentially("h")
        expect(verb).to_have_text(words)
        assert page.evaluate(height) == before
        expect(verb).to_be_in_viewport(ratio=1)


def test_on_a_phone_all_is_within_reach_below_many_rooms(tab, sea):
    for number in range(60):
        sea.add_room(f"Room {number}")
    page = live(tab("ada", "/rooms", is_mobile=True, **PHONE))
    for label in ("Settings", "People", "New room", "Search"):
        target = page.locator(".sidebar").get_by_role("link", name=label)
        expect(target).to_be_in_viewport(ratio=1)
    page.mouse.wheel(0, 2000)
    expect(page.get_by_role("link", name="People")).to_be_in_viewport(ratio=1)
    page.get_by_role("link", name="New room").tap()
    expect(page.get_by_text("Make the room")).to_be_in_viewport()


def test_of_many_rooms_to_join_some_are_shown_and_all_are_found(tab, sea):
    for number in range(60):
        sea.ask("grace", "rooms", {"name": f"Bay {number}", "kind": "open"})
    page = live(tab("ada", "/rooms"))
    expect(page.get_by_role("button", name="Join Bay")).to_have_count(50)
    expect(page.get_by_text("And 10 more.")).to_be_visible()
    page.fill("[name=q]", "bAy 59")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Join Bay")).to_have_count(1)
    page.fill("[name=q]", "nowhere")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No room of that name is left")).to_be_visible()


@SIZES
def test_a_long_sheet_scrolls_and_the_window_does_not(tab, sea, size):
    """What is only spoken of each row lies in the sheet, not below the window."""
    sea.server.run("seed", "--users", "30", "--rooms", "1", "--hais", "1")
    page = tab("ada", None, **size)
    longer = "document.documentElement.scrollHeight - innerHeight"
    for path in ("/people", f"/rooms/{sea.lounge}/edit", "/settings", "/admin"):
        page.goto(sea.url + path)
        live(page)
        assert page.evaluate(longer) <= 0, path


def test_a_title_stands_above_what_it_names(tab, sea):
    page = tab("ada", None, **DESK)
    for path in ("/people", "/settings", "/search?q=lake"):
        page.goto(sea.url + path)
        live(page)
        first = page.locator(".sheet > :not(link)").first
        starts = [one.bounding_box()["x"] for one in (page.locator("h1"), first)]
        assert starts[0] == pytest.approx(starts[1], abs=1), path


@SIZES
def test_one_link_leads_back_from_what_is_about_a_room(tab, sea, size):
    page = live(tab("ada", f"/rooms/{sea.lounge}/edit", **size))
    back = page.locator("main").get_by_role("link", name="Back")
    expect(back).to_have_count(1)
    expect(back).to_have_accessible_name("Back to Lounge")
    back.click()
    expect(page).to_have_url(f"{sea.url}/rooms/{sea.lounge}")


def test_about_a_direct_room_says_who_is_in_it(tab, sea):
    direct = {"user_ids": [sea.ids["grace"]]}
    room = sea.ask("ada", "direct", direct)["room"]["id"]
    page = live(tab("ada", f"/rooms/{room}/edit"))
    expect(page.locator("h1")).to_have_text("grace")


def test_on_a_phone_a_room_to_join_comes_before_all_others(tab, sea):
    for number in range(20):
        sea.add_room(f"Room {number}")
    offer = sea.ask("grace", "rooms", {"name": "Offer", "kind": "open"})["room"]["id"]
    allow = ("Failed to load",)
    page = live(tab("ada", f"/rooms/{offer}", allow=allow, **PHONE))
    join = page.get_by_role("button", name="Join Offer").first
    expect(join).to_be_in_viewport(ratio=1)


def test_without_javascript_the_composer_says_what_was_chosen(tab, sea, pictures):
    page = tab("ada", f"/rooms/{sea.lounge}", java_script_enabled=False)
    chosen = page.locator("#picture")
    chosen.set_input_files(pictures)
    assert chosen.bounding_box()["width"] > 200  # the browser's words are in it
    expect(page.locator("[data-send]")).to_be_in_viewport(ratio=1)


def test_the_time_of_a_further_hai_stands_beside_it(tab, sea):
    for words in ("One", "Two"):
        sea.send("grace", sea.lounge, words)
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    further = page.locator('.hai[data-run="more"]')
    further.hover()
    time = further.locator(".hai__time").bounding_box()
    text = further.locator(".hai__text").bounding_box()
    assert time["x"] + time["width"] <= text["x"]
