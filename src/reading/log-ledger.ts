/**
 * Which entries of an event log were forwarded: each once, whatever the meter can select and whatever its clock did. Equal
 * entries of one stamp and code look the same, so the ledger counts them. Entries up to its floor are taken as
 * forwarded; the floor follows only what was forwarded, and never a stamp that lies ahead of the gateway's time.
 */
import { dayMs } from '../base/time.ts';
import type { StampDoubt } from '../dlms/cosem/date-time.ts';
import type { LogEntry } from './meter-event.ts';

export interface LogCursor {
  /** The newest stamp that was forwarded, of those that are not ahead of the gateway's time. */
  readonly upTo: number;
  /** Entries with this stamp or an earlier one are none of ours any more. */
  readonly floor: number;
  /** How many entries of each stamp and code were forwarded. */
  readonly forwarded: readonly (readonly [at: number, code: number, count: number])[];
}
/** The cursor as it was stored before entries were counted: `stamp/code/occurrence` of entries that may come again. */
export interface FormerLogCursor {
  readonly upTo: number;
  readonly seen: readonly string[];
}
export type StoredLogCursor = LogCursor | FormerLogCursor;

/** Stamps and codes that a ledger counts. A log that holds more has its oldest taken as forwarded. */
const maxCounted = 2000;
/** Stamps ahead of the gateway's time, which the floor does not follow. */
const maxAhead = 200;
/** Entries that are looked at in one reading of a log, by stamp and code. */
const maxDistinct = 20_000;
const rememberMs = 10 * dayMs;
const maxFormer = 2000;
/** The cursor of a log may have been led astray: so far back its entries may be forwarded a second time, rather than never. */
const astrayMs = 60 * dayMs;
/** A clock of a meter that is not more than this ahead is no clock of the future. */
export const aheadMs = dayMs;
/** Events of one log in one session. What is left is forwarded with the next. */
export const maxForwarded = 500;

export function cursorOf(stored: StoredLogCursor | undefined, wall: number): LogCursor {
  if (stored === undefined) return { upTo: 0, floor: Number.MIN_SAFE_INTEGER, forwarded: [] };
  if ('forwarded' in stored) return stored;
  const counts = new Map<string, [number, number, number]>();
  for (const one of stored.seen) {
    const [at, code, occurrence] = one.split('/').map(Number) as [number, number, number];
    const key = `${at}/${code}`;
    counts.set(key, [at, code, Math.max(counts.get(key)?.[2] ?? 0, occurrence + 1)]);
  }
  const forwarded = [...counts.values()];
  const stamps = forwarded.map(([at]) => at).filter((at) => at <= wall + aheadMs);
  const oldest = stamps.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
  const newest = stamps.reduce((most, at) => Math.max(most, at), 0);
  // An entry of the future had moved the cursor there, and everything of today was forgotten.
  if (stored.upTo > wall + aheadMs) return { upTo: newest, floor: Math.min(wall - astrayMs, oldest - 1), forwarded };
  const full = stored.seen.length >= maxFormer;
  return { upTo: stored.upTo, floor: full ? oldest - 1 : stored.upTo - rememberMs, forwarded };
}

export interface LogIntake {
  take(at: number, code: number, doubt?: StampDoubt | null): void;
  /** How much is new so far, and whether more would not be forwarded in this session. */
  readonly progress: { readonly fresh: number; readonly full: boolean };
  /** `selected`: the meter was asked for a range of stamps, and will not be asked for much earlier ones again. */
  finish(selected: boolean): LogOutcome;
}
export interface LogOutcome {
  /** To be forwarded, oldest first. */
  readonly fresh: readonly LogEntry[];
  readonly cursor: LogCursor;
  /** There is more to forward than fits in one session. */
  readonly more: boolean;
  /** Entries that were not looked at, because the log holds more than any log does. */
  readonly ignored: number;
}

const byAge = (a: LogEntry, b: LogEntry): number => a.at - b.at || a.occurrence - b.occurrence;

/** One reading of a log: which of its entries are new. */
export function logIntake(cursor: LogCursor, wall: number): LogIntake {
  const key = (at: number, code: number) => `${at}/${code}`;
  const forwarded = new Map(cursor.forwarded.map(([at, code, count]) => [key(at, code), count]));
  const ahead = (at: number) => at > wall + aheadMs;
  let aheadLeft = maxAhead - cursor.forwarded.filter(([at]) => ahead(at)).length;
  const counts = new Map<string, number>();
  let fresh: LogEntry[] = [];
  let arrived = 0;
  let more = false;
  let ignored = 0;
  /** Of more entries than fit, the oldest stay: the cursor must not pass what was not forwarded. */
  const cut = () => {
    if (fresh.length <= maxForwarded) return;
    fresh = fresh.toSorted(byAge).slice(0, maxForwarded);
    more = true;
  };
  return {
    take(at, code, doubt) {
      if (at <= cursor.floor) return;
      const one = key(at, code);
      const occurrence = counts.get(one) ?? 0;
      const before = forwarded.get(one) ?? 0;
      if (occurrence === 0 && (counts.size >= maxDistinct || (before === 0 && ahead(at) && aheadLeft-- <= 0))) {
        ignored++;
        return;
      }
      counts.set(one, occurrence + 1);
      if (occurrence < before) return;
      fresh.push({ at, code, occurrence, ...(doubt && { doubt }) });
      arrived++;
      if (fresh.length >= 2 * maxForwarded) cut();
    },
    get progress() {
      return { fresh: arrived, full: arrived >= maxForwarded };
    },
    finish(selected) {
      cut();
      more ||= arrived >= maxForwarded;
      fresh = fresh.toSorted(byAge);
      const after = new Map(cursor.forwarded.map((one) => [key(one[0], one[1]), one]));
      let { upTo } = cursor;
      for (const { at, code, occurrence } of fresh) {
        const one = key(at, code);
        after.set(one, [at, code, Math.max(after.get(one)?.[2] ?? 0, occurrence + 1)]);
        if (!ahead(at)) upTo = Math.max(upTo, at);
      }
      // What was not forwarded is no older than what was, and lies above the floor.
      const newest = more ? (fresh.at(-1)?.at ?? cursor.floor) - 1 : Number.MAX_SAFE_INTEGER;
      const possible = floorOf(after.values(), selected ? upTo - rememberMs : cursor.floor, ahead);
      const floor = Math.max(cursor.floor, Math.min(possible, newest));
      const known = [...after.values()].filter(([at]) => at > floor);
      return { fresh, cursor: { upTo, floor, forwarded: known }, more, ignored };
    },
  };
}

/** Where the floor may stand: so many stamps and codes above it are counted. */
function floorOf(all: Iterable<LogCursor['forwarded'][number]>, floor: number, ahead: (at: number) => boolean): number {
  const stamps = [...all]
    .map(([at]) => at)
    .filter((at) => !ahead(at))
    .toSorted((a, b) => a - b);
  return Math.max(floor, stamps.at(-maxCounted - 1) ?? floor);
}
