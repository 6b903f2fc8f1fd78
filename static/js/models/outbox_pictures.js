// The pictures of what is in the outbox: their files, here or in the browser's store, and
// their way to the server.

import { Refusal } from "#net/refusal";

const UPLOAD_KEPT_MS = 20 * 3_600_000; // the server sweeps unsent pictures after 24 h
const LOST = "This device could not keep its picture.";

export class OutboxPictures {
  #files = new Map(); // key -> File

  constructor({ store, uploads, epoch, now }) {
    Object.assign(this, { store, uploads, epoch, now });
  }

  hold(key, file) {
    this.#files.set(key, file);
  }

  held(key) {
    return this.#files.get(key);
  }

  letGo(entry) {
    entry.pictures.forEach(({ key }) => this.#files.delete(key));
  }

  /** Files that no tray and nothing to be sent names: a crash, or a full device, left
      them. Each is written together with the row that names it. */
  async sweep() {
    const swept = this.store.change(async (rows) => {
      const named = [...(await rows.all("outbox")), ...(await rows.all("trays"))];
      const keys = new Set(named.flatMap(({ pictures }) => pictures.map(({ key }) => key)));
      for (const { key } of await rows.all("files")) {
        if (!keys.has(key)) await rows.remove("files", key);
      }
    });
    await swept.catch(() => undefined); // next time
  }

  async #find(key) {
    const held = this.#files.get(key);
    if (held) return held;
    const row = await this.store.change((rows) => rows.get("files", key)).catch(() => null);
    if (row) this.#files.set(key, row.file);
    return row?.file;
  }

  /** Pictures of a row with something to show; `shown`: those drawn already. */
  async withUrls(pictures, shown = []) {
    const found = pictures.map(async (picture) => {
      const url = shown.find(({ key }) => key === picture.key)?.url;
      if (url) return { ...picture, url };
      const file = await this.#find(picture.key);
      return { ...picture, url: file ? URL.createObjectURL(file) : "" };
    });
    return Promise.all(found);
  }

  missingOf(entry) {
    return entry.pictures.filter((picture) => !this.#isUploaded(picture));
  }

  /** Ids of another database, or swept by now, may mean other pictures. */
  #isUploaded({ uploaded }) {
    if (!uploaded || uploaded.epoch !== this.epoch()) return false;
    return this.now() - uploaded.at < UPLOAD_KEPT_MS;
  }

  /** Returns {id, epoch, at}. Rejects with a Refusal or Offline. */
  async upload(picture, roomId) {
    const { key } = picture;
    const file = await this.#find(key);
    if (!(await isReadable(file))) throw new Refusal({ code: "picture_lost", message: LOST });
    const { id } = await this.uploads.start(key, roomId, file, picture);
    return { id, epoch: this.epoch(), at: this.now() };
  }

  /** The pictures with one of them uploaded, unless it was before. */
  marked(pictures, key, uploaded) {
    return pictures.map((one) => {
      return one.key === key && !this.#isUploaded(one) ? { ...one, uploaded } : one;
    });
  }

  withoutUploads(pictures) {
    pictures.forEach(({ key }) => this.uploads.stop(key));
    return pictures.map(({ uploaded, ...picture }) => picture);
  }

  async describe(entry) {
    const described = entry.pictures.filter(({ alt }) => alt?.trim());
    await Promise.all(described.map((picture) => this.#describe(picture)));
  }

  async #describe({ alt, uploaded }) {
    try {
      await this.uploads.describe(uploaded.id, alt.trim());
    } catch (error) {
      if (error.code !== "not_found") throw error; // sent already, and described then
    }
  }
}

/** A file can be gone from the disk, or the browser may have lost its copy. */
async function isReadable(file) {
  if (!file) return false;
  return file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );
}
