/** What the command line says of values: codes by name, values scaled, times local. */
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { millis } from '../../src/base/time.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { explain } from '../../src/recording/reader.ts';
import { clockWords, objectWords, rowText } from '../../src/recording/object-words.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { parseLogicalName } from '../../src/dlms/cosem/logical-name.ts';
import { dataWords } from '../../src/dlms/cosem/value-names.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';
import { refusalName } from '../../src/dlms/association/client.ts';
import { Failure } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { localTime, systemZone } from '../../src/base/words.ts';
import { describeFailure } from '../../src/cli/fail.ts';
import { gateway, run, simulate } from '../support/programs.ts';
import { traceText } from '../support/recorded.ts';

const of = (classId: number, name: string, attribute: number) => ({
  classId,
  logicalName: parseLogicalName(name),
  attribute,
});
const octets = (hex: string): Data => ({ type: 'octet-string', value: fromHex(hex) });
const number = (value: number, type: 'unsigned' | 'enum' | 'long-unsigned' | 'long' = 'unsigned'): Data => ({
  type,
  value,
});
const words = (classId: number, logicalName: string, attribute: number, data: Data, model = genericModel): string =>
  objectWords(of(classId, logicalName, attribute), data, model);

describe('codes by name', () => {
  test.each<[number, string, number, Data, string]>([
    [70, '0.0.96.3.10.255', 2, { type: 'boolean', value: false }, 'boolean false (supply OFF)'],
    [70, '0.0.96.3.10.255', 3, number(2, 'enum'), 'enum 2 (ready for reconnection)'],
    [70, '0.0.96.3.10.255', 4, number(4, 'enum'), 'enum 4 (off remotely or locally; on again remotely or by hand)'],
    [7, '1.0.99.1.0.255', 5, number(2, 'enum'), 'enum 2 (LIFO)'],
    [8, '0.0.1.0.0.255', 4, number(0x81), 'unsigned 129 (invalid, summer time)'],
    [8, '0.0.1.0.0.255', 4, number(0x12), 'unsigned 18 (doubtful, bit 4, which has no meaning)'],
    [8, '0.0.1.0.0.255', 4, number(0xff), 'unsigned 255 (not specified)'],
    [8, '0.0.1.0.0.255', 3, number(-120, 'long'), 'long -120 (standard time is UTC+02:00)'],
    [23, '0.0.22.0.0.255', 2, number(5, 'enum'), 'enum 5 (9600 Bd)'],
    [15, '0.0.40.0.0.255', 8, number(2, 'enum'), 'enum 2 (associated)'],
    [18, '0.0.44.0.0.255', 6, number(4, 'enum'), 'enum 4 (verification failed)'],
    [1, '0.0.96.10.1.255', 2, number(0x88), 'unsigned 136 (DST daylight saving, PDN power down)'],
    [1, '0.0.96.10.1.255', 2, number(0x50), "unsigned 80 (bit 4 of the maker's, bit 6 of the maker's)"],
    [1, '0.0.96.10.1.255', 2, number(0), 'unsigned 0 (nothing to tell)'],
    [1, '0.0.96.11.0.255', 2, number(60), 'unsigned 60 (manual disconnection)'],
    [
      4,
      '1.0.1.6.0.255',
      3,
      { type: 'structure', value: [{ type: 'integer', value: -3 }, number(27, 'enum')] },
      '{integer -3, enum 27} (× 10^-3 W)',
    ],
  ])('class %i %s attribute %i', (classId, name, attribute, data, expected) => {
    expect(words(classId, name, attribute, data)).toBe(expected);
  });
  test('a register of which the meter tells no scaler says so; an object that has none misses none', () => {
    const untold = (classId: number, name: string, attribute: number) =>
      objectWords(of(classId, name, attribute), number(7), genericModel, null);
    expect(untold(3, '1.0.1.8.0.255', 2)).toBe('7 (raw; scaler and unit are not known)');
    expect(untold(5, '1.0.1.4.0.255', 3)).toBe('7 (raw; scaler and unit are not known)');
    expect(untold(4, '1.0.1.6.0.255', 4)).toBe('unsigned 7');
    expect(untold(1, '0.0.96.7.21.255', 2)).toBe('unsigned 7');
    // In a recording nobody may have asked.
    expect(words(3, '1.0.1.8.0.255', 2, number(7))).toBe('unsigned 7');
  });
  test('a code without a name keeps its number and is said to be unknown', () => {
    expect(words(70, '0.0.96.3.10.255', 3, number(9, 'enum'))).toBe('enum 9 (unknown: 9)');
    expect(words(7, '1.0.99.1.0.255', 5, number(77, 'enum'))).toBe('enum 77 (unknown: 77)');
    expect(words(1, '0.0.96.11.0.255', 2, number(222))).toBe('unsigned 222 (unknown code 222)');
    expect(refusalName(200)).toBe('unknown result 200');
  });
  test('events by the companion, status by the bits of the model', () => {
    expect(words(1, '0.0.96.11.0.255', 2, number(42), { ...genericModel, companion: 'dsmr' })).toContain(
      'strong DC field detected',
    );
    expect(words(1, '0.0.96.11.0.255', 2, number(42))).toContain('strong magnetic field detected');
    const model = { ...genericModel, status_bits: { power_down: [9], clock_invalid: [0, 1] } };
    expect(words(1, '0.0.96.10.1.255', 2, number(0x202, 'long-unsigned'), model)).toBe(
      'long-unsigned 514 (CIV clock invalid, PDN power down)',
    );
  });
});

