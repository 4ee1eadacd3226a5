/** A scan in virtual time over a simulated bus. */
import { readFileSync } from 'node:fs';
import { scan, type ScanEvent, type ScanWorld } from '../../src/commission/scan.ts';
import { openJournal, type ScanJournal } from '../../src/commission/scan-journal.ts';
import type { ScanPlan } from '../../src/commission/scan-plan.ts';
import { readWorkList, type WorkListEntry } from '../../src/commission/work-list.ts';
import { parseToml } from '../../src/base/toml.ts';
import { readModels } from '../../src/config/meter-models.ts';
import type { Port } from '../../src/line/port.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { start } from './meter-world.ts';
import { VirtualClock } from './virtual-clock.ts';
import { type VirtualPort, virtualPort } from './virtual-port.ts';

export const { models } = readModels();
const bench = (name: string) => readFileSync(new URL(`../../hardware/bench/${name}`, import.meta.url));
/** The substation with its twelve faults, and its work list. */
export const substation = (): ScenarioInput => parseToml(bench('substation.toml').toString());
export const substationList = (): readonly WorkListEntry[] =>
  readWorkList(bench('worklist.csv'), { models: new Set(models.keys()), wrongPoints: 'refuse' }).entries;
/** Meters by number, each at a point of its own. */
export const listOf = (...serials: (number | string)[]): WorkListEntry[] =>
  serials.map((serial, i) => ({ line: i + 2, point: `p${i + 1}`, serial: String(serial), place: `box ${i + 1}` }));

/** On a real disk, that takes no virtual time. */
export const heldJournal =
  (clock: VirtualClock) =>
  async (path: string, plan: ScanPlan, fresh = false): Promise<ScanJournal> => {
    const real = await clock.hold(openJournal(path, plan, fresh));
    return {
      ...real,
      add: (answer) => clock.hold(real.add(answer)),
      end: () => clock.hold(real.end()),
      close: () => clock.hold(real.close()),
    };
  };

export function scanWorld(scenario: ScenarioInput, around = (port: VirtualPort): Port => port) {
  const clock = new VirtualClock(start);
  const house = buildBus(parseScenario(scenario), start);
  const bare = virtualPort(house.bus, clock);
  const port = around(bare);
  const planOf = (more: Partial<ScanPlan> = {}): ScanPlan => ({
    entries: [],
    blind: false,
    line: house.bus.lineBaud > 0 ? 'serial' : 'tcp',
    baud: house.bus.lineBaud,
    link: 'hdlc',
    models,
    ...more,
  });
  /** Until it ends, or `cut` says so after an event. */
  const run = async (
    plan: ScanPlan,
    more: Partial<ScanWorld> = {},
    cut: (event: ScanEvent) => boolean = () => false,
  ): Promise<ScanEvent[]> => {
    const events: ScanEvent[] = [];
    const signal = new AbortController().signal;
    const walk = (async () => {
      for await (const event of scan(plan, { clock, use: (work) => work(port), signal, ...more })) {
        events.push(event);
        if (cut(event)) break;
      }
    })();
    await clock.complete(walk);
    return events;
  };
  const journal = heldJournal(clock);
  return { clock, house, bare, port, planOf, run, journal };
}
type EventOf<K extends ScanEvent['kind']> = Extract<ScanEvent, { kind: K }>;
export const ofKind = <K extends ScanEvent['kind']>(events: readonly ScanEvent[], kind: K): EventOf<K>[] =>
  events.filter((event): event is EventOf<K> => event.kind === kind);
