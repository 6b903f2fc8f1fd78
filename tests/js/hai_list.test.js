import assert from "node:assert/strict";
import { test } from "node:test";

import { HaiList } from "#models/hai_list";
import { makeHai, record, tombstone } from "./cast.js";

function makeList(ids, changes = {}) {
  const hais = ids.map((id) => makeHai(id));
  return new HaiList({ roomId: 7, hais, hasMoreBefore: false, hasMoreAfter: false, ...changes });
}

const ids = (list) => list.hais.map((hai) => hai.id);

test("hais stand in the order of their ids, whatever the order they come in", () => {
  const list = makeList([10, 30]);
  for (const id of [40, 20, 5]) list.merge(makeHai(id));
  assert.deepEqual(ids(list), [5, 10, 20, 30, 40]);
});

test("the higher rev wins, an older row or the same again changes nothing", () => {
  const list = makeList([10]);
  const heard = record(list, "added", "changed");
  list.merge(makeHai(10, { rev: 120, text: "edited" }));
  list.merge(makeHai(10, { rev: 110, text: "older edit" }));
  list.merge(makeHai(10, { rev: 120, text: "edited" }));
  assert.equal(list.hais[0].text, "edited");
  assert.equal(heard.length, 1);
});

test("a deleted hai goes, and an older row does not bring it back", () => {
  const list = makeList([10, 20]);
  list.merge(tombstone(makeHai(10), 500));
  list.merge(makeHai(10, { rev: 400 }));
  assert.deepEqual(ids(list), [20]);
});

test("a tombstone may come before its hai", () => {
  const list = makeList([10]);
  list.merge(tombstone(makeHai(20), 500));
  list.merge(makeHai(20));
  assert.deepEqual(ids(list), [10]);
});

test("other rooms' hais are not for this list", () => {
  const list = makeList([10]);
  list.merge(makeHai(20, { room_id: 8 }));
  assert.deepEqual(ids(list), [10]);
});

test("reading the past, what lies beyond the stretch is left out", () => {
  const list = makeList([10, 20], { hasMoreBefore: true, hasMoreAfter: true });
  list.merge(makeHai(5));
  list.merge(makeHai(30));
  list.merge(makeHai(15));
  assert.deepEqual(ids(list), [10, 15, 20]);
});

test("older hais are asked for before the first one held", async () => {
  const asked = [];
  const get = async (query) => {
    asked.push(query);
    return { hais: [makeHai(8), makeHai(9)], has_more: false };
  };
  const list = makeList([10], { hasMoreBefore: true, get });
  await list.loadBefore();
  await list.loadBefore();
  assert.deepEqual(ids(list), [8, 9, 10]);
  assert.deepEqual(asked, [{ before: 10, limit: 40 }]);
});

test("a page that adjoins is merged with what came meanwhile", async () => {
  const list = makeList([10, 20]);
  list.get = async () => {
    list.merge(makeHai(40));
    return { hais: [makeHai(20, { rev: 999, text: "edited" }), makeHai(30)], has_more: true };
  };
  await list.refresh();
  assert.deepEqual(ids(list), [10, 20, 30, 40]);
  assert.equal(list.find(20).text, "edited");
});

test("what the server no longer has within a page goes", async () => {
  const list = makeList([10, 20, 30]);
  list.get = async () => ({ hais: [makeHai(10), makeHai(30)], has_more: false });
  await list.refresh();
  assert.deepEqual(ids(list), [10, 30]);
});

test("a gap is not papered over: the list begins anew", async () => {
  const list = makeList([10]);
  const heard = record(list, "reset");
  list.get = async () => ({ hais: [makeHai(90), makeHai(91)], has_more: true });
  await list.refresh();
  assert.deepEqual(ids(list), [90, 91]);
  assert.ok(list.hasMoreBefore);
  assert.equal(heard.length, 1);
});

test("the oldest are forgotten when the page grows long", () => {
  const list = makeList([1, 2, 3, 4]);
  list.trim(3);
  assert.deepEqual(ids(list), [2, 3, 4]);
  assert.ok(list.hasMoreBefore);
});

test("unread ones are those of others above the marker", () => {
  const list = makeList([10, 20, 30]);
  list.merge(makeHai(40, { user_id: 1 }));
  assert.equal(list.countAfter(10, 1), 2);
});

