// Records a voice: level and time are shown, and the recording goes to the tray, where it
// can be played, removed or sent like a picture, and survives reloads and a lost network.

import { on, setText } from "#lib/dom";
import { haveStyles } from "#lib/styles";
import { placeWords } from "#lib/text";

// AAC plays everywhere; a browser records only in what it supports.
const FORMATS = [
  ["audio/mp4;codecs=mp4a.40.2", "m4a"],
  ["audio/webm;codecs=opus", "webm"],
  ["audio/ogg;codecs=opus", "ogg"],
  ["audio/mp4", "m4a"],
];
const BITS_PER_S = 48_000; // clear speech; an hour is 21 MB
const PIECE_MS = 1000;
const SPARE_BYTES = 256 * 1024; // kept free below the limit
const SHORTEST_MS = 300; // a shorter one was an accident
const DRAW_MS = 80;
const LOUD = 0.35; // of full scale: what speech near a microphone reaches

const PROBLEMS = {
  NotAllowedError:
    "Hai may not use the microphone. Allow it for this site in the browser's settings, then try again.",
  NotFoundError: "There is no microphone here.",
  NotReadableError: "Another program is using the microphone.",
};

/** The form: the composer; it shows templates/rooms/_recorder.html meanwhile. */
export async function record(form, page) {
  const panel = form.querySelector("[data-recorder]");
  if (!panel.hidden) return;
  const format = FORMATS.find(([type]) => MediaRecorder.isTypeSupported(type));
  const [stream] = await Promise.all([open(page), haveStyles(panel.dataset.styles)]);
  if (!stream) return;
  if (!form.isConnected || !format) return close(stream);
  document.querySelectorAll("audio, video").forEach((one) => one.pause());
  new Recording({ form, panel, page, stream, format }).begin();
}

async function open(page) {
  try {
    const audio = { echoCancellation: true, noiseSuppression: true };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    page.tell(PROBLEMS[error.name] ?? "The microphone does not start.");
    return null;
  }
}

const close = (stream) => stream.getTracks().forEach((track) => track.stop());

class Recording {
  pieces = [];
  bytes = 0;
  isDiscarded = false;

  constructor({ form, panel, page, stream, format }) {
    const [type, ending] = format;
    Object.assign(this, { form, panel, page, stream, type, ending, tray: page.tray });
    this.recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: BITS_PER_S });
    const limit = page.limits.bytes.voice;
    this.most = Math.max(limit / 2, limit - SPARE_BYTES);
  }

  begin() {
    const { panel, recorder, page } = this;
    const part = (name) => panel.querySelector(`[data-${name}]`);
    this.offs = [
      on(recorder, "dataavailable", ({ data }) => this.#take(data)),
      on(recorder, "stop", () => this.#end()),
      on(this.stream.getAudioTracks()[0], "ended", () => this.stop()), // unplugged
      on(part("record-discard"), "click", () => this.discard()),
      on(part("record-stop"), "click", () => this.stop()),
      on(panel, "keydown", ({ key }) => key === "Escape" && this.discard()),
      on(window, "beforeunload", (event) => event.preventDefault()),
      this.#watchRoom(),
    ];
    this.level = new Level(part("level"), this.stream);
    this.began = performance.now();
    panel.hidden = false;
    this.timer = setInterval(() => this.#draw(), DRAW_MS);
    this.#draw();
    recorder.start(PIECE_MS);
    part("record-stop").focus();
    page.say("Recording.");
  }

  /** Going to another room keeps the recording, in the tray of this one. */
  #watchRoom() {
    const watcher = new MutationObserver(() => !this.form.isConnected && this.stop());
    watcher.observe(document.body, { childList: true, subtree: true });
    return () => watcher.disconnect();
  }

  #draw() {
    this.level.draw();
    setText(this.panel.querySelector("[data-time]"), placeWords(performance.now() - this.began));
  }

  #take(data) {
    this.pieces.push(data);
    this.bytes += data.size;
    if (this.bytes > this.most) this.stop();
  }

  stop() {
    if (this.recorder.state === "inactive") return;
    this.lasted = performance.now() - this.began;
    this.recorder.stop();
  }

  discard() {
    this.isDiscarded = true;
    this.stop();
  }

  #end() {
    clearInterval(this.timer);
    this.offs.forEach((off) => off());
    this.level.close();
    close(this.stream);
    this.panel.hidden = true;
    const isKept = !this.isDiscarded && this.lasted > SHORTEST_MS && this.bytes > 0;
    if (isKept) this.#keep();
    this.page.say(isKept ? "Recorded. Listen to it, or send it." : "Discarded.");
    if (this.form.isConnected) this.page.composer?.focus();
  }

  #keep() {
    const [type] = this.type.split(";");
    const file = new File(this.pieces, `voice.${this.ending}`, { type });
    this.tray.add(file, { duration_ms: Math.round(this.lasted) });
  }
}

/** How loud it is: bars that grow, the newest at the end. */
class Level {
  constructor(box, stream) {
    this.bars = [...box.children];
    this.heights = this.bars.map(() => 0);
    this.context = new AudioContext();
    this.context.resume(); // some browsers start it suspended
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.swing = new Float32Array(this.analyser.fftSize);
    this.context.createMediaStreamSource(stream).connect(this.analyser);
  }

  draw() {
    this.analyser.getFloatTimeDomainData(this.swing);
    const peak = this.swing.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    this.heights = [...this.heights.slice(1), Math.min(1, peak / LOUD)];
    this.bars.forEach((bar, index) => {
      bar.style.transform = `scaleY(${0.08 + 0.92 * this.heights[index]})`;
    });
  }

  close() {
    this.bars.forEach((bar) => bar.style.removeProperty("transform"));
    this.context.close();
  }
}
