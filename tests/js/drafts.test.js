import assert from "node:assert/strict";
import { test } from "node:test";

import { Drafts } from "#models/drafts";
import { FakeStorage, FakeStore, settled } from "./cast.js";

function makeDrafts(shared = new FakeStorage(), store = new FakeStore()) {
  const own = new FakeStorage();
  return { own, shared, store, drafts: new Drafts({ own, shared, store, meId: 1, storeMs: 0 }) };
}

test("each room keeps its own, with whom it answers and what it changes", () => {
  const { drafts } = makeDrafts();
  drafts.keep(7, { text: "half", reply: { id: 3, words: "Grace: hai" } });
  drafts.keep(8, { text: "", edit: { id: 4, text: "Frist" } });
  assert.equal(drafts.of(7).reply.id, 3);
  assert.equal(drafts.of(8).edit.text, "Frist");
  assert.deepEqual(drafts.of(9), { text: "" });
});

test("two tabs have each their own; a new tab takes the last one written", () => {
  const shared = new FakeStorage();
  const one = makeDrafts(shared).drafts;
  const other = makeDrafts(shared).drafts;
  one.keep(7, { text: "one" });
  other.keep(7, { text: "other" });
  assert.equal(one.of(7).text, "one");
  assert.equal(makeDrafts(shared).drafts.of(7).text, "other");
});

test("sent, it goes, but not what was written since or in another tab", async () => {
  const shared = new FakeStorage();
  const { drafts, store } = makeDrafts(shared);
  drafts.keep(7, { text: "one" });
  drafts.sent(7, { text: "one" });
  await settled();
  assert.deepEqual(drafts.of(7), { text: "" });
  assert.equal(store.tables.drafts.size, 0);
  drafts.keep(7, { text: "two" });
  drafts.sent(7, { text: "one" });
  assert.equal(drafts.of(7).text, "two");
  makeDrafts(shared).drafts.keep(7, { text: "elsewhere" });
  drafts.sent(7, { text: "two" });
  assert.equal(makeDrafts(shared).drafts.of(7).text, "elsewhere");
});

test("after a crash the store has it", async () => {
  const { drafts, store } = makeDrafts();
  drafts.keep(7, { text: "half" });
  await settled();
  const { drafts: later } = makeDrafts(new FakeStorage(), store);
  assert.deepEqual(later.of(7), { text: "" });
  assert.deepEqual(await later.found(7), { text: "half" });
});

test("a storage that is full stops nobody", () => {
  const { drafts, own } = makeDrafts();
  own.setItem = () => {
    throw new DOMException("", "QuotaExceededError");
  };
  drafts.keep(7, { text: "half" });
  assert.equal(drafts.of(7).text, "half");
});

test("what a tab that is gone left, and this one sends unchanged, goes", () => {
  const shared = new FakeStorage();
  makeDrafts(shared).drafts.keep(7, { text: "left" });
  const { drafts } = makeDrafts(shared);
  drafts.sent(7, drafts.of(7));
  assert.deepEqual(drafts.of(7), { text: "" });
});
