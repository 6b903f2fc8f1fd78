// The pictures and videos of a talk, large, one after the other, by keys, buttons and
// swipes, with actions for each. The page's address leads back to it, for every member;
// the browser's Back closes it.

import { copyText } from "#lib/clipboard";
import { isField, on, setAttribute, setText } from "#lib/dom";
import { pictureWords } from "#lib/picture_sources";
import { haveStyles } from "#lib/styles";
import { kindOf } from "#lib/text";
import { clockWords, dayWords, exactTime } from "#lib/time";
import { Gallery } from "#models/gallery";
import { ORDERS } from "#net/events";
import { Stage } from "#controllers/lightbox_stage";

const NOTE_MS = 4000;
const TURNS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1 };

/** Before the first is opened: the page starts without these styles. */
export function prepare() {
  return haveStyles(document.getElementById("lightbox").dataset.styles);
}

/**
 * hai, pictureId: what to begin with. isLinked: the address names it already.
 * describes: begin with its description; plays: a video begins by itself, where the talk
 * was with it. Returns a function that closes it.
 */
export function openLightbox(page, options) {
  const lightbox = new Lightbox(page, options);
  lightbox.open();
  return () => lightbox.leave();
}

class Lightbox {
  #isOpen = true;
  #noteTimer = 0;

  constructor(page, { hai, pictureId, isLinked = false, describes = false, plays = false }) {
    Object.assign(this, { page, describes, roomId: page.list.roomId });
    this.from = { at: halt(pictureId), plays };
    const get = (query) => page.order(ORDERS.getHais, { room_id: this.roomId, ...query });
    this.gallery = new Gallery({ get, hai, pictureId });
    this.dialog = document.getElementById("lightbox");
    this.opener = document.activeElement;
    this.home = isLinked ? location.pathname + location.search : "";
    this.stage = new Stage(this.part("stage"), {
      turn: (step) => this.turn(step),
      close: () => this.close(),
      failed: (is) => (this.part("failed").hidden = !is),
    });
  }

  part(name) {
    return this.dialog.querySelector(`[data-${name}]`);
  }

