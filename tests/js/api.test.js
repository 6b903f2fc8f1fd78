import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { CatchUp } from "#models/catch_up";
import { OutboxPictures } from "#models/outbox_pictures";
import { State } from "#models/state";
import { getFirstState, getPage, post } from "#net/api";
import { FakeSocket, firstState, settled } from "./cast.js";

const CARRIED = '<script type="application/json" id="page">{"state": {"rev": 7}}</script>';

// A server that answers as the test says, also in half; and a fetch that knows its address.
let answer;
const server = createServer((request, response) => answer(response));
const { fetch, setTimeout } = globalThis;

before(async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${server.address().port}`;
  globalThis.fetch = (path, options) => fetch(base + path, options);
});
after(() => {
  Object.assign(globalThis, { fetch, setTimeout });
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

const send = (status, text) => (response) => response.writeHead(status).end(text);
const cut = (text) => (response) => {
  response.writeHead(200, { "Content-Length": text.length + 100 });
  response.write(text, () => response.destroy());
};

test("a page that breaks off in its body is the network's fault", async () => {
  answer = cut("<!doctype html>");
  await assert.rejects(getPage("/rooms"), { code: "offline" });
});

test("a page carries its first state, or half of one, or none", async () => {
  answer = send(200, `<p>${CARRIED}</p>`);
  assert.deepEqual(await getFirstState("/rooms"), { rev: 7 });
  for (const text of ["<p>", CARRIED.slice(0, -20), CARRIED.replace("7", "seven")]) {
    answer = send(200, text);
    assert.equal(await getFirstState("/rooms"), null);
  }
});

test("catching up goes on when the first state breaks off on its way", async () => {
  const planned = [];
  globalThis.setTimeout = (act, ms) => (ms === 2000 ? planned.push(ms) : setTimeout(act, ms));
  const socket = new FakeSocket();
  const rows = { users: [], rooms: [], hais: [], removed_room_ids: [] };
  socket.answer = () => ({ ...rows, rev: 150, epoch: "e1", has_more: true });
  const catchUp = new CatchUp({
    state: new State(firstState()),
    socket,
    list: () => null,
    startOver: async () => Boolean(await getFirstState("/rooms")),
    startAfresh: () => assert.fail(),
  });
  answer = cut(CARRIED.slice(0, 60));
  await catchUp.run();
  globalThis.setTimeout = setTimeout;
  assert.equal(planned.length, 1);
});

test("what a gateway says is not what Hai said", async () => {
  for (const [status, text] of [
    [502, "<h1>502"],
    [504, "{}"],
    [200, "<p>sign in to the wifi"],
  ]) {
    answer = send(status, text);
    await assert.rejects(post("/pictures/1", {}), { code: "offline" });
  }
  answer = cut('{"picture": ');
  await assert.rejects(post("/pictures/1", {}), { code: "offline" });
  answer = send(507, '{"error": {"code": "storage_full", "message": "Full."}}');
  await assert.rejects(post("/pictures/1", {}), { code: "storage_full" });
  answer = send(204);
  assert.deepEqual(await post("/pictures/1", {}), {});
});

test("a picture's words are not lost to what a gateway says", async () => {
  const uploads = { describe: (id, alt) => post(`/pictures/${id}`, { alt }) };
  const pictures = new OutboxPictures({ store: {}, uploads, epoch: () => "e1", now: Date.now });
  const describe = () =>
    pictures.describe({ pictures: [{ alt: "the lake", uploaded: { id: 1 } }] });
  answer = send(502, "<h1>502");
  await assert.rejects(describe(), { code: "offline" });
  answer = send(507, '{"error": {"code": "storage_full", "message": "Full."}}');
  await assert.rejects(describe(), { code: "storage_full" });
  answer = send(404, '{"error": {"code": "not_found", "message": "Sent already."}}');
  await describe();
  await settled();
});

test("pages carry their first state in the tag that is looked for", () => {
  const template = new URL("../../templates/_live.html", import.meta.url);
  const [tag] = CARRIED.split("{");
  assert.ok(readFileSync(template, "utf8").includes(tag));
});
