"""Avatars in tabs: chosen, moved, zoomed, sent; seen by others at once; taken back."""

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from tests.browser.tabs import PHONE, at_rest, live
from tests.browser.test_pages import violations


@pytest.fixture
def portrait(tmp_path):
    """A wide picture: red, then green, then blue."""
    image = Image.new("RGB", (900, 300), "lime")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, 299, 300), "red")
    pen.rectangle((600, 0, 900, 300), "blue")
    path = tmp_path / "me.png"
    image.save(path)
    return str(path)


def faces(page, user_id):
    """What of a user's avatars is seen: the addresses of their pictures."""
    return page.locator(f'.avatar[data-user-id="{user_id}"]').evaluate_all(
        "all => all.map(one => one.querySelector('img')?.getAttribute('src'))"
    )


COLOUR = """(url) => new Promise((resolve) => {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0, 1, 1);
    resolve([...pen.getImageData(0, 0, 1, 1).data].slice(0, 3));
  };
  image.src = url;
})"""


def test_a_face_is_chosen_cut_and_seen_by_others_at_once(tab, sea, portrait):
    sea.send("ada", sea.lounge, "hai there")
    asked = sea.send("ada", sea.lounge, "who is coming?")
    sea.send("linus", sea.lounge, "me", reply_to=asked["id"])
    sea.ask("grace", "direct", {"user_ids": [sea.ids["ada"]]})
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    everybody = live(tab("grace", "/people", context=grace.context))
    ada = live(tab("ada", "/settings"))
    choose(ada, portrait)
    drag(ada, 500)  # to the right as far as it goes: the left end is seen
    ada.click("[data-send]")
    expect(ada.locator("[data-dialog]")).to_be_hidden()
    expect(ada.locator("[data-remove]")).to_be_visible()
    expect(grace.locator(".hai .avatar__picture:visible")).not_to_have_count(0)
    url = sea.ask("ada", "me")["user"]["avatar_url"]
    mine = faces(grace, sea.ids["ada"])
    assert len(mine) == 3 and set(mine) == {url}  # a run of hais, a quote, a room
    expect(everybody.locator(f'.list [src="{url}"]')).to_be_visible()
    assert set(faces(ada, sea.ids["ada"])) == {url}
    red, green, blue = grace.evaluate(COLOUR, url)
    assert red > 200 and green < 60 and blue < 60
    ada.click("[data-remove] button")
    expect(ada.locator("text=You have your letter back.")).to_be_visible()
    expect(everybody.locator(f'.list [src="{url}"]')).to_have_count(0)
    assert set(faces(grace, sea.ids["ada"])) == {None}


def choose(page, path):
    page.set_input_files("[data-file]", path)
    expect(page.locator("[data-dialog]")).to_be_visible()


def drag(page, x, y=0):
    box = page.locator("canvas[data-stage]").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + x, middle[1] + y, steps=3)
    page.mouse.up()


def middle_of_stage(page):
    return page.locator("canvas[data-stage]").evaluate(
        "stage => [...stage.getContext('2d').getImageData(256, 256, 1, 1).data]"
    )[:3]


