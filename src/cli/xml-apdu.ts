/**
 * APDUs as the customary DLMS translator writes them: a row for each kind. Where it is wrong by the Green Book, what the book
 * says is written; test/cli/xml-field.test.ts has each such place.
 */
import type { Data } from '../dlms/axdr/data.ts';
import { type LogicalName, logicalNameOctets } from '../dlms/cosem/logical-name.ts';
import type {
  AccessSpecification,
  Apdu,
  ApduKind,
  ApduOf,
  Attribute,
  GetResult,
  KeyInfo,
  ReadResult,
  Selection,
  Variable,
} from '../dlms/xdlms/apdu.ts';
import { withheld } from '../recording/withhold.ts';
import { dataElement } from './xml-data.ts';
import { type Element, empty, flag, group, hex, list, number, octets, valued } from './xml-element.ts';
import { conformanceWords, exceptionErrors, pascal, results, serviceErrors, stateErrors, wordOf } from './xml-words.ts';

const invokeId = ({ invokeId: id }: { readonly invokeId: number }): Element => number('InvokeIdAndPriority', id, 1);
const longInvokeId = ({ longInvokeId: id }: { readonly longInvokeId: number }): Element =>
  number('LongInvokeIdAndPriority', id, 4);
const word = (name: string, code: number): Element => valued(name, wordOf(results, code));

interface ObjectName {
  readonly classId: number;
  readonly logicalName: LogicalName;
}
const object = ({ classId, logicalName }: ObjectName): Element[] => [
  number('ClassId', classId, 2),
  octets('InstanceId', logicalNameOctets(logicalName)),
];
const attribute = (of: ObjectName & { readonly attribute: number }): Element =>
  group('AttributeDescriptor', [...object(of), number('AttributeId', of.attribute, 1)]);
const method = (of: ObjectName & { readonly method: number }): Element =>
  group('MethodDescriptor', [...object(of), number('MethodId', of.method, 1)]);
const selection = (of: Selection | undefined): Element[] =>
  of
    ? [
        group('AccessSelection', [
          number('AccessSelector', of.selector, 1),
          group('AccessParameters', [dataElement(of.parameters)]),
        ]),
      ]
    : [];
const attributes = (all: readonly Attribute[]): Element =>
  list(
    'AttributeDescriptorList',
    all.map((one) => group('AttributeDescriptorWithSelection', [attribute(one), ...selection(one.selection)])),
  );

interface Block {
  readonly last: boolean;
  readonly number: number;
}
/** `size` of its number: four octets, two in the services of short names. */
const blockHead = ({ last, number: n }: Block, size = 4): Element[] => [
  flag('LastBlock', last),
  number('BlockNumber', n, size),
];
const blockOf = (name: string, block: Block & { readonly raw: Uint8Array }, size = 4): Element =>
  group(name, [...blockHead(block, size), octets('RawData', block.raw)]);
const blockNumber = ({ number: n }: { readonly number: number }): Element => number('BlockNumber', n, 4);

const result = (one: GetResult): Element =>
  'data' in one ? group('Data', [dataElement(one.data)]) : word('DataAccessError', one.refused);
const actionResult = ({ result: code, returned }: ApduOf<'action-response-normal'>['response']): Element[] => [
  word('Result', code),
  ...(returned ? [group('ReturnParameters', [result(returned)])] : []),
];

const variable = ({ kind, value }: Variable): Element => {
  switch (kind) {
    case 'variable-name':
      return number('VariableName', value, 2);
    case 'parameterized-access':
      return group('ParameterisedAccess', [
        number('VariableName', value.name, 2),
        number('Selector', value.selector, 1),
        group('Parameter', [dataElement(value.parameter)]),
      ]);
    case 'block-number-access':
      return group('BlockNumberAccess', [number('BlockNumber', value, 2)]);
    case 'read-data-block-access':
      return blockOf('ReadDataBlockAccess', value, 2);
    case 'write-data-block-access':
      return group('WriteDataBlockAccess', blockHead(value, 2));
  }
};
const variables = (all: readonly Variable[]): Element => list('ListOfVariableAccessSpecification', all.map(variable));
const data = (name: string, all: readonly Data[]): Element => list(name, all.map(dataElement));
const readResult = ({ kind, value }: ReadResult): Element => {
  switch (kind) {
    case 'data':
      return group('Data', [dataElement(value)]);
    case 'refused':
      return word('DataAccessError', value);
    case 'data-block':
      return blockOf('DataBlockResult', value, 2);
    case 'block-number':
      return number('BlockNumber', value, 2);
  }
};
const writeResult = ({ kind, value }: ApduOf<'write-response'>['results'][number]): Element =>
  kind === 'success'
    ? empty('Success')
    : kind === 'refused'
      ? word('DataAccessError', value)
      : number('BlockNumber', value, 2);