describe('what octets say', () => {
  test.each([
    ['07ea0b1c060a1823ffff8800', '2026-11-28 10:24:35 +02:00 (0x07ea0b1c060a1823ffff8800)'],
    [
      '07ea0701030a18ff00800083',
      '2026-07-01 10:24 (deviation left open), invalid, doubtful, summer time (0x07ea0701030a18ff00800083)',
    ],
    ['0100010800ff', '1-0:1.8.0*255 (0x0100010800ff)'],
  ])('%s', (hex, expected) => expect(dataWords(octets(hex))).toBe(expected));
  test.each([
    'ffffffffffffffffffffffff',
    '07ea0d1c060a182300ff8800',
    '07ea0b1c063c182300ff8800',
    '0100010800fe',
    '07ea0b1c060a18230003e800',
    '414243',
    '00'.repeat(12),
    '',
  ])('sibling: %s is neither stamp nor code', (hex) =>
    expect(dataWords(octets(hex))).toBe(hex === '414243' ? "'ABC'" : `0x${hex}`),
  );
  test('within structures, too', () => {
    const data: Data = { type: 'structure', value: [number(8, 'long-unsigned'), octets('0000010000ff')] };
    expect(dataWords(data)).toBe('{long-unsigned 8, 0-0:1.0.0*255 (0x0000010000ff)}');
  });
});

