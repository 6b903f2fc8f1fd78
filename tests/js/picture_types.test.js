import assert from "node:assert/strict";
import { test } from "node:test";

import { refusalOf } from "#lib/picture_types";

test("pictures that can be sent are not refused", () => {
  for (const type of ["image/png", "image/jpeg", "image/gif", "image/webp"]) {
    assert.equal(refusalOf({ type, name: "sea" }), "");
  }
});

test("HEIC and AVIF are refused with what to do, by type or by name", () => {
  for (const file of [
    { type: "image/heic", name: "IMG_1" },
    { type: "image/heif", name: "IMG_1" },
    { type: "", name: "IMG_1.HEIC" },
    { type: "", name: "IMG_1.hif" },
  ]) {
    assert.match(refusalOf(file), /HEIC.*JPEG/);
  }
  assert.match(refusalOf({ type: "image/avif", name: "sea" }), /AVIF.*JPEG/);
  assert.match(refusalOf({ type: "", name: "sea.avif" }), /AVIF.*JPEG/);
});

test("anything else is told what pictures can be", () => {
  assert.match(refusalOf({ type: "image/svg+xml", name: "sea.svg" }), /PNG, JPEG/);
  assert.match(refusalOf({ type: "", name: "notes" }), /PNG, JPEG/);
});
