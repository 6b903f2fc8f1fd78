// What this tab knows: me, users, rooms and the hais of the open room. It starts from
// the first state of the page and is kept right by facts and by catching up; rows are
// merged by (id, rev), the higher rev wins. tests/view.py is the same in Python.

import { Unread } from "#models/unread";
import { FACTS } from "#net/events";

/**
 * `rev` is what we ask from when we catch up: all rows up to it are here. Facts raise it
 * only while `isWhole`, that is from the end of a catch-up until the socket disconnects, or
 * a fact shows that there is more to ask for: otherwise a fact says nothing of what we
 * missed.
 *
 * Events: "rooms" (any room or its unread count), "users" (detail: user), "hai"
 * (detail: hai, of any room), "marks" (somebody has read on), "removed" (detail:
 * room_id), "typing" (detail: payload), "ended" (this session), "sent" (detail: hai, as
 * it is first heard of), "gap" (what we hold is not all there is: catch up), "unknown_users"
 * (detail: ids of users whose names are not here).
 */
export class State extends EventTarget {
  constructor(first) {
    super();
    this.me = first.me;
    this.epoch = first.epoch;
    this.rev = first.rev;
    this.users = new Map(first.users.map((user) => [user.id, user]));
    const rooms = roomsOf(first);
    this.rooms = new Map(rooms.map((room) => [room.id, room]));
    this.marks = new Map(); // room_id -> Map(user_id -> {hai_id, rev}): see #mark
    this.counts = new Map(); // room_id -> Unread
    for (const room of rooms) this.#countOf(room.id).take(room);
    this.guesses = new Map(); // room_id -> my marker, as derived from a fact
    this.left = new Map(); // room_id -> the rev at which it was known not to be ours
    this.countHeld = () => undefined; // (room, haiId) -> unread, if the open list has all
    this.toldReads = new Map(); // room_id -> my marker, as the server last told it
    this.uncounted = new Set(); // room_ids whose unread only the server can count
    this.isWhole = false;
    this.isBehind = false; // we know that there is more to catch up with
    this.disconnectCount = 0; // of the socket
    this.lowered = Infinity; // since the last request: the rev from which to ask once more
    this.newest = 0; // the highest rev that a fact had
    this.toldPresence = new Map(); // by user_id, since the last request: newer than its answer
    this.heardAt = Date.now();
    this.askedFor = new Set(); // user ids once asked for
  }

  user(id) {
    const user = this.users.get(id);
    if (!user && id) this.#miss(id);
    return user ?? { id, name: "", display_name: "Somebody", kind: "person" };
  }

