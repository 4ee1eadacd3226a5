/** How a client enters: AARQ, and the passes of high level security (Green Book 9.2.2.2.2.4). */
import { Failure } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { applicationContext, encodeAcse, mechanism } from '../acse/apdu.ts';
import type { LogicalName } from '../cosem/logical-name.ts';
import { type HlsMechanism, type HlsParty, hlsProof, hlsVerify, type Proving } from '../security/hls.ts';
import { actionResultName, type Apdu, encodeApdu } from '../xdlms/apdu.ts';
import { type Conformance, conformance } from '../xdlms/conformance.ts';
import type { Ciphering, CipheringSettings, PublicKeys } from './ciphering.ts';
import type { ActionResult } from './exchange.ts';

export interface AssociationSettings {
  readonly mechanism: 'none' | 'lls' | HlsMechanism;
  /** The password of LLS, or the secret of HLS by MD5, SHA-1, SHA-256 and of the manufacturer's mechanism. */
  readonly secret?: Secret;
  /** Our challenge for HLS, 8 to 64 octets, fresh for every association. */
  readonly challenge?: Uint8Array;
  /** Ciphered context; also the keys of HLS by GMAC. */
  readonly ciphering?: CipheringSettings;
  /** HLS by ECDSA: the suite names the curve; our private and the meter's public signing key. */
  readonly signing?: { readonly suite: 1 | 2; readonly keys: NonNullable<PublicKeys['signing']> };
  /** Our system title, where a mechanism wants it without ciphering (HLS by SHA-256). */
  readonly systemTitle?: Uint8Array;
  readonly proposed: Conformance;
  /** The longest APDU that we take, octets. */
  readonly maxPdu: number;
  /** Silence that ends the wait for an answer: renewed by what comes, a safety net above the link's own. */
  readonly answerTimeoutMs: number;
  /** The longest value that block transfer may build up, octets. */
  readonly valueLimit: number;
  /** Most items in one list; default 10 (meter-quirks 53). */
  readonly listLimit?: number;
  /** General block transfer: blocks that we take in one go, 1 to 63; default 1. */
  readonly transferWindow?: number;
  /** Short-name referencing: base names, filled once the object list was read. */
  readonly shortNames?: ReadonlyMap<LogicalName, number>;
  /** The association object that takes our proof; not everywhere 0.0.40.0.0.255 (meter-quirks 39). */
  readonly associationObject?: LogicalName;
  /** The mechanism name in AARQ: always left out, always there, or only with authentication (meter-quirks 37). */
  readonly mechanismName?: 'always' | 'never';
  /** The meter never proves itself in turn (meter-quirks 36). */
  readonly oneSidedProof?: boolean;
}

export const proposedByDefault: Conformance = conformance(
  'block-transfer-with-get-or-read',
  'block-transfer-with-set-or-write',
  'block-transfer-with-action',
  'multiple-references',
  'get',
  'set',
  'selective-access',
  'action',
);
export const proposedWithShortNames: Conformance = conformance(
  'read',
  'write',
  // Without it a meter that keeps to the rules has no way to answer with a long value.
  'block-transfer-with-get-or-read',
  'multiple-references',
  'parameterized-access',
  'information-report',
);

const minChallenge = 8;
const none = new Uint8Array(0);

/** The password of LLS, the challenge of HLS. */
function authenticationValue(settings: AssociationSettings, ciphering: Ciphering | undefined): Uint8Array | undefined {
  const { mechanism: chosen, secret, challenge } = settings;
  if (chosen === 'none') return undefined;
  if (chosen === 'lls') {
    if (!secret) throw new Failure('secret-missing', 'LLS needs a password');
    return secret.reveal();
  }
  if (settings.shortNames) {
    throw new Failure('not-supported', 'high level security with short-name referencing: lls or none instead');
  }
  const byKeys = chosen === 'hls-gmac' || chosen === 'hls-ecdsa';
  const keys = chosen === 'hls-ecdsa' ? settings.signing?.keys : ciphering;
  if (byKeys ? !keys : !secret) {
    throw new Failure('secret-missing', `${chosen} needs ${byKeys ? 'keys' : 'a secret'}`);
  }
  if (!challenge || challenge.length < minChallenge || challenge.length > 64) {
    throw new Failure('bad-argument', 'HLS needs a challenge of 8 to 64 octets');
  }
  return challenge;
}

