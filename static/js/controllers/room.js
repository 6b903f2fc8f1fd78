// The open room's header, kept up to date; leaves the page when one is removed from it.

import { on, setText } from "#lib/dom";
import { daysWords, titleOf } from "#lib/text";
import { fillAvatar, roomAvatar } from "#models/avatar_view";

export function connect(element, page) {
  const roomId = page.list.roomId;
  const rule = element.querySelector("[data-rule]");
  let isHere = true;
  let receipts; // resolves to the function that disconnects them
  const watch = ({ has_receipts: isOn }) => {
    rule.hidden = !isOn;
    if (isOn)
      receipts ??= import("#controllers/receipts").then(
        (it) => isHere && it.connect(element, page),
      );
  };
  const draw = () => {
    const { room } = page;
    if (!room) return;
    watch(room);
    const title = titleOf(room, page.state);
    setText(element.querySelector("#room_name"), title);
    fillAvatar(element.querySelector(".room__head .avatar"), roomAvatar(room, page.state));
    if (room.kind !== "direct") setText(element.querySelector("#room_topic"), about(room));
    document.title = `${title} · Hai`;
  };
  const offs = [
    on(page.state, "rooms", draw),
    on(page.state, "users", draw),
    on(page.state, "removed", ({ detail }) => detail === roomId && page.visit("/rooms")),
  ];
  watch(page.room);
  offs.push(() => {
    isHere = false;
    receipts?.then((off) => off?.());
  });
  return () => offs.forEach((off) => off());
}

function about(room) {
  const count = `${room.member_count} ${room.member_count === 1 ? "person" : "people"}`;
  const words = room.topic || count;
  const days = room.picture_days;
  return days ? `${words} · pictures are kept ${daysWords(days)}` : words;
}