test("what is unread is counted where all of it is held, else not at all", () => {
  const past = { hasMoreBefore: true };
  assert.equal(makeList([10, 20, 30]).countAfter(10, 1), 2);
  assert.equal(makeList([10, 20, 30], past).countAfter(10, 1), 2);
  assert.equal(makeList([10, 20, 30], past).countAfter(9, 1), 3);
  assert.equal(makeList([10, 20, 30], past).countAfter(8, 1), undefined);
  assert.equal(makeList([10, 20], { hasMoreAfter: true }).countAfter(10, 1), undefined);
  assert.equal(makeList([10, 20]).countAfter(10, 1, 20), 1);
  assert.equal(makeList([10, 20]).countAfter(10, 1, 30), undefined, "the list is behind");
  assert.equal(makeList([]).countAfter(0, 1), 0);
});

// ---- Facts that overtake a page ----

/** A list whose pages are drawn before those rows are merged, and come after them. */
function overtaken(ids, page, rows, changes) {
  const list = makeList(ids, changes);
  list.get = async () => {
    rows.forEach((hai) => list.merge(hai));
    return page;
  };
  return list;
}

const past = { hasMoreBefore: true, hasMoreAfter: true };

test("back from the past, what came meanwhile is there", async () => {
  const page = { hais: [makeHai(90), makeHai(91)], has_more: true };
  const rows = [
    makeHai(92),
    makeHai(91, { rev: 950, text: "better" }),
    tombstone(makeHai(90), 960),
  ];
  const list = overtaken([1], page, rows, past);
  await list.toNow();
  assert.deepEqual(ids(list), [91, 92]);
  assert.equal(list.find(91).text, "better");
});

test("scrolling down to the newest, what came meanwhile is there", async () => {
  const list = overtaken([1], { hais: [makeHai(2)], has_more: false }, [makeHai(3)], past);
  await list.loadAfter();
  assert.deepEqual(ids(list), [1, 2, 3]);
});

test("scrolling up, a change that overtook the page stands", async () => {
  const rows = [makeHai(40, { rev: 900, text: "better" }), tombstone(makeHai(41), 910)];
  const page = { hais: [makeHai(40), makeHai(41)], has_more: true };
  const list = overtaken([50], page, rows, past);
  await list.loadBefore();
  assert.deepEqual(ids(list), [40, 50]);
  assert.equal(list.find(40).text, "better");
});

test("looking again over a gap, what came meanwhile is there", async () => {
  const page = { hais: [makeHai(50), makeHai(51)], has_more: true };
  const list = overtaken([1], page, [makeHai(52)]);
  await list.refresh();
  assert.deepEqual(ids(list), [50, 51, 52]);
});

test("looking again, what is all gone goes, and what came meanwhile stays", async () => {
  const list = overtaken([1, 2], { hais: [], has_more: false }, [makeHai(3)]);
  await list.refresh();
  assert.deepEqual(ids(list), [3]);
});

test("a first state that facts overtook, read in the past", async () => {
  const list = makeList([1], past);
  await list.during(async () => {
    list.merge(makeHai(52));
    const hais = [makeHai(50), makeHai(51)];
    list.replace({ hais, has_more_before: true, has_more_after: false, rev: 515 });
  });
  assert.deepEqual(ids(list), [50, 51, 52]);
});

test("old news of a hai that was deleted before the page was drawn shows nothing", () => {
  const list = makeList([10, 30], { rev: 400 });
  list.merge(makeHai(20, { rev: 350 }));
  list.merge(makeHai(30, { rev: 450, text: "better" }));
  list.merge(makeHai(40, { rev: 460 }));
  assert.deepEqual(ids(list), [10, 30, 40]);
  assert.equal(list.find(30).text, "better");
});

test("a page that no longer adjoins is let go", async () => {
  const list = makeList([50], { hasMoreBefore: true });
  list.get = async () => {
    list.replace({ hais: [makeHai(90)], has_more_before: true, has_more_after: false, rev: 900 });
    return { hais: [makeHai(49)], has_more: false };
  };
  await list.loadBefore();
  assert.deepEqual(ids(list), [90]);
  assert.ok(list.hasMoreBefore);
});

test("the first new one is the one after what was read, until that is found", () => {
  const list = makeList([10, 20, 30], { newAfterId: 15 });
  assert.equal(list.firstNew.id, 20);
  list.newAfterId = undefined;
  assert.equal(list.firstNew, undefined);
});

test("a new first state says anew where the new begins", () => {
  const list = makeList([10, 20]);
  assert.equal(list.firstNew, undefined);
  const hais = [makeHai(20), makeHai(30)];
  list.replace({ hais, has_more_before: true, has_more_after: false, new_after_hai_id: 20 });
  assert.equal(list.firstNew.id, 30);
});
