"""What is new: where it begins, what counts as seen, and the same count in all tabs."""

from functools import partial

from playwright.sync_api import expect

from tests.browser.tabs import live, offline, online, until, write

LINES = "\nline" * 4
UNSEEN = ".unseen__box"


def fill(sea, room_id, count):
    return [sea.send("grace", room_id, f"number {n}{LINES}") for n in range(count)]


def unread(sea, room_id):
    rooms = sea.ask("ada", "rooms")["rooms"]
    return next(room["unread"] for room in rooms if room["id"] == room_id)


def count_in(page, room_id):
    return page.locator(f'.room-link[data-room-id="{room_id}"] [data-count]')


def shown(page):
    """The first line of the hai that stands below the line "New"."""
    return page.evaluate("""() => {
      const line = document.querySelector("[data-new-line]");
      const next = line?.nextElementSibling.querySelector(".hai__text").textContent;
      return next?.split("\\n")[0];
    }""")


def test_more_than_a_page_is_not_read_before_it_is_seen(tab, sea):
    hais = fill(sea, sea.den, 60)
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(page.locator(f"#hai_{hais[-1]['id']}")).to_be_in_viewport()
    expect(page.locator(UNSEEN)).to_contain_text("60 new. Go to the first")
    more = sea.send("grace", sea.den, "and one more")
    expect(page.locator(f"#hai_{more['id']}")).to_be_visible()
    expect(page.locator(UNSEEN)).to_contain_text("61 new")
    assert unread(sea, sea.den) == 61
    page.click("text=Go to the first")
    expect(page.locator("[data-new-line]")).to_be_in_viewport()
    assert shown(page) == "number 0"
    expect(page.locator(UNSEEN)).to_be_hidden()
    expect(page.locator("[data-to-now]")).to_contain_text("new")
    page.click("[data-to-now]")
    expect(page.locator(f"#hai_{more['id']}")).to_be_in_viewport()
    expect(page.locator("[data-to-now]")).to_be_hidden()
    expect(page.locator(UNSEEN)).to_be_hidden()
    expect(count_in(page, sea.den)).to_be_hidden()
    assert unread(sea, sea.den) == 0


def test_the_line_is_drawn_when_one_scrolls_up_to_it(tab, sea):
    seen = fill(sea, sea.den, 3)[-1]
    sea.ask("ada", f"rooms/{sea.den}/read", {"hai_id": seen["id"]})
    fill(sea, sea.den, 60)
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(page.locator(UNSEEN)).to_be_visible()
    page.mouse.move(800, 400)
    while not page.locator("[data-new-line]").count():
        page.mouse.wheel(0, -900)
        page.wait_for_timeout(50)
    assert shown(page) == "number 0"
    page.click("text=Go to the first")
    expect(page.locator("[data-new-line]")).to_be_in_viewport()
    expect(page.locator(UNSEEN)).to_be_hidden()
    expect(count_in(page, sea.den)).not_to_have_text("60")


def test_a_line_above_the_window_is_not_seen_yet(tab, sea):
    """Short ones: the rest is fetched at once, being near."""
    for number in range(50):
        sea.send("grace", sea.den, f"number {number}")
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(page.locator("[data-new-line]")).to_have_count(1)
    expect(page.locator(".hai")).to_have_count(50)
    expect(page.locator(UNSEEN)).to_contain_text("50 new. Go to the first")
    assert unread(sea, sea.den) == 50
    page.click("text=Go to the first")
    expect(page.locator("[data-new-line]")).to_be_in_viewport()
    expect(page.locator(UNSEEN)).to_be_hidden()
    expect(count_in(page, sea.den)).not_to_have_text("50")
    assert shown(page) == "number 0"


