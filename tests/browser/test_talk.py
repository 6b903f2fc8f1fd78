"""Two people in two tabs: what one does, the other sees."""

from playwright.sync_api import expect

from tests.browser.tabs import PASSWORD, PHONE, at_rest, live, texts, write

DROP = """async (path) => {
  const blob = await (await fetch(path)).blob();
  const files = new DataTransfer();
  files.items.add(new File([blob], "dropped.png", { type: "image/png" }));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const options = { bubbles: true, cancelable: true, dataTransfer: files };
    document.querySelector(".talk").dispatchEvent(new DragEvent(type, options));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}"""


def both(tab, sea, **options):
    path = f"/rooms/{sea.lounge}"
    return live(tab("ada", path)), live(tab("grace", path, **options))


def test_signing_in_by_the_form_leads_to_a_room(tab, sea):
    page = tab(None, f"/rooms/{sea.lounge}")
    assert "/sign_in" in page.url
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Lounge")


def test_a_hai_is_in_place_at_once_and_in_the_other_tab(tab, sea):
    ada, grace = both(tab, sea)
    ada.fill("textarea", "Hello *Grace*")
    ada.keyboard.press("Enter")
    assert texts(ada) == ["Hello *Grace*"] or texts(ada) == ["Hello Grace"]
    expect(grace.locator(".hai__text em")).to_have_text("Grace")
    expect(ada.locator(".hai__text em")).to_have_text("Grace")
    assert ada.locator(".hai").count() == grace.locator(".hai").count() == 1
    ada.reload()
    assert texts(ada) == ["Hello Grace"]


def test_an_empty_composer_waves(tab, sea):
    ada, grace = both(tab, sea)
    ada.click("[data-send]")
    expect(grace.locator('[data-size="wave"] .hai__text')).to_have_text("hai!")


def test_pictures_picked_and_dropped_arrive_as_one_hai(tab, sea, pictures):
    ada, grace = both(tab, sea, **PHONE)
    ada.set_input_files("[name=picture]", pictures)
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(2)
    ada.evaluate(DROP, "/static/icons/icon-192.png")
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(3)
    ada.locator("[data-alt]").nth(0).fill("The lake at dusk")
    ada.locator("[data-remove]").nth(1).click()
    write(ada, "From this morning")
    expect(grace.locator(".picture")).to_have_count(2)
    expect(grace.locator(".picture__image").nth(0)).to_have_attribute(
        "alt", "The lake at dusk"
    )
    expect(grace.locator(".picture__image").nth(1)).to_have_attribute(
        "alt", "Picture 2 of 2 from ada, not described"
    )
    assert (
        grace.locator(".picture__image").nth(1).evaluate("image => image.decode()")
        is None
    )
    expect(ada.locator(".tray__item")).to_have_count(0)
    ada.reload()
    assert ada.locator(".picture").count() == 2


def test_sending_does_not_wait_for_the_uploads(tab, sea, pictures):
    ada, grace = both(tab, sea)
    held = []
    ada.route("**/uploads", lambda route: held.append(route))
    with ada.expect_request("**/uploads"):
        ada.set_input_files("[name=picture]", pictures[:1])
        expect(ada.locator(".tray__item")).to_have_count(1)
        write(ada, "on its way")
    expect(ada.locator('.hai[data-state="uploading"] .picture')).to_have_count(1)
    held[0].continue_()
    expect(grace.locator(".picture")).to_have_count(1)
    expect(ada.locator(".hai[data-state]")).to_have_count(0)
    assert ada.locator(".hai").count() == 1


def test_what_is_no_picture_says_so_and_stays_out(tab, sea, tmp_path):
    ada, _ = both(tab, sea)
    paper = tmp_path / "notes.pdf"
    paper.write_bytes(b"%PDF-1.4")
    ada.set_input_files("[name=picture]", str(paper))
    expect(ada.locator("[data-problem]")).to_contain_text("PNG, JPEG, GIF or WebP")


def test_edit_reply_react_and_delete(tab, sea):
    ada, grace = both(tab, sea)
    write(ada, "first")
    grace.locator(".hai").hover()
    grace.locator('[data-order="reply"]').click()
    write(grace, "second")
    expect(ada.locator(".hai__quote:visible")).to_contain_text("first")
    ada.locator("textarea").focus()
    ada.keyboard.press("ArrowUp")
    ada.keyboard.type("!")
    ada.keyboard.press("Enter")
    expect(grace.locator(".hai__text").first).to_have_text("first!")
    expect(grace.locator(".hai__quote:visible")).to_contain_text("first!")
    grace.locator(".hai").first.hover()
    grace.locator('[data-order="react"]').first.click()
    grace.locator("[data-emoji-list] button").first.click()
    expect(ada.locator(".reaction")).to_have_text("👋 1")
    ada.locator(".reaction").click()
    expect(grace.locator(".reaction")).to_have_text("👋 2")
    ada.locator(".hai").first.hover()
    ada.locator('[data-order="delete"]').first.click()
    ada.click("#ask [value=yes]")
    expect(grace.locator(".hai")).to_have_count(1)
    expect(ada.locator(".hai")).to_have_count(1)


