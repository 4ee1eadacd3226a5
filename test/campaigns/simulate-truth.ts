/** What must hold in a simulation at any moment, and what was delivered compared with the truth of the meters. */
import { iso, millis } from '../../src/base/time.ts';
import { judge } from '../../src/central/arrival.ts';
import type { DeliveredInterval } from '../../src/central/facts.ts';
import { judgeAccount } from '../../src/central/manifest.ts';
import { verifyManifest, valueKey } from '../support/memory-central.ts';
import { registerModulus } from '../../src/simulator/load-curve.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import type { VirtualHouse } from '../support/virtual-house.ts';

const hour = 3_600_000;
export interface SimulationResult {
  readonly intervals: number;
  readonly states: Readonly<Record<string, number>>;
  readonly happened: Readonly<Record<string, number>>;
  readonly messages: number;
  readonly differences: readonly string[];
}

export const series = '1-0:99.1.0*255';
export const channels = ['1-0:1.8.0*255', '1-0:2.8.0*255'] as const;
/** Of the configuration. */
const maxWindow = 16;
/** Of the house's store; damage begins later ones. */
const firstEpoch = 1;
/** Of the twin of the house nobody sleeps but its own rooms and what the broker delivers late. */
const maxSleepers = 60;

/** What does not hold in the house now. */
export async function broken(it: VirtualHouse, thorough: boolean): Promise<string[]> {
  const { ingest, broker, store, clock } = it;
  const found: string[] = [];
  const [received] = ingest.received.values();
  if (ingest.counters.conflicts > 0) found.push(`a key with two values at one revision: ${ingest.conflicts[0]}`);
  if (ingest.counters.unfit > 0) found.push(`outside of the contract: ${[...ingest.unfit.keys()][0]}`);
  // What the gateway takes for acknowledged may be deleted; the head-end must have it.
  if (received?.epoch === store.epoch && store.acknowledged > received.upTo)
    found.push(`acknowledged up to ${store.acknowledged}, the head-end has ${received.upTo}`);
  if (it.reused[0] !== undefined) found.push(it.reused[0]);
  if (broker.twoMeanings[0] !== undefined) found.push(`number ${broker.twoMeanings[0]} came with two meanings`);
  if (broker.maxInFlight > maxWindow) found.push(`${broker.maxInFlight} messages without PUBACK`);
  if (!broker.lies && clock.sleeping > maxSleepers) found.push(`${clock.sleeping} wait for the clock`);
  if (!thorough) return found;
  // Of every interval something was said, or is on its way, or is known to be missing.
  const open = new Map<string, (readonly [from: number, to: number])[]>();
  for (const { meter, from, to } of await it.house.gaps())
    open.set(meter, [...(open.get(meter) ?? []), [Date.parse(from), Date.parse(to)]]);
  for (const { settings } of it.simulated.meters.slice(0, it.configured)) {
    const id = `m${settings.serial}`;
    const period = settings.periodS * 1000;
    const published = ingest.intervals.get(`${id}|${series}`);
    const last = Math.floor((Math.min(clock.wall(), clock.now()) - 3 * hour) / period) * period;
    for (let at = it.since as number; at + period <= last; at += period)
      if (!published?.has(at) && !open.get(id)?.some(([from, to]) => from <= at && at < to)) {
        found.push(`${id} ${iso(millis(at))}: neither said nor said to be missing`);
        break;
      }
  }
  return found;
}

const supersedes = (
  gap: { readonly epoch: number; readonly rev: number } | undefined,
  value: { readonly epoch: number; readonly rev: number },
): boolean => gap !== undefined && gap.epoch === value.epoch && gap.rev > value.rev;
type Final = { readonly rev: number; readonly value?: readonly [number, number]; readonly cause?: string };

/** A metering point: its meter, and the one that replaced it. */
export interface Point {
  readonly meter: VirtualMeter;
  /** Starts of intervals that may be missing although there was a row. */
  readonly excused: ReadonlySet<number>;
  readonly fresh?: VirtualMeter;
  readonly takenDown?: number;
  readonly installed?: number;
}
interface Truth {
  readonly registers: readonly [number, number];
  readonly by: VirtualMeter;
}

