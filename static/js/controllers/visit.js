// Going from page to page while the socket stays open: the next page is fetched as the
// server draws it, and only <main> is replaced. Anything unusual is left to the browser;
// but offline the present page stays, and the next one waits.

import { on } from "#lib/dom";
import { serverHtml } from "#lib/trusted";
import { getPage } from "#net/api";

const AGAIN_MS = 2000;
const SLOW_MS = 400; // after this the page shows that it is loading
const OURS =
  /^\/(rooms(\/\d+(\/edit)?)?|people|search|settings|admin(\/(users|rooms)(\/\d+)?|\/deeds)?)$/;

export function connect(frame, page) {
  const visits = new Visits(frame, page);
  page.visit = (path) => visits.go(new URL(path, location.href));
  const offs = [
    on(document, "click", (event) => visits.click(event)),
    on(window, "popstate", () => visits.show(new URL(location.href))),
    on(page.socket, "up", () => visits.retry()),
  ];
  return () => offs.forEach((off) => off());
}

class Visits {
  #stop = new AbortController();
  #waiting = null; // shows what could not be fetched

  constructor(frame, page) {
    Object.assign(this, { frame, page });
    this.path = location.pathname + location.search;
  }

  click(event) {
    const link = event.target.closest("a[href]");
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.button;
    if (!link || event.defaultPrevented || !isPlain || link.target) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !OURS.test(url.pathname)) return;
    event.preventDefault();
    if (url.pathname + url.search === this.path && url.hash) {
      this.#reveal(document.getElementById(url.hash.slice(1)));
      return;
    }
    this.go(url);
  }

  async go(url) {
    const isShown = await this.show(url, () => history.pushState(null, "", url));
    if (!isShown) location.assign(url);
  }

  /** Returns false when the browser should do it. */
  async show(url, arrived = () => undefined) {
    this.#waiting = null;
    this.#stop.abort();
    if (url.pathname + url.search === this.path) return true;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const heard = [];
    on(this.page.state, "hai", ({ detail }) => heard.push(detail), { signal });
    const fetched = await this.#underWay(getPage(url, signal).catch(() => null));
    if (signal.aborted) return true;
    if (!fetched) return this.#wait(url, arrived);
    const next = parse(fetched.html);
    if (!next || !isAlike(next)) return this.#leave(url);
    const first = JSON.parse(next.getElementById("page").textContent).state;
    if (first.epoch !== this.page.state.epoch) return this.#leave(url);
    await styled(next);
    if (signal.aborted) return true;
    arrived();
    await this.#swap(next, first, new URL(fetched.url));
    heard.forEach((hai) => this.page.list?.merge(hai)); // since that page was drawn
    return true;
  }

  async #underWay(answer) {
    const timer = setTimeout(() => (this.frame.dataset.visiting = ""), SLOW_MS);
    const fetched = await answer;
    clearTimeout(timer);
    delete this.frame.dataset.visiting;
    return fetched;
  }

  /** No response: what is written here is worth more than an error page. */
  #wait(url, arrived) {
    const what = /^\/rooms\/\d+$/.test(url.pathname) ? "This room" : "That page";
    const why = navigator.onLine ? "Hai does not answer." : "You are offline.";
    this.page.tell(`${why} ${what} opens when the network is back.`);
    this.#waiting = () => this.show(url, arrived);
    if (this.page.socket.isUp) setTimeout(() => this.retry(), AGAIN_MS);
    return true;
  }

  retry() {
    this.#waiting?.();
  }

  #leave(url) {
    location.assign(url);
    return true;
  }

  async #swap(next, first, url) {
    const main = this.frame.querySelector("#main");
    this.page.detach(main);
    this.path = url.pathname + url.search;
    document.title = next.title;
    this.page.state.enter(first);
    this.page.enter(first);
    main.replaceChildren(...next.getElementById("main").childNodes);
    this.frame.dataset.screen = next.querySelector(".frame").dataset.screen;
    this.page.sidebar?.showCurrent();
    await this.page.attach(main);
    scrollTo(0, 0);
    if (url.hash) this.#reveal(document.getElementById(url.hash.slice(1)));
    else if (!this.page.composer) main.focus({ preventScroll: true });
    this.page.say(document.title);
  }

  #reveal(target) {
    target?.closest("details")?.setAttribute("open", "");
    target?.scrollIntoView({ block: "center" });
  }
}

function parse(html) {
  const next = new DOMParser().parseFromString(serverHtml(html), "text/html");
  return next.querySelector(".frame") && next.getElementById("page") ? next : null;
}

/** Loads what only this page needs before it is shown. */
async function styled(next) {
  const links = [...next.querySelectorAll('main link[rel="stylesheet"]')];
  if (!links.length) return;
  const { haveStyles } = await import("#lib/styles").catch(() => ({}));
  await Promise.all(links.map((link) => haveStyles?.(link.getAttribute("href"))));
}

/** Drawn by the same version of Hai: its styles and scripts are those we run. */
function isAlike(next) {
  const version = (from) => {
    const styles = from.querySelector('link[rel="stylesheet"]').getAttribute("href");
    return styles + from.querySelector('script[type="importmap"]').textContent;
  };
  return version(next) === version(document);
}
