// Draws a hai into a copy of templates/hais/_hai.html, as hai/web/views/hais.py and the
// template do on the server. A test compares them.

import { copyOf, putAttribute, setAttribute, setPart, setText, wholeOf } from "#lib/dom";
import { smallUrl } from "#lib/picture_sources";
import { cut, excerpt, goneWords, mediaWords, sizeOf } from "#lib/text";
import { clockWords, exactTime, isoTime, when } from "#lib/time";
import { serverHtml } from "#lib/trusted";
import { fillAvatar, userAvatar } from "#models/avatar_view";
import { fillVoices, isVoice, keptOf, seenOf } from "#models/media_view";
import { fillPictures } from "#models/picture_view";

const RUN_MS = 5 * 60_000;
const ADDED = ["state", "more", "tools", "seen"]; // parts that controllers draw

/** Whether a hai continues a run of the same person's. */
export function isRun(before, hai) {
  return Boolean(
    before &&
      before.user_id === hai.user_id &&
      hai.sent_at - before.sent_at < RUN_MS &&
      hai.reply_to === undefined,
  );
}

/** Of the stored hai that an element shows; undefined for others. */
export function haiIdOf(element) {
  const id = element?.matches(".hai:not([data-state])") ? Number(element.id.slice(4)) : NaN;
  return Number.isNaN(id) ? undefined : id;
}

export class HaiView {
  /** templates: {hai, picture, video, voice, reaction}; user(id); find(id): a hai we hold;
      isGone(id): whether it was deleted; canChange: whether I may delete others'. */
  constructor({ templates, user, find, isGone = () => false, meId, canChange = false }) {
    Object.assign(this, { templates, user, find, isGone, meId, canChange });
    this.whole = wholeOf(templates.hai);
  }

  make(hai, run) {
    const element = copyOf(this.templates.hai);
    for (const name of ADDED) this.part(element, name, false);
    this.fill(element, hai, run);
    return element;
  }

  /** A part of a hai, made or removed if need be; null where it is not there. */
  part(element, name, isThere) {
    return setPart(element, this.whole, `.hai__${name}`, isThere);
  }

  /** Write a hai into an element, touching only what differs. */
  fill(element, hai, run) {
    const user = this.user(hai.user_id);
    const size = sizeOf(hai);
    element.id = `hai_${hai.id || hai.client_id}`;
    putAttribute(element, "data-size", size === "text" ? "" : size);
    element.toggleAttribute("data-mine", hai.user_id === this.meId);
    this.fillRun(element, hai, run);
    this.#fillName(element.querySelector(".hai__head"), user);
    this.#fillQuote(element, hai);
    this.#fillText(this.part(element, "text", Boolean(hai.text)), hai);
    const pictures = this.part(element, "pictures", seenOf(hai).length > 0);
    if (pictures) fillPictures(pictures, hai, this.templates, user.display_name);
    const voices = this.part(element, "voices", keptOf(hai).some(isVoice));
    if (voices) fillVoices(voices, hai, this.templates);
    this.#fillGone(element, goneWords(hai));
    this.part(element, "edited", hai.edited_at !== undefined);
    this.#fillReactions(element, Object.entries(hai.reactions));
    this.fillTools(element, hai);
  }

  /** Where a run of one person's hais starts, their face and the day are shown; those that
      go on are run "more". */
  fillRun(element, hai, run) {
    const isStart = run !== "more";
    const avatar = setPart(element, this.whole, ".avatar", isStart);
    putAttribute(element, "data-run", isStart ? "" : "more");
    if (avatar) fillAvatar(avatar, userAvatar(this.user(hai.user_id)));
    fillTime(element.querySelector(".hai__time"), hai.sent_at, isStart);
  }

