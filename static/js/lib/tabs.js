// The tabs of one browser: their messages to one another, and which are still open.

const ROLL_CALL_MS = 300;

/** Run `act` while no other tab runs anything under that name.

    Over plain http browsers have no locks; then several tabs may act at once, and what
    they do must be safe to do twice. */
export async function inTurn(name, act, locks = globalThis.navigator?.locks) {
  return locks ? locks.request(name, act) : act();
}

/** Events: "told" (detail: another tab's message). */
export class Tabs extends EventTarget {
  /** id: of this tab, through its reloads. `ready` resolves when it is certain: a
      duplicated tab begins with the id of the other. */
  constructor(name, { storage, newId }) {
    super();
    Object.assign(this, { name, storage, newId });
    this.id = storage.getItem(name) ?? this.#renew();
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = ({ data }) => this.#hear(data);
    this.ready = this.areThere([this.id]).then((there) => there.size && this.#renew());
  }

  #renew() {
    this.id = this.newId();
    this.storage.setItem(this.name, this.id);
    return this.id;
  }

  tell(words) {
    this.channel.postMessage({ words });
  }

  /** Which of these tabs answer. */
  async areThere(ids) {
    const there = new Set();
    const listen = ({ data }) => data.here && there.add(data.here);
    this.channel.addEventListener("message", listen);
    this.channel.postMessage({ ask: ids });
    await new Promise((resolve) => setTimeout(resolve, ROLL_CALL_MS));
    this.channel.removeEventListener("message", listen);
    return there;
  }

  #hear({ words, ask }) {
    if (ask?.includes(this.id)) this.channel.postMessage({ here: this.id });
    if (words) this.dispatchEvent(new CustomEvent("told", { detail: words }));
  }
}
