import { expect, test } from 'vitest';
import { recompute } from '../../src/billing/bill.ts';
import { outageStory, storyLines } from '../support/outage-story.ts';

const { steps, bills, truth } = outageStory();
const hours = steps.flatMap(({ says }) => says.filter((line) => line.startsWith('the hour: ')));

test('an hour is missing, estimated, scaled to the register, and measured', () => {
  expect(hours.map((line) => /missing|LIKE_DAYS(?::SCALED)?|measured/.exec(line)?.[0])).toEqual([
    'missing',
    'LIKE_DAYS',
    'LIKE_DAYS:SCALED',
    'measured',
  ]);
});
test('the next bill corrects the estimate with the bill that had it, and all bills together are what was used', () => {
  expect(bills.map(({ lines }) => lines.map(({ kind }) => kind))).toEqual([
    ['period'],
    ['period'],
    ['period', 'correction'],
  ]);
  const correction = bills[2]?.lines[1];
  expect(correction).toMatchObject({ bill: 'A-17-1/2', reasons: { MEASURED: 152 } });
  const billed = bills.reduce((sum, { total }) => sum + (total.consumption ?? 0), 0);
  expect(billed).toBe(truth.energy.import.reduce((sum, one) => sum + one, 0));
});
test('a bill recomputes to its digest; one that was changed in one hour does not', () => {
  for (const [i, bill] of bills.entries()) expect(recompute(bill, bills.slice(0, i))).toEqual({ good: true });
  const [, second] = bills;
  if (!second?.series.import) throw new Error('the second bill has a series');
  const energy = second.series.import.energy.with(5, 1);
  const changed = { ...second, series: { import: { ...second.series.import, energy } } };
  expect(recompute(changed, bills.slice(0, 1))).toMatchObject({ good: false });
  expect(recompute(second, [])).toMatchObject({ good: false });
});
test('the steps are said in lines that people read', () => {
  expect(storyLines().length).toBeGreaterThan(15);
});
