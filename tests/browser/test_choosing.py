"""Choosing pictures: pasted ones, too many, and those that are none."""

import base64

from playwright.sync_api import expect

from tests.browser.tabs import live, texts, write
from tests.pictures import picture

PASTE = """([name, type, body]) => {
  const bytes = Uint8Array.from(atob(body), (sign) => sign.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], name, { type }));
  const options = { bubbles: true, cancelable: true, clipboardData };
  const event = new ClipboardEvent("paste", options);
  document.activeElement.dispatchEvent(event);
  return event.defaultPrevented;
}"""


def paste(page, name, kind, body):
    return page.evaluate(PASTE, [name, kind, base64.b64encode(body).decode()])


def test_a_pasted_picture_is_sent(tab, sea):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    page.focus("textarea")
    assert paste(page, "image.png", "image/png", picture("PNG", 64, 48))
    expect(page.locator('.tray__item[data-state="done"]')).to_have_count(1)
    assert not paste(page, "notes.txt", "text/plain", b"words"), "text is the field's"
    write(page, "from the clipboard")
    expect(page.locator(".hai .picture")).to_have_count(1)
    page.reload()
    expect(page.locator(".hai .picture")).to_have_count(1)


def test_of_twelve_pictures_ten_come_and_the_page_says_so(tab, sea, tmp_path):
    page = live(tab("ada", f"/rooms/{sea.lounge}"))
    paths = [tmp_path / f"{number}.png" for number in range(12)]
    for path in paths:
        path.write_bytes(picture("PNG", 8, 8))
    page.set_input_files("[name=picture]", [str(path) for path in paths])
    expect(page.locator(".connection")).to_have_text("One hai holds up to 10 pictures.")
    expect(page.locator(".tray__item")).to_have_count(10)


def test_a_lying_picture_does_not_spoil_the_text(tab, sea, tmp_path):
    page = live(tab("ada", f"/rooms/{sea.lounge}", allow=("Failed to load",)))
    lie = tmp_path / "lie.png"
    lie.write_bytes(b"no picture at all")
    page.set_input_files("[name=picture]", str(lie))
    expect(page.locator('.tray__item[data-state="refused"]')).to_have_count(1)
    expect(page.locator("[data-problem]")).to_be_visible()
    expect(page.locator("[data-retry]")).to_be_hidden()
    write(page, "without it")
    expect(page.locator(".hai:not([data-state])")).to_have_count(1)
    expect(page.locator(".tray__item")).to_have_count(0)
    page.reload()
    assert texts(page) == ["without it"]
    expect(page.locator(".tray__item")).to_have_count(0)
