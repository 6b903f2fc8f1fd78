// The one live connection of a tab. Orders go in and are acked; facts come out.
//
// Over Socket.IO, or over the plain WebSocket at /ws when its client did not load:
// both are drivers with the same few functions, so nobody else can tell them apart.

import { FACTS } from "#net/events";
import { Offline, ackOrThrow } from "#net/refusal";
import { openSocketIo } from "#net/socketio_driver";

const ACK_MS = 10_000;
const PROOF_MS = 4000; // half of what people wait before they reload

async function openDriver(ears) {
  try {
    const { io } = await import("socket.io-client");
    return openSocketIo(io, ears);
  } catch {
    const { openNative } = await import("#net/native_driver");
    return openNative(ears);
  }
}

/** Events: "up", "down" and "fact" (detail: {name, payload}). */
export class LiveSocket extends EventTarget {
  isUp = false;
  isDown = false; // tried, and not up: before the first try it is neither
  #driver = null;
  #heardAt = 0;
  #waiting = new Set(); // the reject functions of orders not yet acked
  #names = new Set(Object.values(FACTS));

  async open() {
    this.#driver = await openDriver({
      up: () => this.#rise(),
      down: () => this.#fall(),
      fact: (name, payload) => this.#hear(name, payload),
    });
    return this;
  }

  /** Send one order. Rejects with a Refusal, or with Offline when no ack came: if nothing
      else did either, the line is dead without knowing, and another is opened. */
  async order(name, payload, patienceMs = ACK_MS) {
    if (!this.isUp) throw new Offline();
    const askedAt = performance.now();
    const ack = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        refuse(new Offline());
        if (this.isUp && this.#heardAt < askedAt) this.#driver.renew();
      }, patienceMs);
      const settle = (act) => (value) => {
        clearTimeout(timer);
        this.#waiting.delete(refuse);
        act(value);
      };
      const refuse = settle(reject);
      this.#waiting.add(refuse);
      this.#driver.send(name, payload, settle(resolve));
    });
    this.#heardAt = performance.now();
    return ackOrThrow(ack);
  }

  /** We may have slept, or the network is back: no waiting for timers. A connection
      that looks open may be dead; a cheap order finds out. */
  async wake(name, payload) {
    if (!this.isUp) return this.#driver?.renew();
    return this.order(name, payload, PROOF_MS).catch(() => undefined);
  }

  close() {
    this.#driver?.close();
  }

  #rise() {
    this.isUp = true;
    this.isDown = false;
    this.dispatchEvent(new Event("up"));
  }

  #fall() {
    this.isUp = false;
    this.isDown = true;
    for (const refuse of [...this.#waiting]) refuse(new Offline());
    this.dispatchEvent(new Event("down"));
  }

  #hear(name, payload) {
    this.#heardAt = performance.now();
    if (!this.#names.has(name)) return;
    this.dispatchEvent(new CustomEvent("fact", { detail: { name, payload } }));
  }
}
