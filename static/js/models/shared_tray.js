// Puts what was shared from another app into a room's tray and draft, as if a tab that
// is gone had chosen it there: the next tab that opens the room takes it over.

import { typeOfFile } from "#lib/picture_types";

const TAB_ID = "shared";

/** rows: {file} or {text}. Rejects, nothing changed, when the device is full. */
export async function shareInto(roomId, rows, { store, drafts, newKey }) {
  const files = rows.flatMap(({ file }) => (file ? [file] : []));
  if (files.length) await store.change((tables) => addTo(tables, roomId, files, newKey));
  const words = rows.flatMap(({ text }) => (text ? [text] : []));
  if (!words.length) return;
  const draft = drafts.of(roomId);
  const text = [draft.text, ...words].filter(Boolean).join("\n");
  drafts.keep(roomId, { ...draft, text });
}

async function addTo(tables, roomId, files, newKey) {
  const id = `${TAB_ID}.${roomId}`;
  const empty = { id, tab_id: TAB_ID, room_id: roomId, pictures: [] };
  const tray = (await tables.get("trays", id)) ?? empty;
  for (const file of files) {
    const key = newKey();
    await tables.put("files", { key, file });
    tray.pictures.push({ key, name: file.name, type: typeOfFile(file), alt: "" });
  }
  await tables.put("trays", tray);
}
