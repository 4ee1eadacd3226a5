/**
 * The statement beside a bill: registers, the swap of a meter, hours by what they stand by, and in one sentence why the
 * display of the meter says something else than the bill. The bill itself shows consumption only.
 */
import { type Bill, columnsOf, type Hours, hoursOf } from './bill.ts';
import { gridOf, midnight } from './local-time.ts';
import { advanceBetween, type Anchor, anchorAt } from './merge.ts';
import type { PointSeries } from './point-series.ts';
import { installedIn, type Point } from './registry.ts';

/** What the customer read off the display, and when. kWh as it stands there. */
export interface Look {
  readonly at: number;
  readonly kWh: number;
}
export interface MeterPart {
  readonly serial: string;
  readonly from: number;
  readonly to: number;
  /** Registers in units of the point; null where nobody knows them. */
  readonly first: number | null;
  readonly last: number | null;
}
/** True parts of a difference, in units of the point. */
export interface Difference {
  /** Consumption of the series less what the registers advanced. */
  readonly difference: number;
  readonly intervals: number;
  /** N·q_i/2 + q_r (R02): so much may come of rounding. */
  readonly rounding: number;
  /** What the display does not show after its last digit. */
  readonly display: number;
  /** Set against each other within the interval: neither register counts that. */
  readonly netted: number;
}
export interface LookDifference {
  readonly at: number;
  /** The register that we have nearest before, and its time. */
  readonly register: Anchor | null;
  /** The display less that register, in units of the point. */
  readonly difference: number | null;
  /** What was used in the interval in which the customer looked. */
  readonly interval: number | null;
}
export interface Statement {
  readonly bill: string;
  readonly digest: string;
  readonly meters: readonly MeterPart[];
  readonly hours: Hours;
  readonly consumption: number;
  readonly advance: number | null;
  readonly parts: Difference | null;
  readonly look: LookDifference | null;
}

/** The last register of a meter in [from, to]. */
function lastAnchor(series: PointSeries, point: Point, serial: string, from: number, to: number): Anchor | undefined {
  const anchors = series.merged.channels.import?.anchors;
  if (!anchors) return undefined;
  const { intervals } = series.grid;
  for (let i = intervals.length - 1; i >= 0; i--) {
    const end = intervals[i]?.end ?? 0;
    if (end > to) continue;
    if (end < from) break;
    const found = anchors(end).find((one) => one.serial === serial);
    if (found) return found;
  }
  return undefined;
}
function metersOf(bill: Bill, series: PointSeries, point: Point): MeterPart[] {
  const [from, to] = [midnight(bill.period.from, bill.zone), midnight(bill.period.to, bill.zone)];
  const anchors = series.merged.channels.import?.anchors ?? (() => []);
  const serials =
    point.installations.length > 0
      ? installedIn(point.installations, from, to)
      : [...new Set([from, to].flatMap((at) => anchors(at).map(({ serial }) => serial)))].map((serial) => ({
          serial,
          from: 0,
          to: null,
          first: undefined,
          final: undefined,
        }));
  return serials.map((meter) => {
    const [begin, end] = [Math.max(from, meter.from), Math.min(to, meter.to ?? to)];
    const at = (when: number) => anchors(when).find(({ serial }) => serial === meter.serial)?.register;
    const first = begin === meter.from ? (meter.first?.import ?? at(begin)) : at(begin);
    const last = meter.to !== null && end === meter.to ? (meter.final?.import ?? at(end)) : at(end);
    return { serial: meter.serial, from: begin, to: end, first: first ?? null, last: last ?? null };
  });
}

export function statementOf(bill: Bill, series: PointSeries, point: Point, look?: Look): Statement {
  const { zone, period, periods } = bill;
  const grid = gridOf(periods, zone, period.from, period.to);
  const columns = columnsOf(bill);
  const [from, to] = [midnight(period.from, zone), midnight(period.to, zone)];
  const sum = (values: readonly number[] | undefined) => (values ?? []).reduce((a, b) => a + b, 0);
  const consumption = sum(columns.quantities.consumption);
  const anchors = series.merged.channels.import?.anchors;
  const [first, last] = anchors
    ? [anchorAt(anchors, from, 'after', point), anchorAt(anchors, to, 'before', point)]
    : [undefined, undefined];
  const advance = (first && last && advanceBetween(first, last, 'import', point)) ?? null;
  const netted = sum(bill.series.import?.energy) - consumption;
  const parts =
    advance === null
      ? null
      : {
          difference: consumption - advance,
          intervals: grid.intervals.length,
          rounding: grid.intervals.length / 2 + 1,
          display: 1000 / 10 ** (point.scaler + (point.displayDecimals ?? 0)),
          netted,
        };
  return {
    bill: bill.bill,
    digest: bill.digest,
    meters: metersOf(bill, series, point),
    hours: hoursOf(
      columns.standing.consumption ?? [],
      grid.intervals.map(({ start, end }) => end - start),
    ),
    consumption,
    advance,
    parts,
    look: look === undefined ? null : lookOf(look, series, point),
  };
}
function lookOf({ at, kWh }: Look, series: PointSeries, point: Point): LookDifference {
  const [meter] = installedIn(point.installations, at, at + 1);
  const anchors = series.merged.channels.import?.anchors;
  const here = series.grid.intervals.findLast(({ start }) => start <= at);
  const serial = meter?.serial ?? (here && anchors?.(here.start)[0]?.serial);
  const register = serial === undefined ? undefined : lastAnchor(series, point, serial, 0, at);
  const shown = (kWh * 1000) / 10 ** point.scaler;
  const index = series.grid.intervals.findIndex(({ start, end }) => start <= at && at < end);
  return {
    at,
    register: register ?? null,
    difference: register ? Math.round(shown - register.register) : null,
    interval: series.channels.import?.[index]?.energy ?? null,
  };
}
