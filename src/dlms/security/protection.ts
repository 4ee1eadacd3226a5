/**
 * Protection of APDUs by AES-GCM (Green Book 9.2.3, 9.2.7): security control, invocation counter, ciphered or plain
 * APDU, 12 octets of tag. Suites 0 and 1 use AES-128, suite 2 AES-256. The only door to node:crypto beside hls.ts and
 * keys.ts in this folder.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, Reader } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';

export type Suite = 0 | 1 | 2;
/** Bits of the security control octet (Green Book 9.2.7.2.4.1); the low four bits are the suite. */
export const securityControl = { authentication: 0x10, encryption: 0x20, broadcast: 0x40, compression: 0x80 } as const;
export const tagLength = 12;

export interface ProtectionKeys {
  /** Block cipher key: global unicast, global broadcast or dedicated encryption key. */
  readonly encryption: Secret;
  readonly authentication: Secret;
}

const cipherName = (key: Secret): 'aes-128-gcm' | 'aes-256-gcm' => (key.length === 32 ? 'aes-256-gcm' : 'aes-128-gcm');

/** Used again for every APDU: node:crypto copies what it is given before it returns. */
const iv = new Uint8Array(12);
function nonce(systemTitle: Uint8Array, counter: number): Uint8Array {
  if (systemTitle.length !== 8) throw new RangeError(`system title of ${systemTitle.length} octets`);
  if (!Number.isInteger(counter) || counter < 0 || counter > 0xffff_ffff)
    throw new RangeError(`invocation counter ${counter}`);
  iv.set(systemTitle);
  iv[8] = counter >>> 24;
  iv[9] = counter >>> 16;
  iv[10] = counter >>> 8;
  iv[11] = counter;
  return iv;
}

/** Security control and authentication key, which begin everything that is authenticated; prepared once for each key. */
const beginnings = new WeakMap<Secret, Uint8Array>();
function associatedData(control: number, authentication: Secret, header: Uint8Array, plain: Uint8Array): Uint8Array {
  let beginning = beginnings.get(authentication);
  if (!beginning) {
    beginning = concat([Uint8Array.of(control), authentication.reveal()]);
    beginnings.set(authentication, beginning);
  }
  beginning[0] = control;
  return header.length + plain.length === 0 ? beginning : concat([beginning, header, plain]);
}
const gcmOptions = { authTagLength: tagLength };

const noHeader = new Uint8Array(0);
const controlAndCounter = (control: number, counter: number): Uint8Array =>
  Uint8Array.of(control, counter >>> 24, (counter >>> 16) & 0xff, (counter >>> 8) & 0xff, counter & 0xff);

/** What a text is protected by beside the keys: the security header, and whose title stands in the nonce. */
export interface SecurityHeader {
  readonly control: number;
  readonly counter: number;
  readonly systemTitle: Uint8Array;
}
/** Security control, counter, (ciphered) text, tag. `header`: what general-ciphering authenticates beside the text. */
export function protect(
  text: Uint8Array,
  { control, counter, systemTitle }: SecurityHeader,
  keys: ProtectionKeys,
  header: Uint8Array = noHeader,
): Uint8Array {
  const authenticated = (control & securityControl.authentication) !== 0;
  const encrypted = (control & securityControl.encryption) !== 0;
  if ((control & securityControl.compression) !== 0) throw new RangeError('compression is not supported');
  const head = controlAndCounter(control, counter);
  if (!authenticated && !encrypted) return concat([head, text]);
  const cipher = createCipheriv(
    cipherName(keys.encryption),
    keys.encryption.key,
    nonce(systemTitle, counter),
    gcmOptions,
  );
  if (authenticated) cipher.setAAD(associatedData(control, keys.authentication, header, encrypted ? noHeader : text));
  const ciphered = encrypted ? cipher.update(text) : text;
  cipher.final();
  return concat(authenticated ? [head, ciphered, cipher.getAuthTag()] : [head, ciphered]);
}

export interface Unprotected {
  readonly control: number;
  readonly counter: number;
  readonly text: Uint8Array;
}

/** Reverses `protect`. Failure `deciphering-failed` where tag and keys do not fit. */
export function unprotect(
  content: Uint8Array,
  systemTitle: Uint8Array,
  keys: ProtectionKeys,
  header: Uint8Array = noHeader,
): Unprotected {
  const r = new Reader(content);
  const control = r.u8();
  const counter = r.u32();
  const authenticated = (control & securityControl.authentication) !== 0;
  const encrypted = (control & securityControl.encryption) !== 0;
  if ((control & securityControl.compression) !== 0) {
    throw new Failure('not-supported', 'the APDU is compressed (V.44): switch compression off in the meter');
  }
  if (authenticated && r.remaining < tagLength) r.fail(`tag of ${tagLength} octets expected, ${r.remaining} left`);
  const text = r.take(r.remaining - (authenticated ? tagLength : 0));
  if (!authenticated && !encrypted) return { control, counter, text };
  if (systemTitle.length !== 8) throw new Failure('deciphering-failed', 'the system title of the sender is not known');
  const decipher = createDecipheriv(
    cipherName(keys.encryption),
    keys.encryption.key,
    nonce(systemTitle, counter),
    gcmOptions,
  );
  if (authenticated) {
    decipher.setAAD(associatedData(control, keys.authentication, header, encrypted ? noHeader : text));
    decipher.setAuthTag(r.take(tagLength));
  }
  const deciphered = encrypted ? decipher.update(text) : text;
  const plain = new Uint8Array(deciphered.buffer, deciphered.byteOffset, deciphered.length);
  // Without authentication there is nothing to check, and final() would ask for a tag.
  if (authenticated) {
    try {
      decipher.final();
    } catch {
      throw new Failure(
        'deciphering-failed',
        `the tag does not fit (security control 0x${control.toString(16)}, counter ${counter})`,
      );
    }
  }
  return { control, counter, text: plain };
}
