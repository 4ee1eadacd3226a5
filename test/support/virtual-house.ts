/** The whole house in virtual time: real rooms, a simulated bus, a store that can lose power, a broker twin. */
import { Failure } from '../../src/base/errors.ts';
import { type Clock, dayMs, type Millis, millis } from '../../src/base/time.ts';
import { type Ingest, newIngest, valueKey } from './memory-central.ts';
import { compose } from '../../src/compose.ts';
import type { House, World } from '../../src/house.ts';
import type { Sources } from '../../src/config/findings.ts';
import { judgeText, requirePlan } from '../../src/config/judge.ts';
import { fromHex } from '../../src/base/hex.ts';
import { fitFact } from '../../src/forward/fit.ts';
import { silentLog } from '../../src/base/log.ts';
import { obis } from '../../src/dlms/cosem/logical-name.ts';
import { meterModels } from '../../src/config/meter-models.ts';
import { seeded } from '../../src/simulator/random.ts';
import type { Listening } from '../../src/line/open-port.ts';
import type { Port } from '../../src/line/port.ts';
import type { MeterModel } from '../../src/meter/model.ts';
import { buildBus, type SimulatedHouse } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { loadProfileName } from '../../src/simulator/objects.ts';
import type { TurnRecord } from '../../src/schedule/turn-record.ts';
import { Counters } from '../../src/store/counters.ts';
import type { Database } from '../../src/store/database.ts';
import type { Checkpoint } from '../../src/store/records.ts';
import { Store, type StoreSettings } from '../../src/store/store.ts';
import {
  configuration,
  type ConfigurationKeys,
  type GatewayKeys,
  lls,
  type MeterKeys,
  meterOf,
  type MqttKeys,
  type OrdersKeys,
  type PortKeys,
} from './configuration.ts';
import { MemoryDatabase } from './memory-database.ts';
import { centralKey, nextKey, publicOf } from './signed-order.ts';
import { TwinBroker } from './twin-broker.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { Fact } from '../../src/reading/facts.ts';
import { misfitOfEvent } from '../../src/reading/gateway-events.ts';
import { timeImpossible } from '../../src/schedule/possible-time.ts';
import { type VirtualPort, virtualPort } from './virtual-port.ts';

export interface VirtualHouse {
  readonly clock: VirtualClock;
  readonly simulated: SimulatedHouse;
  readonly database: MemoryDatabase;
  readonly counters: MemoryDatabase;
  readonly broker: TwinBroker;
  readonly ingest: Ingest;
  store: Store;
  readonly since: Millis;
  /** How many of the simulated meters are configured. */
  readonly configured: number;
  /** The configuration file; what is changed here counts from the next restart on. */
  configText: string;
  /** What the store told last, outside of its database. */
  checkpoint: Checkpoint | undefined;
  /** What the disk has left, and what can be deleted to make room. */
  disk: { freeBytes: number; totalBytes: number } | null;
  relieved: { what: string; bytes: number }[];
  /** Where a store begins that has no epoch. */
  newEpoch: number;
  /** What the kernel says of the gateway's clock. */
  timeIsKnown: boolean;
  /** What the invocation counters told last, outside of their database. */
  countersCheckpoint: number | undefined;
  /** The next life has the system title of the first one, which no real one has. */
  firstTitle: boolean;
  /** Invocation counters that were used twice. */
  readonly reused: string[];
  house: House;
  port: VirtualPort | undefined;
  /** Starts the house again on what the store kept. */
  restart(): Promise<void>;
  /** Takes the configuration text as it is now, as a reload does. */
  reload(): Promise<void>;
  run(ms: number): Promise<void>;
  /** Intervals ended `graceMs` ago, by meter: how many are there and right, and what is wrong. */
  compare(graceMs: number): Map<number, { expected: number; right: number; wrong: string[] }>;
}

