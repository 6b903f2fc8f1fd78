import assert from "node:assert/strict";
import { test } from "node:test";

import { Quotes } from "#models/quotes";
import { makeHai, record, settled, tombstone } from "./cast.js";

function makeQuotes(hais) {
  const asked = [];
  const quotes = new Quotes(async (query) => {
    asked.push(query.around);
    return { hais };
  });
  return { quotes, asked, heard: record(quotes, "found") };
}

test("a hai further back is asked for once", async () => {
  const { quotes, asked, heard } = makeQuotes([makeHai(5)]);
  assert.equal(quotes.find(5), undefined);
  quotes.find(5);
  await settled();
  assert.deepEqual(asked, [5]);
  assert.equal(quotes.find(5).text, "hai 5");
  assert.equal(heard.length, 1);
});

test("one that is not there any more is gone", async () => {
  const { quotes, heard } = makeQuotes([makeHai(6)]);
  quotes.find(5);
  assert.equal(quotes.isGone(5), false, "not known yet");
  await settled();
  assert.equal(quotes.isGone(5), true);
  assert.deepEqual(heard, [["found", { id: 5 }]]);
});

test("what the page says is gone is not asked for", () => {
  const { quotes, asked } = makeQuotes([]);
  quotes.gone([5]);
  assert.equal(quotes.find(5), undefined);
  assert.equal(quotes.isGone(5), true);
  assert.deepEqual(asked, []);
});

test("deleted or edited while it is quoted, it is quoted so", async () => {
  const { quotes, heard } = makeQuotes([makeHai(5)]);
  quotes.find(5);
  await settled();
  quotes.hear(makeHai(5, { rev: 900, text: "better" }));
  quotes.hear(makeHai(5, { rev: 800, text: "older" }));
  assert.equal(quotes.find(5).text, "better");
  quotes.hear(makeHai(99));
  assert.equal(heard.length, 2, "others are not told");
  quotes.hear(tombstone(makeHai(5), 901));
  assert.equal(quotes.find(5), undefined);
  assert.equal(quotes.isGone(5), true);
});
