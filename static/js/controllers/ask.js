// Asks before something that cannot be undone. Escape and the first button mean no.

import { on } from "#lib/dom";

/** Resolves with whether the answer was yes. yes, no: what the buttons say. */
export function ask({ title, words, yes = "Delete", no = "Keep it" }) {
  const dialog = document.getElementById("ask");
  const said = { ask_title: title, ask_words: words, ask_yes: yes, ask_no: no };
  for (const [id, text] of Object.entries(said)) {
    dialog.querySelector(`#${id}`).textContent = text;
  }
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), {
      once: true,
    });
  });
}

/** A form that leads to a page with a question: it is asked here instead, and a yes
    is posted to the same address. */
export function connect(form) {
  return on(form, "submit", async (event) => {
    event.preventDefault();
    const { askTitle: title, askWords: words, askYes: yes } = form.dataset;
    if (!(await ask({ title, words, yes, no: "Cancel" }))) return;
    form.method = "post";
    form.submit();
  });
}
