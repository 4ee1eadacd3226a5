/** High level security: f(challenge) of each mechanism (Green Book 9.2.2.2.2.4 and table 32). */
import { createCipheriv, createHash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { concat } from '../../base/cursor.ts';
import type { Secret } from '../../base/secret.ts';
import { ecdsaSign, ecdsaVerify } from './keys.ts';
import { protect, type ProtectionKeys, securityControl, type Suite, unprotect } from './protection.ts';

export type HlsMechanism = 'hls-manufacturer' | 'hls-md5' | 'hls-sha1' | 'hls-gmac' | 'hls-sha256' | 'hls-ecdsa';

/** Everything that f() may take. `own` is the side that computes, `peer` the side that gave the challenge. */
export interface HlsParty {
  readonly secret: Secret | undefined;
  readonly ownTitle: Uint8Array;
  readonly peerTitle: Uint8Array;
  /** The challenge that the peer sent, and the one that we sent. */
  readonly peerChallenge: Uint8Array;
  readonly ownChallenge: Uint8Array;
  readonly keys: ProtectionKeys | undefined;
  readonly suite: Suite;
  /** HLS by ECDSA: our private and the peer's public signing key. */
  readonly signing?: { readonly own: KeyObject; readonly peer: KeyObject } | undefined;
}

const need = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new RangeError(`${what} is needed`);
  return value;
};

/**
 * AES-128 in ECB over the challenge, with the secret as key; both filled with zeros to blocks of 16 octets. What the
 * recorded independent meter does for mechanism 2; other makers keep theirs to themselves.
 */
function aesOfChallenge(challenge: Uint8Array, secret: Uint8Array): Uint8Array {
  const padded = (octets: Uint8Array, length: number) => {
    const whole = new Uint8Array(length);
    whole.set(octets.subarray(0, length));
    return whole;
  };
  const cipher = createCipheriv('aes-128-ecb', padded(secret, 16), null).setAutoPadding(false);
  const blocks = padded(challenge, Math.max(16, Math.ceil(challenge.length / 16) * 16));
  return concat([cipher.update(blocks), cipher.final()]);
}

/** The proof that `party` gives. GMAC needs a counter of its own. */
/** What both proofs are made by. */
export interface Proving {
  readonly mechanism: HlsMechanism;
  readonly party: HlsParty;
}

export function hlsProof(mechanism: HlsMechanism, party: HlsParty, counter: number): Uint8Array {
  switch (mechanism) {
    case 'hls-manufacturer':
      return aesOfChallenge(party.peerChallenge, need(party.secret, 'the HLS secret').reveal());
    case 'hls-md5':
    case 'hls-sha1':
      return createHash(mechanism === 'hls-md5' ? 'md5' : 'sha1')
        .update(party.peerChallenge)
        .update(need(party.secret, 'the HLS secret').reveal())
        .digest();
    case 'hls-sha256':
      return createHash('sha256')
        .update(need(party.secret, 'the HLS secret').reveal())
        .update(party.ownTitle)
        .update(party.peerTitle)
        .update(party.peerChallenge)
        .update(party.ownChallenge)
        .digest();
    case 'hls-ecdsa':
      return ecdsaSign(ecdsaText(party), need(party.signing, 'the signing key').own, party.suite);
    case 'hls-gmac': {
      // SC || IC || GMAC(SC || AK || challenge): protection by authentication only, without the text itself.
      const control = securityControl.authentication | party.suite;
      const header = { control, counter, systemTitle: party.ownTitle };
      const whole = protect(party.peerChallenge, header, need(party.keys, 'the keys'));
      return concat([whole.subarray(0, 5), whole.subarray(5 + party.peerChallenge.length)]);
    }
  }
}

const ecdsaText = (party: HlsParty): Uint8Array =>
  concat([party.ownTitle, party.peerTitle, party.peerChallenge, party.ownChallenge]);

/** Whether the peer's proof over our challenge is right. */
export function hlsVerify(mechanism: HlsMechanism, proof: Uint8Array, party: HlsParty): boolean {
  if (mechanism === 'hls-gmac') {
    if (proof.length !== 17) return false;
    try {
      unprotect(
        concat([proof.subarray(0, 5), party.ownChallenge, proof.subarray(5)]),
        party.peerTitle,
        need(party.keys, 'the keys'),
      );
      return ((proof[0] as number) & 0xf0) === securityControl.authentication;
    } catch {
      return false;
    }
  }
  const mirrored: HlsParty = {
    ...party,
    ownTitle: party.peerTitle,
    peerTitle: party.ownTitle,
    peerChallenge: party.ownChallenge,
    ownChallenge: party.peerChallenge,
  };
  if (mechanism === 'hls-ecdsa') {
    return ecdsaVerify(ecdsaText(mirrored), proof, need(party.signing, 'the signing key').peer, party.suite);
  }
  const expected = hlsProof(mechanism, mirrored, 0);
  return expected.length === proof.length && timingSafeEqual(expected, proof);
}
