// Rows that this browser keeps through reloads, crashes and restarts: a small interface
// to IndexedDB, and a smaller substitute where that is refused.
//
// Both have the same two functions. `change(act)` calls `act` with the rows in one
// read-write transaction, which no other tab is in at the same time: `get(table, key)`,
// `all(table)`, `put(table, row)` and `remove(table, key)`. It resolves once all is
// stored, and rejects with a QuotaExceededError, nothing changed, when the disk is full.

/** Table -> the field that is its key. */
export const TABLES = {
  outbox: "client_id",
  trays: "id",
  files: "key",
  uploads: "key",
  drafts: "room_id",
};

const VERSION = 2; // goes up with each new table
const NAMES = Object.keys(TABLES);
const PATIENCE_MS = 10_000; // some browsers never answer; a busy disk takes seconds

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Store {
  keepsFiles = true;
  #opening = null;

  constructor(factory, name) {
    this.factory = factory;
    this.name = name;
  }

  /** Opened when first needed, and again after the browser has closed it. */
  open() {
    this.#opening ??= this.#open();
    this.#opening.catch(() => (this.#opening = null));
    return this.#opening;
  }

  async #open() {
    const request = this.factory.open(this.name, VERSION);
    request.onupgradeneeded = () => {
      for (const [table, keyPath] of Object.entries(TABLES)) {
        if (request.result.objectStoreNames.contains(table)) continue; // of an older version
        request.result.createObjectStore(table, { keyPath });
      }
    };
    const database = await answer(request);
    const close = () => {
      database.close();
      this.#opening = null;
    };
    database.onversionchange = close;
    database.onclose = close;
    return database;
  }

  async change(act) {
    const database = await this.open();
    // strict: what was written survives a power cut, as on the server.
    const transaction = database.transaction(NAMES, "readwrite", { durability: "strict" });
    const ended = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    ended.catch(() => undefined); // reported by the first error
    try {
      const result = await act(rowsOf(transaction));
      await ended;
      return result;
    } catch (error) {
      abort(transaction);
      throw error;
    }
  }
}

function abort(transaction) {
  try {
    transaction.abort();
  } catch {
    // It has already ended.
  }
}

function rowsOf(transaction) {
  const table = (name) => transaction.objectStore(name);
  return {
    get: (name, key) => answer(table(name).get(key)),
    all: (name) => answer(table(name).getAll()),
    put: (name, row) => answer(table(name).put(row)),
    remove: (name, key) => answer(table(name).delete(key)),
  };
}

/** Where IndexedDB is refused: words in localStorage, pictures in memory only. */
export class WordStore {
  keepsFiles = false;
  #files = new Map();

  constructor(storage, name) {
    this.storage = storage;
    this.prefix = `${name}.`;
  }

  async change(act) {
    return act(this);
  }

  #key(table, key) {
    return `${this.prefix}${table}.${key}`;
  }

  async get(table, key) {
    if (table === "files") return this.#files.get(key);
    const text = this.storage.getItem(this.#key(table, key));
    return text ? JSON.parse(text) : undefined;
  }

  async all(table) {
    const start = this.#key(table, "");
    const keys = Object.keys(this.storage).filter((key) => key.startsWith(start));
    return keys.map((key) => JSON.parse(this.storage.getItem(key)));
  }

  async put(table, row) {
    const key = row[TABLES[table]];
    if (table === "files") this.#files.set(key, row);
    else this.storage.setItem(this.#key(table, key), JSON.stringify(row));
  }

  async remove(table, key) {
    this.#files.delete(key);
    this.storage.removeItem(this.#key(table, key));
  }
}

/** The best store that this browser allows; calls wait until it is known which. */
class FoundStore {
  keepsFiles = true;

  constructor(finding) {
    this.finding = finding.then((store) => {
      this.keepsFiles = store.keepsFiles;
      return store;
    });
  }

  async change(act) {
    return (await this.finding).change(act);
  }
}

export function openStore(name, { indexedDB, localStorage } = globalThis) {
  return new FoundStore(find(name, indexedDB, localStorage));
}

async function find(name, factory, storage) {
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE_MS));
  try {
    const store = new Store(factory, name);
    await Promise.race([store.open(), late]);
    return store;
  } catch {
    return new WordStore(storage, name);
  }
}
