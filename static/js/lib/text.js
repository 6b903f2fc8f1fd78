// Text: letters, excerpts, lengths and names, as in hai/web/views/ (words.py, people.py,
// pictures.py, rooms.py).

const WAVE = "hai!";
const MAX_BIG_EMOJI = 6;
const QUOTE_CHARS = 120;
const BASE = "[\\u00a9\\u00ae\\u203c-\\u3299\\u{1f000}-\\u{1faff}]";
const PART = `${BASE}[\\ufe0f\\u{1f3fb}-\\u{1f3ff}\\u{e0020}-\\u{e007f}]*`;
const EMOJI = new RegExp(
  `(?:[\\u{1f1e6}-\\u{1f1ff}]{2}|[0-9#*]\\ufe0f?\\u20e3|${PART}(?:\\u200d${PART})*)`,
  "gu",
);
const NOT_EMOJI = /^[\u2010-\u2bff\u2e80-\u3299\u00a9\u00ae]$/u;

/** The first letter or figure of a name, else its first sign. */
export function letter(name) {
  const signs = [...name.trim().normalize("NFC")];
  const found = signs.find((sign) => /[\p{L}\p{N}]/u.test(sign));
  return found ? [...found.toUpperCase()][0] : (signs[0] ?? "?");
}

export function isEmojiOnly(text) {
  const signs = text.match(EMOJI) ?? [];
  if (!signs.length || signs.length > MAX_BIG_EMOJI) return false;
  return !text.replace(EMOJI, "").trim() && !signs.some((sign) => NOT_EMOJI.test(sign));
}

export function sizeOf(hai) {
  if (hai.text.trim() === WAVE && !hai.pictures.length) return "wave";
  return isEmojiOnly(hai.text) ? "emoji" : "text";
}

const BLOCK_TAG = /<\/?(?:p|blockquote|[uo]l|li|pre)\b[^>]*>|<br>/gu;
const ESCAPES = { lt: "<", gt: ">", quot: '"', "#x27": "'", amp: "&" };

/** The text of a hai, without the marks of its formatting. */
export function wordsOf({ text, html }) {
  if (html === undefined) return text;
  const lines = html
    .replace(BLOCK_TAG, "\n")
    .replace(/<[^>]*>/gu, "")
    .split("\n");
  const words = lines.filter((line) => line.trim()).join("\n");
  return words.replace(/&([a-z]+|#x27);/gu, (_, name) => ESCAPES[name]);
}

/** The first words of a hai, or what it holds instead of words. */
export function excerpt(hai) {
  const words = wordsOf(hai).split(/\s+/u).filter(Boolean).join(" ");
  if (words) return cut(words);
  return mediaWords(hai.pictures);
}

/** The kind of a picture of a hai, stored or not yet. */
export function kindOf({ type = "" }) {
  if (type.startsWith("video/")) return "video";
  return type.startsWith("audio/") ? "voice" : "picture";
}

const MEDIA = {
  picture: ["A picture", "Pictures"],
  video: ["A video", "Videos"],
  voice: ["A voice hai", "Voice hais"],
};

/** What a hai holds instead of words. */
export function mediaWords(pictures) {
  const kinds = new Set(pictures.map(kindOf));
  if (kinds.size > 1) return "Pictures and videos";
  const [kind = "picture"] = kinds;
  return MEDIA[kind][pictures.length === 1 ? 0 : 1];
}

const two = (number) => String(number).padStart(2, "0");

/** "0:07", "12:30" or "1:02:03"; "" for nothing. */
export function lengthWords(ms) {
  if (!ms) return "";
  const seconds = Math.max(1, Math.round(ms / 1000));
  return clock(seconds);
}

/** A position within it, where "0:00" is one, too. */
export function placeWords(ms) {
  return clock(Math.floor(ms / 1000));
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  const rest = two(seconds % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** As much as a quote shows. */
export function cut(words) {
  return [...words].slice(0, QUOTE_CHARS).join("");
}

/** The words in place of pictures that were not kept; empty where there were none. */
export function goneWords(hai) {
  const gone = hai.pictures.filter((picture) => picture.gone_at !== undefined);
  if (gone.length > 1) return `${gone.length} ${mediaWords(gone).toLowerCase()}, no longer kept`;
  if (!gone.length) return "";
  const { alt } = gone[0];
  const words = `${mediaWords(gone)}, no longer kept`;
  return alt ? `${words}: ${alt}` : words;
}

/** For how long: "30 days", "a year". */
export function daysWords(days) {
  const names = { 0: "forever", 1: "a day", 7: "a week", 365: "a year" };
  return names[days] ?? `${days.toLocaleString("en")} days`;
}

/** Characters as the server counts them: code points. */
export function countChars(text) {
  return [...text].length;
}

/** Who is writing, and the verb for it: "Ada", "Ada and Grace", "Several people". */
export function whoWrites(names) {
  if (!names.length) return { who: "", verb: "" };
  const who = names.length > 2 ? "Several people" : names.join(" and ");
  return { who, verb: names.length > 1 ? " are writing" : " is writing" };
}

/** How many are unread; the server counts up to a thousand. */
export function countWords(count) {
  return count > 999 ? "999+" : String(count);
}

export function byteWords(bytes) {
  const megabytes = bytes / 1024 / 1024;
  if (megabytes < 0.1) return `${Math.max(1, Math.round(bytes / 1024))} KB`;
  return `${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB`;
}

/** What a room is called for its viewer, as in hai/web/views/rooms.py. */
export function titleOf(room, state) {
  if (room.kind !== "direct") return room.name ?? "";
  const others = othersOf(room, state).map((user) => user.display_name);
  return others.join(", ") || "Notes to self";
}

export function othersOf(room, state) {
  const ids = (room.member_ids ?? []).filter((id) => id !== state.me.id);
  return ids.map((id) => state.user(id));
}
