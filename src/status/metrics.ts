/**
 * Metrics in the text format of Prometheus, from one table: docs/metrics.md is made of it. Names end in their unit, counters in
 * _total. A client library would take more memory than the page, its server and these together.
 */
import type { PortUses } from './line-trace.ts';
import type { Snapshot } from './snapshot.ts';
import { verdictWords } from '../reading/verdict.ts';

/** Of the page's own server. */
export interface PageFigures {
  readonly requests: number;
  readonly refused: number;
  readonly wrongLogins: number;
  readonly policyReports: number;
  readonly foreign: number;
  readonly readers: number;
}
export interface Measured {
  readonly snapshot: Snapshot;
  readonly uses: readonly PortUses[];
  readonly page: PageFigures;
  /** ms. */
  readonly now: number;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null;
  readonly cpuS: number;
  readonly eventLoopLagS: number;
}
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number | null];
interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: (measured: Measured) => readonly Sample[];
}
const none = {} as const;
interface Source {
  readonly labels: readonly string[];
  readonly samples: Metric['samples'];
}
const gauge = (name: string, help: string, source: Source): Metric => ({
  name: `meter_gateway_${name}`,
  type: 'gauge',
  help,
  ...source,
});
const counter = (name: string, help: string, source: Source): Metric => ({
  name: `meter_gateway_${name}_total`,
  type: 'counter',
  help,
  ...source,
});
const one = (value: (measured: Measured) => number | null): Source => ({
  labels: [],
  samples: (measured) => [[none, value(measured)]],
});
const flag = (value: boolean): number => (value ? 1 : 0);
const age = (now: number, at: string | number | null | undefined): number | null =>
  at === null || at === undefined ? null : Math.max(0, (now - (typeof at === 'number' ? at : Date.parse(at))) / 1000);

const eachMeter = (
  value: (meter: Snapshot['ports'][number]['meters'][number], measured: Measured) => number | null,
): Source => ({
  labels: ['port', 'meter'],
  samples: (measured) =>
    measured.snapshot.ports.flatMap((port) =>
      port.meters.map((meter): Sample => [{ port: port.name, meter: meter.meter }, value(meter, measured)]),
    ),
});
const eachUse = (value: (use: PortUses['uses'][number]) => number): Source => ({
  labels: ['port', 'meter'],
  samples: ({ uses }) =>
    uses.flatMap(({ port, uses: own }) => own.map((use): Sample => [{ port, meter: use.meter }, value(use)])),
});

