/** X.509 certificates of meters and clients (Green Book 9.2.6.4): what security needs of them. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { Failure } from '../../base/errors.ts';
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
/** Failure `bad-argument` where the octets are no certificate with an EC key on P-256 or P-384. */
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
    throw new Failure('bad-argument', 'these octets are no X.509 certificate in DER');
  }
  if (publicOctets.length !== 64 && publicOctets.length !== 96)
    throw new Failure('bad-argument', 'the certificate holds no key on P-256 or P-384');
  const { issuer, subject } = certificate;
  return { serialNumber, issuer, subject, publicKey, publicOctets };
}
