// "Ada is writing", below the talk: one line, however long the names.

import { on, setText } from "#lib/dom";
import { whoWrites } from "#lib/text";

export function connect(element, page) {
  const { typing } = page;
  return on(typing, "changed", () => {
    const names = typing.userIds.map((id) => page.state.user(id).display_name);
    const { who, verb } = whoWrites(names);
    setText(element.querySelector("[data-names]"), who);
    setText(element.querySelector("[data-verb]"), verb);
  });
}
