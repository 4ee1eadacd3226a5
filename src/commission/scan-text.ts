/** What a person sees of a scan. */
import { durationWords } from '../base/words.ts';
import { sentence, table } from '../status/layout.ts';
import type { ScanEvent } from './scan.ts';
import { type ScanFinding, scanVerdicts } from './scan-verdict.ts';

type EventOf<K extends ScanEvent['kind']> = Extract<ScanEvent, { kind: K }>;

/** Before it begins: what is asked, and how long that takes. */
export function planText(
  { expected, longest, resumed, remark }: EventOf<'plan'>,
  what: string,
  width: number,
): string[] {
  const most = Math.max(expected.seconds, longest.seconds);
  const silent = most > expected.seconds ? `, ${durationWords(most)} where nobody answers` : '';
  return [
    ...(remark === null ? [] : sentence('', remark, width)),
    ...sentence('', `${what}: ${expected.probes} questions, about ${durationWords(expected.seconds)}${silent}.`, width),
    ...sentence(
      '',
      resumed > 0
        ? `It goes on behind ${resumed} answers of a scan that was cut; --fresh begins anew.`
        : 'Ctrl-C stops it; the same command goes on where it stopped.',
      width,
    ),
  ];
}
/** Under way. */
export const probeText = ({ address, answer, serial, done, remainingS }: EventOf<'probe'>): string =>
  `${String(done).padStart(4)}  ${address.padEnd(10)}  ${(serial ?? answer).padEnd(16)}  ${durationWords(remainingS)} left`;

const columns = [{ heading: 'address' }, { heading: 'serial' }, { heading: 'point' }, { heading: 'verdict' }];
const rowOf = ({ address, serial, entry, verdict }: ScanFinding): string[] => [
  address ?? '-',
  entry?.serial ?? serial ?? '-',
  entry?.point ?? '-',
  verdict,
];
const indent = '    ';
/** Every finding; under those that need somebody's hand, what was seen and the next step. */
export function findingsText(findings: readonly ScanFinding[], width: number): string[] {
  if (findings.length === 0) return ['nobody answered'];
  const [head = [], ...rows] = table(columns, findings.map(rowOf), width);
  return [
    ...head,
    ...findings.flatMap((finding, i) => [
      ...(rows[i] ?? []),
      ...(finding.verdict === 'found' && finding.next === 'None.'
        ? []
        : [...sentence(indent, finding.evidence, width), ...sentence(`${indent}next: `, finding.next, width)]),
    ]),
  ];
}
/** `31 meters of the list: 25 found, 6 to be looked at. 41 questions in 25 s.` */
export function endText(findings: readonly ScanFinding[], { probes, seconds }: EventOf<'end'>): string {
  const wrong = findings.filter(({ verdict }) => scanVerdicts[verdict].exit > 0).length;
  const right = findings.length - wrong;
  return `${right} as they should be, ${wrong} to be looked at. ${probes} answers, ${durationWords(seconds)}.`;
}
