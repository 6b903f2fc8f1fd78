// A video on the lightbox's stage: created when shown and removed with the next one, so
// that nothing plays or loads unseen. Its controls and keys are the browser's own.

import { on } from "#lib/dom";

const CONTROLS_PX = 96; // at the bottom: a finger there moves along the video

/** from: {at, plays}: where it begins, in seconds, and whether by itself; settled(is):
    called once it can be played, or cannot. */
export function makeVideo(picture, { at = 0, plays = false } = {}, settled) {
  const video = document.createElement("video");
  Object.assign(video, { className: "lightbox__video", controls: true, playsInline: true });
  Object.assign(video, { poster: picture.thumbnail?.url ?? "", preload: "metadata" });
  on(video, "loadedmetadata", () => settled(true));
  on(video, "error", () => settled(false));
  video.src = picture.url;
  video.currentTime = at;
  if (plays) play(video);
  return video;
}

export function removeVideo(video) {
  if (!video) return;
  video.remove();
  video.pause();
  video.removeAttribute("src");
  video.load(); // aborts the download
}

/** Returns true: the key is handled. */
export function toggleVideo(video) {
  if (video.paused) play(video);
  else video.pause();
  return true;
}

function play(video) {
  video.play().catch(() => undefined); // reported by "error"
}

/** Whether an event is the player's: any of a mouse, and a finger at its bottom. */
export function isOnControls({ target, pointerType, clientY }) {
  if (!target.matches("video")) return false;
  return pointerType === "mouse" || clientY > target.getBoundingClientRect().bottom - CONTROLS_PX;
}
