import assert from "node:assert/strict";
import { test } from "node:test";

import { Tray } from "#models/tray";
import { Offline, Refusal } from "#net/refusal";
import { FakeStore, FakeTabs, FakeUploads, png, record, settled } from "./cast.js";

function makeTray({ store = new FakeStore(), tabs = new FakeTabs("a", new Set()) } = {}) {
  const uploads = new FakeUploads();
  let lastKey = 0;
  const tray = new Tray({
    roomId: 7,
    store,
    uploads,
    tabs,
    epoch: () => "e1",
    maxBytes: { picture: 50 * 1024 * 1024, video: 200 * 1024 * 1024, voice: 25 * 1024 * 1024 },
    makeUrl: (file) => `blob:${file.name}`,
    newKey: () => `${tabs.id}${++lastKey}`,
  });
  return { tray, store, uploads };
}

const states = (tray) => tray.items.map(({ state }) => state);

test("pictures stand in the order chosen, up to ten", () => {
  const { tray } = makeTray();
  for (let number = 1; number <= 10; number += 1)
    assert.equal(tray.add(png(`${number}`)), undefined);
  assert.match(tray.add(png("11")), /up to 10/);
  assert.equal(tray.items.length, 10);
});

test("what can never be sent says why", () => {
  const { tray } = makeTray();
  assert.match(tray.add({ name: "a.pdf", size: 1, type: "application/pdf" }), /PNG, JPEG/);
  const big = { name: "big", size: 61 * 1024 * 1024, type: "image/png" };
  assert.equal(tray.add(big), "61 MB is too large. Up to 50 MB will do.");
  const long = { name: "long.webm", size: 26 * 1024 * 1024, type: "audio/webm" };
  assert.equal(tray.add(long), "26 MB is too large. Up to 25 MB will do.");
  assert.deepEqual(states(tray), ["refused", "refused", "refused"]);
});

test("a video may be larger than a picture; a voice keeps how long it lasts", () => {
  const { tray } = makeTray();
  const film = { name: "a.mov", size: 150 * 1024 * 1024, type: "video/quicktime" };
  assert.equal(tray.add(film), undefined);
  tray.add({ name: "voice.webm", size: 9, type: "audio/webm" }, { duration_ms: 2500 });
  const [video, voice] = tray.take();
  assert.deepEqual([video.type, video.width, video.height], ["video/quicktime", 1280, 720]);
  assert.deepEqual([voice.type, voice.width, voice.duration_ms], ["audio/webm", 0, 2500]);
});

test("a failed upload keeps its file and is tried again once the network is back", async () => {
  const { tray, uploads } = makeTray();
  const file = png("a");
  tray.add(file);
  uploads.flights.get("a1").fail(new Offline());
  await settled();
  assert.deepEqual(states(tray), ["failed"]);
  tray.retryOffline();
  assert.equal(uploads.flights.get("a1").file, file);
  assert.deepEqual(states(tray), ["uploading"]);
});

test("a removed one is taken back from the server and from the store", async () => {
  const { tray, uploads, store } = makeTray();
  tray.add(png("a"));
  uploads.flights.get("a1").arrive(4);
  await settled();
  tray.remove("a1");
  await settled();
  assert.deepEqual(uploads.calls, [
    ["stop", "a1"],
    ["discard", 4],
  ]);
  assert.deepEqual([store.tables.files.size, store.tables.trays.size], [0, 0]);
});

test("what is to keep its place and camera is uploaded anew, and so is what comes later", async () => {
  const { tray, uploads } = makeTray();
  tray.add(png("a"));
  tray.add(png("b"));
  const stopped = uploads.flights.get("a2");
  uploads.flights.get("a1").arrive(4);
  await settled();
  tray.setKeepsMetadata(true);
  const anew = uploads.flights.get("a2");
  stopped.fail(new Offline());
  await settled();
  assert.deepEqual(uploads.calls, [
    ["stop", "a1"],
    ["discard", 4],
    ["stop", "a2"],
  ]);
  assert.deepEqual(states(tray), ["uploading", "uploading"], "a stopped one is no failure");
  tray.add(png("c"));
  const flights = [uploads.flights.get("a1"), anew, uploads.flights.get("a3")];
  assert.deepEqual(
    flights.map(({ keepsMetadata }) => keepsMetadata),
    [true, true, true],
  );
  assert.equal(tray.take()[0].keepsMetadata, true);
});

test("by default nothing is kept, and the choice outlives a reload", async () => {
  const tabs = new FakeTabs("a", new Set());
  const { tray, uploads, store } = makeTray({ tabs });
  tray.add(png("one"));
  assert.equal(Boolean(uploads.flights.get("a1").keepsMetadata), false);
  tray.setKeepsMetadata(true);
  await settled();
  const again = makeTray({ store, tabs });
  await again.tray.open();
  assert.equal(again.tray.keepsMetadata, true);
  assert.equal(again.uploads.flights.get("a1").keepsMetadata, true);
});

