/**
 * APDUs as XML in the style that DLMS tools exchange: PascalCase elements in the book's words, numbers in hex as `Value`,
 * `Qty` on arrays and structures. For reading and comparing; not meant to be read back.
 */
import { toHex } from '../base/hex.ts';
import { type Aare, type AcseApdu, mechanism, userDiagnostic } from '../dlms/acse/apdu.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { refusalName } from '../dlms/association/client.ts';
import { type LogicalName, logicalNameOctets } from '../dlms/cosem/logical-name.ts';
import { type Apdu, type ApduKind, decodeApdu } from '../dlms/xdlms/apdu.ts';
import { conformanceNames } from '../dlms/xdlms/conformance.ts';
import type { Explained } from '../recording/explained.ts';
import { withheld } from '../recording/withhold.ts';

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
}
const element = (name: string, attributes: Record<string, string>, ...children: Element[]): Element => ({
  name,
  attributes,
  children,
});
const valued = (name: string, value: string): Element => element(name, { Value: value });
const group = (name: string, children: readonly Element[]): Element => ({ name, attributes: {}, children });
const upper = (octets: Uint8Array): string => toHex(octets).toUpperCase();
const hex = (value: number | bigint, octets: number): string =>
  BigInt.asUintN(octets * 8, BigInt(value))
    .toString(16)
    .toUpperCase()
    .padStart(octets * 2, '0');
const pascal = (words: string): string =>
  words.replace(/(^|[- ])([a-z])/g, (_, __, letter: string) => letter.toUpperCase());

/** Names and sizes in octets of simple types. */
const simple: Partial<Record<Data['type'], readonly [string, number]>> = {
  'double-long': ['Int32', 4],
  'double-long-unsigned': ['UInt32', 4],
  bcd: ['BCD', 1],
  integer: ['Int8', 1],
  long: ['Int16', 2],
  unsigned: ['UInt8', 1],
  'long-unsigned': ['UInt16', 2],
  long64: ['Int64', 8],
  'long64-unsigned': ['UInt64', 8],
  enum: ['Enum', 1],
  'delta-integer': ['DeltaInt8', 1],
  'delta-long': ['DeltaInt16', 2],
  'delta-double-long': ['DeltaInt32', 4],
  'delta-unsigned': ['DeltaUInt8', 1],
  'delta-long-unsigned': ['DeltaUInt16', 2],
  'delta-double-long-unsigned': ['DeltaUInt32', 4],
};

function dataElement(data: Data): Element {
  const integer = simple[data.type];
  if (integer) return valued(integer[0], hex((data as { value: number | bigint }).value, integer[1]));
  switch (data.type) {
    case 'array':
    case 'structure':
    case 'compact-array':
      return {
        name: pascal(data.type).replace('-', ''),
        attributes: { Qty: hex(data.value.length, data.value.length > 255 ? 2 : 1) },
        children: data.value.map(dataElement),
      };
    case 'octet-string':
    case 'date-time':
    case 'date':
    case 'time':
      return valued(pascal(data.type).replace('-', ''), upper(data.value));
    case 'boolean':
      return valued('Boolean', data.value ? '01' : '00');
    case 'visible-string':
      return valued('String', data.value);
    case 'utf8-string':
      return valued('UTF8String', data.value);
    case 'bit-string':
      return valued('BitString', data.value);
    case 'float32':
    case 'float64':
      return valued(pascal(data.type), String(data.value));
    case 'dont-care':
      return group('DontCare', []);
    default:
      return group('NullData', []);
  }
}

