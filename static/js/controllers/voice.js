// Voices and videos: the code that plays (players.js) and records them (recorder.js) is
// loaded at the first sign of use, not with the first page.

import { on } from "#lib/dom";

const SIGNS = ["pointerdown", "keydown", "play"];
const PLAYERS = ".voice, .picture--video";

/** Browsers offer the microphone on https and on localhost only. */
const canRecord = () => Boolean(globalThis.MediaRecorder && navigator.mediaDevices?.getUserMedia);

export function connect(element, page) {
  const parts = new Parts(page);
  const button = document.querySelector("[data-record]");
  if (button) button.hidden = !canRecord();
  const offs = [
    on(document, "click", ({ target }) =>
      parts.press(target.closest?.("[data-voice], [data-record]")),
    ),
    on(document, "focusin", ({ target }) => target.closest(PLAYERS) && parts.load()),
    ...SIGNS.map((type) => on(document, type, () => parts.load(), true)),
  ];
  return () => {
    offs.forEach((off) => off());
    parts.stop();
  };
}

class Parts {
  #loading = null;

  constructor(page) {
    this.page = page;
  }

  /** Resolves with {players, recorder, stop}; null while they cannot be loaded. */
  load() {
    this.#loading ??= this.#fetch().catch(() => {
      this.#loading = null;
      return null;
    });
    return this.#loading;
  }

  async #fetch() {
    const [{ listen }, recorder] = await Promise.all([
      import("#controllers/players"),
      import("#controllers/recorder"),
    ]);
    return { recorder, ...listen(this.page) };
  }

  async press(button) {
    if (!button) return;
    const parts = await this.load();
    if (!parts) this.page.tell("That needs the network, the first time.");
    else if (button.dataset.voice) parts.players.press(button);
    else parts.recorder.record(button.closest("form"), this.page);
  }

  async stop() {
    const loading = this.#loading;
    this.#loading = null;
    (await loading)?.stop();
  }
}