def test_the_keyboard_reaches_everything(tab, sea):
    hai = sea.send("ada", sea.lounge, "by keys")
    ada, _ = both(tab, sea)
    ada.locator(f"#hai_{hai['id']}").focus()
    ada.keyboard.press("ArrowRight")
    label = "document.activeElement.getAttribute('aria-label')"
    assert ada.evaluate(label) == "React"
    ada.keyboard.press("ArrowRight")
    assert ada.evaluate(label) == "Reply"
    ada.keyboard.press("ArrowUp")
    ada.keyboard.press("e")
    expect(ada.locator("textarea")).to_have_value("by keys")
    ada.keyboard.press("Escape")
    expect(ada.locator("textarea")).to_have_value("")


def test_more_leads_to_what_can_be_done_by_touch_and_by_ear(tab, sea):
    hais = [sea.send("grace", sea.lounge, words) for words in ("one", "two")]
    page = live(tab("ada", f"/rooms/{sea.lounge}", is_mobile=True, **PHONE))
    tools = page.get_by_role("group", name="What to do with this hai")
    expect(page.get_by_role("button", name="More")).to_have_count(2)
    expect(tools).to_have_count(0)
    page.locator(f"#hai_{hais[1]['id']}").get_by_role("button", name="More").tap()
    expect(tools.get_by_role("button", name="React")).to_be_focused()
    tools.get_by_role("button", name="Reply").tap()
    expect(page.locator("[data-about-words]")).to_have_text("Replying to grace: two")


def test_the_focus_returns_although_the_pointer_has_gone_on(tab, sea):
    first, second = [sea.send("grace", sea.lounge, words) for words in ("one", "two")]
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.locator(f"#hai_{first['id']}").hover()
    page.locator(f"#hai_{first['id']} [data-order=react]").click()
    expect(page.locator("[data-emoji-list] button").first).to_be_focused()
    page.locator(f"#hai_{second['id']}").hover()
    expect(page.locator(f"#hai_{second['id']} [data-order=react]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(f"#hai_{first['id']} [data-order=react]")).to_be_focused()


def test_what_was_just_sent_can_be_changed_where_the_pointer_rests(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.context.set_offline(True)
    page.wait_for_selector('html[data-socket="down"]')
    write(page, "typo")
    page.locator(".hai__text").hover()
    expect(page.locator(".hai__tools")).to_have_count(0)
    page.context.set_offline(False)
    page.locator('.hai:not([data-state]) [data-order="edit"]').click()
    expect(page.locator("textarea")).to_have_value("typo")


def test_unread_counts_show_and_clear_in_every_tab(tab, sea):
    sea.send("grace", sea.den, "in the den")
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    other = live(tab("ada", f"/rooms/{sea.lounge}"))
    count = f'[data-room-id="{sea.den}"] [data-count]'
    expect(ada.locator(count)).to_have_text("1")
    sea.send("grace", sea.den, "again")
    expect(other.locator(count)).to_have_text("2")
    expect(other).to_have_title("(2) Lounge · Hai")
    ada.click(f'[data-room-id="{sea.den}"]')
    expect(ada.locator("h1")).to_have_text("Den")
    expect(ada.locator("[data-new-line]")).to_be_visible()
    expect(other.locator(count)).to_be_hidden()
    expect(other).to_have_title("Lounge · Hai")


def test_typing_is_said_and_ends(tab, sea):
    ada, grace = both(tab, sea)
    grace.locator("textarea").press_sequentially("hel")
    expect(ada.locator(".typing")).to_have_text("grace is writing")
    grace.keyboard.press("Enter")
    expect(ada.locator(".typing")).to_have_text("")


def test_older_hais_come_while_scrolling_and_nothing_jumps(tab, sea):
    for number in range(90):
        text = f"number {number} " + "word " * (number % 30)
        hai = sea.send("grace", sea.lounge, text)
    sea.ask("ada", f"rooms/{sea.lounge}/read", {"hai_id": hai["id"]})
    ada, grace = both(tab, sea)
    assert ada.locator(".hai").count() == 40
    ada.mouse.move(800, 400)
    while ada.locator(".hai").count() < 90:
        ada.mouse.wheel(0, -600)
        ada.wait_for_timeout(50)
    at_rest(ada)
    ada.mouse.wheel(0, 900)
    at_rest(ada)
    middle = """() => {
      const hai = document.elementFromPoint(800, 400).closest(".hai");
      return [hai.id, Math.round(hai.getBoundingClientRect().top)];
    }"""
    before = ada.evaluate(middle)
    write(grace, "a new one\nof three\nlines")
    expect(ada.locator("[data-to-now]")).to_have_text("1 new")
    assert ada.evaluate(middle) == before
    ada.click("[data-to-now]")
    expect(ada.locator(".hai").last).to_be_in_viewport()
    expect(ada.locator("[data-to-now]")).to_be_hidden()


def test_a_link_to_an_old_hai_shows_the_talk_around_it(tab, sea):
    hais = [sea.send("grace", sea.lounge, f"number {n}") for n in range(100)]
    old = hais[20]
    ada = live(tab("ada", f"/rooms/{sea.lounge}?around={old['id']}#hai_{old['id']}"))
    expect(ada.locator(f"#hai_{old['id']}")).to_be_in_viewport()
    ada.click("[data-to-now]")
    expect(ada.locator(f"#hai_{hais[-1]['id']}")).to_be_in_viewport()
    ids = ada.locator(".hai").evaluate_all("all => all.map(hai => +hai.id.slice(4))")
    assert ids == [hai["id"] for hai in hais[-len(ids) :]]
