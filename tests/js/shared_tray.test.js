import assert from "node:assert/strict";
import { test } from "node:test";

import { Drafts } from "#models/drafts";
import { shareInto } from "#models/shared_tray";
import { FakeStorage, FakeStore, png } from "./cast.js";

function makePage() {
  const store = new FakeStore();
  const drafts = new Drafts({ own: new FakeStorage(), shared: new FakeStorage(), store, meId: 1 });
  let last = 0;
  return { store, drafts, newKey: () => `s${++last}` };
}

test("what is shared stands in the room's tray, after what was shared before", async () => {
  const page = makePage();
  await shareInto(7, [{ file: png("a") }, { file: png("b") }], page);
  await shareInto(7, [{ file: png("c") }], page);
  const tray = page.store.tables.trays.get("shared.7");
  assert.deepEqual(
    tray.pictures.map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.equal(page.store.tables.files.get("s3").file.name, "c");
});

test("shared words go behind what was written there", async () => {
  const page = makePage();
  page.drafts.keep(7, { text: "I was about to" });
  await shareInto(7, [{ text: "https://sea.example" }], page);
  assert.equal(page.drafts.of(7).text, "I was about to\nhttps://sea.example");
});

test("on a full device nothing is half shared", async () => {
  const page = makePage();
  page.store.refuse = (table) => table === "trays" && new DOMException("", "QuotaExceededError");
  await assert.rejects(shareInto(7, [{ file: png("a") }, { text: "words" }], page));
  assert.equal(page.store.tables.files.size, 0);
  assert.equal(page.drafts.of(7).text, "");
});
