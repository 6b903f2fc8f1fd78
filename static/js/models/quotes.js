// Hais that are quoted but not held by the list: fetched once each.

/** Events: "found" (detail: a hai whose quotes are to be drawn anew).
    get(query): get_hais in the room. */
export class Quotes extends EventTarget {
  #known = new Map(); // hai id -> hai, or null while asked for
  #gone = new Set(); // ids of hais that were deleted

  constructor(get) {
    super();
    this.get = get;
  }

  find(id) {
    if (this.#known.has(id)) return this.#known.get(id) ?? undefined;
    this.#known.set(id, null);
    this.#ask(id);
    return undefined;
  }

  isGone(id) {
    return this.#gone.has(id);
  }

  /** These were deleted, as the page's first state knows. */
  gone(ids) {
    for (const id of ids) {
      this.#gone.add(id);
      this.#known.set(id, null);
    }
  }

  /** A row arrived: quotes of it may have to show other words, or that it is deleted. */
  hear(hai) {
    if (hai.deleted_at) this.gone([hai.id]);
    else if (!(this.#known.get(hai.id)?.rev < hai.rev)) return;
    else this.#known.set(hai.id, hai);
    this.#tell(hai);
  }

  #tell(hai) {
    this.dispatchEvent(new CustomEvent("found", { detail: hai }));
  }

  async #ask(id) {
    try {
      const { hais } = await this.get({ around: id, limit: 1 });
      if (this.#gone.has(id)) return;
      const hai = hais.find((one) => one.id === id);
      if (hai) this.#known.set(id, hai);
      else this.gone([id]);
      this.#tell({ id });
    } catch {
      this.#known.delete(id); // asked for again when it is drawn again
    }
  }
}
