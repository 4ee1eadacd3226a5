/** What stands between a broker and the parser: memory and time of a hostile one are bounded. */
import { PassThrough } from 'node:stream';
import { array, assert, integer, property } from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { expect, test } from 'vitest';
import { guarded, packetGuard } from '../../src/forward/packet-guard.ts';

const five = { protocolVersion: 5 as const };
const ok = [
  mqttPacket.generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false }, five),
  mqttPacket.generate({ cmd: 'suback', messageId: 1, granted: [1] }, five),
  mqttPacket.generate(
    { cmd: 'publish', topic: 't', payload: 'x'.repeat(300), qos: 1, messageId: 2, dup: false, retain: false },
    five,
  ),
  mqttPacket.generate({ cmd: 'puback', messageId: 1, reasonCode: 0 }, five),
  mqttPacket.generate({ cmd: 'pingresp' }, five),
  mqttPacket.generate({ cmd: 'disconnect', reasonCode: 0x8b }, five),
];

test('whatever the octets are cut into, what is allowed passes', () => {
  const all = Buffer.concat(ok);
  assert(
    property(array(integer({ min: 1, max: 40 }), { minLength: 1 }), (steps) => {
      const guard = packetGuard(1000);
      for (let at = 0, n = 0; at < all.length; n++) {
        const step = steps[n % steps.length] as number;
        if (guard.take(all.subarray(at, at + step)) !== undefined) return false;
        at += step;
      }
      return true;
    }),
  );
});

test('incident: a PUBLISH of 200 MB filled the memory: it ends at its header, before anything of it is kept', () => {
  const length = 200 * 1024 * 1024;
  const header = Buffer.of(
    0x32,
    (length & 0x7f) | 0x80,
    ((length >> 7) & 0x7f) | 0x80,
    ((length >> 14) & 0x7f) | 0x80,
    length >> 21,
  );
  for (let cutAt = 1; cutAt < header.length; cutAt++) {
    const guard = packetGuard(1000);
    expect(guard.take(header.subarray(0, cutAt)) ?? guard.take(header.subarray(cutAt))).toMatch(
      /more than 1000 octets/,
    );
  }
});

test('siblings: every type at 200 MB, a length without end, QoS 2 and 3, and types that no broker sends', () => {
  for (let type = 0; type < 16; type++) {
    expect(packetGuard(1000).take(Buffer.of(type << 4, 0xff, 0xff, 0xff, 0x7f))).toBeDefined();
    expect(packetGuard(1000).take(Buffer.of(type << 4, 0x80, 0x80, 0x80, 0x80, 0x01))).toBeDefined();
  }
  for (const qos of [2, 3]) expect(packetGuard(1000).take(Buffer.of(0x30 | (qos << 1), 2))).toMatch(/QoS 2/);
  for (const type of [0, 1, 5, 6, 7, 8, 10, 12, 15])
    expect(packetGuard(1000).take(Buffer.of(type << 4, 0))).toMatch(/no broker sends/);
});

test('a parser that throws ends the connection, not the process', async () => {
  const wrong: string[] = [];
  const stream = guarded(new PassThrough(), 1000, (why) => void wrong.push(why));
  const target = new PassThrough();
  target._write = () => {
    throw new Error('boom');
  };
  stream.pipe(target);
  stream.write(ok[0]);
  await new Promise((resolve) => stream.once('close', resolve));
  expect(wrong).toEqual(['a packet that cannot be read (boom)']);
});
