/**
 * A bench of virtual meters in a process of Node: what `meter-simulator run` serves and what other projects import as
 * `meter-gateway/simulator`. What is exported here stays; everything else of the simulator may change.
 */
import { Failure } from '../base/errors.ts';
import { type Millis, millis } from '../base/time.ts';
import { buildBuses, faultOnBus, lineFault, type SimulatedBuses } from './build-bus.ts';
import { buildMeter, loadSnapshot } from './build-meter.ts';
import type { SimulatedBus } from './bus.ts';
import type { Injected, InjectedKind } from './line-fault.ts';
import {
  type LineFaultInput,
  parseLineFault,
  parseScenario,
  parseSwap,
  readScenario,
  type Scenario,
  type ScenarioInput,
} from './scenario.ts';
import { type ServedBus, serveAll } from './serve.ts';

export type { ScenarioInput } from './scenario.ts';

/** A fault that was really injected. */
export interface InjectedFault {
  /** Time of day of the simulation, ISO 8601. */
  readonly time: string;
  readonly kind: InjectedKind;
  /** Which meter, from 0; null: the whole bus, or the whole bench. */
  readonly meter: number | null;
  readonly serial: number | null;
  /** Number of the fault: its place in the scenario from 0, or what `fault` gave. */
  readonly fault?: number;
  /** Octets that were damaged, lost or added. */
  readonly octets?: number;
  /** What a recording does not hold. */
  readonly detail?: string;
}
export interface BenchMeter {
  /** Number of the meter, from 0. */
  readonly index: number;
  readonly serial: number;
  readonly logical: number;
  /** HDLC physical address. */
  readonly physical: number;
  /** What a client opens: a device, or tcp://host:port. */
  readonly device: string;
  readonly powered: boolean;
}
/** One row of a load profile. Registers in Wh. */
export interface BenchRow {
  readonly end: Date;
  readonly status: number;
  readonly imported: number;
  readonly exported: number;
}
/** The keys of `[[fault]]` for those of a line. */
export type FaultInput = LineFaultInput;
/** The keys of `[[meter]]` for a meter that is hung in the place of another. */
export type SwapInput = Omit<NonNullable<ScenarioInput['meter']>[number], 'index' | 'serial'> & {
  readonly serial: number;
};

export interface Bench {
  /** What clients open: one, or one for each meter. */
  readonly devices: readonly string[];
  meters(): readonly BenchMeter[];
  /** Faults that are there, by their numbers. */
  faults(): readonly (NonNullable<ScenarioInput['fault']>[number] & { readonly number: number })[];
  /** Switches a fault on, with the keys of `[[fault]]`; its seconds count from now. Gives its number. */
  fault(fields: FaultInput): number;
  faultOff(number: number): void;
  /** Time of day of the meters, and how many times as fast as the line it runs. */
  time(): { readonly now: Date; readonly speed: number };
  setTime(change: { readonly to?: Date; readonly speed?: number }): void;
  /** Takes the power of a meter, or of all, or gives it back. */
  power(on: boolean, meter?: number): void;
  /** Hangs another meter in the place of one, with the keys of `[[meter]]`; `serial` must be among them. */
  swap(meter: number, fields: SwapInput): void;
  /** What the meter must have counted: rows whose stamp lies in [from, to], oldest first. */
  rows(meter: number, from: Date, to: Date): readonly BenchRow[];
  close(): Promise<void>;
}
export interface BenchOptions {
  /** Called with every fault that is really injected. */
  readonly injected?: (fault: InjectedFault) => void;
}

interface World {
  readonly scenario: Scenario;
  readonly simulated: SimulatedBuses;
  readonly served: readonly ServedBus[];
  readonly record: (kind: InjectedKind, more: Partial<Injected>) => void;
}
interface Place {
  readonly bus: SimulatedBus;
  readonly place: number;
}
const lineNow = (): Millis => millis(Date.now());

