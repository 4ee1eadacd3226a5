/** TCP as captures have it: in any order, twice, overlapping, with holes, from the middle of a connection. */
import { expect, test } from 'vitest';
import { concat } from '../../../src/base/cursor.ts';
import type { RecordedLine } from '../../../src/base/exchange-file.ts';
import type { InputItem } from '../../../src/recording/input/item.ts';
import { openInput } from '../../../src/recording/input/open.ts';
import { fileOf, type Spoken, type TcpPacket, tcpCapture, tcpPackets } from '../../support/captures.ts';
import { linesOf } from '../../support/recorded.ts';
import { seeded } from '../../../src/simulator/random.ts';

const session: Spoken[] = linesOf('c-tcp-wrapper-lls.tap').map(({ octets, direction, time }) => ({
  octets,
  direction: direction as Spoken['direction'],
  ms: Math.round(Number(time) * 1000),
}));
const packets = tcpPackets(session);
const itemsOf = (file: Uint8Array, ports: number[] = []): InputItem[] => {
  const reader = openInput({ ports: new Set(ports) });
  return [...reader.push(file), ...reader.end()];
};
const sides = (items: readonly InputItem[]) =>
  (['to-meter', 'from-meter'] as const).map((side) =>
    concat(
      items
        .filter((item): item is RecordedLine => 'octets' in item && item.direction === side)
        .map(({ octets }) => octets),
    ),
  );
const problemsOf = (items: readonly InputItem[]) => items.flatMap((item) => ('problem' in item ? [item.problem] : []));
const expected = sides(itemsOf(tcpCapture(packets, { format: 'pcap' })));
const form = { format: 'pcapng' } as const;

test('the octets of both sides are those of the session, over the turn of the sequence numbers', () => {
  const of = (side: string) =>
    concat(session.filter(({ direction }) => direction === side).map(({ octets }) => octets));
  expect(expected).toEqual([of('to-meter'), of('from-meter')]);
});
test('repeated, overlapping and swapped segments change nothing', () => {
  const random = seeded(7);
  for (let round = 0; round < 30; round++) {
    const mixed: TcpPacket[] = [];
    for (const packet of packets) {
      if (packet.octets.length > 4 && random() < 0.3) {
        const half = packet.octets.length >> 1;
        const tail = {
          ...packet,
          sequence: (packet.sequence + half - 2) >>> 0,
          octets: packet.octets.subarray(half - 2),
        };
        const head = { ...packet, octets: packet.octets.subarray(0, half) };
        mixed.push(...(random() < 0.5 ? [tail, head] : [head, tail]));
      } else mixed.push(packet);
      if (random() < 0.3) mixed.push(packet);
      const before = mixed.at(-2);
      const newest = mixed.at(-1);
      if (before && newest && before.from === newest.from && random() < 0.3) mixed.splice(-2, 2, newest, before);
    }
    const items = itemsOf(tcpCapture(mixed, form));
    expect(sides(items)).toEqual(expected);
    expect(problemsOf(items)).toEqual([]);
  }
});
test('a lost segment is named with its length, and the rest goes on', () => {
  const lost = packets.findIndex(({ octets, from }) => octets.length === 100 && from === 'meter');
  const items = itemsOf(tcpCapture(packets.toSpliced(lost, 1), form));
  expect(problemsOf(items)).toEqual(['100 octets from 10.0.0.9:4059 are missing in the capture']);
  expect(sides(items)[1]?.length).toBe((expected[1]?.length ?? 0) - 100);
  // Before the request that follows it.
  const at = items.findIndex((item) => 'problem' in item);
  expect(items.length - at).toBeGreaterThan(10);
});
test('a packet of which only the beginning was captured', () => {
  const at = packets.findIndex(({ octets }) => octets.length === 100);
  const items = itemsOf(tcpCapture(packets.with(at, { ...(packets[at] as TcpPacket), cut: 30 }), form));
  expect(problemsOf(items)).toEqual(['the capture holds only the beginning of this packet: 30 octets are missing']);
});
test('a capture from the middle of a connection', () => {
  const items = itemsOf(tcpCapture(packets.slice(10), form));
  expect(problemsOf(items)).toEqual([]);
  expect(sides(items)[1]?.length).toBeGreaterThan(1000);
});
test('other ports: found by what is said, chosen by --port, left out otherwise', () => {
  const file = tcpCapture(packets, form, { client: 51_000, meter: 7000 });
  expect(sides(itemsOf(file))).toEqual(expected);
  expect(sides(itemsOf(file, [7000]))).toEqual(expected);
  expect(itemsOf(file, [4059]).filter((item) => 'octets' in item)).toEqual([]);
  const web = tcpPackets([{ direction: 'to-meter', octets: Buffer.from('GET / HTTP/1.1\r\n\r\n'), ms: 0 }]);
  const ignored = itemsOf(tcpCapture(web, form, { client: 51_000, meter: 80 }));
  expect(ignored.filter((item) => 'octets' in item)).toEqual([]);
  expect(ignored).toContainEqual({ line: 7, ignored: '1 connection holds nothing that looks like DLMS' });
});
test('a meter that connects itself and pushes is the meter', () => {
  const push = Uint8Array.of(0, 1, 0, 1, 0, 16, 0, 8, 0x0f, 0, 0, 0, 1, 0, 0x11, 5);
  const items = itemsOf(tcpCapture(tcpPackets([{ direction: 'to-meter', octets: push, ms: 0 }]), form));
  expect(items.find((item) => 'octets' in item)).toMatchObject({ direction: 'from-meter' });
});
test.each(['pcap', 'pcapng'] as const)(
  '%s: a damage is named by its octets, and the packets behind it are read',
  (format) => {
    const file = Uint8Array.from(tcpCapture(packets, { format }));
    const whole = itemsOf(file).filter((item) => 'octets' in item).length;
    const half = file.length >> 1;
    file.fill(0xff, half, half + 300);
    const items = itemsOf(file);
    expect(problemsOf(items).some((problem) => /octets \d+ to \d+ of the capture are none/.test(problem))).toBe(true);
    expect(items.filter((item) => 'octets' in item).length).toBeGreaterThan(whole - 15);
  },
);
test('what is not read is said: link layers, fragments', () => {
  expect(itemsOf(fileOf([{ ms: 0, octets: new Uint8Array(40) }], { format: 'pcap', link: 105 }))).toContainEqual({
    line: 1,
    ignored: 'link-layer type 105 is not read',
  });
});
