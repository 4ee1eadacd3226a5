import { type Clock, dayMs, type Millis, millis } from '../base/time.ts';

/** The longest delay that setTimeout takes. */
const longestDelayMs = 2 ** 31 - 1;

/**
 * The machine's clock. `now` counts from the wall time at start, so that the two are alike in logs, but never steps. A machine
 * that thinks it is 1969 or 1901 counts from 1970 on: what reads 0 as long ago would wait for that.
 */
export const systemClock: Clock = (() => {
  const origin = Math.max(Date.now(), dayMs) - performance.now();
  const now = (): Millis => millis(origin + performance.now());
  return {
    now,
    wall: () => millis(Date.now()),
    sleepUntil: (deadline, signal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted) return resolve();
        const finish = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', finish);
          resolve();
        };
        // Rounded up: a timer that fires early would make its caller spin.
        const timer = setTimeout(finish, Math.min(longestDelayMs, Math.max(0, Math.ceil(deadline - now()))));
        signal?.addEventListener('abort', finish);
      }),
  };
})();
