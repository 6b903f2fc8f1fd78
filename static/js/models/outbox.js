// What I have sent and the server has not yet acked, pictures included. It is stored in
// the browser before it is sent, and sent again under the same client_id until an ack or
// its fact comes; so nothing is lost, and the server stores it once.
//
// All tabs of a browser share it and show it. One tab at a time sends for a room, the
// oldest first; a hai whose pictures are still uploading holds up that room only.

import { inTurn } from "#lib/tabs";
import { orderOf, rowOf } from "#models/outbox_entry";
import { OutboxPictures } from "#models/outbox_pictures";
import { ORDERS } from "#net/events";
import { isPassing } from "#net/refusal";

const AGAIN_MS = 2000;
const KEPT_MS = 25 * 86_400_000; // the server knows a client_id for 30 days
const LEAVING = ["stored", "discarded"];
const TOO_OLD = "It has waited for weeks. Does it still fit?";

/**
 * An entry: models/outbox_entry.js.
 * Events: "added" (by this tab), "changed" (detail: entry), "stored" (detail:
 * {entry, hai?}), "discarded" (detail: entry), "unkept" (detail: why).
 */
export class Outbox extends EventTarget {
  entries = new Map(); // client_id -> entry, in the order sent
  #flushing = new Map(); // room_id -> whether to run once more
  #gone = new Set(); // client_ids that left: a read begun earlier must not bring them back

  /** tabs: lib/tabs.js, or null; epoch(): that of the server's database. */
  constructor({ store, socket, uploads, tabs, meId, epoch, takeTurn = inTurn, now = Date.now }) {
    super();
    Object.assign(this, { store, socket, uploads, tabs, meId, takeTurn, now });
    this.pictures = new OutboxPictures({ store, uploads, epoch, now });
    socket.addEventListener("up", () => this.flush());
    socket.addEventListener("down", () => this.#wait());
    tabs?.addEventListener("told", ({ detail }) => this.#told(detail));
  }

  async open() {
    await this.#look();
    await this.pictures.sweep();
    this.flush();
  }

  ofRoom(roomId) {
    const entries = [...this.entries.values()].filter((entry) => entry.room_id === roomId);
    return entries.sort((one, other) => (one.number ?? Infinity) - (other.number ?? Infinity));
  }

  // ---- Keeping ----

  /** Resolves with whether its words are kept, or stored by the server already; else they
      are in memory only. `trayId`: the tray that its pictures leave. */
  async add(entry, pictures = [], trayId = undefined) {
    const sent = { ...entry, sent_at: this.now(), state: this.#ready() };
    sent.pictures = pictures.map(({ file, ...picture }) => picture);
    pictures.forEach(({ key, file }) => this.pictures.hold(key, file));
    this.entries.set(sent.client_id, sent);
    this.#tell("added", sent);
    this.#tell("changed", sent);
    const isKept = await this.#keep(sent, trayId);
    this.tabs?.tell({ outbox: sent.client_id });
    this.flush();
    return isKept;
  }

  async #keep(entry, trayId) {
    const keep = (withFiles) => this.#append(entry, trayId, withFiles).then(() => true);
    const isKept = await keep(true).catch(() => {
      this.#tell("unkept", "full");
      return keep(false).catch(() => false);
    });
    if (this.entries.has(entry.client_id)) return isKept;
    this.#drop(entry); // stored or discarded meanwhile
    return true;
  }

  /** Resolves once it has left: stored by the server, or discarded. */
  left(clientId) {
    return new Promise((resolve) => {
      const look = () => {
        if (this.entries.has(clientId)) return;
        for (const type of LEAVING) this.removeEventListener(type, look);
        resolve();
      };
      for (const type of LEAVING) this.addEventListener(type, look);
      look();
    });
  }

  /** Its number is above all others', in whichever tab they were written. */
  async #append(entry, trayId, withFiles) {
    const number = await this.store.change(async (rows) => {
      const others = await rows.all("outbox");
      const last = Math.max(0, ...others.map((row) => row.number));
      await rows.put("outbox", { ...rowOf(entry), number: last + 1 });
      if (trayId) await rows.remove("trays", trayId);
      for (const { key } of withFiles ? entry.pictures : []) {
        if (await rows.get("files", key)) continue;
        await rows.put("files", { key, file: this.pictures.held(key) });
      }
      return last + 1;
    });
    this.#change(entry, { number, isKept: true });
  }

  /** Take over what is stored: of an earlier page, or changed by another tab. */
  async #look() {
    const stored = await this.store.change((rows) => rows.all("outbox")).catch(() => null);
    if (!stored) return;
    stored.sort((one, other) => one.number - other.number);
    for (const row of stored) await this.#take(row);
    const ids = new Set(stored.map((row) => row.client_id));
    for (const entry of this.entries.values()) {
      if (entry.isKept && !ids.has(entry.client_id)) this.#leave(entry);
    }
  }

