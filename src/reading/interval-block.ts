/**
 * From rows to interval blocks and gaps. Given the rows whose stamps lie in [from, to], every interval of the grid in
 * between is accounted for exactly once: in a block, in a gap, or left open for the next poll.
 */
import { iso, later, type Millis } from '../base/time.ts';
import type { Channel, GapFact, Integer, Origin, ProfileFact } from './facts.ts';
import { integerJson } from './facts.ts';
import type { LoadProfileRow } from './load-profile-row.ts';
import { gapCause, type Quality, rowQuality, statusBit } from './quality.ts';
import { unitName } from './unit.ts';

export interface Slice {
  readonly origin: Origin;
  readonly series: string;
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
}
export interface Accounted {
  readonly blocks: readonly ProfileFact[];
  readonly gaps: readonly GapFact[];
  /** [from, coveredTo) is accounted for. */
  readonly coveredTo: Millis;
}

interface Measured {
  readonly start: Millis;
  readonly periodMs: number;
  readonly row: LoadProfileRow;
  readonly energy: readonly (bigint | null)[];
  readonly quality: Quality;
  readonly rev: number;
}

/** Channels of a row: values that are integers, by OBIS code. */
function registersOf(row: LoadProfileRow): Map<string, bigint> {
  const registers = new Map<string, bigint>();
  row.channels.forEach(({ key }, i) => {
    const cell = row.cells[i];
    if (typeof cell === 'number' || typeof cell === 'bigint') registers.set(key, BigInt(cell));
  });
  return registers;
}
const edge = (row: LoadProfileRow | undefined): Record<string, Integer> | null =>
  row ? Object.fromEntries([...registersOf(row)].map(([key, raw]) => [key, integerJson(raw)])) : null;

export function accountFor(slice: Slice): Accounted {
  const { origin, from, to, periodMs } = slice;
  const stamped = slice.rows.filter((row): row is LoadProfileRow & { end: Millis } => row.end !== null);
  const byEnd = new Map<number, (LoadProfileRow & { end: Millis })[]>();
  for (const row of stamped) byEnd.set(row.end, [...(byEnd.get(row.end) ?? []), row]);

  const measured: Measured[] = [];
  const add = (
    row: LoadProfileRow & { end: Millis },
    before: LoadProfileRow | undefined,
    start: Millis,
    irregular: boolean,
    rev: number,
  ) => {
    const earlier = before ? registersOf(before) : undefined;
    let backward = false;
    const energy = [...registersOf(row)].map(([key, raw]) => {
      const previous = earlier?.get(key);
      if (previous === undefined) return null;
      if (raw < previous) {
        backward = true;
        return null;
      }
      return raw - previous;
    });
    measured.push({
      start,
      periodMs: row.end - start,
      row,
      energy,
      quality: rowQuality(row.status, { irregular, backward }),
      rev,
    });
  };

  // Rows off the grid (asynchronous captures at power-up or after a set of the clock) keep their own bounds.
  let last: (LoadProfileRow & { end: Millis }) | undefined;
  for (const row of stamped) {
    if (row.end % periodMs !== 0 && row.end > from && row.end < to) {
      const start = last && last.end < row.end && row.end - last.end < periodMs ? last.end : later(row.end, -periodMs);
      add(row, start === last?.end ? last : undefined, start, true, 0);
    }
    last = row;
  }

  const gaps: GapFact[] = [];
  let coveredTo: Millis = from;
  let before: (LoadProfileRow & { end: Millis }) | undefined = byEnd.get(from)?.at(-1);
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
      gaps.push(gapFact(slice, missingFrom, later(end, -periodMs), before, first));
      missingFrom = undefined;
      // The register ran on, but how much of it belongs to this interval is not known.
      before = before && registersEqual(before, first) && darkEdges(before, first) ? before : undefined;
    }
    const differing = found.filter((row, i) => i === 0 || !registersEqual(row, first) || row.status !== first.status);
    differing.forEach((row, rev) => add(row, before, later(end, -periodMs), differing.length > 1, rev));
    before = found.at(-1);
    coveredTo = end;
  }
  if (missingFrom !== undefined) {
    const until = Math.min(to, Math.floor(slice.openAfter / periodMs) * periodMs) as Millis;
    gaps.push(gapFact(slice, missingFrom, until, before, undefined));
    coveredTo = until;
  }
  return { blocks: blocksOf(slice, measured), gaps, coveredTo };

  function gapFact(
    of: Slice,
    start: Millis,
    end: Millis,
    first: LoadProfileRow | undefined,
    second: LoadProfileRow | undefined,
  ): GapFact {
    const equal = first !== undefined && second !== undefined && registersEqual(first, second);
    return {
      kind: 'gap',
      ...origin,
      series: of.series,
      start: iso(start),
      end: iso(end),
      cause: gapCause({
        powerDown: first !== undefined && second !== undefined && darkEdges(first, second),
        registersEqual: equal,
      }),
      before: edge(first),
      after: edge(second),
      rev: 0,
      readAt: iso(of.readAt),
    };
  }
}

const hasPowerDown = (row: LoadProfileRow): boolean => ((row.status ?? 0) & statusBit.PDN) !== 0;
const darkEdges = (first: LoadProfileRow, second: LoadProfileRow): boolean =>
  hasPowerDown(first) || hasPowerDown(second);
function registersEqual(first: LoadProfileRow, second: LoadProfileRow): boolean {
  const a = registersOf(first);
  const b = registersOf(second);
  return a.size === b.size && [...a].every(([key, raw]) => b.get(key) === raw);
}

/** Joins neighbours of one period and one set of channels. */
function blocksOf(slice: Slice, measured: readonly Measured[]): ProfileFact[] {
  const blocks: ProfileFact[] = [];
  const channelsOf = (item: Measured) => [...registersOf(item.row).keys()].join();
  for (let at = 0; at < measured.length; ) {
    const first = measured[at] as Measured;
    let next = at + 1;
    for (; next < measured.length; next++) {
      const previous = measured[next - 1] as Measured;
      const item = measured[next] as Measured;
      const follows =
        item.start === previous.start + previous.periodMs && item.periodMs === previous.periodMs && item.rev === 0;
      if (!follows || first.rev !== 0 || channelsOf(item) !== channelsOf(first)) break;
    }
    const items = measured.slice(at, next);
    const channels: Channel[] = [...registersOf(first.row).keys()].map((obis, channel) => {
      const scalerUnit = first.row.channels.find(({ key }) => key === obis)?.scalerUnit;
      return {
        obis,
        unit: scalerUnit ? unitName(scalerUnit.unit) : null,
        scaler: scalerUnit?.scaler ?? null,
        register: items.map((item) => integerJson(registersOf(item.row).get(obis) as bigint)),
        energy: items.map((item) => {
          const energy = item.energy[channel];
          return energy === null || energy === undefined ? null : integerJson(energy);
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
      readAt: iso(slice.readAt),
      clockDeviationS: slice.clockDeviationMs === undefined ? null : Math.round(slice.clockDeviationMs / 100) / 10,
      clockTrust: slice.clockTrust,
    });
    at = next;
  }
  return blocks;
}
