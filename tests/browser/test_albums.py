"""Albums, and their pictures large: laid out, turned, zoomed, linked, described,
replied to; and files that pretend to be pictures."""

import json
import time
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import PHONE, live, offline, online, write
from tests.metadata import SECRET, talkative
from tests.pictures import animated, chunk, picture
from tests.videos import made

LANDSCAPE, PORTRAIT, PANORAMA, SCREEN = (96, 64), (64, 96), (360, 60), (40, 160)
LIGHTBOX = "#lightbox[open]"


def send_pictures(sea, name, files, text="", **fields):
    """Post a hai with pictures (bytes, alt) as a program would; returns it."""
    line = uuid4().hex
    parts = [(f'name="{key}"', str(value).encode()) for key, value in fields.items()]
    parts.append(('name="text"', text.encode()))
    for number, (data, alt) in enumerate(files):
        parts.append(('name="alt"', alt.encode()))
        parts.append((f'name="picture"; filename="sea {number}.png"', data))
    body = b"".join(
        f"--{line}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for head, data in parts
    )
    request = Request(
        f"{sea.url}/api/v1/rooms/{sea.lounge}/hais",
        body + f"--{line}--\r\n".encode(),
        {
            "Authorization": f"Bearer {sea.tokens[name]}",
            "Content-Type": f"multipart/form-data; boundary={line}",
        },
    )
    with urlopen(request) as answer:
        return json.load(answer)["hai"]


def send_album(sea, name, *sizes, alts=(), text=""):
    """An album of pictures of these sizes."""
    alts = [*alts, *[""] * (len(sizes) - len(alts))]
    pairs = zip(sizes, alts, strict=True)
    files = [(picture("PNG", *size), alt) for size, alt in pairs]
    return send_pictures(sea, name, files, text)


def id_of(hai, index=0):
    return hai["pictures"][index]["id"]


def wait_for_thumbnail(sea, hai):
    """Wait until its first picture has a thumbnail, of which the blur is made."""
    about = f"rooms/{sea.lounge}/hais?around={hai['id']}"
    until_s = time.monotonic() + 60
    while "thumbnail" not in sea.ask("grace", about)["hais"][-1]["pictures"][0]:
        assert time.monotonic() < until_s
        time.sleep(0.02)


def look(page, picture_id):
    """Open the lightbox on a picture of the talk."""
    page.click(f"#picture_{picture_id} .picture__link")
    page.wait_for_selector(LIGHTBOX)


def expect_shown(page, picture_id):
    """Wait until the lightbox shows the original of this picture."""
    image = page.locator(f"{LIGHTBOX} [data-image]")
    expect(image).to_have_attribute("src", f"/pictures/{picture_id}")
    assert page.evaluate("location.hash") == f"#picture_{picture_id}"


BOXES = """() => [...document.querySelectorAll(".hai__pictures")].map((album) => {
  const outer = album.getBoundingClientRect();
  return [...album.querySelectorAll(".picture")].map((tile) => {
    const { left, top, width, height } = tile.getBoundingClientRect();
    const image = tile.querySelector(".picture__image").getBoundingClientRect();
    const off = Math.abs(image.width - width) + Math.abs(image.height - height);
    const fills = off < 1;
    const exact = { left: left - outer.left, top: top - outer.top, width, height };
    const box = { fills, room: outer.width };
    for (const side in exact) box[side] = Math.round(exact[side] * 100) / 100;
    return box;
  });
})"""


