/** Frames and APDUs in words, in the terms of the Green Book. */
import { messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import { type AcseApdu, applicationContext, mechanism, providerDiagnostic, userDiagnostic } from '../dlms/acse/apdu.ts';
import { describeError } from '../dlms/association/exchange.ts';
import { refusalName } from '../dlms/association/client.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { dataText } from '../dlms/axdr/print.ts';
import { attributeName, className, classTable } from '../dlms/cosem/class-table.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { dataWords } from '../dlms/cosem/value-names.ts';
import { addressText, type Frame, parseControl, parseParameters } from '../dlms/hdlc/frame.ts';
import { securityControl } from '../dlms/security/protection.ts';
import { type AccessSpecification, type Apdu, type Attribute, decodeApdu, type GetResult } from '../dlms/xdlms/apdu.ts';
import { conformanceNames } from '../dlms/xdlms/conformance.ts';

export const short = (text: string): string => (text.length > 160 ? `${text.slice(0, 157)}...` : text);
export const octetsShown = (octets: Uint8Array): string => short(toHex(octets, ' '));

/** A value for people, by what is known of the attribute that it is of. */
export type Words = (data: Data, of?: Attribute) => string;
export const plainWords: Words = (data, of) => dataWords(data, of);

/** FRMR says what was rejected (ISO/IEC 13239 5.5.3.4.2). */
function rejectionText([octet, numbers = 0, why = 0]: Uint8Array): string {
  if (octet === undefined) return '';
  const control = parseControl(octet);
  const reasons = ['unknown control field', 'information where none may be', 'information too long', 'impossible N(R)'];
  const given = reasons.filter((_, i) => (why & (1 << i)) !== 0);
  return ` rejects ${control.kind === 'unknown' ? `0x${octet.toString(16)}` : control.kind} at V(S) ${(numbers >> 1) & 7}, V(R) ${numbers >> 5}${given.length > 0 ? `: ${given.join(', ')}` : ''}`;
}

export function frameText(frame: Frame): string {
  const { control, information } = frame;
  const numbers = control.kind === 'I' ? ` S${control.ns} R${control.nr}` : 'nr' in control ? ` R${control.nr}` : '';
  const route = `${addressText(frame.source)} → ${addressText(frame.destination)}`;
  const flags = `${control.pollFinal ? ' P/F' : ''}${frame.segmented ? ' segmented' : ''}`;
  let note = information.length > 0 ? ` ${information.length} octets` : '';
  if ((control.kind === 'SNRM' || control.kind === 'UA') && information.length > 0) {
    const p = parseParameters(information);
    note = ` max info ${p.maxInfoTransmit}/${p.maxInfoReceive}, window ${p.windowTransmit}/${p.windowReceive}`;
  } else if (control.kind === 'FRMR') note = rejectionText(information);
  return `HDLC ${control.kind}${numbers}${flags} ${route}${note}`;
}

export const attributeText = (a: Attribute): string =>
  `${obis(a.logicalName)} ${className(a.classId)}.${attributeName(a.classId, a.attribute)}`;
type Method = { readonly classId: number; readonly logicalName: Attribute['logicalName']; readonly method: number };
export const methodText = ({ classId, logicalName, method }: Method): string => {
  const name = classTable[classId]?.methods[method - 1];
  return `${obis(logicalName)} ${className(classId)} method ${method}${name === undefined ? '' : ` (${name})`}`;
};
export const resultText = (result: GetResult, words: Words, of?: Attribute): string =>
  'data' in result ? short(words(result.data, of)) : `refused: ${refusalName(result.refused)}`;
const nameOf = (names: Readonly<Record<string, number>>, value: number): string =>
  Object.entries(names).find(([, number]) => number === value)?.[0] ?? `unknown: ${value}`;

/** Which rows were asked for (Blue Book 4.3.6.2). */
export function selectionText(selection: Attribute['selection']): string {
  if (!selection) return '';
  const { selector, parameters } = selection;
  const parts = parameters.type === 'structure' ? parameters.value : [];
  const of = (i: number): string => (parts[i] ? dataWords(parts[i]) : '?');
  if (selector === 1 && parts.length >= 3) return ` by range from ${of(1)} to ${of(2)}`;
  if (selector === 2 && parts.length >= 2) return ` by entry ${of(0)} to ${of(1)}`;
  return ` by selector ${selector}: ${short(dataText(parameters))}`;
}

/** Security control (Green Book 9.2.7.2.4.1): the suite, and what was done with the text. */
export function controlWords(control: number): string {
  const done = ['authenticated', 'encrypted', 'broadcast key', 'compressed'].filter(
    (_, i) => (control & (0x10 << i)) !== 0,
  );
  return [`suite ${control & 0x0f}`, ...(done.length > 0 ? done : ['neither encrypted nor authenticated'])].join(', ');
}
/** Security control and counter of a ciphered text, which stand in the clear. */
export function protectionText(content: Uint8Array): string {
  const [control] = content;
  if (control === undefined || content.length < 5) return `${content.length} octets`;
  const counter = new DataView(content.buffer, content.byteOffset, content.byteLength).getUint32(1);
  return `security control 0x${control.toString(16).padStart(2, '0')} (${controlWords(control)}), counter ${counter}, ${content.length} octets`;
}
/** What deciphering shows of the sender: without a tag anybody may have changed the octets, and with a wrong key they are others. */
export function proofText(control: number): string {
  if ((control & securityControl.authentication) !== 0) return 'the tag fits';
  return (control & securityControl.encryption) !== 0 ? 'decrypted, not authenticated' : 'nothing proves who sent it';
}

/** Release-request-reason and release-response-reason (Green Book 9.4.2.1). */
const releaseReasons: Readonly<Record<number, string>> = {
  0: 'normal',
  1: 'urgent or not finished',
  30: 'user defined',
};
export function acseText(apdu: AcseApdu): string {
  let user = '';
  if ('userInformation' in apdu && apdu.userInformation) {
    try {
      user = `; ${apduText(decodeApdu(apdu.userInformation).apdu)}`;
    } catch {
      // Not in hex: a key may be in it.
      user = `; user-information, unreadable, ${apdu.userInformation.length} octets`;
    }
  }
  switch (apdu.kind) {
    case 'aarq':
      return `AARQ context ${nameOf(applicationContext, apdu.applicationContext)}, mechanism ${nameOf(mechanism, apdu.mechanism ?? 0)}${user}`;
    case 'aare': {
      const { source, code } = apdu.diagnostic ?? { source: 'acse-service-user', code: 0 };
      const provider = `provider: ${providerDiagnostic[code] ?? code}`;
      const why = source === 'acse-service-user' ? (userDiagnostic[code] ?? String(code)) : provider;
      return `AARE ${apdu.result === 0 ? 'accepted' : 'refused'}${code === 0 ? '' : `: ${why} (${code})`}${user}`;
    }
    default:
      return `${apdu.kind.toUpperCase()}${apdu.reason === undefined ? '' : ` reason ${releaseReasons[apdu.reason] ?? `unknown: ${apdu.reason}`}`}${user}`;
  }
}

/** What an APDU is about, as the questions before it tell. */
export interface About {
  readonly attributes: readonly (Attribute | undefined)[];
  readonly words: Words;
  /** What a short name stands for; undefined where the list of objects is not in the recording. */
  readonly shortName?: ((name: number) => string | undefined) | undefined;
}
const nothingKnown: About = { attributes: [], words: plainWords };

const specificationText = ({ kind, value }: AccessSpecification): string => {
  if (kind === 'action') return `action ${methodText(value)}`;
  if (kind === 'get' || kind === 'set') return `${kind} ${attributeText({ ...value, selection: undefined })}`;
  return `${kind.slice(0, 3)} ${attributeText({ ...value.attribute, selection: undefined })}${selectionText(value.selection)}`;
};
const blockText = ({ last, number, raw }: { last: boolean; number: number; raw: Uint8Array }): string =>
  `block ${number}${last ? ' last' : ''}, ${raw.length} octets`;

type ReadApdu = Extract<Apdu, { readonly kind: 'read-request' | 'write-request' | 'unconfirmed-write-request' }>;
function variablesText(variables: ReadApdu['variables'], { shortName }: About): string {
  const nameText = (name: number): string => {
    const known = shortName?.(name);
    return `0x${name.toString(16).padStart(4, '0')}${known === undefined ? '' : ` ${known}`}`;
  };
  return variables
    .map(({ kind, value }) => {
      switch (kind) {
        case 'variable-name':
          return nameText(value);
        case 'parameterized-access':
          return `${nameText(value.name)}${selectionText({ selector: value.selector, parameters: value.parameter })}`;
        case 'block-number-access':
          return `block ${value}`;
        case 'read-data-block-access':
          return blockText(value);
        case 'write-data-block-access':
          return `block ${value.number}${value.last ? ' last' : ''}`;
      }
    })
    .join('; ');
}

function shortNameText(apdu: Apdu, about: About): string | undefined {
  const { words, attributes } = about;
  switch (apdu.kind) {
    case 'read-request':
      return variablesText(apdu.variables, about);
    case 'write-request':
    case 'unconfirmed-write-request':
      return `${variablesText(apdu.variables, about)} = ${apdu.values.map((value) => short(words(value))).join('; ')}`;
    case 'read-response':
      return apdu.results
        .map(({ kind, value }, i) => {
          if (kind === 'data') return short(words(value, attributes[i]));
          if (kind === 'refused') return `refused: ${refusalName(value)}`;
          return kind === 'data-block' ? blockText(value) : `block ${value}`;
        })
        .join('; ');
    case 'write-response':
      return apdu.results
        .map(({ kind, value }) =>
          kind === 'success' ? 'success' : kind === 'refused' ? `refused: ${refusalName(value)}` : `block ${value}`,
        )
        .join('; ');
    default:
      return undefined;
  }
}

function getText(apdu: Apdu, { attributes, words }: About): string | undefined {
  switch (apdu.kind) {
    case 'get-request-normal':
      return `${attributeText(apdu.attribute)}${selectionText(apdu.selection)}`;
    case 'get-request-with-list':
      return apdu.attributes.map((one) => `${attributeText(one)}${selectionText(one.selection)}`).join('; ');
    case 'get-request-next':
      return `block ${apdu.number}`;
    case 'get-response-normal':
      return resultText(apdu.result, words, attributes[0]);
    case 'get-response-with-list':
      return apdu.results.map((result, i) => resultText(result, words, attributes[i])).join('; ');
    case 'get-response-with-datablock':
      return 'raw' in apdu.result
        ? blockText({ ...apdu, raw: apdu.result.raw })
        : `block ${apdu.number}, refused: ${refusalName(apdu.result.refused)}`;
    default:
      return undefined;
  }
}

function setText(apdu: Apdu, { words }: About): string | undefined {
  switch (apdu.kind) {
    case 'set-request-normal':
      return `${attributeText(apdu.attribute)}${selectionText(apdu.selection)} = ${short(words(apdu.value, apdu.attribute))}`;
    case 'set-request-with-list':
      return apdu.attributes
        .map((one, i) => `${attributeText(one)} = ${apdu.values[i] ? short(words(apdu.values[i], one)) : 'no value'}`)
        .join('; ');
    case 'set-request-with-first-datablock':
      return `${attributeText(apdu.attribute)}${selectionText(apdu.selection)}, ${blockText(apdu.block)}`;
    case 'set-request-with-list-and-first-datablock':
      return `${apdu.attributes.map((one) => `${attributeText(one)}${selectionText(one.selection)}`).join('; ')}, ${blockText(apdu.block)}`;
    case 'set-request-with-datablock':
      return blockText(apdu.block);
    case 'set-response-normal':
      return refusalName(apdu.result);
    case 'set-response-datablock':
      return `block ${apdu.number} taken`;
    case 'set-response-last-datablock':
      return `block ${apdu.number} taken: ${refusalName(apdu.result)}`;
    case 'set-response-last-datablock-with-list':
      return `block ${apdu.number} taken: ${apdu.results.map((result) => refusalName(result)).join('; ')}`;
    case 'set-response-with-list':
      return apdu.results.map((result) => refusalName(result)).join('; ');
    default:
      return undefined;
  }
}

type ActionResponse = Extract<Apdu, { readonly kind: 'action-response-normal' }>['response'];
export const actionResultText = ({ result, returned }: ActionResponse, words: Words): string =>
  `${refusalName(result, true)}${returned ? `, returns ${resultText(returned, words)}` : ''}`;
function actionText(apdu: Apdu, { words }: About): string | undefined {
  switch (apdu.kind) {
    case 'action-request-normal':
      return `${methodText(apdu.method)}${apdu.parameters ? `: ${short(words(apdu.parameters))}` : ''}`;
    case 'action-request-with-list':
      return apdu.methods
        .map((one, i) => `${methodText(one)}${apdu.parameters[i] ? `: ${short(words(apdu.parameters[i]))}` : ''}`)
        .join('; ');
    case 'action-request-with-first-pblock':
      return `${methodText(apdu.method)}, ${blockText(apdu.block)}`;
    case 'action-request-with-list-and-first-pblock':
      return `${apdu.methods.map(methodText).join('; ')}, ${blockText(apdu.block)}`;
    case 'action-request-with-pblock':
    case 'action-response-with-pblock':
      return blockText(apdu.block);
    case 'action-request-next-pblock':
    case 'action-response-next-pblock':
      return `block ${apdu.number}`;
    case 'action-response-normal':
      return actionResultText(apdu.response, words);
    case 'action-response-with-list':
      return apdu.responses.map((one) => actionResultText(one, words)).join('; ');
    default:
      return undefined;
  }
}

function accessText(apdu: Apdu, { words, attributes }: About): string | undefined {
  switch (apdu.kind) {
    case 'access-request':
      return apdu.specifications
        .map((one, i) => {
          const data = apdu.data[i];
          return `${specificationText(one)}${data && data.type !== 'null-data' ? ` = ${short(words(data))}` : ''}`;
        })
        .join('; ');
    case 'access-response':
      return apdu.results
        .map(({ kind, value }, i) => {
          const data = apdu.data[i];
          const text = data && data.type !== 'null-data' ? ` ${short(words(data, attributes[i]))}` : '';
          return `${kind} ${value === 0 ? `success${text}` : refusalName(value, kind === 'action')}`;
        })
        .join('; ');
    default:
      return undefined;
  }
}

/** Service class, in bit 30 of Long-Invoke-Id-And-Priority (Green Book 9.5). */
const isConfirmed = ({ longInvokeId }: { readonly longInvokeId: number }): boolean =>
  (longInvokeId & 0x4000_0000) !== 0;

function otherText(apdu: Apdu, { words }: About): string | undefined {
  switch (apdu.kind) {
    case 'initiate-request':
    case 'initiate-response':
      return `version ${apdu.version}, max PDU ${apdu.maxPdu}, ${conformanceNames(apdu.conformance).join(' ')}`;
    case 'data-notification':
      return `${isConfirmed(apdu) ? 'to be confirmed: ' : ''}${short(words(apdu.body))}`;
    case 'data-notification-confirm':
      return 'a push was taken';
    case 'event-notification':
      return `${attributeText({ ...apdu.attribute, selection: undefined })} = ${short(words(apdu.value))}`;
    case 'information-report-request':
      return apdu.values.map((value) => short(words(value))).join('; ');
    case 'general-block-transfer': {
      const { control, number, acknowledged, content } = apdu;
      const flags = `${(control & 0x80) === 0 ? '' : ' last'}${(control & 0x40) === 0 ? '' : ' streaming'}`;
      return `block ${number}${flags}, window ${control & 0x3f}, acknowledges ${acknowledged}, ${content.length} octets`;
    }
    case 'general-ciphering': {
      const key = apdu.keyInfo?.kind ?? 'no key information';
      return `from ${toHex(apdu.originator)} to ${toHex(apdu.recipient)}, ${key}, ${protectionText(apdu.content)}`;
    }
    case 'general-signing':
      return `from ${toHex(apdu.originator)} to ${toHex(apdu.recipient)}, ${apdu.content.length} octets, signature of ${apdu.signature.length}`;
    default:
      return undefined;
  }
}

/** One line; `about` tells what an answer is an answer to. */
export function apduText(apdu: Apdu, about: About = nothingKnown): string {
  if (apdu.kind === 'exception-response' || apdu.kind === 'confirmed-service-error') return describeError(apdu);
  const id =
    'invokeId' in apdu
      ? ` #${apdu.invokeId & 0x0f}`
      : 'longInvokeId' in apdu
        ? ` #${apdu.longInvokeId & 0xffffff}`
        : '';
  const text =
    getText(apdu, about) ??
    setText(apdu, about) ??
    actionText(apdu, about) ??
    accessText(apdu, about) ??
    shortNameText(apdu, about) ??
    otherText(apdu, about);
  if (text !== undefined) return `${apdu.kind}${id} ${text}`;
  if (!('content' in apdu)) return `${apdu.kind}${id}`;
  const title = 'systemTitle' in apdu ? `, system title ${toHex(apdu.systemTitle)}` : '';
  return `${apdu.kind}${title}, ciphered, ${protectionText(apdu.content)}`;
}

/** Why a frame's parameters cannot be said. */
export function frameWords(frame: Frame): { readonly text: string; readonly trouble?: string } {
  try {
    return { text: frameText(frame) };
  } catch (error) {
    const trouble = messageOf(error);
    return { text: `HDLC ${frame.control.kind}: ${trouble}`, trouble };
  }
}
