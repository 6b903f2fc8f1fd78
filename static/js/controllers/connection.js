// One line about the network, only when there is something to say.

import { on } from "#lib/dom";
import { isSignedIn } from "#net/api";

const PATIENCE_MS = 2500; // shorter interruptions are not shown
const SAID_MS = 6000;

export function connect(element, page) {
  const { socket } = page;
  let timer = null;
  let saying = null;
  const show = (words) => {
    const line = document.createElement("span");
    line.className = "connection__words";
    line.textContent = words;
    element.replaceChildren(...(words ? [line] : []));
  };
  const fall = () => {
    if (timer) return;
    timer = setTimeout(() => show(words()), PATIENCE_MS);
    isSignedIn().then((is) => is || page.showSignIn());
  };
  const rise = () => {
    clearTimeout(timer);
    timer = null;
    show("");
  };
  page.tell = (said) => {
    clearTimeout(saying);
    show(said);
    saying = setTimeout(() => show(socket.isUp ? "" : words()), SAID_MS);
  };
  const offs = [
    on(socket, "down", fall),
    on(socket, "up", rise),
    on(window, "offline", () => show(words())),
  ];
  return () => offs.forEach((off) => off());
}

function words() {
  return navigator.onLine
    ? "Trying to reach Hai. What you write is kept."
    : "You are offline. What you write is kept.";
}
