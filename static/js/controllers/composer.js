// Where a hai is written: drafts, Enter, editing, replying, the wave, the limit.

import { isDesk, isField, on } from "#lib/dom";
import { smallUrl } from "#lib/picture_sources";
import { countChars, cut, excerpt, mediaWords } from "#lib/text";
import { ORDERS, newClientId } from "#net/events";
import { connectTray } from "#controllers/tray";

const WAVE = "hai!";
const LIMIT_SHOWN = 0.9; // of the limit

export function connect(form, page) {
  const composer = new Composer(form, page);
  page.composer = composer;
  const { field } = composer;
  const offs = [
    on(form, "submit", (event) => composer.submit(event)),
    on(field, "keydown", (event) => composer.key(event)),
    on(field, "input", () => composer.typed()),
    on(form.querySelector("[data-about-end]"), "click", () => composer.end()),
    on(document, "keydown", (event) => composer.globalKey(event)),
    connectTray(form, page, composer),
  ];
  composer.begin();
  return () => {
    offs.forEach((off) => off());
    if (page.composer === composer) page.composer = null;
  };
}

class Composer {
  editing = null; // the hai being changed
  replyingTo = null;

  constructor(form, page) {
    Object.assign(this, { form, page, roomId: page.list.roomId });
    this.field = form.elements.text;
    this.about = form.querySelector("[data-about]");
    this.limit = form.querySelector("[data-limit]");
    this.draft = "";
  }

  async begin() {
    const { drafts } = this.page;
    const draft = drafts.of(this.roomId);
    this.open(draft);
    if (draft.text || draft.edit || draft.reply) return;
    const found = await drafts.found(this.roomId);
    if (!this.field.value && this.form.isConnected) this.open(found);
  }

  open({ text, reply, edit }) {
    const edited = edit && this.page.list.find(edit.id);
    const lost = edited ? "" : edit?.text; // its hai is not loaded: keep the words
    if (!this.field.value) this.field.value = text || lost || "";
    this.grow();
    this.drawLimit();
    if (edited) this.edit(edited, edit.text);
    else if (reply) this.answer(reply);
    if (isDesk() && !location.hash) this.focus();
  }

  /** What would be lost without it: the text, what it replies to, a change begun. */
  get kept() {
    const { editing, replyingTo } = this;
    const draft = { text: editing ? this.draft : this.field.value };
    if (replyingTo) draft.reply = replyingTo;
    if (editing) draft.edit = { id: editing.id, text: this.field.value };
    return draft;
  }

  keep() {
    this.page.drafts.keep(this.roomId, this.kept);
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  // ---- Keys ----

  key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && isDesk() && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape" && (this.editing || this.replyingTo)) {
      event.preventDefault();
      this.end();
    } else if (event.key === "ArrowUp" && !this.field.value && !this.editing) {
      this.editLast(event);
    }
  }

  /** Typing anywhere goes into the composer; "/" moves there without being typed. */
  globalKey(event) {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const isLetter = isPlain && event.key.length === 1 && event.key !== " ";
    const isFree = document.activeElement === document.body;
    if (isLetter && isFree && !isField(event.target)) this.focus();
  }

  editLast(event) {
    const meId = this.page.state.me.id;
    const last = this.page.list.hais.findLast((hai) => hai.user_id === meId && hai.text);
    if (!last) return;
    event.preventDefault();
    this.edit(last);
  }

  typed() {
    this.grow();
    this.drawLimit();
    this.keep();
    if (this.field.value && !this.editing) this.page.typing.pressed();
  }

  /** For browsers without `field-sizing: content`. */
  grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  drawLimit() {
    const most = this.page.limits.textChars;
    const count = countChars(this.field.value);
    this.limit.hidden = count < most * LIMIT_SHOWN;
    this.limit.toggleAttribute("data-over", count > most);
    const left = most - count;
    const words = left < 0 ? `${-left} too many` : `${left} left`;
    if (!this.limit.hidden && this.limit.textContent !== words) this.limit.textContent = words;
  }

  // ---- Replying and editing ----

  /** picture: which of its pictures is replied to. */
  reply(hai, picture = undefined) {
    this.end();
    const name = this.page.state.user(hai.user_id).display_name;
    const words = picture ? cut(picture.alt ?? "") || mediaWords([picture]) : excerpt(hai);
    const answered = { id: hai.id, words: `${name}: ${words}` };
    if (picture) Object.assign(answered, { picture_id: picture.id, url: smallUrl(picture) });
    this.answer(answered);
    this.keep();
    this.focus();
  }

  answer(reply) {
    this.replyingTo = reply;
    this.say(`Replying to ${reply.words}`, reply.url);
  }

  edit(hai, text = hai.text) {
    this.end();
    this.draft = this.field.value;
    this.editing = hai;
    this.say("Editing. Escape leaves it as it was.");
    this.set(text);
    this.keep();
    this.focus();
    this.field.setSelectionRange(text.length, text.length);
  }

  end() {
    if (this.editing) this.set(this.draft);
    this.editing = null;
    this.replyingTo = null;
    this.about.hidden = true;
    this.keep();
  }

  say(words, pictureUrl = "") {
    const picture = this.form.querySelector("[data-about-picture]");
    picture.hidden = !pictureUrl;
    if (pictureUrl) picture.src = pictureUrl;
    this.about.hidden = false;
    this.form.querySelector("[data-about-words]").textContent = words;
  }

  set(text) {
    this.field.value = text;
    this.grow();
    this.drawLimit();
  }

  // ---- Sending ----

  submit(event) {
    event.preventDefault();
    const text = this.field.value.trim();
    if (countChars(text) > this.page.limits.textChars) this.focus();
    else if (this.editing) this.save(text);
    else this.send(text);
  }

  send(text) {
    const { tray, outbox, drafts, typing } = this.page;
    const pictures = tray?.take() ?? [];
    const entry = {
      client_id: newClientId(),
      room_id: this.roomId,
      text: text || (pictures.length ? "" : WAVE),
    };
    if (this.replyingTo) entry.reply_to = this.replyingTo.id;
    if (this.replyingTo?.picture_id) entry.reply_to_picture = this.replyingTo.picture_id;
    const draft = this.kept;
    // The draft stays until the outbox has stored it, or the server has, where this device
    // can store nothing: a crash in between loses nothing.
    outbox
      .add(entry, pictures, tray?.takenId)
      .then((isKept) => isKept || outbox.left(entry.client_id))
      .then(() => drafts.sent(this.roomId, draft));
    typing.sent();
    this.replyingTo = null;
    this.about.hidden = true;
    this.set("");
    this.focus();
  }

  async save(text) {
    const hai = this.editing;
    if (text === hai.text) return this.end();
    if (!text && !hai.pictures.length) return this.say("Nothing left of it. Delete it instead?");
    try {
      const ack = await this.page.order(ORDERS.editHai, { hai_id: hai.id, text });
      this.page.state.mergeHai(ack.hai);
      if (this.editing === hai) this.end();
    } catch (error) {
      this.say(`Not saved yet. ${error.message}`);
    }
    return undefined;
  }
}
