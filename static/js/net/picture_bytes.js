// The type of a file by its first bytes, whatever its name: phones and programs rename
// HEIC to .jpg. The server looks likewise (hai/core/pictures/reader.py), but only after
// bytes were sent.

import { AVIF, HEIC } from "#lib/picture_types";

const HEAD_BYTES = 12;
const BRANDS = [
  [/^avi[fso]$/, AVIF],
  [/^(hei[cxms]|hev[cxms]|mif1|msf1|miaf)$/, HEIC],
];

/** Why such bytes cannot be sent, in words that say what to do; "" when they may be, or
    cannot be read: then the upload says it. */
export async function refusalOfBytes(file) {
  const bytes = await file
    .slice(0, HEAD_BYTES)
    .arrayBuffer()
    .catch(() => new ArrayBuffer(0));
  const head = String.fromCharCode(...new Uint8Array(bytes));
  if (head.slice(4, 8) !== "ftyp") return "";
  const brand = head.slice(8);
  return BRANDS.find(([pattern]) => pattern.test(brand))?.[1] ?? "";
}
