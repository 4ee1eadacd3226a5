/** Key files and X.509 certificates of meters and clients (Green Book 9.2.6.4): what security needs of them. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { Failure } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { fromHex } from '../../base/hex.ts';
import { publicKeyOctets } from './keys.ts';

export interface Certificate {
  readonly serialNumber: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
  readonly publicKey: KeyObject;
  /** X ‖ Y. */
  readonly publicOctets: Uint8Array;
}
/** The suite whose curve a public key of this length lies on. */
const suiteOf = (publicOctets: Uint8Array): 1 | 2 => (publicOctets.length === 64 ? 1 : 2);

/** A private key in PEM (PKCS #8 or SEC 1), for digital signatures. Nothing of its text is in the failure. */
export function parseSigningKey(pem: Secret): { readonly key: KeyObject; readonly suite: 1 | 2 } {
  try {
    const key = createPrivateKey(Buffer.from(pem.reveal()));
    const publicOctets = publicKeyOctets(key);
    if (publicOctets.length === 64 || publicOctets.length === 96) return { key, suite: suiteOf(publicOctets) };
  } catch {
    // Said below.
  }
  throw new Failure('key-unfit', 'the signing key is no EC private key on P-256 or P-384 in PEM');
}

/** What HLS by ECDSA takes: our key and the meter's certificate, on one curve. */
export function signingOf(
  pem: Secret,
  meterCertificate: Uint8Array,
): { readonly suite: 1 | 2; readonly keys: { readonly own: KeyObject; readonly peer: KeyObject } } {
  const { key, suite } = parseSigningKey(pem);
  const { publicKey, publicOctets } = parseCertificate(meterCertificate);
  if (suiteOf(publicOctets) !== suite)
    throw new Failure('key-unfit', 'our signing key and the meter’s certificate are on different curves');
  return { suite, keys: { own: key, peer: publicKey } };
}

/** PEM or DER. Failure `key-unfit` where the octets are no certificate with an EC key on P-256 or P-384. */
export function parseCertificate(der: Uint8Array): Certificate {
  let certificate: X509Certificate;
  let publicKey: KeyObject;
  let publicOctets = new Uint8Array(0);
  let serialNumber: Uint8Array;
  try {
    certificate = new X509Certificate(der);
    serialNumber = fromHex(certificate.serialNumber);
    // The key is decoded only when it is asked for, and throws then.
    ({ publicKey } = certificate);
    if (publicKey.asymmetricKeyType === 'ec') publicOctets = Uint8Array.from(publicKeyOctets(publicKey));
  } catch {
    throw new Failure('key-unfit', 'these octets are no X.509 certificate');
  }
  if (publicOctets.length !== 64 && publicOctets.length !== 96)
    throw new Failure('key-unfit', 'the certificate holds no key on P-256 or P-384');
  const { issuer, subject } = certificate;
  return { serialNumber, issuer, subject, publicKey, publicOctets };
}
