import assert from "node:assert/strict";
import { test } from "node:test";

import { Gallery } from "#models/gallery";

const picture = (id) => ({ id, url: `/pictures/${id}` });
const haiOf = (id, ...pictureIds) => ({ id, rev: id, pictures: pictureIds.map(picture) });
const talk = [haiOf(1, 11), haiOf(2, 21, 22), haiOf(5, 51), haiOf(9, 91, 92, 93)];

/** A server with the talk, two hais a page. */
function served(hais = talk) {
  const asked = [];
  const get = async (query) => {
    asked.push(query);
    const { before, after } = query;
    const found = hais.filter(({ id }) => (before ? id < before : id > after));
    const page = before ? found.slice(-2) : found.slice(0, 2);
    return { hais: page, has_more: found.length > 2 };
  };
  return { get, asked };
}

const open = (server, hai = talk[3], pictureId = 91) => {
  return new Gallery({ get: server.get, hai, pictureId });
};
const idOf = (gallery) => gallery.here.picture.id;

test("one turns through all pictures of the talk, and no further", async () => {
  const gallery = open(served());
  const seen = [idOf(gallery)];
  while (await gallery.turn(-1)) seen.push(idOf(gallery));
  assert.deepEqual(seen, [91, 51, 22, 21, 11]);
  assert.equal(gallery.mayTurn(-1), false);
  while (await gallery.turn(1));
  assert.equal(idOf(gallery), 93);
  assert.equal(gallery.mayTurn(1), false);
});

test("it asks for hais with pictures only, and once for a page", async () => {
  const server = served();
  const gallery = open(server);
  await Promise.all([gallery.load(-1), gallery.load(-1)]);
  await gallery.load(-1);
  assert.deepEqual(server.asked, [{ before: 9, limit: 20, with_pictures: true }]);
});

test("it says which of its hai's pictures this is", () => {
  const { number, count } = open(served(), talk[3], 92).here;
  assert.deepEqual([number, count], [2, 3]);
});

test("voices are passed over, however many there are; videos are not", async () => {
  const video = (id) => ({ ...picture(id), type: "video/mp4" });
  const voice = (id) => ({ ...picture(id), type: "audio/ogg" });
  const voices = [2, 3, 4, 5, 6].map((id) => ({ id, rev: id, pictures: [voice(id * 10)] }));
  const mixed = { id: 9, rev: 9, pictures: [voice(90), video(91), picture(92)] };
  const gallery = open(served([haiOf(1, 11), ...voices, mixed]), mixed, 92);
  const { number, count } = gallery.here;
  assert.deepEqual([number, count], [2, 2]);
  assert.equal(await gallery.turn(-1), true);
  assert.equal(idOf(gallery), 91);
  assert.equal(gallery.beside(-1), undefined);
  assert.equal(await gallery.turn(-1), true);
  assert.equal(idOf(gallery), 11);
});

test("without a line it stays where it is, and goes on later", async () => {
  const server = served();
  let isDown = true;
  const get = (query) => (isDown ? Promise.reject(new Error("down")) : server.get(query));
  const gallery = new Gallery({ get, hai: talk[3], pictureId: 91 });
  await assert.rejects(gallery.turn(-1));
  assert.equal(idOf(gallery), 91);
  isDown = false;
  assert.equal(await gallery.turn(-1), true);
  assert.equal(idOf(gallery), 51);
});

test("what is described meanwhile is described here", () => {
  const gallery = open(served());
  const changed = { ...talk[3], rev: 12, pictures: [{ ...picture(91), alt: "A bay" }] };
  gallery.merge(changed);
  assert.equal(gallery.here.picture.alt, "A bay");
  gallery.merge(talk[3]);
  assert.equal(gallery.here.picture.alt, "A bay", "an older row changes nothing");
});

test("when its hai is deleted the one beside is shown, or all is gone", async () => {
  const gallery = open(served());
  await gallery.load(-1);
  gallery.merge({ ...haiOf(9), rev: 20, deleted_at: 1 });
  assert.equal(idOf(gallery), 51);
  const lone = open(served([]));
  let isGone = false;
  lone.addEventListener("gone", () => (isGone = true));
  lone.merge({ ...haiOf(9), rev: 20, deleted_at: 1 });
  assert.ok(isGone);
});

test("a new picture can be turned to once all newer ones are known", async () => {
  const gallery = open(served(), talk[3], 93);
  gallery.merge(haiOf(30, 301));
  assert.equal(gallery.beside(1), undefined);
  await gallery.load(1);
  gallery.merge(haiOf(31, 311));
  gallery.merge(haiOf(32));
  assert.equal(gallery.beside(1).id, 311);
});
