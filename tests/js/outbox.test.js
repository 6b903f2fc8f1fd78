import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox } from "#models/outbox";
import { Offline, Refusal } from "#net/refusal";
import { FakeSocket, FakeStore, FakeTabs, FakeUploads, makeHai, makeTurns } from "./cast.js";
import { png, record, settled } from "./cast.js";

const ENTRY = { client_id: "c1", room_id: 7, text: "hai!" };
const entry = (client_id, changes = {}) => ({ ...ENTRY, client_id, ...changes });
const picture = (key, changes = {}) => {
  return {
    key,
    file: png(key),
    name: key,
    alt: "",
    width: 4,
    height: 3,
    url: "blob:1",
    ...changes,
  };
};

/** One tab's outbox; `shared`: what the tabs of one browser have in common. */
function makeOutbox(shared = {}) {
  const { store = new FakeStore(), takeTurn = makeTurns(), tabs = null, now } = shared;
  const socket = new FakeSocket();
  const uploads = new FakeUploads();
  socket.answer = (name, { client_id }) => ({ hai: makeHai(50, { client_id }) });
  const epoch = () => shared.epoch ?? "e1";
  const options = { store, socket, uploads, tabs, meId: 1, epoch, takeTurn };
  const outbox = new Outbox(now ? { ...options, now } : options);
  return { outbox, socket, store, uploads };
}

const sentIds = (socket) => socket.orders.map(([, order]) => order.client_id);

test("a send is shown at once, acked, and forgotten", async () => {
  const { outbox, socket, store } = makeOutbox();
  const heard = record(outbox, "changed", "stored");
  outbox.add(ENTRY);
  assert.equal(heard[0][1].state, "sending");
  await settled();
  assert.equal(heard.at(-1)[0], "stored");
  assert.deepEqual(socket.orders, [["send_hai", { client_id: "c1", room_id: 7, text: "hai!" }]]);
  assert.equal(store.tables.outbox.size, 0);
});

test("it is stored before it is sent", async () => {
  const { outbox, socket, store } = makeOutbox();
  socket.answer = () => {
    assert.equal(store.tables.outbox.get("c1").text, "hai!");
    return { hai: makeHai(50) };
  };
  outbox.add(ENTRY);
  await settled();
  assert.equal(socket.orders.length, 1);
});

test("offline it waits, and goes once the network is back, in order", async () => {
  const { outbox, socket } = makeOutbox();
  socket.fall();
  for (const id of ["c1", "c2", "c3"]) outbox.add(entry(id));
  await settled();
  assert.deepEqual(socket.orders, []);
  assert.equal(outbox.entries.get("c1").state, "waiting");
  socket.rise();
  await settled();
  assert.deepEqual(sentIds(socket), ["c1", "c2", "c3"]);
  assert.equal(outbox.entries.size, 0);
});

test("an ack that was lost leaves it waiting, then it is sent again, and the next after it", async () => {
  const { outbox, socket } = makeOutbox();
  const { answer } = socket;
  socket.answer = () => {
    socket.isUp = false;
    throw new Offline();
  };
  outbox.add(ENTRY);
  outbox.add(entry("c2"));
  await settled();
  assert.equal(outbox.entries.get("c1").state, "waiting");
  socket.answer = answer;
  socket.rise();
  await settled();
  assert.deepEqual(sentIds(socket), ["c1", "c1", "c2"]);
});

test("its fact settles it even if the ack never comes", async () => {
  const { outbox, socket } = makeOutbox();
  const heard = record(outbox, "stored");
  socket.answer = () => {
    outbox.settle("c1", makeHai(50));
    throw new Offline();
  };
  outbox.add(ENTRY);
  await settled();
  assert.equal(heard.length, 1);
  assert.equal(outbox.entries.size, 0);
});