const eventOf = ({ at, kind, meter, serial, fault, octets, detail }: Injected): InjectedFault => ({
  time: new Date(at).toISOString(),
  kind,
  meter,
  serial,
  ...(fault !== undefined && { fault }),
  ...(octets !== undefined && { octets }),
  ...(detail !== undefined && { detail }),
});

/** Where a meter hangs. */
function placeOf({ simulated }: World, meter: number): Place {
  for (const bus of simulated.buses) {
    const place = bus.settings.indices.indexOf(meter);
    if (place >= 0) return { bus, place };
  }
  throw new Failure('bad-argument', `there is no meter ${meter}`);
}
const placesOf = ({ simulated }: World): Place[] =>
  simulated.buses.flatMap((bus) => bus.settings.indices.map((_, place) => ({ bus, place })));
function meterOf({ simulated, served }: World, bus: SimulatedBus, place: number): BenchMeter {
  const meter = bus.meters[place] as SimulatedBus['meters'][number];
  const { serial, logical, physical } = meter.settings;
  return {
    index: bus.settings.indices[place] as number,
    serial,
    logical,
    physical,
    device: served[simulated.buses.indexOf(bus)]?.device ?? '',
    powered: meter.powered(lineNow()),
  };
}

/** Line faults on and off. */
function faultDesk(world: World) {
  const { scenario, simulated, record } = world;
  const standing = new Map<number, Scenario['fault'][number]>(scenario.fault.map((fault, number) => [number, fault]));
  let next = scenario.fault.length;
  return {
    faults: () => [...standing].map(([number, fields]) => ({ ...fields, number })),
    fault(fields: FaultInput): number {
      const given = parseLineFault(fields);
      const fault = lineFault(given, simulated.day.at(lineNow()));
      if (fault.meter !== undefined) placeOf(world, fault.meter);
      const number = next++;
      for (const bus of simulated.buses) {
        const own = faultOnBus(fault, bus.settings.indices);
        if (own) bus.addFault(number, own);
      }
      standing.set(number, given);
      record('fault-on', { meter: fault.meter ?? null, fault: number });
      return number;
    },
    faultOff(number: number): void {
      const on = simulated.buses.filter((bus) => bus.removeFault(number));
      if (on.length === 0) throw new Failure('bad-argument', `no line has a fault ${number}`);
      const fields = standing.get(number);
      const meter = fields && 'meter' in fields ? fields.meter : undefined;
      standing.delete(number);
      record('fault-off', { meter: meter ?? null, fault: number });
    },
  };
}

/** Time of day, power, and what hangs where. */
function acts(world: World) {
  const { simulated, record } = world;
  const { day } = simulated;
  return {
    time: () => ({ now: new Date(day.at(lineNow())), speed: day.speed }),
    setTime({ to, speed = day.speed }: { readonly to?: Date; readonly speed?: number }): void {
      if (!(speed > 0 && speed <= maxSpeed))
        throw new Failure('bad-argument', `speed must be above 0 and at most ${maxSpeed}`);
      if (to && !(to.getUTCFullYear() >= 2000 && to.getUTCFullYear() < 2100))
        throw new Failure('bad-argument', 'time must be an instant of the years 2000 to 2099');
      const line = lineNow();
      day.set(line, to ? millis(to.getTime()) : day.at(line), speed);
      record('time', {});
    },
    power(on: boolean, meter?: number): void {
      const places = meter === undefined ? placesOf(world) : [placeOf(world, meter)];
      for (const { bus, place } of places) bus.meters[place]?.switchMains(on, lineNow());
    },
    swap(meter: number, fields: SwapInput): void {
      const { bus, place } = placeOf(world, meter);
      const now = day.at(lineNow());
      const scenario = withMeter(world.scenario, meter, parseSwap(fields));
      bus.swap(place, buildMeter(scenario, meter, { start: now, day, snapshotOf: loadSnapshot, installed: now }));
      record('swap', { meter, serial: bus.meters[place]?.settings.serial ?? null });
    },
  };
}
/** A time lapse of more than this is no test of anything: between two requests a day would go by. */
const maxSpeed = 10_000;