const diskMs = 20;
/** What the real database does takes little virtual time. */
const held = (database: Database, clock: VirtualClock): Database => ({
  get: (key) => clock.hold(database.get(key), diskMs),
  batch: (...all) => clock.hold(database.batch(...all), diskMs),
  range: (...all) => clock.hold(database.range(...all), diskMs),
  remove: (...all) => clock.hold(database.remove(...all), diskMs),
  all: () => database.all(),
  compact: () => clock.hold(database.compact(), diskMs),
  close: () => clock.hold(database.close(), diskMs),
});

/** Made anew each time: what a source gave is overwritten. */
const virtualKeys: Readonly<Record<string, () => Uint8Array>> = {
  'file:/ek': () => fromHex('000102030405060708090a0b0c0d0e0f'),
  'file:/ak': () => Buffer.from('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
  'file:/next-ek': () => fromHex('f00102030405060708090a0b0c0d0e0f'),
  'file:/next-ak': () => fromHex('e0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
};
const virtualSources: Omit<Sources, 'lifeTitle'> = {
  secret: (reference) => virtualKeys[reference]?.() ?? Buffer.from('meter'),
  file: (path) =>
    Buffer.from(
      path === '/central.jwk'
        ? JSON.stringify(publicOf(centralKey))
        : path === '/next.jwk'
          ? JSON.stringify(publicOf(nextKey))
          : '',
    ),
  socket: () => {},
  group: () => {},
  state: () => {},
  device: (path) => path,
  now: () => Date.UTC(2026, 10, 24),
};
const shipped = meterModels();

/** Every event that the gateway says has a row in the table, with these fields. */
function requireRow(fact: Fact): void {
  if (fact.kind !== 'event' || fact.source !== 'gateway') return;
  const why = misfitOfEvent(fact.name, fact.detail);
  if (why !== undefined) throw new Error(why);
}

export async function virtualHouse(
  scenario: ScenarioInput,
  options: {
    start?: number;
    days?: number;
    offsetS?: number;
    mqtt?: MqttKeys;
    orders?: OrdersKeys;
    /** How the meters are entered; by index in the scenario. */
    meter?: MeterKeys | ((index: number) => MeterKeys);
    gateway?: GatewayKeys;
    /** How many of the simulated meters are configured, from the first on. */
    configured?: number;
    /** So many buses, each with the meters of the scenario under serials of its own. */
    buses?: number;
    /** The gateway's even time is so much behind: a machine that woke up long ago. */
    evenShiftMs?: number;
    /** The gateway's time of day at the start is so much off. */
    wallOffsetMs?: number;
    /** More of each port in the configuration: its speed, mode E. */
    line?: PortKeys;
    /** Fields of the generic model. */
    model?: Partial<MeterModel>;
    /** Between the gateway and a bus: a line or an adapter that misbehaves. */
    port?: (port: VirtualPort, clock: VirtualClock, bus: number) => Port;
    /** Firmware images, by their SHA-256. */
    images?: ReadonlyMap<string, Uint8Array>;
    /** Of the store; few, so that packs come and go in a short test. */
    packSize?: number;
    /** Which meter is on turn, noted outside of the process; opened at each start. */
    turns?: () => TurnRecord;
    /** Lines on which meters push, and those meters. */
    listen?: (device: string, clock: VirtualClock) => Promise<Listening>;
    listeners?: ConfigurationKeys['listen'];
    /** Of the commissioned records (R13). */
    commissioned?: World['commissioned'];
    /** A real disk and a real broker; time stands still while they work. */
    real?: {
      readonly store: Pick<StoreSettings, 'open' | 'newEpoch' | 'damageFound' | 'checkpoint'>;
      readonly counters: Database;
      readonly openBroker: (clock: VirtualClock) => NonNullable<World['openBroker']>;
    };
  } = {},
): Promise<VirtualHouse> {
  const start = options.start ?? Date.UTC(2026, 10, 24, 12, 20);
  const days = options.days ?? 2;
  const clock = new VirtualClock(start);
  const perBus = scenario.meters?.count ?? 1;
  const buses = Array.from({ length: options.buses ?? 1 }, (_, bus) =>
    buildBus(
      parseScenario({
        ...scenario,
        meters: {
          history_days: days + 2,
          ...scenario.meters,
          first_serial: (scenario.meters?.first_serial ?? 60_120_001) + bus * perBus,
        },
      }),
      millis(start),
    ),
  );
  const [first] = buses as [SimulatedHouse];
  const simulated: SimulatedHouse = { bus: first.bus, meters: buses.flatMap(({ meters }) => meters) };
  const since = millis(Math.floor(start / dayMs) * dayMs - days * dayMs);
  const entered = (index: number) =>
    (typeof options.meter === 'function' ? options.meter(index) : options.meter) ?? lls;
  const text = configuration({
    gateway: { id: 'g1', tenant: 't1', poll_offset_s: options.offsetS ?? 5, ...options.gateway },
    ...(options.mqtt && { mqtt: options.mqtt }),
    orders: options.orders,
    ...(options.listeners && { listen: options.listeners }),
    port: buses.map(({ meters }, bus) => ({
      device: `/dev/virtual${bus === 0 ? '' : bus}`,
      ...options.line,
      meter: meters.slice(0, options.configured).map(({ settings: { serial, physical, periodS } }, index) =>
        meterOf(serial, {
          physical,
          ...entered(index),
          since: new Date(since).toISOString(),
          profiles: [{ obis: '1-0:99.1.0*255', period_s: periodS as 3600 }],
        }),
      ),
    })),
  });
  const database = new MemoryDatabase();
  const counters = new MemoryDatabase();
  const { real } = options;
  const ingest = newIngest();
  const broker = new TwinBroker(clock, ingest, 't1', options.gateway?.id ?? 'g1');
  const it = {
    clock,
    simulated,
    database,
    counters,
    broker,
    ingest,
    since,
    configured: options.configured ?? simulated.meters.length,
    timeIsKnown: true,
    countersCheckpoint: undefined,
    firstTitle: false,
    reused: [] as string[],
    newEpoch: 0,
    disk: null,
    relieved: [] as VirtualHouse['relieved'],
  } as VirtualHouse;
  it.configText = text;
  const issued = new Set<string>();
  let lives = 0;
  const lifeTitle = (): Uint8Array => Buffer.from(`MGW${String(it.firstTitle ? 1 : lives).padStart(5, '0')}`);
  // One for all starts: keys for an association are made of it.
  const random = seeded(1);
  const countersOf = async () => {
    const opened = await Counters.open({
      open: () => Promise.resolve({ database: real ? held(real.counters, clock) : counters }),
      fresh: it.house === undefined,
      checkpoint: {
        read: () => it.countersCheckpoint,
        write: (blocks) => void (it.countersCheckpoint = blocks),
        close: () => {},
      },
    });
    // No value of a key is used twice with one title, whatever happened to the gateway.
    const title = it.configText.includes('system_title') ? 'pinned' : Buffer.from(lifeTitle()).toString();
    const watched = (key: string, next: () => number) => () => {
      const value = next();
      const nonce = `${title} ${key} ${value}`;
      if (issued.has(nonce)) it.reused.push(`counter ${value} of ${key}`);
      issued.add(nonce);
      return value;
    };
    const lease = opened.lease.bind(opened);
    opened.lease = async (key, ...more) => watched(key, await lease(key, ...more));
    const claim = opened.claim.bind(opened);
    opened.claim = async (key, ...more) => {
      const claimed = await claim(key, ...more);
      return { ...claimed, next: watched(key, claimed.next) };
    };
    return opened;
  };
  clock.wallOffsetMs = options.wallOffsetMs ?? 0;
  const shift = options.evenShiftMs ?? 0;
  /** The clock as the gateway has it. */
  const own: Clock = {
    now: () => millis(clock.now() - shift),
    wall: () => clock.wall(),
    sleepUntil: (deadline, signal) => clock.sleepUntil(millis(deadline + shift), signal),
  };
  const generic = { ...(shipped.get('generic') as MeterModel), ...options.model };
  const models = new Map([...shipped, ['generic', generic]]);
  const planned = () => {
    const sources = { ...virtualSources, lifeTitle: lifeTitle() };
    return requirePlan(judgeText(it.configText, { name: 'virtual.toml', models, sources }), 'virtual.toml');
  };
  let inhabited: World | undefined;
  const begin = async () => {
    lives++;
    const plan = planned();
    const store = (it.store = await Store.open({
      open: () => Promise.resolve(database),
      clock: own,
      newEpoch: (after) => {
        // As the random part does: no state begins an epoch that another one had.
        it.newEpoch = Math.max(it.newEpoch, after) + 1;
        return it.newEpoch;
      },
      fit: (fact) => {
        requireRow(fact);
        return fitFact(fact, clock.wall());
      },
      timeImpossible: () => timeImpossible(clock.wall(), millis(0), millis(start)),
      packSize: options.packSize ?? 8,
      checkpoint: {
        read: () => it.checkpoint,
        write: (checkpoint) => void (it.checkpoint = checkpoint),
        close: () => {},
      },
      ...(real && { ...real.store, open: async (broken) => held(await real.store.open(broken), clock) }),
    }));
    const world: World = {
      clock: own,
      log: silentLog,
      store,
      counters: await countersOf(),
      version: '0',
      boot: 'b',
      random,
      openPort: (device) => {
        const { bus } = buses[Number(device.replace('/dev/virtual', '') || '0')] as SimulatedHouse;
        it.port = virtualPort(bus, clock);
        const between = options.port?.(it.port, clock, Number(device.replace('/dev/virtual', '') || '0'));
        const port: Port = between ?? it.port;
        if (shift === 0) return Promise.resolve(port);
        const read: Port['read'] = (until) => port.read(until === undefined ? undefined : millis(until + shift));
        return Promise.resolve({ ...port, read });
      },
      listen: (device) =>
        options.listen?.(device, clock) ?? Promise.reject(new Failure('port-missing', `no ${device}`)),
      disk: () => it.disk,
      relieve: () => Promise.resolve(it.relieved.splice(0, 1)),
      rssBytes: () => 0,
      timeIsKnown: () => it.timeIsKnown,
      timeTrouble: () => (it.timeIsKnown ? undefined : 'the kernel says so'),
      configurationRefused: () => undefined,
      image: (_, digest) => {
        const image = options.images?.get(digest);
        return image ? Promise.resolve(image) : Promise.reject(new Failure('file-unusable', 'no such image'));
      },
      timeImpossible: () => timeImpossible(clock.wall(), millis(0), millis(start)),
      openBroker: real ? real.openBroker(clock) : broker.open,
      ...(options.turns && { turns: options.turns() }),
      ...(options.commissioned && { commissioned: options.commissioned }),
    };
    inhabited = world;
    it.house = compose(plan, world);
    it.house.stopped.catch(() => {});
  };
  await begin();
  it.restart = begin;
  it.reload = async () => {
    const before = it.house;
    await clock.complete(before.stop());
    it.house = compose(planned(), inhabited as World, before);
    it.house.stopped.catch(() => {});
  };
  it.run = (ms) => clock.run(clock.now() + ms);
  it.compare = (graceMs) => {
    const result = new Map<number, { expected: number; right: number; wrong: string[] }>();
    simulated.meters.forEach(({ settings, curve }, index) => {
      const period = settings.periodS * 1000;
      const one = { expected: 0, right: 0, wrong: [] as string[] };
      const last = Math.floor((clock.wall() - graceMs) / period) * period;
      for (let end = since + period; end <= last; end += period) {
        one.expected++;
        let right = true;
        (['1.0.1.8.0.255', '1.0.2.8.0.255'] as const).forEach((name, channel) => {
          const value = ingest.values.get(
            valueKey(`m${settings.serial}`, obis(loadProfileName), obis(name), end - period),
          );
          const register = curve.register(channel as 0 | 1, millis(end));
          if (!value) right = false;
          else if (
            value.register !== register ||
            value.energy !== register - curve.register(channel as 0 | 1, millis(end - period))
          ) {
            right = false;
            one.wrong.push(`${new Date(end).toISOString()} ${JSON.stringify(value)} instead of ${register}`);
          }
        });
        if (right) one.right++;
      }
      result.set(index, one);
    });
    return result;
  };
  return it;
}
