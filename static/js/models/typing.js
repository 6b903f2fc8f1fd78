// Who is typing in the open room, and telling others that I am.

const LASTS_MS = 5000;
const TELL_MS = 3000;

/** Events: "changed". `now` and `later` can be replaced by tests. */
export class Typing extends EventTarget {
  #ends = new Map(); // user_id -> timer
  #toldAt = 0;

  constructor({ tell, now = Date.now }) {
    super();
    this.tell = tell;
    this.now = now;
  }

  get userIds() {
    return [...this.#ends.keys()];
  }

  started(userId) {
    clearTimeout(this.#ends.get(userId));
    this.#ends.set(
      userId,
      setTimeout(() => this.ended(userId), LASTS_MS),
    );
    this.#changed();
  }

  ended(userId) {
    if (!this.#ends.has(userId)) return;
    clearTimeout(this.#ends.get(userId));
    this.#ends.delete(userId);
    this.#changed();
  }

  /** I pressed a key: sent at most every 3 s. */
  pressed() {
    if (this.now() - this.#toldAt < TELL_MS) return;
    this.#toldAt = this.now();
    this.tell();
  }

  sent() {
    this.#toldAt = 0;
  }

  stop() {
    this.userIds.forEach((id) => clearTimeout(this.#ends.get(id)));
    this.#ends.clear();
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }
}
