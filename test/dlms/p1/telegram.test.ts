/** P1: telegrams after the examples of DSMR 5.0.2 and 2.2+, with a CRC computed bit by bit here. */
import { expect, test } from 'vitest';
import { crc16 } from '../../../src/dlms/p1/crc16.ts';
import { type P1Found, P1Telegrams, parseTelegram } from '../../../src/dlms/p1/telegram.ts';
import { concat } from '../../../src/base/cursor.ts';

const octets = (text: string): Uint8Array => Buffer.from(text, 'latin1');
/** Bit by bit, as the companion standard describes it: x^16 + x^15 + x^2 + 1, lowest bit first. */
function slowCrc(data: Uint8Array): string {
  let crc = 0;
  for (const octet of data)
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc ^ (octet >> bit)) & 1;
      crc = (crc >> 1) ^ (carry ? 0xa001 : 0);
    }
  return crc.toString(16).toUpperCase().padStart(4, '0');
}
const withCrc = (body: string): Uint8Array => octets(`${body}!${slowCrc(octets(`${body}!`))}\r\n`);
const body = [
  '/ISK5\\2MT382-1000',
  '',
  '1-3:0.2.8(50)',
  '0-0:1.0.0(101209113020W)',
  '0-0:96.1.1(4B384547303034303436333935353037)',
  '1-0:1.8.1(123456.789*kWh)',
  '1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)',
  '0-0:96.13.0()',
  '0-1:24.2.1(101209112500W)(12785.123*m3)',
  '',
].join('\r\n');
const telegram = withCrc(body);
const collect = (data: Uint8Array, size = data.length): P1Found[] => {
  const machine = new P1Telegrams();
  const found: P1Found[] = [];
  for (let at = 0; at < data.length; at += size) found.push(...machine.push(data.subarray(at, at + size)));
  return [...found, ...machine.end()];
};

test('CRC-16 of the check string', () => {
  expect(crc16(octets('123456789'))).toBe(0xbb3d);
  expect(slowCrc(octets('123456789'))).toBe('BB3D');
});
test('DSMR 5: every object with its values and units', () => {
  const found = parseTelegram(telegram);
  expect(found).toMatchObject({ identification: 'ISK5\\2MT382-1000', check: 'correct' });
  expect('entries' in found && found.entries.map(({ obis, values }) => [obis, ...values])).toEqual([
    ['1-3:0.2.8', { text: '50' }],
    ['0-0:1.0.0', { text: '101209113020W' }],
    ['0-0:96.1.1', { text: '4B384547303034303436333935353037' }],
    ['1-0:1.8.1', { text: '123456.789', unit: 'kWh' }],
    [
      '1-0:99.97.0',
      { text: '2' },
      { text: '0-0:96.7.19' },
      { text: '101208152415W' },
      { text: '0000000240', unit: 's' },
      { text: '101208151004W' },
      { text: '0000000301', unit: 's' },
    ],
    ['0-0:96.13.0', { text: '' }],
    ['0-1:24.2.1', { text: '101209112500W' }, { text: '12785.123', unit: 'm3' }],
  ]);
});
test('DSMR 2: no CRC, the value of the gas meter on a line of its own', () => {
  const old = octets(
    '/KMP5 KA6U001660297912\r\n\r\n1-0:1.8.1(07404.613*kWh)\r\n0-1:24.3.0(110403140000)(000008)(60)(1)(0-1:24.2.1)(m3)\r\n(00002.345)\r\n!\r\n',
  );
  expect(parseTelegram(old)).toMatchObject({
    check: 'none',
    entries: [{ obis: '1-0:1.8.1' }, { obis: '0-1:24.3.0', values: { length: 7, 6: { text: '00002.345' } } }],
  });
});
test('a telegram is the same in pieces of any size; octets before it are counted', () => {
  const line = concat([octets('(00)\r\n!ABCD\r\n'), telegram, telegram]);
  const whole = collect(line);
  expect(whole.map(({ is }) => is)).toEqual(['outside', 'telegram', 'telegram']);
  for (let size = 1; size < 200; size++)
    expect(collect(line, size).filter(({ is }) => is === 'telegram')).toHaveLength(2);
});
test('one bit wrong anywhere is never believed', () => {
  for (let at = 0; at < telegram.length - 2; at++) {
    const damaged = Uint8Array.from(telegram);
    damaged[at] = (damaged[at] as number) ^ 1;
    // A digit of the CRC may stay the same digit in the other case; nothing else may.
    const found = collect(damaged).filter(({ is }) => is === 'telegram');
    expect(found, `octet ${at}`).toEqual([]);
  }
});
test('a cut telegram does not swallow the next one', () => {
  const found = collect(concat([telegram.subarray(0, 100), octets('\r\n'), telegram]));
  expect(found.map(({ is }) => is)).toEqual(['damaged', 'telegram']);
});
test('a ciphered APDU stands on the line by its length', () => {
  const content = concat([Uint8Array.of(0x30, 0, 0, 0, 1), new Uint8Array(300).fill(0x2f)]);
  const apdu = concat([
    Uint8Array.of(0xdb, 8),
    octets('SAGgp123'),
    Uint8Array.of(0x82, content.length >> 8, content.length & 0xff),
    content,
  ]);
  for (const size of [1, 10, 1000])
    expect(collect(concat([apdu, telegram, apdu]), size)).toEqual([
      { is: 'ciphered', apdu: Uint8Array.from(apdu) },
      { is: 'telegram', telegram: parseTelegram(telegram) },
      { is: 'ciphered', apdu: Uint8Array.from(apdu) },
    ]);
});
test('memory does not grow on a line that never ends a telegram', () => {
  const machine = new P1Telegrams();
  machine.push(octets('/ABC5x\r\n'));
  for (let i = 0; i < 100; i++) machine.push(octets('1-0:1.8.1(1)\r\n'.repeat(100)));
  expect(machine.pendingOctets).toBeLessThan(1 << 15);
});
