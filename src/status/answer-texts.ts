/** What is answered at the local door besides the status, for a person: gaps, a reading, what is held back. */
import { deviationWords } from '../base/words.ts';
import type { ReadingFact } from '../reading/facts.ts';
import { valueWords } from '../reading/value-words.ts';
import { controlModeName, controlStateName, outputName } from '../dlms/cosem/value-names.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import { type Column, sentence, statements, table } from './layout.ts';
import type { HeldRows } from './snapshot.ts';
import { type Screen, shownShortly, shownTime } from './status-text.ts';

const stateWords: Readonly<Record<SeriesGap['state'], string>> = {
  PENDING: 'not read yet',
  UNACKNOWLEDGED: 'stored, and the head-end has not said that it has it',
  MISSING: 'the meter answered and has no row',
  OUTAGE: 'no power: the registers prove that nothing was counted',
  LOST: 'the meter no longer has the row',
  STORE_DAMAGED: 'it was stored, and the store was damaged',
  'UNCERTAIN/device': 'measured; the meter doubts the value',
  'UNCERTAIN/clock': "measured; the meter's clock was set or is in doubt",
  REGISTER_BACKWARD: 'the register fell: no energy is told',
};
const gapColumns: readonly Column[] = [
  { heading: '  from' },
  { heading: 'to' },
  { heading: 'intervals', right: true },
  { heading: 'state' },
];
const minutes = (periodS: number): string => (periodS % 60 === 0 ? `${periodS / 60} min` : `${periodS} s`);

/** What is not delivered and plainly measured: sums first, then each series of each meter. */
export function gapsText(gaps: readonly SeriesGap[], screen: Screen): string[] {
  const { width, zone } = screen;
  if (gaps.length === 0) return ['every interval is measured, delivered and acknowledged'];
  // Hours and quarters of an hour are not counted together.
  const sums = new Map<string, { readonly state: SeriesGap['state']; readonly count: number }>();
  for (const { state, periodS, intervals } of gaps) {
    const kind = `${state} of ${minutes(periodS)}`;
    sums.set(kind, { state, count: (sums.get(kind)?.count ?? 0) + intervals });
  }
  const rows = gaps.map(({ from, to, intervals, state }) => [
    `  ${shownShortly(from, screen)}`,
    shownShortly(to, screen),
    String(intervals),
    state,
  ]);
  const [heading = [], ...shown] = table(gapColumns, rows, width);
  let above = '';
  const body = gaps.flatMap(({ meter, series, periodS }, i) => {
    const whose = `${meter} ${series} ${periodS}`;
    const head = whose === above ? [] : ['', ...statements(`${meter}  `, [series, minutes(periodS)], width)];
    above = whose;
    return [...head, ...(shown[i] ?? [])];
  });
  return [
    ...[...sums].flatMap(([kind, { state, count }]) => sentence(`${count} ${kind}  `, stateWords[state] ?? '', width)),
    ...sentence('', `from, to: month-day and time of ${zone}`, width),
    '',
    ...heading,
    ...body,
  ];
}

/** A reading, scaled, with what the meter said beside it. */
export function readingText(reading: ReadingFact, screen: Screen): string[] {
  const { meter, serial, readAt, registers, clockDeviationS, disconnector } = reading;
  const { width } = screen;
  const values = Object.entries(registers).map(([obis, { raw, scaler, unit }]) => [
    obis,
    valueWords(raw, scaler, unit),
  ]);
  return [
    ...statements(`${meter}  `, [`serial ${serial}`, `read ${shownTime(readAt, screen)}`], width),
    ...values.flatMap(([obis = '', value = '']) => sentence(`  ${obis.padEnd(16)} `, value, width)),
    ...sentence(
      '  clock            ',
      clockDeviationS === null ? 'tells no instant' : deviationWords(clockDeviationS),
      width,
    ),
    ...(disconnector
      ? sentence(
          '  switch           ',
          `${outputName(disconnector.output)}; ${controlStateName(disconnector.control)}; ${controlModeName(disconnector.mode)}`,
          width,
        )
      : []),
  ];
}

export const heldText = (held: readonly HeldRows[], screen: Screen): string[] =>
  held.length === 0
    ? ['nothing is held back']
    : held.flatMap(({ meter, serial, messages, from, to }) => [
        ...sentence(
          `${meter}  `,
          `meter ${serial} answers here: ${messages} messages held back, ${shownTime(from, screen)} to ${shownTime(to, screen)}`,
          screen.width,
        ),
        ...sentence(
          '  next: ',
          `does it hang here? meter-gateway meter swap ${meter} --serial ${serial} --at … --config …; else check the address`,
          screen.width,
        ),
      ]);