export const metricTable: readonly Metric[] = [
  gauge('info', 'always 1; what runs is in its labels', {
    labels: ['version', 'gateway', 'configuration'],
    samples: ({ snapshot: { version, gateway, configuration } }) => [
      [{ version, gateway, configuration: configuration?.hash ?? '' }, 1],
    ],
  }),
  gauge(
    'uptime_seconds',
    'since the start of the process',
    one(({ snapshot }) => snapshot.uptimeS),
  ),
  gauge(
    'resident_memory_bytes',
    'memory of the process that is in RAM',
    one(({ snapshot }) => snapshot.rssBytes),
  ),
  counter(
    'cpu_seconds',
    'time of processors that the process has used',
    one(({ cpuS }) => cpuS),
  ),
  gauge(
    'event_loop_lag_seconds',
    'longest time since the last scrape that the process could not answer',
    one(({ eventLoopLagS }) => eventLoopLagS),
  ),
  gauge(
    'clock_trusted',
    '1 where the time of the gateway is known to be right',
    one(({ snapshot }) => flag(snapshot.time.trust !== 'untrusted')),
  ),
  gauge(
    'configuration_refused',
    '1 where the configuration file as it is now was not taken',
    one(({ snapshot }) => flag(Boolean(snapshot.configuration?.refused))),
  ),
  gauge(
    'broker_connected',
    '1 while the broker is connected',
    one(({ snapshot }) => flag(snapshot.broker.connected)),
  ),
  counter(
    'messages_sent',
    'messages given to the broker, also again',
    one(({ snapshot }) => snapshot.broker.sent),
  ),
  counter(
    'messages_sent_again',
    'messages that were sent once more',
    one(({ snapshot }) => snapshot.broker.sentAgain),
  ),
  counter(
    'messages_refused',
    'messages that the broker or the head-end refused',
    one(({ snapshot }) => snapshot.broker.refused),
  ),
  counter(
    'payloads_unfit',
    'payloads of the head-end that did not fit the contract',
    one(({ snapshot }) => snapshot.broker.unfit),
  ),
  gauge(
    'unacknowledged_messages',
    'messages that the head-end has not acknowledged',
    one(({ snapshot }) => snapshot.store.pending),
  ),
  gauge(
    'oldest_unacknowledged_age_seconds',
    'age of the oldest of them; left out where there is none',
    one(({ snapshot, now }) => age(now, snapshot.store.oldestStoredAt)),
  ),
  gauge(
    'store_failed',
    '1 while the store does not take anything',
    one(({ snapshot }) => flag(snapshot.store.failure !== undefined)),
  ),
  gauge(
    'disk_free_bytes',
    'free on the disk of the state directory',
    one(({ disk }) => disk?.freeBytes ?? null),
  ),
  gauge(
    'disk_total_bytes',
    'size of the disk of the state directory',
    one(({ disk }) => disk?.totalBytes ?? null),
  ),
  gauge('port_open', '1 while the line is open', {
    labels: ['port'],
    samples: ({ snapshot }) => snapshot.ports.map(({ name, open }): Sample => [{ port: name }, flag(open)]),
  }),
  gauge('meters', 'meters by their verdict', {
    labels: ['verdict'],
    samples({ snapshot }) {
      const all = snapshot.ports.flatMap(({ meters }) => meters.map(({ verdict }) => verdict as string));
      return Object.keys(verdictWords).map(
        (verdict): Sample => [{ verdict }, all.filter((own) => own === verdict).length],
      );
    },
  }),
  gauge(
    'meter_last_success_age_seconds',
    'since the end of the last session that succeeded; left out before the first',
    eachMeter((meter, { now }) => age(now, meter.lastSuccess)),
  ),
  gauge(
    'meter_failures',
    'sessions in a row that failed',
    eachMeter(({ failures }) => failures),
  ),
  gauge(
    'meter_clock_deviation_seconds',
    'how far the clock of the meter is ahead',
    eachMeter(({ clockDeviationS }) => clockDeviationS),
  ),
  gauge(
    'meter_missing_intervals',
    'intervals that are due and were not read',
    eachMeter(({ intervalsMissing }) => intervalsMissing),
  ),
  counter(
    'meter_intervals',
    'intervals that were read since the start',
    eachMeter(({ intervalsRead }) => intervalsRead),
  ),
  counter(
    'line_requests',
    'requests to the meter',
    eachUse(({ asked }) => asked),
  ),
  counter(
    'line_answers',
    'answers of the meter',
    eachUse(({ answered }) => answered),
  ),
  counter(
    'line_unanswered',
    'requests that nothing came to',
    eachUse(({ unanswered }) => unanswered),
  ),
  counter(
    'line_wasted_seconds',
    'time that the line was waited for in vain',
    eachUse(({ wastedS }) => wastedS),
  ),
  counter(
    'line_sent_bytes',
    'octets sent to the meter',
    eachUse(({ sentOctets }) => sentOctets),
  ),
  counter(
    'line_received_bytes',
    'octets heard of the meter',
    eachUse(({ heardOctets }) => heardOctets),
  ),
  counter(
    'page_requests',
    'requests to the page',
    one(({ page }) => page.requests),
  ),
  counter(
    'page_refused',
    'requests that were answered with 400 or above',
    one(({ page }) => page.refused),
  ),
  counter(
    'page_wrong_logins',
    'wrong passwords and tickets',
    one(({ page }) => page.wrongLogins),
  ),
  counter(
    'page_policy_reports',
    'reports of browsers that the page broke its own policy',
    one(({ page }) => page.policyReports),
  ),
  counter(
    'page_foreign_requests',
    'requests of host names that are not ours, or by the page of another site',
    one(({ page }) => page.foreign),
  ),
  gauge(
    'page_readers',
    'browsers that watch',
    one(({ page }) => page.readers),
  ),
];

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
function lineOf(name: string, [labels, value]: Sample): string[] {
  if (value === null || !Number.isFinite(value)) return [];
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  return [`${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`];
}
export function metricsText(measured: Measured): string {
  const lines = metricTable.flatMap(({ name, type, help, samples }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples(measured).flatMap((sample) => lineOf(name, sample)),
  ]);
  return `${lines.join('\n')}\n`;
}
