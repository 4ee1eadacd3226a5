/** One snapshot of the house, for the command line and later the page and the metrics. */
import { iso, millis } from '../base/time.ts';
import { deviationWords } from '../base/words.ts';
import type { Fact, ReadingFact } from '../reading/facts.ts';
import type { ClockTrust } from '../schedule/meter-state.ts';
import type { BusFault } from '../schedule/bus-fault.ts';
import type { MeterStatus } from '../schedule/runner.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import type { StoreStatus } from '../store/store.ts';

export interface PortStatus {
  readonly name: string;
  readonly device: string;
  readonly open: boolean;
  readonly error: string | null;
  readonly activity: string | null;
  /** What this line cannot do, as far as it was seen. */
  readonly trouble: string | null;
  /** What keeps all of its meters from being read, once for the line. */
  readonly busFault: BusFault | null;
  readonly meters: readonly MeterStatus[];
}
export interface Snapshot {
  readonly gateway: string;
  readonly version: string;
  readonly boot: string;
  readonly at: string;
  readonly uptimeS: number;
  readonly broker: {
    readonly connected: boolean;
    /** What stands between the gateway and its head-end, where that is known. */
    readonly trouble: string | null;
    readonly sent: number;
    readonly acknowledged: number;
    readonly sentAgain: number;
    /** Messages that were too large for the broker and were split; refusals by the broker; payloads of the head-end that did not fit. */
    readonly split: number;
    readonly refused: number;
    readonly unfit: number;
  };
  /** Which configuration is in force since when; a file that was refused since then. */
  readonly configuration?: {
    readonly hash: string;
    readonly since: string;
    readonly warnings: readonly string[];
    readonly refused: { readonly at: string; readonly why: string } | null;
  };
  readonly time: {
    readonly trust: ClockTrust;
    /** Why the time is not trusted. */
    readonly trouble: string | null;
  };
  readonly store: StoreStatus;
  readonly ports: readonly PortStatus[];
  readonly rssBytes: number;
}

function configurationText({ configuration }: Snapshot): string[] {
  if (!configuration) return [];
  const { since, refused, warnings } = configuration;
  const lines = [`config in force since ${since}`];
  if (refused)
    lines.push(
      `config THE FILE WAS REFUSED at ${refused.at}, what was in force stays; correct it and reload:`,
      ...refused.why.split('\n').map((line) => `       ${line}`),
    );
  return [...lines, ...warnings.map((warning) => `       ${warning}`)];
}

const counted = (what: string, count: number): string => (count > 0 ? `  ${what} ${count}` : '');
/** Whether the time of the gateway can be trusted; silence would look like yes. */
function timeText({ time: { trust, trouble } }: Snapshot): string[] {
  if (trust === 'untrusted' || trouble !== null)
    return [`time   NOT TRUSTED, no clock is set, rows say TIME_UNTRUSTED: ${trouble ?? 'nobody says why'}`];
  return trust === 'system' ? ['time   taken for right without proof (clock_trust = "assume")'] : [];
}

/** One fault, one line, however many meters hang there. */
const busFaultText = ({ meters, code, fault, why, nextStep }: BusFault, all: readonly MeterStatus[]): string[] => {
  const seen = all.flatMap(({ meter, lastSuccess }) => (meters.includes(meter) && lastSuccess ? [lastSuccess] : []));
  return [
    `  BUS_FAULT  ${meters.length === 1 ? meters[0] : `all ${meters.length} meters`}  ${code} (${fault}): ${why}`,
    `      next: ${nextStep}`,
    `      last success ${seen.toSorted().at(-1) ?? 'never'}; meters: ${meters.join(', ')}`,
  ];
};

