/** A point as it stands now, out of the store and the books. */
import { Failure } from '../base/errors.ts';
import type { Bill } from '../billing/bill.ts';
import { addDays, type Day, dayOf, midnight } from '../billing/local-time.ts';
import { historyDays } from '../billing/like-days.ts';
import type { PointSeries } from '../billing/point-series.ts';
import type { Contract, Point } from '../billing/registry.ts';
import { seriesOf } from '../billing/series.ts';
import { eventFacts, intervalFacts } from '../central/read-store.ts';
import type { Engine } from '../central/sql.ts';
import { readBills } from './bills.ts';
import { historyOf, readRegistry, type Registry } from './books.ts';
import { readEdits } from './decisions.ts';

export interface Office {
  readonly engine: Engine;
  readonly books: string;
  /** Now. */
  readonly at: number;
  /** What stands in the books, read once: of thousands of contracts each looks into it. */
  readonly registry: () => Register;
}
/** By their names. */
interface Register {
  readonly points: ReadonlyMap<string, Point>;
  readonly contracts: ReadonlyMap<string, Contract>;
  readonly contractsOf: ReadonlyMap<string, readonly Contract[]>;
}
const byName = ({ points, contracts }: Registry): Register => ({
  points: new Map(points.map((one) => [one.point, one])),
  contracts: new Map(contracts.map((one) => [one.contract, one])),
  contractsOf: Map.groupBy(contracts, ({ point }) => point),
});
export function officeAt(engine: Engine, books: string, at: number): Office {
  let registry: Register | undefined;
  return { engine, books, at, registry: () => (registry ??= byName(readRegistry(books))) };
}
/** Days of the series, and its point, as they stand at `at`. */
export async function seriesNow(office: Office, point: Point, from: Day, to: Day): Promise<PointSeries> {
  const { engine, books, at, registry } = office;
  const span = {
    from: midnight(addDays(from, -historyDays - 1), point.zone),
    to: midnight(to, point.zone),
  };
  const facts = await intervalFacts(engine, { point: point.point, series: point.series }, span);
  return seriesOf({
    point,
    facts: facts.filter(({ receivedAt }) => receivedAt <= at),
    events: (await eventFacts(engine, point.point)).filter(({ receivedAt }) => receivedAt <= at),
    edits: await readEdits(engine, point.point),
    imported: historyOf(books, point)?.series ?? [],
    from,
    to,
    at,
    customersFrom: (registry().contractsOf.get(point.point) ?? []).map((one) => one.from),
  });
}
export function pointOf(office: Office, name: string): Point {
  const point = office.registry().points.get(name);
  if (!point) throw new Failure('bad-argument', `${office.books}: the registry has no point ${JSON.stringify(name)}`);
  return point;
}
export interface ContractNow {
  readonly contract: Contract;
  readonly point: Point;
  readonly bills: readonly Bill[];
  readonly series: PointSeries;
}
/** From the first day of the contract, and a month before it, for a gap may have begun there. */
export async function contractNow(office: Office, name: string): Promise<ContractNow> {
  const contract = office.registry().contracts.get(name);
  if (!contract)
    throw new Failure('bad-argument', `${office.books}: the registry has no contract ${JSON.stringify(name)}`);
  const point = pointOf(office, contract.point);
  const bills = await readBills(office.engine, name);
  const first = bills[0]?.period.from ?? contract.from;
  const begin = addDays(first < contract.from ? first : contract.from, -31);
  const today = addDays(dayOf(office.at, point.zone), 1);
  const end =
    contract.to === null || contract.to > today
      ? today
      : addDays(contract.to, 31) < today
        ? addDays(contract.to, 31)
        : today;
  const series = await seriesNow(office, point, begin, end > begin ? end : addDays(begin, 1));
  return { contract, point, bills, series };
}
