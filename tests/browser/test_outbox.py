"""Nothing typed or dropped is ever lost; what is queued goes out once, in order."""

import contextlib
import signal
import sqlite3
import time

import pytest
from playwright.sync_api import Error, expect

from tests.browser.tabs import (
    assert_same_tabs,
    drop,
    live,
    offline,
    online,
    sent_all,
    stored,
    texts,
)
from tests.browser.tabs import write as send
from tests.pictures import picture

LAKE = picture("PNG", 64, 48)


def opened(tab, sea, name="ada", **options):
    return live(tab(name, f"/rooms/{sea.lounge}", **options))


def numbered(count):
    return [f"number {number}" for number in range(count)]


def test_words_a_reply_and_dropped_pictures_survive_a_reload(tab, sea):
    asked = sea.send("grace", sea.lounge, "Who has a picture?")
    ada = opened(tab, sea)
    ada.locator(f"#hai_{asked['id']}").hover()
    ada.click('[data-order="reply"]')
    ada.fill("textarea", "half a thought")
    drop(ada, "lake.png", LAKE)
    drop(ada, "bay.png", LAKE)
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(2)
    ada.locator("[data-alt]").nth(1).fill("The bay")
    ada.reload()
    live(ada)
    expect(ada.locator("textarea")).to_have_value("half a thought")
    expect(ada.locator("[data-about]")).to_contain_text("Who has a picture?")
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(2)
    expect(ada.locator("[data-alt]").nth(1)).to_have_value("The bay")
    ada.click("[data-send]")
    sent_all(ada)
    expect(ada.locator(".hai .picture__image").nth(1)).to_have_attribute(
        "alt", "The bay"
    )
    expect(ada.locator(".hai__quote:visible")).to_contain_text("Who has a picture?")
    assert_same_tabs(ada, opened(tab, sea, "ada"))
    ada.reload()
    expect(live(ada).locator(".tray__item")).to_have_count(0)
    expect(ada.locator("textarea")).to_have_value("")


def test_a_change_begun_survives_a_reload(tab, sea):
    hai = sea.send("ada", sea.lounge, "Frist")
    ada = opened(tab, sea)
    ada.locator("textarea").focus()
    ada.keyboard.press("ArrowUp")
    ada.fill("textarea", "First")
    ada.reload()
    live(ada)
    expect(ada.locator("[data-about]")).to_contain_text("Editing")
    expect(ada.locator("textarea")).to_have_value("First")
    ada.keyboard.press("Enter")
    expect(ada.locator(f"#hai_{hai['id']} .hai__text")).to_have_text("First")


def test_pictures_dropped_and_sent_offline_go_out_after_a_restart(tab, sea):
    ada = opened(tab, sea)
    offline(ada)
    send(ada, "before")
    drop(ada, "lake.png", LAKE)
    expect(ada.locator(".tray__item")).to_have_count(1)
    ada.locator("[data-alt]").fill("The lake")
    send(ada, "with the lake")
    send(ada, "after")
    expect(ada.locator(".hai[data-state]")).to_have_count(3)
    expect(ada.locator(".hai__state:visible").first).to_contain_text("Waiting")
    drop(ada, "draft.png", LAKE)
    expect(ada.locator(".tray__item")).to_have_count(1)
    stored(ada, "trays", "draft.png")
    ada.close()
    online(ada)
    again = opened(tab, sea, context=ada.context)
    sent_all(again)
    assert texts(again) == ["before", "with the lake", "after"]
    expect(again.locator(".hai .picture__image")).to_have_attribute("alt", "The lake")
    expect(again.locator('.tray__item[data-state="done"]')).to_have_count(1)
    assert_same_tabs(again, opened(tab, sea))


def test_thirty_written_offline_go_out_once_and_in_order(tab, sea):
    ada = opened(tab, sea)
    offline(ada)
    for text in numbered(30):
        send(ada, text)
    online(ada)
    sent_all(ada)
    fresh = opened(tab, sea)
    assert texts(fresh) == numbered(30)
    assert_same_tabs(ada, fresh)


