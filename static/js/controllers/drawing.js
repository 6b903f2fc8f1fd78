// The hais of the open room as elements: takes over what the server drew, then each
// change touches one element, and the list never moves under a reader.

import { isDesk } from "#lib/dom";
import { HaiView, fillTime, haiIdOf, isRun } from "#models/hai_view";
import { arrived, awaitPicture } from "#models/picture_view";
import { Quotes } from "#models/quotes";
import { ScrollKeeper } from "#models/scroll_keeper";
import { fillState, pendingHai } from "#controllers/pending";

const MOST = 400; // hais kept in the page while one reads the newest

export class Drawing {
  #touched = new Map(); // hai id -> hai, drawn in the next microtask
  #wasAtNewest = true; // before what was touched came

  constructor(element, page) {
    this.element = element;
    this.page = page;
    this.list = page.list;
    this.column = element.querySelector("[data-hais]");
    this.keeper = new ScrollKeeper(element);
    this.quotes = new Quotes(this.list.get);
    this.quotes.addEventListener("found", ({ detail }) => this.touchQuotes(detail));
    this.quotes.gone(page.goneIds);
    this.view = new HaiView({
      templates: {
        hai: document.getElementById("hai_template"),
        picture: document.getElementById("picture_template"),
        video: document.getElementById("video_template"),
        voice: document.getElementById("voice_template"),
        reaction: document.getElementById("reaction_template"),
      },
      user: (id) => page.state.user(id),
      find: (id) => this.list.find(id) ?? this.quotes.find(id),
      isGone: (id) => this.quotes.isGone(id),
      meId: page.state.me.id,
      canChange: page.canChange,
    });
    this.drawn = new Map(); // hai id or client_id -> element
    for (const type of ["load", "error"]) {
      this.column.addEventListener(type, ({ target }) => arrived(target), true);
    }
    this.#adopt();
  }

