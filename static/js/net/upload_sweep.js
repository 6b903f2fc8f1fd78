// What this browser still stores of uploads that are over: those to be cancelled, retried
// until the server knows, and rows whose upload the server has forgotten.

import { erase } from "#net/tus";

const GONE = [204, 404, 410];
const FORGOTTEN_MS = 4 * 24 * 3_600_000; // the server: three days after the last byte

/** Rows: {key, url, at} of an upload, {key: url, url, is_left: true} of one to cancel.
    ask(url) resolves with the answer, or nothing when there was none. */
export async function sweep(store, { ask = erase, now = Date.now() } = {}) {
  const left = await store.change((rows) => takeStock(rows, now)).catch(() => []);
  const answers = await Promise.all(left.map(({ url }) => ask(url)));
  const done = left.filter((_, index) => GONE.includes(answers[index]?.status));
  const remove = async (rows) => {
    for (const { key } of done) await rows.remove("uploads", key);
  };
  await store.change(remove).catch(() => undefined); // then they are tried again
  if (done.length < left.length) again(store);
}

let isWaiting = false;

/** Once the network is back; one run covers all that were given up meanwhile. */
function again(store) {
  if (isWaiting) return;
  isWaiting = true;
  const look = () => {
    isWaiting = false;
    sweep(store);
  };
  globalThis.addEventListener?.("online", look, { once: true });
}

/** Those to cancel. Old ones go; rows of an earlier version get a time. */
async function takeStock(rows, now) {
  const left = [];
  for (const row of await rows.all("uploads")) {
    if (row.at === undefined) await rows.put("uploads", { ...row, at: now });
    else if (now - row.at > FORGOTTEN_MS) await rows.remove("uploads", row.key);
    if (row.is_left) left.push(row);
  }
  return left;
}
