import assert from "node:assert/strict";
import { test } from "node:test";

import { readsOf, receiptOf } from "#models/receipts";
import { State } from "#models/state";
import { ada, firstState, grace, makeHai, makeRoom } from "./cast.js";

const linus = { id: 3, rev: 3, name: "linus", display_name: "Linus", kind: "person" };
const eliza = { id: 4, rev: 4, name: "eliza", display_name: "Eliza", kind: "bot" };
const people = new Map([ada, grace, linus, eliza].map((one) => [one.id, one]));
const told = (changes) => makeRoom({ has_receipts: true, read_hai_ids: {}, ...changes });
const begin = (room) => new State(firstState({ rooms: [makeRoom()], room }));
const reads = (state) => readsOf(state.rooms.get(7), state.marks.get(7));
const mark = (userId, haiId, rev) => ({ room_id: 7, user_id: userId, hai_id: haiId, rev });
const receipt = (room, read, hais) =>
  receiptOf(room, new Map(read), hais, { meId: ada.id, user: (id) => people.get(id) });

test("a mark that is newer than the row counts, an older one is in it", () => {
  const state = begin(told({ rev: 50, read_hai_ids: { 2: 40 } }));
  state.hear("read_marked", mark(3, 41, 49));
  assert.deepEqual([...reads(state)], [[2, 40]]);
  state.hear("read_marked", mark(2, 45, 51));
  assert.deepEqual([...reads(state)], [[2, 45]]);
});

test("to send is to have read, and an old hai that changes takes nothing back", () => {
  const state = begin(told({ rev: 50, read_hai_ids: { 2: 70 } }));
  state.hear("hai_changed", { hai: makeHai(60, { rev: 99 }) });
  assert.deepEqual([...reads(state)], [[2, 70]]);
  state.hear("hai_sent", { hai: makeHai(100, { rev: 100 }) });
  assert.deepEqual([...reads(state)], [[2, 100]]);
});

test("off is at once, and large rooms tell nothing", () => {
  const state = begin(told({ rev: 50, read_hai_ids: { 2: 40 } }));
  state.hear("room_changed", { room: makeRoom({ rev: 51 }) });
  assert.equal(reads(state), null);
  assert.equal(readsOf(told({ member_count: 101 })), null);
});

test("it stands under the newest of mine that another person has read", () => {
  const hais = [10, 20, 30].map((id) => makeHai(id, { user_id: ada.id }));
  const seen = (room, read) => receipt(room, read, hais);
  assert.equal(seen(told(), [[ada.id, 30]]), null);
  assert.equal(seen(told(), [[eliza.id, 30]]), null);
  assert.deepEqual(seen(told(), [[grace.id, 25]]), {
    haiId: 20,
    words: "Seen by Grace",
    names: "Grace",
  });
  const both = seen(told(), [
    [linus.id, 30],
    [grace.id, 31],
  ]);
  assert.deepEqual(both, { haiId: 30, words: "Seen by 2", names: "Grace, Linus" });
  assert.equal(seen(told({ kind: "direct" }), [[grace.id, 30]]).words, "Seen");
});
