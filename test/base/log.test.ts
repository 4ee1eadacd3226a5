import { expect, test } from 'vitest';
import { cut, cutFields } from '../../src/base/log.ts';

test('incident: 120 messages of a head-end wrote 21.8 MB into the log: no line is longer than its room, whatever is handed in', () => {
  const deep: unknown[] = [];
  let inner = deep;
  for (let n = 0; n < 10_000; n++) inner.push((inner = []));
  const wild: object[] = [
    { unfit: 'x'.repeat(200_000) },
    Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`${'k'.repeat(500)}${n}`, 'v'.repeat(500)])),
    { list: Array.from({ length: 10_000 }, () => 'v'.repeat(500)) },
    { list: Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => ({ a: { b: 'x'.repeat(1000) } }))) },
    { deep },
    { octets: new Uint8Array(1_000_000) },
    { error: new Error('e'.repeat(100_000)) },
    { big: 10n ** 10_000n },
  ];
  for (const fields of wild) expect(JSON.stringify(cutFields(fields)).length).toBeLessThan(8000);
});

test('ordinary fields stay as they are, secrets under their names', () => {
  const fields = { error: 'no connection', seq: 7, password: 'p', inner: { key: 'k' }, none: null, list: [1, 2] };
  expect(cutFields(fields)).toEqual(fields);
  expect(cut('short')).toBe('short');
  expect(cut('x'.repeat(400))).toMatch(/^x{300}… \(400 characters\)$/);
});
