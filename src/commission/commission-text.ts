/** What commissioning says on a screen of 80 columns. */
import { deviationWords, durationWords } from '../base/words.ts';
import type { CommissionEvent } from './commission.ts';
import { shownAs } from './display.ts';
import type { MeterRecord, StepName } from './meter-record.ts';

const stepWords: Readonly<Record<StepName, string>> = {
  identity: 'who it is, its clock, its switch',
  registers: 'ratios and registers',
  profile: 'its load profile',
  day: 'the newest 24 h and their sum',
  line: 'the quality of the line',
};
export const stepText = (step: StepName): string => stepWords[step];

const indent = '    ';
/** One fact a line: what somebody signs for. */
export function factLines({ steps, displays }: MeterRecord): string[] {
  const { identity, registers, profile, day, line } = steps;
  const lines: string[] = [];
  if (identity)
    lines.push(
      `${identity.logicalDeviceName ?? 'no name'}, model ${identity.detected ?? 'not known'}, clock ${deviationWords(identity.deviationS)}${identity.gatewayClock === 'untrusted' ? ' (against a gateway that does not know the time)' : ''}`,
    );
  if (registers) {
    const { currentTransformer: ct, voltageTransformer: vt } = registers;
    const ratio = [ct && `CT ${ct.numerator}/${ct.denominator}`, vt && `VT ${vt.numerator}/${vt.denominator}`];
    lines.push(
      [
        ...ratio,
        ...(registers.voltages ?? []).map((one) => `${one} V`),
        ...registers.registers.map((one) => `${one.obis} ${shownAs(one)}`),
      ]
        .filter((one) => one)
        .join(', '),
    );
  }
  if (profile)
    lines.push(
      `${profile.obis} every ${profile.periodS / 60} min, ${profile.columns.length} columns, ${profile.depthDays ?? '?'} days deep`,
    );
  if (day) {
    const sums = day.sums.map(({ agrees }) => agrees);
    const word = sums.includes(false)
      ? 'sums do not agree'
      : sums.includes(null)
        ? 'sums cannot be told'
        : 'sums agree';
    lines.push(`24 h: ${day.rows} of ${day.expected} rows, ${sums.length === 0 ? 'nothing to sum' : word}`);
  }
  if (line)
    lines.push(
      `line: ${line.exchanges} exchanges, median ${Math.round(line.medianMs ?? 0)} ms, ${line.damaged} damaged, ${line.repeated} repeated`,
    );
  if (displays.length > 0) lines.push(...displays.map(({ obis, words }) => `${obis}: ${words}`));
  else if (registers) lines.push('display: not compared');
  return lines.map((one) => `${indent}${one}`);
}

export function recordLines(record: MeterRecord, skipped: boolean): string[] {
  const { serial, place, result, findings } = record;
  const word = result === 'good' ? (skipped ? 'good before' : 'good') : result === 'failed' ? 'NOT GOOD' : 'not done';
  return [
    `${serial}${place === null || place === '' ? '' : ` (${place})`}: ${word}`,
    ...(skipped ? [] : factLines(record)),
    ...findings.flatMap(({ kind, severity, what, next }) => [
      `${indent}${severity === 'fault' ? 'FAULT' : 'note'} ${kind}: ${what}`,
      `${indent}  next: ${next}`,
    ]),
  ];
}

export function eventLines(event: CommissionEvent): string[] {
  switch (event.event) {
    case 'begin':
      return [
        `${event.meters} meters${event.done > 0 ? `, ${event.done} of them are good already` : ''}; Ctrl-C stops, and the same command goes on`,
      ];
    case 'meter':
      return [
        `[${event.number}/${event.of}] ${event.meter}${event.leftS === null ? '' : `, about ${durationWords(event.leftS)} left`}`,
      ];
    case 'result':
      return recordLines(event.record, event.skipped);
    case 'end':
      return [`${event.good} good, ${event.faulty} not good, in ${durationWords(event.tookS)}`];
    case 'step':
      return [];
  }
}
