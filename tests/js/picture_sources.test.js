import assert from "node:assert/strict";
import { test } from "node:test";

import { pictureSources, pictureWords, smallUrl } from "#lib/picture_sources";

const small = { width: 640, url: "/pictures/4?size=thumbnail" };
const full = {
  url: "/pictures/4",
  type: "image/jpeg",
  width: 4000,
  bytes: 5_000_000,
  thumbnail: small,
};

test("the talk shows the thumbnail; without one, the original", () => {
  assert.equal(pictureSources(full, 608).source, small.url);
  assert.equal(pictureSources({ ...full, thumbnail: undefined }, 608).source, full.url);
});

test("a dense screen may have a light original, never a heavy one", () => {
  assert.equal(pictureSources(full, 608).sources, "");
  const { sources, sizes } = pictureSources({ ...full, bytes: 200_000, width: 1200 }, 608);
  assert.equal(sources, "/pictures/4?size=thumbnail 640w, /pictures/4 1200w");
  assert.equal(sizes, "min(608px, 92vw)");
});

test("what moves plays, and stands still for those who want that", () => {
  const { source, still } = pictureSources({ ...full, is_animated: true }, 608);
  assert.deepEqual([source, still], [full.url, small.url]);
});

test("a quote shows what is small, or nothing", () => {
  assert.equal(smallUrl(full), small.url);
  assert.equal(smallUrl({ ...full, thumbnail: undefined }), "");
  assert.equal(smallUrl({ ...full, thumbnail: undefined, bytes: 900 }), full.url);
  assert.equal(smallUrl({ url: "/pictures/5", type: "video/mp4", bytes: 900 }), "");
});

test("a picture that nobody described says whose and which it is", () => {
  assert.equal(pictureWords("picture", "Ada", 1, 1), "Picture from Ada, not described");
  assert.equal(pictureWords("picture", "Ada", 2, 5), "Picture 2 of 5 from Ada, not described");
  assert.equal(pictureWords("video", "Ada", 3, 5), "Video 3 of 5 from Ada, not described");
});
