// The pictures about to be sent, in the order chosen: up to ten, each uploading, done or
// failed. They are stored in the browser as they come in, so that they are still here
// after a reload; what is sent moves to the outbox and goes on uploading there.

import { kindOfFile, refusalOf, typeOfFile } from "#lib/picture_types";
import { byteWords, kindOf } from "#lib/text";
import { pictureRowOf } from "#models/outbox_entry";
import { isForGood } from "#net/refusal";

const MOST = 10;
const FULL = `One hai holds up to ${MOST} pictures.`;
// The shape that is reserved for what the browser could not measure.
const SHAPES = {
  picture: { width: 4, height: 3 },
  video: { width: 1280, height: 720 },
  voice: { width: 0, height: 0 },
};

/**
 * An item: {key, file, type, url, state, progress, alt, width, height, duration_ms?,
 * keepsMetadata?, uploaded?, error?}. keepsMetadata: with what its camera wrote, place
 * and all.
 * state: "uploading", "done", "failed" or "refused" (trying again cannot help).
 * Events: "changed"; "full" (detail: what to say of those that did not fit); "unkept"
 * (detail: why a picture is in memory only).
 */
export class Tray extends EventTarget {
  items = [];
  #writing;
  #unwritten = 0;
  #isOpen = false;

  /** tabs: lib/tabs.js, or null; maxBytes: {picture, video, voice}; makeUrl(file) and
      newKey() may be a test's. */
  constructor({ roomId, store, uploads, tabs, epoch, maxBytes, makeUrl, newKey }) {
    super();
    const given = { roomId, store, uploads, tabs, epoch, maxBytes, makeUrl, newKey };
    Object.assign(this, given);
    this.#writing = tabs?.ready ?? Promise.resolve();
    this.offs = [listen(uploads, "progress", (progress) => this.#moved(progress))];
  }

  get id() {
    return `${this.tabs?.id ?? ""}.${this.roomId}`;
  }

  /** Of the row that goes with what `take` hands over; none while that row may still
      hold what an earlier page left. */
  get takenId() {
    return this.#isOpen ? this.id : undefined;
  }

  // ---- Coming in ----

  /** A file was chosen, dropped, pasted or recorded (then we know how long it lasts).
      Returns why not, or undefined. */
  add(file, { duration_ms } = {}) {
    if (this.items.length >= MOST) {
      this.#tell("full", FULL);
      return FULL;
    }
    const message = this.#refusal(file);
    const url = message ? "" : this.makeUrl(file);
    const item = { key: this.newKey(), file, name: file.name, url, alt: "", progress: 0 };
    Object.assign(item, { type: typeOfFile(file), duration_ms });
    if (this.keepsMetadata) item.keepsMetadata = true;
    Object.assign(item, message ? { state: "refused", error: { message } } : {});
    this.items.push(item);
    if (message) this.#changed();
    else this.#begin(item);
    return message;
  }

  #refusal(file) {
    const words = refusalOf(file);
    if (words) return words;
    const most = this.maxBytes[kindOfFile(file)];
    if (file.size <= most) return undefined;
    const limit = byteWords(most);
    return `${byteWords(file.size)} is too large. Up to ${limit} will do.`;
  }

  async #begin(item) {
    const isKept = this.#keep(item);
    this.#upload(item);
    if (!(await isKept)) this.#tell("unkept", "full");
    else if (!this.store.keepsFiles) this.#tell("unkept", "refused");
  }

