/** Secrets in texts that are authenticated and not encrypted: everybody can read them, so they are struck out like plain ones. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { concat } from '../../src/base/cursor.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { messageXml } from '../../src/cli/xml.ts';
import { encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { type Apdu, encodeApdu, type Variable } from '../../src/dlms/xdlms/apdu.ts';
import { explainedJson } from '../../src/recording/explained-json.ts';
import { explain } from '../../src/recording/reader.ts';

const password = Buffer.from('hush-hush');
const secret = { type: 'octet-string', value: password } as const;
const association = { classId: 15, logicalName: '0.0.40.0.0.255', attribute: 7 } as const;
const clock = { classId: 8, logicalName: '0.0.1.0.0.255', attribute: 2 } as const;
const authenticated = (apdu: Apdu): Uint8Array =>
  concat([Uint8Array.of(0x10, 0, 0, 0, 1), encodeApdu(apdu), new Uint8Array(12).fill(0xee)]);
const title = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const nothing = new Uint8Array(0);

/** All that XML and JSON show of APDUs, in small letters. */
function shownOf(...apdus: readonly Uint8Array[]): string {
  const { frames } = explain(
    apdus.map((octets, i) => ({ line: i + 1, time: '', direction: 'unknown' as const, octets })),
  );
  expect(frames).toHaveLength(apdus.length);
  return `${frames.flatMap(messageXml).join('\n')}\n${JSON.stringify(frames.map(explainedJson))}`.toLowerCase();
}
const set: Apdu = {
  kind: 'set-request-normal',
  invokeId: 0xc1,
  attribute: association,
  selection: undefined,
  value: secret,
};
const initiate: Apdu = {
  kind: 'initiate-request',
  dedicatedKey: password,
  responseAllowed: true,
  qualityOfService: undefined,
  version: 6,
  conformance: 0,
  maxPdu: 512,
};
const general = {
  transactionId: title,
  originator: title,
  recipient: title,
  dateTime: nothing,
  otherInformation: nothing,
} as const;
const carriers: Readonly<Record<string, Uint8Array>> = {
  'glo-set-request': encodeApdu({ kind: 'glo-set-request', content: authenticated(set) }),
  'ded-set-request': encodeApdu({ kind: 'ded-set-request', content: authenticated(set) }),
  'general-glo-ciphering': encodeApdu({
    kind: 'general-glo-ciphering',
    systemTitle: title,
    content: authenticated(set),
  }),
  'general-ciphering': encodeApdu({
    kind: 'general-ciphering',
    ...general,
    keyInfo: { kind: 'agreed-key', value: { parameters: Uint8Array.of(2), key: title } },
    content: authenticated(set),
  }),
  'glo-initiate-request in an AARQ': encodeAcse({
    kind: 'aarq',
    applicationContext: 3,
    userInformation: encodeApdu({ kind: 'glo-initiate-request', content: authenticated(initiate) }),
  }),
};

describe('incident: a text that is only authenticated was shown in hex with the password in it', () => {
  test.each(Object.keys(carriers))('%s', (name) => {
    const octets = carriers[name] as Uint8Array;
    expect(toHex(octets)).toContain(toHex(password));
    expect(shownOf(octets)).not.toContain(toHex(password));
  });
  test.each(Object.keys(carriers).filter((name) => !name.includes('AARQ')))('%s in general blocks', (name) => {
    const octets = carriers[name] as Uint8Array;
    for (let cut = 1; cut < octets.length - password.length; cut++) {
      const blocks = [octets.subarray(0, cut), octets.subarray(cut)].map((content, i) =>
        encodeApdu({
          kind: 'general-block-transfer',
          control: i === 0 ? 1 : 0x81,
          number: i + 1,
          acknowledged: 0,
          content,
        }),
      );
      expect(shownOf(...blocks), `cut at ${cut}`).not.toContain(toHex(password));
    }
  });
  test('an answer is judged by its question', () => {
    const get = (attribute: typeof association | typeof clock): Uint8Array =>
      encodeApdu({
        kind: 'glo-get-request',
        content: authenticated({ kind: 'get-request-normal', invokeId: 0xc1, attribute, selection: undefined }),
      });
    const answer = encodeApdu({
      kind: 'glo-get-response',
      content: authenticated({ kind: 'get-response-normal', invokeId: 0xc1, result: { data: secret } }),
    });
    expect(shownOf(get(association), answer)).not.toContain(toHex(password));
    expect(shownOf(get(clock), answer)).toContain(toHex(password));
  });
});
test.each(Object.keys(carriers))(
  'incident: cut, so that nobody can read it, it was shown in hex as well: %s',
  (name) => {
    const octets = carriers[name] as Uint8Array;
    // In the frame of the wrapper, so that it is known for an APDU.
    for (let length = octets.indexOf(password[0] as number); length < octets.length; length++) {
      const cut = octets.subarray(0, length);
      const frame = concat([Uint8Array.of(0, 1, 0, 16, 0, 1, 0, cut.length), cut]);
      const { frames } = explain([{ line: 1, time: '', direction: 'unknown', octets: frame }]);
      const text = JSON.stringify(frames.map(({ text: lines }) => lines)).replaceAll(' ', '');
      expect(text).not.toContain(toHex(password).slice(0, 8));
    }
  },
);
test('what is ciphered in what is only authenticated, and in that again, is stars and ends', () => {
  let content = authenticated(set);
  for (let depth = 0; depth < 500; depth++) content = authenticated({ kind: 'glo-set-request', content });
  expect(shownOf(encodeApdu({ kind: 'glo-set-request', content }))).not.toContain(toHex(password));
});
test('what is no secret, and what is encrypted, stands there as it came', () => {
  const report = encodeApdu({
    kind: 'glo-set-request',
    content: authenticated({ ...set, attribute: clock }),
  });
  expect(shownOf(report)).toContain(toHex(password));
  const encrypted = encodeApdu({ kind: 'glo-set-request', content: Uint8Array.of(0x30, 0, 0, 0, 1, 0xab, 0xcd) });
  expect(shownOf(encrypted)).toContain('3000000001abcd');
});

