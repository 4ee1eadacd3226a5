/**
 * From rows to interval blocks and gaps. Given the rows whose stamps lie in [from, to], every interval of the grid in
 * between is accounted for exactly once: in a block, in a gap, or left open for the next poll.
 */
import { iso, later, type Millis } from '../base/time.ts';
import type { ObisCode } from '../dlms/cosem/logical-name.ts';
import type { DarkSpan } from './meter-event.ts';
import { gapHash, intervalHash } from './interval-hash.ts';
import type { AccountedSwap, Exception, Exceptions, Mark } from './ledger.ts';
import type { Channel, GapFact, Integer, Origin, ProfileFact } from './facts.ts';
import { integerJson } from './facts.ts';
import type { LoadProfileRow, ProfileChannel } from './load-profile-row.ts';
import { provenByEdges, provenByLog } from './outage.ts';
import { type Flag, type GapCause, type Quality, type Reason, rowQuality } from './quality.ts';
import { registersOf, sameValues, valuesOf } from './row-values.ts';
import { unitName } from '../dlms/cosem/unit.ts';

export interface Slice {
  readonly origin: Origin;
  readonly series: ObisCode;
  readonly rows: readonly LoadProfileRow[];
  /** Start of the first interval; the row stamped so is the boundary register. */
  readonly from: Millis;
  /** End of the last interval. */
  readonly to: Millis;
  readonly periodMs: number;
  /** Intervals that end later than this may still come: their absence is no gap yet. */
  readonly openAfter: Millis;
  readonly readAt: Millis;
  readonly clockDeviationMs: number | undefined;
  readonly clockTrust: string;
  /** What was said of these intervals before: the same is not said again. */
  readonly known?: ReadonlyMap<number, Mark>;
  /** The oldest row that the meter still has, where its buffer is full: what is missing before it is lost (R16). */
  readonly oldestStamp?: Millis | undefined;
  /** A register that falls from above 90 % to below 10 % of this has wrapped (R08). */
  readonly modulus?: bigint;
  /** What the fuses let through, W; more in an interval is impossible (R12). */
  readonly powerLimitW?: number | undefined;
  /** Spans without power that the meter's own log proves: nothing was consumed in them (R07). */
  readonly dark?: readonly DarkSpan[];
  /** Instants at which the meter's clock was set by more than a few seconds: the intervals around are uncertain (R30). */
  readonly clockSets?: readonly number[];
  /** The meter was replaced: what the old one counted last at a boundary, and both registers of the change. */
  readonly swap?: AccountedSwap;
  /** What was said to be lost stays so: an absence that is read once more is no news. */
  readonly lost?: readonly (readonly [from: number, to: number])[];
  /** The register before the first row belongs to another layout: no energy across it (R13). */
  readonly newSegment?: boolean;
}
export interface Accounted {
  /** Only what was not said before. */
  readonly blocks: readonly ProfileFact[];
  readonly gaps: readonly GapFact[];
  readonly marks: readonly Mark[];
  /** All that is accounted for here and not plainly measured. */
  readonly exceptions: Exceptions;
  /** Ranges that were measured before and whose rows are gone from the meter since: what was said of them stands. */
  readonly unchanged: readonly (readonly [from: number, to: number])[];
  /** [from, coveredTo) is accounted for. */
  readonly coveredTo: Millis;
}

interface Measured {
  readonly start: Millis;
  readonly periodMs: number;
  readonly row: LoadProfileRow;
  readonly energy: readonly (bigint | null)[];
  readonly quality: Quality;
  readonly flags: readonly Flag[];
  readonly rev: number;
  readonly reason: Reason | null;
}

const channelsByKey = (row: LoadProfileRow): Map<string, ProfileChannel> =>
  new Map(row.channels.map((channel) => [channel.key, channel]));
/** The registers of a row as a fact carries them: raw integers by OBIS code. */
export const edge = (row: LoadProfileRow | undefined): Record<string, Integer> | null =>
  row ? Object.fromEntries([...registersOf(row)].map(([key, raw]) => [key, integerJson(raw)])) : null;