/** The snapshot as a table. */
export function snapshotText(snapshot: Snapshot): string[] {
  const { broker, store } = snapshot;
  const lines = [
    `${snapshot.gateway}  version ${snapshot.version}  up ${Math.floor(snapshot.uptimeS)} s  ${Math.round(snapshot.rssBytes / 2 ** 20)} MiB`,
    `broker ${broker.connected ? 'connected' : 'NOT connected'}  sent ${broker.sent}  acknowledged ${broker.acknowledged}  sent again ${broker.sentAgain}${counted('split', broker.split)}${counted('refused', broker.refused)}${counted('unfit', broker.unfit)}`,
    ...(broker.trouble === null ? [] : [`       ${broker.trouble}`]),
    `store  ${store.pending} messages wait for the head-end${store.failure ? `  FAILED: ${store.failure}` : ''}`,
  ];
  lines.push(...timeText(snapshot));
  lines.push(...configurationText(snapshot));
  if (store.damage.quarantined + store.damage.missing > 0) {
    lines.push(
      `store  damage found: ${store.damage.quarantined} quarantined, ${store.damage.missing} missing; read again from the meters`,
    );
  }
  for (const port of snapshot.ports) {
    lines.push(
      '',
      `${port.name}  ${port.device}  ${port.open ? 'open' : `CLOSED${port.error ? `: ${port.error}` : ''}`}`,
    );
    if (port.trouble !== null) lines.push(`  ${port.trouble}`);
    lines.push('  meter            verdict                 read  missing  damaged  again  last success          clock');
    if (port.busFault) lines.push(...busFaultText(port.busFault, port.meters));
    const here = port.busFault?.meters ?? [];
    for (const meter of port.meters.filter((one) => !here.includes(one.meter))) {
      const numbers = [meter.intervalsRead, meter.intervalsMissing, meter.damagedFrames, meter.repeatedFrames];
      const columns = numbers.map((value, i) => String(value).padStart([6, 8, 8, 6][i] as number)).join(' ');
      const clock =
        meter.clockDeviationS === null
          ? ''
          : `${meter.clockDeviationS > 0 ? '+' : ''}${meter.clockDeviationS.toFixed(1)} s`;
      const mark = port.activity === meter.meter ? '»' : ' ';
      lines.push(
        `${mark} ${meter.meter.padEnd(16)} ${meter.verdict.padEnd(22)} ${columns}  ${(meter.lastSuccess ?? 'never').padEnd(20)}  ${clock}`,
      );
      if (meter.clockVerdict)
        lines.push(
          `      ${meter.clockVerdict}: the clock of the meter is ${deviationWords(meter.clockDeviationS)}`,
          `      next: ${meter.clockNextStep ?? ''}`,
        );
      for (const way of meter.ways) lines.push(`      ${way}`);
      for (const alarm of meter.alarms) lines.push(`      ${alarm}`);
      if (meter.lastError)
        lines.push(
          `      ${meter.lastCode} (${meter.fault}): ${meter.lastError}`,
          `      next: ${meter.nextStep ?? ''}`,
        );
    }
  }
  return lines;
}

const minutes = (periodS: number): string => (periodS % 60 === 0 ? `${periodS / 60} min` : `${periodS} s`);

/** What is not delivered and plainly measured, meter by meter; sums first. */
export function gapsText(gaps: readonly SeriesGap[]): string[] {
  if (gaps.length === 0) return ['every interval is measured, delivered and acknowledged'];
  // Hours and quarters of an hour are not counted together.
  const sums = new Map<string, number>();
  for (const { state, periodS, intervals } of gaps) {
    const kind = `${state} of ${minutes(periodS)}`;
    sums.set(kind, (sums.get(kind) ?? 0) + intervals);
  }
  return [
    [...sums].map(([kind, intervals]) => `${intervals} ${kind}`).join('  '),
    '',
    'meter            series             period  from                  to                    intervals  state',
    ...gaps.map(
      ({ meter, series, periodS, from, to, intervals, state }) =>
        `${meter.padEnd(16)} ${series.padEnd(18)} ${minutes(periodS).padStart(6)}  ${from.padEnd(21)} ${to.padEnd(21)} ${String(intervals).padStart(9)}  ${state}`,
    ),
  ];
}

const controlStates = ['disconnected', 'connected', 'ready for reconnection'];
/** A reading for people. */
export function readingText({
  meter,
  serial,
  readAt,
  registers,
  clockDeviationS,
  disconnector,
}: ReadingFact): string[] {
  return [
    `${meter}  serial ${serial}  read ${readAt}`,
    ...Object.entries(registers).map(
      ([obis, { raw, scaler, unit }]) => `  ${obis.padEnd(18)} ${raw}${scaler ? ` x 10^${scaler}` : ''} ${unit ?? ''}`,
    ),
    `  clock              ${clockDeviationS === null ? 'tells no instant' : `${clockDeviationS} s from the gateway's`}`,
    ...(disconnector
      ? [`  switch             ${controlStates[disconnector.control] ?? `state ${disconnector.control}`}`]
      : []),
  ];
}

/** What is held back of a meter that answers where another one is configured (R32). */
export interface HeldRows {
  readonly meter: string;
  readonly serial: string;
  readonly messages: number;
  readonly from: string;
  readonly to: string;
}
export function heldRows(
  held: readonly { readonly meter: string; readonly serial: string; readonly fact: Fact }[],
): HeldRows[] {
  const found = new Map<string, HeldRows>();
  for (const { meter, serial, fact } of held) {
    if (fact.kind !== 'profile' && fact.kind !== 'gap') continue;
    const end = fact.kind === 'gap' ? fact.end : iso(millis(Date.parse(fact.start) + fact.periodS * fact.count * 1000));
    const before = found.get(`${meter}/${serial}`);
    found.set(`${meter}/${serial}`, {
      meter,
      serial,
      messages: (before?.messages ?? 0) + 1,
      from: before && before.from < fact.start ? before.from : fact.start,
      to: before && before.to > end ? before.to : end,
    });
  }
  return [...found.values()];
}
export const heldText = (held: readonly HeldRows[]): string[] =>
  held.length === 0
    ? ['nothing is held back']
    : held.flatMap(({ meter, serial, messages, from, to }) => [
        `${meter}  meter ${serial} answers here: ${messages} messages held back, ${from} to ${to}`,
        `  next: does it hang here? meter-gateway meter swap ${meter} --serial ${serial} --at … --config …; else check the address`,
      ]);
