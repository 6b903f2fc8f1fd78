"""Slow, broken and absent networks: nothing is lost, nothing is doubled."""

import re

from playwright.sync_api import expect

from tests.browser.tabs import NO_WEBSOCKETS, live, said, texts, write


def test_written_offline_it_is_sent_once_when_the_network_is_back(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    ada.context.set_offline(True)
    expect(ada.locator(".connection")).to_contain_text("What you write is kept")
    write(ada, "from the tunnel")
    expect(ada.locator(".hai__state:visible")).to_contain_text(
        "Waiting for the network"
    )
    write(grace, "meanwhile")
    ada.context.set_offline(False)
    expect(said(grace, "from the tunnel")).to_be_visible()
    expect(said(ada, "meanwhile")).to_be_visible()
    expect(ada.locator(".hai[data-state]")).to_have_count(0)
    assert (
        sorted(texts(ada)) == sorted(texts(grace)) == ["from the tunnel", "meanwhile"]
    )
    ada.reload()
    assert texts(ada) == texts(grace)


def test_the_outbox_survives_a_reload(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    ada.context.set_offline(True)
    ada.wait_for_selector('html[data-socket="down"]')
    write(ada, "kept")
    expect(ada.locator('.hai[data-state="waiting"]')).to_have_count(1)
    ada.close()
    ada.context.set_offline(False)
    again = live(tab("ada", f"/rooms/{sea.lounge}", context=ada.context))
    expect(said(again, "kept")).to_be_visible()
    expect(again.locator(".hai[data-state]")).to_have_count(0)
    assert again.locator(".hai").count() == 1


def test_deletions_and_edits_are_caught_up_with(tab, sea):
    first = sea.send("grace", sea.lounge, "one")
    sea.send("grace", sea.lounge, "two")
    ada = live(tab("ada", f"/rooms/{sea.lounge}"))
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    ada.context.set_offline(True)
    expect(ada.locator(".connection")).to_contain_text("What you write is kept")
    grace.locator(f"#hai_{first['id']}").hover()
    grace.locator(f"#hai_{first['id']} [data-order=delete]").click()
    grace.click("#ask [value=yes]")
    grace.locator("textarea").focus()
    grace.keyboard.press("ArrowUp")
    grace.keyboard.type("!")
    grace.keyboard.press("Enter")
    expect(grace.locator(".hai__text")).to_have_text(["two!"])
    ada.context.set_offline(False)
    expect(ada.locator(".hai__text")).to_have_text(["two!"])


def test_without_the_socket_io_client_the_page_uses_plain_websockets(tab, sea):
    ada = tab("ada", path=None)
    ada.context.route("**/vendor/socket.io-client/**", lambda route: route.abort())
    sockets = []
    ada.on("websocket", lambda socket: sockets.append(socket.url))
    ada.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(ada)
    assert [url.rsplit("/", 1)[1] for url in sockets] == ["ws"]
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    write(ada, "over /ws")
    expect(said(grace, "over /ws")).to_be_visible()
    write(grace, "heard")
    expect(said(ada, "heard")).to_be_visible()


def test_where_no_websocket_passes_polling_does(tab, sea):
    ada = tab("ada", path=None)
    ada.add_init_script(NO_WEBSOCKETS)
    ada.goto(f"{sea.url}/rooms/{sea.lounge}")
    live(ada)
    grace = live(tab("grace", f"/rooms/{sea.lounge}"))
    write(ada, "by post")
    expect(said(grace, "by post")).to_be_visible()
    write(grace, "by return")
    expect(said(ada, "by return")).to_be_visible()


def test_a_session_ended_elsewhere_ends_here(tab, sea):
    ada = live(tab("ada", f"/rooms/{sea.lounge}", allow=("Failed to load",)))
    asked = []
    ada.on("request", lambda request: asked.append(request.url))
    allow = ("Failed to load",)
    out = tab("ada", "/settings", context=ada.context, allow=allow)
    out.click("text=Sign out here")
    expect(ada).to_have_url(re.compile("/sign_in"))
    # Told by a fact and by the line that fell; sent there twice, Chromium crashed.
    assert asked.count(f"{sea.url}/sign_in") == 1
