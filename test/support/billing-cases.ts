/** Facts of a few days of one point, written by hand: for cases that the generated truth does not have. */
import { millis } from '../../src/base/time.ts';
import { addDays, dayOf, midnight } from '../../src/billing/local-time.ts';
import type { PointSeries, SeriesInput } from '../../src/billing/point-series.ts';
import type { Contract, Edit, Point } from '../../src/billing/registry.ts';
import { seriesOf } from '../../src/billing/series.ts';
import type { DeliveredInterval } from '../../src/central/facts.ts';
import type { Message } from '../../src/contract/payloads.ts';
import { obis, series, zone } from './billing-truth.ts';

export const hourMs = 3_600_000;
export const first = '2026-09-01';
export const at = (day: string, hour = 0): number => midnight(day, zone) + hour * hourMs;
export const point = (given: Partial<Point> = {}): Point => ({
  point: 'p-1',
  series,
  zone,
  scaler: 0,
  obis: { import: obis.import },
  periods: [{ from: '2020-01-01', periodS: 3600 }],
  netting: false,
  installations: [],
  ...given,
});
export const contract = (given: Partial<Contract> = {}): Contract => ({
  contract: 'c-1',
  point: 'p-1',
  customer: { name: 'Maija Mäkelä', address: ['Kauppakatu 1'] },
  language: 'fi',
  from: first,
  to: null,
  ...given,
});
let seq = 0;
/** Hours from `start` on; null: the energy is not known. The register goes on by what is known, or as given. */
export function rows(
  start: number,
  energies: readonly (number | null)[],
  given: Partial<Message<'profile'>> & {
    register?: readonly number[];
    export?: readonly number[];
    receivedAt?: number;
  } = {},
): DeliveredInterval {
  const { register, export: fed, receivedAt = start, ...message } = given;
  seq++;
  let sum = 10_000;
  const registers = register ?? energies.map((one) => (sum += one ?? 0));
  const count = energies.length;
  return {
    gateway: 'gw-1',
    epoch: 1,
    seq,
    receivedAt: millis(receivedAt),
    message: {
      v: 1,
      epoch: 1,
      seq,
      gateway: 'gw-1',
      kind: 'profile',
      meter: 'm-1',
      point: 'p-1',
      serial: 's-1',
      series,
      start: new Date(start).toISOString(),
      periodS: 3600,
      count,
      channels: [
        {
          obis: obis.import,
          unit: 'Wh',
          scaler: 0,
          ...(register !== null && { register: [...registers] }),
          energy: [...energies],
        },
        ...(fed ? [{ obis: obis.export, unit: 'Wh', scaler: 0, energy: [...fed] }] : []),
      ],
      status: energies.map(() => 0),
      quality: energies.map(() => 'MEASURED' as const),
      rev: energies.map(() => 0),
      readAt: new Date(start).toISOString(),
      clockDeviationS: 0,
      clockTrust: 'system',
      ...message,
    },
  };
}
/** A month, the same every day, but for the hours of `instead`. */
export function month(
  instead: ReadonlyMap<number, number | null | undefined> = new Map(),
  from = first,
  days = 30,
): DeliveredInterval[] {
  const facts: DeliveredInterval[] = [];
  let register = 50_000;
  for (let start = at(from); start < at(addDays(from, days)); start += hourMs) {
    const given = instead.has(start) ? instead.get(start) : undefined;
    const energy = instead.has(start) ? given : 100 + 10 * new Date(start).getUTCHours();
    register += energy ?? 200;
    if (energy === undefined) continue;
    facts.push(rows(start, [energy], { register: [register] }));
  }
  return facts;
}
export const edit = (given: Partial<Edit> & Pick<Edit, 'start' | 'value'>): Edit => ({
  edit: 'e-1',
  point: 'p-1',
  channel: 'import',
  end: given.start + hourMs,
  who: 'Aino',
  why: 'the customer was away',
  at: given.start + hourMs,
  before: { value: 100, standing: 'estimated' },
  ...given,
});
export function seriesFor(
  given: Partial<SeriesInput> & { readonly facts: readonly DeliveredInterval[]; readonly at: number },
): PointSeries {
  return seriesOf({
    point: point(),
    events: [],
    edits: [],
    from: addDays(first, -1),
    to: addDays(dayOf(given.at, zone), 1),
    ...given,
  });
}
