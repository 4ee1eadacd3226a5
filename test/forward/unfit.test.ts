/** What the head-end is told of a payload that does not fit. */
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { checked } from '../../src/contract/parse.ts';

test('incident: an order with a member too many was refused with "evil: never expected", which tells nobody what to mend', () => {
  const schema = v.strictObject({ id: v.string() });
  expect(checked(schema, { id: 'x', evil: 1 })).toEqual({ unfit: 'evil: there is no such member' });
  expect(checked(schema, {})).toEqual({ unfit: 'id: missing' });
  expect(checked(schema, { id: 1 })).toEqual({ unfit: 'id: string expected' });
});
