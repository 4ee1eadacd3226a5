/**
 * What the meter's AARE says (Green Book 9.3.2, 9.4.4.2): refused, and why; or accepted, and what was agreed. Only what
 * something hangs on is demanded; protection weaker than what is configured is refused by name.
 */
import { CodecError, Failure } from '../../base/errors.ts';
import { type Aare, providerDiagnostic, userDiagnostic } from '../acse/apdu.ts';
import { type Apdu, decodeApdu } from '../xdlms/apdu.ts';
import { type Conformance, conformance } from '../xdlms/conformance.ts';
import { Ciphering } from './ciphering.ts';
import { describeError } from './exchange.ts';

export interface Agreement {
  readonly conformance: Conformance;
  /** As the meter says it; 0 = no limit. */
  readonly maxPdu: number;
}
type Initiate = { readonly apdu: Apdu; readonly protected: boolean } | undefined;

/** What a meter that says nothing of itself may be asked for: no lists, no general blocks. */
const unnegotiated = conformance(
  'get',
  'set',
  'action',
  'read',
  'write',
  'selective-access',
  'parameterized-access',
  'block-transfer-with-get-or-read',
  'block-transfer-with-set-or-write',
  'block-transfer-with-action',
);
/** The error class of confirmed-service-error that speaks of InitiateRequest, and its values that speak of what we propose. */
const initiateError = 6;
const ofProposal: ReadonlySet<number> = new Set([1, 2, 3]);

function initiateOf({ userInformation }: Aare, ciphering: Ciphering | undefined): Initiate {
  if (!userInformation || userInformation.length === 0) return undefined;
  try {
    const outer = decodeApdu(userInformation).apdu;
    if (!ciphering || !Ciphering.isCiphered(outer)) return { apdu: outer, protected: false };
    return { apdu: decodeApdu(ciphering.unwrap(outer, true)).apdu, protected: true };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new Failure('malformed-octets', `InitiateResponse: ${error.toString()}`);
  }
}

/** The meter's words for not taking our InitiateRequest. */
function notInitiated(apdu: Apdu, detail: Failure['detail'] = {}): Failure {
  const ofOurs = apdu.kind === 'confirmed-service-error' && apdu.error === initiateError && ofProposal.has(apdu.value);
  return new Failure(
    ofOurs ? 'proposal-refused' : 'association-refused',
    `the meter answered InitiateRequest with ${describeError(apdu)}`,
    detail,
  );
}

const authenticationRequired = 14;
type Chosen = { readonly anonymous: boolean; readonly highLevel: boolean; readonly proposed: Conformance };

function refusal(aare: Aare, { anonymous, highLevel }: Chosen, initiate: Initiate): Failure {
  const { source, code } = aare.diagnostic ?? { source: 'acse-service-user', code: 1 };
  const byUser = source === 'acse-service-user';
  // With high level security every AARE says "authentication required".
  const ofCourse = highLevel && code === authenticationRequired && initiate?.apdu.kind === 'confirmed-service-error';
  // An authentication failure is never repeated by itself: meters lock for up to 24 h (R26).
  if (byUser && code >= 11 && code <= authenticationRequired && !ofCourse)
    return new Failure(
      // 13 is the secret itself; the others are the way: none, or not this one.
      anonymous ? 'authentication-required' : code === 13 ? 'authentication-refused' : 'mechanism-refused',
      `association refused: ${userDiagnostic[code] ?? 'unknown'} (${code}), result ${aare.result}`,
      { diagnostic: { source, code } },
    );
  if (initiate?.apdu.kind === 'confirmed-service-error')
    return notInitiated(initiate.apdu, { diagnostic: { source, code } });
  const name = (byUser ? userDiagnostic : providerDiagnostic)[code] ?? 'unknown';
  return new Failure('association-refused', `association refused: ${name} (${code}), result ${aare.result}`, {
    diagnostic: { source, code },
  });
}
/** The user-information of a refusal may say more; where it cannot be read, the refusal stands without it. */
function initiateOfRefusal(aare: Aare, ciphering: Ciphering | undefined): Initiate {
  try {
    if (ciphering && aare.respondingApTitle) ciphering.meetTitle(aare.respondingApTitle);
    return initiateOf(aare, ciphering);
  } catch {
    return undefined;
  }
}

/** What was agreed; Failure where the meter refused, or gave less protection than is configured. */
export function agreementOf(aare: Aare, chosen: Chosen, ciphering: Ciphering | undefined): Agreement {
  if (aare.result !== 0) throw refusal(aare, chosen, initiateOfRefusal(aare, ciphering));
  const { diagnostic } = aare;
  // Without a challenge there is no second pass, whatever the diagnostic says.
  const required = diagnostic?.source === 'acse-service-user' && diagnostic.code === authenticationRequired;
  if (required && aare.authenticationValue && !chosen.highLevel)
    throw new Failure(
      chosen.anonymous ? 'authentication-required' : 'mechanism-refused',
      'the meter wants the second pass of high level security',
      { diagnostic },
    );
  ciphering?.meetTitle(aare.respondingApTitle);
  const initiate = initiateOf(aare, ciphering);
  if (ciphering && initiate === undefined)
    throw new Failure('protection-weaker', 'the AARE carries no InitiateResponse, which would show the keys');
  if (!initiate) return { conformance: unnegotiated & chosen.proposed, maxPdu: 0 };
  const { apdu } = initiate;
  if (apdu.kind !== 'initiate-response') throw notInitiated(apdu);
  if (ciphering && !initiate.protected) throw new Failure('protection-weaker', 'InitiateResponse came unprotected');
  return { conformance: apdu.conformance & chosen.proposed, maxPdu: apdu.maxPdu };
}
