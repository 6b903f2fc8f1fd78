// The buttons for what one can do with a hai. There are two groups of them, however many
// hais: one stays with the hai that has, or last had, the focus, so that the focus can
// return to it; the other goes with the pointer.

import { wholeOf } from "#lib/dom";

export class HaiTools {
  constructor(page) {
    this.page = page;
    const whole = wholeOf(document.getElementById("hai_template")).querySelector(".hai__tools");
    this.held = whole.cloneNode(true);
    this.other = whole.cloneNode(true);
  }

  /** The focus is on a hai, or on something in it. */
  hold(item) {
    if (this.other.parentNode === item) [this.held, this.other] = [this.other, this.held];
    else this.#put(this.held, item);
  }

  /** The pointer is over a hai. */
  point(item) {
    if (this.held.parentNode !== item) this.#put(this.other, item);
  }

  #put(tools, item) {
    const { drawing } = this.page;
    const hai = drawing.haiOf(item);
    if (!hai || tools.parentNode === item) return;
    item.append(tools);
    drawing.view.fillTools(item, hai);
  }
}