  async #take(row) {
    const shown = this.entries.get(row.client_id)?.pictures;
    const pictures = await this.pictures.withUrls(row.pictures, shown);
    if (this.#gone.has(row.client_id)) return this.#drop(row);
    const known = this.entries.get(row.client_id);
    const words = !row.failed && this.now() - row.sent_at > KEPT_MS ? TOO_OLD : row.failed;
    const passing = known && known.state !== "failed" ? known.state : this.#ready();
    const state = words ? "failed" : passing;
    const isSame = known?.isKept && known.state === state;
    const entry = { ...known, ...row, pictures, state, words, isKept: true };
    this.entries.set(row.client_id, entry);
    if (!isSame) this.#tell("changed", entry);
    return undefined;
  }

  #told({ outbox: clientId, hai }) {
    if (!clientId) return;
    if (hai) this.settle(clientId, hai, false);
    else this.#look().then(() => this.flush());
  }

  // ---- Sending ----

  #ready() {
    return this.socket.isDown ? "waiting" : "sending";
  }

  /** Send what waits: rooms side by side, each in the order it was written. */
  flush() {
    if (!this.socket.isUp) return;
    const roomIds = [...this.entries.values()].map((entry) => entry.room_id);
    new Set(roomIds).forEach((roomId) => this.#flushRoom(roomId));
  }

  async #flushRoom(roomId) {
    if (this.#flushing.has(roomId)) return this.#flushing.set(roomId, true);
    this.#flushing.set(roomId, false);
    try {
      await this.takeTurn(`hai.outbox.${this.meId}.${roomId}`, () => this.#sendAll(roomId));
    } finally {
      const isAgain = this.#flushing.get(roomId);
      this.#flushing.delete(roomId);
      if (isAgain && this.#next(roomId)) this.flush();
    }
    return undefined;
  }

  async #sendAll(roomId) {
    await this.#look();
    while (this.socket.isUp) {
      const entry = this.#next(roomId);
      if (!entry || !(await this.#send(entry))) break;
    }
  }

  #next(roomId) {
    return this.ofRoom(roomId).find(({ state }) => state !== "failed");
  }

  /** Returns whether to go on with the next. */
  async #send(entry) {
    try {
      const ready = await this.#upload(entry);
      if (!ready) return true;
      if (ready.state !== "sending") this.#change(ready, { state: "sending" });
      const { hai } = await this.socket.order(ORDERS.sendHai, orderOf(ready));
      this.settle(entry.client_id, hai);
      return true;
    } catch (error) {
      return this.#fail(entry.client_id, error);
    }
  }

  async #fail(clientId, error) {
    const entry = this.entries.get(clientId);
    if (!entry) return true; // its fact came, only the ack was lost
    if (error.code === "client_id_reused") return this.#leave(entry, true); // it is stored
    if (error.code === "not_found" && entry.pictures.length && !entry.isAgain) {
      await this.#forgetUploads(entry); // swept before it could be sent
      return true;
    }
    if (!isPassing(error)) return this.#refused(entry, error.message);
    this.#change(entry, { state: "waiting" });
    if (this.socket.isUp) setTimeout(() => this.flush(), AGAIN_MS);
    return false;
  }

  async #refused(entry, words) {
    this.#change(entry, { state: "failed", words });
    await this.#update(entry.client_id, (row) => ({ ...row, failed: words }));
    this.tabs?.tell({ outbox: entry.client_id });
    return true;
  }

  async #update(clientId, change) {
    const changed = this.store.change(async (rows) => {
      const row = await rows.get("outbox", clientId);
      if (!row) return undefined;
      const now = change(row);
      await rows.put("outbox", now);
      return now;
    });
    return changed.catch(() => undefined);
  }

  /** Its pictures were swept before it could be sent: upload them again, once. */
  async #forgetUploads(entry) {
    const pictures = this.pictures.withoutUploads(entry.pictures);
    this.#change(entry, { pictures, isAgain: true });
    await this.#update(entry.client_id, (row) => {
      return { ...row, pictures: this.pictures.withoutUploads(row.pictures) };
    });
  }

  /** Returns the entry with all pictures on the server; undefined when discarded. */
  async #upload(entry) {
    const missing = this.pictures.missingOf(entry);
    if (missing.length) this.#change(entry, { state: "uploading" });
    await Promise.all(missing.map((picture) => this.#uploadOne(entry, picture)));
    const ready = this.entries.get(entry.client_id);
    if (ready) await this.pictures.describe(ready);
    return this.entries.get(entry.client_id);
  }

  /** Another tab may have uploaded it too: the first id stands, so that every retry
      is the same order. */
  async #uploadOne(entry, picture) {
    const { key } = picture;
    const ours = await this.pictures.upload(picture, entry.room_id);
    const mark = (pictures) => this.pictures.marked(pictures, key, ours);
    const row = await this.#update(entry.client_id, (stored) => {
      return { ...stored, pictures: mark(stored.pictures) };
    });
    const known = this.entries.get(entry.client_id);
    const kept = row?.pictures.find((one) => one.key === key).uploaded ?? ours;
    if (!known || kept.id !== ours.id) this.uploads.discard(ours.id);
    if (!known) return;
    const pictures = this.pictures.marked(known.pictures, key, kept);
    this.#change(known, { pictures });
  }

  // ---- Leaving ----

  /** The hai is stored: by its ack, its fact, or a message of another tab. */
  settle(clientId, hai, isFirst = true) {
    const entry = this.entries.get(clientId);
    this.#gone.add(clientId);
    if (!entry) return;
    this.#drop(entry);
    if (isFirst) this.tabs?.tell({ outbox: clientId, hai });
    this.#tell("stored", { entry, hai });
  }

  async retry(clientId) {
    const entry = this.entries.get(clientId);
    if (!entry) return;
    this.#change(entry, { state: this.#ready(), words: undefined, isAgain: false });
    // As if new: what was too old may be sent now.
    const fresh = { failed: undefined, sent_at: this.now() };
    await this.#update(clientId, (row) => ({ ...row, ...fresh }));
    this.flush();
  }

  discard(clientId) {
    const entry = this.entries.get(clientId);
    if (!entry) return;
    for (const { key, uploaded } of entry.pictures) {
      this.uploads.stop(key);
      if (uploaded) this.uploads.discard(uploaded.id);
    }
    this.#leave(entry);
    this.tabs?.tell({ outbox: clientId });
  }

  #leave(entry, isStored = false) {
    this.#drop(entry);
    this.#tell("discarded", entry);
    if (isStored) this.#tell("stored", { entry });
    return true;
  }

  #drop(entry) {
    this.entries.delete(entry.client_id);
    this.#gone.add(entry.client_id);
    this.pictures.letGo(entry);
    const gone = this.store.change(async (rows) => {
      await rows.remove("outbox", entry.client_id);
      for (const { key } of entry.pictures) {
        await rows.remove("files", key);
        await rows.remove("uploads", key);
      }
    });
    gone.catch(() => undefined); // sent again, it is acked again
  }

  #wait() {
    for (const entry of this.entries.values()) {
      if (entry.state === "sending") this.#change(entry, { state: "waiting" });
    }
  }

  #change(entry, changes) {
    const known = this.entries.get(entry.client_id);
    if (!known) return;
    const changed = { ...known, ...changes };
    this.entries.set(entry.client_id, changed);
    this.#tell("changed", changed);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