export function aarqOf(settings: AssociationSettings, ciphering: Ciphering | undefined): Uint8Array {
  const dedicated = ciphering?.dedicated;
  const initiate = encodeApdu({
    kind: 'initiate-request',
    ...(dedicated && { dedicatedKey: dedicated.reveal() }),
    responseAllowed: true,
    version: 6,
    conformance: settings.proposed,
    maxPdu: settings.maxPdu,
  });
  const title = settings.ciphering?.ownTitle ?? settings.systemTitle;
  const authentication = authenticationValue(settings, ciphering);
  return encodeAcse({
    kind: 'aarq',
    applicationContext:
      applicationContext[`${settings.shortNames ? 'short-name' : 'logical-name'}${ciphering ? '-ciphered' : ''}`],
    ...(title && { callingApTitle: title }),
    ...(authentication && { authentication: true, authenticationValue: authentication }),
    ...((authentication ? settings.mechanismName !== 'never' : settings.mechanismName === 'always') && {
      mechanism: mechanism[settings.mechanism],
    }),
    userInformation: ciphering ? ciphering.wrapInitiate(initiate) : initiate,
  });
}

/** What both proofs are made of. Failure where the meter's challenge is none. */
export function partyOf(
  settings: AssociationSettings,
  peerChallenge: Uint8Array,
  peerTitle: Uint8Array,
  global: Ciphering['global'] | undefined,
): HlsParty {
  const ownChallenge = settings.challenge ?? none;
  if (peerChallenge.length < minChallenge)
    throw new Failure('meter-unproven', `the meter's challenge has ${peerChallenge.length} octets`);
  // A challenge that is our own, sent back, would make us prove ourselves to ourselves.
  if (Buffer.compare(peerChallenge, ownChallenge) === 0)
    throw new Failure('meter-unproven', 'the meter sent our own challenge back');
  return {
    secret: settings.secret,
    ownTitle: settings.ciphering?.ownTitle ?? settings.systemTitle ?? none,
    peerTitle,
    peerChallenge,
    ownChallenge,
    keys: global?.keys,
    suite: settings.signing?.suite ?? global?.suite ?? 0,
    signing: settings.signing?.keys,
  };
}

/** Our proof, as the parameter of reply_to_HLS_authentication. */
export function proofRequest(
  settings: AssociationSettings,
  { mechanism, party }: Proving,
  invokeId: number,
  nextCounter: () => number,
): Apdu {
  const value = hlsProof(mechanism, party, mechanism === 'hls-gmac' ? nextCounter() : 0);
  const method = { classId: 15, logicalName: settings.associationObject ?? '0.0.40.0.0.255', method: 1 } as const;
  return { kind: 'action-request-normal', invokeId, method, parameters: { type: 'octet-string', value } };
}

/** Why the meter's answer to our proof does not prove it; undefined where it does, or need not. */
export function unproven(
  { result, returned }: ActionResult,
  settings: AssociationSettings,
  { mechanism, party }: Proving,
): Failure | undefined {
  if (result !== 0)
    return new Failure('authentication-refused', `the meter refused our proof: ${actionResultName[result] ?? result}`);
  if (!returned && settings.oneSidedProof === true) return undefined;
  const proof =
    returned && 'data' in returned && returned.data.type === 'octet-string' ? returned.data.value : undefined;
  if (proof && hlsVerify(mechanism, proof, party)) return undefined;
  return new Failure('meter-unproven', proof ? "the meter's proof is wrong" : 'the meter gave no proof');
}
