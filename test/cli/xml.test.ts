/** XML in the style of DLMS tools: known APDUs to the letter, every recording well-formed. */
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { explain } from '../../src/recording/reader.ts';
import { messageXml, xmlEnd, xmlHead } from '../../src/cli/xml.ts';
import { traceNames, traceText } from '../support/recorded.ts';

const pduOf = (hex: string): string => {
  const { frames } = explain(parseExchange(hex));
  const lines = frames.flatMap(messageXml);
  const from = lines.indexOf('    <PDU>');
  return lines
    .slice(from + 1, lines.indexOf('    </PDU>'))
    .map((line) => line.slice(6))
    .join('\n');
};

describe('by hand', () => {
  test('GET-Request-Normal by range, as the Green Book writes it', () => {
    expect(pduOf('c0 01 c1 0007 0100630100ff 02 01 02 0204 06 00000001 06 00000018 12 0001 12 0000')).toBe(
      `<GetRequest>
  <GetRequestNormal>
    <InvokeIdAndPriority Value="C1" />
    <AttributeDescriptor>
      <ClassId Value="0007" />
      <InstanceId Value="0100630100FF" />
      <AttributeId Value="02" />
    </AttributeDescriptor>
    <AccessSelection>
      <AccessSelector Value="02" />
      <AccessParameters>
        <Structure Qty="04" >
          <UInt32 Value="00000001" />
          <UInt32 Value="00000018" />
          <UInt16 Value="0001" />
          <UInt16 Value="0000" />
        </Structure>
      </AccessParameters>
    </AccessSelection>
  </GetRequestNormal>
</GetRequest>`,
    );
  });
  test('GET-Response-Normal: a structure, negative numbers, text that needs escaping; a refusal', () => {
    expect(pduOf('c4 01 c1 00 02 03 0f ff 10 fffe 0a 05 3c 26 22 3e 41')).toBe(
      `<GetResponse>
  <GetResponseNormal>
    <InvokeIdAndPriority Value="C1" />
    <Result>
      <Data>
        <Structure Qty="03" >
          <Int8 Value="FF" />
          <Int16 Value="FFFE" />
          <String Value="&lt;&amp;&quot;&gt;A" />
        </Structure>
      </Data>
    </Result>
  </GetResponseNormal>
</GetResponse>`,
    );
    expect(pduOf('c4 01 c1 01 03')).toContain('<DataAccessError Value="ReadWriteDenied" />');
  });
  test('a ciphered service stays as it is without keys', () => {
    expect(pduOf('c8 06 20 00000001 aa')).toBe('<glo_GetRequest Value="2000000001AA" />');
  });
  test('the password of low level security is withheld', () => {
    const aarq =
      '60 36 a1 09 06 07 60 85 74 05 08 01 01 8a 02 07 80 8b 07 60 85 74 05 08 02 01 ac 0a 80 08 31 32 33 34 35 36 37 38 be 10 04 0e 01 00 00 00 06 5f 1f 04 00 00 7e 1f 04 b0';
    expect(pduOf(aarq)).toContain('<CallingAuthentication Value="(withheld)" />');
    expect(pduOf(aarq)).not.toContain('3132333435363738');
  });
});

/** Tags that open are closed in order, attributes are quoted. */
function expectWellFormed(text: string): void {
  const open: string[] = [];
  const bare = text.replaceAll(/<!--(?:(?!--)[\s\S])*-->/g, '').replace(/^<\?xml [^?]*\?>/, '');
  expect(bare).not.toContain('<!--');
  for (const [tag, close, name, , self] of bare.matchAll(/<(\/?)([A-Za-z_][\w]*)((?: [A-Za-z]+="[^"<]*")*) ?(\/?)>/g)) {
    if (close) expect(open.pop(), tag).toBe(name);
    else if (!self) open.push(name as string);
  }
  expect(open).toEqual([]);
  expect(bare.replaceAll(/<\/?[A-Za-z_][\w]*(?: [A-Za-z]+="[^"<]*")* ?\/?>/g, '').trim()).toBe('');
}
const keys = {
  encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')),
  authentication: new Secret(fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf')),
};
test.each(traceNames)('%s is well-formed, with keys and without', (name) => {
  for (const given of [{}, keys]) {
    const { frames } = explain(parseExchange(traceText(name)), given);
    const text = [...xmlHead, ...frames.flatMap(messageXml), xmlEnd].join('\n');
    expectWellFormed(text);
    expect(text.split('<PDU>').length - 1).toBe(
      frames.flatMap(({ apdu, block }) => [apdu, block]).filter(Boolean).length,
    );
  }
});
