/**
 * XML element by element as the customary DLMS translator writes it: 62 APDUs of recorded exchanges with what it printed for
 * them. test/recording/field/xml.json is a copy of ../shared/field/xml.json.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { toHex } from '../../src/base/hex.ts';
import { messageXml } from '../../src/cli/xml.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { type Apdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { conformance, conformanceBit, type ConformanceName } from '../../src/dlms/xdlms/conformance.ts';
import { explain } from '../../src/recording/reader.ts';

const field = JSON.parse(readFileSync(new URL('../recording/field/xml.json', import.meta.url), 'utf8')) as readonly {
  readonly apdu: string;
  readonly xml: string;
}[];

/** What stands in the PDU elements of a recording, each APDU by itself. */
function pdusOf(recording: string): string[] {
  const { frames } = explain(parseExchange(recording));
  const text = frames.flatMap(messageXml).join('\n');
  return [...text.matchAll(/ {4}<PDU>\n([\s\S]*?)\n {4}<\/PDU>/g)].map(([, pdu = '']) =>
    pdu
      .split('\n')
      .map((line) => line.slice(6))
      .join('\n'),
  );
}
const pduOf = (hex: string): string => pdusOf(hex).join('\n');

/** Where the translator is wrong by the Green Book, or shows a secret: what is written instead, by the number of the APDU. */
const otherwise: Readonly<Record<number, { readonly why: string; readonly put: readonly [string, string] }>> = {
  3: {
    why: 'its tags do not match: the answer of the meter is negotiated',
    put: ['<ProposedConformance>', '<NegotiatedConformance>'],
  },
  10: { why: 'the password is withheld', put: ['Value="4775727578"', 'Value="(withheld)"'] },
  19: {
    why: 'the block has no octets, and the meter sent 11 of something else after it',
    put: ['Value="00C402C101000000020000"', 'Value=""'],
  },
  20: {
    why: 'its tags do not match: the answer of the meter is negotiated',
    put: ['<ProposedConformance>', '<NegotiatedConformance>'],
  },
  51: { why: 'tag 220 is general-ded-ciphering', put: ['GeneralGloCiphering', 'GeneralDedCiphering'] },
  52: { why: 'tag 220 is general-ded-ciphering', put: ['GeneralGloCiphering', 'GeneralDedCiphering'] },
  53: { why: 'tag 220 is general-ded-ciphering', put: ['GeneralGloCiphering', 'GeneralDedCiphering'] },
};
/** A line of APDUs by themselves has nothing after them; in a frame of the wrapper the octets after the APDU are those of the frame. */
const wrapped = (apdu: string): string =>
  `0001 0001 0010 ${(apdu.length / 2).toString(16).padStart(4, '0')} ${apdu}`.replaceAll(' ', '');

describe('62 recorded APDUs', () => {
  test.each(field.map(({ apdu, xml }, i) => [i, apdu, xml] as const))('%i: %s', (i, apdu, xml) => {
    const other = otherwise[i];
    const theirs = xml.replaceAll('\r\n', '\n').trimEnd();
    if (other) expect(theirs, other.why).toContain(other.put[0]);
    const right = other ? theirs.replaceAll(other.put[0], other.put[1]) : theirs;
    expect(pduOf(i === 19 ? wrapped(apdu) : apdu)).toBe(right);
  });
  test('all of them are there', () => {
    expect(field).toHaveLength(62);
  });
});

/** Lines without their indents, one after the other: what stands in what is told by the tags. */
const flat = (xml: string): string => xml.replaceAll(/\n */g, '');
const attribute = { classId: 3, logicalName: '1.0.1.8.0.255', attribute: 2 } as const;
const descriptor =
  '<AttributeDescriptor><ClassId Value="0003" /><InstanceId Value="0100010800FF" /><AttributeId Value="02" /></AttributeDescriptor>';
