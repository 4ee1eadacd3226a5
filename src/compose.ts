/** The one file that knows all rooms: plan and world in, house out. */
import { Failure, messageOf } from './base/errors.ts';
import type { Log } from './base/log.ts';
import { Secret } from './base/secret.ts';
import { type Clock, dayMs, iso, later, type Millis, millis } from './base/time.ts';
import type { GatewayPlan } from './config/resolve.ts';
import type { MeterPlan } from './config/resolve-meter.ts';
import { obis } from './dlms/cosem/logical-name.ts';
import { Forwarder, type ForwarderSettings } from './forward/forwarder.ts';
import { type BirthPayload, contractVersion, type HealthPayload, topics } from './forward/payload.ts';
import type { Port } from './line/port.ts';
import { type LineMemory, PortOwner } from './line/port-owner.ts';
import type { ClockTrust, LineState, MeterState, PolledMeter } from './schedule/meter-state.ts';
import { polledSeries } from './schedule/polled-series.ts';
import { answers } from './schedule/reachability.ts';
import type { CounterAccepted } from './schedule/counter-accept.ts';
import { PortRunner } from './schedule/runner.ts';
import type { TurnRecord } from './schedule/turn-record.ts';
import { type CounterLease, technicianLease } from './schedule/technician-lease.ts';
import { gatewayFact, type ManifestFact, type ReadingFact } from './reading/facts.ts';
import { manifestOf } from './schedule/manifest.ts';
import { type Disk, storageState, type StorageState } from './schedule/storage.ts';
import { type SeriesGap, seriesGap } from './schedule/series-gaps.ts';
import { heldRows, type HeldRows, type Snapshot } from './status/snapshot.ts';
import type { Counters } from './store/counters.ts';
import type { Store } from './store/store.ts';
import { unacknowledgedRuns } from './store/unacknowledged.ts';

/** Everything outside of the house: on a concentrator the real thing, in a test a seeded twin. */
export interface World {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly counters: Counters;
  readonly version: string;
  readonly boot: string;
  readonly random: () => number;
  openPort(device: string, baud: number): Promise<Port>;
  disk(): Disk | null;
  /** Deletes what nobody needs, when the disk is nearly full; tells what went. */
  relieve(): Promise<readonly { readonly what: string; readonly bytes: number }[]>;
  rssBytes(): number;
  /** The kernel's clock is synchronised, and not before a time that was known once. */
  timeIsKnown(): boolean;
  /** Why it is not. */
  timeTrouble(): string | undefined;
  /** Why the configuration file as it is now was not taken. */
  configurationRefused(): string | undefined;
  /** Why the time of day cannot be right; undefined where it can. */
  timeImpossible(): string | undefined;
  readonly openBroker?: ForwarderSettings['open'];
  /** Which meter is on turn, noted where it outlives the process. */
  readonly turns?: TurnRecord;
}
export interface House {
  /** Resolves when the house has stopped; rejects when a part of it crashed. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
  snapshot(): Promise<Snapshot>;
  /** What is held back of meters that answer where others are configured. */
  quarantine(): Promise<HeldRows[]>;
  /** Reads a meter now (R39). */
  readNow(meter: string, force?: boolean): Promise<ReadingFact>;
  acceptCounter(meter: string): Promise<CounterAccepted>;
  leaseCounters(key: string): Promise<CounterLease>;
  /** Reads and says intervals of a series once more, because the head-end lost them; resolves to how many. */
  sayAgain(meter: string, series: string, from: number, to: number): Promise<number>;
  /** Every interval that is not delivered and plainly measured, and why. */
  gaps(): Promise<SeriesGap[]>;
  /** What is known of the meters, for the house that takes this one's place. */
  known(): Known;
  /** What stands in the way of progress; undefined when all is well. Feeds the watchdog. */
  stuck(): Promise<string | undefined>;
}
/** What one house leaves to the next: of meters by id, of lines by name. */
export interface Known {
  readonly upSince: Millis;
  readonly meters: ReadonlyMap<string, MeterState>;
  readonly lines: ReadonlyMap<
    string,
    { readonly device: string; readonly owner: LineMemory; readonly runner: LineState }
  >;
}
/** A runner this late hangs. */
const overdueLimitMs = 60_000;
/** Sessions without one octet, after which the port is opened anew: all meters twice, and some. */
const muteLimit = (meters: number): number => Math.max(6, 2 * meters);
const drainMs = 3000;
/** Of what is wrong with a configuration, in the health message. */
const whyMost = 500;
const storageEveryMs = 5000;
/** After the end of a UTC day. */
const manifestAfterMs = 6 * 3_600_000;
const manifestFirstMs = 3_600_000;
const manifestEveryMs = 10 * 60_000;
/** Of days that passed while nobody could tell their account: no more are told. */
const missedDaysMost = 62;

