/** Key wrap and key agreement (Green Book 9.2.3.3.7.4, 9.2.3.4): RFC 3394, ECDSA and ECDH on P-256 and P-384, the KDF. */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { concat } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import type { Suite } from './protection.ts';

const wrapIv = new Uint8Array(8).fill(0xa6);
const wrapName = (key: Secret) => (key.length === 32 ? 'id-aes256-wrap' : 'id-aes128-wrap');

/** RFC 3394 with the key encryption key (master key). */
export function wrapKey(key: Secret, master: Secret): Uint8Array {
  const cipher = createCipheriv(wrapName(master), master.key, wrapIv);
  return concat([cipher.update(key.reveal()), cipher.final()]);
}
export function unwrapKey(wrapped: Uint8Array, master: Secret): Secret {
  try {
    const decipher = createDecipheriv(wrapName(master), master.key, wrapIv);
    return new Secret(concat([decipher.update(wrapped), decipher.final()]));
  } catch {
    throw new Failure('deciphering-failed', 'the wrapped key does not fit the master key');
  }
}

type Curve = { readonly name: 'P-256' | 'P-384'; readonly size: 32 | 48; readonly hash: 'sha256' | 'sha384' };
const curveOf = (suite: Suite): Curve => {
  if (suite === 0) throw new RangeError('suite 0 has no public keys');
  return suite === 1 ? { name: 'P-256', size: 32, hash: 'sha256' } : { name: 'P-384', size: 48, hash: 'sha384' };
};

const base64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

/** A public key from its raw octets X ‖ Y; a point off the curve is a Failure. */
export function publicKeyOf(raw: Uint8Array, suite: Suite): KeyObject {
  const { name, size } = curveOf(suite);
  if (raw.length !== 2 * size)
    throw new Failure('deciphering-failed', `public key of ${raw.length} octets where ${2 * size} are needed`);
  try {
    const jwk = { kty: 'EC', crv: name, x: base64(raw.subarray(0, size)), y: base64(raw.subarray(size)) };
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw new Failure('deciphering-failed', 'the public key is no point of the curve');
  }
}
/** A private key from its number d and the public key X ‖ Y. */
export function privateKeyOf(d: Secret, rawPublic: Uint8Array, suite: Suite): KeyObject {
  const { name, size } = curveOf(suite);
  const jwk = {
    kty: 'EC',
    crv: name,
    d: base64(d.reveal()),
    x: base64(rawPublic.subarray(0, size)),
    y: base64(rawPublic.subarray(size)),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

/** Signature r ‖ s over a message. */
export const ecdsaSign = (message: Uint8Array, key: KeyObject, suite: Suite): Uint8Array =>
  sign(curveOf(suite).hash, message, { key, dsaEncoding: 'ieee-p1363' });
export const ecdsaVerify = (message: Uint8Array, signature: Uint8Array, key: KeyObject, suite: Suite): boolean =>
  signature.length === 2 * curveOf(suite).size &&
  verify(curveOf(suite).hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature);

/** ECDH: the shared secret Z, the X coordinate. */
export const agree = (own: KeyObject, peer: KeyObject): Secret =>
  new Secret(diffieHellman({ privateKey: own, publicKey: peer }));

/** A key pair, its public half also as raw octets X ‖ Y. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicOctets: Uint8Array;
}
export function newKeyPair(suite: 1 | 2): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curveOf(suite).name });
  return { privateKey, publicOctets: publicKeyOctets(publicKey) };
}
/** X ‖ Y of a public (or private) key on P-256 or P-384. */
export function publicKeyOctets(key: KeyObject): Uint8Array {
  const { x = '', y = '' } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  return concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
}

/** AlgorithmID of the KDF (Green Book table 25): what the key is for. */
const algorithmId = {
  1: [0x60, 0x85, 0x74, 0x05, 0x08, 0x03, 0x00],
  2: [0x60, 0x85, 0x74, 0x05, 0x08, 0x03, 0x01],
} as const;

/** Single-step concatenation KDF (NIST SP 800-56A, 5.8.1): hash(counter ‖ Z ‖ OtherInfo), cut to `size` octets. */
export function concatenationKdf(
  hash: 'sha256' | 'sha384',
  shared: Secret,
  otherInfo: readonly Uint8Array[],
  size: number,
): Secret {
  const digest = createHash(hash)
    .update(Uint8Array.of(0, 0, 0, 1))
    .update(shared.reveal());
  for (const part of otherInfo) digest.update(part);
  const octets = digest.digest();
  if (size > octets.length) throw new RangeError(`${size} octets of key from one ${hash}`);
  return new Secret(octets.subarray(0, size));
}

/** The KDF with the OtherInfo of Green Book 9.2.3.4.6.5: AlgorithmID ‖ PartyUInfo ‖ PartyVInfo. */
export const deriveKey = (shared: Secret, suite: 1 | 2, partyU: Uint8Array, partyV: Uint8Array): Secret =>
  concatenationKdf(
    curveOf(suite).hash,
    shared,
    [Uint8Array.from(algorithmId[suite]), partyU, partyV],
    suite === 1 ? 16 : 32,
  );
