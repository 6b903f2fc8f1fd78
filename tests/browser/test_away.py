"""Without a network the page stays, says so, and goes on when it is back."""

import re

from playwright.sync_api import expect

from tests.browser.tabs import live, offline, online, said, sent_all, texts, write


def test_a_room_clicked_offline_opens_when_the_network_is_back(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.fill("textarea", "half a thought")
    offline(page)
    page.click(f'[data-room-id="{sea.den}"]')
    expect(page.locator(".connection")).to_contain_text(
        "You are offline. This room opens when the network is back."
    )
    assert page.url.endswith(f"/rooms/{sea.lounge}")
    expect(page.locator("textarea")).to_have_value("half a thought")
    online(page)
    expect(page.locator("h1")).to_have_text("Den")
    assert page.url.endswith(f"/rooms/{sea.den}")
    page.go_back()
    expect(page.locator("textarea")).to_have_value("half a thought")


def test_only_the_room_clicked_last_opens(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    offline(page)
    page.click('[aria-label="People"]')
    expect(page.locator(".connection")).to_contain_text("That page opens")
    page.click(f'[data-room-id="{sea.den}"]')
    expect(page.locator(".connection")).to_contain_text("This room opens")
    online(page)
    expect(page.locator("h1")).to_have_text("Den")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Lounge")


def test_a_page_left_before_its_scripts_came_is_let_go(tab, sea):
    page = tab("ada", None)
    held = []
    page.route("**/controllers/composer*", lambda route: held.append(route))
    page.goto(f"{sea.url}/people")
    live(page)
    page.click(f'.room-link[data-room-id="{sea.lounge}"]')
    expect(page.locator("h1")).to_have_text("Lounge")
    page.go_back()
    expect(page.locator("h1")).to_have_text("People")
    page.click(f'.room-link[data-room-id="{sea.den}"]')
    expect(page.locator("h1")).to_have_text("Den")
    for route in held:
        route.continue_()
    expect(page.locator("textarea")).to_be_focused()
    write(page, "once")
    expect(said(page, "once")).to_have_count(1)
    sent_all(page)
    assert texts(page) == ["once"]


def test_a_slow_page_shows_that_it_is_under_way(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    held = []
    page.route("**/people", lambda route: held.append(route))
    page.click('[aria-label="People"]')
    expect(page.locator(".frame[data-visiting]")).to_have_count(1)
    held[0].continue_()
    expect(page.locator("h1")).to_have_text("People")
    expect(page.locator(".frame[data-visiting]")).to_have_count(0)


def test_the_focus_goes_along_to_the_next_page(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.focus('[aria-label="About this room"]')
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{sea.url}/rooms/{sea.lounge}/edit")
    expect(page.locator("#main")).to_be_focused()


def test_who_stays_after_all_is_left_alone(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    offline(page)
    for room_id in (sea.den, sea.lounge):
        page.click(f'.room-link[data-room-id="{room_id}"]')
    online(page)
    live(page)
    write(page, "still here")
    expect(page.locator(".hai:not([data-state])")).to_have_count(1)
    expect(page.locator("h1")).to_have_text("Lounge")


def test_who_came_while_one_was_away_is_seen(tab, sea):
    payload = {"user_ids": [sea.ids["grace"]]}
    direct = sea.ask("ada", "direct", payload)["room"]["id"]
    page = live(tab("ada", f"/rooms/{direct}"))
    heads = page.locator(f'[data-user-id="{sea.ids["grace"]}"][data-presence]')
    expect(heads.first).to_have_attribute("data-presence", "offline")
    offline(page)
    live(tab("grace", f"/rooms/{sea.lounge}"))
    online(page)
    for place in range(heads.count()):
        expect(heads.nth(place)).to_have_attribute("data-presence", "online")


def test_keys_leave_alone_what_is_not_stored_yet(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    offline(page)
    write(page, "in the tunnel")
    pending = page.locator(".hai[data-state]")
    for key in ("r", "e", "+", "Delete"):
        pending.focus()
        page.keyboard.press(key)
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("[data-about]")).to_be_hidden()
    online(page)
    expect(said(page, "in the tunnel")).to_be_visible()


def test_what_was_not_fetched_yet_says_that_it_needs_the_network(tab, sea):
    hai = sea.send("ada", sea.lounge, "by keys")
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    offline(page)
    page.locator(f"#hai_{hai['id']}").focus()
    page.keyboard.press("+")
    expect(page.locator(".connection")).to_contain_text("This needs the network")
    online(page)
    live(page)
    page.locator(f"#hai_{hai['id']}").focus()
    page.keyboard.press("+")
    expect(page.locator("#palette")).to_be_visible()


def test_eliza_says_that_she_is_out_of_reach(tab, sea):
    page = live(tab("ada", "/eliza"))
    page.fill("input[name=text]", "I am sad")
    page.keyboard.press("Enter")
    expect(page.locator(".hai")).to_have_count(2)
    page.context.set_offline(True)
    expect(page.locator("[data-typing]")).to_contain_text(
        "Waiting for the network", timeout=120_000
    )
    page.fill("input[name=text]", "Hello?")
    page.keyboard.press("Enter")
    expect(page.locator("input[name=text]")).to_have_value("Hello?")
    page.context.set_offline(False)
    expect(page.locator(".hai")).to_have_count(4)
    expect(page.locator("input[name=text]")).to_have_value("")
    expect(page.locator("[data-typing]")).to_have_text("")


def test_what_was_thought_over_is_not_said_to_eliza_unasked(tab, sea):
    page = live(tab("ada", "/eliza"))
    page.context.set_offline(True)
    page.fill("input[name=text]", "Hello")
    page.keyboard.press("Enter")
    expect(page.locator("[data-typing]")).to_contain_text(
        "Waiting for the network", timeout=120_000
    )
    page.locator("input[name=text]").press_sequentially(", or not")
    page.context.set_offline(False)
    expect(page.locator("[data-typing]")).to_have_text("")
    expect(page.locator("input[name=text]")).to_have_value("Hello, or not")
    expect(page.locator(".hai")).to_have_count(0)


# The five seconds that typing lasts are minutes, however slow the other tabs are.
LONG_TYPING = """
const later = window.setTimeout;
window.setTimeout = (act, ms) => later(act, ms === 5000 ? 300_000 : ms);
"""


def test_typing_lasts_through_other_news(tab, sea):
    """A reaction to an old hai of hers, and a hai of hers elsewhere, end nothing."""
    old = sea.send("grace", sea.lounge, "long ago")
    page = tab("ada", path=None)
    page.add_init_script(LONG_TYPING)
    page.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(page)
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    grace.locator("textarea").press_sequentially("h")
    expect(page.locator(".typing")).to_have_text("grace is writing")
    sea.ask("linus", f"hais/{old['id']}/reactions", {"emoji": "🌊"})
    sea.send("grace", sea.den, "elsewhere")
    expect(page.locator(".reaction")).to_have_count(1)
    count = page.locator(f'.room-link[data-room-id="{sea.den}"] [data-count]')
    expect(count).to_have_text("1")
    assert page.locator(".typing").text_content() == "grace is writing"


def test_after_an_update_the_next_page_is_loaded_whole(tab, sea):
    """Its scripts are other ones, though the style sheet is the same."""

    def updated(route):
        answer = route.fetch()
        text = re.sub('"imports": ?{', r'\g<0>"#new":"/static/new.js",', answer.text())
        headers = answer.headers
        del headers["content-security-policy"]  # it has the hash of the old map
        route.fulfill(response=answer, headers=headers, body=text)

    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.evaluate("window.isSame = true")
    page.click('[aria-label="People"]')
    expect(page.locator("h1")).to_have_text("People")
    assert page.evaluate("window.isSame")
    page.route(f"**/rooms/{sea.den}", updated)
    page.click(f'[data-room-id="{sea.den}"]')
    expect(page.locator("h1")).to_have_text("Den")
    live(page)
    assert page.evaluate("window.isSame") is None
