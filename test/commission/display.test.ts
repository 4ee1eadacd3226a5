/** What a display shows, beside the register. */
import { expect, test } from 'vitest';
import { compareDisplay } from '../../src/commission/display.ts';

const wh = { obis: '1-0:1.8.0*255', raw: 12_650_168, scaler: 0, unit: 'Wh' } as const;
const ct = { numerator: '200', denominator: '5' };

test.each([
  ['all digits', '12650.168', true],
  ['a comma, and blanks between thousands', '12 650,168', true],
  ['whole kilowatt-hours, cut off', '12650', true],
  ['leading zeros', '00012650', true],
  ['the last digit one on: it counted meanwhile', '12651', true],
  ['two on', '12652', false],
  ['a digit exchanged', '12560', false],
  ['more decimals than the register has', '12650.1684', true],
  ['what was used meanwhile', '12650.268', true, 100n],
  ['more than that', '12650.368', false, 100n],
])('%s: %s', (_, shown, agrees, used = 0n) => {
  expect(compareDisplay(shown, wh, null, used)?.agrees).toBe(agrees);
});
test('a display of the secondary side agrees, and says so; a ratio that was applied twice does not', () => {
  expect(compareDisplay('316.254', wh, ct)).toMatchObject({ agrees: true });
  expect(compareDisplay('316.254', wh, ct)?.words).toContain('secondary side');
  expect(compareDisplay('506006.720', wh, ct)).toMatchObject({ agrees: false });
  expect(compareDisplay('506006.720', wh, ct)?.words).toContain('applied twice');
});
test('scalers of both signs; a register without unit is compared as it stands', () => {
  expect(compareDisplay('12650.1', { ...wh, raw: 126_501, scaler: 2 }, null)?.agrees).toBe(true);
  expect(compareDisplay('12650.168', { ...wh, raw: 126_501_680, scaler: -1 }, null)?.agrees).toBe(true);
  expect(compareDisplay('12345', { ...wh, raw: 12_345, scaler: null, unit: null }, null)?.agrees).toBe(true);
});
test.each(['', 'abc', '-5', '1.2.3', '12k', '1e3'])("'%s' is no reading", (shown) => {
  expect(compareDisplay(shown, wh, null)).toBeUndefined();
});
