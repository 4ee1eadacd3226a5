/** The one file that knows all rooms: config and world in, house out. */
import { createHash } from 'node:crypto';
import { Failure, messageOf } from './base/errors.ts';
import type { Log } from './base/log.ts';
import { fromHex } from './base/hex.ts';
import { Secret } from './base/secret.ts';
import { type Clock, dayMs, iso, later, millis } from './base/time.ts';
import type { Config } from './config/schema.ts';
import { obis, parseLogicalName } from './dlms/cosem/logical-name.ts';
import { signingOf } from './dlms/security/certificate.ts';
import { Forwarder, type ForwarderSettings } from './forward/forwarder.ts';
import { type BirthPayload, contractVersion, type HealthPayload, topics } from './forward/payload.ts';
import { parseSelector } from './line/open-port.ts';
import type { Port } from './line/port.ts';
import { PortOwner } from './line/port-owner.ts';
import { genericModel, type MeterModel, physicalAddressOf } from './meter/model.ts';
import type { ClockTrust, MeterSecurity, PolledMeter, PolledProfile } from './schedule/meter-state.ts';
import { PortRunner } from './schedule/runner.ts';
import { gatewayFact, type ManifestFact, type ReadingFact } from './reading/facts.ts';
import { manifestOf } from './schedule/manifest.ts';
import { type Disk, storageState, type StorageState } from './schedule/storage.ts';
import type { SeriesGap } from './schedule/runner.ts';
import { heldRows, type HeldRows, type Snapshot } from './status/snapshot.ts';
import type { Counters } from './store/counters.ts';
import type { Store } from './store/store.ts';

/** Everything outside of the house: on a concentrator the real thing, in a test a seeded twin. */
export interface World {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly counters: Counters;
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly version: string;
  readonly boot: string;
  readonly random: () => number;
  openPort(device: string, baud: number): Promise<Port>;
  /** Resolves file:/… and credential:… */
  secret(reference: string): Uint8Array;
  file(path: string): Uint8Array;
  disk(): Disk | null;
  /** Deletes what nobody needs, when the disk is nearly full; tells what went. */
  relieve(): Promise<readonly { readonly what: string; readonly bytes: number }[]>;
  rssBytes(): number;
  /** The kernel's clock is synchronised, and not before a time that was known once. */
  timeIsKnown(): boolean;
  readonly openBroker?: ForwarderSettings['open'];
}
export interface House {
  /** Resolves when the house has stopped; rejects when a part of it crashed. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
  snapshot(): Promise<Snapshot>;
  /** What is held back of meters that answer where others are configured. */
  quarantine(): Promise<HeldRows[]>;
  /** Reads a meter now (R39). */
  readNow(meter: string): Promise<ReadingFact>;
  /** Every interval that is not delivered and plainly measured, and why. */
  gaps(): Promise<SeriesGap[]>;
  /** What stands in the way of progress; undefined when all is well. Feeds the watchdog. */
  stuck(): Promise<string | undefined>;
}
/** A runner this late hangs. */
const overdueLimitMs = 60_000;
/** Sessions without one octet, after which the port is opened anew: all meters twice, and some. */
const muteLimit = (meters: number): number => Math.max(6, 2 * meters);
const drainMs = 3000;
const storageEveryMs = 5000;
/** After the end of a UTC day. */
const manifestAfterMs = 6 * 3_600_000;
const manifestFirstMs = 3_600_000;
const manifestEveryMs = 10 * 60_000;

/** 'MGW' and five octets that only this gateway has. */
const defaultSystemTitle = (tenant: string, gateway: string): Uint8Array =>
  Buffer.concat([Buffer.from('MGW'), createHash('sha256').update(`${tenant}/${gateway}`).digest().subarray(0, 5)]);

/** Registers by the one spelling of their OBIS code. */
const keyed = (registers: Readonly<Record<string, number | string>>): Record<string, number | string> =>
  Object.fromEntries(Object.entries(registers).map(([code, value]) => [obis(parseLogicalName(code)), value]));