def test_after_a_long_absence_nothing_is_read_unseen_either(tab, sea):
    before = sea.send("grace", sea.den, "good night")
    page = live(tab("ada", f"/rooms/{sea.den}"))
    expect(count_in(page, sea.den)).to_be_hidden()
    while unread(sea, sea.den):  # it has told the server, too
        page.wait_for_timeout(50)
    offline(page)
    last = fill(sea, sea.den, 210)[-1]  # more than is caught up with one by one
    online(page)
    expect(page.locator(f"#hai_{last['id']}")).to_be_visible(timeout=20_000)
    expect(page.locator(UNSEEN)).to_contain_text("210 new. Go to the first")
    assert unread(sea, sea.den) == 210
    page.click("text=Go to the first")
    expect(page.locator("[data-new-line]")).to_be_in_viewport()
    assert shown(page) == "number 0"
    expect(page.locator(f"#hai_{before['id']}")).to_have_count(1)


def test_what_is_new_may_be_marked_as_read(tab, sea):
    fill(sea, sea.den, 45)
    page, other = [live(tab("ada", f"/rooms/{room}")) for room in (sea.den, sea.lounge)]
    expect(count_in(other, sea.den)).to_have_text("45")
    page.click('[aria-label="Mark as read"]')
    expect(page.locator(UNSEEN)).to_be_hidden()
    for one in (page, other):
        expect(count_in(one, sea.den)).to_be_hidden()
    assert unread(sea, sea.den) == 0


def test_an_answer_reads_the_room(tab, sea):
    fill(sea, sea.den, 45)
    page = live(tab("ada", f"/rooms/{sea.den}"))
    write(page, "I read it later")
    expect(page.locator(UNSEEN)).to_be_hidden()
    expect(count_in(page, sea.den)).to_be_hidden()


def test_tabs_agree_when_a_part_is_read(tab, sea):
    fill(sea, sea.den, 30)
    lounge = live(tab("ada", f"/rooms/{sea.lounge}"))
    expect(count_in(lounge, sea.den)).to_have_text("30")
    den = live(tab("ada", f"/rooms/{sea.den}", context=lounge.context))
    expect(count_in(den, sea.den)).not_to_have_text("30")
    expect(count_in(lounge, sea.den)).not_to_have_text("30")
    left = str(unread(sea, sea.den))
    assert 0 < int(left) < 30
    for page in (den, lounge):
        expect(count_in(page, sea.den)).to_have_text(left)


def test_tabs_agree_when_more_than_a_page_is_read_bit_by_bit(tab, sea):
    fill(sea, sea.den, 90)
    lounge = live(tab("ada", f"/rooms/{sea.lounge}"))
    den = live(tab("ada", f"/rooms/{sea.den}", context=lounge.context))
    den.click("text=Go to the first")
    expect(den.locator("[data-new-line]")).to_be_in_viewport()
    den.mouse.move(800, 400)
    for _ in range(4):
        den.mouse.wheel(0, 1200)
        den.wait_for_timeout(100)
    for page in (den, lounge):
        expect(count_in(page, sea.den)).not_to_have_text("90")
        until(page, partial(shows_what_is_unread, page, sea))


def shows_what_is_unread(page, sea):
    left = unread(sea, sea.den)
    return left > 0 and count_in(page, sea.den).text_content().strip() == str(left)


def test_without_javascript_the_new_is_found_and_marked_as_read(tab, sea):
    fill(sea, sea.den, 45)
    page = tab("ada", f"/rooms/{sea.den}", java_script_enabled=False)
    page.click("text=45 new. Go to the first")
    expect(page.locator("[data-new-line] + .hai")).to_contain_text("number 0")
    page.click("noscript button")
    assert unread(sea, sea.den) == 25
    page.click("noscript button")
    expect(page.locator("[data-new-line]")).to_have_count(0)
    assert unread(sea, sea.den) == 0


def test_reactions_wait_for_the_script_that_hears_them(tab, sea):
    hai = sea.send("grace", sea.lounge, "look")
    sea.ask("grace", f"hais/{hai['id']}/reactions", {"emoji": "🌊"})
    path = f"/rooms/{sea.lounge}"
    plain = tab("ada", path, java_script_enabled=False)
    expect(plain.locator(".reaction")).to_be_disabled()
    page = live(tab("ada", path))
    page.click(".reaction")
    expect(page.locator(".reaction")).to_have_text("🌊 2")