  async #upload(item) {
    const attempt = (item.attempt ?? 0) + 1;
    item.attempt = attempt;
    this.#set(item, { state: "uploading", progress: 0, error: undefined });
    try {
      const { id } = await this.uploads.start(item.key, this.roomId, item.file, item);
      if (item.attempt !== attempt) {
        this.uploads.discard(id); // started again meanwhile
        return;
      }
      const uploaded = { id, epoch: this.epoch(), at: Date.now() };
      this.#set(item, { progress: 1, uploaded });
      if (this.items.includes(item)) await this.#keep(); // done: here and there
      if (item.attempt === attempt) this.#set(item, { state: "done" });
    } catch (error) {
      if (item.attempt !== attempt) return;
      this.#set(item, { state: isForGood(error) ? "refused" : "failed", error });
      if (item.state === "refused") this.#keep();
    }
  }

  #moved({ key, fraction }) {
    const item = this.#find(key);
    if (item) this.#set(item, { progress: fraction });
  }

  // ---- Kept through reloads ----

  /** Put back what an earlier page of this tab, or a tab that is gone, left here. What
      comes in meanwhile is written after that, so that it takes nothing's place. */
  async open() {
    this.#writing = this.#putBack();
    await this.#writing;
    this.#isOpen = true;
  }

  async #putBack() {
    await this.tabs?.ready;
    const there = await this.#tabsThere();
    const left = await this.store.change((rows) => this.#claim(rows, there)).catch(() => []);
    for (const { file, ...picture } of left) {
      const item = { ...picture, file, url: this.makeUrl(file), progress: 0 };
      this.items.push(item);
      if (picture.uploaded?.epoch === this.epoch()) this.#set(item, { state: "done" });
      else this.#upload(item);
    }
    if (left.length) this.#keep();
  }

  async #tabsThere() {
    const kept = await this.store.change((rows) => rows.all("trays")).catch(() => []);
    const others = kept.filter((row) => row.room_id === this.roomId && row.id !== this.id);
    const ids = others.map((row) => row.tab_id);
    return ids.length && this.tabs ? this.tabs.areThere(ids) : new Set();
  }

  /** In one transaction, so that two tabs cannot claim the same. */
  async #claim(rows, there) {
    const found = [];
    for (const row of await rows.all("trays")) {
      const isFree = row.id === this.id || !there.has(row.tab_id);
      if (row.room_id !== this.roomId || !isFree) continue;
      if (row.id !== this.id) await rows.remove("trays", row.id);
      for (const picture of row.pictures) {
        const kept = await rows.get("files", picture.key);
        if (kept && !this.#find(picture.key)) found.push({ ...picture, file: kept.file });
      }
    }
    await rows.put("trays", this.#row(found));
    return found;
  }

  #row(more = []) {
    const pictures = [...this.#sendable, ...more].map(pictureRowOf);
    return { id: this.id, tab_id: this.tabs?.id ?? "", room_id: this.roomId, pictures };
  }

  get #sendable() {
    return this.items.filter((item) => item.state !== "refused");
  }

  /** Whether something would be lost if the page ended now. */
  get isKeeping() {
    return this.#unwritten > 0;
  }

  /** Returns whether it could; one after the other, the last state last. */
  #keep(item) {
    this.#unwritten += 1;
    const write = () =>
      this.store.change(async (rows) => {
        const row = this.#row();
        await (row.pictures.length ? rows.put("trays", row) : rows.remove("trays", this.id));
        if (!item || !this.items.includes(item)) return; // removed meanwhile
        await rows.put("files", { key: item.key, file: item.file });
      });
    const ended = (isKept) => {
      this.#unwritten -= 1;
      return isKept;
    };
    const written = this.#writing.then(write);
    this.#writing = written.then(
      () => ended(true),
      () => ended(false),
    );
    return this.#writing;
  }

  // ---- Actions ----

  /** found: {width, height, duration_ms?} */
  measured(key, found) {
    const item = this.#find(key);
    if (!item || item.width === found.width) return;
    Object.assign(item, found);
    this.#keep();
  }

  setAlt(key, alt) {
    const item = this.#find(key);
    if (!item) return;
    item.alt = alt;
    this.#keep();
  }

  /** For all of one hai. Uploads under way start again, with the other choice. */
  get keepsMetadata() {
    return this.items.some((item) => item.keepsMetadata);
  }

  setKeepsMetadata(is) {
    for (const item of this.#sendable) {
      item.keepsMetadata = is;
      this.#takeBack(item);
      this.#upload(item);
    }
    this.#keep();
  }

  #takeBack(item) {
    this.uploads.stop(item.key);
    if (item.uploaded) this.uploads.discard(item.uploaded.id);
    item.uploaded = undefined;
  }

  remove(key) {
    const item = this.#find(key);
    this.items = this.items.filter((one) => one !== item);
    this.#takeBack(item);
    this.#keep();
    this.store.change((rows) => rows.remove("files", key)).catch(() => undefined);
    this.#changed();
  }

  retry(item) {
    this.#upload(item);
  }

  /** The network is back: what failed for lack of it is retried by itself. */
  retryOffline() {
    const lost = this.items.filter(
      ({ state, error }) => state === "failed" && error.code === "offline",
    );
    lost.forEach((item) => this.#upload(item));
  }

  /** Hand over what can be sent; the refused are left behind. */
  take() {
    const taken = this.#sendable.map((item) => {
      const { file, url } = item;
      const shape = item.width === undefined ? SHAPES[kindOf(item)] : {};
      return { ...pictureRowOf(item), ...shape, file, url };
    });
    this.items = [];
    this.#changed();
    return taken;
  }

  /** The room is left; uploads go on, and what is here is put back on return. */
  close() {
    this.offs.forEach((off) => off());
  }

  #find(key) {
    return this.items.find((item) => item.key === key);
  }

  #set(item, changes) {
    Object.assign(item, changes);
    if (this.items.includes(item)) this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function listen(target, type, hear) {
  const listener = ({ detail }) => hear(detail);
  target.addEventListener(type, listener);
  return () => target.removeEventListener(type, listener);
}
