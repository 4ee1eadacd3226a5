/** What is signed: one spelling of a JSON value (RFC 8785), its digest, and the signature over it by the key of the gateway. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signOctets,
  verify as verifyOctets,
} from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { canonicalJson, digestOf } from '../base/canonical.ts';
import { Failure, messageOf } from '../base/errors.ts';
import { secretFromFile } from '../config/secrets.ts';
import { writeWhole } from './site-folder.ts';

export interface Signed<T> {
  readonly report: T;
  /** SHA-256 of the canonical JSON of the report, hex. */
  readonly digest: string;
  /** Ed25519 over the canonical JSON, base64. */
  readonly signature: string;
  /** SPKI in DER, base64. */
  readonly publicKey: string;
}
const publicOf = (key: KeyObject): string =>
  createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64');
/** As it is read out over the telephone: the first 16 digits of the SHA-256 of the key. */
export const keyName = (publicKey: string): string =>
  (createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex').slice(0, 16).match(/.{4}/g) ?? []).join(
    ' ',
  );

/** The key of the gateway; made at its first use, for its user alone. */
export function signingKey(path: string): KeyObject {
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writeWhole(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return privateKey;
  }
  try {
    const key = createPrivateKey(Buffer.from(secretFromFile(path)));
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is no Ed25519 key');
    return key;
  } catch (error) {
    if (error instanceof Failure) throw error;
    // Nothing of the file is repeated.
    throw new Failure(
      'key-unfit',
      `${path} holds no Ed25519 key in PEM: reports are not signed with another one in silence`,
    );
  }
}

export function signed<T>(report: T, key: KeyObject): Signed<T> {
  const text = canonicalJson(report);
  return {
    report,
    digest: digestOf(text),
    signature: signOctets(null, Buffer.from(text), key).toString('base64'),
    publicKey: publicOf(key),
  };
}

export type Verified = { readonly good: true; readonly key: string } | { readonly good: false; readonly why: string };
/** Whether a report is as it was signed. Whose key it is, is for the reader to compare. */
export function verified({ report, digest, signature, publicKey }: Signed<unknown>): Verified {
  const text = canonicalJson(report);
  if (digestOf(text) !== digest) return { good: false, why: 'the report is not the one whose digest stands beside it' };
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ed25519') return { good: false, why: 'the key is no Ed25519 key' };
    if (!verifyOctets(null, Buffer.from(text), key, Buffer.from(signature, 'base64')))
      return { good: false, why: 'the signature is not of this report and this key' };
    return { good: true, key: keyName(publicKey) };
  } catch (error) {
    return { good: false, why: `the key cannot be read: ${messageOf(error)}` };
  }
}
export const readSigned = (path: string): Signed<unknown> => {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Failure('input-unreadable', `${path}: ${messageOf(error)}`);
  }
  const { report, digest, signature, publicKey } = (value ?? {}) as Partial<Signed<unknown>>;
  if (
    typeof report !== 'object' ||
    report === null ||
    ![digest, signature, publicKey].every((one) => typeof one === 'string')
  )
    throw new Failure(
      'input-unreadable',
      `${path} is no signed report: it has report, digest, signature and publicKey`,
    );
  return value as Signed<unknown>;
};
