// The service worker, where browsers allow one (https): static/service_worker.js.

import { workerUrl } from "#lib/trusted";

export function registerWorker(workers = globalThis.navigator?.serviceWorker) {
  return workers?.register(workerUrl).catch(() => undefined); // then nothing is shared to us
}
