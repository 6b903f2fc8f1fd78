// A form that needs a passkey: before it goes, the server says what to ask the device
// for, and what the device brings goes with it, as `credential`.

import { on } from "#lib/dom";
import { createPasskey, hasPasskeys, usePasskey } from "#lib/passkeys";
import { post } from "#net/api";

const WORDS = {
  InvalidStateError: "This device has a passkey for you here already.",
  NotAllowedError: "Nothing was done. Try again when you are ready.",
  SecurityError: "Passkeys work only over https, at this site's own name.",
};

export function connect(form) {
  if (!hasPasskeys()) {
    form.hidden = true;
    return undefined;
  }
  const { credential } = form.elements;
  return on(form, "submit", (event) => {
    if (credential.value) return;
    event.preventDefault();
    ask(form).then(
      (made) => {
        credential.value = JSON.stringify(made);
        form.submit();
      },
      (error) => tell(form, WORDS[error.name] ?? error.message),
    );
  });
}

async function ask(form) {
  const { create, get } = await post(form.dataset.options, new FormData(form));
  return create ? createPasskey(create) : usePasskey(get);
}

function tell(form, words) {
  const problem = form.querySelector("[data-problem]");
  problem.textContent = words;
  problem.hidden = false;
}
