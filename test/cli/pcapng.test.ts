/** pcapng by hand-computed blocks, and read back by a reader of its own. */
import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { interfaceBlock, packetBlock, pcapngWriter, sectionHeader } from '../../src/cli/pcapng.ts';

test('blocks, octet by octet', () => {
  expect(toHex(sectionHeader())).toBe(
    ['0a0d0d0a', '1c000000', '4d3c2b1a', '01000000', 'ffffffffffffffff', '1c000000'].join(''),
  );
  expect(toHex(interfaceBlock('bus'))).toBe(
    ['01000000', '20000000', '9300', '0000', '00000000', '02000300', '62757300', '00000000', '20000000'].join(''),
  );
  // 2026-11-28T12:00:00.001Z is 1 795 867 200 001 000 µs: 0x0006_6151_5ae9_f3e8.
  expect(toHex(packetBlock(1, Date.UTC(2026, 10, 28, 12, 0, 0, 1), '<-', Uint8Array.of(1, 2, 3)))).toBe(
    [
      '06000000',
      '30000000',
      '01000000',
      us(Date.UTC(2026, 10, 28, 12, 0, 0, 1)),
      '03000000',
      '03000000',
      '01020300',
      '02000400',
      '01000000',
      '00000000',
      '30000000',
    ].join(''),
  );
});
function us(at: number): string {
  const value = BigInt(at) * 1000n;
  const high = Buffer.alloc(4);
  high.writeUInt32LE(Number(value / 2n ** 32n));
  const low = Buffer.alloc(4);
  low.writeUInt32LE(Number(value % 2n ** 32n));
  return high.toString('hex') + low.toString('hex');
}

/** Packets of a file, by the lengths that stand in front of and behind each block. */
function packetsOf(file: Buffer): { line: number; direction: number; hex: string }[] {
  const packets: { line: number; direction: number; hex: string }[] = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 4);
    expect(file.readUInt32LE(at + length - 4)).toBe(length);
    expect(length % 4).toBe(0);
    if (file.readUInt32LE(at) === 6) {
      const size = file.readUInt32LE(at + 20);
      const options = at + 28 + size + ((4 - (size % 4)) % 4);
      packets.push({
        line: file.readUInt32LE(at + 8),
        direction: file.readUInt32LE(options + 4),
        hex: file.subarray(at + 28, at + 28 + size).toString('hex'),
      });
    }
    at += length;
  }
  return packets;
}
/** SNRM to server 1 from client 16, whole and with a wrong check. */
const snrm = '7ea0070321930f017e';
const damaged = '7ea0070321930f027e';
function written(events: readonly [port: string, direction: '->' | '<-', octets: string][]) {
  const parts: Uint8Array[] = [];
  const writer = pcapngWriter((octets) => parts.push(octets));
  for (const [port, direction, octets] of events)
    writer.add({ at: Date.UTC(2026, 10, 28, 12, 0, 0, 1), port, direction, octets: fromHex(octets) });
  return packetsOf(Buffer.concat(parts));
}

test('a frame that comes in pieces is one packet, two frames in one piece are two', () => {
  const packets = written([
    ['bus', '->', snrm.slice(0, 6)],
    ['bus', '->', snrm.slice(6) + snrm],
    // The closing flag of the first opens the second.
    ['bus', '<-', snrm + snrm.slice(2)],
  ]);
  expect(packets.map(({ direction }) => direction)).toEqual([2, 2, 1, 1]);
  expect(packets.map(({ hex }) => hex)).toEqual([snrm, snrm, snrm, snrm]);
});
test('wrapper messages by their length; text of the sign-on as it comes; each port is an interface', () => {
  expect(
    written([
      ['tcp', '->', `0001001000010002aabb0001001000010001cc`],
      ['optical', '->', Buffer.from('/?!\r\n').toString('hex')],
      ['optical', '<-', Buffer.from('/ABC5\r\n').toString('hex')],
      ['tcp', '<-', '00010001'],
      ['tcp', '->', damaged],
    ]),
  ).toEqual([
    { line: 0, direction: 2, hex: '0001001000010002aabb' },
    { line: 0, direction: 2, hex: '0001001000010001cc' },
    { line: 1, direction: 2, hex: Buffer.from('/?!\r\n').toString('hex') },
    { line: 1, direction: 1, hex: Buffer.from('/ABC5\r\n').toString('hex') },
    { line: 0, direction: 1, hex: '00010001' },
    // Up to the flag that may begin the next one.
    { line: 0, direction: 2, hex: damaged.slice(0, -2) },
  ]);
});