  /** Take over the server's elements; only their times change, to the local zone. */
  #adopt() {
    for (const element of this.column.querySelectorAll(".hai")) {
      const hai = this.list.find(haiIdOf(element));
      if (!hai) continue;
      this.drawn.set(hai.id, element);
      const text = element.querySelector(".hai__text");
      if (text) text.haiHtml = hai.html;
      const isStart = element.dataset.run !== "more";
      fillTime(element.querySelector(".hai__time"), hai.sent_at, isStart);
      element.querySelectorAll(".picture:not(.picture--video)").forEach(awaitPicture);
      for (const button of element.querySelectorAll(".reaction")) button.disabled = false;
      this.#enliven(element);
    }
    this.#setTabStop();
  }

  /** The focus may be on it, and what one can do with it is found there. */
  #enliven(element) {
    element.tabIndex = -1;
    this.view.part(element, "more", true);
  }

  elementOf(id) {
    return this.drawn.get(id);
  }

  haiOf(element) {
    const item = element.closest(".hai");
    return item && this.list.find(haiIdOf(item));
  }

  touch(hai) {
    if (!this.#touched.size) {
      this.#wasAtNewest = !this.list.hasMoreAfter;
      queueMicrotask(() => this.#flush());
    }
    this.#touched.set(hai.id, hai);
  }

  touchUser(userId) {
    for (const hai of this.list.hais) {
      const concerns =
        hai.user_id === userId || Object.values(hai.reactions).flat().includes(userId);
      if (concerns) this.touch(hai);
    }
  }

  #flush() {
    const hais = [...this.#touched.values()];
    this.#touched.clear();
    this.keep(() => this.#drawAll(hais), this.#wasAtNewest);
    this.#setTabStop();
    if (this.keeper.isNearEnd) this.list.trim(MOST);
  }

  /** Change the list without moving what is being read. A reader at the end of an older
      part of the talk is not at its newest, and does not follow new hais. */
  keep(change, isAtNewest = !this.list.hasMoreAfter) {
    this.keeper.keep(change, this.#anchor(isAtNewest));
  }

  /** The element that a reader above the end looks at. */
  #anchor(isAtNewest) {
    if (isAtNewest && this.keeper.isNearEnd) return null;
    const middle = this.element.getBoundingClientRect().top + this.element.clientHeight / 2;
    const items = [...this.column.children].reverse();
    return items.find((item) => item.getBoundingClientRect().top < middle);
  }

  /** Newest first: each is placed above the next, which must exist. */
  #drawAll(hais) {
    const sorted = [...hais].sort((one, other) => other.id - one.id);
    sorted.forEach((hai) => this.#draw(hai));
  }

  #draw(hai) {
    const held = this.list.find(hai.id);
    if (!held) return this.#remove(hai.id);
    const known = this.drawn.get(hai.id) ?? this.#takePending(held);
    const element = known ?? this.#make(held);
    if (known) this.view.fill(known, held, known.dataset.run);
    else this.#introduce(element, held);
    this.drawn.set(hai.id, element);
    this.#place(element, held);
    this.#drawRuns(held.id);
    this.touchQuotes(held);
    return undefined;
  }

  #make(hai) {
    const element = this.view.make(hai, "start");
    this.#enliven(element);
    return element;
  }

  /** A new hai is animated into its place; older ones just appear. */
  #introduce(element, hai) {
    const isNewest = hai === this.list.last;
    if (!isNewest || document.hidden) return;
    element.dataset.fresh = "";
    element.addEventListener("animationend", () => delete element.dataset.fresh, { once: true });
  }

  /** Mine that waited for this row: replaced in place. */
  #takePending(hai) {
    const element = this.drawn.get(hai.client_id);
    if (!element || hai.user_id !== this.view.meId) return undefined;
    this.drawn.delete(hai.client_id);
    fillState(this.view, element, null);
    return element;
  }

  #place(element, hai) {
    const next = this.list.after(hai.id);
    const following = next && this.drawn.get(next.id);
    const before = following ?? this.#firstPending();
    const line = before?.previousElementSibling;
    const isAboveLine = line?.matches("[data-new-line]") && line.previousElementSibling === element;
    if (element.parentNode && (element.nextElementSibling === (before ?? null) || isAboveLine))
      return;
    this.column.insertBefore(element, before ?? null);
  }

  #firstPending() {
    return this.column.querySelector(".hai[data-state]");
  }

  #drawRuns(id) {
    for (const hai of [this.list.find(id), this.list.after(id)]) {
      const element = hai && this.drawn.get(hai.id);
      if (element) this.view.fillRun(element, hai, this.#runOf(element, hai));
    }
  }

  #runOf(element, hai) {
    const isAfterLine = element.previousElementSibling?.matches("[data-new-line]");
    return isRun(this.list.before(hai.id), hai) && !isAfterLine ? "more" : "start";
  }

  touchQuotes(quoted) {
    const answers = this.list.hais.filter((hai) => hai.reply_to === quoted.id);
    answers.forEach((hai) => this.touch(hai));
  }

  /** Quotes that the server did not draw, because their hais are further back. */
  fillQuotes() {
    const answers = this.list.hais.filter((hai) => hai.reply_to !== undefined);
    answers.forEach((hai) => this.view.find(hai.reply_to));
  }

  #remove(id) {
    const element = this.drawn.get(id);
    if (!element) return;
    if (element.contains(document.activeElement)) this.#keepFocus();
    element.remove();
    this.drawn.delete(id);
    this.#drawRuns(id);
  }

  /** On a phone the composer would open the keyboard. */
  #keepFocus() {
    if (isDesk()) this.page.composer?.focus();
    else this.element.focus({ preventScroll: true });
  }

  /** Another part of the talk: what is in both stays, and stays in its place. */
  redraw() {
    this.keep(() => {
      const line = this.column.querySelector("[data-new-line]");
      if (line && !this.list.find(haiIdOf(line.nextElementSibling))) line.remove();
      for (const id of [...this.drawn.keys()]) {
        if (typeof id === "number" && !this.list.find(id)) this.#remove(id);
      }
      this.#drawAll(this.list.hais);
      this.drawEdges();
    });
    this.#setTabStop();
  }

  /** The hai that a reader above the end looks at; undefined at the end. */
  get readId() {
    if (this.keeper.isNearEnd && !this.list.hasMoreAfter) return undefined;
    const item = this.#anchor(!this.list.hasMoreAfter);
    if (item?.matches("[data-state]")) return undefined; // mine, below all
    return haiIdOf(item) ?? this.list.last?.id;
  }

  drawEdges() {
    const edge = (name) => this.element.querySelector(`[data-edge="${name}"]`);
    edge("before").hidden = !this.list.hasMoreBefore;
    edge("after").hidden = !this.list.hasMoreAfter;
    this.element.querySelector("[data-start]").hidden = this.list.hasMoreBefore;
  }

  // ---- Mine that are not stored yet ----

  drawPending(entry) {
    const known = this.drawn.get(entry.client_id);
    const hai = pendingHai(entry, this.view.meId);
    const element = known ?? this.#make(hai);
    if (known) this.view.fill(known, hai, known.dataset.run);
    else this.#addPending(element, hai);
    fillState(this.view, element, entry);
  }

  #addPending(element, hai) {
    this.drawn.set(hai.client_id, element);
    const last = this.column.lastElementChild;
    this.column.append(element);
    const before = last?.matches("[data-state]") ? { ...hai, reply_to: undefined } : this.list.last;
    this.view.fillRun(element, hai, isRun(before, hai) ? "more" : "start");
    element.dataset.fresh = "";
    element.addEventListener("animationend", () => delete element.dataset.fresh, { once: true });
  }

  /** Stored: it was replaced in place, unless it had been drawn before, or is not in the
      part that is held. */
  settle({ entry }) {
    queueMicrotask(() => this.removePending(entry.client_id));
  }

  removePending(clientId) {
    this.drawn.get(clientId)?.remove();
    this.drawn.delete(clientId);
  }

  /** One hai of the list is a tab stop; arrows move from there. */
  #setTabStop() {
    if (this.column.querySelector('.hai[tabindex="0"]')) return;
    const last = [...this.column.querySelectorAll(".hai")].at(-1);
    if (last) last.tabIndex = 0;
  }
}
