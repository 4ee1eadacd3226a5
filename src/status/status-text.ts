/** The snapshot for a person: what is shown is explained below it, and times are local. */
import type { RefusedSummary } from '../listen/refused-pushes.ts';
import {
  deviationWords,
  durationWords,
  localTime,
  shortLocalTime,
  systemZone,
  usableZone,
  withLocalTimes,
} from '../base/words.ts';
import type { ClockTrust } from '../schedule/meter-state.ts';
import { answers } from '../schedule/reachability.ts';
import { verdictWords } from '../reading/verdict.ts';
import type { BusFault } from '../schedule/bus-fault.ts';
import type { MeterStatus } from '../schedule/port-report.ts';
import { type Column, sentence, statements, table, widthOf } from './layout.ts';
import type { PortStatus, Snapshot } from './snapshot.ts';

/** Columns of a line, and the zone of times. */
export interface Screen {
  readonly width: number;
  readonly zone: string;
  /** The time that it is at the gateway. */
  readonly now: number;
}
/**
 * Where the configuration names no zone, which is UTC, times are those of the machine. A gateway of another version may say
 * less of its time.
 */
export const screenOf = ({ at = '', time }: Partial<Snapshot>, width: number, own = systemZone()): Screen => ({
  width,
  zone: time?.zone === undefined || time.zone === 'UTC' ? own : usableZone(time.zone),
  now: Date.parse(at),
});

/** An instant of the gateway as local time; what is none stays as it is. */
export const shownTime = (instant: string, { zone }: Screen): string => {
  const at = Date.parse(instant);
  return Number.isNaN(at) ? instant : localTime(at, zone);
};
export const shownShortly = (instant: string, { zone, now }: Screen): string => {
  const at = Date.parse(instant);
  return Number.isNaN(at) ? instant : shortLocalTime(at, now, zone);
};

const trustWords: Readonly<Record<ClockTrust, string>> = {
  kernel: 'known: the kernel says that its clock is kept right',
  system: 'taken for right without proof (clock_trust = "assume")',
  untrusted: 'NOT TRUSTED, no clock is set, rows say TIME_UNTRUSTED',
};

const counted = (what: string, count: number): string => (count > 0 ? `${what} ${count}` : '');

/** What happened, whose it is to mend, and the next step. */
function failureLines(meter: MeterStatus, indent: string, screen: Screen): string[] {
  const { lastError, lastCode, fault, nextStep, failures } = meter;
  if (!lastError) return [];
  const tries = failures > 1 ? `, ${failures} times in a row` : '';
  const what = `${lastCode ?? 'failed'} (${fault ?? 'nobody knows whose'})${tries}: ${lastError}`;
  return [
    ...sentence(indent, withLocalTimes(what, screen.zone), screen.width),
    ...sentence(`${indent}next: `, nextStep ?? '', screen.width),
  ];
}

const indent = '    ';
const isDifferent = ({ ways, damagedFrames, repeatedFrames }: MeterStatus): boolean =>
  ways.length + damagedFrames + repeatedFrames > 0;
/** What stands below the row of a meter. */
function belowRow(meter: MeterStatus, screen: Screen): string[] {
  const { width, zone } = screen;
  const below = (mark: string, text: string) => sentence(`${indent}${mark} `, withLocalTimes(text, zone), width);
  const damage = [
    counted('damaged frames', meter.damagedFrames),
    counted('frames sent again', meter.repeatedFrames),
  ].filter((part) => part !== '');
  return [
    ...failureLines(meter, indent, screen),
    ...(meter.clockVerdict
      ? [
          ...sentence(
            `${indent}! `,
            `${meter.clockVerdict}: the clock of the meter is ${deviationWords(meter.clockDeviationS)}`,
            width,
          ),
          ...sentence(`${indent}  next: `, meter.clockNextStep ?? '', width),
        ]
      : []),
    ...meter.alarms.flatMap((alarm) => below('!', alarm)),
    ...meter.ways.flatMap((way) => below('·', way)),
    ...(damage.length > 0 ? below('·', `in the last sessions: ${damage.join(', ')}`) : []),
  ];
}