const freshOctets = (length: number, random: () => number): Uint8Array =>
  Uint8Array.from({ length }, () => Math.floor(random() * 256));

/** A planned meter as a port polls it: with the series that the store knows, and what is fresh for each session. */
function polledMeter(plan: MeterPlan, world: World, sinceByDefault: Millis): PolledMeter {
  const { origin, access, challengeOctets, security, dedicatedKeyOctets } = plan;
  return {
    origin,
    access: { ...access, challenge: () => freshOctets(challengeOctets, world.random) },
    ...(security && {
      security: {
        ...security,
        ...(dedicatedKeyOctets > 0 && { freshKey: () => new Secret(freshOctets(dedicatedKeyOctets, world.random)) }),
      },
    }),
    ...(plan.detectFrom && { detectFrom: plan.detectFrom }),
    ...(plan.swap && { swap: plan.swap }),
    ...(plan.powerLimitW !== undefined && { powerLimitW: plan.powerLimitW }),
    series: polledSeries(world.store, origin.meter, plan, sinceByDefault),
    ...(plan.unusable && { unusable: plan.unusable }),
    fingerprint: plan.fingerprint,
  };
}

/**
 * Wiring only: whatever could be wrong with the configuration was found when the plan was made. `before`: the house whose
 * place this one takes; it has stopped.
 */
