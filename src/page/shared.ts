/** One source for all who watch: it is asked once each time, and only while somebody watches. Whoever is slow gets the newest. */
import { setTimeout } from 'node:timers/promises';

export interface Shared {
  /** Texts as they come, until the signal. */
  watch(signal: AbortSignal): AsyncGenerator<string>;
}

export function shared(produce: () => Promise<unknown>, everyMs: number): Shared {
  const watchers = new Set<AbortSignal>();
  let text: string | undefined;
  let count = 0;
  let wake: () => void = () => {};
  let next = new Promise<void>((resolve) => (wake = resolve));
  let running = false;

  const run = async (): Promise<void> => {
    running = true;
    while (watchers.size > 0) {
      try {
        text = JSON.stringify(await produce());
        count++;
        const woken = wake;
        next = new Promise<void>((resolve) => (wake = resolve));
        woken();
      } catch {
        // The next one may come.
      }
      await setTimeout(everyMs, undefined, { ref: false });
    }
    running = false;
    text = undefined;
  };
  return {
    async *watch(signal) {
      watchers.add(signal);
      if (!running) void run();
      let seen = text === undefined ? count : count - 1;
      try {
        const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        while (!signal.aborted) {
          if (seen === count) await Promise.race([next, gone]);
          if (signal.aborted) return;
          seen = count;
          if (text !== undefined) yield text;
        }
      } finally {
        watchers.delete(signal);
      }
    },
  };
}
