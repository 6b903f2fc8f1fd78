import assert from "node:assert/strict";
import test from "node:test";

import { Crop } from "#models/crop";

const boxOf = ({ left, top, side }) => [left, top, side];

test("one begins with the middle of the picture", () => {
  assert.deepEqual(boxOf(new Crop(800, 600)), [100, 0, 600]);
  assert.deepEqual(boxOf(new Crop(600, 800)), [0, 100, 600]);
});

test("what is dragged to the right shows what was left of it, up to the edge", () => {
  const crop = new Crop(800, 600);
  crop.move(0.1, 0);
  assert.deepEqual(boxOf(crop), [40, 0, 600]);
  crop.move(9, 9);
  assert.deepEqual(boxOf(crop), [0, 0, 600]);
  crop.move(-9, -9);
  assert.deepEqual(boxOf(crop), [200, 0, 600]);
});

test("zooming keeps in its place what is under the pointer", () => {
  const crop = new Crop(800, 600);
  const at = (x) => crop.left + x * crop.side;
  const before = at(0.25);
  crop.zoomTo(2, 0.25, 0.5);
  assert.equal(crop.side, 300);
  assert.equal(at(0.25), before);
  crop.zoomTo(1, 0, 0);
  assert.ok(crop.left >= 0 && crop.left + crop.side <= 800);
});

test("there is an end to zooming, and small pictures are as they are", () => {
  const crop = new Crop(8000, 6000);
  crop.zoomTo(100);
  assert.equal(crop.zoom, 8);
  crop.zoomTo(0);
  assert.equal(crop.zoom, 1);
  const small = new Crop(40, 30);
  small.zoomTo(3);
  assert.deepEqual(boxOf(small), [5, 0, 30]);
});