test("what is taken to be sent has its words, its place and what is uploaded", async () => {
  const { tray, uploads } = makeTray();
  tray.add(png("a"));
  tray.add({ name: "a.pdf", size: 1, type: "application/pdf" });
  tray.add(png("b"));
  tray.setAlt("a3", "the lake");
  uploads.flights.get("a3").arrive(5);
  await settled();
  const taken = tray.take();
  assert.deepEqual(
    taken.map(({ name, alt, uploaded }) => [name, alt, uploaded?.id]),
    [
      ["a", "", undefined],
      ["b", "the lake", 5],
    ],
  );
  assert.equal(tray.items.length, 0);
});

test("after a reload all is there again, and only the rest is uploaded", async () => {
  const tabs = new FakeTabs("a", new Set());
  const { tray, uploads, store } = makeTray({ tabs });
  tray.add(png("one"));
  tray.add(png("two"));
  tray.setAlt("a2", "the lake");
  uploads.flights.get("a1").arrive(4);
  await settled();
  const again = makeTray({ store, tabs });
  await again.tray.open();
  assert.deepEqual(
    again.tray.items.map(({ name, alt }) => [name, alt]),
    [
      ["one", ""],
      ["two", "the lake"],
    ],
  );
  assert.deepEqual([...again.uploads.flights.keys()], ["a2"]);
});

test("a tab that is gone leaves its pictures to the next; one that is there keeps them", async () => {
  const all = new Set();
  const store = new FakeStore();
  const gone = new FakeTabs("gone", new Set());
  makeTray({ store, tabs: gone }).tray.add(png("orphan"));
  const there = new FakeTabs("there", all);
  makeTray({ store, tabs: there }).tray.add(png("kept"));
  await settled();
  const { tray } = makeTray({ store, tabs: new FakeTabs("new", all) });
  await tray.open();
  assert.deepEqual(
    tray.items.map(({ name }) => name),
    ["orphan"],
  );
  const third = makeTray({ store, tabs: new FakeTabs("third", all) });
  await third.tray.open();
  assert.equal(third.tray.items.length, 0);
});

test("it is done once it is kept here, too", async () => {
  const store = new FakeStore();
  const { change } = store;
  let write;
  store.change = async (act) => {
    await new Promise((resolve) => (write = resolve));
    return change.call(store, act);
  };
  const { tray, uploads } = makeTray({ store });
  tray.add(png("a"));
  await settled();
  uploads.flights.get("a1").arrive(4);
  await settled();
  assert.deepEqual([states(tray), tray.isKeeping], [["uploading"], true]);
  for (let writes = 0; writes < 2; writes += 1) {
    write();
    await settled();
  }
  assert.deepEqual([states(tray), tray.isKeeping], [["done"], false]);
  assert.equal(store.tables.trays.get(tray.id).pictures[0].uploaded.id, 4);
});

test("what comes before an earlier page's pictures are back takes nothing's place", async () => {
  const tabs = new FakeTabs("a", new Set());
  const { tray, store } = makeTray({ tabs });
  tray.add(png("left"));
  await settled();
  const again = makeTray({ store, tabs });
  again.tray.newKey = () => "new1";
  const opened = again.tray.open();
  again.tray.add(png("early"));
  assert.equal(again.tray.takenId, undefined);
  await opened;
  await settled();
  assert.equal(again.tray.takenId, tray.id);
  const kept = store.tables.trays.get(tray.id).pictures.map(({ key }) => key);
  assert.deepEqual(kept.sort(), ["a1", "new1"]);
});

test("a full device says so, and the picture is sent all the same", async () => {
  const store = new FakeStore();
  store.refuse = () => new DOMException("", "QuotaExceededError");
  const { tray } = makeTray({ store });
  const heard = record(tray, "unkept");
  tray.add(png("a"));
  await settled();
  assert.deepEqual(heard, [["unkept", "full"]]);
  assert.equal(tray.take().length, 1);
});

test("those that do not fit are told of, wherever they come from", () => {
  const { tray } = makeTray();
  const heard = record(tray, "full");
  for (let number = 1; number <= 12; number += 1) tray.add(png(`${number}`));
  assert.deepEqual(heard, Array(2).fill(["full", "One hai holds up to 10 pictures."]));
});

for (const code of ["picture_type", "picture_truncated", "too_large", "bad_request"]) {
  test(`a picture that the server refuses for good (${code}) does not go with the text`, async () => {
    const { tray, uploads, store } = makeTray();
    tray.add(png("lying"));
    tray.add(png("good"));
    uploads.flights.get("a1").fail(new Refusal({ code, message: "No." }));
    await settled();
    assert.deepEqual(states(tray), ["refused", "uploading"]);
    assert.deepEqual(
      store.tables.trays.get(tray.id).pictures.map(({ key }) => key),
      ["a2"],
    );
    assert.deepEqual(
      tray.take().map(({ name }) => name),
      ["good"],
    );
  });
}

test("one removed while its bytes wait to be kept leaves none", async () => {
  const { tray, store } = makeTray();
  tray.add(png("lake"));
  tray.remove(tray.items[0].key);
  await settled();
  assert.equal(store.tables.files.size, 0);
});
