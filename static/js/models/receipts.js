// Who has read how far, in rooms with receipts: by the room's row, and by facts that are
// newer than the row. hai/web/views/receipts.py does the same for a first state.

const MOST_MEMBERS = 100; // above, marks stay their reader's own

/** Map(user_id -> hai_id), or null where the room has no receipts. newer: State's marks. */
export function readsOf(room, newer = new Map()) {
  if (!room?.has_receipts || room.member_count > MOST_MEMBERS) return null;
  const rows = Object.entries(room.read_hai_ids ?? {});
  const reads = new Map(rows.map(([id, haiId]) => [Number(id), haiId]));
  for (const [id, { hai_id, rev }] of newer) {
    // A hai does not raise the room's rev, so the row may know of a later one.
    if (rev > room.rev) reads.set(id, Math.max(hai_id, reads.get(id) ?? 0));
  }
  return reads;
}

/** {haiId, words, names} for the newest of mine that another person has read; or null. */
export function receiptOf(room, reads, hais, { meId, user }) {
  const others = [...reads].map(([id, haiId]) => ({ user: user(id), haiId }));
  const people = others.filter((one) => one.user.id !== meId && one.user.kind !== "bot");
  const furthest = Math.max(0, ...people.map(({ haiId }) => haiId));
  const hai = hais.findLast(({ id, user_id }) => user_id === meId && id <= furthest);
  if (!hai) return null;
  const readers = people.filter(({ haiId }) => haiId >= hai.id);
  const names = readers.map((one) => one.user.display_name).sort();
  return { haiId: hai.id, words: words(room, names), names: names.join(", ") };
}

function words(room, names) {
  if (names.length > 1) return `Seen by ${names.length}`;
  return room.kind === "direct" && room.member_count === 2 ? "Seen" : `Seen by ${names[0]}`;
}
