// One hai on its way: the shapes it has in a tab, in the browser's store and as an order.
//
// An entry: {client_id, room_id, text, reply_to?, reply_to_picture?, pictures, sent_at,
// number?, state, words?, isKept?}. state: "sending", "waiting" (for the network),
// "uploading" or "failed" (words say why). number: its place among all that the browser
// has to send.
// A picture: {key, name, type, alt, width, height, duration_ms?, url, keepsMetadata?,
// uploaded?: {id, epoch, at}}.

/** What is stored of an entry. */
export function rowOf({ client_id, room_id, text, pictures, sent_at, ...entry }) {
  const row = { client_id, room_id, text, sent_at, ...answered(entry) };
  row.pictures = pictures.map(pictureRowOf);
  return row;
}

export function pictureRowOf(picture) {
  const { key, name, type, alt, width, height, duration_ms, keepsMetadata, uploaded } = picture;
  const row = { key, name, type, alt, width, height };
  if (duration_ms) row.duration_ms = duration_ms;
  if (keepsMetadata) row.keepsMetadata = true;
  if (uploaded) row.uploaded = uploaded;
  return row;
}

/** The same entry always makes the same order: that is what the server compares. */
export function orderOf({ client_id, room_id, text, pictures, ...entry }) {
  const order = { client_id, room_id, text, ...answered(entry) };
  if (pictures.length) order.picture_ids = pictures.map(({ uploaded }) => uploaded.id);
  return order;
}

function answered({ reply_to, reply_to_picture }) {
  if (!reply_to) return {};
  return reply_to_picture ? { reply_to, reply_to_picture } : { reply_to };
}