export function accountFor(slice: Slice): Accounted {
  const { origin, from, to, periodMs } = slice;
  const stamped = slice.rows.filter((row): row is LoadProfileRow & { end: Millis } => row.end !== null);
  // Newest first (LIFO): of two rows with one stamp the later one must come last.
  if (stamped.length > 1 && (stamped[0]?.end as number) > (stamped.at(-1)?.end as number)) stamped.reverse();
  const byEnd = new Map<number, (LoadProfileRow & { end: Millis })[]>();
  for (const row of stamped) byEnd.set(row.end, [...(byEnd.get(row.end) ?? []), row]);

  const measured: Measured[] = [];
  const marks: Mark[] = [];
  const exceptions: Exception[] = [];
  const unchanged: [number, number][] = [];
  const known = (start: number): Mark | undefined => slice.known?.get(start);
  /** A value was said of it, and has not been lost since. */
  const wasMeasured = (start: number): boolean => {
    const mark = known(start);
    const [from, to] = slice.swap?.revoked ?? [0, 0];
    return mark !== undefined && !mark.gap && mark.hash !== 0 && !(start >= from && start < to);
  };
  const limit = slice.powerLimitW;
  const swappedIn = (start: number, rows: readonly { readonly end: number }[]): AccountedSwap | undefined =>
    slice.swap && rows.some(({ end }) => (slice.swap?.at ?? 0) >= start && (slice.swap?.at ?? 0) < end)
      ? slice.swap
      : undefined;

  /** Takes the rows that end together; several, where the clock was set back (R11). Says them unless the same was said. */
  const add = (
    rows: readonly (LoadProfileRow & { end: Millis })[],
    before: LoadProfileRow | undefined,
    start: Millis,
    irregular: boolean,
  ) => {
    const items = rows.map((row): Omit<Measured, 'rev' | 'reason'> => {
      const { energy, backward, wrapped } = advance(before, row, slice.modulus ?? defaultModulus);
      const flags: Flag[] = [];
      if (wrapped) flags.push('WRAP');
      if (limit !== undefined && impossible(row, energy, row.end - start, limit)) flags.push('IMPOSSIBLE');
      if (row.cells.includes(null)) flags.push('PARTIAL');
      const swapped = swappedIn(start, [row]);
      if (swapped) flags.push('SWAP');
      if (slice.clockTrust === 'untrusted') flags.push('TIME_UNTRUSTED');
      const stepped = (slice.clockSets ?? []).some((at) => at >= start && at < row.end + clockSetReachMs);
      const quality = rowQuality(row.bits ?? row.status, {
        irregular: irregular || stepped,
        backward,
        clockDoubt: Boolean(row.doubt),
        unscaled: row.channels.some(({ unscaled }) => unscaled?.billable === true),
      });
      return { start, periodMs: row.end - start, row, energy: swapped ? across(swapped, row) : energy, quality, flags };
    });
    const last = items.at(-1) as (typeof items)[0];
    const [block] = blocksOf(slice, [{ ...last, rev: 0, reason: null }]) as [ProfileFact];
    const hash = intervalHash(block, 0);
    const mark = known(start);
    const same = mark !== undefined && mark.hash === hash && !mark.gap;
    // Without the row before it nothing better can be said than what was said when that row was still there.
    // Across a change of the meter its registers count, not the row before.
    if (!same && !mark?.again && before === undefined && !swappedIn(start, rows) && wasMeasured(start)) {
      unchanged.push([start, start + last.periodMs]);
      return;
    }
    if (last.quality !== 'MEASURED') exceptions.push([start, start + last.periodMs, last.quality]);
    if (same && !mark.again) return;
    const unsaid = !mark || mark.hash === 0;
    // What is the same keeps its revisions: several, where several rows ended together.
    const first = same ? Math.max(0, mark.rev + 1 - items.length) : !mark ? 0 : unsaid ? mark.rev : mark.rev + 1;
    const reason: Reason | null = unsaid || same ? null : mark.gap ? 'LATE' : 'CHANGED';
    items.forEach((item, occurrence) => measured.push({ ...item, rev: first + occurrence, reason }));
    marks.push({ start, rev: first + items.length - 1, hash, gap: false });
  };

  // Rows off the grid (asynchronous captures at power-up or after a set of the clock) keep their own bounds.
  let last: (LoadProfileRow & { end: Millis }) | undefined;
  const irregular = new Map<
    Millis,
    { rows: (LoadProfileRow & { end: Millis })[]; before: LoadProfileRow | undefined }
  >();
  for (const row of stamped) {
    if (row.end % periodMs !== 0 && row.end > from && row.end < to) {
      const start = last && last.end < row.end && row.end - last.end < periodMs ? last.end : later(row.end, -periodMs);
      const together = irregular.get(start);
      if (together) together.rows.push(row);
      else irregular.set(start, { rows: [row], before: start === last?.end ? last : undefined });
    }
    last = row;
  }
  // A clock that was set back begins several of them together: each is said at a revision of its own.
  for (const [start, { rows, before }] of irregular) add(rows, before, start, true);

  const gaps: GapFact[] = [];
  let coveredTo: Millis = from;
  let before: (LoadProfileRow & { end: Millis }) | undefined = slice.newSegment ? undefined : byEnd.get(from)?.at(-1);
  let missingFrom: Millis | undefined;
  for (let end = later(from, periodMs); end <= to; end = later(end, periodMs)) {
    const found = byEnd.get(end);
    if (!found) {
      if (end > slice.openAfter) break;
      missingFrom ??= later(end, -periodMs);
      continue;
    }
    const [first] = found as [LoadProfileRow & { end: Millis }];
    if (missingFrom !== undefined) {
      const proven = gap(missingFrom, later(end, -periodMs), before, first);
      missingFrom = undefined;
      // Across proven darkness the register stood still. Else it ran on, and how much belongs to this interval is not known.
      if (!proven) before = undefined;
    }
    const differing = found.filter(
      (row, i) => i === 0 || !sameValues(valuesOf(row), valuesOf(first)) || row.status !== first.status,
    );
    add(differing, before, later(end, -periodMs), differing.length > 1);
    before = found.at(-1);
    coveredTo = end;
  }
  if (missingFrom !== undefined) {
    const until = Math.min(to, Math.floor(slice.openAfter / periodMs) * periodMs) as Millis;
    gap(missingFrom, until, before, undefined);
    coveredTo = until;
  }
  exceptions.sort(([a], [b]) => a - b);
  return { blocks: blocksOf(slice, measured), gaps, marks, exceptions, unchanged, coveredTo };

  /**
   * Rows that are not there. A row that was read once and is gone from the buffer since stays what it was: nothing that was
   * measured becomes missing, unless the head-end asked for it again.
   */
  function gap(
    start: Millis,
    end: Millis,
    first: LoadProfileRow | undefined,
    second: LoadProfileRow | undefined,
  ): boolean {
    let proven = true;
    for (let at: number = start; at < end; ) {
      const measuredBefore = wasMeasured(at);
      const asked = measuredBefore && known(at)?.again === true;
      const alike = (other: number) =>
        wasMeasured(other) === measuredBefore && (measuredBefore && known(other)?.again === true) === asked;
      let until = at + periodMs;
      while (until < end && alike(until)) until += periodMs;
      // The head-end lost it, and so has the meter: that is an answer, too.
      if (asked) sayGap(at as Millis, until as Millis, 'LOST', undefined, undefined);
      else if (measuredBefore) unchanged.push([at, until]);
      if (measuredBefore) proven = false;
      else {
        const edges = [at === start ? first : undefined, until === end ? second : undefined] as const;
        proven = absent(at as Millis, until as Millis, ...edges) && proven;
      }
      at = until;
    }
    return proven;
  }
  /** Lost as far as the buffer no longer reaches; else dark, or lost with the meter that hung there before, or missing. */
  function absent(
    start: Millis,
    end: Millis,
    first: LoadProfileRow | undefined,
    second: LoadProfileRow | undefined,
  ): boolean {
    const { oldestStamp } = slice;
    // The row that is the oldest ends the first interval that cannot be known.
    const lostTo = oldestStamp === undefined ? start : Math.min(end, Math.floor(oldestStamp / periodMs) * periodMs);
    if (lostTo > start) sayGap(start, lostTo as Millis, 'LOST', first, lostTo === end ? second : undefined);
    const rest = Math.max(start, lostTo) as Millis;
    if (rest >= end) return false;
    const edges = rest > start ? undefined : first;
    const cause = edges !== undefined && second !== undefined && provenByEdges(edges, second) ? 'OUTAGE' : 'MISSING';
    if (cause === 'OUTAGE') {
      sayGap(rest, end, cause, edges, second);
      return true;
    }
    // Intervals that lie wholly in a logged outage are proven zero.
    const { dark = [], swap } = slice;
    const causeAt = (at: number): GapCause => {
      if (provenByLog(dark, at, periodMs)) return 'OUTAGE';
      if (slice.lost?.some(([from, to]) => at >= from && at < to) === true) return 'LOST';
      return swap && at + periodMs <= swap.at ? 'LOST' : cause;
    };
    let allDark = rest === start;
    for (let at: number = rest; at < end; ) {
      const own = causeAt(at);
      let until = at + periodMs;
      while (until < end && causeAt(until) === own) until += periodMs;
      if (own !== 'OUTAGE') allDark = false;
      sayGap(at as Millis, until as Millis, own, at === rest ? edges : undefined, until === end ? second : undefined);
      at = until;
    }
    return allDark;
  }
  function sayGap(
    start: Millis,
    end: Millis,
    cause: GapCause,
    first: LoadProfileRow | undefined,
    second: LoadProfileRow | undefined,
  ): void {
    exceptions.push([start, end, cause]);
    const [left, right] = [edge(first), edge(second)];
    const fact = {
      kind: 'gap',
      ...origin,
      series: slice.series,
      start: iso(start),
      end: iso(end),
      cause,
      before: left,
      after: right,
    } as const;
    const hash = gapHash(fact);
    const starts: number[] = [];
    for (let at: number = start; at < end; at += periodMs) starts.push(at);
    const before = starts.flatMap((at) => known(at) ?? []);
    const same = before.length === starts.length && before.every((mark) => mark.gap && mark.hash === hash);
    if (same && !before.some((mark) => mark.again)) return;
    const earlier = same ? [] : before.filter((mark) => mark.hash !== 0);
    const rev =
      earlier.length > 0
        ? Math.max(...earlier.map((mark) => mark.rev)) + 1
        : Math.max(0, ...before.map((mark) => mark.rev));
    const reason: Reason | undefined =
      earlier.length === 0 ? undefined : earlier.every((mark) => mark.gap) ? 'EDGE_KNOWN' : 'CHANGED';
    for (const at of starts) marks.push({ start: at, rev, hash, gap: true });
    gaps.push({
      ...fact,
      rev,
      ...(reason && { reason }),
      readAt: iso(slice.readAt),
    });
  }
}

