/** How a meter lets a client in: AARQ judged by what is kept of the client, AARE, and what the association then is. */
import { Secret } from '../../base/secret.ts';
import { type AcseApdu, applicationContext, encodeAcse, mechanism } from '../acse/apdu.ts';
import type { LogicalName } from '../cosem/logical-name.ts';
import type { AssociationFacts, ServerObject } from '../cosem/server-object.ts';
import { associationBaseName } from '../cosem/short-name.ts';
import type { HlsMechanism, HlsParty, Proving } from '../security/hls.ts';
import { type Apdu, type ApduOf, decodeApdu, encodeApdu } from '../xdlms/apdu.ts';
import { type Conformance, conformance } from '../xdlms/conformance.ts';
import { Ciphering, type CipheringSettings, type PublicKeys } from './ciphering.ts';

export interface ServerClient {
  readonly mechanism: 'none' | 'lls' | HlsMechanism;
  readonly secret?: Secret;
  /** This client must use a ciphered context. */
  readonly ciphering?: Omit<CipheringSettings, 'ownTitle' | 'dedicated'>;
  /** HLS by ECDSA: our private and the client's public signing key. */
  readonly signing?: { readonly suite: 1 | 2; readonly keys: NonNullable<PublicKeys['signing']> };
  /** Which objects this client sees; default all. */
  readonly objects?: (object: ServerObject) => boolean;
}
export interface EntrySettings {
  /** Client SAPs that may associate. */
  readonly clients: ReadonlyMap<number, ServerClient>;
  readonly objects: readonly ServerObject[];
  /** What the server can do; of it an association has what its client proposes. */
  readonly conformance: Conformance;
  readonly maxPdu: number;
  /** The logical device; default 1. */
  readonly serverSap?: number;
  readonly systemTitle?: Uint8Array;
  /** A fresh challenge for HLS. */
  readonly challenge?: () => Uint8Array;
  /** Short-name referencing: base names of the objects. */
  readonly shortNames?: ReadonlyMap<LogicalName, number>;
}
/** An association that stands, or for which only the proof of HLS is missing. */
export interface Entered {
  readonly client: ServerClient;
  readonly facts: AssociationFacts;
  readonly ciphering: Ciphering | undefined;
  /** HLS: what the proof that must come is judged by. */
  readonly proving: Proving | undefined;
  readonly counterAtEntry: number;
}
type Aarq = AcseApdu & { readonly kind: 'aarq' };
type Initiate = ApduOf<'initiate-request'>;

const none = new Uint8Array(0);
const user = 'acse-service-user';
/** Diagnostics of the service user (acse/apdu.ts). */
const diagnostic = {
  'no-reason': 1,
  'context-unknown': 2,
  'title-unknown': 3,
  'mechanism-unknown': 11,
  failure: 13,
  required: 14,
} as const;
type Diagnostic = keyof typeof diagnostic;

/** Reasons of initiateError (Green Book 9.5); undefined: it may be. */
function initiateError(request: Initiate, negotiated: Conformance): number | undefined {
  if (request.version < 6) return 1;
  if (negotiated === 0) return 2;
  // Below 12 octets no service fits; 0 means no limit.
  if (request.maxPdu !== 0 && request.maxPdu < 12) return 3;
  return undefined;
}

/** Who asks, and by what: without the keys. */
function objection(aarq: Aarq, client: ServerClient | undefined, context: number): Diagnostic | undefined {
  if (!client) return 'no-reason';
  if (aarq.applicationContext !== context) return 'context-unknown';
  const asked = aarq.mechanism ?? 0;
  if (asked !== mechanism[client.mechanism])
    return asked === 0 ? 'required' : asked > mechanism.lls ? 'mechanism-unknown' : 'failure';
  const given = aarq.authenticationValue ?? none;
  if (client.mechanism === 'none') return undefined;
  if (client.mechanism === 'lls')
    return Buffer.compare(given, client.secret?.reveal() ?? none) === 0 ? undefined : 'failure';
  return given.length < 8 || given.length > 64 ? 'failure' : undefined;
}

/** The InitiateRequest, out of its protection where the client must use one. */
function initiateOf(
  aarq: Aarq,
  client: ServerClient,
  { systemTitle: title }: EntrySettings,
  heard: () => number,
): { initiate: Initiate; ciphering: Ciphering | undefined } | Diagnostic {
  try {
    let { apdu } = decodeApdu(aarq.userInformation ?? none);
    let ciphering: Ciphering | undefined;
    if (client.ciphering) {
      if (aarq.callingApTitle?.length !== 8 || !title) return 'title-unknown';
      ciphering = new Ciphering({ ...client.ciphering, ownTitle: title });
      ciphering.peerTitle = aarq.callingApTitle;
      // New keys begin their counters anew, and the keys are asked for above.
      ciphering.startAfter(heard());
      if (!Ciphering.isCiphered(apdu)) return 'no-reason';
      apdu = decodeApdu(ciphering.unwrap(apdu, true)).apdu;
    }
    return apdu.kind === 'initiate-request' ? { initiate: apdu, ciphering } : 'no-reason';
  } catch {
    return 'no-reason';
  }
}

const initiateResponse = (settings: EntrySettings, bits: Conformance): Apdu => ({
  kind: 'initiate-response',
  version: 6,
  conformance: bits,
  maxPdu: settings.maxPdu,
  vaaName: settings.shortNames ? associationBaseName : 7,
});