export async function compared(
  it: VirtualHouse,
  points: readonly Point[],
  harsh: boolean,
): Promise<Omit<SimulationResult, 'happened'>> {
  const differences: string[] = [];
  const states: Record<string, number> = {};
  let intervals = 0;
  const wrong = (text: string) => differences.push(text);
  const { ingest, since, clock } = it;
  if (ingest.counters.conflicts > 0) wrong(`${ingest.counters.conflicts} keys with two values: ${ingest.conflicts[0]}`);
  if (ingest.counters.unfit > 0)
    wrong(`${ingest.counters.unfit} payloads outside of the contract: ${[...ingest.unfit.keys()][0]}`);
  for (const { meter, fresh, takenDown = Number.MAX_SAFE_INTEGER, installed = 0, excused } of points) {
    const { settings } = meter;
    const id = `m${settings.serial}`;
    const period = settings.periodS * 1000;
    const last = Math.floor((clock.wall() - 3 * hour) / period) * period;
    const truth = new Map<number, Truth>();
    for (const { end, registers } of meter.truth(since, millis(last))) truth.set(end, { registers, by: meter });
    for (const { end, registers } of fresh?.truth(millis(installed), millis(last)) ?? [])
      truth.set(end, { registers, by: fresh as VirtualMeter });
    /** Dark all along by the log of a meter that hung there. */
    const isDark = (at: number): boolean =>
      [meter, fresh].some((one) => {
        const [first, second] = [at, at + period].map((stamp) => one?.instantsOf(millis(stamp)).at(-1));
        if (!one || first === undefined || second === undefined) return false;
        if (one === meter ? second > takenDown : first < installed) return false;
        return one.settings.dark.some(({ from, to }) => first >= from && second <= to);
      });
    const gaps = new Map<number, { epoch: number; rev: number; cause: string }>();
    for (const gap of ingest.gaps) {
      if (gap.kind !== 'gap' || gap.meter !== id) continue;
      for (let at = Date.parse(gap.start); at < Date.parse(gap.end); at += period)
        if (gap.rev >= (gaps.get(at)?.rev ?? 0)) gaps.set(at, { epoch: gap.epoch, rev: gap.rev, cause: gap.cause });
    }
    const final = (at: number): Final | undefined => {
      const [one, two] = channels.map((obis) => ingest.values.get(valueKey(id, series, obis, at)));
      const gap = gaps.get(at);
      // A gap takes nothing away that was measured; within an epoch it is not even said of such an interval.
      // After the change of capture objects only the first channel is there.
      if (one && (two || at + period > meter.wipedAt) && !supersedes(gap, one))
        return { rev: one.rev, value: [Number(one.register), two ? Number(two.register) : -1], cause: one.quality };
      return gap;
    };
    let sum = 0;
    let sumFrom: number | undefined;
    for (let at = since as number; at + period <= last; at += period) {
      intervals++;
      const delivered = final(at);
      const row = truth.get(at + period);
      const where = `${id} ${iso(millis(at))}`;
      const gone = delivered?.value === undefined && row !== undefined && excused.has(at);
      const state = delivered
        ? `${delivered.cause ?? ''}${gone ? ' (went with its meter or buffer)' : ''}`
        : 'NOT DELIVERED';
      states[state] = (states[state] ?? 0) + 1;
      const energy = ingest.values.get(valueKey(id, series, channels[0], at))?.energy;
      if (delivered?.value && energy !== null && energy !== undefined) sum += Number(energy);
      else if (delivered?.cause !== 'OUTAGE') {
        sumFrom = undefined;
        sum = 0;
      }
      if (delivered?.value) {
        // From boundary register to register, the energies add up to the unit.
        const changed = at <= installed && installed < at + period;
        if (changed && energy !== null && energy !== undefined) {
          // Both parts of the interval in which the meter was replaced.
          const expected = across(meter, fresh as VirtualMeter, at, takenDown, installed, delivered.value[0], truth);
          if (Number(energy) !== expected) wrong(`${where}: ${energy} across the change of the meter, not ${expected}`);
        }
        if (sumFrom === undefined || energy === null || energy === undefined || changed) {
          sumFrom = delivered.value[0];
          sum = 0;
        } else if ((sumFrom + sum) % registerModulus !== delivered.value[0])
          wrong(`${where}: energies add up to ${sumFrom + sum}, the register says ${delivered.value[0]}`);
      }
      if (!delivered)
        wrong(`${where}: nothing was delivered; ${row ? `the row has ${row.registers[0]}` : 'there was no row'}`);
      else if (row) {
        const [imported, exported] = row.registers;
        if (delivered.value) {
          if (delivered.value[0] !== imported || (delivered.value[1] !== -1 && delivered.value[1] !== exported))
            wrong(`${where}: ${delivered.value.join()} delivered, ${row.registers.join()} in the meter`);
          else if (delivered.value[1] !== -1 && at + period > meter.wipedAt && meter.wipedAt > 0)
            wrong(`${where}: a channel that the meter no longer captures`);
        } else if (excused.has(at) && delivered.cause !== 'OUTAGE') continue;
        else if (delivered.cause !== 'LOST') wrong(`${where}: ${delivered.cause} delivered, the row has ${imported}`);
        // Read in time, and lost with the store before it was delivered, after its meter was taken down.
        else if (harsh && fresh && row.by === meter && (gaps.get(at)?.epoch ?? 0) > firstEpoch) continue;
        else if (row.by.settings.depthDays > 30) wrong(`${where}: LOST, and the meter still has it`);
      } else {
        const dark = isDark(at);
        if (delivered.value) wrong(`${where}: ${delivered.value.join()} delivered, there was no row`);
        else if (dark && delivered.cause !== 'OUTAGE' && delivered.cause !== 'LOST' && !excused.has(at))
          wrong(`${where}: ${delivered.cause} delivered, it was dark`);
        else if (!dark && delivered.cause === 'OUTAGE') wrong(`${where}: OUTAGE delivered, it was not dark`);
      }
    }
  }
  const bySeries = intervalsPublished(it);
  for (const manifest of ingest.manifests) {
    const bad = verifyManifest(ingest, manifest);
    if (bad.length > 0) wrong(`manifest of ${manifest.day}: ${bad.join(' ')} do not come out of what was received`);
    for (const account of manifest.series) {
      const { meter, expected, measured, uncertain, outage, missing, lost, pending } = account;
      if (measured + uncertain + outage + missing + lost + pending !== expected)
        wrong(`manifest of ${manifest.day}: ${meter} does not add up to ${expected}`);
      const verdict = judgeAccount(manifest, account, bySeries.get(`${meter}|${account.series}`) ?? []);
      if (verdict !== 'verified') wrong(`manifest of ${manifest.day}: ${meter} is ${verdict} at the central system`);
    }
  }
  const { store } = await it.house.snapshot();
  if (store.pending > 0) wrong(`${store.pending} messages are not acknowledged`);
  if (!harsh && store.damage.quarantined + store.damage.missing > 0) wrong('the store was damaged');
  return { intervals, states, messages: it.broker.published.length, differences };
}

/** As the central system reads them, by meter and series. */
function intervalsPublished({ broker }: VirtualHouse): Map<string, DeliveredInterval[]> {
  const all = broker.published.flatMap(({ topic, payload }): DeliveredInterval[] => {
    const arrival = judge(topic, Buffer.from(payload));
    if (arrival?.kind !== 'fact') return [];
    const { message } = arrival;
    const { gateway, epoch, seq } = message;
    const where = { gateway, epoch, seq, receivedAt: millis(0) };
    if (message.kind === 'profile') return [{ ...where, message }];
    return message.kind === 'gap' ? [{ ...where, message }] : [];
  });
  return Map.groupBy(all, ({ message }) => `${message.meter}|${message.series}`);
}

/** What the old meter counted from its last boundary on, and the new one up to its first. */
function across(
  old: VirtualMeter,
  fresh: VirtualMeter,
  at: number,
  takenDown: number,
  installed: number,
  newest: number,
  truth: ReadonlyMap<number, Truth>,
): number | string {
  const before = truth.get(at);
  if (!before || before.by !== old) return 'known: the old meter has no row at its beginning';
  const final = old.registers(millis(takenDown))[0];
  const first = fresh.registers(millis(installed))[0];
  return final - before.registers[0] + newest - first;
}
