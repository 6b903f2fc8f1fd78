// How far a picture is zoomed in and moved, as numbers: it draws nothing.

const MOST = 4; // times the fitting size, unless its own pixels are larger still

/** `x`, `y`: CSS pixels from the middle of the stage to the middle of the picture. */
export class Zoom {
  scale = 1;
  x = 0;
  y = 0;
  #stage = { width: 1, height: 1 };
  #box = { width: 1, height: 1 };
  #most = MOST;

  /** stage, box: their sizes at scale 1; ownWidth: the picture's own, in pixels. */
  fit(stage, box, ownWidth) {
    this.#stage = stage;
    this.#box = box;
    this.#most = Math.max(MOST, (2 * ownWidth) / box.width);
    this.#settle();
  }

  get isZoomed() {
    return this.scale > 1;
  }

  /** Zoom by a factor; the point, measured from the middle of the stage, stays put. */
  by(factor, point = { x: 0, y: 0 }) {
    const scale = Math.min(this.#most, Math.max(1, this.scale * factor));
    const grown = scale / this.scale;
    this.x = point.x - (point.x - this.x) * grown;
    this.y = point.y - (point.y - this.y) * grown;
    this.scale = scale;
    this.#settle();
  }

  /** Zoom in at the point, or out to the whole again. */
  toggle(point, near = 2.5) {
    if (this.isZoomed) this.reset();
    else this.by(near, point);
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.#settle();
  }

  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
  }

  /** Limit it to the picture's edges. */
  #settle() {
    if (this.scale < 1.01) this.scale = 1;
    const room = (side) => Math.max(0, (this.#box[side] * this.scale - this.#stage[side]) / 2);
    const within = (value, most) => Math.min(most, Math.max(-most, value));
    this.x = within(this.x, room("width"));
    this.y = within(this.y, room("height"));
  }
}