/** Fields of APDUs whose element has another name than the field, and the size of numbers that are not one octet. */
const fieldNames: Readonly<Record<string, readonly [string, number?]>> = {
  invokeId: ['InvokeIdAndPriority'],
  longInvokeId: ['LongInvokeIdAndPriority', 4],
  classId: ['ClassId', 2],
  attribute: ['AttributeDescriptor'],
  method: ['MethodDescriptor'],
  attributes: ['AttributeDescriptorList'],
  methods: ['MethodDescriptorList'],
  selection: ['AccessSelection'],
  selector: ['AccessSelector'],
  parameters: ['AccessParameters'],
  last: ['LastBlock'],
  number: ['BlockNumber', 4],
  raw: ['RawData'],
  body: ['NotificationBody'],
  content: ['CipheredService'],
  returned: ['ReturnParameters'],
  refused: ['DataAccessError'],
  maxPdu: ['MaxPduSize', 2],
  version: ['DlmsVersionNumber'],
  vaaName: ['VaaName', 2],
  response: ['SingleResponse'],
  invocationCounter: ['InvocationCounter', 4],
};
const isData = (value: object): value is Data => 'type' in value;

function fieldElement(field: string, value: unknown): Element[] {
  const [name, octets = 1] = fieldNames[field] ?? [pascal(field.charAt(0).toLowerCase() + field.slice(1))];
  if (value === undefined || value === null) return [];
  if (field === 'dedicatedKey') return [valued('DedicatedKey', withheld)];
  if (field === 'refused') return [valued(name, pascal(refusalName(value as number)).replaceAll('-', ''))];
  if (field === 'logicalName') return [valued('InstanceId', upper(logicalNameOctets(value as LogicalName)))];
  if (field === 'conformance') {
    const bits = conformanceNames(value as number).map((bit) =>
      element('ConformanceBit', { Name: pascal(bit).replaceAll('-', '') }),
    );
    return [group('Conformance', bits)];
  }
  if (typeof value === 'boolean') return [valued(name, value ? '01' : '00')];
  if (typeof value === 'number') {
    // The last field of a descriptor has the name of what it describes.
    const own = field === 'attribute' ? 'AttributeId' : field === 'method' ? 'MethodId' : name;
    return [valued(own, hex(value, octets))];
  }
  if (typeof value === 'string') return [valued(name, value)];
  if (value instanceof Uint8Array) return [valued(name, upper(value))];
  if (Array.isArray(value))
    return [
      element(
        name,
        { Qty: hex(value.length, 1) },
        ...value.flatMap((item: unknown) =>
          typeof item === 'number' ? [valued('Result', hex(item, 1))] : [group('Item', contents(item as object))],
        ),
      ),
    ];
  return [group(name, contents(value))];
}
function contents(value: object): Element[] {
  if (isData(value)) return [dataElement(value)];
  return Object.entries(value).flatMap(([field, inner]) =>
    field === 'data' && inner && typeof inner === 'object' && isData(inner as object)
      ? [group('Data', [dataElement(inner as Data)])]
      : fieldElement(field, inner),
  );
}

/** Services whose APDU is a choice: the outer element has the service's name. */
const services: readonly [RegExp, string][] = [
  [/^get-request-/, 'GetRequest'],
  [/^get-response-/, 'GetResponse'],
  [/^set-request-/, 'SetRequest'],
  [/^set-response-/, 'SetResponse'],
  [/^action-request-/, 'ActionRequest'],
  [/^action-response-/, 'ActionResponse'],
];
const isCipheredService = (kind: ApduKind): boolean => /^(glo|ded)-/.test(kind);

export function apduXml(apdu: Apdu): Element {
  const { kind, ...fields } = apdu;
  if (isCipheredService(kind) && 'content' in apdu)
    return valued(`${kind.slice(0, 3)}_${pascal(kind.slice(4)).replaceAll('-', '')}`, upper(apdu.content));
  const own = group(pascal(kind).replaceAll('-', ''), contents(fields));
  const outer = services.find(([pattern]) => pattern.test(kind))?.[1];
  return outer === undefined ? own : group(outer, [own]);
}