@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_albums_are_whole_rows_and_nothing_moves(tab, sea, screen):
    albums = [[LANDSCAPE], [LANDSCAPE] * 2, [PORTRAIT, LANDSCAPE, LANDSCAPE]]
    albums += [[SCREEN] * 3, [PANORAMA, LANDSCAPE, LANDSCAPE, PORTRAIT, SCREEN]]
    albums += [[LANDSCAPE, PORTRAIT] * 5]
    for sizes in albums:
        send_album(sea, "grace", *sizes)
    options = PHONE if screen == "phone" else {}
    page = live(tab("ada", f"/rooms/{sea.lounge}", **options))
    laid = page.evaluate(BOXES)
    assert [len(tiles) for tiles in laid] == [len(sizes) for sizes in albums]
    for tiles in laid[1:]:
        assert all(tile["fills"] for tile in tiles)
        for tile in tiles:
            row = [other for other in tiles if abs(other["top"] - tile["top"]) < 1]
            right = max(one["left"] + one["width"] for one in row)
            assert abs(right - tile["room"]) < 1
            assert abs(min(one["left"] for one in tiles)) < 1
    for hai in page.locator(".hai").all():
        hai.scroll_into_view_if_needed()
        expect(hai.locator(".picture:not([data-shown])")).to_have_count(0)
    assert page.evaluate(BOXES) == laid
    shifted = page.evaluate(
        "window.shifted"
    )  # the talk itself may, when a line is slow
    assert [part for part in shifted if 'class="hai' in part[:60]] == []
    assert [part for part in shifted if 'class="picture' in part[:60]] == []
    assert page.evaluate("window.violations") == []


