/** What is looked at before a bill is made: each rule by a case that it finds, with its evidence and what follows. */
import { expect, test } from 'vitest';
import { nextBill } from '../../src/billing/next-bill.ts';
import type { Point } from '../../src/billing/registry.ts';
import { type Rule, rules, validate } from '../../src/billing/validate.ts';
import type { DeliveredInterval } from '../../src/central/facts.ts';
import { at, contract, edit, hourMs, month, point, seriesFor } from '../support/billing-cases.ts';

const madeAt = at('2026-10-01', 9);
const noon = at('2026-09-20', 12);
/** The month, with the message of one hour changed. */
const changed = (
  change: (message: DeliveredInterval['message'] & { kind: 'profile' }) => object,
): DeliveredInterval[] =>
  month().map((fact) =>
    fact.message.kind === 'profile' && Date.parse(fact.message.start) === noon
      ? { ...fact, message: { ...fact.message, ...change(fact.message) } }
      : fact,
  );
const channelOf = (message: DeliveredInterval['message'] & { kind: 'profile' }, more: object) => ({
  channels: [{ ...message.channels[0], ...more }],
});
function findingsOf(facts: DeliveredInterval[], own: Point = point(), more: object = {}) {
  const series = seriesFor({ facts, point: own, at: madeAt, ...more });
  return validate(series, own).filter(({ to }) => to <= madeAt);
}
/** Of the hour; of a rule of days, the day. */
const found = (facts: DeliveredInterval[], own?: Point, more?: object) =>
  findingsOf(facts, own, more)
    .filter(({ from, to }) => from <= noon && to > noon)
    .map(({ rule, severity, consequence, evidence }) => ({ rule, severity, consequence, evidence }));

test('a month in which nothing is odd has no findings', () => {
  expect(found(month())).toEqual([]);
});
test.each<[Rule, DeliveredInterval[], RegExp, Point?]>([
  [
    'REGISTER_SUM',
    changed((one) => channelOf(one, { energy: [700] })),
    /^sum \d+, register \d+: off by 510, allowed 13$/,
  ],
  [
    'REGISTER_BACKWARD',
    changed((one) => ({ quality: ['REGISTER_BACKWARD'], ...channelOf(one, { energy: [null], register: undefined }) })),
    /^1 intervals without energy$/,
  ],
  ['SCALE_UNKNOWN', changed((one) => channelOf(one, { scaler: null })), /^1 intervals: SCALER_UNKNOWN$/],
  ['SCALE_UNKNOWN', changed((one) => channelOf(one, { scaler: -1, energy: [1901] })), /^1 intervals: UNIT_UNFIT$/],
  ['SCALE_UNKNOWN', changed((one) => channelOf(one, { energy: [-190] })), /^1 intervals: NEGATIVE$/],
  ['UNCERTAIN', changed(() => ({ quality: ['UNCERTAIN/clock'] })), /^1 intervals: UNCERTAIN\/clock$/],
  ['TIME_UNTRUSTED', changed(() => ({ flags: [['TIME_UNTRUSTED']] })), /^1 intervals: TIME_UNTRUSTED$/],
  [
    'USE_WHILE_OFF',
    month(),
    /^\d+ units in 24 intervals$/,
    point({ disconnected: [{ from: at('2026-09-20'), to: at('2026-09-21') }] }),
  ],
  [
    'LONG_ZERO',
    month(new Map(Array.from({ length: 24 * 16 }, (_, i) => [at('2026-09-10') + i * hourMs, 0] as const))),
    /^zero since 2026-09-10 00:00/,
  ],
])('%s is found', (rule, facts, evidence, own) => {
  expect(found(facts, own)).toContainEqual({
    rule,
    severity: rules[rule][0],
    consequence: rules[rule][1],
    evidence: expect.stringMatching(evidence) as string,
  });
});
test('a sum that is off by what rounding may do is no finding (R02)', () => {
  expect(found(changed((one) => channelOf(one, { energy: [190 + 13] })))).toEqual([]);
  expect(found(changed((one) => channelOf(one, { energy: [190 + 14] })))).toMatchObject([{ rule: 'REGISTER_SUM' }]);
});
test('nothing used while the switch is open or the point is disconnected is no long zero', () => {
  const zero = month(new Map(Array.from({ length: 24 * 16 }, (_, i) => [at('2026-09-10') + i * hourMs, 0] as const)));
  const off = point({ disconnected: [{ from: at('2026-09-10'), to: null }] });
  expect(found(zero, off)).toEqual([]);
});
test('edits of no interval, and below what is measured, are shown', () => {
  const edits = [
    edit({ start: noon, value: 7 }),
    edit({ edit: 'e-2', start: noon + 60_000, end: noon + hourMs, value: 7 }),
  ];
  const shown = findingsOf(month(), point(), { edits })
    .filter(({ rule }) => rule.startsWith('EDIT'))
    .map(({ rule, consequence }) => [rule, consequence]);
  expect(shown).toEqual([
    ['EDIT_BELOW_MEASURED', 'shown'],
    ['EDIT_OFF_GRID', 'shown'],
  ]);
});
test('a contract that began before its first bill has hours that nobody billed: nobody can let that go', () => {
  const series = seriesFor({ facts: month(), at: madeAt });
  const first = nextBill({ point: point(), contract: contract(), bills: [], releases: [], series });
  if (first.kind !== 'bill') throw new Error('there is a bill');
  const releases = [{ point: 'p-1', rule: 'CONTRACT_MOVED', from: 0, to: 9e15, who: 'a', why: 'b', at: 0 }];
  const october = seriesFor({ facts: [...month(), ...month(new Map(), '2026-10-01', 31)], at: at('2026-11-01', 9) });
  const next = (from: string) =>
    nextBill({ point: point(), contract: contract({ from }), bills: [first.bill], releases, series: october });
  expect(next('2026-09-01')).toMatchObject({ kind: 'bill' });
  expect(next('2026-08-15')).toMatchObject({ kind: 'held', findings: [{ rule: 'CONTRACT_MOVED' }] });
});
