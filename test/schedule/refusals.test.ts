/** Which failed entries count towards the lock of a meter. */
import { expect, test } from 'vitest';
import { type ErrorCode, Failure } from '../../src/base/errors.ts';
import { entryOf } from '../../src/schedule/refusals.ts';

const session = { entered: false, lost: false, stack: { asked: true, counters: { damaged: 0 } } };
const byPassword = { auth: 'lls', secured: false, serial: true };
const entry = (code: ErrorCode, more: Partial<typeof session> = {}, access: Partial<typeof byPassword> = {}) =>
  entryOf(new Failure(code, ''), { ...session, ...more }, { ...byPassword, ...access });

test.each([
  ['the password is wrong', entry('authentication-refused'), 'refused'],
  ['a key is wrong', entry('deciphering-failed', {}, { auth: 'none', secured: true }), 'refused'],
  ['refused, and the line is being closed', entry('association-refused', { lost: true }), 'refused'],
  ['it wants another mechanism', entry('authentication-required'), 'refused'],
  ['silence after AARQ', entry('no-answer'), 'silent'],
  ['DISC or DM after AARQ', entry('link-disconnected'), 'silent'],
  ['FRMR after AARQ', entry('frame-rejected'), 'silent'],
  ['TCP is closed after AARQ', entry('connection-lost', { lost: true }, { serial: false }), 'silent'],
  ['the adapter was unplugged', entry('port-lost', { lost: true }), 'none'],
  ['the answer came damaged', entry('no-answer', { stack: { asked: true, counters: { damaged: 1 } } }), 'none'],
  [
    'silence before AARQ: no power, or another address',
    entry('no-answer', { stack: { ...session.stack, asked: false } }),
    'none',
  ],
  ['silence in the middle of reading', entry('no-answer', { entered: true }), 'none'],
  ['the public client shows no credentials', entry('association-refused', {}, { auth: 'none' }), 'none'],
])('%s', (_, found, expected) => expect(found).toBe(expected));
