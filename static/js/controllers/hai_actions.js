// What one can do with a hai: react, reply, edit, delete, look at its pictures;
// by pointer, by tap, and by keys from a focused hai.

import { isField, on } from "#lib/dom";
import { HaiTools } from "#controllers/hai_tools";
import { seenOf } from "#models/media_view";
import { togglePlay } from "#models/picture_view";
import { ORDERS } from "#net/events";

export function connect(element, page) {
  const actions = new Actions(element, page);
  const offs = [
    on(element, "click", (event) => actions.click(event)),
    on(element, "keydown", (event) => actions.key(event)),
    on(element, "focusin", ({ target }) => actions.focus(target.closest(".hai"))),
    on(element, "pointerover", ({ target }) => actions.point(target.closest(".hai"))),
    on(page.list, "added", () => queueMicrotask(() => actions.offer())),
  ];
  actions.offer();
  actions.lookLinked();
  return () => {
    offs.forEach((off) => off());
    actions.closeLightbox();
  };
}

class Actions {
  constructor(element, page) {
    this.element = element;
    this.page = page;
    this.column = element.querySelector("[data-hais]");
    this.tools = new HaiTools(page);
    this.closeLightbox = () => undefined;
  }

  click(event) {
    const { target } = event;
    const button = target.closest("[data-order]");
    if (button) return this.run(button.dataset.order, button);
    const more = target.closest("[data-more]");
    if (more) return this.openTools(more.closest(".hai"));
    const reaction = target.closest(".reaction");
    if (reaction) return this.toggle(this.haiOf(reaction), reaction.dataset.emoji);
    const play = target.closest("[data-play]");
    if (play) return togglePlay(play.closest(".picture"));
    const picture = target.closest(".picture__link, .picture__large");
    if (picture && isPlain(event)) return this.lookAt(event, picture.closest(".picture"));
    const quote = target.closest(".hai__quote[href]");
    if (quote && isPlain(event)) return this.jump(event, quote);
    return undefined;
  }

  haiOf(element) {
    return this.page.drawing.haiOf(element);
  }

  run(name, source) {
    const { outbox, composer } = this.page;
    const item = source.closest(".hai");
    const clientId = item.dataset.clientId;
    if (!clientId) this.tools.hold(item); // a press does not give the focus everywhere
    const hai = this.haiOf(item);
    switch (name) {
      case "react":
        return this.openPalette(hai, source);
      case "reply":
        return composer.reply(hai);
      case "edit":
        return composer.edit(hai);
      case "describe":
        return this.describe(hai);
      case "delete":
        return this.delete(hai);
      case "retry":
        return outbox.retry(clientId);
      case "discard":
        return outbox.discard(clientId);
      default:
        return navigator.clipboard.writeText(outbox.entries.get(clientId)?.text ?? "");
    }
  }

  async openPalette(hai, button) {
    const palette = await this.#fetched(() => import("#controllers/palette"));
    const emoji = await palette?.openPalette(button);
    if (emoji) this.toggle(this.page.list.find(hai.id), emoji);
  }

  /** Shown at once; replaced by the server's row, or undone. */
  async toggle(hai, emoji) {
    if (!hai) return;
    const { list, state } = this.page;
    const isMine = (hai.reactions[emoji] ?? []).includes(state.me.id);
    list.guess({ ...hai, reactions: toggled(hai.reactions, emoji, state.me.id) });
    const order = isMine ? ORDERS.removeReaction : ORDERS.addReaction;
    try {
      const ack = await this.page.order(order, { hai_id: hai.id, emoji });
      state.mergeHai(ack.hai);
    } catch (error) {
      if (list.find(hai.id)?.rev === hai.rev) list.guess(hai);
      this.page.say(error.message);
    }
  }

  async describe(hai) {
    const module = await this.#fetched(() => import("#controllers/describe"));
    module?.describe(hai, this);
  }

  async delete(hai) {
    const words = hai.pictures.length
      ? "It and its pictures are gone for everyone, for good."
      : "It is gone for everyone, for good.";
    const asking = await this.#fetched(() => import("#controllers/ask"));
    if (!(await asking?.ask({ title: "Delete this hai?", words }))) return;
    try {
      const ack = await this.page.order(ORDERS.deleteHai, { hai_id: hai.id });
      this.page.state.mergeHai(ack.hai);
      this.page.say("Deleted.");
    } catch (error) {
      this.page.tell(`Not deleted. ${error.message}`);
    }
  }

  lookAt(event, element) {
    event.preventDefault();
    const hai = this.haiOf(element);
    if (!hai) return undefined; // not stored yet
    return this.look(hai, Number(element.dataset.pictureId), { plays: true });
  }

