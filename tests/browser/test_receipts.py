"""The quiet line "Seen": right at once, live, after a gap and on reload, and it moves
nothing."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import assert_same_tabs, live, offline, online, write

LINE = ".hai__seen"


def switch(sea, room_id, is_on, name="ada"):
    return sea.ask(name, f"rooms/{room_id}", {"has_receipts": is_on})["room"]


def read(sea, name, hai):
    sea.ask(name, f"rooms/{hai['room_id']}/read", {"hai_id": hai["id"]})


def under(page, hai):
    """The line, where it stands under this hai."""
    return page.locator(f"#hai_{hai['id']} {LINE}")


def shifts(page):
    return page.evaluate("shifts"), page.evaluate("shifted")


def test_it_comes_live_goes_on_and_moves_nothing(tab, sea):
    switch(sea, sea.den, True)
    hais = [sea.send("ada", sea.den, f"number {n}") for n in range(3)]
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(page.locator(".talk[data-receipts]")).to_have_count(1)
    expect(page.locator(LINE)).to_have_count(0)
    before = page.locator(f"#hai_{hais[0]['id']}").bounding_box()
    read(sea, "grace", hais[1])
    expect(under(page, hais[1])).to_have_text("Seen by grace")
    read(sea, "linus", hais[1])
    expect(under(page, hais[1])).to_have_text("Seen by 2")
    expect(under(page, hais[1])).to_have_attribute("title", "grace, linus")
    read(sea, "grace", hais[2])
    expect(under(page, hais[2])).to_have_text("Seen by grace")
    expect(page.locator(LINE)).to_have_count(1)
    assert page.locator(f"#hai_{hais[0]['id']}").bounding_box() == before
    assert shifts(page) == (0, [])


def test_it_is_there_on_reload_as_it_was(tab, sea):
    switch(sea, sea.den, True)
    hais = [sea.send("ada", sea.den, f"number {n}") for n in range(3)]
    page = live(tab("ada", f"/rooms/{sea.den}"))
    read(sea, "grace", hais[2])
    expect(under(page, hais[2])).to_have_text("Seen by grace")
    fresh = live(tab("ada", f"/rooms/{sea.den}"))
    expect(under(fresh, hais[2])).to_have_text("Seen by grace")
    assert_same_tabs(page, fresh)
    plain = tab("ada", f"/rooms/{sea.den}", java_script_enabled=False)
    expect(under(plain, hais[2])).to_have_text("Seen by grace")
    assert shifts(fresh) == (0, [])


def test_to_answer_is_to_have_seen(tab, sea):
    switch(sea, sea.den, True)
    mine = sea.send("ada", sea.den, "Are you there?")
    page = live(tab("ada", f"/rooms/{sea.den}"))
    sea.send("grace", sea.den, "Yes")
    expect(under(page, mine)).to_have_text("Seen by grace")


def test_what_was_read_while_one_was_away_is_there_after_it(tab, sea):
    switch(sea, sea.den, True)
    mine = sea.send("ada", sea.den, "Are you there?")
    page = live(tab("ada", f"/rooms/{sea.den}"))
    offline(page)
    read(sea, "grace", mine)
    online(page)
    expect(under(page, mine)).to_have_text("Seen by grace")


def test_between_two_it_says_no_name(tab, sea):
    room_id = sea.ask("ada", "direct", {"user_ids": [sea.ids["grace"]]})["room"]["id"]
    switch(sea, room_id, True, name="grace")
    page = live(tab("ada", f"/rooms/{room_id}"))
    write(page, "Only you")
    expect(page.locator(".hai:not([data-state])")).to_have_count(1)
    live(tab("grace", f"/rooms/{room_id}"))
    expect(page.locator(LINE)).to_have_text("Seen")
    expect(page.locator(LINE)).to_have_attribute("aria-label", "Seen by grace")
    expect(page.locator(".room__topic")).to_have_text(
        re.compile(r"@grace · shows\s+who\s+has\s+read")
    )


def test_on_and_off_reach_open_tabs_at_once(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(page.locator("[data-rule]")).to_be_hidden()
    switch(sea, sea.den, True)
    expect(page.locator("[data-rule]")).to_be_visible()
    mine = sea.send("ada", sea.den, "Look")
    read(sea, "grace", mine)
    expect(under(page, mine)).to_have_text("Seen by grace")
    switch(sea, sea.den, False)
    expect(page.locator(LINE)).to_have_count(0)
    expect(page.locator("[data-rule]")).to_be_hidden()


def test_who_leaves_is_no_longer_named(tab, sea):
    switch(sea, sea.den, True)
    mine = sea.send("ada", sea.den, "Look")
    read(sea, "grace", mine)
    read(sea, "linus", mine)
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(under(page, mine)).to_have_text("Seen by 2")
    sea.ask("grace", f"rooms/{sea.den}/leave", {"room_id": sea.den})
    expect(under(page, mine)).to_have_text("Seen by linus")


@pytest.mark.parametrize("room", ["den", "direct"])
def test_they_are_switched_in_the_room_s_form(tab, sea, room):
    name, room_id = "ada", sea.den
    if room == "direct":
        name = "grace"
        direct = sea.ask("ada", "direct", {"user_ids": [sea.ids["grace"]]})
        room_id = direct["room"]["id"]
    page = live(tab(name, f"/rooms/{room_id}/edit"))
    choice = page.get_by_label("Who has read a hai")
    expect(choice).to_have_value("off")
    choice.select_option("on")
    page.click("text=Save")
    expect(page.get_by_text("Saved")).to_be_visible()
    expect(choice).to_have_value("on")
    rooms = sea.ask("ada", "rooms")["rooms"]
    assert [one["id"] for one in rooms if "has_receipts" in one] == [room_id]


def test_a_room_entered_in_the_same_tab_has_its_line_too(tab, sea):
    switch(sea, sea.den, True)
    mine = sea.send("ada", sea.den, "Look")
    read(sea, "grace", mine)
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    for room_id, count in ((sea.den, 1), (sea.lounge, 0), (sea.den, 1)):
        page.click(f'.room-link[data-room-id="{room_id}"]')
        expect(
            page.locator(f'[data-controller="room"][data-room-id="{room_id}"]')
        ).to_be_visible()
        expect(page.locator(LINE)).to_have_count(count)
    read(sea, "linus", mine)
    expect(under(page, mine)).to_have_text("Seen by 2")
