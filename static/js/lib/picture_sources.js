// Which file of a picture to show where, as in hai/web/views/pictures.py.

const LIGHT_BYTES = 300 * 1024; // an original that a dense screen may have at once

/** Which file to show: the thumbnail, where there is one; on dense screens a light
    original; one that moves itself, but not to those who want stillness. */
export function pictureSources(picture, boxPx) {
  const { url, bytes, width: widthPx, thumbnail, is_animated: isAnimated } = picture;
  if (!thumbnail) return { source: url, sources: "", sizes: "", still: "" };
  if (isAnimated) return { source: url, sources: "", sizes: "", still: thumbnail.url };
  const isOffered = bytes <= LIGHT_BYTES && widthPx > thumbnail.width;
  const sources = `${thumbnail.url} ${thumbnail.width}w, ${url} ${widthPx}w`;
  return {
    source: thumbnail.url,
    sources: isOffered ? sources : "",
    sizes: isOffered ? `min(${boxPx}px, 92vw)` : "",
    still: "",
  };
}

/** The thumbnail; without one the picture itself, if it is light. */
export function smallUrl({ url, type = "", bytes, thumbnail }) {
  if (thumbnail) return thumbnail.url;
  return type.startsWith("image/") && bytes <= LIGHT_BYTES ? url : "";
}

/** The words for a picture that nobody described; its file's name says less.
    kind: "picture" or "video". */
export function pictureWords(kind, name, number, count) {
  const what = kind === "video" ? "Video" : "Picture";
  const which = count === 1 ? what : `${what} ${number} of ${count}`;
  return `${which} from ${name}, not described`;
}
