// What kind a file is, before any of it is sent, as far as its name and type tell.

const TYPES = {
  picture: ["image/png", "image/jpeg", "image/gif", "image/webp"],
  video: ["video/mp4", "video/webm", "video/quicktime", "video/x-m4v"],
  voice: ["audio/mp4", "audio/x-m4a", "audio/m4a", "audio/ogg", "audio/opus", "audio/webm"],
};
// Some systems know no type for these.
const ENDINGS = { m4a: "voice", opus: "voice", ogg: "voice", mov: "video" };

export const HEIC =
  "Few devices can show HEIC. Send it as a JPEG; an iPhone makes those with " +
  "Settings, Camera, Formats, Most Compatible.";
export const AVIF = "AVIF is not taken. Save it as a JPEG, PNG or WebP and send that.";
const OTHER = "Pictures can be PNG, JPEG, GIF or WebP, videos MP4 or WebM, and voices Opus or M4A.";
const KNOWN = [
  [/^image\/hei[cf]|\.(hei[cf]|hif)$/i, HEIC],
  [/^image\/avif|\.avif$/i, AVIF],
];

/** The server's kind of a chosen file; undefined: it is not accepted. */
export function kindOfFile({ type, name = "" }) {
  const [plain] = type.split(";");
  const found = Object.keys(TYPES).find((kind) => TYPES[kind].includes(plain));
  return found ?? (plain ? undefined : ENDINGS[name.split(".").at(-1).toLowerCase()]);
}

/** The type to draw a file as; some systems give none. */
export function typeOfFile(file) {
  const prefixes = { picture: "image/", video: "video/", voice: "audio/" };
  return file.type || prefixes[kindOfFile(file)] || "";
}

/** Whether it is an image, a video or sound: if it is refused, `refusalOf` says why. */
export const isMedia = ({ type }) => /^(image|video|audio)\//.test(type);

/** Why a file cannot be sent, in words that say what to do; "" when it may be. */
export function refusalOf(file) {
  const signs = [file.type, file.name];
  const known = KNOWN.find(([pattern]) => signs.some((sign) => pattern.test(sign)));
  if (known) return known[1];
  return kindOfFile(file) ? "" : OTHER;
}
