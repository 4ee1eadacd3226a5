/**
 * A house for weeks in virtual time, with everything that happens to meters, lines, gateway and head-end, all from one
 * seed. At the end every meter-interval that was delivered is compared with the truth of the simulated meters.
 */
import { dayMs, iso, millis } from '../src/base/time.ts';
import { verifyManifest, valueKey } from '../src/central/ingest.ts';
import { seeded, type Random } from '../src/simulator/random.ts';
import type { ScenarioInput } from '../src/simulator/scenario.ts';
import { virtualHouse, type VirtualHouse } from './virtual-house.ts';

const hour = 3_600_000;
const series = '1-0:99.1.0*255';
const channels = ['1-0:1.8.0*255', '1-0:2.8.0*255'] as const;
export interface SimulationSettings {
  readonly seed: number;
  readonly days: number;
  readonly meters: number;
  readonly progress?: (day: number) => void;
  /** Sees the house at the end, for whoever looks into a difference. */
  readonly inspect?: (it: VirtualHouse) => void;
}
export interface SimulationResult {
  readonly intervals: number;
  readonly states: Readonly<Record<string, number>>;
  readonly happened: Readonly<Record<string, number>>;
  readonly messages: number;
  readonly differences: readonly string[];
}

interface Planned {
  readonly at: number;
  readonly act: (it: VirtualHouse) => Promise<void> | void;
}

/** Times of a Poisson process in [from, to). */
function times(random: Random, from: number, to: number, everyMs: number): number[] {
  const found: number[] = [];
  for (let at = from - Math.log(1 - random()) * everyMs; at < to; at -= Math.log(1 - random()) * everyMs)
    found.push(at);
  return found;
}
const seconds = (ms: number): number => Math.round(ms / 1000);

/** Nobody sets the clock of a meter without power, nor does its switch answer. */
const powered = (it: VirtualHouse, index: number) => {
  const meter = it.simulated.meters[index];
  return meter?.powered(it.clock.now()) ? meter : undefined;
};