/** One fault is shown once, however many meters it keeps from answering. */
function busFaultText(busFault: BusFault, all: readonly MeterStatus[], screen: Screen): string[] {
  const { meters, code, fault, why, nextStep } = busFault;
  const { width } = screen;
  const seen = all.flatMap(({ meter, lastSuccess }) => (meters.includes(meter) && lastSuccess ? [lastSuccess] : []));
  const last = seen.toSorted().at(-1);
  const whose = meters.length === 1 ? meters[0] : `all ${meters.length} meters`;
  return [
    ...sentence('  BUS_FAULT  ', `${whose}  ${code} (${fault}): ${why}`, width),
    ...sentence(`${indent}next: `, nextStep, width),
    ...sentence(`${indent}last success: `, last === undefined ? 'never' : shownTime(last, screen), width),
    ...sentence(`${indent}meters: `, meters.join(' '), width),
  ];
}

/** What came to a listener and was not taken: the last of it, with the next step. */
function refusedText({ count, at, peer, code, fault, why, nextStep }: RefusedSummary, screen: Screen): string[] {
  const { width } = screen;
  const pushes = count === 1 ? 'a push was refused' : `${count} pushes were refused, the last one`;
  return [
    ...sentence('  ! ', `${pushes} ${shownTime(at, screen)} from ${peer}  ${code} (${fault}): ${why}`, width),
    ...sentence(`${indent}next: `, nextStep, width),
  ];
}

const columns: readonly Column[] = [
  { heading: '  meter' },
  { heading: 'verdict' },
  { heading: 'last success' },
  { heading: 'missing', right: true },
  { heading: 'clock' },
];

function portText(port: PortStatus, screen: Screen): string[] {
  const { width } = screen;
  const { meters, busFault } = port;
  const sum = (of: (meter: MeterStatus) => number) => meters.reduce((total, meter) => total + of(meter), 0);
  const state = port.open ? 'open' : port.error === null ? 'not open' : 'CLOSED';
  const parts = [
    port.device,
    state,
    `${meters.filter(({ verdict }) => answers(verdict)).length} of ${meters.length} meters answer`,
    `intervals read ${sum((meter) => meter.intervalsRead)}`,
    `missing ${sum((meter) => meter.intervalsMissing)}`,
  ];
  const listed = meters.filter(({ meter }) => !busFault?.meters.includes(meter));
  const rows = listed.map((meter) => [
    `${port.activity === meter.meter ? '»' : ' '} ${meter.meter}`,
    meter.verdict,
    meter.lastSuccess === null ? 'never' : shownShortly(meter.lastSuccess, screen),
    String(meter.intervalsMissing),
    deviationWords(meter.clockDeviationS),
  ]);
  const [heading = [], ...shown] = table(columns, rows, width);
  return [
    '',
    ...statements(`${port.name}  `, parts, width),
    ...(port.error === null || busFault ? [] : sentence('  error: ', port.error, width)),
    ...(port.trouble === null ? [] : sentence('  ! ', port.trouble, width)),
    ...(port.refused ? refusedText(port.refused, screen) : []),
    ...(busFault ? busFaultText(busFault, meters, screen) : []),
    ...(listed.length > 0 ? heading : []),
    ...shown.flatMap((lines, i) => [...lines, ...belowRow(listed[i] as MeterStatus, screen)]),
  ];
}

