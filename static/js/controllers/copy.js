// A line to be copied: selected on focus.

import { on } from "#lib/dom";

export function connect(input) {
  return on(input, "focus", () => input.select());
}
