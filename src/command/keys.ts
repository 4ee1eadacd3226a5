/** Keys of the central system, against which orders are verified: public, Ed25519, as JWK or in PEM. */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { Failure } from '../base/errors.ts';

/** By `kid`: what the JWK calls itself, else its thumbprint (RFC 7638). */
export type OrderKeys = ReadonlyMap<string, KeyObject>;

const unfit = (path: string, why: string) =>
  new Failure('key-unfit', `${path} ${why}`, {
    next: 'Put the public Ed25519 key of the central system there, as a JWK ({"kty": "OKP", "crv": "Ed25519", "x": …}) or in PEM.',
  });
const kidPattern = /^[\x21-\x7e]{1,128}$/;

/** SHA-256 of the members that make the key, in this order (RFC 7638, RFC 8037). */
function thumbprint(key: KeyObject): string {
  const { crv, kty, x } = key.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
}

/** The key of a file. Failure `key-unfit`, without a word of what stands there. */
export function orderKeyOf(octets: Uint8Array, path: string): { readonly kid: string; readonly key: KeyObject } {
  const text = Buffer.from(octets).toString('utf8').trim();
  // node would make the public key of a private one, and the secret would stay where it does not belong.
  if (/PRIVATE KEY/.test(text)) throw unfit(path, 'is a private key, which belongs to the central system alone');
  const jwk = text.startsWith('{') ? parsed(text, path) : undefined;
  if (jwk && 'd' in jwk) throw unfit(path, 'is a private key, which belongs to the central system alone');
  let key: KeyObject;
  try {
    key = jwk ? createPublicKey({ key: jwk, format: 'jwk' }) : createPublicKey(text);
  } catch {
    throw unfit(path, 'is no public key as JWK or in PEM');
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw unfit(path, `is a key of ${key.asymmetricKeyType ?? 'another kind'}, not Ed25519`);
  const kid = jwk?.['kid'] ?? thumbprint(key);
  if (typeof kid !== 'string' || !kidPattern.test(kid))
    throw unfit(path, 'has a kid that is no word of 1 to 128 letters');
  return { kid, key };
}
function parsed(text: string, path: string): JsonWebKey {
  try {
    return JSON.parse(text) as JsonWebKey;
  } catch {
    throw unfit(path, 'begins like a JWK and is no JSON');
  }
}
