// Throttling, debouncing, noticing sleep, and delays between retries.

/** Runs at most once per `ms`, and always after the last call. */
export function throttle(ms, run) {
  let timer = null;
  let again = false;
  return function throttled() {
    if (timer) {
      again = true;
      return;
    }
    run();
    timer = setTimeout(() => {
      timer = null;
      if (again) {
        again = false;
        throttled();
      }
    }, ms);
  };
}

/** Runs once, `ms` after the last call. */
export function debounce(ms, run) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };
}

const TICK_MS = 5000;
const SLEPT_MS = 15_000; // a timer this late means that the machine slept

/** Call `wake` after the machine slept under a visible page, which no event tells. */
export function watchSleep(wake, isHidden, now = Date.now) {
  let last = now();
  return setInterval(() => {
    const isLate = now() - last > SLEPT_MS;
    last = now();
    if (isLate && !isHidden()) wake(); // hidden pages' timers are slow anyway
  }, TICK_MS);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds before retry number `count`: 1, 2, 4 and 5 s with some jitter, so that a
    thousand tabs do not return at the same moment. */
export function backOffMs(count, random = Math.random()) {
  return Math.min(1000 * 2 ** count, 5000) * (0.5 + random);
}
