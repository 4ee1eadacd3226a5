/** Recordings that once came out wrong, each with a sibling: what is read of them, and what is named as missing. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { encode } from '../../src/base/codec.ts';
import { type RecordedLine, parseExchange } from '../../src/base/exchange-file.ts';
import { fromHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { encodeFrame, type Frame, type HdlcAddress } from '../../src/dlms/hdlc/frame.ts';
import { protect } from '../../src/dlms/security/protection.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { type Apdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { explain } from '../../src/recording/reader.ts';
import { rowJson } from '../../src/reading/load-profile-row.ts';
import { linesOf } from '../support/recorded.ts';

type Direction = RecordedLine['direction'];
const lines = (...pieces: readonly (readonly [Direction, Uint8Array])[]): RecordedLine[] =>
  pieces.map(([direction, octets], i) => ({ line: i + 1, time: '', direction, octets }));
const textOf = (found: ReturnType<typeof explain>): string => found.frames.flatMap(({ text }) => text).join('\n');
const stamp = (hour: number) => Uint8Array.of(0x07, 0xea, 11, 20, 0xff, hour, 0, 0, 0, 0, 0, 0);
/** Rows of one hour each: stamp, status, a register. */
const rowsData = (...hours: readonly number[]): Data => ({
  type: 'array',
  value: hours.map((hour) => ({
    type: 'structure',
    value: [
      { type: 'octet-string', value: stamp(hour) },
      { type: 'unsigned', value: 0 },
      { type: 'double-long-unsigned', value: 1000 + hour },
    ],
  })),
});
const profile = { classId: 7, logicalName: '1.0.99.1.0.255', attribute: 2 } as const;
const ask = (invokeId: number): Apdu => ({ kind: 'get-request-normal', invokeId, attribute: profile });
const answer = (invokeId: number, data: Data): Apdu => ({ kind: 'get-response-normal', invokeId, result: { data } });
const captured = (name: string): Data => ({
  type: 'array',
  value: [
    [8, '0000010000ff'],
    [1, '0000600a01ff'],
    [3, name],
  ].map(([classId, obis]) => ({
    type: 'structure',
    value: [
      { type: 'long-unsigned', value: classId as number },
      { type: 'octet-string', value: fromHex(obis as string) },
      { type: 'integer', value: 2 },
      { type: 'long-unsigned', value: 0 },
    ],
  })),
});
const wrapped = (direction: Direction, apdu: Uint8Array, port = 1): readonly [Direction, Uint8Array] => [
  direction,
  encodeWrapper(
    direction === 'to-meter' ? { source: 16, destination: port, apdu } : { source: port, destination: 16, apdu },
  ),
];
const hours = ({ rows }: ReturnType<typeof explain>): number[] =>
  rows.map((row) => new Date(row.end as number).getUTCHours());
const client: HdlcAddress = { logical: 16, size: 1 };
const meterAt = (physical: number): HdlcAddress => ({ logical: 1, physical, size: 4 });
const iFrame = (direction: Direction, physical: number, ns: number, information: Uint8Array, segmented = false) => {
  const [source, destination] = direction === 'to-meter' ? [client, meterAt(physical)] : [meterAt(physical), client];
  const frame: Frame = {
    source,
    destination,
    control: { kind: 'I', ns, nr: 0, pollFinal: true },
    segmented,
    information,
  };
  return [direction, encodeFrame(frame)] as const;
};
const command = (apdu: Apdu) => concat([fromHex('e6e600'), encodeApdu(apdu)]);
const response = (apdu: Apdu) => concat([fromHex('e6e700'), encodeApdu(apdu)]);

describe('what came twice counts once', () => {
  const block = (number: number, raw: Uint8Array, last: boolean): Apdu => ({
    kind: 'get-response-with-datablock',
    invokeId: 0xc1,
    last,
    number,
    result: { raw },
  });
  const value = encode(dataCodec, rowsData(1, 2, 3, 4));
  const [one, two] = [value.subarray(0, 40), value.subarray(40)];
  test('a block of GET that was sent again', () => {
    const found = explain(
      lines(
        wrapped('to-meter', encodeApdu(ask(0xc1))),
        wrapped('from-meter', encodeApdu(block(1, one, false))),
        wrapped('from-meter', encodeApdu(block(1, one, false))),
        wrapped('from-meter', encodeApdu(block(2, two, true))),
        wrapped('from-meter', encodeApdu(block(2, two, true))),
      ),
    );
    expect(found.problems).toEqual([]);
    expect(hours(found)).toEqual([1, 2, 3, 4]);
  });
  test('a sibling: a frame with the same number, in the midst of segments', () => {
    const whole = response(answer(0xc1, rowsData(5, 6)));
    const found = explain(
      lines(
        iFrame('to-meter', 17, 0, command(ask(0xc1))),
        iFrame('from-meter', 17, 0, whole.subarray(0, 20), true),
        iFrame('from-meter', 17, 0, whole.subarray(0, 20), true),
        iFrame('from-meter', 17, 1, whole.subarray(20)),
      ),
    );
    expect(found.problems).toEqual([]);
    expect(hours(found)).toEqual([5, 6]);
  });
  test('a sibling: an answer without blocks, and a list', () => {
    const again = wrapped('from-meter', encodeApdu(answer(0xc1, rowsData(7))));
    const found = explain(lines(wrapped('to-meter', encodeApdu(ask(0xc1))), again, again));
    expect(hours(found)).toEqual([7]);
    const list: Apdu = {
      kind: 'get-request-with-list',
      invokeId: 0xc2,
      attributes: [{ ...profile, selection: undefined }],
    };
    const given = wrapped(
      'from-meter',
      encodeApdu({ kind: 'get-response-with-list', invokeId: 0xc2, results: [{ data: rowsData(8) }] }),
    );
    expect(hours(explain(lines(wrapped('to-meter', encodeApdu(list)), given, given)))).toEqual([8]);
  });
  test('a block that is missing: the value is left out, and the problem says so', () => {
    const found = explain(
      lines(wrapped('to-meter', encodeApdu(ask(0xc1))), wrapped('from-meter', encodeApdu(block(2, two, true)))),
    );
    expect(found.rows).toEqual([]);
    expect(found.problems[0]).toContain('begins with block 2: the blocks before it are not in the recording');
  });
});

