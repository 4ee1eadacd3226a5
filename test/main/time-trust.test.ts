/** What the log says of the time. */
import { expect, test } from 'vitest';
import { timeTrust } from '../../src/main/time-trust.ts';

test('incident: with clock_trust = "assume" the log said that rows say TIME_UNTRUSTED, and none did', () => {
  expect(timeTrust({ trust: 'system', trouble: null })).toEqual({
    level: 'info',
    words: 'the time is taken for right without proof (clock_trust = "assume")',
  });
});
test('sibling: known, not known, and impossible whatever is assumed', () => {
  expect(timeTrust({ trust: 'kernel', trouble: null })).toMatchObject({ level: 'info', words: 'the time is known' });
  expect(timeTrust({ trust: 'untrusted', trouble: 'no server' })).toMatchObject({ level: 'warn', why: 'no server' });
  expect(timeTrust({ trust: 'untrusted', trouble: 'no server' }).words).toContain('TIME_UNTRUSTED');
  expect(timeTrust({ trust: 'system', trouble: '1970' }).words).toContain('nothing is read until it is set');
});
