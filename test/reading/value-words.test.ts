/** Values as a person reads them, beside what the meter said. */
import { expect, test } from 'vitest';
import { valueWords } from '../../src/reading/value-words.ts';

test('incident: a register was "12345 x 10^-1 Wh" to be worked out; it is scaled, with its unit, and the raw one beside it', () => {
  expect(valueWords(12_345, 0, 'Wh')).toBe('12.345 kWh (raw 12345, scaler 0, Wh)');
  expect(valueWords('-7', 1, 'varh')).toBe('-0.07 kvarh (raw -7, scaler 1, varh)');
  expect(valueWords(2301, -1, 'V')).toBe('230.1 V (raw 2301, scaler -1, V)');
  expect(valueWords(5, 3, 'W')).toBe('5000 W (raw 5, scaler 3, W)');
});

test('sibling: large, unitless, unscaled, and no number at all', () => {
  expect(valueWords('18446744073709551615', -1, 'Wh')).toBe(
    '1844674407370955.1615 kWh (raw 18446744073709551615, scaler -1, Wh)',
  );
  expect(valueWords(4n, 0, '')).toBe('4 (raw 4, scaler 0, no unit)');
  expect(valueWords(12_345, null, null)).toBe('12345 (raw; scaler and unit are not known)');
  expect(valueWords(1, 127, 'Wh')).toBe('1 × 10^127 Wh (raw 1, scaler 127, Wh)');
  expect(valueWords('12.5', -1, 'V')).toBe('12.5 × 10^-1 V (raw 12.5, scaler -1, V)');
  expect(valueWords(3, 0, 'unit 99')).toBe('3 unit 99 (raw 3, scaler 0, unit 99)');
});
