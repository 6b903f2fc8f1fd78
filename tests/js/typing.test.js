import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Typing } from "#models/typing";

test("somebody who writes is named until they send, or for five seconds", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const typing = new Typing({ tell: () => undefined });
  typing.started(2);
  typing.started(3);
  typing.ended(2);
  assert.deepEqual(typing.userIds, [3]);
  mock.timers.tick(4000);
  typing.started(3);
  mock.timers.tick(4000);
  assert.deepEqual(typing.userIds, [3]);
  mock.timers.tick(1000);
  assert.deepEqual(typing.userIds, []);
  mock.timers.reset();
});

test("I say that I write every three seconds at most, and anew after a send", () => {
  let told = 0;
  let now = 10_000;
  const typing = new Typing({ tell: () => (told += 1), now: () => now });
  typing.pressed();
  typing.pressed();
  assert.equal(told, 1);
  now += 3000;
  typing.pressed();
  typing.sent();
  typing.pressed();
  assert.equal(told, 3);
});
