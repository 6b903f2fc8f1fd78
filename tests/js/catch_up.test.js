import assert from "node:assert/strict";
import { test } from "node:test";

import { CatchUp } from "#models/catch_up";
import { State } from "#models/state";
import { Offline, Refusal } from "#net/refusal";
import { FakeSocket, firstState, makeHai, makeRoom, record } from "./cast.js";

function begin(pages, list = null, startOver = async () => false) {
  const socket = new FakeSocket();
  socket.answer = () => pages.shift();
  const state = new State(firstState({ rooms: [makeRoom({ last_hai_id: 14 })] }));
  const fresh = [];
  const catchUp = new CatchUp({
    state,
    socket,
    list: () => list,
    startOver,
    startAfresh: () => fresh.push(true),
  });
  return { socket, state, catchUp, fresh };
}

const page = (rev, has_more, rows = {}) => {
  return {
    users: [],
    rooms: [],
    hais: [],
    removed_room_ids: [],
    rev,
    epoch: "e1",
    has_more,
    ...rows,
  };
};

test("it asks from the rev it knows until there is no more", async () => {
  const { socket, state, catchUp } = begin([
    page(150, true, { hais: [makeHai(14)] }),
    page(180, false, { hais: [makeHai(15)] }),
  ]);
  const heard = record(state, "hai");
  await catchUp.run();
  assert.deepEqual(
    socket.orders.map(([, order]) => order.since_rev),
    [100, 150],
  );
  assert.deepEqual(
    heard.map(([, hai]) => hai.id),
    [14, 15],
  );
  assert.equal(state.rev, 180);
});

test("missed too much, it takes a new first state instead of the rest", async () => {
  let taken = 0;
  const startOver = async () => {
    taken += 1;
    return true;
  };
  const { socket, state, catchUp } = begin(
    [page(150, true), page(210, false, { online_user_ids: [2] })],
    null,
    startOver,
  );
  await catchUp.run();
  assert.equal(taken, 1);
  assert.equal(socket.orders.length, 2, "who is here comes on the last page");
  assert.equal(state.user(2).presence, "online");
});

test("cut in the middle, it goes on from what it has, whatever facts came meanwhile", async () => {
  const { socket, state, catchUp } = begin([page(150, true)]);
  socket.answer = (name, { since_rev }) => {
    if (since_rev === 100) return page(150, true);
    state.hear("hai_sent", { hai: makeHai(90, { rev: 900 }) });
    socket.fall();
    throw new Offline();
  };
  await catchUp.run();
  assert.equal(state.rev, 150);
});

test("facts raise the rev once caught up, until the socket falls", async () => {
  const { state, catchUp } = begin([page(150, false)]);
  const say = (rev) => state.hear("hai_changed", { hai: makeHai(14, { rev }) });
  say(160);
  assert.equal(state.rev, 100);
  await catchUp.run();
  say(170);
  assert.equal(state.rev, 170);
  state.fell();
  say(180);
  assert.equal(state.rev, 170);
});

test("another database: start afresh", async () => {
  const { socket, catchUp, fresh } = begin([]);
  socket.answer = () => {
    throw new Refusal({ code: "epoch_changed", message: "Start afresh." });
  };
  await catchUp.run();
  assert.equal(fresh.length, 1);
});

test("when the open room's own row came, its hais are looked at again", async () => {
  let refreshes = 0;
  const list = { roomId: 7, refresh: async () => (refreshes += 1) };
  const { catchUp } = begin([page(150, false, { rooms: [makeRoom({ rev: 140 })] })], list);
  await catchUp.run();
  assert.equal(refreshes, 1);
});

test("asked for while it runs, it runs once more", async () => {
  const { socket, catchUp } = begin([page(150, false), page(160, false)]);
  const first = catchUp.run();
  catchUp.run();
  await first;
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(socket.orders.length, 2);
});

test("left and come back while away, the list holds nothing of before", async () => {
  const did = [];
  const list = { roomId: 7, refresh: () => did.push("refresh"), renew: () => did.push("renew") };
  const rows = { rooms: [makeRoom({ rev: 140 })], removed_room_ids: [7] };
  const { catchUp, state } = begin([page(150, false, rows)], list);
  const heard = record(state, "removed");
  await catchUp.run();
  assert.deepEqual(did, ["renew"]);
  assert.deepEqual(heard, [], "nobody is sent out of a room that is theirs");
});

test("away for long, little is asked for that a first state will replace", async () => {
  const { socket, state, catchUp } = begin(
    [page(150, true), page(210, false)],
    null,
    async () => true,
  );
  state.heardAt = Date.now() - 7 * 86_400_000;
  await catchUp.run();
  assert.deepEqual(
    socket.orders.map(([, order]) => order.limit),
    [20, 200],
  );
});
