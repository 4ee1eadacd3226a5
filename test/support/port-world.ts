/** What a port is given, without a house around it: a store and counters in memory, a virtual clock, meters by name. */
import { Failure } from '../../src/base/errors.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import { type Millis, millis } from '../../src/base/time.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';
import type { Port } from '../../src/line/port.ts';
import { PortOwner } from '../../src/line/port-owner.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { Fact } from '../../src/reading/facts.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import type { PolledMeter, PolledSeries, PortContext } from '../../src/schedule/meter-state.ts';
import { Counters } from '../../src/store/counters.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from './memory-database.ts';
import { VirtualClock } from './virtual-clock.ts';

export const profile: LogicalName = '1.0.99.1.0.255';
export const quarterMs = 15 * 60_000;
/** Where the clock of a world stands first. */
export const noon = millis(Date.UTC(2026, 10, 24, 12));

export interface StoreWorld {
  readonly clock: VirtualClock;
  readonly database: MemoryDatabase;
  readonly store: Store;
  /** What was stored for the head-end, in its order. */
  readonly facts: () => Promise<Fact[]>;
}
export async function storeWorld(start: Millis = noon): Promise<StoreWorld> {
  const clock = new VirtualClock(start);
  const database = new MemoryDatabase();
  const store = await Store.open({ open: () => Promise.resolve(database), clock, newEpoch: (after) => after + 1 });
  const facts = async () =>
    [...(await store.outbox(0, 0, 10_000)), ...(await store.outbox(1, 0, 10_000))]
      .toSorted((a, b) => a.sequence - b.sequence)
      .map(factOf);
  return { clock, database, store, facts };
}

export const access: MeterAccess = {
  link: 'hdlc',
  modeE: false,
  signOnAddress: '',
  client: 16,
  logical: 1,
  physical: 17,
  auth: 'none',
  secret: undefined,
  model: genericModel,
  baud: 9600,
  timed: true,
  answerTimeoutMs: 500,
  retries: 0,
  guardMs: 0,
  sessionMs: 60_000,
};
export const quarters: PolledSeries = {
  series: seriesKey(profile),
  profile,
  periodMs: quarterMs,
  since: millis(noon - 4 * quarterMs),
  sinceByDefault: noon,
};
export const polled = (meter: string, more: Partial<PolledMeter> = {}): PolledMeter => ({
  origin: { meter, point: `p-${meter}`, serial: `s-${meter}` },
  access,
  series: [quarters],
  ...more,
});

export interface PortWorld extends StoreWorld {
  readonly house: PortContext;
}
export async function portWorld(
  meters: readonly PolledMeter[],
  more: {
    readonly open?: () => Promise<Port>;
    readonly standstill?: () => Failure | undefined;
    readonly log?: Log;
  } = {},
): Promise<PortWorld> {
  const world = await storeWorld();
  const { clock, store } = world;
  const nothing = () => Promise.reject(new Failure('port-missing', '/dev/x does not open'));
  const house: PortContext = {
    name: 'bus',
    owner: new PortOwner({ device: '/dev/x', open: more.open ?? nothing, clock, muteLimit: 6 }),
    meters,
    store,
    counters: await Counters.open({ open: () => Promise.resolve({ database: new MemoryDatabase() }), fresh: true }),
    clock,
    log: more.log ?? silentLog,
    plan: { offsetMs: 5000, slicesPerTurn: 4 },
    clockTrust: () => 'kernel',
    clockPolicy: { set: false, setLarge: false },
    standstill: more.standstill ?? (() => undefined),
    timeZone: 'Europe/Berlin',
  };
  return { ...world, house };
}