  /** Members of large rooms are met one by one; they are asked for together. */
  #miss(id) {
    if (this.askedFor.has(id)) return;
    this.askedFor.add(id);
    this.missing ??= [];
    if (this.missing.push(id) > 1) return;
    queueMicrotask(() => {
      this.#tell("unknown_users", this.missing);
      this.missing = undefined;
    });
  }

  /** Names that were asked for. */
  meet(users) {
    for (const user of users) this.#mergeUser(this.#withTold(user));
  }

  get unreadCount() {
    let count = 0;
    for (const room of this.rooms.values()) count += room.unread ?? 0;
    return count;
  }

  /** Take over another page's first state. What facts brought since it was drawn,
      they being ahead of it, stays. */
  enter(first) {
    for (const user of first.users) this.#mergeUser(user);
    const rooms = roomsOf(first).filter(({ id }) => !(this.left.get(id) > first.rev));
    for (const room of rooms) this.#mergeOwnRoom(room);
    const ids = new Set(rooms.map((room) => room.id));
    for (const { id, rev } of this.rooms.values()) {
      if (!ids.has(id) && rev <= first.rev) this.#drop(id);
    }
    this.#tell("rooms");
  }

  /** What to ask get_changes with. From here on facts may be ahead of the answer. */
  ask() {
    this.lowered = Infinity;
    this.toldPresence.clear();
    return { since_rev: this.rev, epoch: this.epoch };
  }

  /** A first state drawn while the socket was up is as good as catching up.
      disconnectCount: as it was when that state was requested. */
  startOver(first, disconnectCount) {
    this.enter(first);
    this.#reach(first.rev, disconnectCount !== this.disconnectCount);
    const told = new Set(first.users.map(({ id }) => id));
    const ids = [...this.users.keys()].filter((id) => !told.has(id));
    if (ids.length) this.#tell("unknown_users", ids); // their changes were skipped
  }

  /** All rows up to there are here, but for what was to be asked once more meanwhile. */
  #reach(rev, hasMore) {
    this.rev = Math.min(rev, this.lowered);
    this.isWhole = !hasMore && this.lowered === Infinity;
    this.isBehind = hasMore;
    this.heardAt = Date.now();
  }

  /** There are rows above that rev that no fact will bring. */
  #askFrom(rev) {
    this.lowered = Math.min(this.lowered, rev);
    this.rev = Math.min(this.rev, rev);
    this.isWhole = false;
    this.#tell("gap");
  }

  /** The socket is down: from here on something may be missing. */
  fell() {
    this.isWhole = false;
    this.disconnectCount += 1;
  }

  hear(name, payload) {
    this.heardAt = Date.now();
    switch (name) {
      case FACTS.haiSent:
        this.#sent(payload.hai);
        this.#raise(payload.hai.rev);
        break;
      case FACTS.haiChanged:
        this.#look(payload.hai);
        this.mergeHai(payload.hai);
        this.#count([payload.hai]);
        this.#raise(payload.hai.rev);
        break;
      case FACTS.roomChanged:
        this.#mergeRoom(payload.room);
        break;
      case FACTS.roomRemoved:
        this.#removed(payload.room_id);
        break;
      case FACTS.userChanged:
        this.#hearUser(payload.user);
        break;
      case FACTS.readMarked:
        if (payload.rev) this.#mark(payload);
        if (payload.user_id === this.me.id) this.#readElsewhere(payload);
        break;
      case FACTS.presenceChanged:
        this.toldPresence.set(payload.user_id, payload.presence);
        this.#setPresence(payload);
        break;
      case FACTS.typingStarted:
        this.#tell("typing", payload);
        break;
      case FACTS.sessionStarted:
        this.#tell("session", payload);
        break;
      case FACTS.sessionEnded:
        this.#tell("ended");
        break;
    }
  }

  /** Merge one page of get_changes. Returns the room ids that came with it. */
  catchUp(page) {
    const roomIds = page.rooms.map((room) => room.id);
    for (const id of page.removed_room_ids) {
      // What facts ahead of the page said of it goes too: the next page brings it.
      if (this.rooms.has(id) && this.newest > page.rev) this.#askFrom(page.rev);
      if (roomIds.includes(id))
        this.#forget(id); // left, and come back
      else this.#drop(id);
      this.left.set(id, page.rev);
    }
    page.users.forEach((user) => this.#mergeUser(this.#withTold(user)));
    page.rooms.forEach((room) => this.#mergeOwnRoom(room));
    page.hais.forEach((hai) => this.mergeHai(hai));
    this.#count(page.hais);
    if (page.online_user_ids) this.#present(new Set(page.online_user_ids));
    this.#reach(page.rev, page.has_more);
    this.#tell("rooms");
    return roomIds;
  }

  /** A hai from wherever it came; the open room's list listens and keeps it. */
  mergeHai(hai) {
    this.#tell("hai", hai);
  }

  /** Not an old row of a user whom we do not have: later changes may not have been told
      to us. They are asked for when they are met. */
  #hearUser(user) {
    if (this.users.has(user.id) || user.rev > this.rev) this.#mergeUser(user);
    this.#raise(user.rev);
  }

  /** My own hai, from its ack, here or in another tab: it may be ahead of facts that
      are still to come, so it does not raise our rev. */
  mergeSent(hai) {
    this.#sent(hai);
  }

  #sent(hai) {
    if (!this.rooms.has(hai.room_id)) this.#askFrom(this.rev);
    this.mergeHai(hai);
    this.#count([hai]);
    this.#tell("sent", hai);
  }

  /** A change of a hai that we should have heard of when it was sent: its id is the rev
      that it had then. */
  #look(hai) {
    const room = this.rooms.get(hai.room_id);
    if (!room) this.#askFrom(this.rev);
    else if (hai.id > (room.last_hai_id ?? 0)) this.#askFrom(Math.min(this.rev, hai.id - 1));
  }

  /** Move my read marker, here and in the counts. */
  read(roomId, haiId) {
    const room = this.rooms.get(roomId);
    if (!room || haiId <= (room.my_read_hai_id ?? 0)) return;
    this.rooms.set(roomId, { ...room, my_read_hai_id: haiId });
    this.#countOf(roomId).read(haiId);
    this.#recount(roomId);
  }

  /** The server has my marker, set here or in another tab. */
  #readElsewhere({ room_id: roomId, hai_id: haiId }) {
    this.toldReads.set(roomId, haiId);
    this.read(roomId, haiId);
    this.#askForCount(roomId);
  }

  /** The room's row has the count; marking read has given it a new rev. */
  #askForCount(roomId) {
    if (this.uncounted.delete(roomId)) this.#askFrom(this.rev);
  }

  /** Somebody has read as far, at that rev: the room's row may not have it yet. Sending
      marks read too, at the rev that is the hai's id. See models/receipts.js. */
  #mark({ room_id: roomId, user_id: userId, hai_id, rev }) {
    const marks = this.marks.get(roomId) ?? new Map();
    if (rev > (marks.get(userId)?.rev ?? 0)) marks.set(userId, { hai_id, rev });
    this.marks.set(roomId, marks);
    this.#tell("marks");
  }

  #countOf(roomId) {
    if (!this.counts.has(roomId)) this.counts.set(roomId, new Unread());
    return this.counts.get(roomId);
  }

  /** Hais of rooms that we are in; those of others are out of date. */
  #count(hais) {
    for (const { id, room_id, user_id } of hais)
      this.#mark({ room_id, user_id, hai_id: id, rev: id });
    const ours = hais.filter((hai) => this.rooms.has(hai.room_id));
    for (const hai of ours) {
      const room = this.rooms.get(hai.room_id);
      const isNew = hai.id > (room.last_hai_id ?? 0);
      if (isNew) this.rooms.set(room.id, { ...room, last_hai_id: hai.id });
      if (hai.user_id !== this.me.id) this.#countOf(room.id).see(hai);
      else if (isNew) this.read(room.id, hai.id);
    }
    new Set(ours.map((hai) => hai.room_id)).forEach((id) => this.#recount(id));
  }

  /** Where the row had counted what we do not hold, the open list may hold it; else the
      count stays as it was until the server is asked. */
  #recount(roomId) {
    const room = this.rooms.get(roomId);
    const readId = room.my_read_hai_id ?? 0;
    const unread = this.#countOf(roomId).count(readId) ?? this.countHeld(room, readId);
    if (unread === undefined) this.uncounted.add(roomId);
    else this.uncounted.delete(roomId);
    this.#setRoom({ ...room, unread: unread ?? room.unread });
  }

  /** From a fact: it carries nothing of one reader's, so ours is kept. */
  #mergeRoom(room) {
    const known = this.rooms.get(room.id);
    this.#raise(room.rev);
    if (!known) return this.#join(room);
    if (known.rev > room.rev) return undefined;
    const { my_read_hai_id, unread } = known;
    return this.#setRoom({ ...withNewest(room, known), my_read_hai_id, unread });
  }

  /** Nothing before my joining is unread. It may be out of date, of a room that I had
      left and rejoined when we caught up: then what came after it is asked for again. */
  #join(room) {
    const own = { ...room, my_read_hai_id: room.last_hai_id, unread: 0 };
    this.left.delete(room.id);
    this.guesses.set(room.id, room.last_hai_id);
    this.#countOf(room.id).take(own);
    this.#setRoom(own);
    this.#askFrom(Math.min(this.rev, room.rev));
  }

  /** The fact has no rev: if our row is newer, asking again brings it back, and if a page
      on its way has the room, takes it out again. */
  #removed(roomId) {
    const rowRev = this.rooms.get(roomId)?.rev ?? Infinity;
    this.#drop(roomId);
    this.#askFrom(Math.min(this.rev, rowRev - 1));
  }

  /** From a page, an ack or get_changes: with our own marker and count. */
  #mergeOwnRoom(room) {
    const known = this.rooms.get(room.id);
    this.left.delete(room.id);
    this.uncounted.delete(room.id);
    this.#countOf(room.id).take(room);
    const readId = Math.max(room.my_read_hai_id ?? 0, this.#knownMarker(known));
    const row = known ? withNewest(known.rev > room.rev ? known : room, known, room) : room;
    const { unread } = room;
    this.rooms.set(room.id, { ...row, unread, ...(readId && { my_read_hai_id: readId }) });
    this.#recount(room.id);
    const isOld = (this.toldReads.get(room.id) ?? 0) > (room.my_read_hai_id ?? 0);
    if (isOld) this.#askForCount(room.id);
  }

  #setRoom(room) {
    this.rooms.set(room.id, room);
    this.#tell("rooms");
  }

  #mergeUser(user) {
    const known = this.users.get(user.id);
    if (known && known.rev > user.rev) return;
    const told = this.toldPresence.get(user.id); // before who they are was told
    const presence = user.presence ?? known?.presence ?? told ?? "offline";
    if (known?.rev === user.rev && known.presence === presence) return;
    this.users.set(user.id, { ...user, presence });
    if (user.id === this.me.id) this.me = this.users.get(user.id);
    this.#tell("users", this.users.get(user.id));
  }

  #setPresence({ user_id, presence }) {
    const user = this.users.get(user_id);
    if (!user) return;
    this.users.set(user_id, { ...user, presence });
    this.#tell("users", this.users.get(user_id));
  }

  /** What I have read since counts, not what was derived from a fact. */
  #knownMarker(known) {
    const marker = known?.my_read_hai_id ?? 0;
    const isGuess = known && this.guesses.get(known.id) === known.my_read_hai_id;
    if (known) this.guesses.delete(known.id);
    return isGuess ? 0 : marker;
  }

  /** Who is online, as the server knew it; newer facts stay. */
  #present(onlineIds) {
    for (const { id, presence } of [...this.users.values()]) {
      const now = onlineIds.has(id) ? "online" : "offline";
      if (presence === now || this.toldPresence.has(id)) continue;
      this.#setPresence({ user_id: id, presence: now });
    }
  }

  #withTold(user) {
    const told = this.toldPresence.get(user.id);
    return told ? { ...user, presence: told } : user;
  }

  #drop(roomId) {
    if (!this.#forget(roomId)) return;
    this.#tell("removed", roomId);
    this.#tell("rooms");
  }

  #forget(roomId) {
    const kept = [this.counts, this.toldReads, this.uncounted, this.guesses];
    kept.forEach((one) => one.delete(roomId));
    return this.rooms.delete(roomId);
  }

  #raise(rev) {
    this.newest = Math.max(this.newest, rev);
    if (this.isWhole) this.rev = Math.max(this.rev, rev);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** All rows of a first state; that of its own room is the fuller one. */
function roomsOf({ rooms, room: own }) {
  return rooms.map((room) => (room.id === own?.id ? own : room));
}

/** The row with the newest hai that any of the others knew. */
function withNewest(room, ...others) {
  const newest = Math.max(...[room, ...others].map((one) => one.last_hai_id ?? 0));
  return newest ? { ...room, last_hai_id: newest } : room;
}
