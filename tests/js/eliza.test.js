import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "#controllers/eliza";

test("whatever Eliza answers is words", () => {
  assert.equal(wordsOf("How do you do?"), "How do you do?");
  assert.equal(wordsOf({ text: "Go on." }), "Go on.");
  const error = { code: "rate_limited", message: "One moment." };
  assert.equal(wordsOf({ error }), "One moment.");
});