def test_a_new_album_is_drawn_live_as_after_a_reload(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    send_album(sea, "grace", PORTRAIT, LANDSCAPE, LANDSCAPE)
    expect(ada.locator(".picture[data-shown]")).to_have_count(3)
    drawn = ada.evaluate(BOXES)
    ada.reload()
    live(ada)
    assert ada.evaluate(BOXES) == drawn


def test_a_blur_stands_until_the_picture_is_there(tab, sea):
    hai = send_pictures(sea, "grace", [(picture("JPEG", 900, 600), "")])
    ada = tab("ada", None)
    held = []
    ada.route("**/pictures/*", lambda route: held.append(route))
    wait_for_thumbnail(sea, hai)
    with ada.expect_request("**/pictures/*"):
        ada.goto(f"{sea.url}/rooms/{sea.lounge}")
        live(ada)
    blur = ada.locator(".picture__blur")
    expect(blur).to_be_visible()
    assert blur.get_attribute("src").startswith("data:image/webp;base64,")
    assert blur.evaluate("image => image.decode().then(() => image.naturalWidth)") == 16
    expect(ada.locator(".picture[data-loading]")).to_have_count(1)
    held[0].continue_()
    expect(ada.locator(".picture[data-shown]")).to_have_count(1)
    expect(blur).to_be_hidden()


def test_the_keyboard_goes_through_all_pictures_of_the_talk(tab, sea):
    """Far beyond what the page holds, and back to where the focus was."""
    first = send_album(sea, "linus", LANDSCAPE, alts=["The first"])
    for number in range(45):
        sea.send("linus", sea.lounge, f"words {number}")
    album = send_album(sea, "grace", *[LANDSCAPE] * 3, alts=["", "The bay"])
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    assert ada.locator(f"#picture_{id_of(first)}").count() == 0
    ada.locator(f"#picture_{id_of(album, 1)} .picture__link").focus()
    ada.keyboard.press("Enter")
    expect_shown(ada, id_of(album, 1))
    expect(ada.locator("[data-number]")).to_have_text("2 of 3")
    expect(ada.locator(".lightbox__words")).to_have_text("The bay")
    expect(ada.locator(f"{LIGHTBOX} :focus")).to_have_count(1)
    ada.keyboard.press("ArrowLeft")
    ada.keyboard.press("ArrowLeft")
    expect_shown(ada, id_of(first))
    expect(ada.locator("[data-name]")).to_have_text("linus")
    expect(ada.locator('[data-turn="-1"]')).to_be_hidden()
    for _ in range(3):
        ada.keyboard.press("PageDown")
    expect_shown(ada, id_of(album, 2))
    expect(ada.locator('[data-turn="1"]')).to_be_hidden()
    ada.keyboard.press("Escape")
    expect(ada.locator(LIGHTBOX)).to_have_count(0)
    expect(ada.locator(f"#picture_{id_of(album, 2)} .picture__link")).to_be_focused()
    assert ada.evaluate("location.href") == f"{sea.url}/rooms/{sea.lounge}"


ZOOMED = """([scale, way]) => {
  const image = document.querySelector("[data-image]");
  const { a, e } = new DOMMatrix(getComputedStyle(image).transform);
  return Math.abs(a - scale) < 0.01 && (way === null || Math.sign(e) === way);
}"""


def zoomed(page, scale, way=None):
    """Wait until the picture is so large, and moved left (-1), right (1) or not (0)."""
    page.wait_for_function(ZOOMED, arg=[scale, way])


def test_a_picture_is_zoomed_and_moved_by_keys_wheel_and_pointer(tab, sea):
    hai = send_pictures(sea, "grace", [(picture("JPEG", 1600, 1200), "")])
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    look(ada, id_of(hai))
    expect_shown(ada, id_of(hai))
    ada.keyboard.press("+")
    zoomed(ada, 1.5, 0)
    ada.keyboard.press("+")
    ada.keyboard.press("ArrowRight")
    zoomed(ada, 2.25, -1)
    ada.keyboard.press("0")
    zoomed(ada, 1, 0)
    ada.mouse.move(640, 400)
    ada.mouse.wheel(0, -500)
    zoomed(ada, 2.718)
    ada.mouse.down()
    ada.mouse.move(740, 400, steps=3)
    ada.mouse.up()
    zoomed(ada, 2.718, 1)
    ada.keyboard.press("-")
    ada.keyboard.press("-")
    ada.keyboard.press("-")
    zoomed(ada, 1, 0)
    ada.mouse.dblclick(640, 400)
    zoomed(ada, 2.5)
    ada.keyboard.press("0")
    zoomed(ada, 1, 0)
    ada.mouse.click(20, 600)
    expect(ada.locator(LIGHTBOX)).to_have_count(0)


TOUCH = """([type, points]) => {
  const stage = document.querySelector("[data-stage]");
  points.forEach(([x, y], index) => stage.dispatchEvent(new PointerEvent(type, {
    pointerId: index + 1, pointerType: "touch", clientX: x, clientY: y, bubbles: true,
    isPrimary: !index })));
}"""


def touch(page, *steps):
    """Fingers down at the first points, moved along the others, and up."""
    page.evaluate("Element.prototype.setPointerCapture = () => undefined")
    for number, points in enumerate(steps):
        page.evaluate(TOUCH, ["pointermove" if number else "pointerdown", points])
    page.evaluate(TOUCH, ["pointerup", steps[-1]])


def test_fingers_turn_pinch_and_close(tab, sea):
    album = send_album(sea, "grace", LANDSCAPE, LANDSCAPE)
    ada = live(tab("ada", f"/rooms/{sea.lounge}", **PHONE))
    look(ada, id_of(album))
    expect_shown(ada, id_of(album))
    touch(ada, [[300, 400]], [[200, 405]], [[120, 410]])
    expect_shown(ada, id_of(album, 1))
    touch(ada, [[100, 400]], [[250, 400]])
    expect_shown(ada, id_of(album))
    touch(ada, [[150, 400], [250, 400]], [[100, 400], [300, 400]])
    expect(ada.locator("[data-zoomed]")).to_have_count(1)
    ada.keyboard.press("0")
    touch(ada, [[200, 300]], [[205, 500]])
    expect(ada.locator(LIGHTBOX)).to_have_count(0)


def test_back_closes_it_and_stays_in_the_talk(tab, sea):
    album = send_album(sea, "grace", LANDSCAPE, LANDSCAPE)
    ada = live(tab("ada", f"/rooms/{sea.lounge}", **PHONE))
    look(ada, id_of(album))
    ada.click('[data-turn="1"]')
    expect_shown(ada, id_of(album, 1))
    ada.go_back()
    expect(ada.locator(LIGHTBOX)).to_have_count(0)
    assert ada.url == f"{sea.url}/rooms/{sea.lounge}"
    expect(ada.locator("h1")).to_have_text("Lounge")


def test_a_copied_link_opens_the_picture_for_another_member(tab, sea):
    album = send_album(sea, "grace", LANDSCAPE, LANDSCAPE)
    for number in range(45):
        sea.send("linus", sea.lounge, f"words {number}")
    path = f"/rooms/{sea.lounge}?around={album['id']}"
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    ada = live(tab("ada", path, **allowed))
    look(ada, id_of(album, 1))
    ada.click('[data-do="link"]')
    expect(ada.locator("[data-note]")).to_contain_text("Link copied")
    link = ada.evaluate("navigator.clipboard.readText()")
    grace = tab("grace", None)
    grace.goto(link)
    live(grace)
    expect_shown(grace, id_of(album, 1))
    grace.reload()
    live(grace)
    expect_shown(grace, id_of(album, 1))
    grace.keyboard.press("Escape")
    expect(grace.locator(LIGHTBOX)).to_have_count(0)
    assert grace.url == sea.url + path
    expect(grace.locator(f"#picture_{id_of(album, 1)} a")).to_be_focused()


def test_a_picture_is_saved_under_its_name(tab, sea):
    album = send_album(sea, "grace", LANDSCAPE, LANDSCAPE)
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    look(ada, id_of(album, 1))
    with ada.expect_download() as download:
        ada.click("[data-download]")
    assert download.value.suggested_filename == "sea 1.png"


def test_a_description_given_later_is_seen_in_the_other_tab(tab, sea):
    album = send_album(sea, "ada", LANDSCAPE, LANDSCAPE, alts=["The pier"])
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    image = grace.locator(f"#picture_{id_of(album, 1)} .picture__image")
    expect(image).to_have_attribute("alt", "Picture 2 of 2 from ada, not described")
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.locator(".hai").hover()
    ada.click('[data-order="describe"]')
    expect_shown(ada, id_of(album, 1))  # the one without words
    ada.keyboard.type("A heron on the pier")
    ada.keyboard.press("Enter")
    expect(ada.locator(".lightbox__words")).to_have_text("A heron on the pier")
    expect(image).to_have_attribute("alt", "A heron on the pier")
    look(grace, id_of(album, 1))
    expect(grace.locator("[data-describe]")).to_be_hidden()


def test_a_video_is_described_later(tab, sea):
    boat = send_pictures(sea, "ada", [(film(), "")])
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    video = grace.locator(".picture__video")
    expect(video).to_have_attribute("aria-label", "Video from ada, not described")
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.locator(".hai").hover()
    ada.click('[data-order="describe"]')
    watched(ada, id_of(boat))
    assert ada.evaluate(HALTS)
    ada.keyboard.type("A boat")
    ada.keyboard.press("Enter")
    expect(ada.locator(".lightbox__words")).to_have_text("A boat")
    expect(video).to_have_attribute("aria-label", "A boat")
    start = grace.locator(".picture__start")
    expect(start).to_have_attribute("aria-label", "Play: A boat")


def test_a_voice_and_what_came_with_it_are_described_later(tab, sea):
    send_pictures(sea, "ada", [(made("m4a"), ""), (picture(), "The pier")])
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    voice = grace.locator(".voice__player")
    expect(voice).to_have_attribute("aria-label", "Voice hai 0:02")
    grace.locator(".hai").hover()
    expect(grace.locator('[data-order="reply"]')).to_be_visible()
    expect(grace.locator('[data-order="describe"]')).to_be_hidden()
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.locator(".hai").hover()
    ada.click('[data-order="describe"]')
    form = ada.get_by_role("dialog", name="Describe it")
    expect(form.get_by_label("Picture")).to_have_value("The pier")
    form.get_by_label("Voice hai 0:02").fill("What the gulls say")
    offline(ada)
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("Not saved.")
    online(ada)
    live(ada)
    ada.keyboard.press("Enter")
    expect(form).to_have_count(0)
    expect(voice).to_have_attribute("aria-label", "What the gulls say")
    grace.reload()
    expect(voice).to_have_attribute("aria-label", "What the gulls say")
    image = grace.locator(".picture__image")
    expect(image).to_have_attribute("alt", "The pier")


def test_a_reply_to_a_picture_shows_it_and_leads_to_it(tab, sea):
    album = send_album(sea, "ada", LANDSCAPE, LANDSCAPE, alts=["", "The pier"])
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    look(grace, id_of(album, 1))
    grace.keyboard.press("r")
    expect(grace.locator(LIGHTBOX)).to_have_count(0)
    expect(grace.locator("[data-about-words]")).to_have_text(
        "Replying to ada: The pier"
    )
    grace.reload()
    live(grace)
    write(grace, "Where is this?")
    quote = ada.locator(".hai__quote:not([hidden])")
    expect(quote).to_contain_text("The pier")
    small = quote.locator(".hai__quote-picture")
    assert small.evaluate("image => image.decode()") is None
    quote.click()
    expect_shown(ada, id_of(album, 1))
    ada.keyboard.press("Escape")
    sea.ask("ada", f"hais/{album['id']}/delete", {"hai_id": album["id"]})
    grace.reload()
    live(grace)
    expect(grace.locator(".hai__quote")).to_contain_text("A deleted hai")
    expect(grace.locator(".hai__quote-picture")).to_be_hidden()


def test_deleted_while_it_is_looked_at(tab, sea):
    one, other = [send_album(sea, "grace", LANDSCAPE) for _ in "12"]
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    look(ada, id_of(other))
    expect_shown(ada, id_of(other))
    expect(ada.locator('[data-turn="1"]')).to_be_hidden()
    sea.ask("grace", f"hais/{other['id']}/delete", {"hai_id": other["id"]})
    expect_shown(ada, id_of(one))
    sea.ask("grace", f"hais/{one['id']}/delete", {"hai_id": one["id"]})
    expect(ada.locator(LIGHTBOX)).to_have_count(0)


FILM = f"{LIGHTBOX} video"
PLAYS = f"() => !document.querySelector('{FILM}').paused"
HALTS = f"() => document.querySelector('{FILM}').paused"


def film(**options):
    """A video that lasts longer than any test looks at it."""
    return made("mp4", lasts_s=60, **options)


def watched(page, picture_id):
    """Wait until the lightbox can play this video."""
    video = page.locator(FILM)
    expect(video).to_have_attribute("src", f"/pictures/{picture_id}")
    page.wait_for_function("film => film.readyState >= 1", arg=video.element_handle())
    assert page.evaluate("location.hash") == f"#picture_{picture_id}"
    return video


def test_a_video_is_watched_large_among_the_pictures(tab, sea):
    """A voice between them stays in the talk."""
    first = send_album(sea, "linus", LANDSCAPE)
    send_pictures(sea, "linus", [(made("m4a"), "")])
    boat = send_pictures(sea, "grace", [(film(), "The boat")])
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.click(f"#picture_{id_of(boat)} .picture__large")
    video = watched(ada, id_of(boat))
    expect(video).to_have_attribute("aria-label", "The boat")
    expect(ada.locator("[data-image]")).to_be_hidden()
    expect(ada.locator("[data-zoom]").first).to_be_hidden()
    ada.wait_for_function(PLAYS)
    ada.keyboard.press("Space")
    ada.wait_for_function(HALTS)
    ada.keyboard.press("ArrowLeft")
    expect_shown(ada, id_of(first))
    expect(ada.locator(FILM)).to_have_count(0)
    ada.keyboard.press("ArrowRight")
    watched(ada, id_of(boat))
    assert ada.evaluate(HALTS)  # what is turned to waits
    ada.keyboard.press("Space")
    ada.wait_for_function(PLAYS)
    ada.keyboard.press("Escape")
    expect(ada.locator(LIGHTBOX)).to_have_count(0)
    expect(ada.locator("#lightbox video")).to_have_count(0)
    large = ada.locator(f"#picture_{id_of(boat)} .picture__large")
    expect(large).to_be_focused()
    expect(large).to_have_attribute("aria-label", "Show large: The boat")


def test_a_player_that_has_the_focus_has_its_own_keys(tab, sea):
    send_album(sea, "linus", LANDSCAPE)
    boat = send_pictures(sea, "grace", [(film(), "")])
    ada = live(tab("ada", f"/rooms/{sea.lounge}#picture_{id_of(boat)}"))
    video = watched(ada, id_of(boat))
    video.evaluate("film => (film.currentTime = 20)")
    video.focus()
    ada.keyboard.press("ArrowLeft")
    ada.wait_for_function("film => film.currentTime < 20", arg=video.element_handle())
    watched(ada, id_of(boat))
    ada.keyboard.press("Space")
    ada.wait_for_function(PLAYS)
    ada.keyboard.press("Space")
    ada.wait_for_function(HALTS)
    touch(ada, [[640, 200]], [[645, 500]])
    expect(ada.locator(LIGHTBOX)).to_have_count(0)


def test_a_video_goes_on_large_and_back_in_the_talk(tab, sea):
    boat = send_pictures(sea, "grace", [(film(), "")])
    ada = live(tab("ada", f"/rooms/{sea.lounge}", **PHONE))
    small = ada.locator(".picture__video")
    small.evaluate("film => { film.currentTime = 20; return film.play(); }")
    ada.click(".picture__large")
    video = watched(ada, id_of(boat))
    assert small.evaluate("film => film.paused")
    ada.wait_for_function(PLAYS)
    assert video.evaluate("film => film.currentTime >= 20")
    video.evaluate("film => { film.pause(); film.currentTime = 40; }")
    ada.go_back()
    expect(ada.locator(LIGHTBOX)).to_have_count(0)
    assert small.evaluate("film => film.currentTime") == 40


def test_a_video_is_saved_and_linked_like_a_picture(tab, sea):
    boat = send_pictures(sea, "grace", [(film(), "")])
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    ada = live(tab("ada", f"/rooms/{sea.lounge}", **allowed))
    ada.click(".picture__large")
    watched(ada, id_of(boat))
    with ada.expect_download() as download:
        ada.click("[data-download]")
    assert download.value.suggested_filename.endswith(".mp4")
    ada.click('[data-do="link"]')
    expect(ada.locator("[data-note]")).to_contain_text("Link copied")
    link = ada.evaluate("navigator.clipboard.readText()")
    grace = tab("grace", None)
    grace.goto(link)
    watched(live(grace), id_of(boat))
    assert grace.evaluate(HALTS)  # nobody pressed anything here


def test_a_video_that_does_not_come_says_so_and_is_tried_again(tab, sea):
    boat = send_pictures(sea, "grace", [(film(), "")])
    path = f"**/pictures/{id_of(boat)}"
    ada = tab("ada", path=None, allow=("Failed to load",))
    ada.route(
        path, lambda route: route.abort()
    )  # also what a video without a still loads
    ada.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(ada)
    ada.click(".picture__large")
    expect(ada.locator("[data-failed]")).to_be_visible()
    expect(ada.locator("[data-failed]")).to_contain_text("This video did not load.")
    ada.unroute(path)
    ada.click('[data-do="retry"]')
    watched(ada, id_of(boat))
    expect(ada.locator("[data-failed]")).to_be_hidden()


def is_still(page, is_):
    """Wait until the picture of the talk stands still, or moves."""
    source = "document.querySelector('.picture__image')?.currentSrc"
    found = f"is => {source}?.endsWith('?size=thumbnail') === is"
    page.wait_for_function(found, arg=is_)


def test_what_moves_stands_still_until_one_presses(tab, sea):
    """Also when the still is made after the picture was shown."""
    ada = live(tab("ada", f"/rooms/{sea.lounge}", reduced_motion="reduce"))
    hai = send_pictures(sea, "grace", [(animated("GIF", (240, 180)), "")])
    is_still(ada, True)
    ada.click("[data-play]")
    is_still(ada, False)
    ada.click("[data-play]")
    is_still(ada, True)
    look(ada, id_of(hai))
    ada.click("[data-lightbox-play]")
    expect_shown(ada, id_of(hai))


# --- The tray ------------------------------------------------------------------------


def sent_bytes(sea, name):
    """The stored bytes of the newest picture."""
    page = sea.ask(name, f"rooms/{sea.lounge}/hais")
    url = page["hais"][-1]["pictures"][0]["url"]
    bearer = {"Authorization": f"Bearer {sea.tokens[name]}"}
    with urlopen(Request(sea.url + url, headers=bearer)) as answer:
        return answer.read()


@pytest.mark.parametrize("keeps", [False, True])
def test_place_and_camera_are_kept_only_when_one_says_so(tab, sea, tmp_path, keeps):
    path = tmp_path / "lake.jpg"
    path.write_bytes(talkative("JPEG"))
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    expect(ada.locator("[data-keep]")).to_be_hidden()
    ada.set_input_files("[name=picture]", path)
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(1)
    if keeps:
        ada.get_by_label("Keep place and camera data").check()
        expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(1)
        ada.reload()
        live(ada)
        expect(ada.get_by_label("Keep place and camera data")).to_be_checked()
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(1)
    write(ada, "by the lake")
    expect(ada.locator(".hai:not([data-state]) .picture")).to_have_count(1)
    assert (SECRET in sent_bytes(sea, "ada")) == keeps


def test_the_focus_stays_in_the_tray_when_one_is_removed_by_keyboard(
    tab, sea, pictures
):
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.set_input_files("[name=picture]", pictures)
    remove = ada.locator("[data-remove]:visible")
    expect(remove).to_have_count(2)
    remove.first.focus()
    ada.keyboard.press("Enter")
    expect(remove).to_have_count(1)
    expect(remove).to_be_focused()
    ada.keyboard.press("Enter")
    expect(ada.locator("textarea")).to_be_focused()


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg"])
def test_a_heic_picture_is_refused_at_once_with_advice(tab, sea, tmp_path, name):
    """Also when it is called otherwise."""
    path = tmp_path / name
    path.write_bytes(b"\x00\x00\x00\x1cftypheic" + bytes(40))
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    posted = []
    ada.on("request", lambda request: posted.append(request.method))
    ada.set_input_files("[name=picture]", path)
    expect(ada.locator("[data-problem]")).to_contain_text("Most Compatible")
    expect(ada.locator("[data-keep]")).to_be_hidden()
    assert "POST" not in posted


# --- Files that are two things at once -----------------------------------------------

SCRIPT = b"<script>document.title = 'owned'; parent.owned = true</script>"


def gifar():
    """A GIF with an archive behind it."""
    return picture("GIF") + b"PK\x03\x04" + SCRIPT


def jpeg_comment():
    data = picture("JPEG")
    return (
        data[:2]
        + b"\xff\xfe"
        + (len(SCRIPT) + 2).to_bytes(2, "big")
        + SCRIPT
        + data[2:]
    )


def png_text():
    data = picture()
    return data[:33] + chunk(b"tEXt", b"Comment\0" + SCRIPT) + data[33:] + SCRIPT


POLYGLOTS = {"GIFAR": gifar, "JavaScript in a JPEG": jpeg_comment, "PNG+HTML": png_text}


@pytest.mark.parametrize("name", POLYGLOTS)
@pytest.mark.parametrize("keeps", [False, True])
def test_a_file_that_is_two_things_is_only_a_picture(tab, sea, name, keeps):
    data = POLYGLOTS[name]()
    fields = {"keep_metadata": "on"} if keeps else {}
    hai = send_pictures(sea, "grace", [(data, "")], **fields)
    assert (SCRIPT in sent_bytes(sea, "grace")) == keeps
    page = tab("ada", f"/pictures/{id_of(hai)}")
    assert page.evaluate("document.images.length") == 1
    assert "owned" not in page.title()
    assert page.evaluate("document.contentType").startswith("image/")
    assert page.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>",
        b"<!doctype html>" + SCRIPT,
        SCRIPT + picture(),
    ],
)
def test_a_page_named_like_a_picture_is_refused(sea, data):
    with pytest.raises(Exception, match="415"):
        send_pictures(sea, "grace", [(data, "")])
    assert sea.ask("grace", f"rooms/{sea.lounge}/hais")["hais"] == []
