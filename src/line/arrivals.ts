/** Ports that came to a listener, until somebody takes them. */
import type { Port } from './port.ts';

export interface Arrivals {
  readonly add: (port: Port) => void;
  /** The next one, in the order they came; undefined once the listener ended and none is left. */
  readonly accept: () => Promise<Port | undefined>;
  readonly end: () => void;
}

export function arrivals(...waiting: Port[]): Arrivals {
  const ending = new AbortController();
  let wake: (() => void) | undefined;
  return {
    add(port) {
      waiting.push(port);
      wake?.();
    },
    async accept() {
      while (waiting.length === 0 && !ending.signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return waiting.shift();
    },
    end() {
      ending.abort();
      wake?.();
    },
  };
}
