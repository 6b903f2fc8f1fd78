// Starts a page: reads the state it carries, opens the one socket, attaches controllers.
// State flows one way: socket and fetch -> models -> controllers -> the page.

import { on } from "#lib/dom";
import { openStore } from "#lib/store";
import { Tabs } from "#lib/tabs";
import { throttle, watchSleep } from "#lib/timing";
import { registerWorker } from "#lib/trusted";
import { CatchUp } from "#models/catch_up";
import { Drafts } from "#models/drafts";
import { HaiList } from "#models/hai_list";
import { Outbox } from "#models/outbox";
import { State } from "#models/state";
import { Typing } from "#models/typing";
import { getFirstState, getUsers } from "#net/api";
import { ORDERS, newClientId } from "#net/events";
import { LiveSocket } from "#net/socket";
import { Uploads } from "#net/upload";

const LONG_HIDDEN_MS = 5000;
const GAP_MS = 1000;
const SENT_MS = 10_000; // after that ask again: they may have chosen to stay
const MANY_NAMES = 100; // in one request

/** Attach the controllers named within an element; resolves with what lets go of them. */
async function attach(root, page) {
  const elements = [...root.querySelectorAll("[data-controller]")];
  const named = elements.flatMap((element) =>
    element.dataset.controller.split(" ").map((name) => ({ element, name })),
  );
  const modules = await Promise.all(named.map(({ name }) => import(`#controllers/${name}`)));
  return named.flatMap(({ element }, index) => {
    if (!element.isConnected) return []; // one has gone on to another page meanwhile
    const disconnect = modules[index].connect(element, page);
    return disconnect ? [{ element, disconnect }] : [];
  });
}

/** What every controller is handed as `page`. */
class Page {
  // --- For as long as the tab is open ---

  limits; // {textChars, bytes: {picture, video, voice}}
  tabs; // lib/tabs.js: what tabs of one browser tell each other
  store; // lib/store.js: what outlives a reload
  state; // models/state.js: me, users, rooms, rev, epoch
  socket = new LiveSocket();
  uploads; // net/upload.js
  outbox; // models/outbox.js: hais on their way
  drafts; // models/drafts.js: hais not sent yet, by room
  catchUp; // models/catch_up.js: what was missed
  disconnects = []; // {element, disconnect} of each controller attached

  // --- Of the room that is open, set by `enter` ---

  list = null; // models/hai_list.js; null where no room is open
  typing; // models/typing.js
  goneIds = []; // ids of quoted hais that are deleted
  canChange = false; // I may change this room

  // --- Set by the controller named; null, or nothing done, where it is not there ---

  composer = null; // controllers/composer.js
  tray = null; // controllers/tray.js
  drawing = null; // controllers/hai_list.js
  sidebar = null; // controllers/sidebar.js
  tell = () => undefined; // controllers/connection.js: show a line for some seconds
  visit = (path) => location.assign(path); // controllers/visit.js: go to another page

  #sentAt = -SENT_MS; // to sign in

  constructor(data, { tabs, store }) {
    this.limits = { textChars: data.max_text_chars, bytes: data.max_bytes };
    Object.assign(this, { tabs, store });
    this.state = new State(data.state);
    const meId = this.state.me.id;
    const epoch = () => this.state.epoch;
    this.uploads = new Uploads(document.body, { store });
    const { socket, uploads } = this;
    this.outbox = new Outbox({ store, socket, uploads, tabs, meId, epoch });
    this.drafts = new Drafts({ own: sessionStorage, shared: localStorage, store, meId });
    this.catchUp = new CatchUp({
      state: this.state,
      socket,
      list: () => this.list,
      startOver: () => this.#startOver(),
      startAfresh: () => location.reload(), // what was written is in the store
    });
    this.enter(data.state);
    this.#wire();
  }

  /** Open the room of a first state, if it has one. */
  enter(first) {
    this.typing?.stop();
    this.#know(first);
    this.list = first.room ? this.#listOf(first) : null;
    const roomId = first.room?.id;
    this.typing = new Typing({
      tell: () => this.tryOrder(ORDERS.startTyping, { room_id: roomId }),
    });
    first.hais?.forEach((hai) => this.#settle(hai));
  }

  /** Take over what a first state says about its room, besides the hais. */
  #know(first) {
    this.goneIds = first.gone_hai_ids ?? [];
    this.canChange = first.can_change ?? false;
  }

