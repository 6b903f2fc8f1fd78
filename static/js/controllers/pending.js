// How a hai looks that the server has not acked yet: paler, with a word about its state.

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

/** entry: null once the hai is stored. */
export function fillState(element, entry) {
  const box = element.querySelector(".hai__state");
  clearTimeout(element.haiSlow);
  if (!entry) {
    element.removeAttribute("data-state");
    element.removeAttribute("data-client-id");
    box.hidden = true;
    return;
  }
  element.dataset.state = entry.state;
  element.dataset.clientId = entry.client_id;
  box.hidden = entry.state === "sending";
  box.querySelector(".hai__state-words").textContent = words(entry);
  for (const name of ["retry", "copy", "discard"]) {
    box.querySelector(`[data-order="${name}"]`).hidden = !isOffered(name, entry);
  }
  if (entry.state === "sending") element.haiSlow = setTimeout(() => sayslow(box), SLOW_MS);
}

function sayslow(box) {
  box.querySelector(".hai__state-words").textContent = "Sending";
  box.hidden = false;
}

function words({ state, words: said }) {
  return said ? `${WORDS[state]} ${said}`.trim() : WORDS[state];
}

function isOffered(name, { state, text }) {
  if (name === "copy") return (state === "failed" || state === "waiting") && Boolean(text);
  if (name === "retry") return state === "failed";
  return state !== "sending";
}
