// The people and makers of the tests.

export const ada = { id: 1, rev: 1, name: "ada", display_name: "Ada", kind: "person" };
export const grace = { id: 2, rev: 2, name: "grace", display_name: "Grace", kind: "person" };

export function makeHai(id, changes = {}) {
  return {
    id,
    rev: id * 10,
    room_id: 7,
    user_id: grace.id,
    text: `hai ${id}`,
    sent_at: id * 1000,
    pictures: [],
    reactions: {},
    ...changes,
  };
}

export function tombstone(hai, rev = hai.rev + 1) {
  return { ...hai, rev, text: "", deleted_at: 1, pictures: [], reactions: {} };
}

export function makeRoom(changes = {}) {
  return { id: 7, rev: 3, kind: "open", name: "Lounge", member_count: 2, unread: 0, ...changes };
}

export function firstState(changes = {}) {
  return { me: ada, epoch: "e1", rev: 100, users: [ada, grace], rooms: [makeRoom()], ...changes };
}

/** Every event of those types, as they happen. */
export function record(target, ...types) {
  const heard = [];
  for (const type of types) {
    target.addEventListener(type, ({ detail }) => heard.push([type, detail]));
  }
  return heard;
}

export class FakeStorage {
  getItem(key) {
    return this[key] ?? null;
  }
  setItem(key, value) {
    this[key] = value;
  }
  removeItem(key) {
    delete this[key];
  }
}

/** A socket whose answers the test decides: `answer(name, payload)`. */
export class FakeSocket extends EventTarget {
  isUp = true;
  isDown = false;
  orders = [];
  answer = () => ({});

  async order(name, payload) {
    this.orders.push([name, payload]);
    return this.answer(name, payload);
  }

  rise() {
    this.isUp = true;
    this.isDown = false;
    this.dispatchEvent(new Event("up"));
  }

  fall() {
    this.isUp = false;
    this.isDown = true;
    this.dispatchEvent(new Event("down"));
  }
}

/** Whatever needs no timer has happened. */
export async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve));
}

/** The browser's store, in memory: what two tabs of the tests share. */
export class FakeStore {
  keepsFiles = true;
  tables = {
    outbox: new Map(),
    trays: new Map(),
    files: new Map(),
    uploads: new Map(),
    drafts: new Map(),
  };
  keys = { outbox: "client_id", trays: "id", files: "key", uploads: "key", drafts: "room_id" };
  refuse = null; // (table, row) -> an error, or nothing
  #turn = Promise.resolve();

  change(act) {
    const done = this.#turn.then(() => this.#change(act));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #change(act) {
    const before = Object.entries(this.tables).map(([name, rows]) => [name, new Map(rows)]);
    try {
      return await act(this);
    } catch (error) {
      this.tables = Object.fromEntries(before);
      throw error;
    }
  }

  async get(table, key) {
    return this.tables[table].get(key);
  }
  async all(table) {
    return [...this.tables[table].values()];
  }
  async put(table, row) {
    const error = this.refuse?.(table, row);
    if (error) throw error;
    this.tables[table].set(row[this.keys[table]], row);
  }
  async remove(table, key) {
    this.tables[table].delete(key);
  }
}

/** Uploads that arrive when the test says so. */
export class FakeUploads extends EventTarget {
  flights = new Map(); // key -> {roomId, file, arrive(id), fail(error)}
  calls = [];

  start(key, roomId, file, { keepsMetadata } = {}) {
    return new Promise((resolve, reject) => {
      const end = (act) => (value) => {
        this.flights.delete(key);
        act(value);
      };
      const arrive = end((id) => resolve({ id }));
      this.flights.set(key, { roomId, file, keepsMetadata, arrive, fail: end(reject) });
    });
  }
  stop(key) {
    this.calls.push(["stop", key]);
  }
  async describe(id, alt) {
    this.calls.push(["describe", id, alt]);
  }
  discard(id) {
    this.calls.push(["discard", id]);
  }
}

/** Tabs of one browser: what one tells, the others are told. */
export class FakeTabs extends EventTarget {
  static all = new Set();
  ready = Promise.resolve();

  constructor(id, all = FakeTabs.all) {
    super();
    Object.assign(this, { id, all });
    all.add(this);
  }
  tell(words) {
    for (const tab of this.all) {
      if (tab !== this) tab.dispatchEvent(new CustomEvent("told", { detail: words }));
    }
  }
  async areThere(ids) {
    return new Set([...this.all].map((tab) => tab.id).filter((id) => ids.includes(id)));
  }
}

/** Locks as browsers have them, for the tabs of one test. */
export function makeTurns() {
  const ends = new Map();
  return (name, act) => {
    const turn = (ends.get(name) ?? Promise.resolve()).then(act);
    ends.set(
      name,
      turn.catch(() => undefined),
    );
    return turn;
  };
}

export const png = (name, size = 1000) =>
  Object.assign(new Blob([new Uint8Array(Math.min(size, 1000))], { type: "image/png" }), { name });
