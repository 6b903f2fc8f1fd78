"""Sleep, frozen servers, dead lines and many cuts: afterwards all is as if fresh."""

import random
import signal

import pytest
from playwright.sync_api import expect

from tests.browser.proxy import Proxy
from tests.browser.tabs import (
    NO_WEBSOCKETS,
    assert_same_tabs,
    at_rest,
    live,
    offline,
    online,
    said,
    sent_all,
    texts,
    write,
)

WAKE = "() => window.dispatchEvent(new Event('online'))"


@pytest.fixture
def line(sea):
    """A proxy before the server; the browser's own origin."""
    made = []

    def make(seed=1):
        made.append(Proxy(int(sea.url.rsplit(":", 1)[1]), seed))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


def opened(tab, sea, name="ada", **options):
    return live(tab(name, f"/rooms/{sea.lounge}", **options))


def test_a_frozen_server_is_waited_for(tab, sea):
    ada, grace = opened(tab, sea), opened(tab, sea, "grace")
    sea.server.process.send_signal(signal.SIGSTOP)
    for number in range(3):
        write(ada, f"number {number}")
    expect(ada.locator(".hai__state:visible").first).to_contain_text("Sending")
    ada.wait_for_timeout(3000)
    sea.server.process.send_signal(signal.SIGCONT)
    sent_all(ada)
    expect(grace.locator(".hai")).to_have_count(3)
    assert_same_tabs(ada, opened(tab, sea))


def test_a_dead_line_is_found_on_waking(tab, sea, line):
    proxy = line()
    ada = opened(tab, sea, url=proxy.url, allow=("Failed to load",))
    proxy.freeze()
    hai = sea.send("grace", sea.lounge, "while it was dead")
    ada.evaluate(WAKE)
    expect(ada.locator(f"#hai_{hai['id']}")).to_be_visible(timeout=8000)
    write(ada, "awake")
    sent_all(ada)
    assert_same_tabs(ada, opened(tab, sea))


def test_a_dead_line_is_found_by_what_is_sent(tab, sea, line):
    proxy = line()
    ada = opened(tab, sea, url=proxy.url, allow=("Failed to load",))
    proxy.freeze()
    write(ada, "into the void")
    sent_all(ada)
    expect(ada.locator(".hai")).to_have_count(1)
    assert_same_tabs(ada, opened(tab, sea))


def test_a_tab_away_for_long_takes_few_bytes_and_ends_up_right(tab, sea):
    hais = [sea.send("grace", sea.lounge, f"early {number}") for number in range(50)]
    ada = opened(tab, sea)
    network = ada.context.new_cdp_session(ada)
    network.send("Network.enable")
    sizes = []
    frame = "Network.webSocketFrameReceived"
    network.on(frame, lambda e: sizes.append(len(e["response"]["payloadData"])))
    loaded = "Network.loadingFinished"
    network.on(loaded, lambda e: sizes.append(e["encodedDataLength"]))
    offline(ada)
    for number in range(600):
        room_id = sea.lounge if number % 2 else sea.den
        sea.send("grace", room_id, f"missed {number}")
    edit(sea, hais[-1]["id"], "edited meanwhile")
    online(ada)
    expect(ada.locator(".hai").last).to_contain_text("missed 599")
    ada.wait_for_timeout(500)
    assert sum(sizes) < 200_000
    assert_same_tabs(ada, opened(tab, sea))


def edit(sea, hai_id, text):
    sea.ask("grace", f"hais/{hai_id}", {"text": text})


def test_reading_the_past_stays_where_it_is_after_a_long_sleep(tab, sea):
    for number in range(100):
        sea.send("grace", sea.lounge, f"early {number}")
    ada = opened(tab, sea)
    talk = ada.locator(".talk")
    talk.evaluate("talk => talk.scrollTo(0, -800)")
    at_rest(ada)
    middle = "() => document.elementFromPoint(800, 400).closest('.hai').id"
    reading = ada.evaluate(middle)
    offline(ada)
    for number in range(300):
        sea.send("grace", sea.lounge, f"missed {number}")
    online(ada)
    expect(ada.locator("[data-to-now]")).to_contain_text("new")
    at_rest(ada)
    assert ada.evaluate(middle) == reading
    ada.click("[data-to-now]")
    expect(ada.locator(".hai").last).to_contain_text("missed 299")
    expect(ada.locator(".hai").last).to_be_in_viewport()
    assert_same_tabs(ada, opened(tab, sea))


def test_what_a_lost_poll_brought_comes_after_all(tab, sea, line):
    """Chromium itself sends a GET again whose kept line broke before the answer began,
    so the page does not know that an answer was lost."""
    proxy = line()
    ada = tab("ada", path=None, url=proxy.url, allow=("Failed to load",))
    ada.add_init_script(NO_WEBSOCKETS)
    ada.goto(f"{proxy.url}/rooms/{sea.lounge}")
    live(ada)
    sea.send("grace", sea.lounge, "before")
    expect(said(ada, "before")).to_be_visible()
    proxy.lose(b"lost on the way")
    sea.send("grace", sea.lounge, "lost on the way")
    sea.send("grace", sea.lounge, "after")
    expect(said(ada, "after")).to_be_visible()
    expect(said(ada, "lost on the way")).to_be_visible()
    write(ada, "all here")
    sent_all(ada)  # so that nothing is new to the other tab
    assert_same_tabs(ada, opened(tab, sea))


def test_twenty_random_cuts_leave_no_trace(tab, sea, line):
    """Two people write through lines that break at random bytes; some hais change."""
    seed = 20
    chance = random.Random(seed)
    proxy = line(seed)
    allow = ("Failed to load",)  # a polling session that the cut ended
    ada = opened(tab, sea, url=proxy.url, allow=allow)
    grace = opened(tab, sea, "grace", url=proxy.url, allow=allow)
    proxy.cuts_left = 20
    proxy.delay_s = 0.01
    for number in range(40):
        person = chance.choice((ada, grace))
        write(person, f"number {number}")
        if number % 4 == 0:
            sea.send("linus", sea.lounge, f"beside {number}")
        if number % 5 == 0:
            proxy.cut()
            proxy.cut_count += 1
        ada.wait_for_timeout(chance.randint(0, 200))
    proxy.cuts_left = 0
    for page in (ada, grace):
        sent_all(page)
        expect(page.locator(".hai")).to_have_count(50)
    assert len(set(texts(ada))) == 50
    assert texts(ada) == texts(grace)
    assert proxy.cut_count >= 10  # 8 of our own; the others need bytes to fall on
    assert_same_tabs(ada, opened(tab, sea))
    assert_same_tabs(grace, opened(tab, sea, "grace"))
