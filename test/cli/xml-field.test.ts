/**
 * XML element by element as the customary DLMS translator writes it: 62 APDUs of recorded exchanges with what it printed for
 * them. test/recording/field/xml.json is a copy of ../shared/field/xml.json.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { toHex } from '../../src/base/hex.ts';
import { messageXml } from '../../src/cli/xml.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
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
