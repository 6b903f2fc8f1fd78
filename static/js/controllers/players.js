// Plays videos and voices, one at a time, in the talk and in the tray: videos by the
// browser's own controls, voices by a player of ours (templates/hais/_voice.html).

import { on, setAttribute, setText } from "#lib/dom";
import { lengthWords, placeWords } from "#lib/text";

const SPEEDS = [1, 1.5, 2];
const STEP_MS = 5000; // of an arrow key
const MUTED = "hai.muted"; // people who mute one want the next one muted, too

const voiceOf = (part) => part.closest?.(".voice");
const soundOf = (voice) => voice.querySelector("audio");

/** Recordings may not say how long they are; then the server knows, and browsers do not. */
function lengthMs(voice) {
  const { duration } = soundOf(voice);
  return Number.isFinite(duration) ? duration * 1000 : Number(voice.dataset.durationMs);
}

/** Returns the players of the document, and the function that stops listening. */
export function listen(page) {
  const players = new Players(page);
  const media = (type, hear) => on(document, type, ({ target }) => hear(target), true);
  const offs = [
    on(document, "input", ({ target }) => players.seek(target)),
    on(document, "keydown", (event) => players.key(event), true),
    media("play", (one) => players.begun(one)),
    media("volumechange", (one) => players.muted(one)),
    ...["play", "pause", "timeupdate", "durationchange", "seeked"].map((type) =>
      media(type, (one) => players.draw(one)),
    ),
    media("ended", (one) => players.ended(one)),
    media("error", (one) => players.failed(one)),
  ];
  return { players, stop: () => offs.forEach((off) => off()) };
}

class Players {
  speed = SPEEDS[0];

  constructor(page) {
    this.page = page;
  }

  press(button) {
    const name = button.dataset.voice;
    if (name === "play") this.toggle(soundOf(voiceOf(button)));
    if (name === "speed") this.faster();
    if (name === "video") this.#show(button.closest(".picture"));
  }

  toggle(sound) {
    if (!sound.paused) return sound.pause();
    return sound.play().catch(() => undefined); // "error" says it
  }

  faster() {
    this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
    document.querySelectorAll(".voice").forEach((voice) => this.#drawSpeed(voice));
  }

  /** From now on it has the browser's controls, and in an album more room. */
  #show(picture) {
    const video = picture.querySelector("video");
    picture.dataset.begun = "";
    video.focus({ preventScroll: true });
    this.toggle(video);
  }

  #drawSpeed(voice) {
    soundOf(voice).playbackRate = this.speed;
    const button = voice.querySelector(".voice__speed");
    setText(button, `${this.speed}×`);
    setAttribute(button, "aria-label", `Speed ${this.speed} times`);
  }

  seek(input) {
    if (input.dataset.voice !== "seek") return;
    const voice = voiceOf(input);
    voice.dataset.begun = "";
    soundOf(voice).currentTime = Number(input.value) / 1000;
    this.#drawPlace(voice, Number(input.value));
  }

  key(event) {
    const isSeek = event.target.dataset?.voice === "seek";
    const step = { ArrowLeft: -STEP_MS, ArrowRight: STEP_MS }[event.key];
    if (!isSeek || !step) return;
    event.preventDefault();
    const { target } = event;
    target.value = Number(target.value) + (target.matches(":dir(rtl)") ? -step : step);
    this.seek(target);
  }

  begun(one) {
    for (const other of document.querySelectorAll("audio, video")) {
      if (other !== one) other.pause();
    }
    if (isMuted()) one.muted = true;
    const voice = voiceOf(one);
    voice?.setAttribute("data-begun", "");
    if (voice) this.#drawSpeed(voice);
    one.closest(".picture")?.setAttribute("data-begun", "");
  }

  muted(one) {
    if (one.matches(".picture video, .voice audio, .lightbox__video")) keepMuted(one.muted);
  }

  draw(one) {
    const voice = voiceOf(one);
    if (!voice?.hasAttribute("data-begun")) return;
    const button = voice.querySelector(".voice__play");
    setAttribute(button, "aria-label", one.paused ? "Play" : "Pause");
    voice.toggleAttribute("data-playing", !one.paused);
    this.#drawPlace(voice, one.currentTime * 1000);
  }

  #drawPlace(voice, atMs) {
    const seek = voice.querySelector(".voice__seek");
    const whole = lengthMs(voice);
    setAttribute(seek, "max", Math.max(1, Math.round(whole)));
    if (seek.valueAsNumber !== atMs) seek.value = atMs;
    setAttribute(seek, "aria-valuetext", `${placeWords(atMs)} of ${lengthWords(whole)}`);
    const isAtStart = !atMs && soundOf(voice).paused;
    const words = isAtStart ? lengthWords(whole) : placeWords(atMs);
    setText(voice.querySelector(".voice__time"), words);
  }

  ended(one) {
    if (voiceOf(one)) one.currentTime = 0;
  }

  failed(one) {
    if (!one.getAttribute("src") || !one.closest("[data-begun]")) return;
    const words = voiceOf(one) ? "This voice hai" : "This video";
    this.page.tell(`${words} cannot be played here.`);
  }
}

function isMuted() {
  try {
    return localStorage.getItem(MUTED) === "yes";
  } catch {
    return false;
  }
}

function keepMuted(is) {
  try {
    if (is) localStorage.setItem(MUTED, "yes");
    else localStorage.removeItem(MUTED);
  } catch {
    // The element itself remembers it.
  }
}
