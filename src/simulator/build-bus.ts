/** The bus and the virtual meters of a scenario. */
import { type Millis, millis } from '../base/time.ts';
import { always, at, baudOf, buildMeter, loadSnapshot } from './build-meter.ts';
import { type LineFault, SimulatedBus } from './bus.ts';
import type { Scenario } from './scenario.ts';
import type { VirtualMeter } from './virtual-meter.ts';

export interface SimulatedHouse {
  readonly meters: readonly VirtualMeter[];
  readonly bus: SimulatedBus;
}

function lineFaults(scenario: Scenario, start: Millis): LineFault[] {
  const faults: LineFault[] = [];
  for (const fault of scenario.fault) {
    if (fault.kind === 'power-cut' || fault.kind === 'drift') continue;
    const during = { from: at(start, fault.from_s, millis(0)), to: at(start, fault.to_s, always) };
    if (fault.kind === 'echo') faults.push({ kind: 'echo', meter: undefined, rate: fault.rate, ...during });
    else if (fault.kind === 'stray') {
      // Never before the bus is there.
      const begins = { from: millis(Math.max(during.from, start)), to: during.to };
      faults.push({ kind: 'stray', meter: undefined, everyMs: fault.every_s * 1000, ...begins });
    } else if (fault.kind === 'silence') faults.push({ kind: 'silence', meter: fault.meter, ...during });
    else faults.push({ kind: fault.kind, meter: fault.meter, rate: fault.rate, ...during });
  }
  return faults;
}

export function buildBus(scenario: Scenario, start: Millis, snapshotOf = loadSnapshot): SimulatedHouse {
  const { bus, seed } = scenario;
  const meters = Array.from({ length: scenario.meters.count }, (_, index) =>
    buildMeter(scenario, index, start, snapshotOf),
  );
  return {
    meters,
    bus: new SimulatedBus({
      meters,
      baud: baudOf(scenario),
      overTcp: bus.kind !== 'pty',
      faults: lineFaults(scenario, start),
      seed,
    }),
  };
}
