// One picture on the lightbox's stage: the thumbnail first and then the original, zoomed
// and moved by wheel, fingers, pointer and keys; or a video (lightbox_video.js), which the
// browser's own controls play. Turning is the lightbox's own.

import { on, setAttribute } from "#lib/dom";
import { kindOf } from "#lib/text";
import { Zoom } from "#models/zoom";
import { isOnControls, makeVideo, removeVideo, toggleVideo } from "#controllers/lightbox_video";

const TAP_PX = 8; // a movement below this is a tap
const TAP_MS = 300; // between the two of a double tap
const SWIPE_PX = 50;
const DISMISS_PX = 90;
const STEP = 1.5; // of a key or a button
const PAN_PX = 80;
const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** hear: {turn(step), close(), failed(is)}. */
export class Stage {
  zoom = new Zoom();
  video = null; // the <video>, while one is looked at
  #pointers = new Map(); // pointer id -> {x, y}
  #start = null; // of the gesture: {x, y, at}
  #tapped = null; // the last tap
  #showing = 0; // counts pictures; what was loaded for an earlier one is ignored

  constructor(element, hear) {
    Object.assign(this, { element, hear });
    this.image = element.querySelector("[data-image]");
    this.play = element.querySelector("[data-lightbox-play]");
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(element);
    this.offs = [
      on(element, "wheel", (event) => this.#wheel(event), { passive: false }),
      on(element, "pointerdown", (event) => this.#down(event)),
      on(element, "pointermove", (event) => this.#move(event)),
      on(element, "pointerup", (event) => this.#up(event)),
      on(element, "pointercancel", (event) => this.#cancel(event)),
      on(this.play, "click", () => this.#load()),
    ];
  }

  close() {
    this.sizes.disconnect();
    this.offs.forEach((off) => off());
    this.#clear();
    this.image.removeAttribute("src");
  }

  get shown() {
    return this.video ?? this.image;
  }

  // ---- What is shown ----

  /** from: {at, plays}: where a video begins, in seconds, and whether by itself. */
  show(picture, words, from) {
    if (picture.id !== this.picture?.id) this.#change(picture, from);
    setAttribute(this.shown, this.video ? "aria-label" : "alt", words);
  }

  #change(picture, from) {
    this.#clear();
    this.picture = picture;
    this.zoom.reset();
    const isVideo = kindOf(picture) === "video";
    this.image.hidden = isVideo;
    if (isVideo) this.#roll(from);
    else this.#develop();
    this.fit();
  }

  #clear() {
    this.#showing += 1;
    this.hear.failed(false);
    removeVideo(this.video);
    this.video = null;
  }

  #roll(from) {
    this.play.hidden = true;
    this.element.dataset.loading = "";
    this.image.removeAttribute("src");
    const showing = this.#showing;
    this.video = makeVideo(this.picture, from, (is) => {
      if (showing !== this.#showing) return;
      this.#settle();
      this.hear.failed(!is);
    });
    this.image.after(this.video);
  }

  #develop() {
    const { picture } = this;
    const { thumbnail, url } = picture;
    const isHeld = picture.is_animated && thumbnail && isStill();
    this.play.hidden = !isHeld;
    this.image.src = thumbnail?.url ?? url;
    if (isHeld) this.#settle();
    else this.#load();
  }

  /** The original; until it can be drawn the thumbnail stays. */
  async #load() {
    const { picture } = this;
    this.#showing += 1;
    const showing = this.#showing;
    this.play.hidden = true;
    this.hear.failed(false);
    this.element.dataset.loading = "";
    const original = new Image();
    original.src = picture.url;
    const isThere = await original.decode().then(
      () => true,
      () => false,
    );
    if (showing !== this.#showing) return;
    if (isThere) this.image.src = picture.url;
    this.#settle();
    this.hear.failed(!isThere);
  }

  retry() {
    if (!this.video) return this.#load();
    this.hear.failed(false);
    return this.video.load();
  }

  #settle() {
    delete this.element.dataset.loading;
  }

  /** As large as the stage allows; a picture never larger than its own pixels. */
  fit() {
    const { picture, shown } = this;
    if (!picture) return;
    const stage = { width: this.element.clientWidth, height: this.element.clientHeight };
    const most = this.video ? Infinity : 1;
    const scale = Math.min(most, stage.width / picture.width, stage.height / picture.height);
    const box = { width: picture.width * scale, height: picture.height * scale };
    shown.style.inlineSize = `${box.width}px`;
    shown.style.blockSize = `${box.height}px`;
    this.zoom.fit(stage, box, picture.width);
    this.#draw();
  }

  #draw(swipe = { x: 0, y: 0 }) {
    const { scale, x, y } = this.zoom;
    this.element.toggleAttribute("data-zoomed", this.zoom.isZoomed);
    this.shown.style.transform = `translate(${x + swipe.x}px, ${y + swipe.y}px) scale(${scale})`;
  }

  // ---- Zooming ----

  zoomBy(step) {
    if (this.video) return;
    this.zoom.by(STEP ** step);
    this.#draw();
  }

  /** Returns whether the key was for the stage. */
  key(key) {
    if (this.video) return key === " " && toggleVideo(this.video);
    const steps = { "+": 1, "=": 1, "-": -1, _: -1 };
    const ways = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (key in steps) this.zoomBy(steps[key]);
    else if (key === "0") this.#whole();
    else if (key in ways && this.zoom.isZoomed) this.#pan(...ways[key].map((way) => way * PAN_PX));
    else return false;
    return true;
  }

  #whole() {
    this.zoom.reset();
    this.#draw();
  }

