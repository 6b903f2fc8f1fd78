// What the share sheet left in this browser (static/service_worker.js), for the page that
// asks where it should go.

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function inTable(mode, act, factory) {
  const request = factory.open("hai.shared", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("shared", { keyPath: "id", autoIncrement: true });
  };
  const database = await answer(request);
  try {
    return await act(database.transaction("shared", mode).objectStore("shared"));
  } finally {
    database.close();
  }
}

/** Rows {id, file} and {id, text}, the oldest first. */
export function readShared(factory = globalThis.indexedDB) {
  return inTable("readonly", (table) => answer(table.getAll()), factory);
}

export function forgetShared(ids, factory = globalThis.indexedDB) {
  const remove = (table) => Promise.all(ids.map((id) => answer(table.delete(id))));
  return inTable("readwrite", remove, factory);
}
