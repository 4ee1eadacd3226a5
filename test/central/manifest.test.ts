/** What a gateway counts of a day is counted again, of what it delivered. */
import { expect, test } from 'vitest';
import { judgeAccount } from '../../src/central/manifest.ts';
import { dayDigest, marksOf } from '../../src/reading/interval-hash.ts';
import { block, delivered, gap, loadProfile, measuredDay } from '../support/central-messages.ts';

const hourMs = 3_600_000;
const hours = (count: number, quality: (i: number) => 'MEASURED' | 'UNCERTAIN/clock' | 'REGISTER_BACKWARD') => {
  const all = Array.from({ length: count }, (_, i) => i);
  return block(1, {
    count,
    channels: [{ obis: '1-0:1.8.0*255', unit: 'Wh', scaler: 0, register: all, energy: all }],
    status: all.map(() => 0),
    quality: all.map(quality),
    rev: all.map(() => 1),
  });
};
const row = hours(20, (i) => (i === 3 ? 'UNCERTAIN/clock' : i === 4 ? 'REGISTER_BACKWARD' : 'MEASURED'));
const dark = gap(2, { start: '2026-11-24T20:00:00Z', end: '2026-11-24T22:00:00Z', cause: 'OUTAGE' });
const gone = gap(3, { start: '2026-11-24T22:00:00Z', end: '2026-11-25T00:00:00Z', cause: 'LOST' });
const published = [row, dark, gone];
const digest = (all: readonly (typeof published)[number][]) => dayDigest(all.flatMap((one) => marksOf(one, hourMs)));
const manifest = { day: '2026-11-24', epoch: 5, seq: 9 };
const account = {
  meter: 'm1',
  point: 'p',
  series: loadProfile,
  ...measuredDay,
  measured: 18,
  uncertain: 2,
  outage: 2,
  lost: 2,
  digest: digest(published),
};
const judged = (more: object, all: readonly (typeof published)[number][] = published) =>
  judgeAccount(
    manifest,
    { ...account, ...more },
    all.map((one) => (one.kind === 'gap' ? delivered(one) : delivered(one))),
  );

test('as it was published', () => {
  expect(judged({})).toBe('verified');
  expect(judged({ digest: 'f'.repeat(64) })).toBe('different');
});
test.each([
  ['an estimate is hidden among the measured', { measured: 20, uncertain: 0 }],
  ['an outage is called measured', { measured: 20, outage: 0 }],
  ['what is lost is called missing', { missing: 2, lost: 0 }],
  ['an interval is in two states', { uncertain: 3 }],
  ['the day is published to be shorter', { expected: 22, measured: 16 }],
])('incident: only the digest of an account was proven: %s', (_, more) => {
  expect(judged(more)).toBe('miscounted');
});
test('what cannot be counted is not called wrong', () => {
  // Of an epoch before, four hours.
  const later = [row, dark];
  expect(judged({ digest: digest(later), lost: 0, measured: 20 }, later)).toBe('verified');
  // Two hours are pending that were published once, and are read anew.
  expect(judged({ measured: 16, pending: 2 })).toBe('verified');
  // A gap that ends within an interval is rounded by the gateway.
  const odd = gap(3, { start: '2026-11-24T22:00:00Z', end: '2026-11-24T23:40:00Z', cause: 'LOST' });
  expect(judged({ digest: digest([row, dark, odd]) }, [row, dark, odd])).toBe('verified');
});
