import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  byteWords,
  countChars,
  daysWords,
  excerpt,
  goneWords,
  isEmojiOnly,
  letter,
  sizeOf,
  whoWrites,
  wordsOf,
} from "#lib/text";

const hai = (text, pictures = []) => ({ text, pictures });
const marked = JSON.parse(readFileSync(new URL("words.json", import.meta.url), "utf8"));

test("a name gives its first letter, in whatever script", () => {
  const names = ["ada", "émile", "مریم", "雪 Yuki", "@grace", "7up", "🦈", ""];
  assert.deepEqual(names.map(letter), ["A", "É", "م", "雪", "G", "7", "🦈", "?"]);
});

test("only emoji are emoji-only", () => {
  for (const text of ["🌊", "👩‍👩‍👧‍👦", "🇩🇪 🇯🇵", "❤️", "1️⃣", "👋🏽👋🏿", " 🎉🎉 "]) {
    assert.ok(isEmojiOnly(text), text);
  }
  for (const text of ["", "hi 🌊", "1", "#", "© ", "→", "🎉".repeat(7), "你好", "ㄱ", "12"]) {
    assert.ok(!isEmojiOnly(text), text);
  }
});

test("a plain wave is drawn large, unless it comes with a picture", () => {
  assert.equal(sizeOf(hai("hai!")), "wave");
  assert.equal(sizeOf(hai(" hai! ")), "wave");
  assert.equal(sizeOf(hai("hai!", [{}])), "text");
  assert.equal(sizeOf(hai("Hai there")), "text");
  assert.equal(sizeOf(hai("🌊")), "emoji");
});

test("an excerpt is one line, or says what there is instead of words", () => {
  assert.equal(excerpt(hai("one\n  two")), "one two");
  assert.equal(countChars(excerpt(hai("🌊".repeat(500)))), 120);
  assert.equal(excerpt(hai("", [{}])), "A picture");
  assert.equal(excerpt(hai("", [{}, {}])), "Pictures");
});

test("what is quoted are the words, as the server reads them, not their marks", () => {
  for (const { html, words } of marked) {
    assert.equal(wordsOf({ text: "*", html }), words);
    assert.equal(excerpt({ text: "*", html, pictures: [] }), words.replaceAll(/\s+/gu, " "));
  }
  assert.equal(wordsOf(hai("a *plain* <text>")), "a *plain* <text>");
});

test("characters are code points, as the server counts them", () => {
  assert.equal(countChars("a🌊"), 2);
});

test("up to two people who write are named", () => {
  assert.deepEqual(whoWrites([]), { who: "", verb: "" });
  assert.deepEqual(whoWrites(["Ada"]), { who: "Ada", verb: " is writing" });
  assert.deepEqual(whoWrites(["Ada", "Grace"]), { who: "Ada and Grace", verb: " are writing" });
  assert.deepEqual(whoWrites(["Ada", "Grace", "Linus"]), {
    who: "Several people",
    verb: " are writing",
  });
});

test("sizes are said in words one knows", () => {
  assert.deepEqual([900, 250_000, 61 * 1024 * 1024].map(byteWords), ["1 KB", "0.2 MB", "61 MB"]);
});

test("pictures that were not kept leave their words", () => {
  const gone = { gone_at: 1, type: "image/png" };
  const film = { gone_at: 1, type: "video/mp4" };
  const words = [[], [{}], [gone], [{ ...gone, alt: "A lake" }], [gone, {}, gone]];
  words.push([film], [film, gone]);
  assert.deepEqual(
    words.map((pictures) => goneWords(hai("", pictures))),
    [
      "",
      "",
      "A picture, no longer kept",
      "A picture, no longer kept: A lake",
      "2 pictures, no longer kept",
      "A video, no longer kept",
      "2 pictures and videos, no longer kept",
    ],
  );
});

test("how long is said in words one knows", () => {
  assert.deepEqual([0, 1, 7, 30, 365, 3650].map(daysWords), [
    "forever",
    "a day",
    "a week",
    "30 days",
    "a year",
    "3,650 days",
  ]);
});
