"""Rooms and the people in them: leaving, removing, deleting, writing to several."""

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import PHONE, live, texts


def closed(sea, name="Lab"):
    room = {"name": name, "kind": "closed", "member_ids": list(sea.ids.values())}
    return sea.ask("ada", "rooms", room)["room"]["id"]


def is_in(sea, name, room_id):
    return any(room["id"] == room_id for room in sea.ask(name, "rooms")["rooms"])


def test_a_closed_room_is_left_after_a_question(tab, sea):
    lab = closed(sea)
    page = live(tab("grace", f"/rooms/{lab}/edit"))
    page.click("text=Leave this room")
    expect(page.locator("#ask")).to_contain_text("only when somebody in it asks you")
    expect(page.locator("#ask button")).to_have_text(["Cancel", "Leave"])
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert is_in(sea, "grace", lab)
    page.click("text=Leave this room")
    page.click("#ask [value=yes]")
    expect(page.get_by_text("You have left the room.")).to_be_visible()
    assert not is_in(sea, "grace", lab)
    expect(page.locator(f'[data-room-id="{lab}"]')).to_have_count(0)


def test_somebody_is_removed_after_a_question(tab, sea):
    lab = closed(sea)
    page = live(tab("ada", f"/rooms/{lab}/edit"))
    page.click('[aria-label="Remove linus"]')
    expect(page.locator("#ask_title")).to_have_text("Remove linus from Lab?")
    page.click("#ask [value=no]")
    assert is_in(sea, "linus", lab)
    page.click('[aria-label="Remove linus"]')
    page.click("#ask [value=yes]")
    expect(page.get_by_text("Removed.")).to_be_visible()
    assert not is_in(sea, "linus", lab)


def test_the_questions_are_asked_without_javascript_too(tab, sea):
    lab = closed(sea)
    page = tab("ada", f"/rooms/{lab}/edit", java_script_enabled=False)
    page.click('[aria-label="Remove linus"]')
    expect(page.locator("h1")).to_have_text("Remove linus from Lab?")
    assert is_in(sea, "linus", lab)
    page.click("main button")
    assert not is_in(sea, "linus", lab)
    page.click("text=Leave this room")
    page.click("text=Cancel")
    assert is_in(sea, "ada", lab)
    page.click("text=Leave this room")
    page.click("main button")
    assert not is_in(sea, "ada", lab)


def offered(page, hai):
    """What can be done with a hai that the pointer is over."""
    page.locator(f"#hai_{hai['id']}").hover()
    tools = page.locator(f"#hai_{hai['id']} .hai__tools button:visible")
    expect(tools).not_to_have_count(0)
    return [tool.get_attribute("aria-label") for tool in tools.all()]


def test_who_made_the_room_deletes_what_others_said(tab, sea):
    hai = sea.send("grace", sea.lounge, "spam")
    mine = sea.send("linus", sea.lounge, "not spam")
    page, other = [live(tab(name, f"/rooms/{sea.lounge}")) for name in ("ada", "linus")]
    assert offered(page, hai) == ["React", "Reply", "Delete"]
    assert offered(other, hai) == ["React", "Reply"]
    assert offered(other, mine) == ["React", "Reply", "Edit", "Delete"]
    page.locator(f"#hai_{hai['id']} [data-order=delete]").click()
    expect(page.locator("#ask button")).to_have_text(["Keep it", "Delete"])
    page.click("#ask [value=yes]")
    for one in (page, other):
        expect(one.locator(".hai__text")).to_have_text(["not spam"])


def test_a_deleted_hai_is_quoted_no_more(tab, sea):
    first = sea.send("grace", sea.lounge, "a secret")
    sea.send("linus", sea.lounge, "Really?", reply_to=first["id"])
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    quote = page.locator(".hai__quote:visible")
    expect(quote).to_contain_text("a secret")
    sea.ask("grace", f"hais/{first['id']}/delete", {"x": 1})
    expect(quote).to_have_text("A deleted hai")
    plain = tab("ada", f"/rooms/{sea.lounge}", java_script_enabled=False)
    for one in (page, live(tab("ada", f"/rooms/{sea.lounge}")), plain):
        expect(one.locator(".hai__quote:visible")).to_have_text("A deleted hai")
        assert one.locator(".hai__quote:visible").get_attribute("href") is None
        one.click(".hai__quote:visible")
        assert texts(one) == ["Really?"]


def test_deleted_by_touch_the_keyboard_stays_closed(tab, sea):
    hai = sea.send("ada", sea.lounge, "oops")
    sea.send("ada", sea.lounge, "stays")
    page = live(tab("ada", f"/rooms/{sea.lounge}", is_mobile=True, **PHONE))
    page.tap(f"#hai_{hai['id']} .hai__text")
    page.locator(f"#hai_{hai['id']}").focus()
    page.tap(f"#hai_{hai['id']} [data-order=delete]")
    page.tap("#ask [value=yes]")
    expect(page.locator(".hai")).to_have_count(1)
    assert page.evaluate("document.activeElement.tagName") != "TEXTAREA"


@pytest.mark.quick
def test_the_last_room_takes_its_heading_with_it(tab, sea):
    for room_id in (sea.lounge, sea.den):
        sea.ask("linus", f"rooms/{room_id}/leave", {"x": 1})
    room = sea.ask("ada", "rooms", {"name": "Pier", "kind": "open"})["room"]["id"]
    sea.ask("ada", f"rooms/{room}/members", {"user_id": sea.ids["linus"]})
    page = live(tab("linus", "/rooms"))
    expect(page.locator("#group_rooms")).to_be_visible()
    sea.ask("linus", f"rooms/{room}/leave", {"x": 1})
    expect(page.locator("#group_rooms")).to_be_hidden()


def test_one_writes_to_several_and_to_oneself(tab, sea):
    for options in ({}, {"java_script_enabled": False}):
        page = tab("ada", "/people", **options)
        together = page.get_by_text("Write to these")
        expect(together).to_be_hidden()
        page.get_by_label("Choose grace").check()
        page.get_by_label("Choose linus").check()
        together.click()
        expect(page.locator("h1")).to_have_text("grace, linus")
    page.goto(f"{sea.url}/people")
    page.click("text=Notes to self")
    expect(page.locator("h1")).to_have_text("Notes to self")
    rooms = sea.ask("ada", "rooms")["rooms"]
    assert len([room for room in rooms if room["kind"] == "direct"]) == 2


def test_a_search_keeps_whom_one_has_chosen(tab, sea):
    page = tab("ada", f"/people?q=li&user_ids={sea.ids['grace']}")
    expect(page.get_by_label("Choose grace")).to_be_checked()
    expect(page.get_by_label("Choose linus")).not_to_be_checked()
    page.fill("[name=q]", "nobody")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Choose grace")).to_be_checked()
    expect(page.get_by_label("Choose linus")).to_have_count(0)
