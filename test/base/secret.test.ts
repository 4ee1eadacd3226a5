import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';

test('a secret lies in a KeyObject: what it was made of may be overwritten, and what it reveals is a copy', () => {
  const given = Buffer.from('hunter22');
  const secret = new Secret(given);
  given.fill(0);
  const revealed = secret.reveal();
  expect(Buffer.from(revealed).toString()).toBe('hunter22');
  revealed.fill(0);
  expect(Buffer.from(secret.reveal()).toString()).toBe('hunter22');
  expect(secret.length).toBe(8);
  expect(new Secret(new Uint8Array(0)).reveal()).toEqual(new Uint8Array(0));
});

test('nothing that prints it prints it', () => {
  const secret = new Secret(Buffer.from('hunter22'));
  const all = [
    secret.toString(),
    JSON.stringify({ secret }),
    inspect({ secret }, { depth: 9, showHidden: true }),
    inspect(secret.key, { showHidden: true }),
  ];
  expect(all.join()).not.toMatch(/hunter22|68756e746572|aHVudGVyMjI/);
});
