import { describe, expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { encodeFrame, type Frame, serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { seeded } from '../../src/simulator/random.ts';
import { framesOf } from '../support/recorded.ts';

const make = (information: number[]): Uint8Array =>
  encodeFrame({
    destination: { logical: 17, size: 1 },
    source: serverAddress(1),
    control: { kind: 'I', ns: 0, nr: 0, pollFinal: true },
    segmented: false,
    information: Uint8Array.from(information),
  });
const informationOf = (frames: Frame[]) => frames.map((frame) => [...frame.information]);
const one = make([1, 2, 3]);
const two = make([0x7e, 0xa0, 0x7e, 0x7e]);
const three = make([9]);

test('octet by octet, in pairs and all at once: the same frames', () => {
  const stream = concat(framesOf('m744-c-h-lls.tap').map(({ octets }) => octets));
  const whole = new Deframer().push(stream);
  for (const size of [1, 2, 7, 100]) {
    const deframer = new Deframer();
    const frames: Frame[] = [];
    for (let at = 0; at < stream.length; at += size) frames.push(...deframer.push(stream.subarray(at, at + size)));
    expect(frames).toEqual(whole);
    expect(deframer.damaged).toBe(0);
  }
  expect(whole.length).toBe(framesOf('m744-c-h-lls.tap').length);
});

test('flags inside of frames (meter-quirks 1)', () => {
  expect(informationOf(new Deframer().push(two))).toEqual([[0x7e, 0xa0, 0x7e, 0x7e]]);
});

test('one flag may close a frame and open the next; two may stand between (meter-quirks 2)', () => {
  expect(informationOf(new Deframer().push(concat([one, two.subarray(1), three])))).toEqual([
    [1, 2, 3],
    [0x7e, 0xa0, 0x7e, 0x7e],
    [9],
  ]);
  const flags = Uint8Array.of(0x7e, 0x7e);
  expect(informationOf(new Deframer().push(concat([one, flags, two, flags])))).toHaveLength(2);
});

describe('damage costs one frame at most (meter-quirks 3)', () => {
  test('garbage between frames', () => {
    const garbage = Uint8Array.of(0x00, 0xa8, 0x7e, 0xa7, 0xff, 0x13);
    expect(informationOf(new Deframer().push(concat([garbage, one, garbage, two, three])))).toEqual([
      [1, 2, 3],
      [0x7e, 0xa0, 0x7e, 0x7e],
      [9],
    ]);
  });
  test('any octet of the first frame lost: the other two are found', () => {
    for (let lost = 0; lost < one.length; lost++) {
      const stream = concat([one.filter((_, i) => i !== lost), two, three]);
      const deframer = new Deframer();
      const frames = [...deframer.push(stream), ...deframer.flush()];
      expect(informationOf(frames).slice(-2), `octet ${lost}`).toEqual([[0x7e, 0xa0, 0x7e, 0x7e], [9]]);
    }
  });
  test('any bit of the first frame flipped: the other two are found', () => {
    for (let bit = 0; bit < one.length * 8; bit++) {
      const damaged = one.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const deframer = new Deframer();
      const frames = [...deframer.push(concat([damaged, two, three])), ...deframer.flush()];
      expect(informationOf(frames).slice(-2), `bit ${bit}`).toEqual([[0x7e, 0xa0, 0x7e, 0x7e], [9]]);
    }
  });
});

test('a frame with a wrong FCS is given up at its end, without waiting for silence', () => {
  const damaged = one.slice();
  damaged[damaged.length - 2] = (damaged[damaged.length - 2] as number) ^ 1;
  const deframer = new Deframer();
  expect(informationOf(deframer.push(concat([damaged, three])))).toEqual([[9]]);
  expect(deframer.damaged).toBe(1);
  expect(deframer.lastDamage).toBe('FCS');
});

test('random octets: bounded memory, no crash, and the frame after them is found', () => {
  const random = seeded(7);
  for (let round = 0; round < 200; round++) {
    const deframer = new Deframer();
    const noise = Uint8Array.from({ length: 3000 }, () => (random() < 0.1 ? 0x7e : Math.floor(random() * 256)));
    deframer.push(noise);
    deframer.flush();
    expect(deframer.pending).toBe(false);
    expect(informationOf(deframer.push(one))).toEqual([[1, 2, 3]]);
  }
});
