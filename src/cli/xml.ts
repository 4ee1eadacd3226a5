/**
 * Recordings as XML in the style that DLMS tools exchange: each message with its APDU, element by element as the customary
 * translator writes it (xml-apdu.ts). For reading and comparing; not meant to be read back.
 */
import { type Aare, type AcseApdu, mechanism } from '../dlms/acse/apdu.ts';
import { type Apdu, decodeApdu } from '../dlms/xdlms/apdu.ts';
import type { Explained } from '../recording/explained.ts';
import { withheld } from '../recording/withhold.ts';
import { apduXml } from './xml-apdu.ts';
import { type Element, escaped, group, number, octets, valued, written } from './xml-element.ts';
import { contexts, mechanisms, requestReasons, responseReasons, wordOf } from './xml-words.ts';

function userInformation({ userInformation: user }: AcseApdu): Element[] {
  if (!user) return [];
  try {
    return [apduXml(decodeApdu(user).apdu)];
  } catch {
    // Not in hex: a key may be in it.
    return [valued('UserInformation', withheld)];
  }
}
/** What is absent has no element. */
const perhaps = <T>(value: T | undefined, element: (value: T) => Element): Element[] =>
  value === undefined ? [] : [element(value)];
const octetsOf = (name: string) => (value: Uint8Array) => octets(name, value);
const contextName = (value: number): Element => valued('ApplicationContextName', wordOf(contexts, value));
const mechanismName = (value: number): Element => valued('MechanismName', wordOf(mechanisms, value));
const requirement = (name: string) => (value: boolean) => valued(name, value ? '1' : '0');
const diagnostic = ({ source, code }: NonNullable<Aare['diagnostic']>): Element =>
  group('ResultSourceDiagnostic', [
    number(source === 'acse-service-user' ? 'ACSEServiceUser' : 'ACSEServiceProvider', code, 1),
  ]);

function acseXml(apdu: AcseApdu): Element {
  switch (apdu.kind) {
    case 'aarq':
      return group('AssociationRequest', [
        contextName(apdu.applicationContext),
        ...perhaps(apdu.callingApTitle, octetsOf('CallingAPTitle')),
        ...perhaps(apdu.callingAeQualifier, octetsOf('CallingAEQualifier')),
        ...perhaps(apdu.callingAeInvocationId, (id) => number('CallingAEInvocationId', id, 1)),
        ...perhaps(apdu.authentication, requirement('SenderACSERequirements')),
        ...perhaps(apdu.mechanism, mechanismName),
        ...perhaps(apdu.authenticationValue, (value) =>
          apdu.mechanism === mechanism.lls
            ? valued('CallingAuthentication', withheld)
            : octets('CallingAuthentication', value),
        ),
        ...userInformation(apdu),
      ]);
    case 'aare':
      return group('AssociationResponse', [
        ...perhaps(apdu.applicationContext, contextName),
        number('AssociationResult', apdu.result, 1),
        ...perhaps(apdu.diagnostic, diagnostic),
        ...perhaps(apdu.respondingApTitle, octetsOf('RespondingAPTitle')),
        ...perhaps(apdu.respondingAeQualifier, octetsOf('RespondingAEQualifier')),
        ...perhaps(apdu.respondingAeInvocationId, (id) => number('RespondingAEInvocationId', id, 1)),
        ...perhaps(apdu.authentication, requirement('ResponderACSERequirement')),
        ...perhaps(apdu.mechanism, mechanismName),
        ...perhaps(apdu.authenticationValue, octetsOf('RespondingAuthentication')),
        ...userInformation(apdu),
      ]);
    default: {
      const [name, reasons] =
        apdu.kind === 'rlrq'
          ? (['ReleaseRequest', requestReasons] as const)
          : (['ReleaseResponse', responseReasons] as const);
      return group(name, [
        ...perhaps(apdu.reason, (reason) => valued('Reason', wordOf(reasons, reason))),
        ...userInformation(apdu),
      ]);
    }
  }
}

const isAcse = (apdu: Apdu | AcseApdu): apdu is AcseApdu => ['aarq', 'aare', 'rlrq', 'rlre'].includes(apdu.kind);
const pduLines = (apdu: Apdu | AcseApdu): string[] => [
  '    <PDU>',
  ...written(isAcse(apdu) ? acseXml(apdu) : apduXml(apdu), 3),
  '    </PDU>',
];
// A comment must not hold two hyphens in a row.
const comment = (note: string): string => `    <!-- ${escaped(note).replaceAll('--', '- -')} -->`;

/**
 * One message: what was said of its frame as a comment, then its APDU where it ended one. A general block comes first, and
 * after the last one the APDU that it carried.
 */
export function messageXml({ direction, time, text, apdu, block }: Explained): string[] {
  const [frame = '', ...notes] = text;
  const attributes = [direction && ` Direction="${direction}"`, time && ` Time="${escaped(time)}"`];
  return [
    `  <Message${attributes.filter(Boolean).join('')}>`,
    comment(frame),
    // Every further line says what the APDU is; of a readable one only deciphering and proofs are news.
    ...(apdu ? notes.filter((note) => /security control|proof|octets after/.test(note)) : notes).map(comment),
    ...[block, apdu].flatMap((one) => (one ? pduLines(one) : [])),
    '  </Message>',
  ];
}
export const xmlHead: readonly string[] = ['<?xml version="1.0" encoding="utf-8"?>', '<Messages>'];
export const xmlEnd = '</Messages>';
