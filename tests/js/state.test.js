import assert from "node:assert/strict";
import { test } from "node:test";

import { State } from "#models/state";
import { ada, firstState, grace, makeHai, makeRoom, record, tombstone } from "./cast.js";

const changes = (rows) => {
  return { users: [], rooms: [], hais: [], removed_room_ids: [], rev: 200, epoch: "e1", ...rows };
};
const unread = (state) => state.rooms.get(7)?.unread;
const begin = (room = {}) => new State(firstState({ rooms: [makeRoom(room)] }));

test("a hai of another counts as unread once, however often it is heard", () => {
  const state = begin();
  const hai = makeHai(50);
  state.hear("hai_sent", { hai });
  state.hear("hai_sent", { hai });
  state.catchUp(changes({ hais: [hai] }));
  assert.equal(unread(state), 1);
  assert.equal(state.unreadCount, 1);
});

test("my own hai, from any of my tabs, reads the room", () => {
  const state = begin({ unread: 4 });
  state.hear("hai_sent", { hai: makeHai(50, { user_id: ada.id }) });
  assert.equal(unread(state), 0);
});

test("what was read in another tab is read here", () => {
  const state = begin();
  for (const id of [50, 51, 52]) state.hear("hai_sent", { hai: makeHai(id) });
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 51 });
  assert.equal(unread(state), 1);
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 50 });
  assert.equal(unread(state), 1, "a marker never moves back");
});

test("others' markers are not mine", () => {
  const state = begin({ unread: 2 });
  state.hear("read_marked", { room_id: 7, user_id: grace.id, hai_id: 99 });
  assert.equal(unread(state), 2);
});

test("an unread hai that is deleted no longer counts", () => {
  const state = begin();
  state.hear("hai_sent", { hai: makeHai(50) });
  state.hear("hai_changed", { hai: tombstone(makeHai(50)) });
  assert.equal(unread(state), 0);
});

test("while catching up, the room's row has counted what it knows", () => {
  const state = begin({ unread: 1, last_hai_id: 40 });
  const room = makeRoom({ rev: 150, unread: 3, last_hai_id: 52 });
  state.catchUp(changes({ rooms: [room], hais: [makeHai(51), makeHai(52), makeHai(53)] }));
  assert.equal(unread(state), 4);
  assert.equal(state.rev, 200);
});

test("a row of get_changes that a fact has overtaken keeps our own count", () => {
  const state = begin({ last_hai_id: 40 });
  state.hear("hai_sent", { hai: makeHai(60) });
  state.catchUp(changes({ rooms: [makeRoom({ rev: 150, name: "Den", last_hai_id: 40 })] }));
  assert.equal(unread(state), 1);
  assert.equal(state.rooms.get(7).name, "Den");
});

test("a renamed room keeps my marker and count", () => {
  const state = begin({ unread: 2, my_read_hai_id: 9 });
  const { unread: _, ...row } = makeRoom({ rev: 120, name: "Den" });
  state.hear("room_changed", { room: row });
  assert.deepEqual(state.rooms.get(7), { ...row, unread: 2, my_read_hai_id: 9 });
});

test("an older room row loses", () => {
  const state = begin({ rev: 130, name: "New" });
  state.hear("room_changed", { room: makeRoom({ rev: 120, name: "Old" }) });
  assert.equal(state.rooms.get(7).name, "New");
});

test("a room I am put into appears, one I am put out of goes", () => {
  const state = begin();
  const heard = record(state, "removed");
  state.hear("room_changed", { room: makeRoom({ id: 8, rev: 130 }) });
  assert.equal(state.rooms.get(8).unread, 0);
  state.hear("room_removed", { room_id: 7 });
  assert.deepEqual([...state.rooms.keys()], [8]);
  assert.deepEqual(heard, [["removed", 7]]);
});

test("people keep their presence when they change their name", () => {
  const state = begin();
  state.hear("presence_changed", { user_id: 2, presence: "online" });
  state.hear("user_changed", { user: { ...grace, rev: 140, display_name: "Amazing Grace" } });
  assert.equal(state.user(2).presence, "online");
  assert.equal(state.user(2).display_name, "Amazing Grace");
  assert.equal(state.user(99).display_name, "Somebody");
});

test("the rev to catch up from follows what was heard", () => {
  const state = begin();
  state.isWhole = true;
  state.hear("hai_sent", { hai: makeHai(50, { rev: 170 }) });
  assert.equal(state.rev, 170);
});

// ---- What was unread before we came ----

