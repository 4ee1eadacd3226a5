/** What the house says of itself: birth and health to the head-end, the snapshot to people. */
import { type Clock, iso, type Millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import type { Forwarder } from '../forward/forwarder.ts';
import { type BirthPayload, contractVersion, type HealthPayload } from '../contract/payloads.ts';
import type { LineQuality } from '../line/line-quality.ts';
import type { PortOwner } from '../line/port-owner.ts';
import type { Listener } from '../line/tapped.ts';
import type { ClockTrust, PolledMeter } from '../schedule/meter-state.ts';
import { answers } from '../schedule/reachability.ts';
import type { PortRunner } from '../schedule/runner.ts';
import type { Disk } from '../schedule/storage.ts';
import type { Store } from '../store/store.ts';
import type { Listener as PushListener } from '../listen/listener.ts';
import type { RefusedSummary } from '../listen/refused-pushes.ts';
import type { Snapshot } from './snapshot.ts';

/** A line with its meters, polled or listened to. */
export interface ReportedLine {
  readonly port: { readonly name: string; readonly device: string };
  readonly owner: Pick<PortOwner, 'state' | 'memory'>;
  readonly runner: Pick<PortRunner, 'activity' | 'trouble' | 'busFault' | 'status'>;
  readonly meters: readonly PolledMeter[];
  /** Of a listener: pushes that were not taken. */
  readonly refused?: () => RefusedSummary | undefined;
}
export interface ReportedPort extends ReportedLine {
  readonly owner: PortOwner;
  readonly runner: PortRunner;
  readonly listeners: Set<Listener>;
  readonly quality: LineQuality;
}
export interface ReportedListener extends ReportedLine {
  readonly runner: PushListener;
  readonly owner: PushListener['owner'];
}
/** What the reports are made of. */
export interface Reported {
  readonly gateway: string;
  readonly version: string;
  readonly boot: string;
  readonly configHash: string;
  readonly zone: string;
  /** Actions that may be ordered. */
  readonly orders: readonly string[];
  readonly upSince: Millis;
  readonly clock: Clock;
  readonly store: Store;
  readonly ports: readonly ReportedLine[];
  readonly clockTrust: () => ClockTrust;
  /** Why the time is not trusted. */
  readonly timeTrouble: () => string | null;
  readonly configurationRefused: () => string | undefined;
  readonly disk: () => Disk | null;
  readonly rssBytes: () => number;
}
/** Characters of what is wrong with a configuration, in the health message. */
const maxWhy = 500;

export const birthOf = (reported: Reported): BirthPayload => ({
  v: contractVersion,
  gateway: reported.gateway,
  version: reported.version,
  boot: reported.boot,
  epoch: reported.store.epoch,
  acknowledged: reported.store.acknowledged,
  clockTrust: reported.clockTrust(),
  configHash: reported.configHash,
  capabilities: [
    'profile',
    'gap',
    'reading',
    'event',
    'manifest',
    'result',
    'again',
    ...reported.orders.map((action) => `order:${action}`),
  ],
  meters: reported.ports.flatMap(({ meters }) =>
    meters.map(({ origin, series }) => ({
      ...origin,
      series: series.map(({ profile, periodMs }) => ({ profile: obis(profile), periodS: periodMs / 1000 })),
    })),
  ),
  at: iso(reported.clock.wall()),
});

/** What both reports say of a line. */
const lineOf = ({ port: { name, device }, owner: { state } }: ReportedLine) => ({
  name,
  device,
  open: state.open,
  error: state.lastError ?? null,
});

export async function healthOf(reported: Reported): Promise<HealthPayload> {
  const { boot, clock, store, ports } = reported;
  const { pending, oldestStoredAt, failure, damage } = await store.status();
  // Of one instant, behind all that is waited for.
  const { epoch, acknowledged } = store;
  const ageS = (at: Millis) => Math.max(0, Math.round((clock.wall() - at) / 1000));
  return {
    v: contractVersion,
    at: iso(clock.wall()),
    boot,
    epoch,
    acknowledged,
    pending,
    oldestUnacknowledgedS: oldestStoredAt === undefined ? null : ageS(oldestStoredAt),
    clockTrust: reported.clockTrust(),
    timeTrouble: reported.timeTrouble(),
    configuration: {
      hash: reported.configHash,
      refused: reported.configurationRefused()?.slice(0, maxWhy) ?? null,
    },
    disk: reported.disk(),
    ports: ports.map(lineOf),
    meters: ports.flatMap(({ runner }) =>
      runner.status().map(({ meter, verdict, lastSuccess, intervalsMissing, alarms, nextStep }) => ({
        meter,
        verdict,
        lastSuccess,
        missing: intervalsMissing,
        alarms: [...alarms],
        ...(!answers(verdict) && { next: nextStep }),
      })),
    ),
    store: { failure: failure ?? null, quarantined: damage.quarantined, missing: damage.missing },
  };
}

/** Of a listener whose peers were refused. */
function refusedOf({ refused }: ReportedLine): { readonly refused?: RefusedSummary } {
  const summary = refused?.();
  return summary ? { refused: summary } : {};
}

export async function snapshotOf(reported: Reported, forwarder: Forwarder): Promise<Snapshot> {
  const { gateway, version, boot, clock, store, ports, upSince } = reported;
  const { outbox } = forwarder;
  return {
    gateway,
    version,
    boot,
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
    time: { trust: reported.clockTrust(), trouble: reported.timeTrouble(), zone: reported.zone },
    store: await store.status(),
    ports: ports.map((port) => ({
      ...lineOf(port),
      activity: port.runner.activity ?? null,
      trouble: port.runner.trouble() ?? null,
      ...refusedOf(port),
      busFault: port.runner.busFault() ?? null,
      meters: port.runner.status(),
    })),
    rssBytes: reported.rssBytes(),
  };
}
