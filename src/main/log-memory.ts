/** The newest lines of the log, for whoever asks at the desk: where there is no journal, and no right to read it. */
import type { LogLine } from '../desk/routes.ts';

export interface LogMemory {
  add(line: string): void;
  /** What is held, oldest first; with `follow` also what comes, until the signal. */
  lines(follow: boolean, signal: AbortSignal): AsyncGenerator<LogLine, void>;
}

/** Lines are cut where they are made: this many are half a megabyte at most, and mostly a tenth of it. */
const heldLines = 400;

export function logMemory(): LogMemory {
  const held: LogLine[] = [];
  /** How many lines there were before the first that is held. */
  let gone = 0;
  let wake: () => void = () => {};
  let waiting: Promise<void> = new Promise((resolve) => (wake = resolve));
  return {
    add(line) {
      held.push({ at: new Date().toISOString(), line });
      if (held.length > heldLines) {
        held.shift();
        gone++;
      }
      wake();
      waiting = new Promise((resolve) => (wake = resolve));
    },
    async *lines(follow, signal) {
      let next = gone;
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      while (!signal.aborted) {
        // Who does not keep up goes on with the oldest that is held.
        next = Math.max(next, gone);
        while (next - gone < held.length && !signal.aborted) {
          yield held[next - gone] as LogLine;
          next = Math.max(next + 1, gone);
        }
        if (!follow) return;
        await Promise.race([waiting, aborted]);
      }
    },
  };
}