test("what we do not hold is not guessed: the server is asked, once it has the marker", () => {
  const state = begin({ unread: 30, last_hai_id: 60 });
  const heard = record(state, "gap");
  state.read(7, 40);
  assert.equal(unread(state), 30);
  assert.deepEqual(heard, [], "the server does not have it yet");
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 40 });
  assert.equal(heard.length, 1);
  const room = makeRoom({ rev: 150, unread: 24, last_hai_id: 60, my_read_hai_id: 40 });
  state.catchUp(changes({ rooms: [room] }));
  assert.equal(unread(state), 24);
});

test("a row that was read before the marker is asked for again", () => {
  const state = begin({ unread: 30, last_hai_id: 60 });
  const heard = record(state, "gap");
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 40 });
  state.catchUp(changes({ rooms: [makeRoom({ rev: 150, unread: 30, last_hai_id: 60 })] }));
  assert.equal(heard.length, 2);
  assert.equal(state.rooms.get(7).my_read_hai_id, 40, "the marker does not move back");
});

test("a row that facts have overtaken counts what came since", () => {
  const state = begin({ unread: 30, last_hai_id: 60 });
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 40 });
  state.hear("hai_sent", { hai: makeHai(61) });
  const room = makeRoom({ rev: 150, unread: 24, last_hai_id: 60, my_read_hai_id: 40 });
  state.catchUp(changes({ rooms: [room] }));
  assert.equal(unread(state), 25);
});

test("the open list counts where it holds all, and the newest reads everything", () => {
  const state = begin({ unread: 30, last_hai_id: 60 });
  const heard = record(state, "gap");
  state.countHeld = () => 12;
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 40 });
  assert.equal(unread(state), 12);
  state.hear("read_marked", { room_id: 7, user_id: ada.id, hai_id: 60 });
  assert.equal(unread(state), 0);
  assert.deepEqual(heard, []);
});

test("who sends is told of once a hai is heard of, not when an old one changes", () => {
  const state = begin();
  const heard = record(state, "sent");
  state.hear("hai_changed", { hai: makeHai(50) });
  assert.deepEqual(heard, []);
  state.hear("hai_sent", { hai: makeHai(51) });
  assert.equal(heard[0][1].id, 51);
});

test("presence that was asked for is taken over, and told only where it changed", () => {
  const state = begin();
  const heard = record(state, "users");
  state.meet([{ ...grace, presence: "online" }]);
  state.meet([{ ...grace, presence: "online" }]);
  assert.equal(state.user(2).presence, "online");
  assert.equal(heard.length, 1);
});

// ---- Rows and facts in any order ----

const read = (state) => state.rooms.get(7).my_read_hai_id;

test("an earlier hai that comes after a later one, being edited, is unread too", () => {
  const state = begin({ last_hai_id: 5, my_read_hai_id: 5 });
  state.catchUp(changes({ hais: [makeHai(12), makeHai(11, { rev: 130 })] }));
  assert.equal(unread(state), 2);
});

test("read elsewhere while away, and a fact ahead of the page", () => {
  const state = begin({ unread: 3, last_hai_id: 9, my_read_hai_id: 5 });
  state.ask();
  state.hear("hai_sent", { hai: makeHai(30) });
  const room = makeRoom({ rev: 150, unread: 0, last_hai_id: 9, my_read_hai_id: 9 });
  state.catchUp(changes({ rooms: [room] }));
  assert.equal(unread(state), 1);
  assert.equal(read(state), 9);
});

test("a deletion that the row has counted does not count twice, in either order", () => {
  const room = makeRoom({ rev: 150, unread: 2, last_hai_id: 12 });
  const gone = tombstone(makeHai(11), 149);
  for (const isRowFirst of [true, false]) {
    const state = begin({ last_hai_id: 10 });
    [10, 11, 12].forEach((id) => state.hear("hai_sent", { hai: makeHai(id) }));
    if (!isRowFirst) state.hear("hai_changed", { hai: gone });
    state.catchUp(changes({ rooms: [room], hais: [] }));
    state.hear("hai_changed", { hai: gone });
    assert.equal(unread(state), 2);
  }
});

test("an old row does not undo what a newer one said", () => {
  const state = begin({ rev: 150, unread: 0, last_hai_id: 12, my_read_hai_id: 12 });
  const old = makeRoom({ rev: 140, unread: 2, last_hai_id: 11 });
  state.catchUp(changes({ rooms: [old] }));
  assert.equal(unread(state), 0);
  assert.equal(state.rooms.get(7).last_hai_id, 12);
});

