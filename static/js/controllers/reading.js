// Marks what was seen as read, shows the line above the first new hai, and a button back
// to the newest for those who read older ones. While the first new one is above what is
// loaded, nothing is marked until the reader has been there, or has skipped it.

import { on, setAttribute, setText } from "#lib/dom";
import { countWords, mediaWords, wordsOf } from "#lib/text";
import { throttle } from "#lib/timing";
import { haiIdOf } from "#models/hai_view";
import { ORDERS } from "#net/events";

const MARK_MS = 400;

export function connect(element, page) {
  const reading = new Reading(element, page);
  const look = throttle(MARK_MS, () => reading.look());
  const offs = [
    on(element, "scroll", look, { passive: true }),
    on(document, "visibilitychange", () => reading.turn()),
    on(window, "focus", look),
    on(page.socket, "up", look),
    on(page.list, "added", ({ detail }) => {
      reading.came(detail);
      queueMicrotask(look);
    }),
    on(page.list, "edges", () => queueMicrotask(() => reading.judge())),
    on(page.list, "reset", () => {
      reading.begin();
      look();
    }),
    on(page.state, "rooms", () => reading.counted()),
    on(reading.unseen, "submit", (event) => reading.dismiss(event)),
    on(reading.unseen.querySelector("a"), "click", (event) => reading.toLine(event)),
    on(page.outbox, "added", ({ detail }) => reading.sent(detail)),
    on(reading.button, "click", () => reading.toNow()),
  ];
  reading.start();
  look();
  return () => offs.forEach((off) => off());
}

class Reading {
  #marked = 0; // the highest id the server has acked as read
  #isNewAbove = false; // the first new one is above what is loaded, or was ever in view
  #isLineUnseen = false;
  #isLeaving = false; // from the first new one to the newest

  constructor(element, page) {
    Object.assign(this, { element, page, list: page.list });
    this.button = element.closest(".room").querySelector("[data-to-now]");
    this.unseen = element.closest(".room").querySelector("[data-unseen]");
    this.keeper = page.drawing.keeper;
    this.#marked = page.room?.my_read_hai_id ?? 0;
  }

  get line() {
    return this.element.querySelector("[data-new-line]");
  }

