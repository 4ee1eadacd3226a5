/** Who may associate with a virtual meter, by client address: with each mechanism one, and with keys. */
import { Secret } from '../base/secret.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { ServerClient } from '../dlms/association/server-entry.ts';
import { signingOf } from '../dlms/security/certificate.ts';
import type { ProtectionKeys } from '../dlms/security/protection.ts';

export const gmacClient = 5;
/** Low level security with the keys of `gmacClient`. */
export const lowCipheredClient = 8;

export interface ClientSettings {
  readonly password: string;
  readonly suite: 0 | 1 | 2;
  /** What APDUs of the ciphered associations must carry, and carry: a tag, ciphered content, or both. */
  readonly securityPolicy: CipheringSettings['policy'];
  /** How InitiateRequest and InitiateResponse are protected, where that is not as usual. */
  readonly initiate?: CipheringSettings['initiate'];
  /** Client 7 by HLS-ECDSA: the meter's private key in PEM and the client's certificate. */
  readonly signing?: { readonly key: Secret; readonly clientCertificate: Uint8Array };
  /** Asked for with each association. */
  keys(): ProtectionKeys;
  nextCounter(): number;
}

export function clientsOf(settings: ClientSettings): ReadonlyMap<number, ServerClient> {
  const secret = new Secret(Buffer.from(settings.password));
  const password: ServerClient = { mechanism: 'lls', secret };
  const signing = settings.signing && signingOf(settings.signing.key, settings.signing.clientCertificate);
  const gmac: ServerClient = {
    mechanism: 'hls-gmac',
    ciphering: {
      suite: settings.suite,
      policy: settings.securityPolicy,
      ...(settings.initiate && { initiate: settings.initiate }),
      wrapping: 'service',
      get keys() {
        return settings.keys();
      },
      nextCounter: () => settings.nextCounter(),
    },
  };
  return new Map<number, ServerClient>([
    [16, { mechanism: 'none' }],
    [17, password],
    [1, password],
    [2, password],
    // High level security: the client's address is the number of the mechanism.
    [3, { mechanism: 'hls-md5', secret }],
    [4, { mechanism: 'hls-sha1', secret }],
    [gmacClient, gmac],
    [6, { mechanism: 'hls-sha256', secret }],
    [lowCipheredClient, { ...gmac, mechanism: 'lls', secret }],
    ...(signing ? [[7, { mechanism: 'hls-ecdsa', signing }] as [number, ServerClient]] : []),
  ]);
}
