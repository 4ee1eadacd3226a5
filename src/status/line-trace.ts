/**
 * What goes over the lines, while it goes: for whoever looks on. Secrets of the configured meters are struck out before
 * anything leaves the house; who does not keep up loses the oldest, and gets a note of it.
 */
import { toHex } from '../base/hex.ts';
import type { Secret } from '../base/secret.ts';
import { type Clock, iso, later, type Millis } from '../base/time.ts';
import type { LineUse } from '../line/line-quality.ts';
import { StrikeOut } from '../line/strike-out.ts';
import type { Listener } from '../line/tapped.ts';

export type TraceEvent =
  | {
      readonly at: string;
      readonly port: string;
      /** Whose turn it was; `null` between turns. */
      readonly meter: string | null;
      readonly direction: '->' | '<-';
      readonly octets: string;
    }
  /** So many lines were lost, because they were not taken. */
  | { readonly lost: number };

export interface TracedLine {
  readonly name: string;
  readonly listeners: Set<Listener>;
  /** Passwords and keys of its meters. */
  readonly secrets: readonly Secret[];
  readonly activity: () => string | undefined;
}
export interface TraceWish {
  readonly meter?: string | undefined;
  readonly port?: string | undefined;
}

/** The use of a line by its meters. */
export interface PortUses {
  readonly port: string;
  readonly device: string;
  readonly uses: readonly LineUse[];
}

const maxWaiting = 500;
/** A frame that is not complete yet is shown after this, as far as it came. */
const incompleteMs = 1000;

interface Waiting {
  readonly from: number;
  readonly to: number;
  readonly at: Millis;
  readonly since: Millis;
  readonly meter: string | null;
}

/** One direction of a line: octets are shown when the frame they belong to is complete, so that no half of a secret is. */
function direction(name: string, way: '->' | '<-', secrets: readonly Secret[]) {
  const strikeOut = new StrikeOut(secrets);
  const waiting: Waiting[] = [];
  return {
    add(octets: Uint8Array, at: Millis, now: Millis, meter: string | null): void {
      waiting.push({ ...strikeOut.add(octets), at, since: now, meter });
    },
    ready(now: Millis): TraceEvent[] {
      const events: TraceEvent[] = [];
      for (let first = waiting[0]; first; first = waiting[0]) {
        if (first.to > strikeOut.completeTo && now - first.since < incompleteMs) break;
        waiting.shift();
        const { at, from, to, meter } = first;
        events.push({ at: iso(at), port: name, meter, direction: way, octets: toHex(strikeOut.show(from, to)) });
      }
      return events;
    },
  };
}

export async function* traceOf(
  lines: readonly TracedLine[],
  { meter, port }: TraceWish,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<TraceEvent, void> {
  const queue: TraceEvent[] = [];
  let lost = 0;
  let wake = new AbortController();
  const undo: (() => void)[] = [];
  const flushes: ((now: Millis) => void)[] = [];
  for (const line of lines.filter(({ name }) => port === undefined || name === port)) {
    const ways = {
      '->': direction(line.name, '->', line.secrets),
      '<-': direction(line.name, '<-', line.secrets),
    };
    const flush = (now: Millis): void => {
      for (const event of [...ways['->'].ready(now), ...ways['<-'].ready(now)]) {
        if ('meter' in event && meter !== undefined && event.meter !== meter) continue;
        if (queue.length >= maxWaiting) {
          queue.shift();
          lost++;
        }
        queue.push(event);
      }
      if (queue.length > 0) wake.abort();
    };
    const listener: Listener = (way, octets) => {
      if (octets) ways[way].add(octets, clock.wall(), clock.now(), line.activity() ?? null);
      flush(clock.now());
    };
    line.listeners.add(listener);
    undo.push(() => line.listeners.delete(listener));
    flushes.push(flush);
  }
  const end = () => wake.abort();
  signal.addEventListener('abort', end);
  try {
    while (!signal.aborted) {
      if (lost > 0) {
        yield { lost };
        lost = 0;
      }
      yield* queue.splice(0);
      wake = new AbortController();
      await clock.sleepUntil(later(clock.now(), incompleteMs), wake.signal);
      for (const flush of flushes) flush(clock.now());
    }
  } finally {
    signal.removeEventListener('abort', end);
    for (const step of undo) step();
  }
}
