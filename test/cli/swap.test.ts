/** `meter-gateway meter swap` changes the one meter in the file, and nothing else. */
import { describe, expect, test } from 'vitest';
import { withSwap } from '../../src/cli/swap.ts';
import { configExample } from '../../src/config/example.ts';
import { parseConfig } from '../../src/config/load.ts';

const swap = {
  serial: '70000001',
  at: '2026-11-24T10:37:00Z',
  final: ['1-0:1.8.0=12345678', '1-0:2.8.0*255=99007199254740993'],
  first: ['1.0.1.8.0.255=7'],
};
describe('the example', () => {
  const written = withSwap(configExample, 'm-60120001', swap);
  test('has the new meter with its registers', () => {
    const [meter] = parseConfig(written, 'x').config.port[0]?.meter ?? [];
    expect(meter).toMatchObject({
      id: 'm-60120001',
      serial: '70000001',
      swap: {
        from: '60120001',
        at: '2026-11-24T10:37:00.000Z',
        final: { '1-0:1.8.0*255': 12_345_678, '1-0:2.8.0*255': '99007199254740993' },
        first: { '1-0:1.8.0*255': 7 },
      },
    });
  });
  test('everything else stays, comments too; the next swap takes the place of this one', () => {
    const others = (text: string) => text.split('\n').filter((line) => !/^(serial|swap) =/.test(line));
    expect(others(written)).toEqual(others(configExample));
    const again = withSwap(written, 'm-60120001', { ...swap, serial: '70000002', physical: '1002' });
    expect(again.match(/^swap =/gm)).toHaveLength(1);
    expect(again).toContain('from = "70000001"');
    expect(again).toContain('physical = 1002');
  });
});
test.each([
  ['nobody', swap, "no meter 'nobody'"],
  ['m-60120001', { ...swap, at: 'yesterday' }, "--at takes an instant such as 2026-11-24T10:37:00Z, not 'yesterday'"],
  ['m-60120001', { ...swap, final: ['1-0:1.8.0=12.5'] }, '--final takes OBIS=REGISTER'],
  ['m-60120001', { ...swap, first: ['energy=1'] }, 'no OBIS code'],
  ['m-60120001', { ...swap, serial: '60120001' }, 'has the serial number 60120001 already'],
])('%s %j: %s', (meter, options, message) => {
  expect(() => withSwap(configExample, meter, options)).toThrow(message);
});
test('a meter that is written in another style is left to a person', () => {
  const odd = configExample
    .replace('id = "m-60120001"', 'id = "m-60120001"')
    .replace(/^serial = .*$/m, '"serial" = "60120001"');
  expect(() => withSwap(odd, 'm-60120001', swap)).toThrow('edit it by hand');
});
