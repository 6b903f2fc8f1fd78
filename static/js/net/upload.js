// Uploads of a tab, whichever room is open. Dropzone takes drops on the whole page and
// queues, two at a time; the bytes go by tus (net/tus.js). It draws nothing
// (`disablePreviews`: its own previews do not pass Trusted Types); the tray is ours.
//
// The address of an upload is stored under the picture's key, so that it goes on after a
// reload, in another tab or on another day. One tab at a time
// uploads a picture; the next one finds it complete.

import { inTurn } from "#lib/tabs";
import { post } from "#net/api";
import { Offline, Refusal } from "#net/refusal";

const AT_ONCE = 2;
// After these the server has discarded what it had.
const HOPELESS = ["picture_type", "picture_truncated", "too_large", "not_found"];

/** The transport; fetched, like Dropzone, at the first sign of a picture. */
const getTus = () => import("#net/tus").catch(() => Promise.reject(new Offline()));

const stopped = () => new Refusal({ code: "stopped", message: "" });

/** Events: "progress" (detail: {key, fraction}), "dropped" (detail: file). */
export class Uploads extends EventTarget {
  #flights = new Map(); // key -> {key, file, roomId, keepsMetadata, promise, resolve, reject, upload?}
  #arrived = new Map(); // key -> promise of a picture: the outbox asks after the tray
  #leaving = new Map(); // key -> promise: what was stopped is being cancelled
  #loading = null;

  constructor(element, { store, takeTurn = inTurn }) {
    super();
    this.element = element; // takes drops
    Object.assign(this, { store, takeTurn });
  }

  /** Upload under a key; asked for again, it is still one upload, unless `stop`ped.
      keepsMetadata: with what its camera wrote.
      Resolves with the picture's {id}; rejects with Offline or a Refusal. */
  start(key, roomId, file, { keepsMetadata = false } = {}) {
    const known = this.#arrived.get(key) ?? this.#flights.get(key)?.promise;
    if (known) return known;
    const flight = { key, roomId, file, keepsMetadata };
    flight.promise = new Promise((resolve, reject) => Object.assign(flight, { resolve, reject }));
    this.#flights.set(key, flight);
    this.#fly(flight).catch(flight.reject);
    flight.promise.then(
      () => this.#flies(flight) && this.#arrived.set(key, flight.promise),
      () => undefined,
    );
    return flight.promise.finally(() => this.#flies(flight) && this.#flights.delete(key));
  }

  async #fly(flight) {
    const zone = await this.load();
    if (!this.#flies(flight)) throw stopped();
    if (zone) zone.addFile(flight.file);
    else flight.resolve(await this.#carry(flight));
  }

  #flies(flight) {
    return this.#flights.get(flight.key) === flight;
  }

  stop(key) {
    this.#arrived.delete(key);
    const flight = this.#flights.get(key);
    this.#flights.delete(key);
    this.#leaving.set(key, this.#takeBack(key));
    if (!flight) return;
    flight.reject(stopped());
    flight.upload?.abort();
    this.#loading?.then((zone) => zone?.removeFile(flight.file));
  }

  describe(id, alt) {
    return post(`/pictures/${id}`, { alt });
  }

  /** Delete one that no hai will have. */
  discard(id) {
    return post(`/pictures/${id}/discard`, {}).catch(() => undefined);
  }

  // ---- The bytes ----

  /** In turn with other tabs, which may have the same picture to upload. */
  #carry(flight) {
    return this.takeTurn(`hai.upload.${flight.key}`, () => this.#bring(flight));
  }

  async #bring(flight) {
    await this.#leaving.get(flight.key);
    const url = await this.#urlOf(flight.key);
    const { NoTus, TusUpload, uploadWhole } = await getTus();
    if (!this.#flies(flight)) throw stopped();
    const { roomId, file, key, keepsMetadata } = flight;
    const progress = (fraction) => this.#moved(key, fraction);
    const keepUrl = (found) => this.#keepUrl(flight, found);
    const about = { roomId, file, keepsMetadata, url };
    flight.upload = new TusUpload({ ...about, keepUrl, progress });
    try {
      return await flight.upload.run();
    } catch (error) {
      if (error instanceof NoTus) return uploadWhole(flight, progress);
      if (HOPELESS.includes(error.code)) await this.#keepUrl(flight, null);
      throw error;
    }
  }

  #moved(key, fraction) {
    this.dispatchEvent(new CustomEvent("progress", { detail: { key, fraction } }));
  }

  async #urlOf(key) {
    const row = await this.store.change((rows) => rows.get("uploads", key)).catch(() => null);
    return row?.url ?? null;
  }

  async #keepUrl({ key }, url) {
    const row = { key, url, at: Date.now() };
    const write = (rows) => (url ? rows.put("uploads", row) : rows.remove("uploads", key));
    await this.store.change(write).catch(() => undefined); // then it starts again after a reload
  }

  async #takeBack(key) {
    const url = await this.#urlOf(key);
    if (!url) return;
    const row = { key: url, url, is_left: true, at: Date.now() };
    const leave = async (rows) => {
      await rows.remove("uploads", key);
      await rows.put("uploads", row); // until the server has heard of it
    };
    await this.store.change(leave).catch(() => undefined);
    this.#sweep();
  }

  #sweep() {
    import("#net/upload_sweep").then(
      ({ sweep }) => sweep(this.store),
      () => undefined,
    );
  }

  // ---- Dropzone ----

  /** Dropzone is fetched at the first sign of a picture: nobody else pays its 19 KB.
      null when it cannot be loaded. */
  load() {
    this.#loading ??= this.#open().catch(() => {
      this.#loading = null;
      return null;
    });
    return this.#loading;
  }

  async #open() {
    this.#sweep(); // and with it net/tus.js is loaded
    const { Dropzone } = await import("dropzone");
    const zone = new Dropzone(this.element, {
      url: "/", // not used: see uploadFiles
      parallelUploads: AT_ONCE,
      disablePreviews: true,
      createImageThumbnails: false,
      clickable: false,
      maxFilesize: null, // checked by the tray, in words of our own
      accept: (file, done) => (this.#flightOf(file) ? done() : this.#drop(zone, file)),
    });
    zone.uploadFiles = (files) => files.forEach((file) => this.#send(zone, file, Dropzone));
    zone.on("complete", (file) => zone.removeFile(file));
    return zone;
  }

  /** Dropzone calls it for the next in its queue, and is told when that is done. */
  async #send(zone, file, { UPLOADING }) {
    const flight = this.#flightOf(file);
    file.xhr = { abort: () => flight?.upload?.abort() }; // it tells files apart by these
    try {
      if (!flight) throw stopped();
      flight.resolve(await this.#carry(flight));
      if (file.status === UPLOADING) zone._finished([file], "", null);
    } catch (error) {
      flight?.reject(error);
      if (file.status === UPLOADING) zone._errorProcessing([file], error.message, null);
    }
  }

  #flightOf(file) {
    return [...this.#flights.values()].find((flight) => flight.file === file);
  }

  /** A new one: it comes back by `start` once it is in the tray. */
  #drop(zone, file) {
    zone.removeFile(file);
    this.dispatchEvent(new CustomEvent("dropped", { detail: file }));
  }
}
