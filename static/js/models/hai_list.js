// The hais of the open room that this tab holds: one stretch without gaps, oldest
// first, tombstones left out.

const PAGE = 40;
const ID = (hai) => hai.id;

/** Where a hai of that id stands or would stand. */
function placeOf(hais, id) {
  let low = 0;
  let high = hais.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (hais[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Events: "added", "changed", "gone" (detail: hai), "reset", "edges". */
export class HaiList extends EventTarget {
  #gone = new Map(); // id -> rev of a tombstone: an older row must not bring it back
  #isLoading = false;
  #flights = new Set(); // for each page in flight: the rows merged meanwhile
  #stretch = 0; // changes whenever the oldest held hai does

  /** rev: what it was drawn at. newAfterId: the hai after which the new ones begin;
      undefined: nothing is new, or where it begins has been found. */
  constructor({ roomId, hais, rev = 0, hasMoreBefore, hasMoreAfter, newAfterId, get }) {
    super();
    this.roomId = roomId;
    this.hais = hais;
    this.rev = rev;
    this.hasMoreBefore = hasMoreBefore;
    this.hasMoreAfter = hasMoreAfter;
    this.newAfterId = newAfterId;
    this.get = get; // get({before|after|around, limit}) -> {hais, has_more}
  }

  get first() {
    return this.hais[0];
  }

  get last() {
    return this.hais.at(-1);
  }

  /** The first of the new ones that is here. */
  get firstNew() {
    return this.newAfterId === undefined ? undefined : this.after(this.newAfterId);
  }

  find(id) {
    const hai = this.hais[placeOf(this.hais, id)];
    return hai?.id === id ? hai : undefined;
  }

  before(id) {
    return this.hais[placeOf(this.hais, id) - 1];
  }

  after(id) {
    const place = placeOf(this.hais, id);
    return this.hais[place + (this.hais[place]?.id === id ? 1 : 0)];
  }

  /** How many hais of others stand above a read marker; undefined when there are more
      than are held. lastId: of the room's last one. */
  countAfter(haiId, meId, lastId = 0) {
    const isBelowUs = this.hasMoreBefore && !(this.first?.id <= haiId + 1);
    const isAboveUs = this.hasMoreAfter || (this.last?.id ?? 0) < lastId;
    if (isBelowUs || isAboveUs) return undefined;
    const newer = this.hais.slice(placeOf(this.hais, haiId + 1));
    return newer.filter((hai) => hai.user_id !== meId).length;
  }

  /** Take in a row, from wherever it came. */
  merge(hai) {
    if (hai.room_id !== this.roomId) return;
    this.#flights.forEach((came) => came.push(hai));
    if (this.#isGone(hai)) return;
    const place = placeOf(this.hais, hai.id);
    const known = this.hais[place]?.id === hai.id ? this.hais[place] : null;
    if (known && known.rev >= hai.rev) return;
    if (hai.deleted_at) this.#remove(place, known, hai);
    else if (known) this.#change(place, hai);
    else if (this.#isNews(hai)) this.#add(place, hai);
  }

  /** An old row of a hai that is not held is of one that was deleted since. */
  #isNews(hai) {
    return hai.rev > this.rev && this.#isInStretch(hai.id);
  }

  /** Shown optimistically, before the server's answer: its rev is the same, so any row
      replaces it. */
  guess(hai) {
    const place = placeOf(this.hais, hai.id);
    if (this.hais[place]?.id === hai.id) this.#change(place, hai);
  }

  /** Run `act`, which fetches, then merge anew what came meanwhile: what was fetched may
      be older, or reach to where those rows were beyond our stretch. */
  async during(act) {
    const came = [];
    this.#flights.add(came);
    try {
      return await act();
    } finally {
      this.#flights.delete(came);
      came.forEach((hai) => this.merge(hai));
    }
  }

  #isGone(hai) {
    return this.#gone.get(hai.id) >= hai.rev;
  }

  #isInStretch(id) {
    if (this.hasMoreAfter && (!this.last || id > this.last.id)) return false;
    return !(this.hasMoreBefore && this.first && id < this.first.id);
  }

  #add(place, hai) {
    this.hais.splice(place, 0, hai);
    this.#tell("added", hai);
  }

  #change(place, hai) {
    this.hais[place] = hai;
    this.#tell("changed", hai);
  }

  #remove(place, known, hai) {
    this.#gone.set(hai.id, hai.rev);
    if (!known) return;
    this.hais.splice(place, 1);
    this.#tell("gone", known);
  }

  async loadBefore() {
    if (!this.hasMoreBefore || !this.first) return;
    await this.#load({ before: this.first.id, limit: PAGE }, (page) => {
      this.hasMoreBefore = page.has_more;
    });
  }

  async loadAfter() {
    if (!this.hasMoreAfter || !this.last) return;
    await this.#load({ after: this.last.id, limit: PAGE }, (page) => {
      this.hasMoreAfter = page.has_more;
    });
  }

  async #load(query, setEdge) {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      await this.during(() => this.#adjoin(query, setEdge));
    } finally {
      this.#isLoading = false;
    }
  }

  async #adjoin(query, setEdge) {
    const stretch = this.#stretch;
    const page = await this.get(query);
    if (stretch !== this.#stretch) return; // what it adjoins is no longer held
    page.hais.forEach((hai) => this.#take(hai));
    setEdge(page);
    this.#tell("edges");
  }

  /** A row of a page that adjoins our stretch. */
  #take(hai) {
    const place = placeOf(this.hais, hai.id);
    if (this.hais[place]?.id === hai.id) this.merge(hai);
    else if (!this.#isGone(hai)) this.#add(place, hai);
  }

  /** Fetch the newest again: rows may be missing that no fact will bring. */
  async refresh() {
    if (!this.hasMoreAfter) await this.during(() => this.#lookAgain());
  }

  async #lookAgain() {
    const held = this.hais.map(ID);
    const page = await this.get({ limit: PAGE });
    if (this.hasMoreAfter) return; // meanwhile the reader went to the past
    const oldest = page.hais[0]?.id ?? 0;
    if (page.has_more && oldest > (held.at(-1) ?? 0)) this.#reset(page);
    else this.#settle(page, held, page.has_more ? oldest : 0);
  }

  /** held: ids that were here before the page was drawn, and are gone if not in it. */
  #settle(page, held, fromId) {
    const ids = new Set(page.hais.map(ID));
    for (const id of held) {
      if (id < fromId || ids.has(id)) continue;
      const stale = this.find(id);
      if (stale) this.#remove(placeOf(this.hais, id), stale, stale);
    }
    page.hais.forEach((hai) => this.#take(hai));
  }

  #reset(page) {
    this.#begin(page.hais);
    this.hasMoreBefore = page.has_more;
    this.hasMoreAfter = false;
    this.#tell("reset");
  }

  #begin(hais) {
    this.#stretch += 1;
    this.hais = hais.filter((hai) => !this.#isGone(hai));
  }

  /** Another stretch, drawn at `rev`: what came since then stays, and what is merged
      during the fetch (see `during`) is merged into it. */
  replace({ hais, has_more_before, has_more_after, new_after_hai_id, rev }) {
    const newer = this.hais.filter((hai) => hai.rev > rev);
    this.#begin(hais);
    this.rev = rev;
    this.hasMoreBefore = has_more_before;
    this.hasMoreAfter = has_more_after;
    this.newAfterId = new_after_hai_id;
    newer.forEach((hai) => this.merge(hai));
    this.#tell("reset");
  }

  /** Leave the past for the newest hais. */
  async toNow() {
    if (this.hasMoreAfter) await this.renew();
  }

  /** Drop all that is held, for the newest hais. */
  async renew() {
    await this.during(async () => this.#reset(await this.get({ limit: PAGE })));
  }

  /** Forget the oldest, so that a day in one room does not fill the page. */
  trim(most) {
    const gone = this.hais.splice(0, Math.max(0, this.hais.length - most));
    if (!gone.length) return;
    this.#stretch += 1;
    this.hasMoreBefore = true;
    gone.forEach((hai) => this.#tell("gone", hai));
    this.#tell("edges");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
