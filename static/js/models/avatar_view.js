// Draws the avatar of a user or room into templates/_avatar.html, as hai/web/views/
// people.py and rooms.py do. A test compares them.

import { putAttribute, setAttribute } from "#lib/dom";
import { letter, othersOf, titleOf } from "#lib/text";

const HUES = 8;

const hueOf = (id) => Number(id) % HUES;

/** isPresent: with the dot that shows whether they are online. */
export function userAvatar(user, isPresent = false) {
  return {
    letter: letter(user.display_name),
    hue: hueOf(user.id),
    url: user.avatar_url,
    userId: user.id,
    presence: isPresent ? (user.presence ?? "offline") : undefined,
  };
}

/** Of a direct room with one other, that person's. */
export function roomAvatar(room, state) {
  const others = room.kind === "direct" ? othersOf(room, state) : [];
  if (others.length === 1) return userAvatar(others[0], true);
  const isRoom = room.kind !== "direct";
  return { letter: letter(titleOf(room, state)), hue: hueOf(room.id), isRoom };
}

/** Write it into an element, touching only what differs. */
export function fillAvatar(element, { letter, hue, url, userId, presence, isRoom = false }) {
  element.classList.toggle("avatar--room", isRoom);
  setAttribute(element, "data-hue", hue);
  putAttribute(element, "data-user-id", userId);
  putAttribute(element, "data-presence", presence);
  const face = element.querySelector(".avatar__picture");
  fillLetter(element, letter);
  // The same one stays as it is: it may be hidden because it failed to load.
  if ((face?.getAttribute("src") ?? undefined) === url) return;
  face?.remove();
  if (url) element.append(faceOf(url));
}

/** The letter stands before the face, which covers it. */
function fillLetter(element, letter) {
  const { firstChild: text } = element;
  if (!(text instanceof Text)) element.prepend(letter);
  else if (text.nodeValue !== letter) text.nodeValue = letter;
}

function faceOf(url) {
  const face = document.createElement("img");
  const attributes = { class: "avatar__picture", alt: "", loading: "lazy", decoding: "async" };
  for (const [name, value] of Object.entries(attributes)) face.setAttribute(name, value);
  face.src = url;
  return face;
}

/** All avatars of a user within an element. */
export function fillAvatarsOf(root, user) {
  for (const element of root.querySelectorAll(`.avatar[data-user-id="${user.id}"]`)) {
    fillAvatar(element, userAvatar(user, element.hasAttribute("data-presence")));
  }
}
