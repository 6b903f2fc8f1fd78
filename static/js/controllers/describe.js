// Describing what a hai shows: in the large view, or, if it has a voice, which stays in
// the talk, in a form with one field for each, in the hai's order.

import { on, setText } from "#lib/dom";
import { smallUrl } from "#lib/picture_sources";
import { kindOf, lengthWords } from "#lib/text";
import { isVoice, keptOf } from "#models/media_view";
import { ORDERS } from "#net/events";

const MAX_CHARS = 1000; // as the server cuts
const NAMES = { picture: "Picture", video: "Video", voice: "Voice hai" };

/** actions: hai_actions.js, which opens the large view. */
export function describe(hai, actions) {
  const pictures = keptOf(hai);
  if (!pictures.some(isVoice)) actions.look(hai, undescribed(pictures).id, { describes: true });
  else new Describing(actions.page, pictures).open();
}

/** The first picture without words, else the first. */
function undescribed(pictures) {
  return pictures.find(({ alt }) => !alt) ?? pictures[0];
}

class Describing {
  constructor(page, pictures) {
    Object.assign(this, { page, pictures });
    this.words = new Map(pictures.map(({ id, alt }) => [id, alt ?? ""])); // as stored
    this.dialog = made("dialog", { className: "dialog", ariaLabel: "Describe it" });
    this.problem = made("p", { className: "field__error", role: "alert", hidden: true });
    this.fields = pictures.map((picture) => fieldOf(picture, this.#nameOf(picture)));
    const form = made("form", { className: "stack" }, [
      ...this.fields,
      this.problem,
      this.#actions(),
    ]);
    this.dialog.append(form);
    on(form, "submit", (event) => this.#save(event));
    on(this.dialog, "close", () => this.dialog.remove());
  }

  open() {
    document.body.append(this.dialog);
    this.dialog.showModal();
  }

  /** "Voice hai 0:07", "Picture 2". */
  #nameOf(picture) {
    const kind = kindOf(picture);
    const alike = this.pictures.filter((one) => kindOf(one) === kind);
    const number = alike.length > 1 ? alike.indexOf(picture) + 1 : "";
    return [NAMES[kind], number, lengthWords(picture.duration_ms)].filter(Boolean).join(" ");
  }

  #actions() {
    const stop = made("button", { type: "button", className: "button", textContent: "Never mind" });
    const save = made("button", { className: "button button--main", textContent: "Save" });
    on(stop, "click", () => this.dialog.close());
    return made("div", { className: "dialog__actions" }, [stop, save]);
  }

  /** What is saved stays saved when a later one fails. */
  async #save(event) {
    event.preventDefault();
    this.problem.hidden = true;
    try {
      for (const { id } of this.pictures) await this.#saveOne(id);
      this.dialog.close();
    } catch (error) {
      setText(this.problem, `Not saved. ${error.message}`);
      this.problem.hidden = false;
    }
  }

  async #saveOne(id) {
    const alt = this.dialog.querySelector(`[name="alt_${id}"]`).value;
    if (alt === this.words.get(id)) return;
    const ack = await this.page.order(ORDERS.describePicture, { picture_id: id, alt });
    this.words.set(id, alt);
    this.page.state.mergeHai(ack.hai);
  }
}

function fieldOf(picture, name) {
  const isVoice = kindOf(picture) === "voice";
  const placeholder = isVoice ? "What is it about?" : "What does it show?";
  const about = { value: picture.alt ?? "", placeholder, maxLength: MAX_CHARS };
  const input = made("input", {
    className: "input",
    name: `alt_${picture.id}`,
    dir: "auto",
    ...about,
  });
  const label = made("span", { className: "field__label", textContent: name });
  const url = smallUrl(picture);
  const small = url ? [made("img", { className: "hai__quote-picture", alt: "", src: url })] : [];
  input.autocomplete = "off";
  return made("label", { className: "field" }, [label, ...small, input]);
}

function made(name, fields, children = []) {
  const element = Object.assign(document.createElement(name), fields);
  element.append(...children);
  return element;
}