test("old news that I was put out does not keep me out: it is asked for again", () => {
  const state = begin();
  state.isWhole = true;
  const heard = record(state, "gap");
  state.catchUp(changes({ removed_room_ids: [7], rooms: [makeRoom({ rev: 180 })] }));
  state.hear("room_removed", { room_id: 7 });
  assert.ok(!state.rooms.has(7));
  assert.equal(state.ask().since_rev, 179);
  assert.equal(heard.length, 1);
  state.hear("user_changed", { user: { ...grace, rev: 300 } });
  assert.equal(state.rev, 179, "no fact raises it before that was asked");
  state.catchUp(changes({ rooms: [makeRoom({ rev: 180 })], rev: 300 }));
  assert.ok(state.rooms.has(7));
  assert.equal(state.rev, 300);
});

test("put out while a page is on its way: the next one tells", () => {
  const state = begin();
  state.isWhole = true;
  state.ask();
  state.hear("room_removed", { room_id: 7 });
  state.catchUp(changes({ rooms: [makeRoom({ rev: 150 })] })); // drawn before that
  assert.equal(state.isWhole, false);
  assert.ok(state.ask().since_rev < 150);
  state.catchUp(changes({ removed_room_ids: [7], rev: 210 }));
  assert.ok(!state.rooms.has(7));
  state.enter(firstState({ rev: 190 })); // a page that was drawn before I was put out
  assert.ok(!state.rooms.has(7));
});

test("a hai of a room that is not here is asked after from before it", () => {
  const state = begin();
  state.isWhole = true;
  state.hear("hai_sent", { hai: makeHai(50, { room_id: 8 }) });
  assert.equal(state.ask().since_rev, 100);
});

// ---- Who is here ----

test("the last page of catching up says who is here; newer facts stand", () => {
  const state = begin();
  state.meet([{ ...grace, presence: "online" }]);
  state.catchUp(changes({ online_user_ids: [] }));
  assert.equal(state.user(2).presence, "offline");
  state.catchUp(changes({ online_user_ids: [2] }));
  assert.equal(state.user(2).presence, "online");
  state.ask();
  state.hear("presence_changed", { user_id: 2, presence: "offline" });
  const users = [{ ...grace, rev: 150, presence: "online" }];
  state.catchUp(changes({ users, online_user_ids: [2] })); // drawn before that
  assert.equal(state.user(2).presence, "offline");
});

test("one that the row had counted, deleted since, counts no more", () => {
  const state = begin({ unread: 2, last_hai_id: 12, my_read_hai_id: 10 });
  state.hear("hai_changed", { hai: tombstone(makeHai(11), 150) });
  assert.equal(unread(state), 1);
});

test("who was told to be here before we knew them is here", () => {
  const state = begin();
  state.ask();
  state.hear("presence_changed", { user_id: 3, presence: "online" });
  state.catchUp(changes({ users: [{ ...grace, id: 3, rev: 150, presence: "offline" }] }));
  assert.equal(state.user(3).presence, "online");
});

test("what facts ahead of a page said of a room that it takes out is asked for again", () => {
  const state = begin();
  state.ask();
  state.hear("hai_sent", { hai: makeHai(50, { rev: 260 }) });
  state.catchUp(changes({ removed_room_ids: [7], rooms: [makeRoom({ rev: 180 })] }));
  assert.equal(state.isWhole, false);
  assert.equal(state.ask().since_rev, 200);
});

test("old news of somebody who is not here is of no use: newer may have been missed", () => {
  const state = begin();
  const old = { ...grace, id: 77, rev: state.rev };
  state.hear("user_changed", { user: old });
  assert.equal(state.users.has(77), false);
  state.hear("user_changed", { user: { ...old, rev: state.rev + 1 } });
  assert.equal(state.users.has(77), true);
});

test("who a new first state does not tell of is asked for, and known meanwhile", () => {
  const state = begin();
  const asked = [];
  state.addEventListener("unknown_users", ({ detail }) => asked.push(detail));
  const first = firstState({ rooms: [makeRoom()], rev: 300 });
  const others = first.users.filter(({ id }) => id !== grace.id);
  state.startOver({ ...first, users: others }, state.disconnectCount);
  assert.deepEqual(asked, [[grace.id]]);
  assert.equal(state.user(grace.id).display_name, grace.display_name);
  state.startOver(first, state.disconnectCount);
  assert.equal(asked.length, 1);
});

test("whose coming was told before their name is here", () => {
  const state = begin();
  state.hear("presence_changed", { user_id: 77, presence: "online" });
  state.hear("user_changed", { user: { id: 77, rev: state.rev + 1, name: "new" } });
  assert.equal(state.users.get(77).presence, "online");
});
