// Scroll anchoring: keeps what is being read where it is. The talk is a reversed column: its scrollTop is 0 at
// the newest hai and negative above it, so hais added above move nothing; those
// added below are compensated for here.

const NEAR_PX = 100;

export class ScrollKeeper {
  constructor(element) {
    this.element = element;
  }

  get isNearEnd() {
    return -this.element.scrollTop < NEAR_PX;
  }

  toEnd(behavior = "instant") {
    this.element.scrollTo({ top: 0, behavior });
  }

  /** Change the list; the anchor, which is being read, stays. Without one the end does. */
  keep(change, anchor) {
    if (!anchor) return change();
    const before = anchor.getBoundingClientRect().top;
    const result = change();
    const moved = anchor.getBoundingClientRect().top - before;
    if (moved && anchor.isConnected) this.element.scrollTop += moved;
    return result;
  }
}