/** RLRE; whoever proves by a ciphered RLRQ that it is the client gets a ciphered one. Undefined: it is not. */
export function released(
  rlrq: { readonly userInformation?: Uint8Array },
  { ciphering, facts }: Entered,
  settings: EntrySettings,
  heard: Map<number, number>,
): Uint8Array | undefined {
  if (!ciphering || !rlrq.userInformation) return encodeAcse({ kind: 'rlre', reason: 0 });
  try {
    const { apdu } = decodeApdu(rlrq.userInformation);
    if (!Ciphering.isCiphered(apdu)) return undefined;
    ciphering.unwrap(apdu);
  } catch {
    return undefined;
  }
  heard.set(facts.clientSap, ciphering.heardGlobal);
  const response = encodeApdu(initiateResponse(settings, facts.conformance));
  return encodeAcse({ kind: 'rlre', reason: 0, userInformation: ciphering.wrapInitiate(response) });
}

/** What an AARE that is not a plain refusal needs to know. */
interface Opening {
  readonly client: ServerClient;
  readonly context: number;
  readonly ciphering: Ciphering | undefined;
  /** Of HLS: what the client must prove itself by. */
  readonly challenge: Uint8Array | undefined;
}

/** AARE to whom is not let in. */
function refusal(
  settings: EntrySettings,
  client: ServerClient | undefined,
  context: number,
  reason: Diagnostic,
): Uint8Array {
  return encodeAcse({
    kind: 'aare',
    applicationContext: context,
    result: 1,
    diagnostic: { source: user, code: diagnostic[reason] },
    // What the meter can do; where that would have to be ciphered, a client that is not let in gets nothing of it.
    ...(!client?.ciphering && { userInformation: encodeApdu(initiateResponse(settings, settings.conformance)) }),
  });
}

/** AARE to whom the server could open: with its InitiateResponse, or with the error that there is instead. */
function aare(
  settings: EntrySettings,
  { client, context, ciphering, challenge }: Opening,
  { apdu, result, code }: { readonly apdu: Apdu; readonly result: 0 | 1; readonly code: number },
): Uint8Array {
  return encodeAcse({
    kind: 'aare',
    applicationContext: context,
    result,
    diagnostic: { source: user, code },
    ...(settings.systemTitle && { respondingApTitle: settings.systemTitle }),
    ...(challenge &&
      result === 0 && {
        authentication: true,
        mechanism: mechanism[client.mechanism],
        authenticationValue: challenge,
      }),
    userInformation: ciphering ? ciphering.wrapInitiate(encodeApdu(apdu)) : encodeApdu(apdu),
  });
}

/** AARE, and the association where there is one. `heard`: the highest invocation counter of each client SAP. */
export function enter(
  aarq: Aarq,
  sap: number,
  settings: EntrySettings,
  heard: Map<number, number>,
): { answer: Uint8Array; entered?: Entered } {
  const { shortNames, systemTitle: title } = settings;
  const client = settings.clients.get(sap);
  const context =
    applicationContext[`${shortNames ? 'short-name' : 'logical-name'}${client?.ciphering ? '-ciphered' : ''}`];
  const objected = objection(aarq, client, context);
  if (objected || !client) return { answer: refusal(settings, client, context, objected ?? 'no-reason') };
  const opened = initiateOf(aarq, client, settings, () => heard.get(sap) ?? -1);
  if (typeof opened === 'string') return { answer: refusal(settings, client, context, opened) };
  const { initiate, ciphering } = opened;
  if (ciphering) heard.set(sap, ciphering.heardGlobal);
  // Protection that comes apart from the services has no use without keys.
  const able = client.ciphering ? settings.conformance : settings.conformance & ~conformance('general-protection');
  const negotiated = initiate.conformance & able;
  const chosen = client.mechanism;
  const hls = chosen !== 'none' && chosen !== 'lls';
  const challenge = hls ? settings.challenge?.() : undefined;
  const opening: Opening = { client, context, ciphering, challenge };
  const error = initiateError(initiate, negotiated);
  if (error !== undefined) {
    const apdu: Apdu = { kind: 'confirmed-service-error', service: 1, error: 6, value: error };
    return { answer: aare(settings, opening, { apdu, result: 1, code: 1 }) };
  }
  if (ciphering && initiate.dedicatedKey) ciphering.dedicated = new Secret(initiate.dedicatedKey);
  const entered: Entered = {
    client,
    ciphering,
    counterAtEntry: ciphering?.heardGlobal ?? -1,
    proving: hls ? { mechanism: chosen, party: partyOf(aarq, client, title, challenge) } : undefined,
    facts: {
      clientSap: sap,
      serverSap: settings.serverSap ?? 1,
      applicationContext: context,
      mechanism: mechanism[client.mechanism],
      conformance: negotiated,
      maxReceivePdu: settings.maxPdu,
      maxSendPdu: initiate.maxPdu === 0 ? 0xffff : initiate.maxPdu,
      objects: client.objects ? settings.objects.filter(client.objects) : settings.objects,
      shortNames,
    },
  };
  const apdu = initiateResponse(settings, negotiated);
  return { answer: aare(settings, opening, { apdu, result: 0, code: hls ? diagnostic.required : 0 }), entered };
}

const partyOf = (
  aarq: Aarq,
  client: ServerClient,
  title: Uint8Array | undefined,
  challenge: Uint8Array | undefined,
): HlsParty => ({
  secret: client.secret,
  ownTitle: title ?? none,
  peerTitle: aarq.callingApTitle ?? none,
  peerChallenge: aarq.authenticationValue ?? none,
  ownChallenge: challenge ?? none,
  keys: client.ciphering?.keys,
  suite: client.signing?.suite ?? client.ciphering?.suite ?? 0,
  signing: client.signing?.keys,
});
