/** How a line serves its meters, by what goes over it: answer times, silence, echo. Of each meter, since the start. Pure. */
import { later, type Millis } from '../base/time.ts';

/** Upper bounds of the classes of answer times, ms; the last class has none. */
const bounds = [10, 20, 35, 50, 75, 100, 150, 200, 300, 450, 700, 1000, 1500, 2500, 4000, 7000, 12_000] as const;

export interface AnswerTimes {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  /** The shortest time ever from the last octet that goes out to the first that comes. */
  readonly turnAroundMs: number | null;
}
export interface LineUse extends AnswerTimes {
  readonly meter: string;
  readonly asked: number;
  readonly answered: number;
  /** Requests that nothing came to. */
  readonly unanswered: number;
  /** Requests whose own octets came back first. */
  readonly echoes: number;
  readonly sentOctets: number;
  readonly heardOctets: number;
  /** Time that the line was waited for in vain, s. */
  readonly wastedS: number;
}

interface Counts {
  asked: number;
  answered: number;
  unanswered: number;
  echoes: number;
  sentOctets: number;
  heardOctets: number;
  wastedMs: number;
  turnAroundMs: number;
  readonly classes: number[];
  /** The request that waits for its answer. */
  open: { readonly at: Millis; readonly octets: Uint8Array } | undefined;
}

const begin = (): Counts => ({
  asked: 0,
  answered: 0,
  unanswered: 0,
  echoes: 0,
  sentOctets: 0,
  heardOctets: 0,
  wastedMs: 0,
  turnAroundMs: Number.POSITIVE_INFINITY,
  classes: Array.from({ length: bounds.length + 1 }, () => 0),
  open: undefined,
});

/** The class of the quantile, by its upper bound: what is reported is never less than it was. */
function quantile(classes: readonly number[], share: number): number | null {
  const all = classes.reduce((sum, one) => sum + one, 0);
  if (all === 0) return null;
  let seen = 0;
  for (const [i, count] of classes.entries()) {
    seen += count;
    if (seen >= all * share) return bounds[i] ?? bounds[bounds.length - 1] ?? null;
  }
  return null;
}

export interface LineQuality {
  /** `octetMs`: what one octet takes on this line; 0 where it has no speed. */
  sent(meter: string, at: Millis, octets: Uint8Array, octetMs: number): void;
  heard(meter: string, at: Millis, octets: Uint8Array | undefined): void;
  uses(): LineUse[];
}

const isEcho = (sent: Uint8Array, heard: Uint8Array): boolean =>
  heard.length >= Math.min(4, sent.length) && sent.length > 0 && heard[0] === sent[0] && sameStart(sent, heard);
function sameStart(sent: Uint8Array, heard: Uint8Array): boolean {
  const length = Math.min(sent.length, heard.length);
  for (let i = 0; i < length; i++) if (sent[i] !== heard[i]) return false;
  return true;
}

export function lineQuality(): LineQuality {
  const all = new Map<string, Counts>();
  const of = (meter: string): Counts => {
    let counts = all.get(meter);
    if (!counts) all.set(meter, (counts = begin()));
    return counts;
  };
  const inVain = (counts: Counts, at: Millis): void => {
    if (!counts.open) return;
    counts.unanswered++;
    counts.wastedMs += Math.max(0, at - counts.open.at);
    counts.open = undefined;
  };
  return {
    sent(meter, at, octets, octetMs) {
      const counts = of(meter);
      counts.sentOctets += octets.length;
      const { open } = counts;
      const tookMs = octets.length * octetMs;
      // The next frame of one window: one request.
      if (open && at <= open.at) {
        counts.open = { at: later(open.at, tookMs), octets: open.octets };
        return;
      }
      // Sent again: what was asked before had no answer.
      inVain(counts, at);
      counts.asked++;
      counts.open = { at: later(at, tookMs), octets };
    },
    heard(meter, at, octets) {
      const counts = of(meter);
      if (!octets) return inVain(counts, at);
      counts.heardOctets += octets.length;
      const { open } = counts;
      if (!open) return;
      if (isEcho(open.octets, octets)) {
        counts.echoes++;
        // What came behind the echo in one piece is the answer.
        if (octets.length <= open.octets.length) return;
      }
      const took = Math.max(0, at - open.at);
      counts.open = undefined;
      counts.answered++;
      counts.turnAroundMs = Math.min(counts.turnAroundMs, took);
      const index = bounds.findIndex((bound) => took <= bound);
      const place = index < 0 ? bounds.length : index;
      counts.classes[place] = (counts.classes[place] ?? 0) + 1;
    },
    uses: () =>
      [...all].map(([meter, counts]) => ({
        meter,
        asked: counts.asked,
        answered: counts.answered,
        unanswered: counts.unanswered,
        echoes: counts.echoes,
        sentOctets: counts.sentOctets,
        heardOctets: counts.heardOctets,
        wastedS: Math.round(counts.wastedMs / 100) / 10,
        p50Ms: quantile(counts.classes, 0.5),
        p95Ms: quantile(counts.classes, 0.95),
        turnAroundMs: Number.isFinite(counts.turnAroundMs) ? Math.round(counts.turnAroundMs) : null,
      })),
  };
}
