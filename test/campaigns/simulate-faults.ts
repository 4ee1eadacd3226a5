/** What happens in a simulation: to meters and lines, to the gateway, its store and its clock, to broker and head-end. */
import { dayMs, iso, millis } from '../../src/base/time.ts';
import type { Random } from '../../src/simulator/random.ts';
import { physicalAddress } from '../../src/simulator/build-meter.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { topics } from '../../src/contract/topics.ts';
import { Counters } from '../../src/store/counters.ts';
import { restoredState } from '../../src/store/records.ts';
import type { VirtualHouse } from '../support/virtual-house.ts';
import { channels, series } from './simulate-truth.ts';

const hour = 3_600_000;
export interface Planned {
  readonly at: number;
  readonly what: string;
  readonly act: (it: VirtualHouse) => Promise<void> | void;
}
/** The meter of a point is replaced; times are ms from the start. */
export interface Replacement {
  /** Indices of the meters in the scenario. */
  readonly old: number;
  readonly fresh: number;
  readonly takenDown: number;
  readonly installed: number;
}
export const firstSerial = 60_120_001;

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

const restart = async (it: VirtualHouse, whileStopped: () => void = () => {}): Promise<void> => {
  const { up } = it.broker;
  it.broker.disconnect();
  await it.clock.complete(it.house.stop());
  whileStopped();
  await it.restart();
  if (up) it.broker.connect();
};

/**
 * What the meter has and the gateway has not read is gone from now on: with the meter, or because its buffer was wiped.
 * Such intervals may be missing although there was a row.
 */
async function goes(it: VirtualHouse, excused: Map<number, Set<number>>, index: number): Promise<void> {
  const { settings } = it.simulated.meters[index] as VirtualMeter;
  const period = settings.periodS * 1000;
  const own = excused.get(index) ?? new Set();
  excused.set(index, own);
  // Whatever the gateway takes for the time of day: a clock of 1970 knows of nothing that waits to be read.
  const offset = it.clock.wallOffsetMs;
  it.clock.wallOffsetMs = 0;
  const open = await it.house.gaps();
  it.clock.wallOffsetMs = offset;
  for (const { meter, from, to, state } of open) {
    if (meter !== `m${settings.serial}` || (state !== 'PENDING' && state !== 'MISSING')) continue;
    for (let at = Date.parse(from); at < Date.parse(to); at += period) own.add(at);
  }
  // The interval that runs, and one whose row is just being read.
  const now = Math.floor(it.clock.now() / period) * period;
  for (const at of [now - period, now]) own.add(at);
}

/** What LevelDB and SD cards do to a store; the gateway starts on what is left. */
function wounds(random: Random, end: number, count: (what: string) => void): Planned[] {
  const planned: Planned[] = [];
  for (const at of times(random, 6 * hour, end, 4 * dayMs)) {
    const kind = random();
    const where = random();
    const bit = Math.floor(random() * 8);
    const old: { data?: Map<string, Uint8Array> } = {};
    if (kind > 0.7 && kind < 0.9)
      planned.push({
        at: at - random() * 5 * hour,
        what: 'a copy of the store is made',
        act: (it) => void (old.data = new Map(it.database.data)),
      });
    const what =
      kind < 0.35 ? 'record damaged' : kind < 0.7 ? 'record vanished' : kind < 0.9 ? 'store fell behind' : 'store lost';
    planned.push({
      at,
      what,
      act: (it) =>
        restart(it, () => {
          const data = new Map(it.database.data);
          const keys = [...data.keys()].toSorted();
          const key = keys[Math.floor(where * keys.length)] as string;
          if (kind < 0.35) {
            const value = Uint8Array.from(data.get(key) as Uint8Array);
            const octet = Math.floor(where * 7919 * value.length) % value.length;
            value[octet] = (value[octet] as number) ^ (1 << bit);
            data.set(key, value);
          } else if (kind < 0.7) data.delete(key);
          it.database.replace(kind < 0.7 ? data : (old.data ?? new Map()));
          // A card that was changed tells nothing of what was.
          if (kind > 0.97) it.checkpoint = undefined;
        }),
    });
    count(what);
  }
  for (const at of times(random, 6 * hour, end, 8 * dayMs)) {
    const [kind, where] = [random(), random()];
    const what =
      kind < 0.25
        ? 'invocation counter vanished'
        : kind < 0.5
          ? 'invocation counter damaged'
          : kind < 0.75
            ? 'invocation counters fell behind'
            : 'invocation counters lost';
    const old: { data?: Map<string, Uint8Array> } = {};
    if (kind >= 0.5 && kind < 0.75)
      planned.push({
        at: at - random() * 5 * hour,
        what: 'a copy of the counters is made',
        act: (it) => void (old.data = new Map(it.counters.data)),
      });
    planned.push({
      at,
      what,
      act: (it) =>
        restart(it, () => {
          const data = new Map(it.counters.data);
          const keys = [...data.keys()].toSorted();
          const key = keys[Math.floor(where * keys.length)];
          if (kind >= 0.75) data.clear();
          else if (key !== undefined && kind < 0.25) data.delete(key);
          else if (key !== undefined && kind < 0.5) data.set(key, Uint8Array.of(1, 2, 3));
          it.counters.replace(old.data ?? data);
          if (kind >= 0.95) it.countersCheckpoint = undefined;
        }),
    });
    count(what);
  }
  return planned;
}