describe('two meters in one recording', () => {
  const columns = { ...profile, attribute: 3 };
  const conversation = (physical: number, name: string, hour: number) => [
    iFrame('to-meter', physical, 0, command({ kind: 'get-request-normal', invokeId: 0xc1, attribute: columns })),
    iFrame('from-meter', physical, 0, response(answer(0xc1, captured(name)))),
    iFrame('to-meter', physical, 1, command(ask(0xc2))),
    iFrame('from-meter', physical, 1, response(answer(0xc2, rowsData(hour)))),
  ];
  test('incident: rows of one meter got the columns of the other', () => {
    const [a, b] = [conversation(17, '0100010800ff', 1), conversation(18, '0100020800ff', 2)];
    const found = explain(lines(...a.flatMap((one, i) => [one, b[i] as (typeof a)[number]])));
    expect(found.problems).toEqual([]);
    const names = found.rows.map((row) => row.channels.map(({ key }) => key));
    expect(names).toEqual([['1-0:1.8.0*255'], ['1-0:2.8.0*255']]);
  });
  test('a sibling: segments of both in turn', () => {
    const whole = [rowsData(3, 4), rowsData(5, 6)].map((data) => response(answer(0xc1, data)));
    const part = (i: number, ns: number) =>
      iFrame('from-meter', 17 + i, ns, (whole[i] as Uint8Array).subarray(ns * 20, ns === 0 ? 20 : undefined), ns === 0);
    const found = explain(
      lines(
        iFrame('to-meter', 17, 0, command(ask(0xc1))),
        iFrame('to-meter', 18, 0, command(ask(0xc1))),
        part(0, 0),
        part(1, 0),
        part(1, 1),
        part(0, 1),
      ),
    );
    expect(found.problems).toEqual([]);
    expect(hours(found).toSorted((a, b) => a - b)).toEqual([3, 4, 5, 6]);
  });
});

describe('what is cut is named, and nothing is made of it', () => {
  test('a wrapper frame without its tail does not swallow the next one', () => {
    const [cut, whole] = [
      wrapped('from-meter', encodeApdu(answer(0xc1, rowsData(1, 2)))),
      wrapped('from-meter', encodeApdu(answer(0xc2, rowsData(3)))),
    ];
    const found = explain(lines(['from-meter', cut[1].subarray(0, -7)], whole));
    expect(hours(found)).toEqual([3]);
    expect(found.problems).toEqual([expect.stringContaining('line 2, offset 0: a frame is cut off: ')]);
  });
  test.each([0xf5, 0x55])('junk on a wrapper line (%i): what comes behind it is read', (junk) => {
    const whole = wrapped('from-meter', encodeApdu(answer(0xc1, rowsData(4))));
    const found = explain(lines(whole, ['from-meter', Uint8Array.of(junk)], whole, whole));
    expect(hours(found)).toContain(4);
    expect(found.problems).toHaveLength(1);
  });
  test.each(['c-tcp-hdlc-none.tap', 'c-tcp-wrapper-lls.tap', 'x-addr4-hdlc.tap'])(
    '%s: begun at any octet of an answer, no row and no APDU is made of the rest of it',
    (name) => {
      const all = linesOf(name);
      const at = all.findIndex(({ direction, octets }) => direction === 'from-meter' && octets.length > 40);
      const { octets } = all[at] as RecordedLine;
      // The closing flag alone is a line at rest.
      for (let cut = 1; cut < octets.length - 1; cut++) {
        const begun = [{ ...(all[at] as RecordedLine), octets: octets.subarray(cut) }, ...all.slice(at + 1)];
        const { frames, problems } = explain(begun);
        expect(problems.length).toBeGreaterThan(0);
        const first = frames.find(({ direction, apdu }) => direction === 'from-meter' && apdu);
        expect(first?.line === (all[at] as RecordedLine).line).toBe(false);
      }
    },
  );
  test('a recording that ends inside a frame says how much of it is there', () => {
    const [, octets] = wrapped('from-meter', encodeApdu(answer(0xc1, rowsData(1))));
    const { problems } = explain(lines(['from-meter', octets.subarray(0, 20)]));
    expect(problems).toEqual([
      `line 1, offset 0: the recording ends inside a frame: 20 octets are there, ${octets.length - 20} missing`,
    ]);
  });
  test('a list with fewer results than questions: nobody knows which is of which', () => {
    const list: Apdu = {
      kind: 'get-request-with-list',
      invokeId: 0xc1,
      attributes: [3, 2].map((attribute) => ({ ...profile, attribute, selection: undefined })),
    };
    const short: Apdu = { kind: 'get-response-with-list', invokeId: 0xc1, results: [{ data: rowsData(1) }] };
    const found = explain(lines(wrapped('to-meter', encodeApdu(list)), wrapped('from-meter', encodeApdu(short))));
    expect(found.rows).toEqual([]);
    expect(found.problems[0]).toContain('1 results for 2 attributes');
  });
});

