// A square cut out of a picture: where it lies when one moves and zooms. Only numbers;
// controllers/avatar.js draws it.

const MAX_ZOOM = 8;
const LEAST_PX = 96; // of the picture across the square: less would be a blur

const within = (value, least, most) => Math.min(Math.max(value, least), most);

export class Crop {
  zoom = 1;

  /** width, height: of the picture, in its pixels. Begins with its middle. */
  constructor(width, height) {
    Object.assign(this, { width, height });
    this.shorter = Math.min(width, height);
    this.maxZoom = within(this.shorter / LEAST_PX, 1, MAX_ZOOM);
    this.left = (width - this.shorter) / 2;
    this.top = (height - this.shorter) / 2;
  }

  /** The side of the square, in pixels of the picture. */
  get side() {
    return this.shorter / this.zoom;
  }

  /** Move what is seen by shares of the square: (1, 0) is one square to the right. */
  move(x, y) {
    this.#put(this.left - x * this.side, this.top - y * this.side);
  }

  /** Zoom, and keep in its place what is at (x, y), again in shares of the square. */
  zoomTo(zoom, x = 0.5, y = 0.5) {
    const before = this.side;
    this.zoom = within(zoom, 1, this.maxZoom);
    const less = before - this.side;
    this.#put(this.left + x * less, this.top + y * less);
  }

  #put(left, top) {
    this.left = within(left, 0, this.width - this.side);
    this.top = within(top, 0, this.height - this.side);
  }
}
