// When to do things.

/** At most once per `ms`, the last call always. */
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

/** Once, `ms` after the last call. */
export function afterwards(ms, run) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };
}

const TICK_MS = 5000;
const SLEPT_MS = 15_000; // a tick so late was slept through

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

/** Milliseconds before try number `count`: 1, 2, 4 and 5, and a little by chance, so
    that a thousand tabs do not come back in the same moment. */
export function backOffMs(count, random = Math.random()) {
  return Math.min(1000 * 2 ** count, 5000) * (0.5 + random);
}