/** The whole card, as it was. */
interface Card {
  readonly store: ReadonlyMap<string, Uint8Array>;
  readonly counters: ReadonlyMap<string, Uint8Array>;
  readonly checkpoint: VirtualHouse['checkpoint'];
  readonly countersCheckpoint: VirtualHouse['countersCheckpoint'];
}
/**
 * An image of the card is put back, of which the gateway knows nothing, or a backup, which says what it is; and the head-end
 * loses what it had acknowledged, and asks for it again.
 */
function restores(
  random: Random,
  end: number,
  meters: number,
  excused: Map<number, Set<number>>,
  count: (what: string) => void,
): Planned[] {
  const planned: Planned[] = [];
  for (const at of times(random, 6 * hour, end, 5 * dayMs)) {
    const kind = random();
    const what = kind < 0.6 ? 'image of the card put back' : 'backup put back';
    let card: Card | undefined;
    planned.push({
      at: Math.max(0, at - random() * 30 * hour),
      what: 'the card is copied',
      act: (it) =>
        void (card = {
          store: new Map(it.database.data),
          counters: new Map(it.counters.data),
          checkpoint: it.checkpoint,
          countersCheckpoint: it.countersCheckpoint,
        }),
    });
    planned.push({
      at,
      what,
      act: async (it) => {
        const { up } = it.broker;
        it.broker.disconnect();
        await it.clock.complete(it.house.stop());
        if (!card) return;
        const image = kind < 0.6;
        it.database.replace(
          image ? card.store : new Map([...card.store].map(([key, value]) => [key, restoredState(key, value)])),
        );
        it.counters.replace(card.counters);
        it.checkpoint = image ? card.checkpoint : undefined;
        it.countersCheckpoint = image ? card.countersCheckpoint : undefined;
        if (!image) {
          const open = () => Promise.resolve({ database: it.counters, doubtful: true });
          await (await Counters.open({ open })).close();
        }
        await it.restart();
        if (up) it.broker.connect();
      },
    });
    count(what);
  }
  for (const at of times(random, dayMs, end, 4 * dayMs)) {
    const [index, back, length] = [Math.floor(random() * meters), random() * 3 * dayMs, 1 + Math.floor(random() * 30)];
    planned.push({
      at,
      what: 'the head-end loses what it had, and asks again',
      act: (it) => {
        const id = `m${it.simulated.meters[index]?.settings.serial}`;
        const to = it.clock.now() - back;
        const from = to - length * hour;
        for (const key of it.ingest.values.keys()) {
          const [meter, , , start] = key.split('|');
          if (meter === id && Number(start) >= from && Number(start) < to) it.ingest.values.delete(key);
        }
        // What went with the meter that hung there, or with its buffer, it cannot say again.
        const own = excused.get(index) ?? new Set();
        excused.set(index, own);
        const { settings, wipedAt } = it.simulated.meters[index] as VirtualMeter;
        const period = settings.periodS * 1000;
        if (wipedAt > 0 || it.configText.includes(`swap = { from = "${settings.serial}"`))
          for (let start = Math.floor(from / period) * period; start < to; start += period) own.add(start);
        it.broker.send(
          topics('t1', 'g1').again,
          JSON.stringify({ meter: id, series, from: iso(millis(from)), to: iso(millis(to)) }),
        );
      },
    });
    count('head-end asks again');
  }
  return planned;
}

