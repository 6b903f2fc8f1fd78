import assert from "node:assert/strict";
import { test } from "node:test";

import { excerpt, kindOf, lengthWords, placeWords } from "#lib/text";
import { kindOfFile } from "#lib/picture_types";

test("a file is known by its type, and where the system has none, by its ending", () => {
  const kind = (type, name) => kindOfFile({ type, name });
  assert.equal(kind("image/png", "a"), "picture");
  assert.equal(kind("video/quicktime", "a.mov"), "video");
  assert.equal(kind("audio/webm;codecs=opus", "voice.webm"), "voice");
  assert.equal(kind("", "Hum.M4A"), "voice");
  assert.equal(kind("", "notes"), undefined);
  assert.equal(kind("application/pdf", "a.m4a"), undefined);
  assert.equal(kind("image/heic", "a.heic"), undefined);
});

test("what was kept before there were videos is a picture", () => {
  assert.equal(kindOf({}), "picture");
  assert.equal(kindOf({ type: "audio/ogg" }), "voice");
});

test("a length is never nothing; a place can be at the beginning", () => {
  assert.deepEqual([0, 200, 7499, 7500, 750_000, 3_723_000].map(lengthWords), [
    "",
    "0:01",
    "0:07",
    "0:08",
    "12:30",
    "1:02:03",
  ]);
  assert.equal(lengthWords(undefined), "");
  assert.deepEqual([0, 999, 61_000].map(placeWords), ["0:00", "0:00", "1:01"]);
});

test("an excerpt says what is in it", () => {
  const words = (...types) => excerpt({ text: "", pictures: types.map((type) => ({ type })) });
  assert.equal(words("video/mp4"), "A video");
  assert.equal(words("audio/ogg"), "A voice hai");
  assert.equal(words("audio/ogg", "audio/ogg"), "Voice hais");
  assert.equal(words("video/mp4", "image/png"), "Pictures and videos");
});