describe('ciphered', () => {
  const title = fromHex('4d4d4d0000000001');
  const keys = { encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')) };
  const authentication = new Secret(fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf'));
  const ciphered = (counter: number, apdu: Apdu): Uint8Array =>
    encodeApdu({
      kind: 'general-glo-ciphering',
      systemTitle: title,
      content: protect(encodeApdu(apdu), { control: 0x30, counter, systemTitle: title }, { ...keys, authentication }),
    });
  test('without the authentication key it is decrypted, and nobody says that it is proven', () => {
    const found = explain(lines(wrapped('from-meter', ciphered(1, answer(0xc1, rowsData(1))))), keys);
    expect(hours(found)).toEqual([1]);
    expect(textOf(found)).toContain('its tag is not checked: no authentication key');
  });
  test('a counter that goes back is said', () => {
    const [late, early] = [ciphered(9, answer(0xc1, rowsData(1))), ciphered(8, answer(0xc2, rowsData(2)))];
    const found = explain(lines(wrapped('from-meter', late), wrapped('from-meter', early)), {
      ...keys,
      authentication,
    });
    expect(found.problems).toEqual([expect.stringContaining('counter 8 came after 9')]);
  });
  test('control and counter are shown without keys', () => {
    const found = explain(lines(wrapped('from-meter', ciphered(77, answer(0xc1, rowsData(1))))));
    expect(textOf(found)).toContain('security control 0x30 (suite 0, authenticated, encrypted), counter 77');
  });
});

describe('from the field', () => {
  const field = (name: string, given = {}) =>
    explain(parseExchange(readFileSync(new URL(`field/${name}.hex`, import.meta.url), 'latin1')), given);
  test('general blocks of a push, with the LLC header on the first frame only: the same twelve readings as listen shows', () => {
    const found = field('e450-gbt-push');
    expect(found.frames.at(-1)?.text.filter((line) => /^\d+-\d+:[\d.]+\*\d+/.test(line))).toHaveLength(12);
    expect(found.frames.every(({ direction }) => direction === 'from-meter')).toBe(true);
  });
  test('encryption only: readable without an authentication key, and not authenticated', () => {
    const found = field('ind20', { encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')) });
    expect(textOf(found).match(/decrypted, not authenticated/g)).toHaveLength(2);
    expect(found.problems).toEqual([]);
  });
  test('values without names are said to have none', () => {
    expect(field('relays').problems).toEqual([expect.stringContaining('2 values without a name')]);
  });
  test('a date-time with a tag where none belongs: nothing is ignored', () => {
    const found = field('tagged-time');
    expect(textOf(found)).toContain("meter's clock 2026-11-27T09:00:00Z");
    expect(textOf(found)).not.toContain('ignored');
    expect(found.problems).toEqual([]);
  });
  test('an ACTION response that ends before its optional part', () => {
    expect(textOf(field('action-short'))).toContain('action-response-normal #1 success');
    expect(field('action-short').problems).toEqual([]);
  });
  test('a list result without its choice octet is refused, with its octets', () => {
    expect(field('u9n51').problems).toEqual([expect.stringContaining('choice 2 is no Get-Data-Result')]);
  });
});

test('octet by octet, and without directions, the same rows', () => {
  const all = linesOf('c-tcp-hdlc-lls.tap');
  const rows = (items: readonly RecordedLine[]) => explain(items).rows.map(rowJson);
  const whole = rows(all);
  expect(whole).toHaveLength(27);
  const octets = all.flatMap((line) =>
    Array.from(line.octets, (_, at) => ({ ...line, octets: line.octets.subarray(at, at + 1) })),
  );
  expect(rows(octets)).toEqual(whole);
  expect(rows(octets.map((line) => ({ ...line, direction: 'unknown' as const })))).toEqual(whole);
});