  /** Code that the first page came without, and that may be missing offline. */
  #fetched(load) {
    return load().catch(() => this.page.tell("This needs the network. Try again later."));
  }

  async look(hai, pictureId, options = {}) {
    const lightbox = await this.#fetched(async () => {
      const module = await import("#controllers/lightbox");
      await module.prepare();
      return module;
    });
    if (!lightbox || !this.element.isConnected || this.isLooking) return;
    this.closeLightbox = lightbox.openLightbox(this.page, { hai, pictureId, ...options });
  }

  get isLooking() {
    return document.getElementById("lightbox").open;
  }

  /** The page's address names a picture. */
  lookLinked() {
    const pictureId = Number(/^#picture_(\d+)$/.exec(location.hash)?.[1]);
    const hai = pictureId && this.page.list.hais.find((one) => hasLarge(one, pictureId));
    if (hai) this.look(hai, pictureId, { isLinked: true });
  }

  /** To the quoted hai or its picture, if it is here; else the link goes to the talk around it. */
  jump(event, quote) {
    const { reply_to: id, reply_to_picture: pictureId } = this.haiOf(quote) ?? {};
    const target = this.page.drawing.elementOf(id);
    const quoted = this.page.drawing.view.find(id);
    const isHere = quoted && hasLarge(quoted, pictureId);
    if (!target && !isHere) return;
    event.preventDefault();
    event.stopPropagation();
    if (isHere) {
      this.look(quoted, pictureId);
      return;
    }
    target.scrollIntoView({ block: "center" });
    target.focus({ preventScroll: true });
  }

  focus(item) {
    if (!item) return;
    this.column.querySelector('.hai[tabindex="0"]')?.setAttribute("tabindex", "-1");
    item.tabIndex = 0;
    this.tools.hold(item);
  }

  point(item) {
    if (item) this.tools.point(item);
  }

  /** One that came, or was stored, may be where the pointer or the focus is. */
  offer() {
    this.point(this.column.querySelector(".hai:hover"));
    const item = document.activeElement?.closest(".hai");
    if (item) this.tools.hold(item);
  }

  /** Where nothing hovers, and for those who listen rather than look. */
  openTools(item) {
    this.tools.hold(item);
    focusOn(visibleTools(item)[0]);
  }

  key(event) {
    const item = event.target.closest(".hai");
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") return this.page.composer.focus();
    if (isField(event.target) || event.target.matches("video")) return undefined;
    const isTool = event.target.closest(".hai__tools");
    const moved = isTool ? this.#moveInTools(event, item) : this.#moveInList(event, item);
    if (moved) event.preventDefault();
    else if (event.target === item) this.#order(event, item);
    return undefined;
  }

  #moveInList({ key }, item) {
    const items = [...this.column.querySelectorAll(".hai")];
    const here = items.indexOf(item);
    const ends = { Home: 0, End: items.length - 1, ArrowUp: here - 1, ArrowDown: here + 1 };
    if (key === "ArrowRight") return focusOn(visibleTools(item)[0]);
    if (!(key in ends)) return false;
    if (key === "ArrowDown" && here === items.length - 1) this.page.composer.focus();
    return focusOn(items[ends[key]]);
  }

  #moveInTools({ key, target }, item) {
    const tools = visibleTools(item);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return key === "ArrowUp" || key === "ArrowDown" ? focusOn(item) : false;
    return focusOn(tools[tools.indexOf(target.closest("button")) + step] ?? item);
  }

  #order(event, item) {
    const names = { r: "reply", e: "edit", Delete: "delete", "+": "react" };
    const button = item.querySelector(`[data-order="${names[event.key]}"]`);
    if (!button || button.hidden || item.dataset.state) return;
    event.preventDefault();
    this.run(names[event.key], button);
  }
}

const isPlain = (event) =>
  !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;

/** Whether it can be shown large: a voice plays where it is. */
const hasLarge = (hai, pictureId) => seenOf(hai).some(({ id }) => id === pictureId);

const visibleTools = (item) => [...item.querySelectorAll(".hai__tools button:not([hidden])")];

function focusOn(element) {
  element?.focus();
  return true;
}

function toggled(reactions, emoji, meId) {
  const ids = reactions[emoji] ?? [];
  const others = ids.filter((id) => id !== meId);
  const now = others.length < ids.length ? others : [...ids, meId];
  const changed = { ...reactions, [emoji]: now };
  if (!now.length) delete changed[emoji];
  return changed;
}