/** What will happen: faults of meters and line for the scenario, and acts of people and power. */
function fate(random: Random, days: number, meters: number) {
  const faults: NonNullable<ScenarioInput['fault']> = [];
  const own: NonNullable<ScenarioInput['meter']> = [];
  const planned: Planned[] = [];
  const happened: Record<string, number> = {};
  const count = (what: string) => (happened[what] = (happened[what] ?? 0) + 1);
  // The last day is quiet, so that what is under way comes to its end.
  const end = (days - 1) * dayMs;
  for (let meter = 0; meter < meters; meter++) {
    const short = random() < 0.1;
    own.push({
      index: meter,
      period_s: random() < 0.2 ? 900 : 3600,
      clock_offset_s: Math.round((random() - 0.5) * 12),
      drift_ppm: Math.round((random() - 0.5) * 40),
      depth_days: short ? 6 : 60,
      ...(random() < 0.2 && { quirks: ['lifo' as const] }),
      ...(random() < 0.15 && { dst: true }),
    });
    let darkUntil = 0;
    for (const at of times(random, hour, end, 15 * dayMs)) {
      const length =
        random() < 0.5
          ? 120_000 + random() * 50 * 60_000
          : random() < 0.7
            ? hour + random() * 9 * hour
            : dayMs + random() * 3 * dayMs;
      if (at < darkUntil + 2 * hour || at + length > end) continue;
      darkUntil = at + length;
      faults.push({ kind: 'power-cut', meter, from_s: seconds(at), to_s: seconds(darkUntil) });
      count('mains off');
    }
    for (const at of times(random, hour, end, 30 * dayMs)) {
      const length = random() < 0.7 ? 10 * 60_000 + random() * 6 * hour : dayMs + random() * 8 * dayMs;
      if (at + length > end) continue;
      faults.push({ kind: 'silence', meter, from_s: seconds(at), to_s: seconds(at + length) });
      count('meter silent on the line');
    }
    if (random() < 0.2) {
      const at = random() * (end - dayMs);
      faults.push({
        kind: 'flip',
        meter,
        rate: 0.0003 + random() * 0.002,
        from_s: seconds(at),
        to_s: seconds(at + random() * dayMs),
      });
      count('damaging line');
    }
    for (const at of times(random, hour, end, 40 * dayMs)) {
      planned.push({ at, act: (it) => powered(it, meter)?.pressButton(it.clock.now()) });
      count('switch pressed');
    }
    for (const at of times(random, hour, end, 40 * dayMs)) {
      const by = (random() < 0.5 ? 1 : -1) * (random() < 0.6 ? 5000 + random() * 50_000 : 120_000 + random() * 600_000);
      planned.push({ at, act: (it) => powered(it, meter)?.moveClock(it.clock.now(), Math.round(by)) });
      count('clock moved by hand');
    }
  }
  for (const at of times(random, hour, end, 20 * dayMs)) {
    const length = 30 * 60_000 + random() * 12 * hour;
    if (at + length > end) continue;
    faults.push({ kind: 'silence', from_s: seconds(at), to_s: seconds(at + length) });
    count('bus silent');
  }
  for (const at of times(random, hour, end, 6 * dayMs)) {
    const kept = Math.floor(random() * 4);
    planned.push({
      at,
      act: async (it) => {
        it.broker.disconnect();
        await it.clock.complete(it.house.stop());
        it.database.powerCut(kept);
        await it.restart();
        await it.clock.run(it.clock.now() + 60_000);
        it.broker.connect();
      },
    });
    count('power cut of the gateway');
  }
  for (const at of times(random, hour, end, 8 * dayMs)) {
    const length = 60_000 + random() * 20 * hour;
    planned.push({ at, act: (it) => it.broker.disconnect() });
    planned.push({ at: at + length, act: (it) => it.broker.connect() });
    count('broker away');
  }
  for (const at of times(random, hour, end, 10 * dayMs)) {
    planned.push({ at, act: (it) => void (it.broker.acknowledging = false) });
    planned.push({ at: at + random() * dayMs, act: (it) => void (it.broker.acknowledging = true) });
    count('head-end silent');
  }
  planned.push(
    { at: end, act: (it) => void (it.broker.acknowledging = true) },
    { at: end + 1000, act: (it) => it.broker.connect() },
  );
  return { faults, own, planned: planned.toSorted((a, b) => a.at - b.at), happened };
}

export async function simulate({
  seed,
  days,
  meters,
  progress,
  inspect,
}: SimulationSettings): Promise<SimulationResult> {
  const random = seeded(seed);
  const start = Date.UTC(2026, 9, 20, 12, 20);
  const { faults, own, planned, happened } = fate(random, days, meters);
  const it = await virtualHouse(
    { seed, bus: { baud: 9600 }, meters: { count: meters, first_serial: 60_120_001 }, meter: own, fault: faults },
    { start, days: 1 },
  );
  it.broker.connect();
  let day = 0;
  const advance = async (to: number) => {
    while (it.clock.now() < to) {
      const next = Math.min(to, start + (day + 1) * dayMs);
      await it.clock.run(next);
      if (it.clock.now() < start + (day + 1) * dayMs) continue;
      day++;
      progress?.(day);
    }
  };
  for (const { at, act } of planned) {
    await advance(start + at);
    await act(it);
  }
  await advance(start + days * dayMs);
  inspect?.(it);
  return { ...(await compared(it)), happened };
}

type Final = { readonly rev: number; readonly value?: readonly [number, number]; readonly cause?: string };

