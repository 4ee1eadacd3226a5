import { expect, test } from 'vitest';
import { storageState, type StorageState } from '../../src/schedule/storage.ts';

test('R22: low below a tenth, full below a fiftieth or what LevelDB needs; each ends at half as much again', () => {
  const totalBytes = 10_000_000_000;
  let state: StorageState = 'ok';
  const at = (percent: number) =>
    (state = storageState({ freeBytes: (percent / 100) * totalBytes, totalBytes }, state));
  expect([50, 10, 9.9, 12, 14.9, 15, 9, 2, 1.9, 2.5, 2.9, 3, 14, 16].map(at)).toEqual([
    'ok',
    'ok',
    'low',
    'low',
    'low',
    'ok',
    'low',
    'low',
    'full',
    'full',
    'full',
    'low',
    'low',
    'ok',
  ]);
  expect(storageState({ freeBytes: 3_000_000, totalBytes: 20_000_000 }, 'ok')).toBe('full');
});