export function compose(gatewayPlan: GatewayPlan, world: World, before?: House): House {
  const { clock, log, store } = world;
  const { config } = gatewayPlan;
  const startedAt = clock.now();
  const of = topics(config.gateway.tenant, config.gateway.id);
  const startOfToday = Math.floor(clock.wall() / dayMs) * dayMs;
  const defaultSince = millis(startOfToday - config.gateway.back_fill_days * dayMs);

  let storage: StorageState = 'ok';
  const clockTrust = (): ClockTrust =>
    config.gateway.clock_trust === 'assume' ? 'system' : world.timeIsKnown() ? 'kernel' : 'untrusted';

  const timeTrouble = (): string | null =>
    world.timeImpossible() ?? (clockTrust() === 'untrusted' ? (world.timeTrouble() ?? 'nobody says why') : null);

  const standstill = (): Failure | undefined => {
    if (storage === 'full') return new Failure('store-failed', 'the disk is full: nothing is read until there is room');
    const impossible = world.timeImpossible();
    return impossible === undefined ? undefined : new Failure('time-unknown', impossible);
  };
  const known = before?.known();
  const upSince = known?.upSince ?? startedAt;
  const ports = gatewayPlan.ports.map((port) => {
    const lineKnown = known?.lines.get(port.name);
    const line = lineKnown?.device === port.device ? lineKnown : undefined;
    const owner = new PortOwner({
      device: port.device,
      open: () => world.openPort(port.device, port.baud),
      clock,
      muteLimit: muteLimit(port.meters.length),
      before: line?.owner,
    });
    const meters = port.meters.map((meter) => polledMeter(meter, world, defaultSince));
    const runner = new PortRunner({
      name: port.name,
      owner,
      meters,
      store,
      counters: world.counters,
      clock,
      log,
      clockTrust,
      clockPolicy: { set: config.gateway.set_clocks, setLarge: config.gateway.set_large_deviations },
      timeZone: config.gateway.time_zone,
      standstill,
      ...(known && { known: known.meters, lineBefore: line?.runner }),
      ...(world.turns && { turns: world.turns }),
      plan: { offsetMs: config.gateway.poll_offset_s * 1000, slicesPerTurn: 3 },
    });
    return { port, owner, runner, meters };
  });

  const birth = (): BirthPayload => ({
    v: contractVersion,
    gateway: config.gateway.id,
    version: world.version,
    boot: world.boot,
    epoch: store.epoch,
    acknowledged: store.acknowledged,
    clockTrust: clockTrust(),
    configHash: gatewayPlan.hash,
    capabilities: ['profile', 'gap', 'reading', 'event', 'manifest', 'again'],
    meters: ports.flatMap(({ meters }) =>
      meters.map(({ origin, series }) => ({
        ...origin,
        series: series.map(({ profile, periodMs }) => ({ profile: obis(profile), periodS: periodMs / 1000 })),
      })),
    ),
    at: iso(clock.wall()),
  });
  const health = async (): Promise<HealthPayload> => {
    const status = await store.status();
    return {
      v: contractVersion,
      at: iso(clock.wall()),
      boot: world.boot,
      epoch: status.epoch,
      pending: status.pending,
      oldestUnacknowledgedS:
        status.oldestStoredAt === undefined
          ? null
          : Math.max(0, Math.round((clock.wall() - status.oldestStoredAt) / 1000)),
      clockTrust: clockTrust(),
      timeTrouble: timeTrouble(),
      configuration: { hash: gatewayPlan.hash, refused: world.configurationRefused()?.slice(0, whyMost) ?? null },
      disk: world.disk(),
      ports: ports.map(({ port, owner }) => ({
        name: port.name,
        device: port.device,
        open: owner.state.open,
        error: owner.state.lastError ?? null,
      })),
      meters: ports.flatMap(({ runner }) =>
        runner.status().map((meter) => ({
          meter: meter.meter,
          verdict: meter.verdict,
          lastSuccess: meter.lastSuccess,
          missing: meter.intervalsMissing,
          alarms: [...meter.alarms],
          ...(!answers(meter.verdict) && { next: meter.nextStep }),
        })),
      ),
      store: {
        failure: status.failure ?? null,
        quarantined: status.damage.quarantined,
        missing: status.damage.missing,
      },
    };
  };
  const forwarder = new Forwarder({
    store,
    clock,
    log,
    gateway: config.gateway.id,
    boot: world.boot,
    topics: of,
    broker: gatewayPlan.broker,
    rateLimit: config.mqtt.rate_limit,
    birth,
    health,
    random: world.random,
    // What was used meanwhile of invocation counters is not known either.
    onFellBack: () => world.counters.doubt(),
    again: async ({ meter, series, from, to }) =>
      runnerOf(meter).sayAgain(meter, series, Date.parse(from), Date.parse(to)),
    ...(world.openBroker && { open: world.openBroker }),
  });

  /** The account of each UTC day, when the collection of its rows should be over (06:00 of the next day). */
  const tellManifests = async (signal: AbortSignal): Promise<void> => {
    // Right after a start much is still to be read.
    await clock.sleepUntil(later(startedAt, manifestFirstMs), signal);
    while (!signal.aborted) {
      const wall = clock.wall();
      const day = Math.floor((wall - manifestAfterMs) / dayMs) * dayMs - dayMs;
      const logs = store.meterLogs('_');
      if (clockTrust() !== 'untrusted' && world.timeImpossible() === undefined && (logs.manifestDay ?? 0) < day) {
        try {
          const afterMarks = store.marksVersion;
          const facts: ManifestFact[] = [];
          const series = ports.flatMap(({ runner }) => runner.series());
          // Days that passed while nobody could tell them, and days that changed since they were told.
          const lastTold = Math.max(logs.manifestDay ?? day - dayMs, day - missedDaysMost * dayMs);
          for (let missed = lastTold + dayMs; missed < day; missed += dayMs)
            facts.push(...(await manifestOf(store, series, missed, wall)));
          for (const one of [...(logs.staleDays ?? []), day])
            facts.push(...(await manifestOf(store, series, one, wall)));
          const told = { ...logs, manifestDay: day, staleDays: [] };
          await store.commit({ meter: '_', entryClass: 0, facts, logs: told, afterMarks });
        } catch (error) {
          // Rows that came meanwhile belong into it.
          if (error instanceof Failure && error.code === 'busy') continue;
          log.warn({ error: messageOf(error) }, 'the manifest of the day could not be stored; tried again');
        }
      }
      await clock.sleepUntil(later(clock.now(), manifestEveryMs), signal);
    }
  };
  /** What the disk has left, and what was deleted to make room, are events (R22). */
  const watchStorage = async (signal: AbortSignal): Promise<void> => {
    let told: StorageState = 'ok';
    const waiting: { name: string; detail: Record<string, string | number> }[] = [];
    while (!signal.aborted) {
      const disk = world.disk();
      if (disk) storage = storageState(disk, storage);
      if (disk && storage !== told) {
        log.warn({ ...disk, storage }, 'room on the disk');
        waiting.push({ name: `STORAGE_${storage.toUpperCase()}`, detail: { ...disk } });
        told = storage;
      }
      if (storage !== 'ok') {
        const freed = await world.relieve().catch((error: unknown) => {
          log.warn({ error: messageOf(error) }, 'no room could be made on the disk');
          return [];
        });
        for (const { what, bytes } of freed) waiting.push({ name: 'STORAGE_FREED', detail: { what, bytes } });
      }
      try {
        while (waiting[0] && world.timeImpossible() === undefined) {
          await store.commit({
            meter: '_',
            entryClass: 0,
            facts: [gatewayFact(clock.wall(), waiting[0].name, waiting[0].detail)],
          });
          waiting.shift();
        }
      } catch (error) {
        // It is told when there is room for it.
        log.warn({ error: messageOf(error) }, 'state of the disk not stored');
      }
      await clock.sleepUntil(later(clock.now(), storageEveryMs), signal);
    }
  };
  const polling = new AbortController();
  const forwarding = new AbortController();
  const runners = Promise.all(ports.map(({ runner }) => runner.run(polling.signal)));
  const forwards = forwarder.run(forwarding.signal);
  const manifests = tellManifests(polling.signal);
  const disk = watchStorage(polling.signal);
  const stopped = Promise.all([runners, forwards, manifests, disk]).then(() => {});
  let stopping: Promise<void> | undefined;
  // A part that crashed takes the others with it; systemd starts all of them again.
  stopped.catch(() => stop());

  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      polling.abort();
      const drained = new AbortController();
      void runners.catch(() => {}).finally(() => drained.abort());
      await clock.sleepUntil(later(clock.now(), drainMs), drained.signal);
      // A session that is still reading loses its line; its rows were not stored, they will be read again.
      for (const { owner } of ports)
        await owner.close().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'port did not close'));
      await runners.catch(() => {});
      forwarding.abort();
      await forwards.catch(() => {});
    })();
    return stopping;
  };

  const runnerOf = (meter: string): PortRunner => {
    const port = ports.find(({ meters }) => meters.some(({ origin }) => origin.meter === meter));
    if (!port) throw new Failure('unknown-meter', `no meter '${meter}' in the configuration`);
    return port.runner;
  };

  return {
    stopped,
    stop,
    quarantine: async () => heldRows(await store.quarantined()),
    readNow: async (meter, force) => runnerOf(meter).readNow(meter, force),
    acceptCounter: async (meter) => runnerOf(meter).acceptCounter(meter),
    leaseCounters: (key) =>
      technicianLease(
        world.counters,
        ports.flatMap(({ meters }) => meters),
        key,
      ),
    sayAgain: async (meter, ...more) => runnerOf(meter).sayAgain(meter, ...more),
    async gaps() {
      const all = ports.flatMap(({ runner }) => runner.series());
      const waiting = (await unacknowledgedRuns(store)).flatMap(({ meter, series, from, to }): SeriesGap[] => {
        const own = all.find((one) => one.origin.meter === meter && one.series === series);
        return own ? [seriesGap(own.origin, own, [from, to, 'UNACKNOWLEDGED'])] : [];
      });
      return [...ports.flatMap(({ runner }) => runner.gaps()), ...waiting];
    },
    known: () => ({
      upSince,
      meters: new Map(ports.flatMap(({ runner }) => [...runner.known])),
      lines: new Map(
        ports.map(({ port: { name, device }, owner, runner }) => [
          name,
          { device, owner: owner.memory, runner: runner.lineState },
        ]),
      ),
    }),
    async snapshot() {
      const { outbox } = forwarder;
      return {
        gateway: config.gateway.id,
        version: world.version,
        boot: world.boot,
        at: iso(clock.wall()),
        uptimeS: (clock.now() - upSince) / 1000,
        broker: {
          connected: forwarder.online,
          trouble: forwarder.trouble ?? null,
          sent: outbox.sentCount,
          acknowledged: outbox.acknowledgedCount,
          sentAgain: outbox.resendCount,
          split: outbox.splitCount,
          refused: outbox.refusedCount,
          unfit: forwarder.unfitCount,
        },
        time: { trust: clockTrust(), trouble: timeTrouble(), zone: config.gateway.time_zone },
        store: await store.status(),
        ports: ports.map(({ port, owner, runner }) => ({
          name: port.name,
          device: port.device,
          open: owner.state.open,
          error: owner.state.lastError ?? null,
          activity: runner.activity ?? null,
          trouble: runner.trouble() ?? null,
          busFault: runner.busFault() ?? null,
          meters: runner.status(),
        })),
        rssBytes: world.rssBytes(),
      };
    },
    async stuck() {
      for (const { runner } of ports) {
        const overdue = runner.overdueMs(clock.now());
        if (overdue > overdueLimitMs) return `port ${runner.name} is ${Math.round(overdue / 1000)} s late`;
      }
      // Reads a record: a database that hangs hangs here, and the watchdog is not fed. One that fails is opened again by
      // the store itself; a restart would not give the disk more room.
      await store.status();
      return undefined;
    },
  };
}
