import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { backOffMs, throttle } from "#lib/timing";

test("a throttled function runs at once, and once more for what came meanwhile", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let runs = 0;
  const run = throttle(100, () => (runs += 1));
  run();
  run();
  run();
  assert.equal(runs, 1);
  mock.timers.tick(100);
  assert.equal(runs, 2);
  mock.timers.tick(1000);
  assert.equal(runs, 2);
  mock.timers.reset();
});

test("tries come slower, and never all tabs at once", () => {
  assert.equal(backOffMs(0, 0), 500);
  assert.equal(backOffMs(2, 0.5), 4000);
  assert.equal(backOffMs(30, 1), 7500);
});
