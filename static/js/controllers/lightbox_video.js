// A video on the lightbox's stage: made when it is looked at and gone with the next one,
// so that nothing plays or loads unseen. Its controls and keys are the browser's own.

import { on } from "#lib/dom";

const CONTROLS_PX = 96; // at its foot: a finger there goes along the film

/** from: {at, plays}: where it begins, in seconds, and whether by itself; settled(is):
    called once it can be played, or cannot. */
export function makeFilm(picture, { at = 0, plays = false } = {}, settled) {
  const film = document.createElement("video");
  Object.assign(film, { className: "lightbox__film", controls: true, playsInline: true });
  Object.assign(film, { poster: picture.thumbnail?.url ?? "", preload: "metadata" });
  on(film, "loadedmetadata", () => settled(true));
  on(film, "error", () => settled(false));
  film.src = picture.url;
  film.currentTime = at;
  if (plays) play(film);
  return film;
}

export function removeFilm(film) {
  if (!film) return;
  film.remove();
  film.pause();
  film.removeAttribute("src");
  film.load(); // what is on its way is not waited for
}

/** Returns true: the key was for it. */
export function toggleFilm(film) {
  if (film.paused) play(film);
  else film.pause();
  return true;
}

function play(film) {
  film.play().catch(() => undefined); // "error" says it
}

/** Whether it was meant for the player: all of a mouse, and a finger at its foot. */
export function isOnControls({ target, pointerType, clientY }) {
  if (!target.matches("video")) return false;
  return pointerType === "mouse" || clientY > target.getBoundingClientRect().bottom - CONTROLS_PX;
}