  #pan(x, y) {
    this.zoom.pan(x, y);
    this.#draw();
  }

  #wheel(event) {
    event.preventDefault();
    if (this.video) return;
    const perPx = event.deltaMode === 0 ? 0.002 : 0.06; // pixels, or lines
    this.zoom.by(Math.exp(-event.deltaY * perPx), this.#pointOf(event));
    this.#draw();
  }

  /** From the middle of the stage. */
  #pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }

  // ---- Pointers ----

  #down(event) {
    if (event.target.closest("button") || event.button) return;
    if (isOnControls(event)) return;
    if (event.target !== this.video) this.element.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#pointOf(event));
    const isFirst = this.#pointers.size === 1;
    this.#start = isFirst ? { ...this.#pointOf(event), at: event.timeStamp, far: 0 } : null;
    if (!isFirst) this.#draw();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#pointOf(event);
    const [x, y] = [now.x - before.x, now.y - before.y];
    if (this.#pointers.size === 2 && !this.video) this.#pinch(event.pointerId, before, now);
    this.#pointers.set(event.pointerId, now);
    if (this.#pointers.size > 1 || !this.#start) return;
    const swipe = { x: now.x - this.#start.x, y: now.y - this.#start.y };
    this.#start.far = Math.max(this.#start.far, Math.hypot(swipe.x, swipe.y));
    if (this.zoom.isZoomed) this.#pan(x, y);
    else if (event.pointerType !== "mouse") this.#draw(along(swipe));
  }

  #pinch(id, before, now) {
    const [, other] = [...this.#pointers].find(([key]) => key !== id);
    const distance = (point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.zoom.by(distance(now) / distance(before), middle);
    this.zoom.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.#draw();
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || !this.#start) return;
    const start = this.#start;
    const now = this.#pointOf(event);
    this.#start = null;
    if (start.far < TAP_PX) this.#tap(event, now);
    else if (!this.zoom.isZoomed && event.pointerType !== "mouse") this.#swiped(start, now);
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#start = null;
    this.#draw();
  }

  #swiped(start, now) {
    const swipe = along({ x: now.x - start.x, y: now.y - start.y });
    this.#draw();
    if (swipe.y > DISMISS_PX) this.hear.close();
    else if (Math.abs(swipe.x) > SWIPE_PX) this.hear.turn(swipe.x < 0 ? 1 : -1);
  }

  /** A double tap zooms in, or out again. A single tap beside the picture closes. */
  #tap(event, now) {
    const last = this.#tapped;
    const isSecond = last && event.timeStamp - last.at < TAP_MS;
    this.#tapped = isSecond ? null : { at: event.timeStamp };
    const { left, right, top, bottom } = this.shown.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    const isOn = x >= left && x <= right && y >= top && y <= bottom;
    if (!isOn && !isSecond) this.hear.close();
    else if (isSecond && !this.video) {
      this.zoom.toggle(now);
      this.#draw();
    }
  }
}

/** The longer direction of a swipe only: sideways to turn, down to close. */
function along({ x, y }) {
  return Math.abs(x) > Math.abs(y) ? { x, y: 0 } : { x: 0, y: Math.max(0, y) };
}