const method = { classId: 70, logicalName: '0.0.96.3.10.255', method: 1 } as const;
const methodDescriptor =
  '<MethodDescriptor><ClassId Value="0046" /><InstanceId Value="000060030AFF" /><MethodId Value="01" /></MethodDescriptor>';
const id = '<InvokeIdAndPriority Value="C1" />';
const raw = Uint8Array.of(0xab, 0xcd);
const block = { last: true, number: 2, raw };
const blockXml = '<LastBlock Value="01" /><BlockNumber Value="00000002" /><RawData Value="ABCD" />';
const selection = { selector: 2, parameters: { type: 'unsigned', value: 7 } } as const;
const selectionXml =
  '<AccessSelection><AccessSelector Value="02" /><AccessParameters><UInt8 Value="07" /></AccessParameters></AccessSelection>';
const seven = { type: 'unsigned', value: 7 } as const;
const title = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const empty = new Uint8Array(0);

const notInTheFile: readonly (readonly [Apdu, string])[] = [
  [
    { kind: 'get-request-with-list', invokeId: 0xc1, attributes: [{ ...attribute, selection }] },
    `<GetRequest><GetRequestWithList>${id}<AttributeDescriptorList Qty="01" ><AttributeDescriptorWithSelection>${descriptor}${selectionXml}</AttributeDescriptorWithSelection></AttributeDescriptorList></GetRequestWithList></GetRequest>`,
  ],
  [
    { kind: 'get-response-with-list', invokeId: 0xc1, results: [{ data: seven }, { refused: 4 }] },
    `<GetResponse><GetResponseWithList>${id}<Result Qty="02" ><Data><UInt8 Value="07" /></Data><DataAccessError Value="UndefinedObject" /></Result></GetResponseWithList></GetResponse>`,
  ],
  [
    { kind: 'get-response-with-datablock', invokeId: 0xc1, last: true, number: 3, result: { refused: 19 } },
    `<GetResponse><GetResponsewithDataBlock>${id}<Result><LastBlock Value="01" /><BlockNumber Value="00000003" /><Result><DataAccessResult Value="DataBlockNumberInvalid" /></Result></Result></GetResponsewithDataBlock></GetResponse>`,
  ],
  [
    { kind: 'set-request-normal', invokeId: 0xc1, attribute, selection, value: seven },
    `<SetRequest><SetRequestNormal>${id}${descriptor}${selectionXml}<Value><UInt8 Value="07" /></Value></SetRequestNormal></SetRequest>`,
  ],
  [
    { kind: 'set-request-with-first-datablock', invokeId: 0xc1, attribute, selection: undefined, block },
    `<SetRequest><SetRequestFirstDataBlock>${id}${descriptor}<DataBlock>${blockXml}</DataBlock></SetRequestFirstDataBlock></SetRequest>`,
  ],
  [
    { kind: 'set-request-with-datablock', invokeId: 0xc1, block },
    `<SetRequest><SetRequestWithDataBlock>${id}<DataBlock>${blockXml}</DataBlock></SetRequestWithDataBlock></SetRequest>`,
  ],
  [
    {
      kind: 'set-request-with-list',
      invokeId: 0xc1,
      attributes: [{ ...attribute, selection: undefined }],
      values: [seven],
    },
    `<SetRequest><SetRequestWithList>${id}<AttributeDescriptorList Qty="01" ><AttributeDescriptorWithSelection>${descriptor}</AttributeDescriptorWithSelection></AttributeDescriptorList><ValueList Qty="01" ><UInt8 Value="07" /></ValueList></SetRequestWithList></SetRequest>`,
  ],
  [
    { kind: 'set-response-datablock', invokeId: 0xc1, number: 2 },
    `<SetResponse><SetResponseDataBlock>${id}<BlockNumber Value="00000002" /></SetResponseDataBlock></SetResponse>`,
  ],
  [
    { kind: 'set-response-last-datablock', invokeId: 0xc1, result: 0, number: 2 },
    `<SetResponse><SetResponseWithLastDataBlock>${id}<Result Value="Success" /><BlockNumber Value="00000002" /></SetResponseWithLastDataBlock></SetResponse>`,
  ],
  [
    { kind: 'set-response-with-list', invokeId: 0xc1, results: [0, 3] },
    `<SetResponse><SetResponseWithList>${id}<Result Qty="02" ><DataAccessResult Value="Success" /><DataAccessResult Value="ReadWriteDenied" /></Result></SetResponseWithList></SetResponse>`,
  ],
  [
    { kind: 'action-request-next-pblock', invokeId: 0xc1, number: 2 },
    `<ActionRequest><ActionRequestForNextPBlock>${id}<BlockNumber Value="00000002" /></ActionRequestForNextPBlock></ActionRequest>`,
  ],
  [
    { kind: 'action-request-with-first-pblock', invokeId: 0xc1, method, block },
    `<ActionRequest><ActionRequestWithFirstBlock>${id}${methodDescriptor}<PBlock>${blockXml}</PBlock></ActionRequestWithFirstBlock></ActionRequest>`,
  ],
  [
    { kind: 'action-response-normal', invokeId: 0xc1, response: { result: 13, returned: { refused: 250 } } },
    `<ActionResponse><ActionResponseNormal>${id}<Result Value="AccessViolated" /><ReturnParameters><DataAccessError Value="OtherReason" /></ReturnParameters></ActionResponseNormal></ActionResponse>`,
  ],
  [
    {
      kind: 'read-response',
      results: [
        { kind: 'data', value: seven },
        { kind: 'refused', value: 9 },
        { kind: 'data-block', value: block },
        { kind: 'block-number', value: 2 },
      ],
    },
    '<ReadResponse Qty="04" ><Data><UInt8 Value="07" /></Data><DataAccessError Value="InconsistentClass" /><DataBlockResult><LastBlock Value="01" /><BlockNumber Value="0002" /><RawData Value="ABCD" /></DataBlockResult><BlockNumber Value="0002" /></ReadResponse>',
  ],
  [
    { kind: 'read-request', variables: [{ kind: 'block-number-access', value: 2 }] },
    '<ReadRequest Qty="01" ><BlockNumberAccess><BlockNumber Value="0002" /></BlockNumberAccess></ReadRequest>',
  ],
  [
    { kind: 'write-request', variables: [{ kind: 'variable-name', value: 0xfa08 }], values: [seven] },
    '<WriteRequest><ListOfVariableAccessSpecification Qty="01" ><VariableName Value="FA08" /></ListOfVariableAccessSpecification><ListOfData Qty="01" ><UInt8 Value="07" /></ListOfData></WriteRequest>',
  ],
  [
    {
      kind: 'write-response',
      results: [
        { kind: 'success', value: null },
        { kind: 'refused', value: 12 },
      ],
    },
    '<WriteResponse Qty="02" ><Success /><DataAccessError Value="UnmatchedType" /></WriteResponse>',
  ],
  [
    {
      kind: 'access-request',
      longInvokeId: 0xc0000001,
      dateTime: empty,
      specifications: [
        { kind: 'set', value: attribute },
        { kind: 'action', value: method },
        { kind: 'get-with-selection', value: { attribute, selection } },
      ],
      data: [seven, { type: 'null-data' }, { type: 'null-data' }],
    },
    `<AccessRequest><LongInvokeIdAndPriority Value="C0000001" /><DateTime Value="" /><AccessRequestBody><AccessRequestSpecification Qty="03" ><_AccessRequestSpecification><AccessRequestSet>${descriptor}</AccessRequestSet></_AccessRequestSpecification><_AccessRequestSpecification><AccessRequestAction>${methodDescriptor}</AccessRequestAction></_AccessRequestSpecification><_AccessRequestSpecification><AccessRequestGetWithSelection>${descriptor}${selectionXml}</AccessRequestGetWithSelection></_AccessRequestSpecification></AccessRequestSpecification><AccessRequestListOfData Qty="03" ><UInt8 Value="07" /><None /><None /></AccessRequestListOfData></AccessRequestBody></AccessRequest>`,
  ],
  [
    { kind: 'data-notification', longInvokeId: 1, dateTime: empty, body: { type: 'structure', value: [seven] } },
    '<DataNotification><LongInvokeIdAndPriority Value="00000001" /><DateTime Value="" /><NotificationBody><DataValue><Structure Qty="01" ><UInt8 Value="07" /></Structure></DataValue></NotificationBody></DataNotification>',
  ],
  [
    { kind: 'event-notification', time: undefined, attribute, value: seven },
    `<EventNotificationRequest>${descriptor}<AttributeValue><UInt8 Value="07" /></AttributeValue></EventNotificationRequest>`,
  ],
  [
    {
      kind: 'information-report-request',
      time: undefined,
      variables: [{ kind: 'variable-name', value: 8 }],
      values: [seven],
    },
    '<InformationReportRequest><ListOfVariableAccessSpecification Qty="01" ><VariableName Value="0008" /></ListOfVariableAccessSpecification><ListOfData Qty="01" ><UInt8 Value="07" /></ListOfData></InformationReportRequest>',
  ],
  [
    { kind: 'exception-response', stateError: 2, serviceError: 6, invocationCounter: 9 },
    '<ExceptionResponse><StateError Value="ServiceUnknown" /><ServiceError Value="InvocationCounterError" /><InvocationCounter Value="00000009" /></ExceptionResponse>',
  ],
  [
    { kind: 'confirmed-service-error', service: 1, error: 6, value: 1 },
    '<ConfirmedServiceError><Service Value="01" /><ServiceError><Initiate Value="DlmsVersionTooLow" /></ServiceError></ConfirmedServiceError>',
  ],
  [
    {
      kind: 'general-ciphering',
      transactionId: title,
      originator: title,
      recipient: title,
      dateTime: empty,
      otherInformation: empty,
      keyInfo: { kind: 'agreed-key', value: { parameters: Uint8Array.of(2), key: raw } },
      content: Uint8Array.of(0x31, 0, 0, 0, 1, 0xaa),
    },
    '<GeneralCiphering><TransactionId Value="0102030405060708" /><OriginatorSystemTitle Value="0102030405060708" /><RecipientSystemTitle Value="0102030405060708" /><DateTime Value="" /><OtherInformation Value="" /><KeyInfo><AgreedKey><KeyParameters Value="02" /><KeyCipheredData Value="ABCD" /></AgreedKey></KeyInfo><CipheredContent Value="3100000001AA" /></GeneralCiphering>',
  ],
  [
    { kind: 'glo-event-notification', content: Uint8Array.of(0x30, 0, 0, 0, 1, 0xaa) },
    '<glo_EventNotificationRequest Value="3000000001AA" />',
  ],
  [
    {
      kind: 'initiate-response',
      qualityOfService: undefined,
      version: 6,
      conformance: 0,
      maxPdu: 512,
      vaaName: 0xfa00,
    },
    '<InitiateResponse><NegotiatedDlmsVersionNumber Value="06" /><NegotiatedConformance></NegotiatedConformance><NegotiatedMaxPduSize Value="0200" /><VaaName Value="FA00" /></InitiateResponse>',
  ],
];
describe('of the same kinds, by hand', () => {
  test.each(notInTheFile.map(([apdu, xml]) => [apdu.kind, apdu, xml] as const))('%s', (_, apdu, xml) => {
    expect(flat(pduOf(toHex(encodeApdu(apdu))))).toBe(xml);
  });

  test('every type of value', () => {
    const values: readonly (readonly [Data, string])[] = [
      [{ type: 'null-data' }, '<None />'],
      [{ type: 'boolean', value: true }, '<Boolean Value="true" />'],
      [{ type: 'bit-string', value: '10110' }, '<BitString Value="10110" />'],
      [{ type: 'double-long', value: -2 }, '<Int32 Value="FFFFFFFE" />'],
      [{ type: 'double-long-unsigned', value: 258 }, '<UInt32 Value="00000102" />'],
      [{ type: 'octet-string', value: raw }, '<OctetString Value="ABCD" />'],
      [{ type: 'visible-string', value: 'a<b' }, '<String Value="a&lt;b" />'],
      [{ type: 'utf8-string', value: 'ä' }, '<StringUTF8 Value="ä" />'],
      [{ type: 'bcd', value: 0x12 }, '<BCD Value="12" />'],
      [{ type: 'integer', value: -1 }, '<Int8 Value="FF" />'],
      [{ type: 'long', value: -2 }, '<Int16 Value="FFFE" />'],
      [{ type: 'long-unsigned', value: 2 }, '<UInt16 Value="0002" />'],
      [{ type: 'long64', value: -2n }, '<Int64 Value="FFFFFFFFFFFFFFFE" />'],
      [{ type: 'long64-unsigned', value: 2n }, '<UInt64 Value="0000000000000002" />'],
      [{ type: 'enum', value: 30 }, '<Enum Value="1E" />'],
      [{ type: 'float32', value: 1.5 }, '<Float32 Value="3FC00000" />'],
      [{ type: 'float64', value: -2 }, '<Float64 Value="C000000000000000" />'],
      [
        { type: 'date-time', value: Uint8Array.of(7, 0xea, 11, 28, 6, 3, 40, 48, 31, 0, 0, 0) },
        '<DateTime Value="07EA0B1C060328301F000000" />',
      ],
      [{ type: 'date', value: Uint8Array.of(7, 0xea, 11, 28, 6) }, '<Date Value="07EA0B1C06" />'],
      [{ type: 'time', value: Uint8Array.of(3, 40, 48, 31) }, '<Time Value="0328301F" />'],
      [{ type: 'array', value: [] }, '<Array Qty="00" ></Array>'],
      [
        {
          type: 'compact-array',
          description: { type: 'long-unsigned' },
          value: [1, 258].map((value) => ({ type: 'long-unsigned', value })),
        },
        '<CompactArray><ContentsDescription><UInt16 /></ContentsDescription><ArrayContents>1;258</ArrayContents></CompactArray>',
      ],
      [
        {
          type: 'compact-array',
          description: { type: 'structure', elements: [{ type: 'octet-string' }, { type: 'unsigned' }] },
          value: [{ type: 'structure', value: [{ type: 'octet-string', value: raw }, seven] }],
        },
        '<CompactArray><ContentsDescription><Structure><OctetString /><UInt8 /></Structure></ContentsDescription><ArrayContents>AB CD;7</ArrayContents></CompactArray>',
      ],
    ];
    for (const [value, xml] of values)
      expect(
        flat(pduOf(toHex(encodeApdu({ kind: 'get-response-normal', invokeId: 0xc1, result: { data: value } })))),
      ).toContain(`<Data>${xml}</Data>`);
  });

  test('every bit of the conformance has its name, in the order of the bits', () => {
    const names = Object.keys(conformanceBit) as ConformanceName[];
    const xml = pduOf(
      toHex(
        encodeApdu({
          kind: 'initiate-response',
          qualityOfService: undefined,
          version: 6,
          conformance: conformance(...names) | (1 << 17),
          maxPdu: 512,
          vaaName: 7,
        }),
      ),
    );
    expect([...xml.matchAll(/ConformanceBit Name="(\w+)"/g)].map(([, name]) => name)).toEqual([
      'GeneralProtection',
      'GeneralBlockTransfer',
      'Read',
      'Write',
      'UnconfirmedWrite',
      'DeltaValueEncoding',
      'Attribute0SupportedWithSet',
      'PriorityMgmtSupported',
      'Attribute0SupportedWithGet',
      'BlockTransferWithGetOrRead',
      'BlockTransferWithSetOrWrite',
      'BlockTransferWithAction',
      'MultipleReferences',
      'InformationReport',
      'DataNotification',
      'Access',
      'ParameterizedAccess',
      'Get',
      'Set',
      'SelectiveAccess',
      'EventNotification',
      'Action',
    ]);
  });

  test('a dedicated key is withheld, and a number without a word is in hex', () => {
    const xml = pduOf(
      toHex(
        encodeApdu({
          kind: 'initiate-request',
          dedicatedKey: new Uint8Array(16).fill(0x5a),
          responseAllowed: true,
          qualityOfService: undefined,
          version: 6,
          conformance: 0,
          maxPdu: 512,
        }),
      ),
    );
    expect(xml).toContain('<DedicatedKey Value="(withheld)" />');
    expect(xml).not.toContain('5A5A');
    expect(pduOf('c501c1f9')).toContain('<Result Value="F9" />');
    expect(pduOf('6303800105')).toContain('<Reason Value="05" />');
  });
});

