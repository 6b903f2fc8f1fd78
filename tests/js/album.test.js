import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { album } from "#lib/album";

const cases = JSON.parse(readFileSync(new URL("albums.json", import.meta.url), "utf8"));

test("albums are laid out as the server does", () => {
  for (const { sizes, tiles } of cases) {
    const laid = album(sizes.map(([width, height]) => ({ width, height })));
    const told = laid.map(({ span, rows, width, height }) => [span, rows, width, height]);
    assert.deepEqual(told, tiles, JSON.stringify(sizes));
  }
});

test("a picture of no known size still has a place", () => {
  assert.deepEqual(album([{}]), [{ span: 0, rows: 1, width: 72, height: 72 }]);
  assert.equal(album([{}, { width: 3, height: 2 }]).length, 2);
});
