// How much is unread in one room: what its row had counted, and what was seen since.
// It is the same whatever the order in which rows and hais come, and however often.

const MOST = 1000; // the server counts no further

/** The row of a room is a snapshot: it had counted the living hais of others above
    my marker that were sent up to its last_hai_id, less those deleted up to its rev. */
export class Unread {
  #row = { rev: -1, lastId: -1, readId: 0, unread: 0 };
  #seen = new Map(); // id -> {rev, isLiving}: hais of others above the row's marker

  take({ rev, last_hai_id: lastId = 0, my_read_hai_id: readId = 0, unread = 0 }) {
    if (rev < this.#row.rev || lastId < this.#row.lastId) return; // an earlier version
    this.#row = { rev, lastId, readId, unread };
    this.#forget();
  }

  /** A hai of another, from wherever it came. */
  see({ id, rev, deleted_at }) {
    if (id <= this.#row.readId || this.#seen.get(id)?.rev >= rev) return;
    this.#seen.set(id, { rev, isLiving: !deleted_at });
  }

  /** My marker has moved: what is up to it need not be remembered. */
  read(readId) {
    if (readId < this.#row.lastId) return; // the row may have counted some above it
    this.#row = { rev: this.#row.rev, lastId: readId, readId, unread: 0 };
    this.#forget();
  }

  /** undefined: it was counted by the row, and which ones those are is not known here. */
  count(readId) {
    const counted = this.#counted(readId);
    if (counted === undefined) return undefined;
    let unread = counted;
    for (const [id, hai] of this.#seen) if (id > readId) unread += this.#since(id, hai);
    return Math.min(Math.max(unread, 0), MOST);
  }

  #since(id, { rev, isLiving }) {
    if (id > this.#row.lastId) return isLiving ? 1 : 0;
    return rev > this.#row.rev && !isLiving ? -1 : 0;
  }

  #counted(readId) {
    const { rev, lastId, unread } = this.#row;
    if (readId <= this.#row.readId || !unread) return unread;
    if (readId >= lastId) return 0;
    const wasCounted = ([id, hai]) => id <= lastId && (hai.isLiving || hai.rev > rev);
    const ids = [...this.#seen].filter(wasCounted).map(([id]) => id);
    return ids.length === unread ? ids.filter((id) => id > readId).length : undefined;
  }

  #forget() {
    for (const id of this.#seen.keys()) if (id <= this.#row.readId) this.#seen.delete(id);
  }
}
