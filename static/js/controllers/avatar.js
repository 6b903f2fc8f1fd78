// One's own picture, in the settings: chosen, cut to a square in a dialog, sent. What
// is sent is the square only; the rest of the picture stays on this device.

import { on } from "#lib/dom";
import { fillAvatarsOf } from "#models/avatar_view";
import { Crop } from "#models/crop";
import { postPicture } from "#net/api";

const PATH = "/settings/avatar";
const DRAWN_PX = 2048; // a larger picture is scaled to this size for moving it
const STEP = 0.02; // of the square, for an arrow key
const BIG_STEP = 0.1; // with Shift
const ZOOM_STEP = 1.06;
const WHEEL_PX = 700; // turning the wheel so far changes the zoom by a factor of e
const TYPES = ["image/webp", "image/jpeg"]; // Safari cannot encode the first
const QUALITY = 0.9;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function connect(section, page) {
  const cropper = new Cropper(section, page);
  const { dialog, stage, zoom } = cropper;
  const offs = [
    on(cropper.file, "change", () => cropper.choose(cropper.file.files[0])),
    on(stage, "pointerdown", (event) => cropper.press(event)),
    on(stage, "pointermove", (event) => cropper.drag(event)),
    on(stage, "pointerup", (event) => cropper.release(event)),
    on(stage, "pointercancel", (event) => cropper.release(event)),
    on(stage, "wheel", (event) => cropper.wheel(event), { passive: false }),
    on(stage, "keydown", (event) => cropper.key(event)),
    on(zoom, "input", () => cropper.zoomTo(Number(zoom.value))),
    on(dialog.querySelector("[data-cancel]"), "click", () => dialog.close()),
    on(cropper.sendButton, "click", () => cropper.send()),
    on(dialog, "close", () => cropper.end()),
    on(page.state, "users", ({ detail }) => cropper.drawUser(detail)),
  ];
  fillAvatarsOf(section, page.state.me);
  return () => {
    dialog.close();
    offs.forEach((off) => off());
  };
}

class Cropper {
  #pointers = new Map(); // id -> {x, y}, in shares of the square

  constructor(section, page) {
    Object.assign(this, { section, page });
    const part = (name) => section.querySelector(`[data-${name}]`);
    this.file = part("file");
    this.dialog = part("dialog");
    this.stage = part("stage");
    this.sample = part("sample");
    this.zoom = part("zoom");
    this.sendButton = part("send");
    this.removeForm = part("remove");
  }

  async choose(file) {
    if (!file) return;
    this.#say("problem", "");
    try {
      this.picture = await openPicture(file);
    } catch {
      this.end();
      this.#say("problem", "That picture cannot be opened here. Please try another one.");
      return;
    }
    this.crop = new Crop(this.picture.width, this.picture.height);
    this.zoom.max = this.crop.maxZoom;
    this.zoom.disabled = this.crop.maxZoom === 1;
    this.#say("refused", "");
    this.draw();
    this.dialog.showModal();
  }

  end() {
    this.file.value = ""; // the same file can be chosen again
    this.picture = this.crop = null;
    this.#pointers.clear();
  }

  draw() {
    const { left, top, side } = this.crop;
    for (const canvas of [this.stage, this.sample]) {
      const pen = canvas.getContext("2d");
      pen.imageSmoothingQuality = "high";
      pen.fillStyle = "white"; // as the server does under transparent parts
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(this.picture, left, top, side, side, 0, 0, canvas.width, canvas.height);
    }
    this.zoom.value = this.crop.zoom;
  }

  zoomTo(zoom, x, y) {
    this.crop.zoomTo(zoom, x, y);
    this.draw();
  }

  // ---- Pointers: one moves, two zoom ----

  press(event) {
    this.stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#placeOf(event));
  }

  drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before || !this.crop) return;
    const old = gestureOf([...this.#pointers.values()]);
    this.#pointers.set(event.pointerId, this.#placeOf(event));
    const now = gestureOf([...this.#pointers.values()]);
    this.crop.move(now.x - old.x, now.y - old.y);
    if (old.spread) this.crop.zoomTo((this.crop.zoom * now.spread) / old.spread, now.x, now.y);
    this.draw();
  }

  release(event) {
    this.#pointers.delete(event.pointerId);
  }

  wheel(event) {
    event.preventDefault();
    const { x, y } = this.#placeOf(event);
    this.zoomTo(this.crop.zoom * Math.exp(-event.deltaY / WHEEL_PX), x, y);
  }

  #placeOf({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
  }

  key(event) {
    const direction = KEYS[event.key];
    if (direction) {
      const step = event.shiftKey ? BIG_STEP : STEP;
      this.crop.move(direction[0] * step, direction[1] * step);
      this.draw();
    } else if (["+", "=", "-"].includes(event.key)) {
      const factor = event.key === "-" ? 1 / ZOOM_STEP : ZOOM_STEP;
      this.zoomTo(this.crop.zoom * factor);
    } else return;
    event.preventDefault();
  }

  // ---- Sending ----

  async send() {
    this.sendButton.disabled = true;
    this.#say("refused", "");
    try {
      const { user } = await postPicture(PATH, await squareOf(this.stage));
      this.page.state.meet([user]);
      this.dialog.close();
      this.page.say("That is you now.");
    } catch (error) {
      this.#say("refused", error.message);
    } finally {
      this.sendButton.disabled = false;
    }
  }

  drawUser(user) {
    if (user.id === this.page.state.me.id) this.removeForm.hidden = !user.avatar_url;
  }

  #say(name, words) {
    const line = this.section.querySelector(`[data-${name}]`);
    line.textContent = words;
    line.hidden = !words;
  }
}

/** The middle of one or two pointers, and how far apart two are. */
function gestureOf(places) {
  const [one, other = one] = places;
  return {
    x: (one.x + other.x) / 2,
    y: (one.y + other.y) / 2,
    spread: Math.hypot(one.x - other.x, one.y - other.y),
  };
}

/** Decoded and upright, in a canvas that is not too large to be moved smoothly. */
async function openPicture(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const scale = Math.min(1, DRAWN_PX / Math.min(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/** The stage as a file, in the first type that this browser can encode. */
async function squareOf(canvas) {
  for (const type of TYPES) {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY));
    if (blob?.type === type) return blob;
  }
  throw new Error("That picture cannot be sent from here.");
}
