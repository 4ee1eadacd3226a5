import { expect, test } from 'vitest';
import { isLoopback } from '../../src/door/loopback.ts';

test.each([
  'localhost',
  'LOCALHOST',
  '127.0.0.1',
  '127.255.255.254',
  '::1',
  '[::1]',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '[::ffff:127.0.0.1]',
])('only this machine hears %s', (host) => {
  expect(isLoopback(host)).toBe(true);
});

test.each([
  '127.example',
  '127.0.0.1.example',
  '127.0.0.1.',
  '127.1',
  '127.999.0.1',
  'localhost.example',
  '::2',
  '::ffff:192.0.2.1',
  '0.0.0.0',
  '::',
  '192.0.2.127',
  '[127.0.0.1',
  '',
])('incident: whoever names itself as this machine begins (%j) was taken for it', (host) => {
  expect(isLoopback(host)).toBe(false);
});
