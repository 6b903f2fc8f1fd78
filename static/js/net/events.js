// The names of facts and orders, once. A test compares them with hai/events.py and
// hai/core/orders.py.

export const FACTS = {
  haiSent: "hai_sent",
  haiChanged: "hai_changed",
  roomChanged: "room_changed",
  roomRemoved: "room_removed",
  userChanged: "user_changed",
  readMarked: "read_marked",
  typingStarted: "typing_started",
  presenceChanged: "presence_changed",
  sessionEnded: "session_ended",
  sessionStarted: "session_started",
};

export const ORDERS = {
  sendHai: "send_hai",
  editHai: "edit_hai",
  describePicture: "describe_picture",
  deleteHai: "delete_hai",
  addReaction: "add_reaction",
  removeReaction: "remove_reaction",
  markRead: "mark_read",
  startTyping: "start_typing",
  getHais: "get_hais",
  getChanges: "get_changes",
};

/** The browser's own name for one hai: 22 letters, figures, - and _. */
export function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
