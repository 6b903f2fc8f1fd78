"""Voices are recorded, listened to and sent; videos play and are skipped in."""

import re

import pytest
from playwright.sync_api import expect

from hai.core.pictures import posters
from tests.browser.tabs import PHONE, live, offline, online, said, sent_all, write
from tests.videos import made

pytestmark = pytest.mark.microphone

PLACE = "one => [one.paused, one.currentTime]"
LARGE = ("-s", "320x240")
RECORD_MS = 1500  # of a microphone that beeps once a second


def both(tab, sea, **options):
    path = f"/rooms/{sea.lounge}"
    return live(tab("ada", path, **options)), live(tab("grace", path))


def allow_microphone(page):
    page.context.grant_permissions(["microphone"])


def ready(page):
    """Wait until what plays and records, fetched at the first key or press, is here."""
    page.evaluate("""async () => {
      await import("#controllers/players");
      await import("#controllers/recorder");
    }""")


def record(page):
    page.click("[data-record]")
    expect(page.locator("[data-recorder]")).to_be_visible()
    expect(page.locator("[data-time]")).to_have_text(re.compile("0:0[1-9]"))
    page.wait_for_timeout(RECORD_MS - 1000)
    page.click("[data-record-stop]")
    expect(page.locator('.tray__item[data-kind="voice"]')).to_be_visible()


def plays(page, media):
    """Wait until it has moved on."""
    page.wait_for_function(
        "one => !one.paused && one.currentTime > 0.2", arg=media.element_handle()
    )


def test_a_voice_is_recorded_listened_to_and_heard_by_another(tab, sea):
    ada, grace = both(tab, sea)
    allow_microphone(ada)
    record(ada)
    ada.click(".tray [data-voice=play]")
    plays(ada, ada.locator(".tray audio"))
    ada.click("[data-send]")
    voice = grace.locator(".hai__voices .voice")
    expect(voice).to_have_count(1)
    sent_all(ada)
    length = grace.locator(".hai .voice__time").inner_text()
    assert re.fullmatch("0:(0[1-9]|[1-5][0-9])", length)
    voice.locator("[data-voice=play]").click()
    plays(grace, voice.locator("audio"))
    expect(voice.locator("[data-voice=play]")).to_have_attribute("aria-label", "Pause")
    voice.locator("[data-voice=speed]").click()
    assert voice.locator("audio").evaluate("one => one.playbackRate") == 1.5
    expect(voice.locator(".voice__speed")).to_have_text("1.5×")
    expect(voice.locator("[data-voice=play]")).to_have_attribute("aria-label", "Play")
    expect(voice.locator(".voice__time")).to_have_text(length)  # over, and at its start


def test_a_voice_is_played_by_the_keyboard(tab, sea, videos):
    ada, grace = both(tab, sea)
    ada.set_input_files("[name=picture]", videos[1:])
    write(ada, "listen")
    seek = grace.locator(".hai .voice__seek")
    seek.focus()
    ready(grace)
    grace.keyboard.press("ArrowRight")
    expect(seek).to_have_attribute("aria-valuetext", "0:02 of 0:02")
    grace.keyboard.press("ArrowLeft")
    expect(seek).to_have_attribute("aria-valuetext", "0:00 of 0:02")
    grace.keyboard.press("Shift+Tab")
    grace.keyboard.press("Space")
    plays(grace, grace.locator(".hai audio"))


def test_a_recording_can_be_discarded_at_any_time(tab, sea):
    ada, _ = both(tab, sea)
    allow_microphone(ada)
    ada.click("[data-record]")
    expect(ada.locator("[data-recorder]")).to_be_visible()
    expect(ada.locator("[data-send]")).to_be_hidden()
    ada.keyboard.press("Escape")
    expect(ada.locator("[data-recorder]")).to_be_hidden()
    expect(ada.locator(".tray__item")).to_have_count(0)
    record(ada)
    ada.click(".tray [data-remove]")
    expect(ada.locator(".tray__item")).to_have_count(0)
    expect(ada.locator("[data-record]")).to_be_visible()
    ada.fill("textarea", "words")
    expect(ada.locator("[data-record]")).to_be_hidden()


