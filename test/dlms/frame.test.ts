import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { fcs16 } from '../../src/dlms/hdlc/fcs.ts';
import {
  controlOctet,
  cutFrame,
  defaultParameters,
  encodeFrame,
  encodeParameters,
  parseControl,
  parseParameters,
  sameAddress,
  serverAddress,
} from '../../src/dlms/hdlc/frame.ts';
import { framesOf, isHdlc, traceNames } from '../support/recorded.ts';

const hdlcTraces = traceNames.filter(isHdlc);

test('FCS: check value of CRC-16/X-25', () => {
  const octets = Buffer.from('123456789');
  expect(fcs16(octets, 0, octets.length)).toBe(0x906e);
});

describe('frames of the recorded exchanges', () => {
  test.each(hdlcTraces)('%s: every frame parses and encodes to the same octets', (name) => {
    const frames = framesOf(name);
    expect(frames.length).toBeGreaterThan(0);
    for (const { frame, octets } of frames) expect(toHex(encodeFrame(frame))).toBe(toHex(octets));
  });

  test('a frame cut off at any octet is partial or damaged, never a frame', () => {
    for (const { octets } of framesOf('c-tcp-hdlc-lls.tap').slice(0, 60)) {
      for (let end = 1; end < octets.length; end++) {
        expect(cutFrame(octets, 1, end).is, `${toHex(octets)} cut at ${end}`).not.toBe('frame');
      }
    }
  });

  test('no frame with one flipped bit is accepted', () => {
    let flipped = 0;
    for (const name of hdlcTraces) {
      for (const { octets } of framesOf(name).slice(0, 45)) {
        for (let bit = 8; bit < octets.length * 8; bit++) {
          const damaged = octets.slice();
          damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
          expect(cutFrame(damaged, 1, damaged.length).is).not.toBe('frame');
          flipped++;
        }
      }
    }
    expect(flipped).toBeGreaterThan(150_000);
  });
});

test('a long frame uses all 11 bits of the length', () => {
  const information = new Uint8Array(2030).fill(0x55);
  const octets = encodeFrame({
    destination: { logical: 16, size: 1 },
    source: serverAddress(1, 4456),
    control: { kind: 'I', ns: 3, nr: 5, pollFinal: true },
    segmented: true,
    information,
  });
  expect((((octets[1] as number) & 7) << 8) | (octets[2] as number)).toBe(octets.length - 2);
  const cut = cutFrame(octets, 1, octets.length);
  expect(cut.is === 'frame' && cut.frame.information.length).toBe(2030);
});

test('control octets, both ways, by hand: I R2 S1 P = 0x52|…, RR R1 P/F = 0x31, SNRM 0x93, DISC 0x53, UA 0x73, DM 0x1F, FRMR 0x97, UI 0x13', () => {
  const known: [number, object][] = [
    [0x52, { kind: 'I', ns: 1, nr: 2, pollFinal: true }],
    [0x31, { kind: 'RR', nr: 1, pollFinal: true }],
    [0x35, { kind: 'RNR', nr: 1, pollFinal: true }],
    [0x93, { kind: 'SNRM', pollFinal: true }],
    [0x53, { kind: 'DISC', pollFinal: true }],
    [0x73, { kind: 'UA', pollFinal: true }],
    [0x1f, { kind: 'DM', pollFinal: true }],
    [0x97, { kind: 'FRMR', pollFinal: true }],
    [0x13, { kind: 'UI', pollFinal: true }],
  ];
  for (const [octet, control] of known) expect(parseControl(octet)).toEqual(control);
  for (let octet = 0; octet < 256; octet++) expect(controlOctet(parseControl(octet))).toBe(octet);
});

test('addresses: 1, 2 and 4 octets, the smallest by default, compared by value', () => {
  expect(serverAddress(1)).toEqual({ logical: 1, size: 1 });
  expect(serverAddress(1, 17).size).toBe(2);
  expect(serverAddress(1, 4456).size).toBe(4);
  expect(serverAddress(1, 17, 4)).toEqual({ logical: 1, physical: 17, size: 4 });
  expect(sameAddress(serverAddress(1, 17, 4), serverAddress(1, 17, 2))).toBe(true);
  expect(sameAddress(serverAddress(1, 17), serverAddress(1, 18))).toBe(false);
  expect(sameAddress(serverAddress(1), serverAddress(1, 18))).toBe(true);
});

describe('SNRM and UA parameters', () => {
  test('the UA of the recorded meter', () => {
    const recorded = fromHex('81 80 12 05 01 80 06 01 80 07 04 00 00 00 01 08 04 00 00 00 01');
    expect(parseParameters(recorded)).toEqual(defaultParameters);
    expect(toHex(encodeParameters(defaultParameters))).toBe(toHex(recorded));
  });
  test('lengths of 1 and 2 octets mixed (meter-quirks 17)', () => {
    const mixed = fromHex('81 80 07 05 01 80 06 02 02 00');
    expect(parseParameters(mixed)).toMatchObject({ maxInfoTransmit: 128, maxInfoReceive: 512 });
  });
  test('no information field means 128 and window 1 (meter-quirks 19); odd limits are brought inside', () => {
    expect(parseParameters(new Uint8Array(0))).toEqual(defaultParameters);
    expect(parseParameters(fromHex('81 80 06 05 01 00 07 01 ff'))).toMatchObject({
      maxInfoTransmit: 32,
      windowTransmit: 7,
    });
  });
});
