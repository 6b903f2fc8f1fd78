// Draws the pictures and videos of a hai, laid out as an album, into copies of
// templates/hais/_picture.html and _video.html, and lets each picture fade in from its
// blur once it has loaded.

import { putAttribute, setAttribute, setPart, setText, wholeOf } from "#lib/dom";
import { album } from "#lib/album";
import { pictureSources, pictureWords } from "#lib/picture_sources";
import { kindOf } from "#lib/text";
import { fillMedia, fillVideo, seenOf } from "#models/media_view";

/** Of a hai that has some. templates: by kind; name: of who sent the hai. */
export function fillPictures(box, hai, templates, name) {
  const seen = seenOf(hai);
  const tiles = album(seen);
  setAttribute(box, "data-count", seen.length);
  fillMedia(box, seen, templates, (element, picture, index) => {
    const kind = kindOf(picture);
    const words = picture.alt || pictureWords(kind, name, index + 1, seen.length);
    if (kind === "video") fillVideo(element, picture, words);
    else fillPicture(element, wholeOf(templates.picture), picture, words, tiles[index]);
    fillShape(element, tiles[index]);
    element.id = `picture_${picture.id ?? picture.key}`;
    setAttribute(element, "data-picture-id", picture.id ?? "");
  });
}

function fillPicture(element, whole, picture, words, tile) {
  const { image } = partsOf(element);
  const sources = pictureSources(picture, tile.width);
  if (!shows(element, image, picture)) fillSources(element, image, sources);
  setAttribute(element.querySelector("a"), "href", picture.url);
  setAttribute(image, "alt", words);
  fillBlur(element, whole, picture);
  fillStill(element, whole, sources.still);
}

function partsOf(element) {
  return {
    image: element.querySelector(".picture__image"),
    source: element.querySelector("source"),
  };
}

function fillShape(element, { span, rows, width, height }) {
  setAttribute(element, "data-span", span);
  setAttribute(element, "data-rows", rows);
  const shape = element.querySelector("svg");
  setAttribute(shape, "viewBox", `0 0 ${width} ${height}`);
  for (const one of [shape, element.querySelector(".picture__image, .picture__video")]) {
    setAttribute(one, "width", width);
    setAttribute(one, "height", height);
  }
}

function fillBlur(element, whole, { blur: url }) {
  const [link, wholeLink] = [element, whole].map((one) => one.querySelector("a"));
  const blur = setPart(link, wholeLink, ".picture__blur", Boolean(url));
  if (blur) setAttribute(blur, "src", url);
}

/** It may come after the picture was shown: with reduced motion it replaces it then. */
function fillStill(element, whole, still) {
  const [choice, wholeChoice] = [element, whole].map((one) => one.querySelector("picture"));
  const play = setPart(element, whole, ".picture__play", Boolean(still));
  const source = setPart(choice, wholeChoice, "source", Boolean(still));
  const isPlaying = play?.getAttribute("aria-pressed") === "true";
  if (still && !isPlaying) setAttribute(source, "srcset", still);
}

/** What is on the screen stays: neither my own preview nor the original is
    fetched again as its thumbnail, which would flicker. */
function shows(element, image, picture) {
  const isPreview = image.getAttribute("src").startsWith("blob:");
  if (isPreview && picture.id) return true;
  const isSame = picture.id && element.dataset.pictureId === String(picture.id);
  return Boolean(isSame && image.complete && image.naturalWidth);
}

function fillSources(element, image, { source, sources, sizes }) {
  putAttribute(image, "sizes", sizes);
  putAttribute(image, "srcset", sources);
  setAttribute(image, "src", source);
  awaitPicture(element);
}

/** Until its picture is there, an element shows the blur. */
export function awaitPicture(element) {
  const { image } = partsOf(element);
  const isThere = image.complete && image.naturalWidth > 0;
  element.toggleAttribute("data-loading", !isThere);
  element.toggleAttribute("data-shown", isThere);
}

/** Call for each `load` and `error` of an image within. */
export function arrived(image) {
  const element = image.matches(".picture__image") && image.closest(".picture");
  if (!element) return;
  element.removeAttribute("data-loading");
  element.setAttribute("data-shown", "");
}

/** Where reduced motion is preferred: play an animation, or stop it again. */
export function togglePlay(element) {
  const { source } = partsOf(element);
  const button = element.querySelector("[data-play]");
  const isPlaying = button.getAttribute("aria-pressed") === "true";
  if (isPlaying) source.srcset = source.dataset.still;
  else source.dataset.still = source.srcset;
  if (!isPlaying) source.removeAttribute("srcset");
  setAttribute(button, "aria-pressed", !isPlaying);
  setText(button, isPlaying ? "Play" : "Stop");
}
