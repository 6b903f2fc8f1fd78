// What another app shared: shown, and put into the room that is chosen.

import { copyOf, on, setText } from "#lib/dom";
import { kindOfFile } from "#lib/picture_types";
import { forgetShared, readShared } from "#lib/shared";
import { shareInto } from "#models/shared_tray";
import { newClientId } from "#net/events";

const MOST = 10; // pictures of one hai; the others wait here for the next

const FIRST_FRAME = "#t=0.05"; // some browsers show none at 0

const SHOW = {
  picture: (image, file) =>
    Object.assign(image, { src: URL.createObjectURL(file), alt: file.name }),

  video: (video, file) =>
    Object.assign(video, { src: URL.createObjectURL(file) + FIRST_FRAME, ariaLabel: file.name }),

  voice: (words, file) => setText(words.querySelector("[data-name]"), file.name),
};

export function connect(element, page) {
  const share = new Share(element, page);
  share.draw();
  return on(element, "click", ({ target }) => share.press(target.closest("button")));
}

class Share {
  #rows = [];

  constructor(element, page) {
    Object.assign(this, { element, page });
  }

  async draw() {
    const rows = await readShared().catch(() => []);
    const pictures = rows.filter(({ file }) => file).slice(0, MOST);
    const texts = rows.filter(({ text }) => text);
    this.#rows = [...pictures, ...texts];
    this.element.dataset.state = this.#rows.length ? "some" : "none";
    this.#part("pictures").replaceChildren(...pictures.map(({ file }) => this.#view(file)));
    const words = texts.map(({ text }) => text).join("\n");
    setText(this.#part("words"), words);
    this.#part("words").hidden = !words;
  }

  #part(name) {
    return this.element.querySelector(`[data-shared="${name}"]`);
  }

  #view(file) {
    const kind = kindOfFile(file) ?? "picture";
    const item = copyOf(this.element.querySelector(`template[data-kind="${kind}"]`));
    SHOW[kind](item.firstElementChild, file);
    return item;
  }

  async press(button) {
    if (!button) return;
    const ids = this.#rows.map(({ id }) => id);
    const roomId = Number(button.dataset.shareRoomId);
    if (roomId && !(await this.#put(roomId))) return;
    await forgetShared(ids);
    if (roomId) location.assign(`/rooms/${roomId}`);
    else await this.draw();
  }

  async #put(roomId) {
    const { store, drafts } = this.page;
    try {
      await shareInto(roomId, this.#rows, { store, drafts, newKey: newClientId });
      return true;
    } catch {
      this.page.tell("This device is full. It stays here until there is room.");
      return false;
    }
  }
}