test("a refusal is said in words, kept, and the next is sent all the same", async () => {
  const { outbox, socket, store } = makeOutbox();
  const { answer } = socket;
  socket.answer = (name, order) => {
    if (order.client_id !== "c1") return answer(name, order);
    throw new Refusal({ code: "forbidden", message: "You may not do that here." });
  };
  outbox.add(ENTRY);
  outbox.add(entry("c2"));
  await settled();
  const failed = outbox.entries.get("c1");
  assert.deepEqual([failed.state, failed.words], ["failed", "You may not do that here."]);
  assert.ok(!outbox.entries.has("c2"));
  const again = makeOutbox({ store });
  await again.outbox.open();
  assert.equal(again.outbox.entries.get("c1").state, "failed");
  assert.deepEqual(again.socket.orders, []);
});

test("it survives a reload, in order, before what is written then", async () => {
  const store = new FakeStore();
  const first = makeOutbox({ store });
  first.socket.fall();
  first.outbox.add(entry("c1", { reply_to: 3 }));
  first.outbox.add(entry("c2"));
  await settled();
  const { outbox, socket } = makeOutbox({ store });
  socket.isUp = false;
  outbox.add(entry("c3"));
  await outbox.open();
  assert.deepEqual(
    outbox.ofRoom(7).map(({ client_id }) => client_id),
    ["c1", "c2", "c3"],
  );
  socket.rise();
  await settled();
  assert.deepEqual(sentIds(socket), ["c1", "c2", "c3"]);
  assert.equal(socket.orders[0][1].reply_to, 3);
  assert.equal(store.tables.outbox.size, 0);
});

test("what the page that opens already has is not sent again", async () => {
  const store = new FakeStore();
  const first = makeOutbox({ store });
  first.socket.fall();
  first.outbox.add(ENTRY);
  await settled();
  const { outbox, socket } = makeOutbox({ store });
  outbox.settle("c1", makeHai(50));
  await outbox.open();
  await settled();
  assert.deepEqual(socket.orders, []);
  assert.equal(store.tables.outbox.size, 0);
});

test("what another tab settles while one looks is not shown again", async () => {
  const tabs = new FakeTabs("a", new Set());
  const { outbox, socket, store } = makeOutbox({ tabs });
  await outbox.open();
  store.tables.outbox.set("c1", { ...ENTRY, number: 1, sent_at: Date.now(), pictures: [] });
  const heard = record(outbox, "changed");
  tabs.dispatchEvent(new CustomEvent("told", { detail: { outbox: "c1" } }));
  outbox.settle("c1", makeHai(50, { client_id: "c1" }), false);
  await settled();
  assert.deepEqual([heard, sentIds(socket), store.tables.outbox.size], [[], [], 0]);
});

test("what is too old for the server's memory waits for a word", async () => {
  const store = new FakeStore();
  store.tables.outbox.set("old", { ...entry("old"), pictures: [], sent_at: 0, number: 1 });
  const { outbox, socket } = makeOutbox({ store });
  await outbox.open();
  await settled();
  assert.deepEqual(socket.orders, []);
  assert.equal(outbox.entries.get("old").state, "failed");
  await outbox.retry("old");
  await settled();
  assert.deepEqual(sentIds(socket), ["old"]);
});

test("a failed one can be tried again or discarded", async () => {
  const { outbox, socket, store } = makeOutbox();
  const { answer } = socket;
  socket.answer = () => {
    throw new Refusal({ code: "storage_full", message: "Full." });
  };
  outbox.add(ENTRY);
  outbox.add(entry("c2"));
  await settled();
  outbox.discard("c2");
  socket.answer = answer;
  outbox.retry("c1");
  await settled();
  assert.equal(outbox.entries.size, 0);
  assert.equal(store.tables.outbox.size, 0);
});

test("what is stored already under its client_id leaves", async () => {
  const { outbox, socket } = makeOutbox();
  const heard = record(outbox, "stored");
  socket.answer = () => {
    throw new Refusal({ code: "client_id_reused", message: "" });
  };
  outbox.add(ENTRY);
  await settled();
  assert.equal(outbox.entries.size, 0);
  assert.equal(heard[0][1].hai, undefined);
});

