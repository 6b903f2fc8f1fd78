// Draws a hai into a copy of templates/hais/_hai.html, as hai/web/views/hais.py and the
// template do on the server. A test compares them.

import { copyOf, setAttribute, setText } from "#lib/dom";
import { smallUrl } from "#lib/picture_sources";
import { cut, excerpt, goneWords, mediaWords, sizeOf } from "#lib/text";
import { clockWords, dayWords, exactTime, isoTime } from "#lib/time";
import { serverHtml } from "#lib/trusted";
import { NOBODY, fillAvatar, userAvatar } from "#models/avatar_view";
import { fillVoices, keptOf, seenOf } from "#models/media_view";
import { fillPictures } from "#models/picture_view";

const RUN_MS = 5 * 60_000;

/** Whether a hai continues a run of the same person's. */
export function isRun(before, hai) {
  return Boolean(
    before &&
      before.user_id === hai.user_id &&
      hai.sent_at - before.sent_at < RUN_MS &&
      hai.reply_to === undefined,
  );
}

export class HaiView {
  /** templates: {hai, picture, video, voice, reaction}; user(id); find(id): a hai we hold;
      isGone(id): whether it was deleted; canChange: whether I may delete others'. */
  constructor({ templates, user, find, isGone = () => false, meId, canChange = false }) {
    Object.assign(this, { templates, user, find, isGone, meId, canChange });
  }

  make(hai, run) {
    const element = copyOf(this.templates.hai);
    this.fill(element, hai, run);
    return element;
  }

  /** Write a hai into an element, touching only what differs. */
  fill(element, hai, run) {
    const user = this.user(hai.user_id);
    const part = (name) => element.querySelector(`.hai__${name}`);
    element.id = `hai_${hai.id || hai.client_id}`;
    setAttribute(element, "data-hai-id", hai.id);
    setAttribute(element, "data-user-id", hai.user_id);
    setAttribute(element, "data-run", run);
    setAttribute(element, "data-size", sizeOf(hai));
    this.#fillHead(element, part, hai, user);
    this.#fillQuote(part("quote"), hai);
    this.#fillText(part("text"), hai);
    fillPictures(part("pictures"), hai, this.templates, user.display_name);
    fillVoices(part("voices"), hai, this.templates);
    this.#fillGone(part("gone"), hai);
    part("edited").hidden = hai.edited_at === undefined;
    this.#fillReactions(part("reactions"), hai);
    this.#fillTools(element, hai);
  }

  #fillTools(element, hai) {
    const isMine = hai.user_id === this.meId;
    const isDescribable = isMine && keptOf(hai).length > 0;
    const isDeletable = isMine || this.canChange;
    const shown = { edit: isMine, delete: isDeletable, describe: isDescribable };
    for (const [name, is] of Object.entries(shown)) {
      element.querySelector(`[data-order="${name}"]`).hidden = !is;
    }
  }

  #fillHead(element, part, hai, user) {
    fillAvatar(element.querySelector(".avatar"), userAvatar(user));
    setText(part("name"), user.display_name);
    part("bot").hidden = user.kind !== "bot";
    fillTime(part("time"), hai.sent_at);
  }

  #fillQuote(quote, hai) {
    const { reply_to: quotedId, reply_to_picture: pictureId } = hai;
    quote.hidden = quotedId === undefined;
    if (quote.hidden) return;
    const part = pictureId ? `picture_${pictureId}` : `hai_${quotedId}`;
    const path = `/rooms/${hai.room_id}?around=${quotedId}#${part}`;
    const quoted = this.find(quotedId);
    const isGone = !quoted && this.isGone(quotedId);
    if (isGone) quote.removeAttribute("href");
    else setAttribute(quote, "href", path);
    const user = quoted && this.user(quoted.user_id);
    const picture = quoted && seenOf(quoted).find(({ id }) => id === pictureId);
    fillAvatar(quote.querySelector(".avatar"), user ? userAvatar(user) : NOBODY);
    setText(quote.querySelector(".hai__quote-name"), user?.display_name ?? "");
    const words = quoteWords(quoted, picture, pictureId, isGone);
    setText(quote.querySelector(".hai__quote-text"), words);
    fillSmall(quote.querySelector(".hai__quote-picture"), picture);
  }

  #fillText(text, hai) {
    text.hidden = !hai.text;
    if (hai.html === undefined) setText(text, hai.text);
    else if (text.haiHtml !== hai.html) text.innerHTML = serverHtml(hai.html);
    text.haiHtml = hai.html;
  }

  #fillGone(line, hai) {
    const words = goneWords(hai);
    line.hidden = !words;
    setText(line, words);
  }

  #fillReactions(box, hai) {
    const reactions = Object.entries(hai.reactions);
    box.hidden = !reactions.length;
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
export function fillTime(time, ms) {
  setAttribute(time, "datetime", isoTime(ms));
  setAttribute(time, "title", exactTime(ms));
  setText(time.querySelector(".hai__day"), `${dayWords(ms)} `);
  setText(time.querySelector(".hai__clock"), clockWords(ms));
}

function quoteWords(quoted, picture, pictureId, isGone) {
  if (picture) return cut(picture.alt ?? "") || mediaWords([picture]);
  if (quoted) return excerpt(quoted);
  if (isGone) return "A deleted hai";
  return pictureId ? "An earlier picture" : "An earlier hai";
}

function fillSmall(image, picture) {
  const url = picture ? smallUrl(picture) : "";
  image.hidden = !url;
  if (url) setAttribute(image, "src", url);
}