describe('incident: of a key that is written in blocks the second was shown', () => {
  const block = (number: number, last: boolean, raw: Uint8Array) => ({ last, number, raw });
  const first = (invokeId: number, attribute: typeof association | typeof clock): Uint8Array =>
    encodeApdu({
      kind: 'set-request-with-first-datablock',
      invokeId,
      attribute,
      block: block(1, false, Uint8Array.of(9, 9)),
    });
  const second = (invokeId: number): Uint8Array =>
    encodeApdu({ kind: 'set-request-with-datablock', invokeId, block: block(2, true, password) });
  test('where the recording begins behind the first', () => {
    expect(shownOf(second(0xc1))).not.toContain(toHex(password));
  });
  test('where another value is begun between them', () => {
    expect(shownOf(first(0xc1, association), first(0xc2, clock), second(0xc1))).not.toContain(toHex(password));
    expect(shownOf(first(0xc1, association), first(0xc2, clock), second(0xc2))).toContain(toHex(password));
  });
  test('a sibling: ACTION, and a list of which one member is secret', () => {
    const pblock = encodeApdu({ kind: 'action-request-with-pblock', invokeId: 0xc1, block: block(2, true, password) });
    expect(shownOf(pblock)).not.toContain(toHex(password));
    const list = (...attributes: (typeof association | typeof clock)[]): Uint8Array =>
      encodeApdu({
        kind: 'set-request-with-list-and-first-datablock',
        invokeId: 0xc1,
        attributes: attributes.map((one) => ({ ...one, selection: undefined })),
        block: block(1, false, Uint8Array.of(attributes.length, 9, 9)),
      });
    expect(shownOf(list(clock, association), second(0xc1))).not.toContain(toHex(password));
    expect(shownOf(list(clock), second(0xc1))).toContain(toHex(password));
  });
});

describe('incident: an answer was judged by the question before it, and it belonged to another', () => {
  const get = (invokeId: number, ...attributes: (typeof association | typeof clock)[]): Uint8Array => {
    const [attribute = clock] = attributes;
    return encodeApdu(
      attributes.length > 1
        ? {
            kind: 'get-request-with-list',
            invokeId,
            attributes: attributes.map((one) => ({ ...one, selection: undefined })),
          }
        : { kind: 'get-request-normal', invokeId, attribute, selection: undefined },
    );
  };
  const block = (invokeId: number): Uint8Array =>
    encodeApdu({
      kind: 'get-response-with-datablock',
      invokeId,
      last: true,
      number: 1,
      result: { raw: encode(dataCodec, secret) },
    });
  const one = (invokeId: number): Uint8Array =>
    encodeApdu({ kind: 'get-response-normal', invokeId, result: { data: secret } });
  const list = (invokeId: number, count: number): Uint8Array =>
    encodeApdu({
      kind: 'get-response-with-list',
      invokeId,
      results: Array.from({ length: count }, () => ({ data: secret })),
    });
  test.each([
    ['alone', one],
    ['in blocks', block],
    ['as a list', (invokeId: number) => list(invokeId, 1)],
  ] as const)('%s', (_, answer) => {
    const asked = [get(0xc1, association), get(0xc2, clock)];
    expect(shownOf(...asked, answer(0xc1))).not.toContain(toHex(password));
    expect(shownOf(...asked, answer(0xc2))).toContain(toHex(password));
    // A repeated answer is as secret as the first; of an invoke-id that nobody asked with it is not known.
    expect(shownOf(...asked, answer(0xc1), answer(0xc1))).not.toContain(toHex(password));
    expect(shownOf(...asked, answer(0xc5))).not.toContain(toHex(password));
  });
  test('a sibling: a list with another count of results than it was asked for', () => {
    const asked = get(0xc1, clock, association);
    for (const count of [1, 3]) expect(shownOf(asked, list(0xc1, count))).not.toContain(toHex(password));
  });
  test('a sibling: ACCESS', () => {
    const access = (longInvokeId: number, value: typeof association | typeof clock): Uint8Array =>
      encodeApdu({
        kind: 'access-request',
        longInvokeId,
        dateTime: nothing,
        specifications: [{ kind: 'get', value }],
        data: [{ type: 'null-data' }],
      });
    const answer = (longInvokeId: number): Uint8Array =>
      encodeApdu({
        kind: 'access-response',
        longInvokeId,
        dateTime: nothing,
        specifications: undefined,
        data: [secret],
        results: [{ kind: 'get', value: 0 }],
      });
    const asked = [access(1, association), access(2, clock)];
    expect(shownOf(...asked, answer(1))).not.toContain(toHex(password));
    expect(shownOf(...asked, answer(2))).toContain(toHex(password));
    // However many are asked behind it.
    const many = Array.from({ length: 300 }, (_, i) => access(i + 2, clock));
    expect(shownOf(access(1, association), ...many, answer(1))).not.toContain(toHex(password));
  });
});

