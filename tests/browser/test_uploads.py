"""Pictures finish their way whatever happens to the line, the tab and the server."""

import base64
import contextlib
import re
import signal
import sqlite3

import pytest
from playwright.sync_api import expect

from tests.browser.proxy import Proxy
from tests.browser.tabs import PHONE, drop, live, offline, online, sent_all, until
from tests.deploy.conftest import Nginx
from tests.pictures import picture
from tests.videos import made

LARGE = picture("PNG", 1400, 1000, compress_level=0)  # 4 MiB
LAKE = picture("PNG", 64, 48)


@pytest.fixture
def line(sea):
    proxy = Proxy(int(sea.url.rpartition(":")[2]))
    yield proxy
    proxy.stop()


def rows(sea, query):
    with contextlib.closing(sqlite3.connect(sea.server.data / "hai.db")) as db:
        return db.execute(query).fetchall()


def received(sea):
    found = rows(sea, "SELECT received FROM uploads WHERE completed_at IS NULL")
    return [row[0] for row in found]


def watch_offsets(page):
    """From where each PATCH goes on."""
    offsets = []
    page.on("request", lambda asked: note(asked, offsets))
    return offsets


def note(asked, offsets):
    if asked.method == "PATCH":
        offsets.append(int(asked.headers["upload-offset"]))


def state(page, name, count=1):
    items = page.locator(f'.tray__item[data-state="{name}"]')
    expect(items).to_have_count(count)


KEPT = """async () => {
  const name = (await indexedDB.databases())[0].name;
  const request = indexedDB.open(name);
  await new Promise((resolve) => (request.onsuccess = resolve));
  const rows = request.result.transaction("uploads").objectStore("uploads").getAll();
  await new Promise((resolve) => (rows.onsuccess = resolve));
  request.result.close();
  return rows.result.map(({ url, is_left: isLeft }) => [url, Boolean(isLeft)]);
}"""


