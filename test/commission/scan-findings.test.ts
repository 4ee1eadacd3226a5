/** What a scan found goes on into the commissioning. */
import { expect, test } from 'vitest';
import { proposalsOf } from '../../src/commission/candidates.ts';
import { scannedEntries } from '../../src/commission/scan-findings.ts';

const entry = (serial: string) => ({ line: 2, point: `p${serial}`, serial, place: 'Box 1' });
const lines = [
  { kind: 'plan', expected: {} },
  {
    kind: 'finding',
    verdict: 'found',
    entry: entry('60120001'),
    serial: '60120001',
    reach: { logical: 1, physical: 1001, size: 4 },
  },
  {
    kind: 'finding',
    verdict: 'address-reversed',
    entry: entry('60120018'),
    serial: '60120018',
    reach: { logical: 1018, physical: 1 },
  },
  // Another one answers at its place.
  {
    kind: 'finding',
    verdict: 'another-serial',
    entry: entry('60120006'),
    serial: '60987654',
    reach: { logical: 1, physical: 1006 },
  },
  { kind: 'finding', verdict: 'no-answer', entry: entry('60120004') },
  { kind: 'finding', verdict: 'not-listed', serial: '7', reach: { logical: 1, physical: 7 } },
  { kind: 'end', seconds: 40 },
];
const text = lines.map((line) => JSON.stringify(line)).join('\n');

test('rows of the list come with the place where their meters answer; who was not found keeps that of its formula', () => {
  const entries = scannedEntries(text, 'scan.jsonl');
  expect(entries.map((one) => [one.entry.serial, one.server, one.physical])).toEqual([
    ['60120001', 1, 1001],
    ['60120018', 1018, 1],
    ['60120006', undefined, undefined],
    ['60120004', undefined, undefined],
  ]);
  const config = '[[port]]\nname = "bus"\ndevice = "/dev/x"\n';
  const proposals = proposalsOf(
    config,
    'bus',
    entries.map((one) => one.entry),
    { entry: { client: 17 }, models: new Map(), places: entries },
  );
  expect(proposals.map(({ keys }) => [keys['server'], keys['physical']])).toEqual([
    [undefined, 1001],
    [1018, 1],
    [undefined, 1006],
    [undefined, 1004],
  ]);
});
test.each([
  ['{', 'scan --json printed'],
  [JSON.stringify({ kind: 'finding', entry: { serial: 7 } }), 'no finding of a scan'],
  [JSON.stringify({ kind: 'finding', entry: entry('1'), reach: { logical: -1 } }), 'no finding of a scan'],
])('what is no scan is refused by its line: %.20s', (line, why) => {
  expect(() => scannedEntries(`\n${line}`, 'x')).toThrow(`x:2: `);
  expect(() => scannedEntries(line, 'x')).toThrow(why);
});