describe('general blocks', () => {
  const blocks = (apdu: Uint8Array, cut: number, first = 1): string =>
    [apdu.subarray(0, cut), apdu.subarray(cut)]
      .map((content, i) =>
        toHex(
          encodeApdu({
            kind: 'general-block-transfer',
            control: i === 0 ? 1 : 0x81,
            number: first + i,
            acknowledged: 0,
            content,
          }),
        ),
      )
      .slice(first - 1)
      .join('\n');
  test('each is shown as it came, and after the last one the APDU that they carried', () => {
    const answer = encodeApdu({ kind: 'get-response-normal', invokeId: 0xc1, result: { data: seven } });
    expect(pdusOf(blocks(answer, 3)).map(flat)).toEqual([
      '<GeneralBlockTransfer><BlockControl Value="01" /><BlockNumber Value="0001" /><BlockNumberAck Value="0000" /><BlockData Value="C401C1" /></GeneralBlockTransfer>',
      '<GeneralBlockTransfer><BlockControl Value="81" /><BlockNumber Value="0002" /><BlockNumberAck Value="0000" /><BlockData Value="001107" /></GeneralBlockTransfer>',
      `<GetResponse><GetResponseNormal>${id}<Result><Data><UInt8 Value="07" /></Data></Result></GetResponseNormal></GetResponse>`,
    ]);
  });

  const password = Buffer.from('hush-hush');
  const secret: Data = { type: 'octet-string', value: password };
  const association = { classId: 15, logicalName: '0.0.40.0.0.255', attribute: 7 } as const;
  const column = (classId: number): Data => ({
    type: 'structure',
    value: [
      { type: 'long-unsigned', value: classId },
      { type: 'octet-string', value: Uint8Array.of(0, 0, 40, 0, 0, 255) },
      { type: 'integer', value: 7 },
      { type: 'long-unsigned', value: 0 },
    ],
  });
  const carrying: readonly Apdu[] = [
    { kind: 'set-request-normal', invokeId: 0xc1, attribute: association, selection: undefined, value: secret },
    {
      kind: 'data-notification',
      longInvokeId: 1,
      dateTime: empty,
      body: { type: 'structure', value: [{ type: 'array', value: [column(8), column(15)] }, secret] },
    },
    { kind: 'event-notification', time: undefined, attribute: association, value: secret },
  ];
  test.each(carrying.map((apdu) => [apdu.kind, apdu] as const))(
    'what they hold of a secret is stars: %s',
    (_, apdu) => {
      const octets = encodeApdu(apdu);
      // Cut everywhere, so that the description, too, goes over the border of two blocks.
      for (let cut = 1; cut < octets.length - password.length; cut++) {
        const xml = pdusOf(blocks(octets, cut)).join('\n');
        expect(xml).toContain('<GeneralBlockTransfer>');
        expect(xml.toLowerCase()).not.toContain(toHex(password));
      }
    },
  );
});
