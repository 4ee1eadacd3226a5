import { type Codec, fixed, mapped } from '../../base/codec.ts';

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

/** [APPLICATION 31] BIT STRING of 24 bits, BER: 5F 1F 04 00 and three octets. */
export const conformanceCodec: Codec<Conformance> = mapped(
  fixed(7),
  (octets, r) => {
    if (octets[0] !== 0x5f || octets[1] !== 0x1f || octets[2] !== 4) r.fail('conformance block expected');
    return ((octets[4] as number) << 16) | ((octets[5] as number) << 8) | (octets[6] as number);
  },
  (bits) => Uint8Array.of(0x5f, 0x1f, 4, 0, bits >> 16, bits >> 8, bits),
);
