// One line about the network, only when there is something to say; and one about a browser
// that has signed in to this account, until it is answered.

import { on } from "#lib/dom";
import { isSignedIn } from "#net/api";

const PATIENCE_MS = 2500; // shorter interruptions are not shown
const SAID_MS = 6000;

export function connect(element, page) {
  const { socket, state } = page;
  const said = element.appendChild(document.createElement("span"));
  let timer = null;
  let saying = null;
  const show = (words) => {
    said.className = words ? "connection__words" : "";
    said.textContent = words;
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
  page.tell = (line) => {
    clearTimeout(saying);
    show(line);
    saying = setTimeout(() => show(socket.isUp ? "" : words()), SAID_MS);
  };
  const offs = [
    on(socket, "down", fall),
    on(socket, "up", rise),
    on(window, "offline", () => show(words())),
    on(state, "session", ({ detail }) => ask(element, detail.device)),
  ];
  return () => offs.forEach((off) => off());
}

function words() {
  return navigator.onLine
    ? "Trying to reach Hai. What you write is kept."
    : "You are offline. What you write is kept.";
}

function ask(element, device) {
  element.querySelector(".connection__news")?.remove();
  const line = document.createElement("span");
  line.className = "connection__words connection__news";
  const yes = Object.assign(document.createElement("button"), { textContent: "Yes" });
  const no = Object.assign(document.createElement("a"), { textContent: "No" });
  no.href = "/settings#sessions_title";
  line.append(`You signed in with ${device}. Was that you?`, yes, no);
  for (const answer of [yes, no]) on(answer, "click", () => line.remove());
  element.append(line);
}