  /** Offer what I may do with it, if its tools are there. */
  fillTools(element, hai) {
    const tools = element.querySelector(".hai__tools");
    if (!tools) return;
    const isMine = hai.user_id === this.meId;
    const isDescribable = isMine && keptOf(hai).length > 0;
    const isDeletable = isMine || this.canChange;
    const shown = { edit: isMine, delete: isDeletable, describe: isDescribable };
    for (const [name, is] of Object.entries(shown)) {
      tools.querySelector(`[data-order="${name}"]`).hidden = !is;
    }
  }

  #fillName(head, user) {
    const whole = this.whole.querySelector(".hai__head");
    setText(head.querySelector(".hai__name"), user.display_name);
    setPart(head, whole, ".hai__bot", user.kind === "bot");
  }

  #fillQuote(element, hai) {
    const { reply_to: quotedId, reply_to_picture: pictureId } = hai;
    const quote = this.part(element, "quote", quotedId !== undefined);
    if (!quote) return;
    const whole = this.whole.querySelector(".hai__quote");
    const quoted = this.find(quotedId);
    const isGone = !quoted && this.isGone(quotedId);
    putAttribute(quote, "href", isGone ? "" : pathOf(hai));
    const user = quoted && this.user(quoted.user_id);
    const picture = quoted && seenOf(quoted).find(({ id }) => id === pictureId);
    const small = picture ? smallUrl(picture) : "";
    setPart(quote, whole, ".icon", !small);
    const image = setPart(quote, whole, ".hai__quote-picture", Boolean(small));
    if (image) setAttribute(image, "src", small);
    const avatar = setPart(quote, whole, ".avatar", Boolean(user));
    if (avatar) fillAvatar(avatar, userAvatar(user));
    const name = setPart(quote, whole, ".hai__quote-name", Boolean(user));
    if (name) setText(name, user.display_name);
    const words = quoteWords(quoted, picture, pictureId, isGone);
    setText(quote.querySelector(".hai__quote-text"), words);
  }

  #fillText(text, hai) {
    if (!text) return;
    if (hai.html === undefined) setText(text, hai.text);
    else if (text.haiHtml !== hai.html) text.innerHTML = serverHtml(hai.html);
    text.haiHtml = hai.html;
  }

  #fillGone(element, words) {
    const line = this.part(element, "gone", Boolean(words));
    if (line) setText(line, words);
  }

  #fillReactions(element, reactions) {
    const box = this.part(element, "reactions", reactions.length > 0);
    if (!box) return;
    const buttons = [...box.children];
    reactions.forEach(([emoji, userIds], index) => {
      const button = buttons[index] ?? box.appendChild(copyOf(this.templates.reaction));
      this.#fillReaction(button, emoji, userIds);
    });
    buttons.slice(reactions.length).forEach((button) => button.remove());
  }

  #fillReaction(button, emoji, userIds) {
    const names = userIds.map((id) => this.user(id).display_name).join(", ");
    button.disabled = false; // the server draws it disabled: nothing would react to a press yet
    setAttribute(button, "data-emoji", emoji);
    setAttribute(button, "aria-pressed", userIds.includes(this.meId));
    setAttribute(button, "title", names);
    const text = `${emoji} `;
    if (button.firstChild.nodeValue !== text) button.firstChild.nodeValue = text;
    setText(button.querySelector(".reaction__count"), String(userIds.length));
  }
}

/** Words of a <time> in the reader's own zone. */
export function fillTime(time, ms, hasDay) {
  setAttribute(time, "datetime", isoTime(ms));
  setAttribute(time, "title", exactTime(ms));
  setText(time, hasDay ? when(ms) : clockWords(ms));
}

function pathOf({ room_id: roomId, reply_to: quotedId, reply_to_picture: pictureId }) {
  const part = pictureId ? `picture_${pictureId}` : `hai_${quotedId}`;
  return `/rooms/${roomId}?around=${quotedId}#${part}`;
}

function quoteWords(quoted, picture, pictureId, isGone) {
  if (picture) return cut(picture.alt ?? "") || mediaWords([picture]);
  if (quoted) return excerpt(quoted);
  if (isGone) return "A deleted hai";
  return pictureId ? "An earlier picture" : "An earlier hai";
}
