// The quiet line under the newest hai of mine that somebody has read. Its place is
// reserved, so nothing moves when it appears. Loaded in rooms with receipts only.

import { on, setAttribute, setText } from "#lib/dom";
import { haveStyles } from "#lib/styles";
import { readsOf, receiptOf } from "#models/receipts";

export function connect(element, page) {
  const receipts = new Receipts(element.querySelector(".talk"), page);
  const { state, list } = page;
  const changes = [...["marks", "rooms", "users"].map((type) => [state, type])];
  changes.push(...["added", "changed", "gone", "reset", "edges"].map((type) => [list, type]));
  const offs = changes.map(([target, type]) => on(target, type, () => receipts.touch()));
  haveStyles(receipts.talk.dataset.receiptStyles).then(() => receipts.touch());
  return () => offs.forEach((off) => off());
}

class Receipts {
  #isTouched = false;

  constructor(talk, page) {
    Object.assign(this, { talk, page, list: page.list, drawing: page.drawing });
  }

  /** Draw once, when the list has drawn what changed. */
  touch() {
    if (this.#isTouched) return;
    this.#isTouched = true;
    queueMicrotask(() => {
      this.#isTouched = false;
      this.#draw();
    });
  }

  #draw() {
    const { state } = this.page;
    const { roomId, hais, hasMoreAfter } = this.list;
    const room = state.rooms.get(roomId);
    const reads = readsOf(room, state.marks.get(roomId));
    this.#keepPlace(Boolean(reads));
    const user = (id) => state.user(id);
    const isShown = reads && !hasMoreAfter; // further on there may be a later one
    this.#show(isShown ? receiptOf(room, reads, hais, { meId: state.me.id, user }) : null);
  }

  /** The place for the line, below each of mine. */
  #keepPlace(isKept) {
    if (this.talk.hasAttribute("data-receipts") === isKept) return;
    this.drawing.keep(() => this.talk.toggleAttribute("data-receipts", isKept));
  }

  #show(receipt) {
    const line = this.talk.querySelector(".hai__seen") ?? document.createElement("p");
    const item = receipt && this.drawing.elementOf(receipt.haiId);
    if (!item) return line.remove();
    setAttribute(line, "class", "hai__seen");
    setAttribute(line, "role", "note");
    setAttribute(line, "aria-label", `Seen by ${receipt.names}`);
    setAttribute(line, "title", receipt.names);
    setText(line, receipt.words);
    if (line.parentNode !== item) item.append(line);
    return undefined;
  }
}
