// After any gap (a reconnect, a sleeping tab) ask for every row above the rev we know.
// Where that is a lot, a new first state is less: 40 hais of the open room, and for the
// other rooms their counts. (14 KiB zipped, where 10,000 missed hais would be 3 MiB.)

import { ORDERS } from "#net/events";
import { isPassing } from "#net/refusal";

const LIMIT = 200;
const AWAY_LIMIT = 20; // after long there is most likely more than a page, which is then dropped
const AWAY_MS = 3_600_000;
const AGAIN_MS = 2000;

export class CatchUp {
  #running = null;
  #again = false;

  /** list(): of the open room; startOver(): take a new first state;
      startAfresh(): what to do when the server's database is another one. */
  constructor({ state, socket, list, startOver, startAfresh }) {
    Object.assign(this, { state, socket, list, startOver, startAfresh });
  }

  /** One run at a time; one asked for meanwhile follows it. */
  run() {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#runAll().finally(() => {
      this.#running = null;
      if (this.#again) {
        this.#again = false;
        this.run();
      }
    });
    return this.#running;
  }

  async #runAll() {
    try {
      const { roomIds, removedIds } = await this.#page();
      const list = this.list();
      // The room's row came: we may have left and come back meanwhile.
      if (!list || !roomIds.includes(list.roomId)) return;
      if (removedIds.includes(list.roomId)) await list.renew();
      else await list.refresh();
    } catch (error) {
      if (error.code === "epoch_changed") this.startAfresh();
      else if (!isPassing(error)) throw error;
      else if (this.socket.isUp) setTimeout(() => this.run(), AGAIN_MS);
    }
  }

  async #page() {
    const isLong = Date.now() - this.state.heardAt > AWAY_MS;
    const payload = { ...this.state.ask(), limit: isLong ? AWAY_LIMIT : LIMIT };
    const page = await this.socket.order(ORDERS.getChanges, payload);
    const roomIds = this.state.catchUp(page);
    const found = { roomIds, removedIds: page.removed_room_ids };
    if (!page.has_more) return found;
    // A first state if possible, else all pages. What is newer than it, and who is
    // online, comes on the last page.
    const hasBegunAnew = await this.startOver();
    const rest = await this.#page();
    if (hasBegunAnew) return rest;
    return {
      roomIds: roomIds.concat(rest.roomIds),
      removedIds: found.removedIds.concat(rest.removedIds),
    };
  }
}
