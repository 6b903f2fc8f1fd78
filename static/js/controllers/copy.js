// A line to be copied: selected when reached.

import { on } from "#lib/dom";

export function connect(input) {
  return on(input, "focus", () => input.select());
}
