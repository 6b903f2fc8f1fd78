// Times in the reader's own zone, in the words of hai/web/views/times.py.

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"].concat([
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
]);
const DAY_MS = 86_400_000;

const two = (number) => String(number).padStart(2, "0");

/** Whole days between two moments, by the calendar (a day may have 23 hours). */
function daysBetween(earlier, later) {
  const from = Date.UTC(earlier.getFullYear(), earlier.getMonth(), earlier.getDate());
  const to = Date.UTC(later.getFullYear(), later.getMonth(), later.getDate());
  return Math.round((to - from) / DAY_MS);
}

/** "" for today, else "Yesterday", "Mon", "3 Oct" or "3 Oct 2024". */
export function dayWords(ms, nowMs = Date.now()) {
  const then = new Date(ms);
  const now = new Date(nowMs);
  const days = daysBetween(then, now);
  if (days <= 1) return days === 1 ? "Yesterday" : "";
  if (days < 7) return DAYS[then.getDay()];
  const year = then.getFullYear() === now.getFullYear() ? "" : ` ${then.getFullYear()}`;
  return `${then.getDate()} ${MONTHS[then.getMonth()]}${year}`;
}

export function clockWords(ms) {
  const then = new Date(ms);
  return `${two(then.getHours())}:${two(then.getMinutes())}`;
}

/** Day and time in few words. */
export function when(ms) {
  return `${dayWords(ms)} ${clockWords(ms)}`.trim();
}

export function exactTime(ms) {
  const then = new Date(ms);
  const day = `${DAYS[then.getDay()]} ${then.getDate()} ${MONTHS[then.getMonth()]}`;
  return `${day} ${then.getFullYear()}, ${clockWords(ms)}`;
}

export function isoTime(ms) {
  return new Date(ms).toISOString();
}
