// The one Trusted Types policy. Only HTML that our own server made goes through it, and
// the address of our own service worker.

const WORKER = "/service_worker.js";

const policy = globalThis.trustedTypes?.createPolicy("hai", {
  createHTML: (html) => html,
  createScriptURL: () => WORKER,
});

export const workerUrl = policy ? policy.createScriptURL("") : WORKER;

/** `html` of a hai, or a page of ours, as a value that innerHTML and DOMParser take. */
export function serverHtml(html) {
  return policy ? policy.createHTML(html) : html;
}
