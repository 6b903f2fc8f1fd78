"""Every page: markup, policy, accessibility, weight, and life without JavaScript."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import PHONE, at_rest, live, texts, write

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
PAGES = [
    "/rooms/{lounge}",
    "/rooms",
    "/rooms/{lounge}/edit",
    "/people",
    "/settings",
    "/settings/tokens",
    "/settings/history",
    "/search?q=lake",
    "/eliza",
    "/rooms/999",
]
MAX_PAGE_BYTES = 98 * 1024


def fill_lounge(sea):
    """A bit of everything that a hai can be."""
    sea.send("ada", sea.lounge, "Anyone up for the lake?")
    asked = sea.send("grace", sea.lounge, "*Yes!* See https://example.org/lake")
    sea.send("grace", sea.lounge, "At nine")
    gone = sea.send("grace", sea.lounge, "At ten")
    sea.send("linus", sea.lounge, "Which?", reply_to=gone["id"])
    sea.ask("grace", f"hais/{gone['id']}/delete", {"hai_id": gone["id"]})
    sea.send("linus", sea.lounge, "Me too", reply_to=asked["id"])
    sea.send("linus", sea.lounge, "🎉🌊")
    sea.send("linus", sea.lounge, "hai!")
    sea.send("grace", sea.lounge, "سلام\nשלום")
    sea.send("grace", sea.lounge, "<b>no</b> & \"quotes\" 'too'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{}, PHONE], ids=["desk", "phone"])
def test_axe_and_the_policy_find_nothing(tab, sea, scheme, size):
    fill_lounge(sea)
    page = tab("ada", None, color_scheme=scheme, allow=("Failed to load",), **size)
    found = {}
    for path in PAGES:
        page.goto(sea.url + path.format(lounge=sea.lounge))
        page.wait_for_selector("html[data-live]")
        at_rest(page)
        found[path] = violations(page) + page.evaluate("window.violations")
    assert {path: rules for path, rules in found.items() if rules} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_nobody_is_signed_in(tab, sea, scheme):
    page = tab(None, "/sign_in", color_scheme=scheme)
    assert violations(page) == []


def violations(page):
    """What axe-core finds in the page, put there by the debugger, past the CSP."""
    page.evaluate(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    run = "tags => axe.run({ runOnly: tags, resultTypes: ['violations'] })"
    results = page.evaluate(run, tags)["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in results
        for node in rule["nodes"]
    ]


def test_the_first_page_is_light_and_nothing_in_it_moves(tab, sea):
    for number in range(40):
        sea.send("grace", sea.lounge, f"number {number}: " + "the lake is calm " * 5)
    page = tab("ada", None)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    sizes = []
    network.on(
        "Network.loadingFinished", lambda e: sizes.append(e["encodedDataLength"])
    )
    page.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == 0
    assert sum(sizes) < MAX_PAGE_BYTES


def test_what_was_marked_is_found_and_quoted_by_its_words(tab, sea):
    fill_lounge(sea)
    words = "Yes! See https://example.org/lake"
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    expect(page.locator(".hai__quote-text:visible").last).to_have_text(words)
    page.goto(f"{sea.url}/search?q=yes")
    expect(page.locator(".found__text")).to_have_text(words)


def test_server_and_browser_draw_the_same_hai(tab, sea, pictures, videos):
    fill_lounge(sea)
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.set_input_files("[name=picture]", [*pictures, *videos])
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(4)
    write(ada, "with pictures, a video and a voice")
    expect(ada.locator(".hai .picture")).to_have_count(3)
    expect(ada.locator(".hai[data-state]")).to_have_count(0)
    expect(ada.locator(".hai video:not([poster=''])")).to_have_count(1)
    ada.locator(".hai").nth(1).hover()
    ada.click('[data-order="react"]')
    ada.locator("[data-emoji-list] button").first.click()
    expect(ada.locator(".reaction")).to_have_count(1)
    for name in ("grace", "ada"):  # a member, and who may change the room
        page = tab(name, f"/rooms/{sea.lounge}", java_script_enabled=False)
        drawn = page.locator(".hai").evaluate_all(
            "all => all.map(one => one.outerHTML)"
        )
        filled = ada.evaluate(REDRAW, page.locator("#page").text_content())
        assert len(drawn) == 10
        for server, browser in zip(drawn, filled, strict=True):
            assert plain(server) == plain(browser)


REDRAW = """async (json) => {
  const { HaiView, isRun } = await import("#models/hai_view");
  const { state } = JSON.parse(json);
  const template = (name) => document.getElementById(`${name}_template`);
  const users = new Map(state.users.map((user) => [user.id, user]));
  const view = new HaiView({
    templates: { hai: template("hai"), picture: template("picture"),
                 video: template("video"), voice: template("voice"),
                 reaction: template("reaction") },
    user: (id) => users.get(id),
    find: (id) => state.hais.find((hai) => hai.id === id),
    isGone: (id) => state.gone_hai_ids.includes(id),
    meId: state.me.id,
    canChange: state.can_change,
  });
  return state.hais.map((hai, index) => {
    const before = state.hais[index - 1];
    const isNew = before && before.id === state.new_after_hai_id;
    return view.make(hai, isRun(before, hai) && !isNew ? "more" : "start").outerHTML;
  });
}"""


def plain(html):
    """Without the white space between tags, which nobody sees, and the wait for a
    picture, which only the browser can know of; and with reactions as they are once
    somebody listens."""
    joined = "".join(line.strip() for line in html.splitlines())
    return joined.replace(' data-loading=""', "").replace(' disabled=""', "")


def test_reading_and_posting_without_javascript(tab, sea, pictures):
    for number in range(50):
        sea.send("grace", sea.lounge, f"number {number}")
    page = tab("ada", f"/rooms/{sea.lounge}", java_script_enabled=False)
    assert texts(page)[-1] == "number 49"
    expect(page.locator(".hai").last).to_be_in_viewport()
    page.click("text=Older hais")
    assert texts(page)[0] == "number 0"
    page.click("text=Back to now")
    page.fill("textarea", "plain and simple")
    page.set_input_files("[name=picture]", pictures)
    page.click("[data-send]")
    assert texts(page)[-1] == "plain and simple"
    assert page.locator(".picture").count() == 2


def test_rooms_are_made_joined_and_left_without_javascript(tab, sea):
    page = tab("ada", "/rooms", java_script_enabled=False)
    page.click("text=Make a room")
    page.fill("[name=name]", "Garden")
    page.click("text=Make the room")
    expect(page.locator("h1")).to_have_text("Garden")
    garden = page.url
    allow = ("Failed to load",)  # the room that is left
    other = tab("linus", "/rooms", allow=allow, java_script_enabled=False)
    other.click('[aria-label="Join Garden"]')
    expect(other.locator("h1")).to_have_text("Garden")
    other.click('[aria-label="About this room"]')
    other.click("text=Leave this room")
    other.goto(garden)
    expect(other.locator("body")).to_contain_text("You are not in this room yet")


def test_going_from_room_to_room_keeps_the_socket(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.evaluate("window.isSame = true")
    page.click(f'[data-room-id="{sea.den}"]')
    expect(page.locator("h1")).to_have_text("Den")
    write(page, "in the den")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Lounge")
    page.click('[aria-label="About this room"]')
    expect(page.get_by_text("Leave this room")).to_be_visible()
    assert page.evaluate("window.isSame")
    sea.send("grace", sea.lounge, "still live")
    expect(page.locator(f'[data-room-id="{sea.lounge}"] [data-count]')).to_have_text(
        "1"
    )


def test_a_draft_is_kept_for_each_room(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.fill("textarea", "half a thought")
    page.click(f'[data-room-id="{sea.den}"]')
    expect(page.locator("h1")).to_have_text("Den")
    expect(page.locator("textarea")).to_have_value("")
    page.goto(f"{sea.url}/rooms/{sea.lounge}")
    expect(page.locator("textarea")).to_have_value("half a thought")


def test_eliza_answers(tab, sea):
    page = tab("ada", "/eliza")
    page.wait_for_selector("html[data-live]")
    page.fill("input[name=text]", "I am sad")
    page.keyboard.press("Enter")
    expect(page.locator(".hai")).to_have_count(2)
    assert page.locator(".hai__text").last.inner_text()
