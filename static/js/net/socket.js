// The one live connection of a tab. Orders go in and are acked; facts come out.
//
// Over Socket.IO, or over the plain WebSocket at /ws when its client did not load:
// both are drivers with the same few functions, so no other module can tell them apart.

import { FACTS } from "#net/events";
import { Offline, ackOrThrow } from "#net/refusal";
import { openSocketIo } from "#net/socketio_driver";

const ACK_MS = 10_000;
const PROOF_MS = 4000; // half of what people wait before they reload

async function openDriver(handlers) {
  try {
    const { io } = await import("socket.io-client");
    return openSocketIo(io, handlers);
  } catch {
    const { openNative } = await import("#net/native_driver");
    return openNative(handlers);
  }
}

/** Events: "up", "down" and "fact" (detail: {name, payload}). */
export class LiveSocket extends EventTarget {
  isUp = false;
  isDown = false; // tried, and not up: before the first try it is neither
  #driver = null;
  #receivedAt = 0;
  #waiting = new Set(); // the reject functions of orders not yet acked
  #names = new Set(Object.values(FACTS));

  async open() {
    this.#driver = await openDriver({
      up: () => this.#connected(),
      down: () => this.#disconnected(),
      fact: (name, payload) => this.#receive(name, payload),
    });
    return this;
  }

  /** Send one order. Rejects with a Refusal, or with Offline when no ack came; if nothing
      else arrived either, the connection is dead, and another is opened. */
  async order(name, payload, patienceMs = ACK_MS) {
    if (!this.isUp) throw new Offline();
    const askedAt = performance.now();
    const ack = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        refuse(new Offline());
        if (this.isUp && this.#receivedAt < askedAt) this.#driver.renew();
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
    this.#receivedAt = performance.now();
    return ackOrThrow(ack);
  }

  /** After sleep, or when the network is back: do not wait for timers. A connection that
      looks open may be dead; a cheap order finds out. */
  async wake(name, payload) {
    if (!this.isUp) return this.#driver?.renew();
    return this.order(name, payload, PROOF_MS).catch(() => undefined);
  }

  close() {
    this.#driver?.close();
  }

  #connected() {
    this.isUp = true;
    this.isDown = false;
    this.dispatchEvent(new Event("up"));
  }

  #disconnected() {
    this.isUp = false;
    this.isDown = true;
    for (const refuse of [...this.#waiting]) refuse(new Offline());
    this.dispatchEvent(new Event("down"));
  }

  #receive(name, payload) {
    this.#receivedAt = performance.now();
    if (!this.#names.has(name)) return;
    this.dispatchEvent(new CustomEvent("fact", { detail: { name, payload } }));
  }
}