const accessSpecification = ({ kind, value }: AccessSpecification): Element => {
  const inside =
    kind === 'action'
      ? [method(value)]
      : kind === 'get' || kind === 'set'
        ? [attribute(value)]
        : [attribute(value.attribute), ...selection(value.selection)];
  return group('_AccessRequestSpecification', [group(`AccessRequest${pascal(kind)}`, inside)]);
};
const accessResult = ({ kind, value }: ApduOf<'access-response'>['results'][number]): Element =>
  group('_AccessResponseSpecification', [group(`AccessResponse${pascal(kind)}`, [word('Result', value)])]);

/** Both sides call their bits, versions and sizes by another name. */
const conformance = (side: 'Proposed' | 'Negotiated', bits: number): Element =>
  group(
    `${side}Conformance`,
    conformanceWords
      .filter((_, bit) => (bits & (1 << (23 - bit))) !== 0)
      .map((name): Element => ({ name: 'ConformanceBit', attributes: { Name: name } })),
  );

const keyInfo = (info: KeyInfo): Element => {
  switch (info.kind) {
    case 'identified-key':
      return group('IdentifiedKey', [number('KeyId', info.value, 1)]);
    case 'wrapped-key':
      return group('WrappedKey', [number('KekId', info.value.kekId, 1), octets('KeyCipheredData', info.value.key)]);
    case 'agreed-key':
      return group('AgreedKey', [
        octets('KeyParameters', info.value.parameters),
        octets('KeyCipheredData', info.value.key),
      ]);
  }
};
const generalHeader = (apdu: ApduOf<'general-ciphering' | 'general-signing'>): Element[] => [
  octets('TransactionId', apdu.transactionId),
  octets('OriginatorSystemTitle', apdu.originator),
  octets('RecipientSystemTitle', apdu.recipient),
  octets('DateTime', apdu.dateTime),
  octets('OtherInformation', apdu.otherInformation),
];
const generalService = (apdu: ApduOf<'general-glo-ciphering' | 'general-ded-ciphering'>): Element[] => [
  octets('SystemTitle', apdu.systemTitle),
  octets('CipheredService', apdu.content),
];

function serviceError({ service, error, value }: ApduOf<'confirmed-service-error'>): Element[] {
  const [name, values] = serviceErrors[error] ?? [`Error${hex(error, 1)}`, []];
  return [number('Service', service, 1), group('ServiceError', [valued(name, values[value] ?? hex(value, 1))])];
}

type CipheredKind = Extract<ApduKind, `glo-${string}` | `ded-${string}`>;
type PlainKind = Exclude<ApduKind, CipheredKind>;
/** The service where the APDU is one of several of it, its own name, and what stands in it. */
interface Row<K extends PlainKind> {
  readonly service?: string;
  readonly name: string;
  readonly contents: (apdu: ApduOf<K>) => readonly Element[];
  /** The number of its contents stands in its tag. */
  readonly isList?: true;
}
const of = <K extends PlainKind>(service: string, name: string, contents: Row<K>['contents']): Row<K> => ({
  service,
  name: `${service}${name}`,
  contents,
});
const single = <K extends PlainKind>(name: string, contents: Row<K>['contents']): Row<K> => ({ name, contents });

const accessResults = (codes: readonly number[]) =>
  list(
    'Result',
    codes.map((code) => word('DataAccessResult', code)),
  );