const contextNames = ['', 'LN', 'SN', 'LN_WITH_CIPHERING', 'SN_WITH_CIPHERING'];
function acseXml(apdu: AcseApdu): Element {
  const octets = (name: string, value: Uint8Array | undefined) => (value ? [valued(name, upper(value))] : []);
  const user = (): Element[] => {
    if (!apdu.userInformation) return [];
    try {
      return [apduXml(decodeApdu(apdu.userInformation).apdu)];
    } catch {
      // Not in hex: a key may be in it.
      return [valued('UserInformation', withheld)];
    }
  };
  const mechanismName = (value: number | undefined): Element[] =>
    value === undefined
      ? []
      : [valued('MechanismName', Object.entries(mechanism).find(([, one]) => one === value)?.[0] ?? hex(value, 1))];
  const contextName = (value: number | undefined): Element[] =>
    value === undefined ? [] : [valued('ApplicationContextName', contextNames[value] ?? hex(value, 1))];
  const diagnostic = (given: Aare['diagnostic']): Element[] =>
    given === undefined
      ? []
      : [
          group('ResultSourceDiagnostic', [
            element(given.source === 'acse-service-user' ? 'ACSEServiceUser' : 'ACSEServiceProvider', {
              Value: hex(given.code, 1),
              Meaning: userDiagnostic[given.code] ?? '',
            }),
          ]),
        ];
  switch (apdu.kind) {
    case 'aarq':
      return group('AssociationRequest', [
        ...contextName(apdu.applicationContext),
        ...octets('CallingAPTitle', apdu.callingApTitle),
        ...mechanismName(apdu.mechanism),
        ...(apdu.mechanism === mechanism.lls
          ? [valued('CallingAuthentication', withheld)]
          : octets('CallingAuthentication', apdu.authenticationValue)),
        ...user(),
      ]);
    case 'aare':
      return group('AssociationResponse', [
        ...contextName(apdu.applicationContext),
        valued('AssociationResult', hex(apdu.result, 1)),
        ...diagnostic(apdu.diagnostic),
        ...octets('RespondingAPTitle', apdu.respondingApTitle),
        ...mechanismName(apdu.mechanism),
        ...octets('RespondingAuthentication', apdu.authenticationValue),
        ...user(),
      ]);
    default:
      return group(apdu.kind === 'rlrq' ? 'ReleaseRequest' : 'ReleaseResponse', [
        ...(apdu.reason === undefined ? [] : [valued('Reason', hex(apdu.reason, 1))]),
        ...user(),
      ]);
  }
}

const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    // XML 1.0 has no way to write most control characters.
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/gu, '\ufffd')
    // What a terminal would obey or hide has a way of writing in XML that keeps the value.
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu, (one) => `&#x${(one.codePointAt(0) as number).toString(16)};`);

function written({ name, attributes, children }: Element, depth: number): string[] {
  const indent = '  '.repeat(depth);
  const head = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  if (children.length === 0) return [`${indent}<${name}${head.join('')} />`];
  return [
    `${indent}<${name}${head.join('')}>`,
    ...children.flatMap((child) => written(child, depth + 1)),
    `${indent}</${name}>`,
  ];
}

/** One message: what was said of its frame as a comment, then its APDU where it ended one. */
export function messageXml({ direction, time, text, apdu }: Explained): string[] {
  const [frame = '', ...notes] = text;
  // A comment must not hold two hyphens in a row.
  const comment = (note: string) => `    <!-- ${escaped(note).replaceAll('--', '- -')} -->`;
  const pdu = apdu && (isAcseKind(apdu) ? acseXml(apdu) : apduXml(apdu));
  const attributes = [direction && ` Direction="${direction}"`, time && ` Time="${escaped(time)}"`];
  return [
    `  <Message${attributes.filter(Boolean).join('')}>`,
    comment(frame),
    // Every further line says what the APDU is; of a readable one only deciphering and proofs are news.
    ...(pdu ? notes.filter((note) => /security control|proof|octets after/.test(note)) : notes).map(comment),
    ...(pdu ? ['    <PDU>', ...written(pdu, 3), '    </PDU>'] : []),
    '  </Message>',
  ];
}
const isAcseKind = (apdu: Apdu | AcseApdu): apdu is AcseApdu => ['aarq', 'aare', 'rlrq', 'rlre'].includes(apdu.kind);
export const xmlHead: readonly string[] = ['<?xml version="1.0" encoding="utf-8"?>', '<Messages>'];
export const xmlEnd = '</Messages>';