/** The scenario with other keys for one of its meters; faults of the old meter itself do not pass to the new one. */
function withMeter(scenario: Scenario, index: number, fields: ReturnType<typeof parseSwap>): Scenario {
  const others = scenario.meter.filter((one) => one.index !== index);
  const fault = scenario.fault.filter((one) => one.kind !== 'power-cut' && one.kind !== 'drift');
  return { ...scenario, meter: [...others, { index, ...fields }], fault };
}

/** What one key alone does not show. */
function requireFitting({ bus, meters, meter, fault }: Scenario): void {
  const last = meters.count - 1;
  const beyond = [
    ...meter.map(({ index }, i) => [`meter[${i}].index`, index] as const),
    ...fault.map((one, i) => [`fault[${i}].meter`, 'meter' in one ? one.meter : undefined] as const),
  ].filter(([, index]) => index !== undefined && index > last);
  const wrong = beyond.map(([path, index]) => `${path}: there is no meter ${index}, the last one is ${last}`);
  if (new Set(meter.map(({ index }) => index)).size < meter.length) wrong.push('meter: an index stands twice');
  if (bus.kind !== 'tcp' && bus.port_per_meter) wrong.push('bus.port_per_meter: only where kind is "tcp"');
  if (bus.kind !== 'tcp' && bus.bind !== '127.0.0.1') wrong.push('bus.bind: only where kind is "tcp"');
  if (bus.port_per_meter && bus.port > 0 && bus.port + last > 65_535)
    wrong.push(`bus.port: ${meters.count} ports from ${bus.port} upwards are more than there are`);
  if (wrong.length > 0) throw new Failure('input-unreadable', wrong.map((one) => `scenario: ${one}`).join('\n'));
}

/** Starts the bench of a scenario: its keys as an object, or the text of a scenario file. Failure where it cannot be. */
export async function startBench(given: ScenarioInput | string, options: BenchOptions = {}): Promise<Bench> {
  const scenario = typeof given === 'string' ? readScenario(given) : parseScenario(given);
  requireFitting(scenario);
  const { injected = () => {} } = options;
  const start = lineNow();
  const simulated = buildBuses(scenario, start, { injected: (what) => injected(eventOf(what)) });
  const served = await serveAll(simulated.buses, scenario.bus);
  const record: World['record'] = (kind, more) =>
    injected(eventOf({ at: simulated.day.at(lineNow()), kind, meter: null, serial: null, ...more }));
  const world: World = { scenario, simulated, served, record };
  const wake = <A extends unknown[], R>(act: (...given: A) => R) => {
    return (...given: A): R => {
      const result = act(...given);
      for (const one of served) one.wake();
      return result;
    };
  };
  const desk = faultDesk(world);
  const act = acts(world);
  return {
    devices: served.map(({ device }) => device),
    meters: () => placesOf(world).map(({ bus, place }) => meterOf(world, bus, place)),
    faults: () => desk.faults(),
    fault: wake((fields: FaultInput) => desk.fault(fields)),
    faultOff: wake((number: number) => desk.faultOff(number)),
    time: () => act.time(),
    setTime: wake((change: { readonly to?: Date; readonly speed?: number }) => act.setTime(change)),
    power: wake((on: boolean, meter?: number) => act.power(on, meter)),
    swap: wake((meter: number, fields: SwapInput) => act.swap(meter, fields)),
    rows: (meter, from, to) => {
      const { bus, place } = placeOf(world, meter);
      const rows = bus.meters[place]?.rowsAt(lineNow(), millis(from.getTime()), millis(to.getTime())) ?? [];
      return rows.map(({ end, status, registers: [imported, exported] }) => ({
        end: new Date(end),
        status,
        imported,
        exported,
      }));
    },
    close: async () => {
      for (const one of served) await one.close();
    },
  };
}