/** What the old meter counted until the change, and the new one since; null where one of the registers is not known. */
function across(swap: NonNullable<Slice['swap']>, row: LoadProfileRow): (bigint | null)[] {
  const channels = channelsByKey(row);
  return [...valuesOf(row)].map(([key, raw]) => {
    // What was counted in the interval was counted by one meter or the other.
    if (channels.get(key)?.kind !== 'register') return null;
    const known = [swap.before?.[key], swap.final[key], swap.first[key]].map((one) =>
      one === undefined ? undefined : BigInt(one),
    );
    const [before, final, first] = known;
    if (before === undefined || final === undefined || first === undefined) return null;
    const energy = final - before + (raw - first);
    return final < before || raw < first ? null : energy;
  });
}

/** A step of up to a minute may reach across the boundary before it. */
const clockSetReachMs = 60_000;
/** Registers of double-long-unsigned: what most meters count in. */
const defaultModulus = 1n << 32n;

/** Energy of each channel from one row to the next: null where it is not known. */
function advance(
  before: LoadProfileRow | undefined,
  row: LoadProfileRow,
  modulus: bigint,
): { readonly energy: (bigint | null)[]; readonly backward: boolean; readonly wrapped: boolean } {
  const earlier = before ? registersOf(before) : undefined;
  const channels = channelsByKey(row);
  let backward = false;
  let wrapped = false;
  const energy = [...valuesOf(row)].map(([key, raw]) => {
    const kind = channels.get(key)?.kind;
    if (kind !== 'register') return kind === 'interval' ? raw : null;
    const previous = earlier?.get(key);
    if (previous === undefined) return null;
    if (raw >= previous) return raw - previous;
    if (previous * 10n > modulus * 9n && raw * 10n < modulus && previous < modulus) {
      wrapped = true;
      return raw + modulus - previous;
    }
    backward = true;
    return null;
  });
  return { energy, backward, wrapped };
}

