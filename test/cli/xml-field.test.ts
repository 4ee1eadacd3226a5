/**
 * XML element by element as the customary DLMS translator writes it: 62 APDUs of recorded exchanges with what it printed for
 * them. test/recording/field/xml.json is the field input as it came.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { toHex } from '../../src/base/hex.ts';
import { messageXml } from '../../src/cli/xml.ts';
import { apduXml } from '../../src/cli/xml-apdu.ts';
import { written } from '../../src/cli/xml-element.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { type Apdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { conformance, conformanceBit, type ConformanceName } from '../../src/dlms/xdlms/conformance.ts';
import { explain } from '../../src/recording/reader.ts';
import { apdusOfEachKind } from '../support/apdu-xml.ts';

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
const id = '<InvokeIdAndPriority Value="C1" />';
const raw = Uint8Array.of(0xab, 0xcd);
const seven = { type: 'unsigned', value: 7 } as const;
const empty = new Uint8Array(0);

describe('of the same kinds, by hand', () => {
  test.each(apdusOfEachKind.map(([apdu, xml]) => [apdu.kind, apdu, xml] as const))('%s', (_, apdu, xml) => {
    expect(flat(written(apduXml(apdu), 0).join('\n'))).toBe(xml);
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
        '<CompactArray><ContentsDescription><UInt16/></ContentsDescription><ArrayContents>1;258</ArrayContents></CompactArray>',
      ],
      [
        {
          type: 'compact-array',
          description: { type: 'structure', elements: [{ type: 'octet-string' }, { type: 'unsigned' }] },
          value: [{ type: 'structure', value: [{ type: 'octet-string', value: raw }, seven] }],
        },
        '<CompactArray><ContentsDescription><Structure><OctetString/><UInt8/></Structure></ContentsDescription><ArrayContents>AB CD;7</ArrayContents></CompactArray>',
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