describe('incident: what is written under a short name was shown where nobody knew what it stands for, in parts, or by a method', () => {
  const named = (value: number) => ({ kind: 'variable-name', value }) as const;
  const write = (variables: readonly Variable[], ...values: Data[]): Uint8Array =>
    encodeApdu({ kind: 'write-request', variables: [...variables], values });
  const objectList: Data = {
    type: 'array',
    value: [
      [0x2000, 8, '0000010000ff'],
      [0x2800, 64, '00002b0000ff'],
      [0x3000, 19, '0000140000ff'],
    ].map(([base, classId, name]) => ({
      type: 'structure',
      value: [
        { type: 'long', value: Number(base) },
        { type: 'long-unsigned', value: Number(classId) },
        { type: 'unsigned', value: 0 },
        { type: 'octet-string', value: fromHex(String(name)) },
      ],
    })),
  };
  const learned = [
    encodeApdu({ kind: 'read-request', variables: [named(0xfa08)] }),
    encodeApdu({ kind: 'read-response', results: [{ kind: 'data', value: objectList }] }),
  ];
  const time = 0x2008;
  const keyTransfer = 0x2800 + 0x28 + 8;
  const localPassword = 0x3000 + 6 * 8;
  const parameterized = (name: number, parameter: Data) =>
    ({ kind: 'parameterized-access', value: { name, selector: 1, parameter } }) as const;
  test.each([
    ['an attribute that is secret', [...learned, write([named(localPassword)], secret)]],
    ['a method that is given a key', [...learned, write([named(keyTransfer)], secret)]],
    ['a method of the association', [write([named(0xfa00 + 0x40)], secret)]],
    ['nobody knows what', [write([named(0x7000)], secret)]],
    ['in blocks', [write([{ kind: 'write-data-block-access', value: { last: true, number: 1 } }], secret)]],
    [
      'a method by READ',
      [...learned, encodeApdu({ kind: 'read-request', variables: [parameterized(keyTransfer, secret)] })],
    ],
    ['nobody knows what by READ', [encodeApdu({ kind: 'read-request', variables: [parameterized(0x7000, secret)] })]],
    [
      'a long READ in parts',
      [
        encodeApdu({
          kind: 'read-request',
          variables: [{ kind: 'read-data-block-access', value: { last: false, number: 1, raw: password } }],
        }),
      ],
    ],
    ['unconfirmed', [encodeApdu({ kind: 'unconfirmed-write-request', variables: [named(0x7000)], values: [secret] })]],
    [
      'the answer in blocks',
      [
        ...learned,
        encodeApdu({ kind: 'read-request', variables: [named(localPassword)] }),
        encodeApdu({
          kind: 'read-response',
          results: [
            {
              kind: 'data-block',
              value: { last: true, number: 1, raw: concat([Uint8Array.of(1, 0), encode(dataCodec, secret)]) },
            },
          ],
        }),
      ],
    ],
  ] as readonly [string, readonly Uint8Array[]][])('%s', (_, apdus) => {
    expect(shownOf(...apdus)).not.toContain(toHex(password));
  });
  test('cut, so that nobody can read it, and in general blocks', () => {
    const whole = encodeApdu({ kind: 'read-request', variables: [parameterized(0x7000, secret)] });
    const cut = concat([whole, Uint8Array.of(0)]).subarray(0, whole.length);
    cut[1] = 2;
    expect(shownOf(cut)).not.toContain(toHex(password));
    const block = (number: number, content: Uint8Array): Uint8Array =>
      encodeApdu({
        kind: 'general-block-transfer',
        control: number === 2 ? 0x81 : 1,
        number,
        acknowledged: 0,
        content,
      });
    expect(shownOf(block(1, whole.subarray(0, 6)), block(2, whole.subarray(6)))).not.toContain(toHex(password));
  });
  test('what is known to be none is shown', () => {
    expect(shownOf(...learned, write([named(time)], secret))).toContain(toHex(password));
    const range: Data = { type: 'structure', value: [{ type: 'structure', value: [secret] }, secret] };
    expect(shownOf(encodeApdu({ kind: 'read-request', variables: [parameterized(0x7000, range)] }))).toContain(
      toHex(password),
    );
  });
});