def test_without_leave_for_the_microphone_it_says_what_to_do(tab, sea):
    ada, _ = both(tab, sea)
    ada.evaluate("""() => {
      navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("Permission denied", "NotAllowedError");
      };
    }""")
    ada.click("[data-record]")
    expect(ada.locator(".connection")).to_contain_text("Allow it for this site")
    expect(ada.locator("textarea")).to_be_visible()


def test_a_voice_recorded_without_a_network_is_sent_later(tab, sea):
    ada, grace = both(tab, sea)
    allow_microphone(ada)
    ada.click("textarea")
    ready(ada)
    offline(ada)
    record(ada)
    write(ada, "from the tunnel")
    expect(ada.locator(".hai[data-state] .voice")).to_have_count(1)
    online(ada)
    expect(said(grace, "from the tunnel")).to_be_visible(timeout=20_000)
    expect(grace.locator(".hai .voice")).to_have_count(1)
    sent_all(ada)


def test_a_recording_survives_a_reload(tab, sea):
    ada, _ = both(tab, sea)
    allow_microphone(ada)
    record(ada)
    expect(ada.locator('.tray__item[data-state="done"]')).to_have_count(1)
    ada.reload()
    live(ada)
    expect(ada.locator('.tray__item[data-kind="voice"]')).to_have_count(1)
    ada.click(".tray [data-voice=play]")
    plays(ada, ada.locator(".tray audio"))


def test_videos_play_one_at_a_time_and_can_be_skipped_in(tab, sea, tmp_path):
    film = tmp_path / "lake.webm"
    film.write_bytes(made("live webm", options=LARGE))
    other = tmp_path / "boat.mp4"
    other.write_bytes(made("mp4", options=LARGE))
    ada, grace = both(tab, sea, **PHONE)
    ada.set_input_files("[name=picture]", [str(other), str(film)])
    expect(ada.locator(".tray video")).to_have_count(2)
    write(ada, "two films")
    expect(grace.locator(".hai video")).to_have_count(2)
    assert posters.find_ffmpeg()
    expect(grace.locator(".hai video:not([poster=''])")).to_have_count(2)
    grace.reload()
    ready(live(grace))
    assert grace.evaluate("window.shifts") == 0
    first, second = (grace.locator(".hai video").nth(number) for number in (0, 1))
    assert first.evaluate(PLACE) == [True, 0]  # nothing plays by itself
    grace.locator(".picture__start").nth(0).click()
    plays(grace, first)
    grace.locator(".picture__start").nth(1).click()
    plays(grace, second)
    assert first.evaluate("one => one.paused")
    for film in (first, second):
        skipped = film.evaluate("""async (one) => {
          one.pause();
          const done = new Promise((resolve) => (one.onseeked = resolve));
          one.currentTime = 1.5;
          await done;
          return [one.currentTime, Math.round(one.duration), one.videoWidth];
        }""")
        assert skipped == [1.5, 2, 320]


def test_what_is_too_large_or_of_no_use_says_so_at_once(tab, sea, tmp_path):
    ada, _ = both(tab, sea)
    tune, film = tmp_path / "tune.wav", tmp_path / "long.mp4"
    tune.write_bytes(b"RIFF")
    with film.open("wb") as file:
        file.truncate(201 * 1024 * 1024)
    ada.set_input_files("[name=picture]", [str(tune), str(film)])
    problems = ada.locator("[data-problem]")
    expect(problems.nth(0)).to_contain_text("voices Opus or M4A")
    expect(problems.nth(1)).to_contain_text(
        "201 MB is too large. Up to 200 MB will do."
    )


def test_a_video_opened_as_a_page_plays(tab, sea, videos):
    ada, grace = both(tab, sea)
    ada.set_input_files("[name=picture]", videos[:1])
    write(ada, "a film")
    path = grace.locator(".hai video").get_attribute("src")
    page = tab("grace", path, allow=("Blocked script",))  # the watch of these tests
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert page.evaluate("document.querySelector('video').videoWidth") == 64