def test_the_square_is_moved_and_zoomed_by_keys_wheel_and_slider(tab, sea, portrait):
    ada = live(tab("ada", "/settings"))
    choose(ada, portrait)
    stage, zoom = ada.locator("canvas[data-stage]"), ada.locator("input[data-zoom]")
    assert middle_of_stage(ada) == [0, 255, 0]
    stage.focus()
    for _ in range(9):
        ada.keyboard.press("Shift+ArrowLeft")
    assert middle_of_stage(ada) == [0, 0, 255]
    for _ in range(9):
        ada.keyboard.press("Shift+ArrowRight")
    assert middle_of_stage(ada) == [0, 255, 0]
    ada.keyboard.press("+")
    assert float(zoom.input_value()) > 1
    stage.hover()
    ada.mouse.wheel(0, -400)
    expect(zoom).not_to_have_value("1.06")
    zoom.focus()
    ada.keyboard.press("Home")
    expect(zoom).to_have_value("1")
    ada.keyboard.press("Escape")
    expect(ada.locator("[data-dialog]")).to_be_hidden()
    assert "avatar_url" not in sea.ask("ada", "me")["user"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_dialog(tab, sea, portrait, scheme):
    ada = live(tab("ada", "/settings", color_scheme=scheme, **PHONE))
    choose(ada, portrait)
    at_rest(ada)
    assert violations(ada) + ada.evaluate("window.violations") == []


PINCH = """(stage) => {
  const box = stage.getBoundingClientRect();
  const send = (type, pointerId, share) => stage.dispatchEvent(new PointerEvent(type, {
    pointerId, bubbles: true, clientY: box.top + box.height / 2,
    clientX: box.left + share * box.width }));
  stage.setPointerCapture = () => undefined; // these pointers are not real ones
  send("pointerdown", 1, 0.4);
  send("pointerdown", 2, 0.6);
  send("pointermove", 1, 0.3);
  send("pointermove", 2, 0.7);
}"""


def test_two_fingers_zoom(tab, sea, portrait):
    ada = live(tab("ada", "/settings", **PHONE))
    choose(ada, portrait)
    ada.locator("canvas[data-stage]").evaluate(PINCH)
    assert 1.9 < float(ada.input_value("[data-zoom]")) < 2.1


def test_what_is_no_picture_is_said_and_another_can_be_chosen(
    tab, sea, portrait, tmp_path
):
    ada = live(tab("ada", "/settings"))
    (tmp_path / "no.png").write_bytes(b"<svg onload=alert(1)>")
    ada.set_input_files("[data-file]", str(tmp_path / "no.png"))
    expect(ada.locator("[data-problem]")).to_contain_text("cannot be opened")
    choose(ada, portrait)
    expect(ada.locator("[data-problem]")).to_be_hidden()
    ada.context.set_offline(True)
    ada.click("[data-send]")
    expect(ada.locator("[data-refused]")).to_have_text("Waiting for the network.")
    ada.context.set_offline(False)
    ada.click("[data-send]")
    expect(ada.locator("[data-dialog]")).to_be_hidden()


def test_without_javascript_the_form_does_it(tab, sea, portrait):
    ada = tab("ada", "/settings", java_script_enabled=False)
    expect(ada.locator(".portrait__use")).to_be_hidden()
    ada.set_input_files("[data-file]", portrait)
    ada.click(".portrait__use")
    expect(ada.locator("text=That is you now.")).to_be_visible()
    url = sea.ask("ada", "me")["user"]["avatar_url"]
    assert set(faces(ada, sea.ids["ada"])) == {url}
    ada.click("[data-remove] button")
    assert "avatar_url" not in sea.ask("ada", "me")["user"]


def test_server_and_browser_draw_the_same_avatars(tab, sea, portrait):
    """A page kept by facts, and the same page drawn afresh by the server."""
    sea.send("ada", sea.lounge, "hai there")
    ada = live(tab("ada", "/settings"))
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    direct = sea.ask("ada", "direct", {"user_ids": [sea.ids["grace"]]})["room"]["id"]
    sea.ask("ada", "direct", {"user_ids": [sea.ids["grace"], sea.ids["linus"]]})
    choose(ada, portrait)
    ada.click("[data-send]")
    expect(grace.locator(".hai .avatar__picture:visible")).to_have_count(1)
    sea.add_room("Pier")
    expect(grace.locator(".room-link", has_text="Pier")).to_be_visible()
    fresh = tab("grace", f"/rooms/{sea.lounge}", java_script_enabled=False)
    drawn = "all => all.map(one => [one.closest('a, li')?.href ?? '', one.outerHTML])"
    by_facts, by_server = (
        sorted(page.locator(".avatar").evaluate_all(drawn)) for page in (grace, fresh)
    )
    assert by_facts == by_server
    grace.goto(f"{sea.url}/rooms/{direct}")
    expect(grace.locator(".room__head .avatar__picture")).to_be_visible()
