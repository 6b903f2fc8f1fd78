"""Two-step sign-in as people see it: with keys alone, on a phone, without scripts."""

import pytest
from playwright.sync_api import expect

from hai import clock
from hai.core.identity import totp
from tests.browser.tabs import PASSWORD, PHONE, at_rest, live
from tests.browser.test_pages import violations


def code_for(key, steps=0):
    secret = totp.from_text(key)
    return totp.code_of(secret, totp.step_at(clock.now_ms()) + steps)


def sign_in(page, name="ada"):
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_set_up_and_asked_for_with_keys_alone(tab, sea, scheme):
    allow = ("Failed to load",)  # the wrong code
    page = tab(None, "/sign_in", color_scheme=scheme, allow=allow, **PHONE)
    sign_in(page)
    live(page)
    page.goto(sea.url + "/settings/second_factor")
    live(page)
    at_rest(page)
    assert violations(page) == []
    expect(page.locator("svg.qr")).to_be_visible()
    key = page.get_by_label("Key for the app").input_value()
    page.get_by_label("The code that the app shows now").press_sequentially(
        code_for(key, -1)
    )
    page.keyboard.press("Enter")
    expect(page.locator("ol code")).to_have_count(8)
    assert violations(page) == []
    recovery_code = page.locator("ol code").first.inner_text()
    page.get_by_text("I have kept them").press("Enter")
    expect(page.get_by_text("8 recovery codes left")).to_be_visible()
    page.get_by_text("Do without the app…").press("Enter")
    at_rest(page)
    assert violations(page) == []
    assert page.evaluate("window.violations") == []
    page.goto(sea.url + "/settings")
    page.get_by_text("Sign out here").press("Enter")
    sign_in(page)
    expect(page.get_by_label("Code")).to_be_focused()
    assert violations(page) == []
    page.keyboard.type("123456")
    page.keyboard.press("Enter")
    expect(page.locator("[role=alert]")).to_be_visible()
    page.keyboard.type(recovery_code.upper())
    page.keyboard.press("Enter")
    live(page)


def test_where_it_is_asked_for_it_comes_first_without_scripts(
    tab, sea, serve, tmp_path
):
    sea.server.stop()
    server = serve("--second-factor", "all", data=tmp_path / "served")
    page = tab(
        None, "/sign_in", url=server.url, java_script_enabled=False, allow=("Failed",)
    )
    sign_in(page, "linus")
    expect(page.locator("h1")).to_have_text("First, a second step.")
    page.goto(server.url + "/people")
    expect(page.locator("h1")).to_have_text("First, a second step.")
    key = page.get_by_label("Key for the app").input_value()
    page.fill("[name=code]", code_for(key))
    page.click("text=Turn it on")
    expect(page.locator("ol code")).to_have_count(8)
    page.goto(server.url + "/people")
    expect(page.locator("h1")).to_have_text("People")


AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def with_finger(page):
    """A device with a finger on it; gives what it is told with."""
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    added = device.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return device, added["authenticatorId"]


def use_passkey(page):
    button = page.get_by_text("Use a passkey")
    expect(button).to_be_visible()  # once scripts have taken over
    button.press("Enter")


def forget(page):
    """The browser loses its cookies; a page whose socket is not up would leave then."""
    live(page)
    page.context.clear_cookies()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_passkey_is_added_and_signs_in_with_keys_alone(tab, sea, scheme):
    url = sea.url.replace("127.0.0.1", "localhost")
    allow = ("Failed to load",)  # the passkey that was removed
    page = tab(None, "/sign_in", url=url, color_scheme=scheme, allow=allow, **PHONE)
    device, device_id = with_finger(page)
    sign_in(page, "grace")
    live(page)
    page.goto(url + "/settings/second_factor")
    live(page)
    page.get_by_label("Name for this passkey").fill("My phone")
    page.keyboard.press("Enter")
    expect(page.locator("ol code")).to_have_count(8)
    page.get_by_text("I have kept them").press("Enter")
    live(page)
    page.get_by_label("Change My phone").press("Enter")
    at_rest(page)
    assert violations(page) == []
    page.get_by_text("Add a passkey").press("Enter")  # a second one on one device
    expect(page.locator("[data-problem]")).to_contain_text("already")

    forget(page)
    page.goto(url + "/sign_in?next=/people")
    expect(page.get_by_text("Use a passkey")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("[window.shifts, window.violations]") == [0, []]
    device.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": device_id, "isUserVerified": False},
    )
    use_passkey(page)
    expect(page.locator("[data-problem]")).to_contain_text("Nothing was done")
    device.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": device_id, "isUserVerified": True},
    )
    use_passkey(page)
    page.wait_for_url(url + "/people")

    forget(page)
    page.goto(url + "/sign_in")
    sign_in(page, "grace")
    expect(page.locator("h1")).to_have_text("One more step.")
    assert violations(page) == []
    use_passkey(page)
    live(page)
    page.goto(url + "/settings/second_factor")
    page.get_by_label("Change My phone").press("Enter")
    page.get_by_role("button", name="Remove").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("does not sign you in")
    forget(page)
    page.goto(url + "/sign_in")
    use_passkey(page)
    expect(page.locator("[role=alert]").first).to_contain_text("not known here")
