import type { Codec } from '../../base/codec.ts';
import { octetString } from '../axdr/length.ts';

/** Conformance bits by their number (Green Book 9.4.6.1): bit 0 is the most significant of three octets. */
export const conformanceBit = {
  'general-protection': 1,
  'general-block-transfer': 2,
  read: 3,
  write: 4,
  'unconfirmed-write': 5,
  'attribute0-supported-with-set': 8,
  'priority-mgmt-supported': 9,
  'attribute0-supported-with-get': 10,
  'block-transfer-with-get-or-read': 11,
  'block-transfer-with-set-or-write': 12,
  'block-transfer-with-action': 13,
  'multiple-references': 14,
  'information-report': 15,
  'data-notification': 16,
  access: 17,
  'parameterized-access': 18,
  get: 19,
  set: 20,
  'selective-access': 21,
  'event-notification': 22,
  action: 23,
} as const;
export type ConformanceName = keyof typeof conformanceBit;
/** Three octets as one number. */
export type Conformance = number;

export const conformance = (...names: ConformanceName[]): Conformance =>
  names.reduce((bits, name) => bits | (1 << (23 - conformanceBit[name])), 0);
export const has = (bits: Conformance, name: ConformanceName): boolean =>
  (bits & (1 << (23 - conformanceBit[name]))) !== 0;
export const conformanceNames = (bits: Conformance): ConformanceName[] =>
  (Object.keys(conformanceBit) as ConformanceName[]).filter((name) => has(bits, name));

/**
 * [APPLICATION 31] BIT STRING of 24 bits, BER: 5F 1F 04 00 and three octets. Older meters write the tag on one octet, 5F
 * (Green Book 9.4.6.1, note; meter-quirks 83).
 */
export const conformanceCodec: Codec<Conformance> = {
  read: (r) => {
    if (r.u8() !== 0x5f) r.fail('conformance block expected');
    if (r.peek() === 0x1f) r.u8();
    const octets = octetString.read(r);
    if (octets.length !== 4) r.fail(`conformance block of ${octets.length} octets where 4 are expected`);
    return ((octets[1] as number) << 16) | ((octets[2] as number) << 8) | (octets[3] as number);
  },
  write: (w, bits) => w.put(Uint8Array.of(0x5f, 0x1f, 4, 0, bits >> 16, bits >> 8, bits)),
};
