"""What people do in tabs, in the words of the tests."""

import base64
import re

from playwright.sync_api import expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 800}}
PASSWORD = "a calm sea and a fin"


def live(page):
    """Wait until the page's scripts have taken over and the socket is up."""
    page.wait_for_selector('html[data-live][data-socket="up"]')
    return page


def write(page, text):
    page.fill("textarea", text)
    page.click("[data-send]")


def texts(page):
    return page.locator(".hai__text").all_inner_texts()


def said(page, text):
    """The hai in the talk that has these words."""
    return page.locator(".hai__text", has_text=text)


def offline(page):
    """Cut the whole browser of a tab off, and wait until the tab knows."""
    page.context.set_offline(True)
    page.wait_for_selector('html[data-socket="down"]')


def online(page):
    page.context.set_offline(False)


def sent_all(page):
    """Wait until nothing of the page waits to be sent."""
    expect(page.locator(".hai[data-state]")).to_have_count(0)


# For `add_init_script`: no WebSocket gets through.
NO_WEBSOCKETS = """window.WebSocket = class {
  constructor() {
    setTimeout(() => {
      this.onerror?.(new Event("error"));
      this.onclose?.(new CloseEvent("close"));
    });
  }
  close() {}
};"""


DROP = """([name, url]) => {
  const bytes = Uint8Array.from(atob(url), (sign) => sign.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type: "image/png" }));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const options = { bubbles: true, cancelable: true, dataTransfer: files };
    document.querySelector(".talk").dispatchEvent(new DragEvent(type, options));
  }
}"""


def drop(page, name, body):
    """Drop a PNG on the talk."""
    page.evaluate(DROP, [name, base64.b64encode(body).decode()])


# What a reader sees, without what only this tab did: focus, motion, what it offers, and
# whether a picture is shown from the original, the thumbnail or one's own preview; and
# whatever order the attributes came in.
SEEN = """() => {
  const plain = (hai) => {
    const copy = hai.cloneNode(true);
    copy.removeAttribute("tabindex");
    for (const name of ["data-fresh", "data-loading", "data-shown"]) {
      for (const part of [copy, ...copy.querySelectorAll(`[${name}]`)]) {
        part.removeAttribute(name);
      }
    }
    for (const part of copy.querySelectorAll("[hidden], .hai__more, .hai__tools")) {
      part.remove();
    }
    for (const image of copy.querySelectorAll("img, source")) {
      for (const name of ["src", "srcset", "sizes"]) image.removeAttribute(name);
    }
    for (const part of [copy, ...copy.querySelectorAll("*")]) {
      const names = part.getAttributeNames().sort();
      const values = names.map((name) => part.getAttribute(name));
      for (const name of names) part.removeAttribute(name);
      names.forEach((name, index) => part.setAttribute(name, values[index]));
    }
    return copy.outerHTML.replaceAll(/>\\s+</g, "><").trim();
  };
  const links = [...document.querySelectorAll("a[data-room-id]")];
  const rooms = links.map((link) => {
    const unread = link.querySelector(".room-link__count:not([hidden]) [data-count]");
    return [link.dataset.roomId, unread?.textContent.trim() ?? ""];
  });
  return {
    hais: [...document.querySelectorAll(".talk .hai")].map(plain),
    rooms: rooms.sort(),
    title: document.querySelector("h1").textContent,
  };
}"""


def seen(page):
    return page.evaluate(SEEN)


def assert_same_tabs(page, fresh):
    """Compare what two tabs show, the later hais of both; say where they differ."""
    one, other = seen(page), seen(fresh)
    count = min(len(one["hais"]), len(other["hais"]))
    pairs = [(one["rooms"], other["rooms"]), (one["title"], other["title"])]
    pairs += zip(one["hais"][len(one["hais"]) - count :], other["hais"], strict=True)
    # Whether the first goes on from one before it, only the longer list knows.
    pairs[2:3] = [tuple(map(as_more, pair)) for pair in pairs[2:3]]
    different = [pair for pair in pairs if pair[0] != pair[1]]
    assert not different, "\n".join(map(str, different[0]))


def as_more(hai):
    """A hai as one that goes on: without the face and the day."""
    hai = re.sub(
        r'<span [^>]*class="avatar".*?</span>(?=<div class="hai__head">)', "", hai
    )
    hai = re.sub(r"(<time[^>]*>)[^<]*(\d\d:\d\d</time>)", r"\1\2", hai)
    return hai.replace(' data-run="more"', "")


AT_REST = """() => new Promise((resolve) => {
  const ends = ({ effect }) => effect.getComputedTiming().endTime !== Infinity;
  const place = () => {
    const talk = document.querySelector(".talk");
    const moving = document.getAnimations().filter(ends);
    return `${scrollY} ${talk?.scrollTop} ${talk?.childElementCount} ${moving.length}`;
  };
  let last, looks = 0;
  const look = () => {
    const now = place();
    looks = now === last && now.endsWith(" 0") ? looks + 1 : 0;
    last = now;
    if (looks > 10) resolve();
    else requestAnimationFrame(() => setTimeout(look, 20));
  };
  look();
})"""


def at_rest(page):
    """Wait until nothing moves any more: no scrolling, no coming in, no fading."""
    page.evaluate(AT_REST)


STORED = """async ([table, words]) => {
  const [{ name } = {}] = await indexedDB.databases();
  if (!name) return false;
  const opening = indexedDB.open(name);
  await new Promise((resolve) => (opening.onsuccess = resolve));
  const asking = opening.result.transaction(table).objectStore(table).getAll();
  await new Promise((resolve) => (asking.onsuccess = resolve));
  opening.result.close();
  return JSON.stringify(asking.result).includes(words);
}"""


def stored(page, table, words):
    """Wait until the browser has written down a row with these words."""
    until(page, lambda: page.evaluate(STORED, [table, words]))


def until(page, is_so):
    """Look again and again; Playwright's own wait_for_function takes the promise of
    an async function for a yes."""
    for _ in range(2400):
        if is_so():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it never became so")
