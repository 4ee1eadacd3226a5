/** R32: the meter that answers is the configured one, or it is not. */
import { assert, property, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { meterModels } from '../../src/config/meter-models.ts';
import { parseConfig } from '../../src/config/judge.ts';
import { normalSerial, requireIdentity, sameSerial } from '../../src/meter/identity.ts';
import type { Identity } from '../../src/meter/identity-reading.ts';
import { genericModel, type MeterModel } from '../../src/meter/model.ts';
import { configuration } from '../support/configuration.ts';

const identity = (serial: string | undefined, logicalDeviceName?: string): Identity => ({
  serial,
  logicalDeviceName,
  clockDeviationMs: undefined,
  changes: undefined,
  disconnector: undefined,
  clockDoubt: null,
  unreadable: [],
});
const isConfigured = (identity: Identity, serial: string, model: MeterModel = genericModel): boolean => {
  try {
    requireIdentity(identity, serial, model);
    return true;
  } catch (error) {
    // One that says nothing of itself is no other one.
    const mute = [identity.serial, identity.logicalDeviceName].every(
      (one) => one === undefined || /^[\s\0]*$/.test(one),
    );
    expect(error).toMatchObject({ code: mute ? 'identity-unknown' : 'identity-mismatch' });
    return false;
  }
};
const model = (name: string) => meterModels().get(name) as MeterModel;

describe('22: the serial number is compared exactly', () => {
  test.each([
    ['999960120001', undefined],
    [undefined, 'SIM0999960120001'],
    [undefined, 'SIM9999960120001'],
    ['X60120001', 'SIM999960120001'],
  ])('incident: %s, %s was taken for 60120001, of which it is only the end', (serial, name) => {
    expect(isConfigured(identity(serial, name), '60120001')).toBe(false);
  });
  test.each([
    ['601200010', 'a prefix'],
    ['60120001A', 'letters behind'],
    ['6012000', 'too short'],
    ['', 'empty'],
    ['   ', 'only spaces'],
    ['\0\0\0\0', 'only fill'],
  ])('sibling: %j is not 60120001: %s', (serial) => {
    expect(isConfigured(identity(serial), '60120001')).toBe(false);
  });
  test('sibling: an empty serial number is not the number 0, and 0 is not every number', () => {
    for (const zero of ['0', '000']) {
      expect(isConfigured(identity(''), zero)).toBe(false);
      expect(isConfigured(identity(undefined, ''), zero)).toBe(false);
      expect(isConfigured(identity('60120000'), zero)).toBe(false);
      expect(isConfigured(identity('0000'), zero)).toBe(true);
    }
    expect(sameSerial('', '')).toBe(false);
  });
  test('sibling: case counts, what pads does not', () => {
    expect(isConfigured(identity('ab12'), 'AB12')).toBe(false);
    expect(isConfigured(identity(' 0060120001\0\0'), '60120001')).toBe(true);
    expect(isConfigured(identity('60120001'), '0060120001')).toBe(true);
    // Zeros in front of letters belong to the name.
    expect(isConfigured(identity('00AB12'), 'AB12')).toBe(false);
  });
  test.each([
    ['generic', 'SIM0000060120001', '60120001', true],
    ['generic', 'SIM1030060120001', '60120001', false],
    ['idis', 'SIM1030060120001', '60120001', true],
    ['idis', 'SIM1039960120001', '60120001', false],
    ['idis', 'SIM0000060120001', '60120001', false],
    ['dsmr', 'XMX5SIM060120001', '60120001', true],
    ['dsmr', 'XMX5SIM960120001', '60120001', false],
    ['recorded-grx', 'GRX0000012345678', '12345678', true],
    ['recorded-grx', 'GRX9990012345678', '12345678', false],
    // Configured as a whole it is itself, whatever the model.
    ['generic', 'SIM1030060120001', 'SIM1030060120001', true],
  ])('%s: %s is %s: %s', (name, deviceName, serial, same) => {
    expect(isConfigured(identity(undefined, deviceName), serial, model(name))).toBe(same);
  });
  test('no number is taken for another one, whatever stands before or behind it', () => {
    const digits = stringMatching(/^[0-9]{1,12}$/);
    assert(
      property(digits, digits, (a, b) => {
        expect(isConfigured(identity(a), b)).toBe(BigInt(a) === BigInt(b));
        expect(isConfigured(identity(a + b), b)).toBe(BigInt(a) === 0n);
        expect(isConfigured(identity(undefined, `SIM${a}`), b)).toBe(BigInt(a) === BigInt(b));
      }),
    );
    expect(normalSerial('007')).toBe('7');
  });
  test('sibling: two meters of the configuration with one number, written with and without zeros', () => {
    const parse = (a: string, b: string) => () =>
      parseConfig(
        configuration({
          port: [
            {
              device: '/dev/x',
              meter: [
                { serial: a, client: 16, physical: 1 },
                { serial: b, client: 16, physical: 2 },
              ],
            },
          ],
        }),
        'x.toml',
      );
    expect(parse('60120001', '0060120001')).toThrow(/serial 60120001 is already used/);
    expect(parse('60120001', '999960120001')).not.toThrow(/serial/);
    expect(parse('60120001', ' ')).toThrow(/serial/);
  });
});
