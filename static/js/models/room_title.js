/** How a room is called for the one who looks: hai/web/ui.py says the same. */
export function titleOf(room, state) {
  if (room.kind !== "direct") return room.name ?? "";
  const others = othersOf(room, state).map((user) => user.display_name);
  return others.join(", ") || "Notes to self";
}

export function othersOf(room, state) {
  const ids = (room.member_ids ?? []).filter((id) => id !== state.me.id);
  return ids.map((id) => state.user(id));
}