  #listOf(first) {
    return new HaiList({
      roomId: first.room.id,
      hais: first.hais,
      rev: first.rev,
      hasMoreBefore: first.has_more_before,
      hasMoreAfter: first.has_more_after,
      newAfterId: first.new_after_hai_id,
      get: (query) => this.socket.order(ORDERS.getHais, { room_id: first.room.id, ...query }),
    });
  }

  /** Too much was missed: fetch a new first state, around what is being read. */
  async #startOver() {
    const { list } = this;
    this.state.ask();
    return list ? list.during(() => this.#startOverIn(list)) : this.#startOverIn(null);
  }

  async #startOverIn(list) {
    const around = list && this.drawing?.readId;
    const path = list ? `/rooms/${list.roomId}` : "/rooms";
    const { disconnectCount } = this.state;
    const first = await getFirstState(around ? `${path}?around=${around}` : path);
    if (!first || first.epoch !== this.state.epoch) return false;
    this.state.startOver(first, disconnectCount);
    if (list && list === this.list) {
      this.#know(first);
      list.replace(first);
    }
    first.hais?.forEach((hai) => this.#settle(hai));
    return true;
  }

  get room() {
    return this.list && this.state.rooms.get(this.list.roomId);
  }

  /** The session has ended. Chromium crashes a tab that is sent there twice at once. */
  showSignIn() {
    if (performance.now() - this.#sentAt < SENT_MS) return;
    this.#sentAt = performance.now();
    location.assign("/sign_in");
  }

  order(name, payload) {
    return this.socket.order(name, payload);
  }

  /** An order whose failure nobody needs to hear of. */
  tryOrder(name, payload) {
    return this.order(name, payload).catch(() => undefined);
  }

  /** Announce a line to screen readers. */
  say(words) {
    document.getElementById("spoken").textContent = words;
  }

  /** One of mine is stored: it leaves the outbox. */
  #settle(hai) {
    if (!hai.client_id || hai.user_id !== this.state.me.id) return;
    this.outbox.settle(hai.client_id, hai);
  }

  #wire() {
    const { state, socket, outbox } = this;
    on(socket, "fact", ({ detail }) => state.hear(detail.name, detail.payload));
    on(socket, "up", () => this.catchUp.run());
    on(socket, "down", () => state.fell());
    for (const type of ["up", "down"]) {
      on(socket, type, () => (document.documentElement.dataset.socket = type));
    }
    on(state, "hai", ({ detail: hai }) => {
      this.#settle(hai);
      this.list?.merge(hai);
    });
    on(state, "sent", ({ detail: hai }) => {
      if (hai.room_id === this.list?.roomId) this.typing.ended(hai.user_id);
    });
    on(outbox, "stored", ({ detail }) => {
      if (detail.hai) state.mergeSent(detail.hai);
      else this.catchUp.run();
    });
    on(outbox, "unkept", () =>
      this.tell("This device is full. What you write stays while this tab is open."),
    );
    on(state, "typing", ({ detail }) => {
      if (detail.room_id === this.list?.roomId) this.typing.started(detail.user_id);
    });
    on(
      state,
      "gap",
      throttle(GAP_MS, () => this.catchUp.run()),
    );
    on(state, "unknown_users", ({ detail }) => this.meet(detail));
    on(state, "ended", () => this.showSignIn());
    state.countHeld = ({ id, last_hai_id: lastId }, haiId) =>
      this.list?.roomId === id ? this.list.countAfter(haiId, state.me.id, lastId) : undefined;
    this.#watchSleep();
  }

  /** Ask who these users are. */
  async meet(ids) {
    const rest = ids.slice(MANY_NAMES);
    const users = await getUsers(ids.slice(0, MANY_NAMES)).catch(() => []);
    this.state.meet(users);
    if (rest.length) await this.meet(rest);
  }

  /** After sleep or a lost network something was missed, and the socket may be dead
      without having noticed. */
  #watchSleep() {
    let hiddenAt = 0;
    const wake = () => {
      const { rev, epoch } = this.state;
      if (this.socket.isUp) this.catchUp.run();
      this.socket.wake(ORDERS.getChanges, { since_rev: rev, epoch, limit: 1 });
      this.outbox.flush();
    };
    on(window, "online", wake);
    on(window, "pageshow", ({ persisted }) => persisted && wake());
    on(document, "visibilitychange", () => {
      if (document.hidden) hiddenAt = Date.now();
      else if (Date.now() - hiddenAt > LONG_HIDDEN_MS) wake();
    });
    watchSleep(wake, () => document.hidden);
  }

  /** Attach the controllers named within an element; returns when all are there. */
  async attach(root) {
    this.disconnects.push(...(await attach(root, this)));
  }

  /** Disconnect the controllers within an element that is about to be removed. */
  detach(root) {
    const leaving = this.disconnects.filter(({ element }) => root.contains(element));
    this.disconnects = this.disconnects.filter((one) => !leaving.includes(one));
    leaving.forEach(({ disconnect }) => disconnect());
  }
}

// An avatar that fails to load is hidden, so that the letter behind it is seen.
const failed = ({ target }) => {
  if (target.matches(".avatar__picture")) target.hidden = true;
};
on(document, "error", failed, true);

const carried = document.getElementById("page");
if (carried) {
  const data = JSON.parse(carried.textContent);
  const name = `hai.${data.state.me.id}`;
  const tabs = new Tabs(name, { storage: sessionStorage, newId: newClientId });
  const page = new Page(data, { store: openStore(name), tabs });
  await page.attach(document);
  document.documentElement.dataset.live = "";
  page.outbox.open();
  await page.socket.open();
  registerWorker();
} else {
  await attach(document, null); // nobody is signed in: only forms that need no page
}
document.documentElement.dataset.live = "";
