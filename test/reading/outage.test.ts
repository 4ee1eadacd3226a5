/** An outage is proven, or rows are missing. */
import { expect, test } from 'vitest';
import { provenByEdges, provenByLog } from '../../src/reading/outage.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';

const powerDown = 0x80;
const row = (status: number, ...registers: (bigint | null)[]): LoadProfileRow =>
  ({
    status,
    channels: registers.map((_, i) => ({ key: `1-0:${i + 1}.8.0*255`, kind: 'register' })),
    cells: registers,
  }) as unknown as LoadProfileRow;

test.each([
  ['the row behind says so, registers stand still', row(0, 5n), row(powerDown, 5n), true],
  ['the row before says so', row(powerDown, 5n, 7n), row(0, 5n, 7n), true],
  ['nobody says so', row(0, 5n), row(0, 5n), false],
  ['the register moved', row(0, 5n), row(powerDown, 6n), false],
  ['one of two moved', row(0, 5n, 7n), row(powerDown, 5n, 8n), false],
  ['there is no register', row(0), row(powerDown), false],
  ['a register is not told behind', row(0, 5n, 7n), row(powerDown, 5n, null), false],
])('by the edges: %s', (_, first, second, proven) => {
  expect(provenByEdges(first, second)).toBe(proven);
});

test.each([
  [[[0, 3600]], 0, true],
  [[[0, 3599]], 0, false],
  [[[1, 9999]], 0, false],
  [[], 0, false],
  [
    [
      [0, 1800],
      [1800, 3600],
    ],
    0,
    false,
  ],
  [[[-10, 99_999]], 3600, true],
] as [[number, number][], number, boolean][])('by the log: %j, the interval at %d', (outages, start, proven) => {
  expect(provenByLog(outages, start, 3600)).toBe(proven);
});
