/** The report by which a site is signed off: gateway, ports, each meter with what was found, and what the central system has of it. Pure. */
import type { SeriesGap } from '../schedule/series-gaps.ts';
import type { MeterRecord } from './meter-record.ts';

/** Whether the central system has the day that was read when the meter was commissioned. */
export interface Delivery {
  readonly state: 'acknowledged' | 'waiting' | 'not read';
  readonly from: string | null;
  readonly to: string | null;
  /** Intervals of that day that it has not acknowledged, and their causes. */
  readonly waiting: number;
  readonly words: string;
}
export interface ReportedGap {
  readonly series: string;
  readonly from: string;
  readonly to: string;
  readonly intervals: number;
  readonly state: string;
}
export interface ReportedMeter {
  readonly record: MeterRecord;
  readonly delivery: Delivery;
  /** null: the gateway did not run when this was made. */
  readonly gaps: readonly ReportedGap[] | null;
}
export interface SiteReport {
  readonly format: 1;
  readonly gateway: { readonly id: string; readonly tenant: string; readonly version: string };
  readonly madeAt: string;
  readonly who: string | null;
  readonly note: string | null;
  /** `final`: all meters are good, and the central system has acknowledged the first day of each. */
  readonly state: 'pending' | 'final';
  /** Why it is not final. */
  readonly open: readonly string[];
  readonly ports: readonly { readonly name: string; readonly device: string; readonly baud: number }[];
  readonly meters: readonly ReportedMeter[];
}

/** What the running gateway knows of its meters; undefined where none runs. */
export interface Running {
  readonly meters: readonly string[];
  readonly gaps: readonly SeriesGap[];
}
/** Newest runs of a meter that stand in the report; all of them are counted. */
const maxGaps = 50;

const undelivered = new Set(['PENDING', 'UNACKNOWLEDGED']);
export function deliveryOf({ meter, steps }: MeterRecord, running: Running | undefined): Delivery {
  const { from = null, to = null } = steps.day ?? {};
  if (from === null || to === null) return { state: 'not read', from, to, waiting: 0, words: 'no day was read of it' };
  const not = (words: string, waiting = 0): Delivery => ({ state: 'waiting', from, to, waiting, words });
  if (!running) return not('the gateway does not run: nothing was delivered yet');
  if (!running.meters.includes(meter)) return not('the running gateway does not have it yet: meter-gateway reload');
  const overlapping = running.gaps.filter(
    (gap) => gap.meter === meter && undelivered.has(gap.state) && gap.from < to && gap.to > from,
  );
  const clipped = overlapping.map((gap) => {
    const begin = Math.max(Date.parse(gap.from), Date.parse(from));
    const end = Math.min(Date.parse(gap.to), Date.parse(to));
    return Math.max(0, Math.round((end - begin) / (gap.periodS * 1000)));
  });
  const waiting = clipped.reduce((sum, one) => sum + one, 0);
  if (waiting === 0) return { state: 'acknowledged', from, to, waiting, words: 'the central system has its first day' };
  const unread = overlapping.some(({ state }) => state === 'PENDING');
  return not(
    `${waiting} intervals of its first day are ${unread ? 'not read by the gateway yet' : 'not acknowledged by the central system yet'}`,
    waiting,
  );
}

const gapsOf = (meter: string, { gaps }: Running): ReportedGap[] =>
  gaps
    .filter((gap) => gap.meter === meter)
    .slice(-maxGaps)
    .map(({ series, from, to, intervals, state }) => ({ series, from, to, intervals, state }));

export function reportOf(
  records: readonly MeterRecord[],
  running: Running | undefined,
  about: Pick<SiteReport, 'gateway' | 'madeAt' | 'who' | 'note'>,
): SiteReport {
  const meters = records.map(
    (record): ReportedMeter => ({
      record,
      delivery: deliveryOf(record, running),
      gaps: running ? gapsOf(record.meter, running) : null,
    }),
  );
  const open = meters.flatMap(({ record, delivery }) => {
    const { meter, serial, result, findings } = record;
    const faults = findings.filter(({ severity }) => severity === 'fault').map(({ kind }) => kind);
    if (result !== 'good') return [`${meter} (${serial}): ${faults.join(', ') || 'not commissioned to its end'}`];
    return delivery.state === 'acknowledged' ? [] : [`${meter} (${serial}): ${delivery.words}`];
  });
  const ports = new Map(records.map(({ port, device, baud }) => [port, { name: port, device, baud }]));
  return {
    format: 1,
    ...about,
    state: open.length === 0 && meters.length > 0 ? 'final' : 'pending',
    open: meters.length === 0 ? ['no meter was commissioned here'] : open,
    ports: [...ports.values()],
    meters,
  };
}