test('incident: a row was "status 0x88  1-0:1.8.0*255 12345" in UTC; it is local, scaled, with its bits by name', () => {
  const row: LoadProfileRow = {
    start: null,
    end: millis(Date.parse('2026-11-28T08:00:00Z')),
    clock: fromHex('07ea0b1c060a0000ffff8800'),
    status: 0x88,
    channels: [
      { key: '1-0:1.8.0*255', scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' },
      { key: '1-0:2.8.0*255', scalerUnit: undefined, kind: 'register' },
      { key: '1-0:3.8.0*255', scalerUnit: undefined, kind: 'register' },
    ],
    cells: [12_345, 18_446_744_073_709_551_615n, null],
    doubt: 'doubtful',
    besideMs: -2000,
  };
  expect(rowText(row, 'Europe/Helsinki', genericModel).split('  ')).toEqual([
    '2026-11-28 10:00:00 +02:00',
    'status 0x88 (DST daylight saving, PDN power down)',
    '1-0:1.8.0*255 12.345 kWh (raw 12345, scaler 0, Wh)',
    '1-0:2.8.0*255 18446744073709551615 (raw; scaler and unit are not known)',
    'stamped 2 s before it',
    'clock says doubtful',
  ]);
  expect(rowText({ ...row, besideMs: 1500 }, 'UTC', genericModel)).toContain('stamped 1.5 s after it');
  expect(rowText({ ...row, status: 0x200, bits: 0x80 }, 'UTC', genericModel)).toContain(
    'status 0x200 (PDN power down)',
  );
  expect(rowText({ ...row, end: null, clock: null }, 'UTC', genericModel)).toMatch(/^\(no instant\) /);
});

test('sibling: a row of an event log names its events, a counter misses no scaler, a status that nobody explains is no all-clear', () => {
  const row: LoadProfileRow = {
    start: null,
    end: millis(Date.parse('2026-11-28T08:00:00Z')),
    clock: fromHex('07ea0b1c060a0000ffff8800'),
    status: 0x10,
    bits: 0,
    channels: [
      { key: '0-0:96.11.0*255', scalerUnit: undefined, kind: 'value' },
      { key: '0-0:96.7.21*255', scalerUnit: undefined, kind: 'value' },
      { key: '1-0:32.7.0*255', scalerUnit: undefined, kind: 'value', unscaled: { billable: false } },
      { key: '0-0:96.11.0*255:5', scalerUnit: undefined, kind: 'value' },
      { key: '0-0:96.1.0*255', scalerUnit: undefined, kind: 'value' },
    ],
    cells: [60, 7, 2301, 60, "'ABC'"],
  };
  expect(rowText(row, 'UTC', genericModel).split('  ')).toEqual([
    '2026-11-28 08:00:00 +00:00',
    'status 0x10 (no bit that the model names)',
    '0-0:96.11.0*255 60 (manual disconnection)',
    '0-0:96.7.21*255 7',
    '1-0:32.7.0*255 2301 (raw; scaler and unit are not known)',
    '0-0:96.11.0*255:5 60',
    "0-0:96.1.0*255 'ABC'",
  ]);
});

describe('decode', () => {
  const texts = (input: string) => explain(parseExchange(input)).frames.flatMap(({ text }) => text);
  test('incident: an answer was a number without the object that it is of; it is scaled, named, and errors are by name', () => {
    const lls = texts(traceText('c-tcp-hdlc-lls.tap')).join('\n');
    expect(lls).toContain('get-response-normal #1 {integer 0, enum 30} (× 10^0 Wh)');
    expect(lls).toContain('get-response-normal #1 1000.007 kWh (raw 1000007, scaler 0, Wh)');
    expect(lls).toContain('get-response-normal #1 2026-11-24 02:08:09 +00:00 (0x07ea0b180202080900000000)');
    expect(lls).toContain('RLRQ reason normal');
    expect(lls).toContain('AARQ context logical-name, mechanism lls');
    const keys = {
      encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')),
      authentication: new Secret(fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf')),
    };
    const ciphered = explain(parseExchange(traceText('c-tcp-hdlc-gmac.tap')), keys).frames.flatMap(({ text }) => text);
    expect(ciphered.join('\n')).toMatch(
      /security control 0x30 \(suite 0, authenticated, encrypted; the tag fits\), counter \d+/,
    );
    const exception = encodeApdu({ kind: 'exception-response', stateError: 1, serviceError: 2 });
    expect(texts(toHex(exception))).toEqual(['exception-response: service not allowed, service not supported']);
  });
});

test('incident: a failed command told UTC; times are local, and what the operator wrote stays as it was written', () => {
  const at = '2026-11-28T09:00:00Z';
  const lineOf = (code: 'backed-off' | 'time-unknown' | 'bad-argument' | 'config-invalid') =>
    describeFailure(new Failure(code, `x ${at} y`)).lines[0];
  for (const code of ['backed-off', 'time-unknown'] as const)
    expect(lineOf(code)).toContain(`x ${localTime(Date.parse(at), systemZone())} y`);
  for (const code of ['bad-argument', 'config-invalid'] as const) expect(lineOf(code)).toContain(`x ${at} y`);
});

test('of this machine: a clock in words', () => {
  expect(clockWords(-12_000)).toBe("12 s behind, against this machine's");
});

test('read and browse of a meter that runs: people are told words, JSON keeps the raw numbers', async () => {
  const { device } = await simulate(['--tcp', '0']);
  const env = { METER_SECRET: 'meter', TZ: 'Europe/Helsinki' };
  const objects = [
    '--object',
    '1-0:1.8.0',
    '--object',
    '0-0:96.3.10:3',
    '--object',
    '0-0:1.0.0',
    '--object',
    '1-0:1.8.0:3',
  ];
  const connection = [device, '--client', '17', '--auth', 'lls'];
  const { out } = await run(gateway, ['read', ...connection, ...objects], { env });
  const lines = out.trim().split('\n');
  expect(lines[0]).toMatch(/^1-0:1\.8\.0\*255:2 {2}\d+\.\d{3} kWh \(raw \d+, scaler 0, Wh\)$/);
  expect(lines[1]).toMatch(/^0-0:96\.3\.10\*255:3 {2}enum 1 \(connected\)$/);
  expect(lines[2]).toMatch(/^0-0:1\.0\.0\*255:2 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d \(0x[0-9a-f]{24}\)$/);
  expect(lines[3]).toContain('(× 10^0 Wh)');
  const json = await run(gateway, ['read', ...connection, ...objects, '--json'], { env });
  expect(
    json.out
      .trim()
      .split('\n')
      .map((line) => Object.keys((JSON.parse(line) as { value: object }).value)[0]),
  ).toEqual(['double-long-unsigned', 'enum', 'octet-string', 'structure']);
  const identity = await run(gateway, ['read', ...connection], { env });
  expect(identity.out).toMatch(/clock +right, against this machine's/);
  const browsed = await run(gateway, ['browse', ...connection, '--only', '1-0:1.8.0', '--only', '0-0:96.3.10'], {
    env,
  });
  expect(browsed.out).toMatch(/2 value +r +\d+\.\d{3} kWh \(raw \d+, scaler 0, Wh\)/);
  expect(browsed.out).toMatch(/control_state +r +enum 1 \(connected\)/);
  const rows = await run(gateway, ['read', ...connection, '--profile', '1-0:99.1.0', '--entries', '1-2'], { env });
  for (const line of rows.out.trim().split('\n'))
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:00:00 \+0[23]:00 {2}status 0x\w\w \([^)]+\) {2}1-0:1\.8\.0\*255 [\d.]+ kWh \(raw \d+/,
    );
});
