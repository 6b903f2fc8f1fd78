// Picks an emoji for a reaction: a common one, or any that one can type.

import { haveStyles } from "#lib/styles";

const EMOJI = (
  "👋 ❤️ 😂 👍 🎉 😮 😢 🙏 😀 😄 😅 🤣 😊 🙂 😉 😍 😘 😎 🤔 🤨 😐 😴 🤯 🥳 😭 😡 😱 🤗 🙄 😬 " +
  "👏 🙌 👌 ✌️ 🤞 🤝 💪 👀 🧠 💯 🔥 ✨ ⭐ ⚡ 🌊 🦈 🐟 🐙 🌈 ☀️ 🌙 🌸 🍕 🍰 ☕ 🍺 🎂 🎈 🎵 📷 🚲 ⛵ ✅ ❌ ❓ 💡 💚 💙 💛 🧡 💜"
).split(" ");
const GAP_PX = 8;

let isFilled = false;

function fill(palette) {
  if (isFilled) return;
  isFilled = true;
  const box = palette.querySelector("[data-emoji-list]");
  for (const emoji of EMOJI) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = emoji;
    box.append(button);
  }
}

/** Above the button if there is room, else below; within the window. */
function place(palette, button) {
  const { top, bottom, right } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = palette;
  const above = top - height - GAP_PX;
  const y = above > GAP_PX ? above : Math.min(bottom + GAP_PX, innerHeight - height - GAP_PX);
  const x = Math.max(GAP_PX, Math.min(right - width, innerWidth - width - GAP_PX));
  palette.style.left = `${x}px`;
  palette.style.top = `${y}px`;
}

/** Resolves with an emoji, or undefined when closed without one. */
export async function openPalette(button) {
  const palette = document.getElementById("palette");
  await haveStyles(palette.dataset.styles);
  const form = palette.querySelector("[data-any-emoji]");
  fill(palette);
  palette.showPopover();
  place(palette, button);
  button.setAttribute("aria-expanded", "true");
  palette.querySelector("button").focus();
  return new Promise((resolve) => {
    const stop = new AbortController();
    const listen = (element, type, act) =>
      element.addEventListener(type, act, { signal: stop.signal });
    const end = (emoji) => {
      stop.abort();
      button.setAttribute("aria-expanded", "false");
      if (palette.matches(":popover-open")) palette.hidePopover();
      form.reset();
      resolve(emoji);
    };
    listen(palette, "click", ({ target }) => {
      if (target.closest("[data-emoji-list] button")) end(target.textContent);
    });
    listen(form, "submit", (event) => {
      event.preventDefault();
      end(form.elements.emoji.value.trim() || undefined);
    });
    listen(palette, "toggle", ({ newState }) => newState === "closed" && end());
    listen(palette, "keydown", (event) => moveByKey(event, palette));
  });
}

function moveByKey(event, palette) {
  const buttons = [...palette.querySelectorAll("[data-emoji-list] button")];
  const here = buttons.indexOf(document.activeElement);
  if (here < 0) return;
  const row = buttons.filter((one) => one.offsetTop === buttons[0].offsetTop).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row };
  const next = buttons[here + (steps[event.key] ?? 0)];
  if (!(event.key in steps) || !next) return;
  event.preventDefault();
  next.focus();
}
