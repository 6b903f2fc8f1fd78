import assert from "node:assert/strict";
import { test } from "node:test";

import { clockWords, dayWords, exactTime, isoTime } from "#lib/time";

const at = (...parts) => new Date(...parts).getTime();
const NOW = at(2026, 10, 22, 0, 30); // a Sunday, half past midnight

test("a day is called as one would call it", () => {
  const days = [
    [at(2026, 10, 22, 0, 1), ""],
    [at(2026, 10, 21, 23, 59), "Yesterday"],
    [at(2026, 10, 20, 0, 0), "Fri"],
    [at(2026, 10, 15, 0, 0), "15 Nov"],
    [at(2025, 10, 15, 0, 0), "15 Nov 2025"],
  ];
  for (const [ms, words] of days) assert.equal(dayWords(ms, NOW), words);
});

test("a clock that runs ahead is no reason for a strange day", () => {
  assert.equal(dayWords(NOW + 60_000, NOW), "");
});

test("times have two figures for hours and minutes", () => {
  assert.equal(clockWords(at(2026, 0, 5, 7, 4)), "07:04");
  assert.equal(exactTime(at(2026, 0, 5, 7, 4)), "Mon 5 Jan 2026, 07:04");
});

test("the machine's form is UTC with milliseconds", () => {
  assert.equal(isoTime(0), "1970-01-01T00:00:00.000Z");
});