  /** Begin at a linked hai, else at the first new one, else at the end. */
  start() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target) target.scrollIntoView({ block: "center" });
    else if (this.line) this.line.scrollIntoView({ block: "nearest" });
    this.judge();
  }

  /** Another part of the talk is loaded. */
  begin() {
    const { page, list } = this;
    const isNew = !this.line && !this.#isLeaving && page.room?.unread;
    if (isNew) list.newAfterId = page.room.my_read_hai_id ?? 0;
    if (this.#isLeaving) list.newAfterId = undefined;
    this.judge();
  }

  /** The line goes above the first new one, unless that is above all that is loaded. */
  judge() {
    const first = this.line ? undefined : this.list.firstNew;
    const isAbove = Boolean(first && this.list.hasMoreBefore && first === this.list.first);
    if (first && !isAbove) {
      this.#drawLine(first.id);
      this.#isLineUnseen = true;
    }
    if (this.line) this.list.newAfterId = undefined; // it is found; later ones do not move the line
    this.#isNewAbove = isAbove || this.#isLineAbove();
    this.drawUnseen();
  }

  /** Whether the line appeared above the reader, who has not been there since. */
  #isLineAbove() {
    const { line, element } = this;
    const top = element.getBoundingClientRect().top;
    if (!line || line.getBoundingClientRect().bottom > top) this.#isLineUnseen = false;
    return this.#isLineUnseen;
  }

  toLine(event) {
    if (!this.line) return; // it is on a page of its own
    event.preventDefault();
    this.line.scrollIntoView({ block: "center" });
  }

  drawUnseen() {
    const unread = this.page.room?.unread ?? 0;
    this.unseen.hidden = !this.#isNewAbove;
    if (!this.#isNewAbove) return;
    setText(
      this.unseen.querySelector("[data-words]"),
      `${countWords(unread)} new. Go to the first`,
    );
    const first = `?around=${(this.list.newAfterId ?? 0) + 1}#first_new`;
    setAttribute(this.unseen.querySelector("a"), "href", `/rooms/${this.list.roomId}${first}`);
  }

  /** The reader skips it. */
  dismiss(event) {
    event.preventDefault();
    this.#letGo();
    const { room, state } = this.page;
    state.read(room.id, room.last_hai_id);
    this.#mark(room.last_hai_id);
    this.page.composer?.focus();
  }

  #letGo() {
    this.list.newAfterId = undefined;
    this.#isLineUnseen = false;
    this.judge();
  }

  /** Counts changed: what was read in another tab is read here. */
  counted() {
    this.drawButton();
    if (this.#isNewAbove && !this.page.room?.unread) this.#letGo();
    else this.drawUnseen();
  }

  look() {
    this.drawButton();
    if (this.#isNewAbove && this.line) this.judge();
    const isBehind = this.#isNewAbove || this.page.state.isBehind;
    if (document.hidden || !this.list || isBehind) return;
    const seen = this.#lastSeen();
    if (!seen || seen <= this.#marked) return;
    const known = this.page.room?.my_read_hai_id ?? 0;
    if (seen > known) this.page.state.read(this.list.roomId, seen);
    this.#mark(seen);
  }

  async #mark(haiId) {
    const payload = { room_id: this.list.roomId, hai_id: haiId };
    try {
      await this.page.order(ORDERS.markRead, payload);
      this.#marked = Math.max(this.#marked, haiId);
    } catch {
      // Tried again when the socket is up, or with the next hai seen.
    }
  }

  #lastSeen() {
    if (this.keeper.isNearEnd && !this.list.hasMoreAfter) return this.list.last?.id;
    const bottom = this.element.getBoundingClientRect().bottom;
    const seen = this.list.hais.findLast((hai) => {
      const item = this.page.drawing.elementOf(hai.id);
      return item && item.getBoundingClientRect().top < bottom - 20;
    });
    return seen?.id;
  }

  /** A hai came while nobody looked: the line goes above the first such. */
  came(hai) {
    const { me } = this.page.state;
    if (hai !== this.list.last || hai.user_id === me.id) return;
    const name = this.page.state.user(hai.user_id).display_name;
    this.page.say(`${name}: ${wordsOf(hai) || mediaWords(hai.pictures)}`);
    const isLooking = !document.hidden && this.keeper.isNearEnd;
    if (!isLooking && !this.line && !this.#isNewAbove) queueMicrotask(() => this.#drawLine(hai.id));
  }

  #drawLine(haiId) {
    const { drawing } = this.page;
    const [hai, item] = [this.list.find(haiId), drawing.elementOf(haiId)];
    if (!hai || !item || this.line) return;
    const line = document.createElement("li");
    line.className = "new-line";
    line.dataset.newLine = "";
    line.textContent = "New";
    drawing.keep(() => {
      item.before(line);
      drawing.view.fillRun(item, hai, "start");
    });
  }

  /** New ones are new no more after one has seen them and left, or replied. */
  #dropLine() {
    const next = this.line?.nextElementSibling;
    this.page.drawing.keep(() => this.line?.remove());
    const hai = this.list.find(haiIdOf(next));
    if (hai) this.page.drawing.touch(hai);
  }

  turn() {
    if (document.hidden && !this.page.room?.unread) this.#dropLine();
    else this.look();
  }

  sent(entry) {
    if (entry.room_id !== this.list.roomId) return;
    this.#dropLine();
    this.#letGo();
    this.toNow();
  }

  drawButton() {
    const unread = this.page.room?.unread ?? 0;
    this.button.hidden = this.keeper.isNearEnd && !this.list.hasMoreAfter;
    this.button.toggleAttribute("data-unread", unread > 0);
    const words = unread ? `${countWords(unread)} new` : "Now";
    const place = this.button.querySelector("[data-words]");
    if (place.textContent !== words) place.textContent = words;
  }

  /** A reader who was at the first new one skips the rest on purpose. */
  async toNow() {
    this.#isLeaving = Boolean(this.line);
    await this.list.toNow().catch(() => undefined);
    this.#isLeaving = false;
    this.keeper.toEnd();
  }
}