/** Units of the Blue Book that are energy: Wh, varh, VAh. */
const energyUnits: ReadonlySet<number> = new Set([30, 31, 32]);
/** R12: a fifth more than the fuses are rated for. */
function impossible(
  row: LoadProfileRow,
  energy: readonly (bigint | null)[],
  lengthMs: number,
  limitW: number,
): boolean {
  const channels = channelsByKey(row);
  return [...valuesOf(row).keys()].some((key, i) => {
    const { scalerUnit } = channels.get(key) as ProfileChannel;
    const value = energy[i];
    if (value === null || value === undefined || !scalerUnit || !energyUnits.has(scalerUnit.unit)) return false;
    return Number(value) * 10 ** scalerUnit.scaler > (1.2 * limitW * lengthMs) / 3_600_000;
  });
}

/** Joins neighbours of one period and one set of channels. */
function blocksOf(slice: Slice, measured: readonly Measured[]): ProfileFact[] {
  const blocks: ProfileFact[] = [];
  const channelsOf = (item: Measured) => [...valuesOf(item.row).keys()].join();
  for (let at = 0; at < measured.length; ) {
    const first = measured[at] as Measured;
    let next = at + 1;
    for (; next < measured.length; next++) {
      const previous = measured[next - 1] as Measured;
      const item = measured[next] as Measured;
      const follows = item.start === previous.start + previous.periodMs && item.periodMs === previous.periodMs;
      if (!follows || channelsOf(item) !== channelsOf(first)) break;
    }
    const items = measured.slice(at, next);
    const values = items.map((item) => valuesOf(item.row));
    const known = channelsByKey(first.row);
    const channels: Channel[] = [...valuesOf(first.row).keys()].map((obis, channel) => {
      const { scalerUnit, kind, unscaled } = known.get(obis) as ProfileChannel;
      const raw = kind === 'interval' ? undefined : values.map((one) => integerJson(one.get(obis) as bigint));
      return {
        obis,
        unit: scalerUnit ? unitName(scalerUnit.unit) : null,
        scaler: scalerUnit?.scaler ?? null,
        ...(unscaled && { note: 'SCALER_UNKNOWN' }),
        ...(raw && (kind === 'register' ? { register: raw } : { value: raw })),
        ...(kind !== 'value' && {
          energy: items.map((item) => {
            const energy = item.energy[channel];
            return energy === null || energy === undefined ? null : integerJson(energy);
          }),
        }),
      };
    });
    blocks.push({
      kind: 'profile',
      ...slice.origin,
      series: slice.series,
      start: iso(first.start),
      periodS: first.periodMs / 1000,
      count: items.length,
      channels,
      status: items.map((item) => item.row.status),
      quality: items.map((item) => item.quality),
      rev: items.map((item) => item.rev),
      ...(items.some((item) => item.reason !== null) && { reason: items.map((item) => item.reason) }),
      ...(items.some((item) => item.row.besideMs !== undefined) && {
        stampedOffS: items.map(({ row }) => (row.besideMs === undefined ? null : row.besideMs / 1000)),
      }),
      ...(items.some((item) => item.row.doubt) && { clockSays: items.map((item) => item.row.doubt ?? null) }),
      ...(items.some((item) => item.flags.length > 0) && { flags: items.map((item) => item.flags) }),
      readAt: iso(slice.readAt),
      clockDeviationS: slice.clockDeviationMs === undefined ? null : Math.round(slice.clockDeviationMs / 100) / 10,
      clockTrust: slice.clockTrust,
    });
    at = next;
  }
  return blocks;
}
