/** What decode is asked to show: one meter, rows between two stamps, stamps without a zone; and telegrams of a P1 port. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeInput, type DecodeOptions } from '../../src/cli/decode.ts';
import { toHex } from '../../src/base/hex.ts';
import { crc16 } from '../../src/dlms/p1/crc16.ts';
import { folder, root } from '../support/programs.ts';

const trace = (name: string): string => join(root, 'test/traces', name);
async function decoded(file: string, options: DecodeOptions) {
  const lines: string[] = [];
  const output = { print: (line: string) => void lines.push(line), flush: () => Promise.resolve(), write: () => {} };
  const code = await decodeInput(file, options, output, new AbortController().signal);
  return { lines, code };
}
const ends = (lines: readonly string[]): string[] => lines.map((line) => (JSON.parse(line) as { end: string }).end);

describe('which rows and frames', () => {
  test('rows between two stamps, both included; an empty span and a span turned round', async () => {
    const file = trace('c-tcp-hdlc-lls.tap');
    const all = ends((await decoded(file, { rows: true })).lines);
    const some = ends(
      (await decoded(file, { rows: true, from: '2026-10-10T02:00Z', to: '2026-10-10T04:00:00Z' })).lines,
    );
    expect(some).toEqual(all.filter((end) => end >= '2026-10-10T02:00:00Z' && end <= '2026-10-10T04:00:00Z'));
    expect(some.length).toBeGreaterThan(2);
    expect((await decoded(file, { rows: true, from: '2040-01-01' })).lines).toEqual([]);
    await expect(decoded(file, { rows: true, from: '2026-10-11', to: '2026-10-10' })).rejects.toThrow(/later/);
    await expect(decoded(file, { rows: true, to: 'yesterday' })).rejects.toThrow(/--to takes UTC/);
  });
  test('one meter of a line with several, in frames and in rows', async () => {
    const file = trace('c-tcp-hdlc-lls.tap');
    const { lines: all } = await decoded(file, { json: true });
    const meters = new Set(all.map((line) => (JSON.parse(line) as { meter?: string }).meter));
    expect(meters).toEqual(new Set(['1']));
    expect((await decoded(file, { json: true, meter: '1' })).lines).toEqual(all);
    expect((await decoded(file, { json: true, meter: '9' })).lines).toEqual([]);
    expect((await decoded(file, { rows: true, meter: '9' })).lines).toEqual([]);
    expect((await decoded(file, { rows: true, meter: '1' })).lines.length).toBeGreaterThan(20);
  });
});

describe('telegrams of a P1 port', () => {
  const body = [
    '/ISK5\\2M550T-1012',
    '',
    '0-0:1.0.0(261124130000W)',
    '0-0:96.1.1(3630313230303737)',
    '1-0:1.8.1(001234.567*kWh)',
    '!',
  ].join('\r\n');
  const check = crc16(Buffer.from(body, 'latin1')).toString(16).toUpperCase().padStart(4, '0');
  const telegram = Buffer.from(`${body}${check}\r\n`, 'latin1');
  const write = (name: string, octets: Uint8Array | string): string => {
    const path = join(folder, name);
    writeFileSync(path, octets);
    return path;
  };
  test('as octets, in hex, and line by line: the registers, and the instant by --standard-offset', async () => {
    const byLine = telegram.toString('latin1').split(/(?<=\n)/);
    const files = [
      write('p1.raw', Buffer.concat([telegram, telegram])),
      write('p1.hex', `${toHex(telegram)}\n`),
      write('p1-lines.hex', `${byLine.map((line) => toHex(Buffer.from(line, 'latin1'))).join('\n')}\n`),
    ];
    for (const file of files) {
      const { lines, code } = await decoded(file, { standardOffset: '60' });
      expect(code, file).toBe(0);
      expect(lines.join('\n')).toMatch(/telegram \/ISK5\\2M550T-1012, CRC right/);
      expect(lines.join('\n')).toMatch(/1-0:1\.8\.1\*255 +1234\.567 kWh/);
      expect(lines.join('\n')).toContain("meter's clock 2026-11-24T12:00:00Z");
    }
    // Without a zone it is no instant, and that is no silence.
    expect((await decoded(files[1] as string, {})).code).toBe(1);
  });
  test('a wrong CRC is no telegram, a cut one is said, and the next one is read', async () => {
    const wrong = Uint8Array.from(telegram);
    wrong[60] = (wrong[60] ?? 0) ^ 1;
    const { lines, code } = await decoded(
      write('p1-wrong.raw', Buffer.concat([telegram, wrong, telegram.subarray(0, 50), telegram])),
      { standardOffset: '60' },
    );
    expect(code).toBe(1);
    expect(lines.filter((line) => line.includes('telegram /'))).toHaveLength(2);
  });
});
