// The lecture's chatbot: Socket.IO's chat example, on plain `message` events in the
// namespace /eliza. Each thing said has exactly one answer, a string for a string.

import { on } from "#lib/dom";
import { HaiView } from "#models/hai_view";

const ELIZA = { id: -1, name: "eliza", display_name: "Eliza", kind: "bot" };

const AWAY = "Eliza is away. Waiting for the network.";
const UNHEARD = "Eliza is back. Say that once more?";

/** The text of an answer: a string, {text}, or {error} with its reason. */
export function wordsOf(answer) {
  return answer?.error?.message ?? answer?.text ?? String(answer);
}

export function connect(element, page) {
  const form = element.querySelector("[data-form]");
  const list = element.querySelector("[data-hais]");
  const waiting = element.querySelector("[data-typing]");
  const view = new HaiView({
    templates: {
      hai: document.getElementById("hai_template"),
      picture: document.getElementById("picture_template"),
      reaction: document.getElementById("reaction_template"),
    },
    user: (id) => (id === ELIZA.id ? ELIZA : page.state.me),
    find: () => undefined,
    meId: page.state.me.id,
  });
  let lastId = 0;
  let socket = null;
  let isGone = false;
  let isAsked = false; // sent, and not answered yet
  let isHeld = false; // to be sent once connected

  const show = (userId, text) => {
    const hai = { user_id: userId, text, sent_at: Date.now(), pictures: [], reactions: {} };
    const item = view.make({ ...hai, id: `said_${++lastId}` }, "start");
    list.append(item);
    element.querySelector(".talk").scrollTo({ top: 0 });
  };

  import("socket.io-client").then(
    ({ io }) => {
      if (isGone) return;
      socket = io("/eliza", { transports: ["websocket", "polling"] });
      socket.on("message", (answer) => {
        isAsked = false;
        waiting.textContent = "";
        show(ELIZA.id, wordsOf(answer));
      });
      socket.on("connect", () => {
        waiting.textContent = isAsked ? UNHEARD : "";
        isAsked = false;
        if (isHeld) form.requestSubmit();
      });
      for (const fault of ["connect_error", "disconnect"]) {
        socket.on(fault, () => (waiting.textContent = AWAY));
      }
    },
    () => (waiting.textContent = "Eliza could not be reached. Please reload."),
  );

  const offs = [
    on(form, "submit", (event) => {
      event.preventDefault();
      const { value } = form.elements.text;
      if (!value.trim()) return;
      isHeld = !socket?.connected; // the text stays in the field
      if (isHeld) {
        waiting.textContent = AWAY;
        return;
      }
      show(page.state.me.id, value);
      isAsked = true;
      waiting.textContent = "Eliza is thinking";
      socket.send(value);
      form.reset();
    }),
    on(form, "input", () => (isHeld = false)), // they changed their mind
    () => {
      isGone = true;
      socket?.disconnect();
    },
  ];
  form.elements.text.focus();
  return () => offs.forEach((off) => off());
}
