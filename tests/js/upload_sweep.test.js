import assert from "node:assert/strict";
import { test } from "node:test";

import { sweep } from "#net/upload_sweep";
import { FakeStore } from "./cast.js";

const DAY_MS = 24 * 3_600_000;
const NOW = 100 * DAY_MS;

async function swept(rows, statuses = {}) {
  const store = new FakeStore();
  for (const row of rows) await store.put("uploads", row);
  const asked = [];
  const ask = async (url) => {
    asked.push(url);
    return statuses[url] && { status: statuses[url] };
  };
  await sweep(store, { ask, now: NOW });
  const kept = (await store.all("uploads")).map(({ key }) => key);
  return { kept, asked, store };
}

const left = (url) => ({ key: url, url, is_left: true, at: NOW });

test("what was given up is taken back once the server answers", async () => {
  const rows = [left("/uploads/a"), left("/uploads/b"), left("/uploads/c"), left("/uploads/d")];
  const statuses = { "/uploads/a": 204, "/uploads/b": 404, "/uploads/c": 401 };
  const { kept, asked } = await swept(rows, statuses);
  assert.equal(asked.length, 4);
  assert.deepEqual(kept, ["/uploads/c", "/uploads/d"]);
});

test("what the server has forgotten goes; what may go on stays, and is not asked for", async () => {
  const row = (key, days) => ({ key, url: `/uploads/${key}`, at: NOW - days * DAY_MS });
  const { kept, asked } = await swept([row("new", 3), row("old", 5)]);
  assert.deepEqual(kept, ["new"]);
  assert.deepEqual(asked, []);
});

test("a row of before has no time: it begins now", async () => {
  const { store } = await swept([{ key: "a", url: "/uploads/a" }]);
  assert.deepEqual(await store.get("uploads", "a"), { key: "a", url: "/uploads/a", at: NOW });
});