// ---- Two tabs ----

function twoTabs() {
  const all = new Set();
  const shared = { store: new FakeStore(), takeTurn: makeTurns() };
  return [1, 2].map((id) => makeOutbox({ ...shared, tabs: new FakeTabs(id, all) }));
}

test("of two tabs one sends, once and in order, and both show it", async () => {
  const [one, other] = twoTabs();
  one.socket.fall();
  other.socket.fall();
  for (const id of ["c1", "c3", "c5"]) {
    one.outbox.add(entry(id));
    await settled();
    other.outbox.add(entry(`c${Number(id[1]) + 1}`));
    await settled();
  }
  assert.equal(other.outbox.ofRoom(7).length, 6);
  one.socket.rise();
  other.socket.rise();
  await settled();
  const sent = [...sentIds(one.socket), ...sentIds(other.socket)];
  assert.deepEqual(sent, ["c1", "c2", "c3", "c4", "c5", "c6"]);
  assert.equal(one.outbox.entries.size + other.outbox.entries.size, 0);
});

test("a tab without a network leaves the sending to the other", async () => {
  const [one, other] = twoTabs();
  one.socket.fall();
  one.outbox.add(ENTRY);
  await settled();
  assert.deepEqual(sentIds(other.socket), ["c1"]);
  assert.equal(one.outbox.entries.size, 0);
});

test("discarded in one tab, it leaves the other", async () => {
  const [one, other] = twoTabs();
  one.socket.fall();
  other.socket.fall();
  one.outbox.add(ENTRY);
  await settled();
  const heard = record(one.outbox, "discarded");
  other.outbox.discard("c1");
  await settled();
  assert.equal(heard.length, 1);
  assert.equal(one.outbox.entries.size, 0);
});

// ---- Pictures ----

test("a hai waits for its pictures, its room waits for it, other rooms do not", async () => {
  const { outbox, socket, uploads } = makeOutbox();
  outbox.add(ENTRY, [picture("p1"), picture("p2", { alt: " the lake " })]);
  outbox.add(entry("c2"));
  outbox.add(entry("c3", { room_id: 8 }));
  await settled();
  assert.deepEqual(sentIds(socket), ["c3"]);
  assert.equal(outbox.entries.get("c1").state, "uploading");
  uploads.flights.get("p2").arrive(5);
  uploads.flights.get("p1").arrive(4);
  await settled();
  assert.deepEqual(sentIds(socket), ["c3", "c1", "c2"]);
  assert.deepEqual(socket.orders[1][1].picture_ids, [4, 5]);
  assert.deepEqual(uploads.calls, [["describe", 5, "the lake"]]);
});

test("its pictures survive a reload; those uploaded are not uploaded again", async () => {
  const store = new FakeStore();
  const first = makeOutbox({ store });
  first.outbox.add(ENTRY, [picture("p1"), picture("p2")]);
  await settled();
  first.uploads.flights.get("p1").arrive(4);
  await settled();
  const { outbox, socket, uploads } = makeOutbox({ store });
  await outbox.open();
  await settled();
  assert.deepEqual([...uploads.flights.keys()], ["p2"]);
  assert.match(outbox.entries.get("c1").pictures[0].url, /^blob:/);
  uploads.flights.get("p2").arrive(5);
  await settled();
  assert.deepEqual(socket.orders[0][1].picture_ids, [4, 5]);
  assert.equal(store.tables.files.size, 0);
});

test("ids of another database mean nothing: its pictures are uploaded again", async () => {
  const store = new FakeStore();
  const first = makeOutbox({ store });
  const uploaded = { id: 4, epoch: "e1", at: Date.now() };
  first.socket.fall();
  first.outbox.add(ENTRY, [picture("p1", { uploaded })]);
  await settled();
  const { outbox, uploads } = makeOutbox({ store, epoch: "e2" });
  await outbox.open();
  await settled();
  assert.deepEqual([...uploads.flights.keys()], ["p1"]);
});

