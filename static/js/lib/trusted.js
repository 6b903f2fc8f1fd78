// The one Trusted Types policy. Only HTML that our own server made goes through it, and
// the address of our own service worker.

const WORKER = "/service_worker.js";

const policy = globalThis.trustedTypes?.createPolicy("hai", {
  createHTML: (html) => html,
  createScriptURL: () => WORKER,
});

const workerUrl = policy ? policy.createScriptURL("") : WORKER;

/** static/service_worker.js, where browsers allow one (https). */
export function registerWorker(workers = globalThis.navigator?.serviceWorker) {
  return workers?.register(workerUrl).catch(() => undefined); // then nothing is shared to us
}

/** `html` of a hai, or a page of ours, as a value that innerHTML and DOMParser accept. */
export function serverHtml(html) {
  return policy ? policy.createHTML(html) : html;
}
