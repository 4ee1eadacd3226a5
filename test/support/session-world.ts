/** A session with a simulated meter of quarter-hours, in which the rooms of `schedule` read it; store and time are virtual. */
import { dayMs, later, millis } from '../../src/base/time.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { utcOf } from '../../src/dlms/cosem/date-time.ts';
import type { Selection } from '../../src/dlms/xdlms/apdu.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { Session } from '../../src/meter/session.ts';
import { freshState, type PolledSeries } from '../../src/schedule/meter-state.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { lineAccess } from './meter-world.ts';
import type { Odd } from './odd-meters.ts';
import { noon, polled, portWorld, quarterMs, quarters } from './port-world.ts';
import { virtualPort } from './virtual-port.ts';

/** A series of the meter that begins so long before noon. */
export const quartersSince = (backMs: number): PolledSeries => ({ ...quarters, since: millis(noon - backMs) });

/** Bounds without what is asked for besides on both sides. */
function askedRange({ selector, parameters }: Selection): string {
  const [first, second, third] = parameters.type === 'structure' ? parameters.value : [];
  const number = (data: Data | undefined) => (data?.type === 'double-long-unsigned' ? data.value : NaN);
  if (selector !== 1) return `entries ${number(first)}–${number(second)}`;
  const time = (data: Data | undefined) => {
    const at = data?.type === 'octet-string' ? utcOf(data.value, {}) : undefined;
    return new Date(Math.round((at ?? 0) / quarterMs) * quarterMs).toISOString().slice(8, 16);
  };
  return `${time(second)}–${time(third)}`;
}

export async function sessionWorld(
  series: readonly PolledSeries[],
  { meters = {}, ...scenario }: ScenarioInput = {},
  more: Partial<MeterAccess> = {},
) {
  const access = lineAccess(more);
  const one = polled('a', { access, series });
  const world = await portWorld([one]);
  const { clock } = world;
  // The row of noon is to be read by now.
  await clock.run(later(noon, 10_000));
  const simulated = buildBus(parseScenario({ ...scenario, meters: { period_s: 900, ...meters } }), noon);
  const meter = simulated.meters[0] as VirtualMeter;
  const port = virtualPort(simulated.bus, clock);
  const state = freshState(one);
  const asked: string[] = [];
  const inside = meter as unknown as { quirks: Odd[]; memories: object[] };
  /** The meter does this besides, from now on. */
  const misbehaves = (odd: Odd) => {
    inside.memories.push({});
    inside.quirks.push(odd);
  };
  misbehaves({
    select(selection) {
      asked.push(askedRange(selection));
      return selection;
    },
  });
  return {
    ...world,
    meter,
    misbehaves,
    behaves: () => void inside.quirks.splice(1),
    state,
    port,
    /** What was asked of the profile since then, by stamps or by numbers of entries. */
    asked: () => asked.splice(0),
    /** Runs a piece of a visit in a session of its own, and closes it. */
    async visit<T>(work: (session: Session) => Promise<T>): Promise<T> {
      const session = new Session(port, clock, { ...access, fallbacks: state.fallbacks });
      const visited = (async () => {
        await session.connect();
        state.identity = await identify(session, clock, state.model, false);
        try {
          return await work(session);
        } finally {
          await session.close();
        }
      })();
      return clock.complete(visited, dayMs);
    },
    stored: () => world.store.seriesState('a', series[0]?.series ?? quarters.series),
    events: () => state.pendingEvents.map(({ name }) => name),
    names: async () => (await world.facts()).map((fact) => (fact.kind === 'event' ? fact.name : fact.kind)),
  };
}