def test_two_tabs_share_one_outbox(tab, sea):
    one = opened(tab, sea)
    other = opened(tab, sea, context=one.context)
    offline(one)
    other.wait_for_selector('html[data-socket="down"]')
    for number, text in enumerate(numbered(8)):
        send(other if number % 2 else one, text)
        shown = (one if number % 2 else other).locator(".hai[data-state]")
        expect(shown).to_have_count(number + 1)
    online(one)
    for page in (one, other):
        sent_all(page)
    fresh = opened(tab, sea)
    assert texts(fresh) == numbered(8)
    assert_same_tabs(one, fresh)
    assert_same_tabs(other, fresh)


LEFT_BEHIND = """([name, row]) => new Promise((resolve) => {
  const request = indexedDB.open(name);
  request.onsuccess = () => {
    const database = request.result;
    const change = database.transaction("outbox", "readwrite");
    change.objectStore("outbox").put(row);
    change.oncomplete = () => {
      new BroadcastChannel(name).postMessage({ words: { outbox: row.client_id } });
      database.close();
      resolve();
    };
  };
})"""


def test_a_row_left_behind_by_a_stored_hai_is_not_shown_as_being_sent(tab, sea):
    """A tab died after the ack, before it could take the row out."""
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    sea.send("ada", sea.lounge, "once", client_id="left-1")
    expect(ada.locator(".hai")).to_have_count(1)
    row = {"client_id": "left-1", "room_id": sea.lounge, "text": "once"}
    row |= {"number": 1, "pictures": [], "sent_at": int(time.time() * 1000)}
    ada.evaluate(LEFT_BEHIND, [f"hai.{sea.ids['ada']}", row])
    send(ada, "twice")  # rooms are sent in order: after it, the row has been seen
    expect(ada.locator(".hai")).to_have_count(2)
    sent_all(ada)
    assert texts(ada) == ["once", "twice"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_in_mid_send_loses_and_doubles_nothing(tab, sea, how):
    ada, grace = opened(tab, sea), opened(tab, sea, "grace")
    for text in numbered(10):
        send(ada, text)
    sea.restart(how)
    for text in [f"later {number}" for number in range(5)]:
        send(ada, text)
    sent_all(ada)
    expect(grace.locator(".hai")).to_have_count(15)
    fresh = opened(tab, sea)
    assert texts(fresh) == numbered(10) + [f"later {number}" for number in range(5)]
    assert_same_tabs(ada, fresh)
    assert texts(grace) == texts(fresh)


def test_another_database_starts_afresh_and_keeps_what_was_typed(tab, sea):
    ada = opened(tab, sea)
    sea.server.stop()
    ada.wait_for_selector('html[data-socket="down"]')
    send(ada, "queued")
    ada.fill("textarea", "half a thought")
    renew_epoch(sea.server.data / "hai.db")
    with ada.expect_event("load"):
        sea.server.start()
    live(ada)
    expect(ada.locator("textarea")).to_have_value("half a thought")
    sent_all(ada)
    assert texts(ada) == ["queued"]


def renew_epoch(path):
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE server SET epoch = 'another'")
    database.close()


# Chromium enforces a quota set by the debugger only now and then.
FULL = """() => {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (row) {
    if (row.file) throw new DOMException("", "QuotaExceededError");
    return put.call(this, row);
  };
}"""


def test_a_full_device_says_so_and_keeps_the_words(tab, sea):
    ada = opened(tab, sea)
    ada.evaluate(FULL)
    drop(ada, "lake.png", picture("PNG", 640, 480))
    expect(ada.locator(".connection")).to_contain_text("This device is full")
    send(ada, "all the same")
    sent_all(ada)
    expect(ada.locator(".hai .picture")).to_have_count(1)


def test_what_is_refused_says_why_and_can_be_tried_again(tab, sea):
    ada = opened(tab, sea, allow=("Failed to load",))
    lost = picture("PNG", 64, 48)[:-20]
    offline(ada)
    drop(ada, "broken.png", lost)
    send(ada, "with a broken picture")
    send(ada, "and on")
    online(ada)
    failed = ada.locator('.hai[data-state="failed"]')
    expect(failed.locator(".hai__state")).to_contain_text("Not sent.")
    expect(failed.locator('[data-order="copy"]')).to_be_visible()
    expect(ada.locator(".hai:not([data-state])")).to_have_count(1)
    ada.reload()
    expect(live(ada).locator('.hai[data-state="failed"]')).to_have_count(1)
    failed.locator('[data-order="retry"]').click()
    expect(failed).to_have_count(1)
    failed.locator('[data-order="discard"]').click()
    expect(ada.locator(".hai")).to_have_count(1)


BARE = """
delete IDBFactory.prototype.open;
Object.defineProperty(Navigator.prototype, "locks", { value: undefined });
"""


def test_a_browser_that_refuses_to_store_pictures_says_so_and_keeps_words(tab, sea):
    ada = tab("ada", path=None)
    ada.context.add_init_script(BARE)
    ada.goto(f"{sea.url}/rooms/{sea.lounge}")
    other = opened(tab, sea, context=ada.context)
    live(ada)
    drop(ada, "lake.png", LAKE)
    expect(ada.locator(".connection")).to_contain_text("This browser keeps no pictures")
    send(ada, "one picture")
    sent_all(ada)
    expect(ada.locator(".hai .picture")).to_have_count(1)
    offline(ada)
    send(ada, "kept")
    send(other, "kept too")
    ada.close()
    online(other)
    sent_all(other)
    assert texts(other) == ["one picture", "kept", "kept too"]
    assert_same_tabs(other, opened(tab, sea))


def test_a_killed_browser_has_kept_it_all(chromium, sea, tmp_path):
    kind = chromium.browser_type
    options = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox"]}

    def start():
        context = kind.launch_persistent_context(str(tmp_path / "profile"), **options)
        cookie = {"name": "hai_session", "value": sea.tokens["ada"]}
        context.add_cookies([cookie | {"url": sea.url}])
        return context, context.pages[0]

    context, ada = start()
    ada.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(ada)
    offline(ada)
    send(ada, "kept")
    drop(ada, "lake.png", LAKE)
    send(ada, "with the lake")
    drop(ada, "bay.png", LAKE)
    ada.fill("textarea", "half a thought")
    stored(ada, "outbox", "with the lake")
    stored(ada, "trays", "bay.png")
    stored(ada, "drafts", "half a thought")
    browser = context.new_cdp_session(ada)
    with context.expect_event("close"), contextlib.suppress(Error):
        browser.send("Browser.crash")  # it is gone before it can answer
    context, ada = start()
    ada.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(ada)
    sent_all(ada)
    assert texts(ada) == ["kept", "with the lake"]
    expect(ada.locator(".hai .picture")).to_have_count(1)
    expect(ada.locator(".tray__item")).to_have_count(1)
    expect(ada.locator("textarea")).to_have_value("half a thought")
    context.close()


KEEPS_NOTHING = """IDBObjectStore.prototype.put = () => {
  throw new DOMException("", "QuotaExceededError");
};"""


def test_where_the_device_keeps_no_hai_the_draft_stays_until_it_is_sent(tab, sea):
    ada = opened(tab, sea)
    ada.context.add_init_script(KEEPS_NOTHING)
    ada.reload()
    live(ada)
    offline(ada)
    send(ada, "only in memory")
    expect(ada.locator('.hai[data-state="waiting"]')).to_have_count(1)
    ada.close()
    ada.context.set_offline(False)
    again = live(tab("ada", f"/rooms/{sea.lounge}", context=ada.context))
    expect(again.locator("textarea")).to_have_value("only in memory")
    again.click("[data-send]")
    sent_all(again)
    again.reload()
    expect(live(again).locator("textarea")).to_have_value("")
    assert texts(again) == ["only in memory"]