/** What stands in the columns, and every mark and verdict that was shown. */
function legend(snapshot: Snapshot, { width, zone, now }: Screen): string[] {
  const meters = snapshot.ports.flatMap((port) =>
    port.meters.filter(({ meter }) => !port.busFault?.meters.includes(meter)),
  );
  if (meters.length === 0) return [];
  const offset = Number.isNaN(now) ? '' : `, ${localTime(now, zone).slice(-6)} where no other offset stands`;
  const against = snapshot.time.trust === 'untrusted' ? ', whose time is NOT TRUSTED' : '';
  const known = [
    ['last success', `month-day and time of ${zone}${offset}`],
    ['missing', 'intervals that are not read yet'],
    ['clock', `of the meter against the gateway's${against}; right: within 2 s`],
    [snapshot.ports.some(({ activity }) => activity !== null) ? '»' : '', 'at work now'],
    [
      meters.some(({ alarms, clockVerdict }) => alarms.length > 0 || clockVerdict) ? '!' : '',
      'somebody should see to it',
    ],
    [meters.some(isDifferent) ? '·' : '', 'good to know: done in another way, or not done'],
    [meters.some(({ lastError }) => lastError !== null) ? '(line) …' : '', 'whose it is to mend'],
  ] as const;
  const verdicts = new Set(meters.map(({ verdict }) => verdict));
  verdicts.delete('REACHABLE');
  const explained = [...verdicts].map((verdict) => [verdict, verdictWords[verdict] ?? ''] as const);
  return ['', ...[known, explained].flatMap((words) => glossary(words, width))];
}

/** Words and what they mean, beside each other; a word that was not shown is left out. */
function glossary(words: readonly (readonly [word: string, meaning: string])[], width: number): string[] {
  const shown = words.filter(([word]) => word !== '');
  const widest = Math.max(...shown.map(([word]) => widthOf(word)));
  return shown.flatMap(([word, meaning]) => sentence(`${word}${' '.repeat(widest - widthOf(word))}  `, meaning, width));
}

function configurationText({ configuration }: Snapshot, screen: Screen): string[] {
  if (!configuration) return [];
  const { width } = screen;
  const { since, refused, warnings } = configuration;
  return [
    ...sentence('config  ', `in force since ${shownTime(since, screen)}`, width),
    ...(refused
      ? [
          ...sentence(
            'config  ',
            `THE FILE WAS REFUSED at ${shownTime(refused.at, screen)}, what was in force stays; correct it and reload:`,
            width,
          ),
          ...refused.why.split('\n').flatMap((line) => sentence('        ', line, width)),
        ]
      : []),
    ...warnings.flatMap((warning) => sentence('      ! ', warning, width)),
  ];
}

function timeText({ time, at }: Snapshot, screen: Screen): string[] {
  const { width, zone } = screen;
  const { trust, trouble } = time;
  const why = trouble === null ? '' : `: ${withLocalTimes(trouble, zone)}`;
  // A time that is taken for right may be impossible all the same: then nothing is read.
  const words = trouble === null || trust === 'untrusted' ? trustWords[trust] : 'NOT TRUSTED';
  return sentence('time    ', `${shownTime(at, screen)} (${zone}), ${words ?? trust}${why}`, width);
}

/** The whole snapshot, no line wider than the screen. */
export function snapshotText(snapshot: Snapshot, width = 80): string[] {
  const { broker, store } = snapshot;
  const screen = screenOf(snapshot, width);
  const damage = store.damage.quarantined + store.damage.missing;
  const head = [
    `version ${snapshot.version}`,
    `up ${durationWords(snapshot.uptimeS)}`,
    `${Math.round(snapshot.rssBytes / 2 ** 20)} MiB`,
  ];
  const sent = [
    broker.connected ? 'connected' : 'NOT connected',
    `sent ${broker.sent}`,
    `acknowledged ${broker.acknowledged}`,
    `sent again ${broker.sentAgain}`,
    counted('split', broker.split),
    counted('refused', broker.refused),
    counted('unfit', broker.unfit),
  ];
  return [
    ...statements(`${snapshot.gateway}  `, head, width),
    ...timeText(snapshot, screen),
    ...statements('broker  ', sent, width),
    ...(broker.trouble === null ? [] : sentence('      ! ', broker.trouble, width)),
    ...sentence('store   ', `${store.pending} messages wait for the head-end`, width),
    ...(store.failure ? sentence('      ! ', `FAILED: ${store.failure}`, width) : []),
    ...(damage > 0
      ? sentence(
          '      ! ',
          `damage found: ${store.damage.quarantined} quarantined, ${store.damage.missing} missing; read again as far back as the meters have it`,
          width,
        )
      : []),
    ...configurationText(snapshot, screen),
    ...snapshot.ports.flatMap((port) => portText(port, screen)),
    ...legend(snapshot, screen),
  ];
}
