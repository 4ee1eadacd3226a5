import {
  array,
  assert,
  constant,
  constantFrom,
  integer,
  option,
  property,
  record,
  shuffledSubarray,
  tuple,
} from 'fast-check';
import { expect, test } from 'vitest';
import type { DeliveredInterval } from '../../src/central/facts.ts';
import { newestVersions } from '../../src/central/intervals.ts';
import { block, delivered, gap, importRegister } from '../support/central-messages.ts';

const hourMs = 3_600_000;
const channel = (energy: (number | string | null)[]) => [
  { obis: importRegister, unit: 'Wh', scaler: 0, register: [1, 2], energy },
];
const energies = (messages: readonly DeliveredInterval[]) =>
  [...newestVersions(messages, hourMs).values()].map((version) =>
    version.kind === 'row' ? version.channels[0]?.energy : version.cause,
  );

test('a row stands above every gap, a higher revision above a lower one, exactly', () => {
  expect(energies([delivered(gap(1))])).toEqual(['MISSING', 'MISSING']);
  expect(energies([delivered(block(2)), delivered(gap(3, { rev: 9 }))])).toEqual([1n, 1n]);
  const big = '9007199254740993';
  expect(energies([delivered(block(2)), delivered(block(3, { rev: [0, 2], channels: channel([7, big]) }))])).toEqual([
    1n,
    9007199254740993n,
  ]);
});
test('of equal revisions the one that knows more, then the later epoch', () => {
  const less = delivered(block(1, { epoch: 6, channels: channel([null, 5]) }));
  expect(energies([less, delivered(block(2))])).toEqual([1n, 5n]);
});
test('in whatever order they come, and however often, the same stands above', () => {
  const message = record({
    kind: constantFrom('profile', 'gap'),
    epoch: integer({ min: 5, max: 7 }),
    rev: integer({ min: 0, max: 3 }),
    energy: option(integer({ min: 0, max: 3 })),
    start: integer({ min: 0, max: 3 }),
  });
  assert(
    property(
      array(message, { maxLength: 12 }).chain((all) => {
        const messages = all.map(({ kind, epoch, rev, energy, start }, i): DeliveredInterval => {
          const at = { epoch, start: `2026-11-24T0${start}:00:00Z` };
          return kind === 'gap'
            ? delivered(gap(i + 1, { ...at, rev, end: `2026-11-24T0${start + 2}:00:00Z` }))
            : delivered(block(i + 1, { ...at, rev: [rev, rev], channels: channel([energy, 1]) }));
        });
        return tuple(
          constant(messages),
          shuffledSubarray([...messages, ...messages], { minLength: messages.length * 2 }),
        );
      }),
      ([messages, shuffled]) => {
        expect([...newestVersions(shuffled, hourMs)]).toEqual([...newestVersions(messages, hourMs)]);
      },
    ),
  );
});
