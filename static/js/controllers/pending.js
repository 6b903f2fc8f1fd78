// How a hai looks that the server has not acked yet: paler, with a word about its state.

import { putAttribute } from "#lib/dom";

const WORDS = {
  sending: "",
  waiting: "Not sent yet. Waiting for the network.",
  uploading: "Uploading.",
  failed: "Not sent.",
};
const SLOW_MS = 1500; // a send that takes longer says so

export function pendingHai(entry, meId) {
  return { ...entry, id: "", user_id: meId, reactions: {} };
}

/** view: a HaiView; entry: null once the hai is stored. */
export function fillState(view, element, entry) {
  clearTimeout(element.haiSlow);
  putAttribute(element, "data-state", entry?.state);
  putAttribute(element, "data-client-id", entry?.client_id);
  const isSending = entry?.state === "sending";
  if (isSending) element.haiSlow = setTimeout(() => say(view, element, entry, "Sending"), SLOW_MS);
  if (entry && !isSending) say(view, element, entry, words(entry));
  else view.part(element, "state", false);
}

function say(view, element, entry, said) {
  const box = view.part(element, "state", true);
  box.querySelector(".hai__state-words").textContent = said;
  for (const name of ["retry", "copy", "discard"]) {
    box.querySelector(`[data-order="${name}"]`).hidden = !isOffered(name, entry);
  }
}

function words({ state, words: said }) {
  return said ? `${WORDS[state]} ${said}`.trim() : WORDS[state];
}

function isOffered(name, { state, text }) {
  if (name === "copy") return (state === "failed" || state === "waiting") && Boolean(text);
  if (name === "retry") return state === "failed";
  return state !== "sending";
}