async function compared(it: VirtualHouse): Promise<Omit<SimulationResult, 'happened'>> {
  const differences: string[] = [];
  const states: Record<string, number> = {};
  let intervals = 0;
  const wrong = (text: string) => differences.push(text);
  const { ingest, simulated, since, clock } = it;
  if (ingest.counters.conflicts > 0) wrong(`${ingest.counters.conflicts} keys with two values: ${ingest.conflicts[0]}`);
  if (ingest.counters.unfit > 0)
    wrong(`${ingest.counters.unfit} payloads outside of the contract: ${[...ingest.unfit.keys()][0]}`);
  for (const meter of simulated.meters) {
    const { settings } = meter;
    const id = `m${settings.serial}`;
    const period = settings.periodS * 1000;
    const last = Math.floor((clock.wall() - 3 * hour) / period) * period;
    const truth = new Map<number, readonly [number, number]>();
    const twice = new Set<number>();
    for (const { end, registers } of meter.truth(since, millis(last))) {
      if (truth.has(end)) twice.add(end);
      truth.set(end, registers);
    }
    const gaps = new Map<number, { rev: number; cause: string }>();
    for (const gap of ingest.gaps) {
      if (gap.kind !== 'gap' || gap.meter !== id) continue;
      for (let at = Date.parse(gap.start); at < Date.parse(gap.end); at += period)
        if (gap.rev >= (gaps.get(at)?.rev ?? 0)) gaps.set(at, { rev: gap.rev, cause: gap.cause });
    }
    const final = (at: number): Final | undefined => {
      const [one, two] = channels.map((obis) => ingest.values.get(valueKey(id, series, obis, at)));
      const gap = gaps.get(at);
      if (one && two && one.rev >= (gap?.rev ?? -1))
        return { rev: one.rev, value: [Number(one.register), Number(two.register)], cause: one.quality };
      return gap;
    };
    let sum = 0;
    let sumFrom: number | undefined;
    for (let at = since as number; at + period <= last; at += period) {
      intervals++;
      const told = final(at);
      const row = truth.get(at + period);
      const where = `${id} ${iso(millis(at))}`;
      const state = told ? (told.value ? (told.cause ?? '') : (told.cause ?? '')) : 'NOT DELIVERED';
      states[state] = (states[state] ?? 0) + 1;
      const energy = ingest.values.get(valueKey(id, series, channels[0], at))?.energy;
      if (told?.value && energy !== null && energy !== undefined) sum += Number(energy);
      else if (told?.cause !== 'OUTAGE') {
        sumFrom = undefined;
        sum = 0;
      }
      if (told?.value) {
        // From boundary register to register, the energies add up to the unit.
        if (sumFrom === undefined || energy === null || energy === undefined) {
          sumFrom = told.value[0];
          sum = 0;
        } else if (sumFrom + sum !== told.value[0])
          wrong(`${where}: energies add up to ${sumFrom + sum}, the register says ${told.value[0]}`);
      }
      if (!told) wrong(`${where}: nothing was delivered; ${row ? `the row has ${row[0]}` : 'there was no row'}`);
      else if (row) {
        if (told.value) {
          if (told.value[0] !== row[0] || told.value[1] !== row[1])
            wrong(`${where}: ${told.value.join()} delivered, ${row.join()} in the meter`);
        } else if (told.cause !== 'LOST') wrong(`${where}: ${told.cause} delivered, the row has ${row[0]}`);
        else if (settings.depthDays > 30) wrong(`${where}: LOST, and the meter still has it`);
      } else {
        const stamps = [at, at + period].map((stamp) => meter.instantsOf(millis(stamp)).at(-1));
        const [first, second] = stamps;
        const dark =
          first !== undefined &&
          second !== undefined &&
          settings.dark.some(({ from, to }) => first >= from && second <= to);
        if (told.value) wrong(`${where}: ${told.value.join()} delivered, there was no row`);
        else if (dark && told.cause !== 'OUTAGE' && told.cause !== 'LOST')
          wrong(`${where}: ${told.cause} delivered, it was dark`);
        else if (!dark && told.cause === 'OUTAGE') wrong(`${where}: OUTAGE delivered, it was not dark`);
      }
    }
  }
  for (const manifest of ingest.manifests) {
    const bad = verifyManifest(ingest, manifest);
    if (bad.length > 0) wrong(`manifest of ${manifest.day}: ${bad.join(' ')} do not come out of what was received`);
    for (const { meter, expected, measured, uncertain, outage, missing, lost, pending } of manifest.series)
      if (measured + uncertain + outage + missing + lost + pending !== expected)
        wrong(`manifest of ${manifest.day}: ${meter} does not add up to ${expected}`);
  }
  const { store } = await it.house.snapshot();
  if (store.pending > 0) wrong(`${store.pending} messages are not acknowledged`);
  if (store.damage.quarantined + store.damage.missing > 0) wrong('the store was damaged');
  return { intervals, states, messages: it.broker.published.length, differences };
}