/** Throws Failure `config-invalid` where config and world do not fit: unknown model, missing secret. */
export function compose(config: Config, world: World): House {
  const { clock, log, store } = world;
  const startedAt = clock.now();
  const of = topics(config.gateway.tenant, config.gateway.id);
  const startOfToday = Math.floor(clock.wall() / dayMs) * dayMs;
  const defaultSince = millis(startOfToday - config.gateway.back_fill_days * dayMs);

  const systemTitle =
    config.gateway.system_title === undefined
      ? defaultSystemTitle(config.gateway.tenant, config.gateway.id)
      : fromHex(config.gateway.system_title);

  const keyOf = (reference: string, suite: number): Secret => {
    const octets = world.secret(reference);
    const length = suite === 2 ? 32 : 16;
    const text = Buffer.from(octets).toString('latin1').trim();
    const key = text.length === length * 2 && /^[0-9a-f]+$/i.test(text) ? fromHex(text) : octets;
    if (key.length !== length)
      throw new Failure('secret-missing', `${reference}: a key of suite ${suite} has ${length} octets, in hex or raw`);
    return new Secret(key);
  };
  const securityOf = (meter: Config['port'][number]['meter'][number]): MeterSecurity | undefined => {
    if (meter.encryption_key === undefined || meter.authentication_key === undefined) return undefined;
    const encryption = keyOf(meter.encryption_key, meter.suite);
    const keys = { encryption, authentication: keyOf(meter.authentication_key, meter.suite) };
    // Counters belong to a key and a title: whoever configures the same key again goes on where it stood.
    const counterName = createHash('sha256')
      .update('counter')
      .update(encryption.reveal())
      .update(systemTitle)
      .digest('hex')
      .slice(0, 24);
    return {
      counterName,
      counterObject: parseLogicalName(meter.counter_object),
      ...(meter.dedicated_key && {
        freshKey: () =>
          new Secret(Uint8Array.from({ length: encryption.length }, () => Math.floor(world.random() * 256))),
      }),
      settings: { suite: meter.suite, ownTitle: systemTitle, keys, policy: meter.policy, wrapping: meter.wrapping },
    };
  };

  const seriesOf = ({ id, profiles, since }: Config['port'][number]['meter'][number]): PolledProfile[] => {
    const found: PolledProfile[] = [];
    for (const { obis: code, period_s, until } of profiles) {
      const profile = parseLogicalName(code);
      const periodMs = period_s * 1000;
      const before = found.findLast((one) => one.profile === profile);
      const known = store.seriesState(id, profile)?.periodMs ?? periodMs;
      const configured = since === undefined ? undefined : millis(Date.parse(since));
      // The period before a change may no longer be configured: the store knows where this one began.
      const key = before || known !== periodMs ? `${profile}@${period_s}` : profile;
      const began = key === profile ? undefined : store.seriesState(id, key)?.since;
      found.push({
        key,
        profile,
        periodMs,
        since: before ? before.until : began === undefined ? configured : millis(began),
        sinceByDefault: defaultSince,
        ...(until !== undefined && { until: millis(Date.parse(until)) }),
        ...(before && { after: before.key }),
      });
    }
    return found;
  };

  let storage: StorageState = 'ok';
  const clockTrust = (): ClockTrust =>
    config.gateway.clock_trust === 'assume' ? 'system' : world.timeIsKnown() ? 'kernel' : 'untrusted';

  const ports = config.port.map((port) => {
    const timed = parseSelector(port.device).kind === 'serial';
    const openBaud = port.mode_e ? 300 : port.baud;
    const owner = new PortOwner({
      device: port.device,
      open: () => world.openPort(port.device, openBaud),
      clock,
      muteLimit: muteLimit(port.meter.length),
    });
    const meters = port.meter.map((meter): PolledMeter => {
      const detected = meter.model === 'auto';
      const model = world.models.get(detected ? genericModel.name : meter.model);
      if (!model) {
        throw new Failure(
          'config-invalid',
          `meter ${meter.id}: no model '${meter.model}'; there are auto, ${[...world.models.keys()].join(', ')}`,
        );
      }
      const security = securityOf(meter);
      return {
        ...(security && { security }),
        ...(meter.fuse_a !== undefined && { powerLimitW: meter.fuse_a * meter.phases * 230 }),
        ...(meter.swap && {
          swap: {
            from: meter.swap.from,
            at: Date.parse(meter.swap.at),
            final: keyed(meter.swap.final),
            first: keyed(meter.swap.first),
          },
        }),
        ...(detected && { detectFrom: [...world.models.values()] }),
        origin: { meter: meter.id, point: meter.point, serial: meter.serial },
        access: {
          link: port.link,
          modeE: port.mode_e,
          signOnAddress: port.meter.length > 1 ? meter.serial : '',
          client: meter.client,
          logical: meter.server,
          // Several meters on one line are told apart by their physical address, which most makers form from the serial.
          physical:
            meter.physical ??
            (port.link === 'hdlc' && port.meter.length > 1 ? physicalAddressOf(model, meter.serial) : undefined),
          auth: meter.auth,
          systemTitle,
          // 16 octets, 32 where they are signed (Green Book 9.2.7.4).
          challenge: () =>
            Uint8Array.from({ length: meter.auth === 'hls-ecdsa' ? 32 : 16 }, () => Math.floor(world.random() * 256)),
          ...(meter.auth === 'hls-ecdsa' && {
            signing: signingOf(
              new Secret(world.secret(meter.signing_key as string)),
              world.file(meter.meter_certificate as string),
            ),
          }),
          secret: meter.secret === undefined ? undefined : new Secret(world.secret(meter.secret)),
          model,
          baud: port.baud,
          timed,
          answerTimeoutMs: port.answer_timeout_ms,
          retries: port.retries,
          guardMs: port.guard_ms,
        },
        profiles: seriesOf(meter),
      };
    });
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
      intake: () => storage !== 'full',
      plan: { offsetMs: config.gateway.poll_offset_s * 1000, slicesPerTurn: 3 },
    });
    return { port, owner, runner, meters };
  });

  const configHash = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
  const birth = (): BirthPayload => ({
    v: contractVersion,
    gateway: config.gateway.id,
    version: world.version,
    boot: world.boot,
    epoch: store.epoch,
    acknowledged: store.acknowledged,
    clockTrust: clockTrust(),
    configHash,
    capabilities: ['profile', 'gap', 'reading'],
    meters: ports.flatMap(({ meters }) =>
      meters.map(({ origin, profiles }) => ({
        ...origin,
        series: profiles.map(({ profile, periodMs }) => ({ profile, periodS: periodMs / 1000 })),
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
        })),
      ),
      store: {
        failure: status.failure ?? null,
        quarantined: status.damage.quarantined,
        missing: status.damage.missing,
      },
    };
  };
  const { mqtt } = config;
  const forwarder = new Forwarder({
    store,
    clock,
    log,
    gateway: config.gateway.id,
    boot: world.boot,
    topics: of,
    broker: {
      url: mqtt.url,
      protocol: mqtt.protocol === '5' ? 5 : 4,
      clientId: `meter-gateway-${config.gateway.tenant}-${config.gateway.id}`,
      ...(mqtt.username !== undefined && { username: mqtt.username }),
      ...(mqtt.password !== undefined && { password: world.secret(mqtt.password) }),
      ...(mqtt.ca_file !== undefined && { ca: world.file(mqtt.ca_file) }),
      ...(mqtt.cert_file !== undefined && { cert: world.file(mqtt.cert_file) }),
      ...(mqtt.key !== undefined && { key: world.secret(mqtt.key) }),
      keepaliveS: mqtt.keepalive_s,
      window: mqtt.window,
    },
    rateLimit: mqtt.rate_limit,
    birth,
    health,
    random: world.random,
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
      if (clockTrust() !== 'untrusted' && (logs.manifestDay ?? 0) < day) {
        try {
          const afterMarks = store.marksVersion;
          const facts: ManifestFact[] = [];
          const series = ports.flatMap(({ runner }) => runner.series());
          // Days that passed while nobody could tell them, and days that changed since they were told.
          for (let missed = (logs.manifestDay ?? day - dayMs) + dayMs; missed < day; missed += dayMs)
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
        while (waiting[0]) {
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

  return {
    stopped,
    stop,
    quarantine: async () => heldRows(await store.quarantined()),
    readNow(meter) {
      const port = ports.find(({ meters }) => meters.some(({ origin }) => origin.meter === meter));
      if (!port) return Promise.reject(new Failure('bad-argument', `no meter '${meter}' in the configuration`));
      return port.runner.readNow(meter);
    },
    async gaps() {
      const all = ports.flatMap(({ runner }) => runner.series());
      const waiting = (await store.unacknowledged()).flatMap(({ meter, series, from, to }): SeriesGap[] => {
        const own = all.find(({ origin, profile }) => origin.meter === meter && obis(profile) === series);
        if (!own) return [];
        const intervals = Math.round((to - from) / own.periodMs);
        return [
          { ...own.origin, series, from: iso(millis(from)), to: iso(millis(to)), intervals, state: 'UNACKNOWLEDGED' },
        ];
      });
      return [...ports.flatMap(({ runner }) => runner.gaps()), ...waiting];
    },
    async snapshot() {
      const { outbox } = forwarder;
      return {
        gateway: config.gateway.id,
        version: world.version,
        boot: world.boot,
        at: iso(clock.wall()),
        uptimeS: (clock.now() - startedAt) / 1000,
        broker: {
          connected: forwarder.online,
          trouble: forwarder.trouble ?? null,
          sent: outbox.sentCount,
          acknowledged: outbox.acknowledgedCount,
          sentAgain: outbox.resendCount,
        },
        store: await store.status(),
        ports: ports.map(({ port, owner, runner }) => ({
          name: port.name,
          device: port.device,
          open: owner.state.open,
          error: owner.state.lastError ?? null,
          activity: runner.activity ?? null,
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