const rows: { readonly [K in PlainKind]: Row<K> } = {
  'initiate-request': single('InitiateRequest', (apdu) => [
    ...(apdu.dedicatedKey ? [valued('DedicatedKey', withheld)] : []),
    ...(apdu.responseAllowed ? [] : [flag('ResponseAllowed', false)]),
    ...(apdu.qualityOfService === undefined ? [] : [valued('ProposedQualityOfService', String(apdu.qualityOfService))]),
    number('ProposedDlmsVersionNumber', apdu.version, 1),
    conformance('Proposed', apdu.conformance),
    number('ProposedMaxPduSize', apdu.maxPdu, 2),
  ]),
  'initiate-response': single('InitiateResponse', (apdu) => [
    ...(apdu.qualityOfService === undefined ? [] : [number('NegotiatedQualityOfService', apdu.qualityOfService, 1)]),
    number('NegotiatedDlmsVersionNumber', apdu.version, 1),
    conformance('Negotiated', apdu.conformance),
    number('NegotiatedMaxPduSize', apdu.maxPdu, 2),
    number('VaaName', apdu.vaaName, 2),
  ]),
  'confirmed-service-error': single('ConfirmedServiceError', serviceError),
  'exception-response': single('ExceptionResponse', (apdu) => [
    valued('StateError', wordOf(stateErrors, apdu.stateError)),
    valued('ServiceError', wordOf(exceptionErrors, apdu.serviceError)),
    ...(apdu.invocationCounter === undefined ? [] : [number('InvocationCounter', apdu.invocationCounter, 4)]),
  ]),

  'read-request': { name: 'ReadRequest', isList: true, contents: (apdu) => apdu.variables.map(variable) },
  'read-response': { name: 'ReadResponse', isList: true, contents: (apdu) => apdu.results.map(readResult) },
  'write-response': { name: 'WriteResponse', isList: true, contents: (apdu) => apdu.results.map(writeResult) },
  'write-request': single('WriteRequest', (apdu) => [variables(apdu.variables), data('ListOfData', apdu.values)]),
  'unconfirmed-write-request': single('UnconfirmedWriteRequest', (apdu) => [
    variables(apdu.variables),
    data('ListOfData', apdu.values),
  ]),
  'information-report-request': single('InformationReportRequest', (apdu) => [
    ...(apdu.time ? [octets('CurrentTime', apdu.time)] : []),
    variables(apdu.variables),
    data('ListOfData', apdu.values),
  ]),

  'get-request-normal': of('GetRequest', 'Normal', (apdu) => [
    invokeId(apdu),
    attribute(apdu.attribute),
    ...selection(apdu.selection),
  ]),
  'get-request-next': of('GetRequest', 'ForNextDataBlock', (apdu) => [invokeId(apdu), blockNumber(apdu)]),
  'get-request-with-list': of('GetRequest', 'WithList', (apdu) => [invokeId(apdu), attributes(apdu.attributes)]),
  'get-response-normal': of('GetResponse', 'Normal', (apdu) => [
    invokeId(apdu),
    group('Result', [result(apdu.result)]),
  ]),
  'get-response-with-datablock': of('GetResponse', 'withDataBlock', (apdu) => [
    invokeId(apdu),
    group('Result', [
      ...blockHead(apdu),
      group('Result', [
        'raw' in apdu.result ? octets('RawData', apdu.result.raw) : word('DataAccessResult', apdu.result.refused),
      ]),
    ]),
  ]),
  'get-response-with-list': of('GetResponse', 'WithList', (apdu) => [
    invokeId(apdu),
    list('Result', apdu.results.map(result)),
  ]),

  'set-request-normal': of('SetRequest', 'Normal', (apdu) => [
    invokeId(apdu),
    attribute(apdu.attribute),
    ...selection(apdu.selection),
    group('Value', [dataElement(apdu.value)]),
  ]),
  'set-request-with-first-datablock': of('SetRequest', 'FirstDataBlock', (apdu) => [
    invokeId(apdu),
    attribute(apdu.attribute),
    ...selection(apdu.selection),
    blockOf('DataBlock', apdu.block),
  ]),
  'set-request-with-datablock': of('SetRequest', 'WithDataBlock', (apdu) => [
    invokeId(apdu),
    blockOf('DataBlock', apdu.block),
  ]),
  'set-request-with-list': of('SetRequest', 'WithList', (apdu) => [
    invokeId(apdu),
    attributes(apdu.attributes),
    data('ValueList', apdu.values),
  ]),
  'set-request-with-list-and-first-datablock': of('SetRequest', 'WithListAndFirstDataBlock', (apdu) => [
    invokeId(apdu),
    attributes(apdu.attributes),
    blockOf('DataBlock', apdu.block),
  ]),
  'set-response-normal': of('SetResponse', 'Normal', (apdu) => [invokeId(apdu), word('Result', apdu.result)]),
  'set-response-datablock': of('SetResponse', 'DataBlock', (apdu) => [invokeId(apdu), blockNumber(apdu)]),
  'set-response-last-datablock': of('SetResponse', 'WithLastDataBlock', (apdu) => [
    invokeId(apdu),
    word('Result', apdu.result),
    blockNumber(apdu),
  ]),
  'set-response-last-datablock-with-list': of('SetResponse', 'WithLastDataBlockWithList', (apdu) => [
    invokeId(apdu),
    accessResults(apdu.results),
    blockNumber(apdu),
  ]),
  'set-response-with-list': of('SetResponse', 'WithList', (apdu) => [invokeId(apdu), accessResults(apdu.results)]),

  'action-request-normal': of('ActionRequest', 'Normal', (apdu) => [
    invokeId(apdu),
    method(apdu.method),
    ...(apdu.parameters ? [group('MethodInvocationParameters', [dataElement(apdu.parameters)])] : []),
  ]),
  'action-request-next-pblock': of('ActionRequest', 'ForNextPBlock', (apdu) => [invokeId(apdu), blockNumber(apdu)]),
  'action-request-with-list': of('ActionRequest', 'WithList', (apdu) => [
    invokeId(apdu),
    list('MethodDescriptorList', apdu.methods.map(method)),
    data('MethodInvocationParameters', apdu.parameters),
  ]),
  'action-request-with-first-pblock': of('ActionRequest', 'WithFirstBlock', (apdu) => [
    invokeId(apdu),
    method(apdu.method),
    blockOf('PBlock', apdu.block),
  ]),
  'action-request-with-list-and-first-pblock': of('ActionRequest', 'WithListAndFirstBlock', (apdu) => [
    invokeId(apdu),
    list('MethodDescriptorList', apdu.methods.map(method)),
    blockOf('PBlock', apdu.block),
  ]),
  'action-request-with-pblock': of('ActionRequest', 'WithBlock', (apdu) => [
    invokeId(apdu),
    blockOf('PBlock', apdu.block),
  ]),
  'action-response-normal': of('ActionResponse', 'Normal', (apdu) => [invokeId(apdu), ...actionResult(apdu.response)]),
  'action-response-with-pblock': of('ActionResponse', 'WithPBlock', (apdu) => [
    invokeId(apdu),
    blockOf('PBlock', apdu.block),
  ]),
  'action-response-next-pblock': of('ActionResponse', 'NextBlock', (apdu) => [invokeId(apdu), blockNumber(apdu)]),
  'action-response-with-list': of('ActionResponse', 'WithList', (apdu) => [
    invokeId(apdu),
    list(
      'ListOfResponses',
      apdu.responses.map((one) => group('SingleResponse', actionResult(one))),
    ),
  ]),

  'access-request': single('AccessRequest', (apdu) => [
    longInvokeId(apdu),
    octets('DateTime', apdu.dateTime),
    group('AccessRequestBody', [
      list('AccessRequestSpecification', apdu.specifications.map(accessSpecification)),
      data('AccessRequestListOfData', apdu.data),
    ]),
  ]),
  'access-response': single('AccessResponse', (apdu) => [
    longInvokeId(apdu),
    octets('DateTime', apdu.dateTime),
    group('AccessResponseBody', [
      ...(apdu.specifications
        ? [list('AccessRequestSpecification', apdu.specifications.map(accessSpecification))]
        : []),
      data('AccessResponseListOfData', apdu.data),
      list('AccessResponseSpecification', apdu.results.map(accessResult)),
    ]),
  ]),

  'data-notification': single('DataNotification', (apdu) => [
    longInvokeId(apdu),
    octets('DateTime', apdu.dateTime),
    group('NotificationBody', [group('DataValue', [dataElement(apdu.body)])]),
  ]),
  'data-notification-confirm': single('DataNotificationConfirm', (apdu) => [
    longInvokeId(apdu),
    octets('DateTime', apdu.dateTime),
  ]),
  'event-notification': single('EventNotificationRequest', (apdu) => [
    ...(apdu.time ? [octets('Time', apdu.time)] : []),
    attribute(apdu.attribute),
    group('AttributeValue', [dataElement(apdu.value)]),
  ]),

  'general-glo-ciphering': { name: 'GeneralGloCiphering', contents: generalService },
  'general-ded-ciphering': { name: 'GeneralDedCiphering', contents: generalService },
  'general-ciphering': single('GeneralCiphering', (apdu) => [
    ...generalHeader(apdu),
    ...(apdu.keyInfo ? [group('KeyInfo', [keyInfo(apdu.keyInfo)])] : []),
    octets('CipheredContent', apdu.content),
  ]),
  'general-signing': single('GeneralSigning', (apdu) => [
    ...generalHeader(apdu),
    octets('Content', apdu.content),
    octets('Signature', apdu.signature),
  ]),
  'general-block-transfer': single('GeneralBlockTransfer', (apdu) => [
    number('BlockControl', apdu.control, 1),
    number('BlockNumber', apdu.number, 2),
    number('BlockNumberAck', apdu.acknowledged, 2),
    octets('BlockData', apdu.content),
  ]),
};

/** What is ciphered by itself has the name of its service; these have another one in the tools. */
const cipheredNames: Partial<Record<CipheredKind, string>> = {
  'glo-confirmed-service-error': 'glo_GloConfirmedServiceError',
  'glo-event-notification': 'glo_EventNotificationRequest',
  'ded-event-notification': 'ded_EventNotificationRequest',
};
const isCiphered = (apdu: Apdu): apdu is ApduOf<CipheredKind> => /^(?:glo|ded)-/.test(apdu.kind);

export function apduXml(apdu: Apdu): Element {
  if (isCiphered(apdu)) {
    const name = cipheredNames[apdu.kind] ?? `${apdu.kind.slice(0, 3)}_${pascal(apdu.kind.slice(4))}`;
    return octets(name, apdu.content);
  }
  // The row is the one of the kind.
  const row = rows[apdu.kind as PlainKind] as unknown as Row<PlainKind>;
  const own = (row.isList ? list : group)(row.name, row.contents(apdu));
  return row.service === undefined ? own : group(row.service, [own]);
}
