// Draws videos and voices into copies of templates/hais/_video.html and _voice.html: as
// hai/web/views/pictures.py does. A test compares them.

import { copyOf, setAttribute, setText } from "#lib/dom";
import { kindOf, lengthWords } from "#lib/text";

export const isVoice = (picture) => kindOf(picture) === "voice";

/** What of a hai is laid out as an album; voices are shown below it. */
export const seenOf = (hai) => keptOf(hai).filter((picture) => !isVoice(picture));

/** Without those that the room no longer keeps. */
export const keptOf = ({ pictures }) => pictures.filter((picture) => picture.gone_at === undefined);

/** Keep one child of a box for each, made from the template of its kind, and draw it by
    fill(element, picture, index). */
export function fillMedia(box, pictures, templates, fill) {
  const known = [...box.children];
  pictures.forEach((picture, index) => {
    const template = templates[kindOf(picture)];
    const isSame = known[index]?.className === template.content.firstElementChild.className;
    const element = isSame ? known[index] : copyOf(template);
    if (!isSame && known[index]) known[index].replaceWith(element);
    else if (!isSame) box.append(element);
    fill(element, picture, index);
  });
  known.slice(pictures.length).forEach((element) => element.remove());
}

export function fillVoices(box, hai, templates) {
  fillMedia(box, keptOf(hai).filter(isVoice), templates, fillVoice);
}

/** Within the shape that picture_view.js has given it. */
export function fillVideo(element, picture, words) {
  const video = element.querySelector("video");
  const poster = picture.thumbnail?.url ?? "";
  if (!isOwn(video, picture)) setAttribute(video, "src", picture.url);
  setAttribute(video, "poster", poster);
  setAttribute(video, "preload", poster ? "none" : "metadata");
  setAttribute(video, "aria-label", words);
  setAttribute(element.querySelector(".picture__start"), "aria-label", `Play: ${words}`);
  setAttribute(element.querySelector(".picture__large"), "aria-label", `Show large: ${words}`);
  setText(element.querySelector(".picture__length"), lengthWords(picture.duration_ms));
}

export function fillVoice(element, voice) {
  const sound = element.querySelector("audio");
  const words = voice.alt || `Voice hai ${lengthWords(voice.duration_ms)}`.trim();
  const seek = element.querySelector(".voice__seek");
  setAttribute(element, "data-picture-id", voice.id);
  setAttribute(element, "data-duration-ms", voice.duration_ms ?? 0);
  if (!isOwn(sound, voice)) setAttribute(sound, "src", voice.url);
  setAttribute(sound, "aria-label", words);
  setAttribute(element.querySelector(".voice__player"), "aria-label", words);
  setAttribute(seek, "max", voice.duration_ms || 1);
  const isTouched = element.hasAttribute("data-begun");
  if (!isTouched) setText(element.querySelector(".voice__time"), lengthWords(voice.duration_ms));
}

/** My own preview goes on playing when it is stored. */
function isOwn(media, { id, url }) {
  const source = media.getAttribute("src");
  return Boolean(id || !url) && source.startsWith("blob:");
}
