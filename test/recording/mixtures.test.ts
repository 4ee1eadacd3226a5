/** A small dose of the campaign `scripts/mixtures`. */
import { expect, test } from 'vitest';
import { judge, mixtureOf } from '../campaigns/mixtures.ts';

test('300 mixtures of recorded exchanges: the rows of the exchanges, or what is missing is named', () => {
  const found = Array.from({ length: 300 }, (_, i) => judge(mixtureOf(i + 1))).filter((one) => one !== undefined);
  expect(found).toEqual([]);
});
