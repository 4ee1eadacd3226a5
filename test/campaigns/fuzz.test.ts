/** The small dose of scripts/fuzz: any octets are a value, an error or silence, in bounded steps. Seeded. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { fromHex } from '../../src/base/hex.ts';
import { parseCertificate } from '../../src/dlms/security/certificate.ts';
import { hashed, seeded } from '../../src/simulator/random.ts';
import { mutate, targets } from './fuzz.ts';
import { vectorText } from '../support/recorded.ts';

const inputs = 600;

test.each(Object.entries(targets))('%s', (_, target) => {
  for (let i = 0; i < inputs; i++) {
    const seed = Math.floor(hashed(7, i) * 2 ** 32);
    try {
      target(seeded(seed));
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
});

describe('the fuzzer itself', () => {
  test('a planted mistake is found', () => {
    const found = Array.from({ length: inputs }, (_, i) => {
      const random = seeded(i);
      const octets = mutate(fromHex('c401c100020309060100010800ff'), random);
      // A decoder that trusts a length octet.
      return octets[4] === 2 && octets[5] !== undefined && octets[5] > octets.length - 6;
    });
    expect(found).toContain(true);
  });
  test('the same seed gives the same input', () => {
    const octets = fromHex('c401c100020309060100010800ff');
    expect(mutate(octets, seeded(5))).toEqual(mutate(octets, seeded(5)));
  });
});

test('incident: the key of a damaged certificate was decoded outside of the guard, and the process ended', () => {
  const der = fromHex(vectorText('certificate-p256.hex').replaceAll('\n', ''));
  let refused = 0;
  for (let at = 0; at < der.length; at++) {
    const changed = der.slice();
    changed[at] = (changed[at] as number) ^ 0xff;
    try {
      parseCertificate(changed);
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(50);
});