/** The time of day of the gateway steps by hours, or to 1970 at boot; the kernel says that it is not synchronised. */
function steps(random: Random, end: number, count: (what: string) => void): Planned[] {
  return times(random, 6 * hour, end, 6 * dayMs).flatMap((at) => {
    const by = random() < 0.3 ? -56 * 365 * dayMs : Math.round((random() - 0.5) * 10 * hour);
    const length = 5 * 60_000 + random() * 4 * hour;
    count('clock of the gateway stepped');
    return [
      {
        at,
        what: `the gateway's clock steps by ${Math.round(by / 60_000)} min`,
        act: (it: VirtualHouse) => {
          it.timeIsKnown = false;
          it.clock.wallOffsetMs = by;
        },
      },
      {
        at: at + length,
        what: "the gateway's clock is right",
        act: (it: VirtualHouse) => {
          it.clock.wallOffsetMs = 0;
          it.timeIsKnown = true;
        },
      },
    ];
  });
}

/** What will happen: faults of meters and line for the scenario, and acts of people and power. */
export function fate(random: Random, days: number, meters: number, harsh: boolean) {
  const replacements: Replacement[] = [];
  const excused = new Map<number, Set<number>>();
  const faults: NonNullable<ScenarioInput['fault']> = [];
  const own: NonNullable<ScenarioInput['meter']> = [];
  const planned: Planned[] = [];
  const happened: Record<string, number> = {};
  const count = (what: string) => (happened[what] = (happened[what] ?? 0) + 1);
  // The last day is quiet, so that what is under way comes to its end.
  const end = (days - 1) * dayMs;
  for (let meter = 0; meter < meters; meter++) {
    if (meters + replacements.length >= 64 || random() > 0.15) continue;
    const takenDown = seconds(hour + random() * (end - 8 * hour)) * 1000;
    const installed = takenDown + seconds(5 * 60_000 + random() * 70 * 60_000) * 1000;
    replacements.push({ old: meter, fresh: meters + replacements.length, takenDown, installed });
  }
  const periods = Array.from({ length: meters }, () => (random() < 0.2 ? 900 : 3600));
  for (let meter = 0; meter < meters + replacements.length; meter++) {
    const short = random() < 0.1;
    const replaced = replacements.find(({ old, fresh }) => old === meter || fresh === meter);
    const fresh = replaced?.fresh === meter;
    own.push({
      index: meter,
      period_s: periods[fresh ? replaced.old : meter] ?? 3600,
      physical: physicalAddress(firstSerial + (fresh ? replaced.old : meter)),
      clock_offset_s: Math.round((random() - 0.5) * 12),
      drift_ppm: Math.round((random() - 0.5) * 40),
      depth_days: short ? 6 : 60,
      ...(random() < 0.2 && { quirks: ['lifo' as const] }),
      ...(random() < 0.15 && { dst: true }),
      ...(random() < 0.15 && { register_wrap_s: seconds(random() * end) }),
    });
    if (own.at(-1)?.register_wrap_s !== undefined) count('register that wraps');
    if (replaced && !fresh)
      faults.push({ kind: 'power-cut', meter, from_s: replaced.takenDown / 1000, to_s: 2 * days * 86_400 });
    if (replaced && fresh) {
      // It was tried out in the workshop for an hour, and its log tells of that as well.
      const to_s = replaced.installed / 1000;
      const packed = to_s - seconds(hour + random() * 6 * dayMs);
      faults.push(
        { kind: 'silence', meter, from_s: -200 * 86_400, to_s },
        { kind: 'power-cut', meter, from_s: -200 * 86_400, to_s: packed - 3600 },
        { kind: 'power-cut', meter, from_s: packed, to_s },
      );
    }
    let darkUntil = 0;
    for (const at of times(random, hour, end, 15 * dayMs)) {
      const length =
        random() < 0.5
          ? 120_000 + random() * 50 * 60_000
          : random() < 0.7
            ? hour + random() * 9 * hour
            : dayMs + random() * 3 * dayMs;
      if (at < darkUntil + 2 * hour || at + length > end) continue;
      // Off the wall a meter is without power anyway.
      if (replaced && (fresh ? at < replaced.installed + hour : at + length > replaced.takenDown - hour)) continue;
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
      planned.push({
        at,
        what: `switch of meter ${meter}`,
        act: (it) => powered(it, meter)?.pressButton(it.clock.now()),
      });
      count('switch pressed');
    }
    // A meter whose clock is wrong by minutes when it is replaced has rows that no oracle can tell apart.
    for (const at of replaced ? [] : times(random, hour, end, 40 * dayMs)) {
      const by = (random() < 0.5 ? 1 : -1) * (random() < 0.6 ? 5000 + random() * 50_000 : 120_000 + random() * 600_000);
      planned.push({
        at,
        what: `clock of meter ${meter} moved by ${seconds(by)} s`,
        act: (it) => powered(it, meter)?.moveClock(it.clock.now(), Math.round(by)),
      });
      count('clock moved by hand');
    }
  }
  for (let meter = 0; meter < meters; meter++) {
    if (random() > 0.1 || replacements.some(({ old }) => old === meter)) continue;
    planned.push({
      at: hour + random() * (end - hour),
      what: `capture objects of meter ${meter} changed`,
      act: async (it) => {
        if (!powered(it, meter)) return;
        await goes(it, excused, meter);
        it.simulated.meters[meter]?.reconfigure(it.clock.now());
      },
    });
    count('capture objects changed');
  }
  for (const { old, fresh, takenDown, installed } of replacements) {
    const [before, after] = [firstSerial + old, firstSerial + fresh];
    const configuredAt = installed + 10 * 60_000 + random() * 6 * hour;
    const withRegisters = random() < 0.7;
    planned.push(
      { at: takenDown, what: `meter ${old} taken down`, act: (it) => goes(it, excused, old) },
      {
        at: configuredAt,
        what: `meter ${old} replaced in the configuration`,
        act: async (it) => {
          const start = it.clock.now() - configuredAt;
          const [one, two] = [it.simulated.meters[old], it.simulated.meters[fresh]] as [VirtualMeter, VirtualMeter];
          const registers = (all: readonly [number, number]) =>
            `{ ${channels.map((code, i) => `"${code}" = ${all[i]}`).join(', ')} }`;
          const final = registers(one.registers(millis(start + takenDown)));
          const first = registers(two.registers(millis(start + installed)));
          it.configText = it.configText.replace(
            `serial = "${before}"`,
            `serial = "${after}"\nswap = { from = "${before}", at = "${iso(millis(start + installed))}"${withRegisters ? `, final = ${final}, first = ${first}` : ''} }`,
          );
          await restart(it);
        },
      },
    );
    count('meter replaced');
  }
  for (const at of times(random, hour, end, 20 * dayMs)) {
    const length = 30 * 60_000 + random() * 12 * hour;
    if (at + length > end) continue;
    faults.push({ kind: 'silence', from_s: seconds(at), to_s: seconds(at + length) });
    count('bus silent');
  }
  for (const at of times(random, hour, end, 6 * dayMs)) {
    const batches = Math.floor(random() * 4);
    planned.push({
      at,
      what: 'power cut of the gateway',
      act: async (it) => {
        it.broker.disconnect();
        await it.clock.complete(it.house.stop());
        it.database.powerCut(batches);
        it.counters.powerCut();
        await it.restart();
        await it.clock.run(it.clock.now() + 60_000);
        it.broker.connect();
      },
    });
    count('power cut of the gateway');
  }
  if (harsh) {
    planned.push({
      at: 0,
      what: 'the broker begins to lie',
      act: (it) => void (it.broker.lies = { random, lost: 0.02, twice: 0.03, lateMs: 4000 }),
    });
    planned.push(...wounds(random, end, count), ...steps(random, end, count));
    planned.push(...restores(random, end, meters, excused, count));
    planned.push({ at: end, what: 'the broker lies no more', act: (it) => void (it.broker.lies = undefined) });
  }
  for (const at of times(random, hour, end, 8 * dayMs)) {
    const length = 60_000 + random() * 20 * hour;
    planned.push({ at, what: 'broker away', act: (it) => it.broker.disconnect() });
    planned.push({ at: at + length, what: 'broker there', act: (it) => it.broker.connect() });
    count('broker away');
  }
  for (const at of times(random, hour, end, 10 * dayMs)) {
    planned.push({ at, what: 'head-end silent', act: (it) => void (it.broker.acknowledging = false) });
    planned.push({
      at: at + random() * dayMs,
      what: 'head-end answers',
      act: (it) => void (it.broker.acknowledging = true),
    });
    count('head-end silent');
  }
  planned.push(
    {
      at: end,
      what: 'everything is well',
      act: (it) => {
        it.broker.acknowledging = true;
        it.clock.wallOffsetMs = 0;
        it.timeIsKnown = true;
      },
    },
    { at: end + 1000, what: 'broker there', act: (it) => it.broker.connect() },
  );
  return { faults, own, planned, happened, replacements, excused };
}
