import assert from "node:assert/strict";
import { test } from "node:test";

import { Zoom } from "#models/zoom";

function fitted() {
  const zoom = new Zoom();
  zoom.fit({ width: 400, height: 800 }, { width: 400, height: 300 }, 1600);
  return zoom;
}

test("what one points at stays where it is", () => {
  const zoom = fitted();
  zoom.by(3, { x: 100, y: 0 });
  assert.deepEqual([zoom.scale, zoom.x], [3, -200]);
  zoom.by(1 / 3, { x: 100, y: 0 });
  assert.deepEqual([zoom.scale, zoom.x, zoom.isZoomed], [1, 0, false]);
});

test("no further than its edges, in or out", () => {
  const zoom = fitted();
  zoom.pan(50, 50);
  assert.deepEqual([zoom.x, zoom.y], [0, 0]);
  zoom.by(2);
  zoom.pan(10_000, 10_000);
  assert.deepEqual([zoom.x, zoom.y], [200, 0]);
  zoom.by(1000);
  assert.equal(zoom.scale, 8, "twice its own pixels");
  zoom.by(0.0001);
  assert.equal(zoom.scale, 1);
});

test("twice pressed it is near, and whole again", () => {
  const zoom = fitted();
  zoom.toggle({ x: 0, y: 0 });
  assert.equal(zoom.scale, 2.5);
  zoom.toggle({ x: 0, y: 0 });
  assert.equal(zoom.scale, 1);
});
