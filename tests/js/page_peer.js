// The models of a page, without a page: they hear on standard input what a socket would
// tell them, and answer on standard output what they ask and, after each line, that they
// are at rest. Driven by tests/core/talk/test_page_interleavings.py.
//
// In: {begin: first state}, {fact: [name, payload]}, {ack: [id, answer]}, {fell: true},
// {up: true}, {read: hai id}, {load: "before" or "after"}, {show: true}.
// Out: {order: [id, name, payload]}, {shown: ...}, {rest: true}.

import { createInterface } from "node:readline";

import { CatchUp } from "#models/catch_up";
import { HaiList } from "#models/hai_list";
import { readsOf } from "#models/receipts";
import { State } from "#models/state";
import { ORDERS } from "#net/events";
import { Offline } from "#net/refusal";

const FIRST_STATE = "first_state"; // no orders, but asked for in the same way
const PEOPLE = "people";

const say = (words) => process.stdout.write(`${JSON.stringify(words)}\n`);

class Socket {
  isUp = true;
  #count = 0;
  #asked = new Map(); // id -> {resolve, reject}

  order(name, payload) {
    if (!this.isUp) return Promise.reject(new Offline());
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      say({ order: [id, name, payload] });
    });
  }

  acked(id, answer) {
    this.#asked.get(id)?.resolve(answer);
    this.#asked.delete(id);
  }

  fall() {
    this.isUp = false;
    this.#asked.forEach(({ reject }) => reject(new Offline()));
    this.#asked.clear();
  }
}

/** What app.js wires together. */
class Page {
  list = null;
  socket = new Socket();

  begin(first) {
    const { socket } = this;
    this.state = new State(first);
    this.catchUp = new CatchUp({
      state: this.state,
      socket,
      list: () => this.list,
      startOver: () => this.#startOver(),
      startAfresh: () => {
        throw new Error("the database is another one");
      },
    });
    if (first.room) this.list = this.#listOf(first);
    const on = (type, act) => this.state.addEventListener(type, ({ detail }) => act(detail));
    on("hai", (hai) => this.list?.merge(hai));
    on("unknown_users", async (ids) => {
      const answer = await socket.order(PEOPLE, { ids }).catch(() => null); // it fell
      this.state.meet(answer?.users ?? []);
    });
    on("gap", () => this.catchUp.run());
    on("removed", (id) => {
      if (id === this.list?.roomId) this.list = null;
    });
    const meId = this.state.me.id;
    this.state.countHeld = ({ id, last_hai_id: lastId }, haiId) =>
      this.list?.roomId === id ? this.list.countAfter(haiId, meId, lastId) : undefined;
    this.catchUp.run();
  }

  #listOf({ room, hais, rev, has_more_before, has_more_after }) {
    return new HaiList({
      roomId: room.id,
      hais,
      rev,
      hasMoreBefore: has_more_before,
      hasMoreAfter: has_more_after,
      get: (query) => this.socket.order(ORDERS.getHais, { room_id: room.id, ...query }),
    });
  }

  async #startOver() {
    const { list } = this;
    this.state.ask();
    const act = async () => {
      const { disconnectCount } = this.state;
      const { first } = await this.socket.order(FIRST_STATE, { room_id: list?.roomId });
      if (!first) return false;
      this.state.startOver(first, disconnectCount);
      if (list && list === this.list) list.replace(first);
      return true;
    };
    return list ? list.during(act) : act();
  }

  hear({ begin, fact, ack, fell, up, read, load, show }) {
    if (begin) this.begin(begin);
    if (fact) this.state.hear(...fact);
    if (ack) this.socket.acked(...ack);
    if (fell) this.#fall();
    if (up) this.#rise();
    if (read) this.state.read(this.list.roomId, read);
    if (load) this.#load(load);
    if (show) say({ shown: this.#shown() });
  }

  #fall() {
    this.socket.fall();
    this.state.fell();
  }

  #rise() {
    this.socket.isUp = true;
    this.catchUp.run();
  }

  #load(where) {
    const loading = where === "before" ? this.list.loadBefore() : this.list.loadAfter();
    loading.catch(() => undefined); // it fell
  }

  #shown() {
    const { rooms, users, marks, rev, isWhole } = this.state;
    const values = (map) => [...map.values()];
    const { list } = this;
    const edges = list && { before: list.hasMoreBefore, after: list.hasMoreAfter };
    const reads = list && readsOf(rooms.get(list.roomId), marks.get(list.roomId));
    const receipts = reads && Object.fromEntries(reads);
    return {
      receipts,
      rooms: values(rooms),
      users: values(users),
      rev,
      isWhole,
      hais: list?.hais,
      edges,
    };
  }
}

const page = new Page();
let current = page;
for await (const line of createInterface({ input: process.stdin })) {
  const heard = JSON.parse(line);
  if (heard.begin) current = new Page();
  current.hear(heard);
  await new Promise((resolve) => setImmediate(resolve)); // whatever needs no answer
  say({ rest: true });
}
