// All pictures and videos of a talk in their order, and the one that is shown. It begins
// with one hai and fetches more with pictures at its ends, however much was said between
// them, and whatever the page holds. Videos are among them; voices play in
// the talk and are passed over.

import { seenOf } from "#models/media_view";

const PAGE = 20;

/** Events: "changed" (what is looked at, or what is beside it), "gone" (all of it). */
export class Gallery extends EventTarget {
  #hais; // with pictures, oldest first
  #ended = { before: false, after: false };
  #loading = new Map(); // "before" or "after" -> promise
  #haiId;
  #pictureId;

  /** get({before|after|around, limit, with_pictures}) -> {hais, has_more}. */
  constructor({ get, hai, pictureId }) {
    super();
    this.get = get;
    this.#hais = [hai];
    this.#haiId = hai.id;
    this.#pictureId = pictureId;
  }

  /** {hai, picture, number, count}: number and count are within the hai's album. */
  get here() {
    const hai = this.#hais.find(({ id }) => id === this.#haiId);
    const seen = seenOf(hai);
    const index = seen.findIndex(({ id }) => id === this.#pictureId);
    return { hai, picture: seen[index], number: index + 1, count: seen.length };
  }

  get #all() {
    return this.#hais.flatMap((hai) => seenOf(hai).map((picture) => ({ hai, picture })));
  }

  get #place() {
    return this.#all.findIndex(({ picture }) => picture.id === this.#pictureId);
  }

  /** The picture so many steps on, of those that are here. */
  beside(step) {
    return this.#all[this.#place + step]?.picture;
  }

  /** Whether there is another one; true while that is not known. */
  mayTurn(step) {
    return Boolean(this.beside(step)) || !this.#ended[step < 0 ? "before" : "after"];
  }

  /** Resolves with whether it turned; rejects when the next one cannot be fetched. */
  async turn(step) {
    if (!this.beside(step)) await this.load(step);
    const next = this.#all[this.#place + step];
    if (!next) return false;
    this.#look(next);
    this.#tell("changed");
    this.load(step).catch(() => undefined); // so that the next is loaded in time
    return true;
  }

  #look({ hai, picture }) {
    this.#haiId = hai.id;
    this.#pictureId = picture.id;
  }

  /** Load the neighbouring picture, if there is one. */
  load(step) {
    const side = step < 0 ? "before" : "after";
    if (this.#ended[side] || this.beside(step)) return Promise.resolve();
    if (!this.#loading.has(side)) {
      const done = this.#load(side).finally(() => this.#loading.delete(side));
      this.#loading.set(side, done);
    }
    return this.#loading.get(side);
  }

  /** Until there is one: hais of voices only are among those with pictures. */
  async #load(side) {
    const step = side === "before" ? -1 : 1;
    do await this.#loadPage(side);
    while (!this.beside(step) && !this.#ended[side]);
    this.#tell("changed");
  }

  async #loadPage(side) {
    const edge = side === "before" ? this.#hais[0] : this.#hais.at(-1);
    const page = await this.get({ [side]: edge.id, limit: PAGE, with_pictures: true });
    page.hais.forEach((hai) => this.#put(hai));
    this.#ended[side] = !page.has_more;
  }

  #put(hai) {
    const known = this.#hais.findIndex(({ id }) => id === hai.id);
    if (known < 0) this.#hais.push(hai);
    else if (this.#hais[known].rev <= hai.rev) this.#hais[known] = hai;
    this.#hais.sort((one, other) => one.id - other.id);
  }

  /** A hai as it is now: sent, described or deleted meanwhile. */
  merge(hai) {
    const isKnown = this.#hais.some(({ id }) => id === hai.id);
    if (isKnown && hai.deleted_at) this.#drop(hai.id);
    else if (isKnown || this.#isNext(hai)) this.#put(hai);
    else return;
    if (this.#hais.some(({ id }) => id === this.#haiId)) this.#tell("changed");
  }

  #isNext(hai) {
    return seenOf(hai).length && this.#ended.after && hai.id > this.#hais.at(-1).id;
  }

  #drop(haiId) {
    const next = this.#all.slice(this.#place).find(({ hai }) => hai.id !== haiId);
    const before = this.#all.findLast(({ hai }) => hai.id < haiId);
    this.#hais = this.#hais.filter(({ id }) => id !== haiId);
    if (this.#haiId !== haiId) return;
    if (next ?? before) this.#look(next ?? before);
    else this.#tell("gone");
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
