// What was typed and not sent, for each room, through reloads and crashes. Every keystroke
// is written at once to this tab's own storage and to the one that tabs share; those reach
// the disk only after seconds, so a moment later it goes to the store too. (Pictures
// about to be sent are kept by models/tray.js.)

import { debounce } from "#lib/timing";

const STORE_MS = 300;

/** A draft: {text, reply?: {id, words, picture_id?, url?}, edit?: {id, text}}. */
export class Drafts {
  #changed = new Map(); // room_id -> draft as text, still to be stored

  constructor({ own, shared, store, meId, storeMs = STORE_MS }) {
    this.storages = [own, shared];
    this.store = store;
    this.prefix = `hai.draft.${meId}.`;
    this.later = debounce(storeMs, () => this.#keepAll());
  }

  of(roomId) {
    const kept = this.#kept(roomId);
    return kept ? JSON.parse(kept) : { text: "" };
  }

  /** As text: this tab's own, else what a tab that is gone has left. */
  #kept(roomId) {
    const key = this.prefix + roomId;
    return this.storages.map((storage) => storage.getItem(key)).find(Boolean);
  }

  /** What a crash left, where nothing else did. */
  async found(roomId) {
    const row = await this.store.change((rows) => rows.get("drafts", roomId)).catch(() => null);
    return row ? JSON.parse(row.draft) : { text: "" };
  }

  keep(roomId, draft) {
    const isEmpty = !draft.text && !draft.reply && !draft.edit;
    this.#write(roomId, isEmpty ? "" : JSON.stringify(draft));
  }

  /** It is on its way. What was written since, here or in another tab, stays. */
  sent(roomId, draft) {
    const gone = JSON.stringify(draft);
    if (this.#kept(roomId) === gone) this.#write(roomId, "", gone);
  }

  /** gone: clear the shared storage only of this. */
  #write(roomId, text, gone = undefined) {
    const key = this.prefix + roomId;
    for (const storage of this.storages) {
      if (!gone || storage.getItem(key) === gone) write(storage, key, text);
    }
    this.#changed.set(roomId, text);
    this.later();
  }

  #keepAll() {
    const changed = [...this.#changed];
    this.#changed.clear();
    const done = this.store.change(async (rows) => {
      for (const [room_id, draft] of changed) {
        await (draft ? rows.put("drafts", { room_id, draft }) : rows.remove("drafts", room_id));
      }
    });
    done.catch(() => undefined); // the storages have it
  }
}

function write(storage, key, text) {
  try {
    if (text) storage.setItem(key, text);
    else storage.removeItem(key);
  } catch {
    // Storage is full or forbidden: the field itself still holds the words.
  }
}