  open() {
    const { dialog, gallery, page } = this;
    if (!this.home) history.pushState(null, "", this.link);
    this.offs = [
      on(dialog, "click", (event) => this.#click(event)),
      on(dialog, "keydown", (event) => this.#key(event)),
      on(dialog, "cancel", (event) => this.#cancel(event)),
      on(dialog, "close", () => this.#closed()),
      on(this.part("describing"), "submit", (event) => this.#describe(event)),
      on(window, "popstate", () => this.#popped()),
      on(gallery, "changed", () => this.draw()),
      on(gallery, "gone", () => this.close()),
      on(
        page.state,
        "hai",
        ({ detail }) => detail.room_id === this.roomId && gallery.merge(detail),
      ),
      on(page.socket, "up", () => this.#loadBeside()),
    ];
    dialog.showModal();
    this.draw();
    if (this.describes) this.#edit(true);
    this.#loadBeside();
  }

  /** Finds out whether there are more, before somebody presses. */
  #loadBeside() {
    [-1, 1].forEach((step) => this.gallery.load(step).catch(() => undefined));
  }

  get link() {
    const { hai, picture } = this.gallery.here;
    return `/rooms/${this.roomId}?around=${hai.id}#picture_${picture.id}`;
  }

  // ---- Drawing ----

  draw() {
    const { hai, picture, number, count } = this.gallery.here;
    const isAnother = picture.id !== this.shown?.id;
    this.shown = picture;
    const user = this.page.state.user(hai.user_id);
    const isMine = hai.user_id === this.page.state.me.id;
    const kind = kindOf(picture);
    const words = picture.alt || pictureWords(kind, user.display_name, number, count);
    this.dialog.dataset.kind = kind;
    setAttribute(this.dialog, "aria-label", kind === "video" ? "Video" : "Picture");
    setText(this.part("failed").firstChild, `This ${kind} did not load. `);
    setText(this.part("name"), user.display_name);
    const when = `${dayWords(hai.sent_at)} ${clockWords(hai.sent_at)}`.trim();
    setText(this.part("when"), when);
    this.part("when").title = exactTime(hai.sent_at);
    setText(this.part("number"), count > 1 ? `${number} of ${count}` : "");
    setText(this.part("words"), picture.alt ?? "");
    this.part("download").href = picture.url;
    setText(this.part("describe"), picture.alt ? "Change the description" : "Describe it");
    this.part("describe").hidden = !isMine;
    this.stage.show(picture, words, this.from);
    this.from = undefined;
    this.#drawTurns();
    if (isAnother) this.#turned(words);
  }

  #drawTurns() {
    for (const button of this.dialog.querySelectorAll("[data-turn]")) {
      button.hidden = !this.gallery.mayTurn(Number(button.dataset.turn));
    }
    if (!this.dialog.querySelector(":focus:not([hidden])")) this.dialog.focus();
  }

  #turned(words) {
    this.#edit(false);
    this.#say("");
    this.#clearSpace();
    setText(this.part("spoken"), words);
    history.replaceState(history.state, "", this.link);
    for (const step of [-1, 1]) {
      const beside = this.gallery.beside(step);
      if (beside?.thumbnail) new Image().src = beside.thumbnail.url;
    }
  }

  /** Space plays a video: it must not press the button that had the first focus. */
  #clearSpace() {
    if (this.stage.video && this.dialog.querySelector("[data-do=close]:focus")) this.dialog.focus();
  }

  /** A line that disappears by itself. */
  #say(words) {
    clearTimeout(this.#noteTimer);
    const note = this.part("note");
    setText(note, words);
    note.hidden = !words;
    if (words) this.#noteTimer = setTimeout(() => (note.hidden = true), NOTE_MS);
  }

  // ---- Actions ----

  async turn(step) {
    try {
      await this.gallery.turn(step);
    } catch {
      this.#say("The next picture could not be loaded.");
    }
  }

  #click(event) {
    const { dataset } = event.target.closest("[data-turn], [data-zoom], [data-do]") ?? {
      dataset: {},
    };
    if (dataset.turn) this.turn(Number(dataset.turn));
    else if (dataset.zoom) this.stage.zoomBy(Number(dataset.zoom));
    else if (dataset.do) this.#run(dataset.do);
  }

  #run(name) {
    const { hai, picture } = this.gallery.here;
    switch (name) {
      case "reply":
        this.close();
        return this.page.composer?.reply(hai, picture);
      case "link":
        return this.#copyLink();
      case "describe":
        return this.#edit(true);
      case "stop":
        return this.#edit(false);
      case "retry":
        return this.stage.retry();
      default:
        return this.close();
    }
  }

  async #copyLink() {
    const isCopied = await copyText(new URL(this.link, location.href).href, this.dialog);
    this.#say(
      isCopied
        ? "Link copied. It works for everyone in this room."
        : "Not copied. The address bar has it.",
    );
  }

  #key(event) {
    const { key, target } = event;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (isField(target) || target === this.stage.video) return;
    if (key === " " && target.matches("button, a")) return;
    if (this.stage.key(key)) event.preventDefault();
    else if (key in TURNS) {
      event.preventDefault();
      this.turn(TURNS[key]);
    } else if (key === "r") {
      event.preventDefault();
      this.#run("reply");
    }
  }

  // ---- Describing ----

  get #isEditing() {
    return !this.part("describing").hidden;
  }

  #edit(is) {
    const form = this.part("describing");
    const hadFocus = form.contains(document.activeElement);
    form.hidden = !is;
    this.part("told").hidden = is;
    if (is) {
      form.elements.alt.value = this.gallery.here.picture.alt ?? "";
      form.elements.alt.focus();
    } else if (hadFocus) this.part("describe").focus();
  }

  async #describe(event) {
    event.preventDefault();
    const { picture } = this.gallery.here;
    const alt = event.target.elements.alt.value;
    try {
      const ack = await this.page.order(ORDERS.describePicture, { picture_id: picture.id, alt });
      this.page.state.mergeHai(ack.hai);
      if (this.shown.id === picture.id) this.#edit(false);
      this.#say("Saved.");
    } catch (error) {
      this.#say(`Not saved. ${error.message}`);
    }
  }

  // ---- Closing ----

  #cancel(event) {
    event.preventDefault();
    if (this.#isEditing) this.#edit(false);
    else this.close();
  }

  /** By a button: the address returns to what it was, too. */
  close() {
    if (!this.#isOpen) return;
    if (this.home) history.replaceState(history.state, "", this.home);
    else history.back();
    this.leave();
  }

  /** Somebody pressed Back, or left. */
  #popped() {
    this.leave();
  }

  leave() {
    if (this.#isOpen) this.dialog.close();
  }

  #closed() {
    this.#isOpen = false;
    this.offs.forEach((off) => off());
    this.#say("");
    this.#edit(false);
    this.#giveBack();
    this.stage.close();
    const at = `#picture_${this.shown.id}`;
    const link = document.querySelector(`${at} :is(.picture__link, .picture__large)`);
    const back = link ?? this.opener;
    if (document.activeElement === this.page.composer?.field) return;
    back?.scrollIntoView?.({ block: "nearest" });
    back?.focus({ preventScroll: true });
  }

  /** The video in the talk continues where it was left here. */
  #giveBack() {
    const video = videoOf(this.shown.id);
    const at = this.stage.video?.currentTime;
    if (video && at) video.currentTime = at;
  }
}

/** The talk's own player of a video. */
const videoOf = (pictureId) => document.querySelector(`#picture_${pictureId} video`);

/** Stop it; returns where, in seconds. */
function halt(pictureId) {
  const video = videoOf(pictureId);
  video?.pause();
  return video?.currentTime;
}