test("swept from the server before it was sent, a picture is uploaded again, once", async () => {
  const { outbox, socket, uploads } = makeOutbox();
  socket.answer = () => {
    throw new Refusal({ code: "not_found", message: "A picture of this hai is not here." });
  };
  outbox.add(ENTRY, [picture("p1", { uploaded: { id: 4, epoch: "e1", at: Date.now() } })]);
  await settled();
  uploads.flights.get("p1").arrive(9);
  await settled();
  assert.deepEqual(
    socket.orders.map(([, order]) => order.picture_ids),
    [[4], [9]],
  );
  assert.equal(outbox.entries.get("c1").state, "failed");
});

test("a full device keeps the words, says so, and sends all the same", async () => {
  const store = new FakeStore();
  const full = new DOMException("", "QuotaExceededError");
  store.refuse = (table) => (table === "files" ? full : undefined);
  const { outbox, socket, uploads } = makeOutbox({ store });
  const heard = record(outbox, "unkept");
  outbox.add(ENTRY, [picture("p1")]);
  await settled();
  assert.equal(heard.length, 1);
  assert.equal(store.tables.outbox.get("c1").text, "hai!");
  uploads.flights.get("p1").arrive(4);
  await settled();
  assert.deepEqual(sentIds(socket), ["c1"]);
});

test("a picture that the device lost fails in words, with its text to copy", async () => {
  const store = new FakeStore();
  const row = { ...ENTRY, pictures: [{ key: "p1", name: "p1", alt: "" }], number: 1 };
  store.tables.outbox.set("c1", { ...row, sent_at: Date.now() });
  const { outbox } = makeOutbox({ store });
  await outbox.open();
  await settled();
  assert.equal(outbox.entries.get("c1").state, "failed");
  assert.match(outbox.entries.get("c1").words, /could not keep/);
});

test("a store that refuses everything stops nothing", async () => {
  const store = { keepsFiles: true, change: () => Promise.reject(new Error("refused")) };
  const { outbox, socket } = makeOutbox({ store });
  outbox.add(ENTRY);
  outbox.add(entry("c2"));
  await settled();
  assert.deepEqual(sentIds(socket), ["c1", "c2"]);
});

test("words that the device does not keep are told so, until the server has them", async () => {
  const store = { keepsFiles: true, change: () => Promise.reject(new Error("refused")) };
  const { outbox, socket } = makeOutbox({ store });
  socket.fall();
  assert.equal(await outbox.add(ENTRY), false);
  let hasLeft = false;
  const left = outbox.left("c1").then(() => (hasLeft = true));
  await settled();
  assert.equal(hasLeft, false);
  socket.rise();
  await left;
  assert.deepEqual(sentIds(socket), ["c1"]);
});

test("what the device keeps, or the server has, is kept; what is discarded has left", async () => {
  const { outbox, socket } = makeOutbox();
  socket.fall();
  assert.equal(await outbox.add(ENTRY), true);
  outbox.discard("c1");
  await outbox.left("c1");
  const adding = outbox.add(entry("c2"));
  outbox.settle("c2", makeHai(51, { client_id: "c2" }));
  assert.equal(await adding, true);
});

test("files that nothing names any more are swept; those of trays and sends stay", async () => {
  const { outbox, socket, store } = makeOutbox();
  socket.fall();
  await outbox.add(ENTRY, [picture("p1")]);
  store.tables.trays.set("t.7", { id: "t.7", room_id: 7, pictures: [{ key: "p2" }] });
  for (const key of ["p2", "lost"]) store.tables.files.set(key, { key, file: png(key) });
  await makeOutbox({ store }).outbox.open();
  assert.deepEqual([...store.tables.files.keys()].sort(), ["p1", "p2"]);
});
