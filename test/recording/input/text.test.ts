/** Lines of text: what is octets, what is not, and what is damaged. */
import { expect, test } from 'vitest';
import { toHex } from '../../../src/base/hex.ts';
import { openInput } from '../../../src/recording/input/open.ts';
import { instantOf, takeStamps } from '../../../src/recording/input/stamp.ts';

const shown = (text: string) => {
  const reader = openInput({ ports: new Set() });
  return [...reader.push(Buffer.from(text)), ...reader.end()].flatMap((item) => {
    if ('octets' in item)
      return [
        `${item.line} ${item.direction === 'to-meter' ? '>' : item.direction === 'from-meter' ? '<' : '?'} ${toHex(item.octets)}`,
      ];
    return 'problem' in item ? [`${item.line}:${item.offset} ${item.problem}`] : [];
  });
};

test('a bad line is named with its place, and the rest goes on', () => {
  expect(shown('7e a0 07\n7e a0 zz 07\n7ea00\n7e a0 08\n')).toEqual([
    '1 ? 7ea007',
    "2:6 'zz' is not an octet in hex",
    '3:5 odd number of hex digits',
    '4 ? 7ea008',
  ]);
  expect(shown('0.1 -> 3 7e a0 07\n0.2 <- 4 7e a0 07\n0.3 <- 2 7e xx\n0.4 <- 1 7e\n')).toEqual([
    '1 > 7ea007',
    '2:9 3 octets where the line says 4',
    "3:12 'x' is not a hex digit",
    '4 < 7e',
  ]);
  expect(shown('TX: 7E A0 07\nRX: 7E A0 0G 23 03\nRX: 7E A0 08\n')).toEqual([
    '1 > 7ea007',
    "2:10 '0G' is not an octet in hex",
    '3 < 7ea008',
  ]);
});
test('words, numbers, addresses and names of a log are no octets', () => {
  for (const line of [
    'baud rate: 9600, added 12 files, face 1234',
    'Received 1234 bytes from 192.168.1.181',
    'session 550e8400-e29b-41d4-a716-446655440000 is open',
    '[18:32:36.826][C][uart.arduino_esp8266:146]:   Baud Rate: 9600 baud',
    'connected to b8:27:eb:12:34:56',
    'read timeout after 20 00 ms',
  ])
    expect(shown(`TX: 7E A0 07\n${line}\nRX: 7E A0 08\n`), line).toEqual(['1 > 7ea007', '3 < 7ea008']);
});
test('formats may be mixed', () => {
  expect(shown("# connect a\n0.1 -> 2 7e a0\nTX: 7E A1\n7ea2\n00000000: 7ea3  ~.\nb'~\\xa4'\n[126, 165]\n")).toEqual([
    '2 > 7ea0',
    '3 > 7ea1',
    '4 ? 7ea2',
    '5 ? 7e',
    '5 ? a3',
    '6 ? 7ea4',
    '7 ? 7ea5',
  ]);
});
test('strace without -s says what it lacks', () => {
  expect(shown('12:00:00.1 read(3, "~\\240\\7"..., 4096) = 120\n')).toEqual([
    '1 < 7ea007',
    '1:27 strace wrote only 3 of 120 octets: it takes -s 65535',
  ]);
});
test('hexdump: a star repeats the row before it', () => {
  const row = (at: string) => `${at}  7e 00 00 00 00 00 00 00  00 00 00 00 00 00 00 7e  |~..............~|`;
  const all = shown(`${row('00000000')}\n*\n${row('00000040')}\n00000050\n`);
  expect(all.map((one) => one.slice(4)).join('').length).toBe(5 * 32);
});
test.each([
  ['2026-11-28T12:34:56.789Z x', '2026-11-28T12:34:56.789Z', Date.UTC(2026, 10, 28, 12, 34, 56, 789)],
  ['28.11.2026 12:34:56 x', '28.11.2026 12:34:56', Date.UTC(2026, 10, 28, 12, 34, 56)],
  ['[12:34:56.7] x', '12:34:56.7', 45_296_700],
  ['x 1:02:03 PM', '1:02:03 PM', 46_923_000],
  ['0.0123 x', '0.0123', 12.3],
] as const)('%s: a time', (text, time, at) => {
  expect(takeStamps(text).time).toBe(time);
  expect(instantOf(time)).toBeCloseTo(at, 3);
});
test('octets that look like times are none', () => {
  for (const text of ['7E:10:20:30:40', '10:20:30:40', '00,01,00,10', '7e 12:34'])
    expect(takeStamps(text).time).toBe('');
});
test.each([
  ['', /the input is empty/],
  ['\x7fELF\x02\x01\x01', /a program \(ELF\)/],
  ['PK\x03\x04', /a ZIP file/],
  ['\x1f\x8b\x08\x00', /gzip/],
  ['%PDF-1.7\n', /a PDF/],
])('%j is refused by name', (text, words) => {
  const open = () => {
    const reader = openInput({ ports: new Set() });
    reader.push(Buffer.from(text, 'latin1'));
    reader.end();
  };
  expect(open).toThrow(words);
});