def test_what_is_given_up_offline_is_taken_back_later(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    drop(ada, "large.png", LARGE)
    state(ada, "done")
    assert rows(sea, "SELECT count(*) FROM uploads") == [(1,)]
    offline(ada)
    ada.click(".tray [data-remove]")
    expect(ada.locator(".tray__item")).to_have_count(0)
    until(ada, lambda: [is_left for _, is_left in ada.evaluate(KEPT)] == [True])
    online(ada)
    until(ada, lambda: rows(sea, "SELECT count(*) FROM uploads") == [(0,)])
    until(ada, lambda: rows(sea, "SELECT count(*) FROM pictures") == [(0,)])
    until(ada, lambda: ada.evaluate(KEPT) == [])


def test_what_is_given_up_by_a_page_that_leaves_is_taken_back_by_the_next(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    drop(ada, "large.png", LARGE)
    state(ada, "done")
    offline(ada)
    ada.click(".tray [data-remove]")
    until(ada, lambda: [is_left for _, is_left in ada.evaluate(KEPT)] == [True])
    ada.close()  # for good: a page that is only left may still hear "online"
    online(ada)
    assert rows(sea, "SELECT count(*) FROM uploads") == [(1,)]
    ada = live(tab("ada", f"/rooms/{sea.lounge}", context=ada.context))
    drop(ada, "lake.png", LAKE)
    until(ada, lambda: len(ada.evaluate(KEPT)) == 0)
    assert rows(sea, "SELECT count(*) FROM uploads WHERE length > 100000") == [(0,)]


def test_a_picture_goes_on_after_a_cut_a_reload_and_a_restart(tab, sea, line):
    # What an earlier page sent may come late: then the server says where it is.
    late = "Failed to load resource: the server responded with a status of 409"
    ada = live(tab("ada", f"/rooms/{sea.lounge}", url=line.url, allow=late))
    offsets = watch_offsets(ada)
    line.delay_s = 0.004  # some 500 KB a second
    drop(ada, "large.png", LARGE)
    until(ada, lambda: any(at > 300_000 for at in received(sea)))
    line.cut()
    cut_at = len(offsets)
    until(ada, lambda: len(offsets) > cut_at + 1)
    assert offsets[cut_at] >= 300_000  # never from zero
    (before,) = received(sea)
    ada.reload()
    reloaded_at = len(offsets)
    until(ada, lambda: len(offsets) > reloaded_at)
    assert offsets[reloaded_at] >= before
    until(ada, lambda: any(at > before + 100_000 for at in received(sea)))
    sea.restart(signal.SIGKILL)
    (before,) = received(sea)
    restarted_at = len(offsets)
    line.delay_s = 0
    state(live(ada), "done")
    assert before <= min(offsets[restarted_at:])
    ada.click("[data-send]")
    sent_all(ada)
    assert rows(sea, "SELECT count(*) FROM hais") == [(1,)]
    stored = "SELECT count(*), max(bytes) FROM pictures"
    assert rows(sea, stored) == [(1, len(LARGE))]


def test_two_at_once_in_order_and_one_that_fails_alone(tab, sea, line):
    broken = "Failed to load resource: the server responded with a status of 422"
    ada = live(tab("ada", f"/rooms/{sea.lounge}", url=line.url, allow=broken))
    line.delay_s = 0.004
    drop(ada, "first.png", LARGE)
    drop(ada, "broken.png", LARGE[:400_000])
    drop(ada, "third.png", LAKE)
    expect(ada.locator(".tray__item")).to_have_count(3)
    until(ada, lambda: len(received(sea)) == 2)
    progress = ada.locator(".tray__item progress").first
    until(ada, lambda: 0 < progress.evaluate("(bar) => bar.value") < 1)
    line.delay_s = 0
    state(ada, "done", 2)
    refused = ada.locator('.tray__item[data-state="refused"]')
    expect(refused).to_contain_text("did not arrive whole")
    refused.locator("[data-remove]").click()
    ada.click("[data-send]")
    sent_all(ada)
    names = [row[0] for row in rows(sea, "SELECT name FROM pictures ORDER BY position")]
    assert names == ["first.png", "third.png"]


def test_what_is_removed_on_its_way_is_gone(tab, sea, line):
    ada = live(tab("ada", f"/rooms/{sea.lounge}", url=line.url))
    line.delay_s = 0.004
    drop(ada, "large.png", LARGE)
    until(ada, lambda: any(at > 100_000 for at in received(sea)))
    ada.locator("[data-remove]").click()
    everything = "SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM chunks)"
    until(ada, lambda: rows(sea, everything) == [(0,)])
    expect(ada.locator(".tray__item")).to_have_count(0)
    line.delay_s = 0
    drop(ada, "lake.png", LAKE)
    state(ada, "done")


@pytest.mark.parametrize("missing", ["POST", "PATCH"])
def test_where_tus_does_not_get_through_the_form_s_way_does(tab, sea, missing):
    ada = live(tab("ada", f"/rooms/{sea.lounge}", allow="Failed to load resource"))

    def refuse(route):
        if route.request.method == missing:
            route.fulfill(status=405, body="no")
        else:
            route.continue_()

    ada.route(re.compile(r"/uploads(/|$)"), refuse)
    drop(ada, "large.png", LARGE)
    state(ada, "done")
    ada.click("[data-send]")
    sent_all(ada)
    assert rows(sea, "SELECT count(*) FROM pictures WHERE hai_id > 0") == [(1,)]


@pytest.fixture
def nginx(sea, tmp_path):
    """As deploy/ has it, but for one line that newcomers forget: then it takes 1 MB."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    tmp_path.chmod(0o755)
    server = Nginx(folder, int(sea.url.rpartition(":")[2]))
    server.left_out = "client_max_body_size 520m;"
    server.start()
    yield server
    server.stop()


def test_a_web_server_that_takes_1_mb_at_once_takes_larger_pictures_all_the_same(
    tab, sea, nginx
):
    small = "Failed to load resource: the server responded with a status of 413"
    ada = live(tab("ada", f"/rooms/{sea.lounge}", url=nginx.url, allow=small))
    offsets = watch_offsets(ada)
    drop(ada, "large.png", LARGE)
    state(ada, "done")
    assert len(offsets) < 20
    ada.click("[data-send]")
    sent_all(ada)
    stored = "SELECT count(*), max(bytes) FROM pictures"
    assert rows(sea, stored) == [(1, len(LARGE))]


SHARE = """async (more) => {
  const form = document.createElement("form");
  const enctype = "multipart/form-data";
  Object.assign(form, { action: "/share", method: "post", enctype });
  const files = new DataTransfer();
  for (const name of ["one.png", "two.png"]) {
    const canvas = new OffscreenCanvas(640, 400);
    const paint = canvas.getContext("2d");
    paint.fillStyle = name === "one.png" ? "teal" : "coral";
    paint.fillRect(0, 0, 640, 400);
    const bytes = await canvas.convertToBlob();
    files.items.add(new File([bytes], name, { type: "image/png" }));
  }
  for (const [name, type, content] of more ?? []) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    files.items.add(new File([bytes], name, { type }));
  }
  const add = (name, changes) => {
    form.append(Object.assign(document.createElement("input"), { name, ...changes }));
  };
  add("picture", { type: "file", multiple: true });
  form.elements.picture.files = files.files;
  add("text", { value: "Look what I saw" });
  document.body.append(form);
  form.submit();
}"""
READY = "navigator.serviceWorker.ready.then(({ active }) => active.state)"


def test_what_a_phone_shares_waits_for_its_room(tab, sea):
    """The share sheet sends what this form sends."""
    ada = live(tab("ada", f"/rooms/{sea.lounge}", **PHONE))
    ada.wait_for_function("() => navigator.serviceWorker.controller !== null")
    assert ada.evaluate(READY) in ("activating", "activated")
    with ada.expect_navigation(url="**/share"):
        ada.evaluate(SHARE)
    shown = ada.locator(".share__picture img")
    expect(shown).to_have_count(2)
    expect(ada.locator(".share__words")).to_have_text("Look what I saw")
    ada.reload()
    expect(shown).to_have_count(2)
    ada.locator(f'[data-share-room-id="{sea.den}"]').click()
    ada.wait_for_url(f"**/rooms/{sea.den}")
    state(live(ada), "done", 2)
    expect(ada.locator("textarea")).to_have_value("Look what I saw")
    ada.click("[data-send]")
    sent_all(ada)
    names = rows(sea, "SELECT name FROM pictures WHERE hai_id > 0 ORDER BY position")
    assert names == [("one.png",), ("two.png",)]
    ada.goto(f"{sea.url}/share")
    expect(ada.locator(".share__none")).to_be_visible()


def test_a_phone_shares_videos_and_voices_too(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}", **PHONE))
    ada.wait_for_function("() => navigator.serviceWorker.controller !== null")
    more = [
        [name, type_, base64.b64encode(made(kind)).decode()]
        for name, type_, kind in (
            ("boat.webm", "video/webm", "webm"),
            ("memo.m4a", "audio/mp4", "m4a"),
        )
    ]
    with ada.expect_navigation(url="**/share"):
        ada.evaluate(SHARE, more)
    expect(ada.locator(".share__picture")).to_have_count(4)
    expect(ada.locator(".share__picture video")).to_have_attribute(
        "aria-label", "boat.webm"
    )
    expect(ada.locator(".share__voice")).to_have_text("memo.m4a")
    ada.locator(f'[data-share-room-id="{sea.den}"]').click()
    ada.wait_for_url(f"**/rooms/{sea.den}")
    state(live(ada), "done", 4)
    expect(ada.locator('.tray__item[data-kind="video"] video')).to_be_visible()
    expect(ada.locator('.tray__item[data-kind="voice"]')).to_be_visible()
    ada.click("[data-send]")
    sent_all(ada)
    types = rows(sea, "SELECT type FROM pictures WHERE hai_id > 0 ORDER BY position")
    assert types[2:] == [("video/webm",), ("audio/mp4",)]


def test_without_a_worker_the_share_sheet_is_told_what_to_do(tab, sea):
    refused = "Failed to load resource: the server responded with a status of 503"
    ada = tab("ada", f"/rooms/{sea.lounge}", service_workers="block", allow=refused)
    with live(ada).expect_navigation(url="**/share"):
        ada.evaluate(SHARE)
    expect(ada.locator("body")).to_contain_text(
        "open Hai once, and then share it again"
    )


def test_a_phone_has_a_camera_button_and_a_desk_has_none(tab, sea):
    desk = live(tab("ada", f"/rooms/{sea.lounge}"))
    expect(desk.locator("label[for=camera]")).to_be_hidden()
    options = PHONE | {"is_mobile": True}
    phone = live(tab("ada", f"/rooms/{sea.lounge}", **options))
    box = phone.locator("label[for=camera]").bounding_box()
    assert box["width"] >= 44 and box["height"] >= 44
    file = {"name": "shot.png", "mimeType": "image/png", "buffer": LAKE}
    phone.set_input_files("#camera", file)
    state(phone, "done")
