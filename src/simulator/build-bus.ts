/** The buses and the virtual meters of a scenario. */
import { type Millis, millis } from '../base/time.ts';
import { at, baudOf, buildMeter, loadSnapshot } from './build-meter.ts';
import { SimulatedBus } from './bus.ts';
import { DayTime } from './day-time.ts';
import type { Injected, LineFault } from './line-fault.ts';
import { always } from './mains.ts';
import type { Scenario } from './scenario.ts';
import type { VirtualMeter } from './virtual-meter.ts';

export interface SimulatedHouse {
  readonly meters: readonly VirtualMeter[];
  readonly bus: SimulatedBus;
}
export interface SimulatedBuses {
  /** One, or one for each meter. */
  readonly buses: readonly SimulatedBus[];
  readonly day: DayTime;
}

type Fault = Scenario['fault'][number];
type MeterFault = Extract<Fault, { kind: 'power-cut' | 'drift' }>;
const isOfMeter = (fault: Fault): fault is MeterFault => fault.kind === 'power-cut' || fault.kind === 'drift';
export function lineFault(fault: Exclude<Fault, MeterFault>, start: Millis): LineFault {
  const during = { from: at(start, fault.from_s, millis(0)), to: at(start, fault.to_s, always) };
  switch (fault.kind) {
    case 'echo':
      return { kind: 'echo', meter: undefined, rate: fault.rate, ...during };
    case 'stray':
      // Never before the bus is there.
      return {
        kind: 'stray',
        meter: undefined,
        everyMs: fault.every_s * 1000,
        from: millis(Math.max(during.from, start)),
        to: during.to,
      };
    case 'silence':
    case 'polarity':
      return { kind: fault.kind, meter: fault.meter, ...during };
    case 'floating':
      return { kind: 'floating', meter: undefined, ...during };
    case 'late-release':
    case 'early-release':
      return { kind: fault.kind, meter: undefined, octets: fault.octets, ...during };
    default:
      return { kind: fault.kind, meter: fault.meter, rate: fault.rate, ...during };
  }
}
/** The same fault as the bus with these meters has it; undefined where it is another bus's. */
export function faultOnBus(fault: LineFault, indices: readonly number[]): LineFault | undefined {
  if (fault.meter === undefined) return fault;
  const place = indices.indexOf(fault.meter);
  return place < 0 ? undefined : { ...fault, meter: place };
}

export interface BuildOptions {
  readonly snapshotOf?: typeof loadSnapshot;
  readonly injected?: (what: Injected) => void;
}
export function buildBuses(scenario: Scenario, start: Millis, options: BuildOptions = {}): SimulatedBuses {
  const { snapshotOf = loadSnapshot, injected } = options;
  const { bus, seed } = scenario;
  const day = new DayTime();
  const faults = scenario.fault.map((fault) => (isOfMeter(fault) ? undefined : lineFault(fault, start)));
  const all = Array.from({ length: scenario.meters.count }, (_, index) => index);
  const groups = bus.port_per_meter ? all.map((index) => [index]) : [all];
  const buses = groups.map(
    (indices) =>
      new SimulatedBus({
        meters: indices.map((index) => buildMeter(scenario, index, { start, day, snapshotOf })),
        indices,
        day,
        injected,
        baud: baudOf(scenario),
        overTcp: bus.kind !== 'pty',
        faults: faults.flatMap((fault, number) => {
          const own = fault && faultOnBus(fault, indices);
          return own ? [[number, own] as const] : [];
        }),
        // No two buses are damaged alike.
        seed: seed + (indices[0] ?? 0),
      }),
  );
  return { buses, day };
}

/** All meters on one bus. */
export function buildBus(scenario: Scenario, start: Millis, snapshotOf = loadSnapshot): SimulatedHouse {
  const shared = { ...scenario, bus: { ...scenario.bus, port_per_meter: false } };
  const [bus] = buildBuses(shared, start, { snapshotOf }).buses as [SimulatedBus];
  return { bus, meters: bus.meters };
}
