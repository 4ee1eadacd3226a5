/** Incident: browse printed and saved the secret of an association (attribute 7), in a file that everybody could read. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { toHex } from '../../src/base/hex.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { explainedJson } from '../../src/recording/explained-json.ts';
import { explain } from '../../src/recording/reader.ts';
import { messageXml } from '../../src/cli/xml.ts';
import { type AcseApdu, encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { classTable } from '../../src/dlms/cosem/class-table.ts';
import { captureObjectData, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { secretTable } from '../../src/dlms/cosem/secrets.ts';
import { type Apdu, encodeApdu, getResults } from '../../src/dlms/xdlms/apdu.ts';
import { pushedList, pushedListJson } from '../../src/reading/pushed-list.ts';
import { folder, gateway, run, simulate } from '../support/programs.ts';

const word = 'Sup3rS3cret!';
const octets = Buffer.from(word);
const secret: Data = { type: 'octet-string', value: octets };
const text: Data = { type: 'visible-string', value: word };
/** None of the ways in which the secret could stand there. */
function expectNone(output: string): void {
  const bare = output.replaceAll(/\s/g, '').toLowerCase();
  expect(bare).not.toContain(word.toLowerCase());
  expect(bare).not.toContain(octets.toString('hex'));
}

const secretName = '0.0.40.0.0.255';
const secretAttribute = { classId: 15, logicalName: secretName, attribute: 7 } as const;
const plainAttribute = { classId: 3, logicalName: '1.0.1.8.0.255' as const, attribute: 2 };
const secretMethod = { classId: 15, logicalName: secretName, method: 2 } as const;
const columns: Data = {
  type: 'array',
  value: [captureObjectData(clockColumn), captureObjectData({ ...secretAttribute, dataIndex: 0 })],
};
const pushed: Data = {
  type: 'structure',
  value: [
    {
      type: 'array',
      value: [
        { classId: 40, logicalName: '0.7.25.9.0.255' as const, attribute: 2 },
        { ...secretAttribute },
        { classId: 46, logicalName: '0.0.25.5.0.255' as const, attribute: 4 },
      ].map((one) => captureObjectData({ ...one, dataIndex: 0 })),
    },
    secret,
    text,
  ],
};
const block = (raw: Uint8Array) => ({ last: true, number: 1, raw });
const dateTime = new Uint8Array(0);
const list = encode(getResults, [{ data: { type: 'unsigned', value: 1 } }, { data: secret }]);

/** Each a conversation, one APDU a line. */
const conversations: Record<string, (Apdu | AcseApdu)[]> = {
  'GET and its answer': [
    { kind: 'get-request-normal', invokeId: 1, attribute: secretAttribute },
    { kind: 'get-response-normal', invokeId: 1, result: { data: secret } },
  ],
  'GET with list': [
    { kind: 'get-request-with-list', invokeId: 1, attributes: [plainAttribute, secretAttribute] },
    {
      kind: 'get-response-with-list',
      invokeId: 1,
      results: [{ data: { type: 'unsigned', value: 1 } }, { data: text }],
    },
  ],
  'GET in blocks': [
    { kind: 'get-request-normal', invokeId: 1, attribute: secretAttribute },
    {
      kind: 'get-response-with-datablock',
      invokeId: 1,
      last: true,
      number: 1,
      result: { raw: encode(dataCodec, secret) },
    },
  ],
  'a list in blocks': [
    { kind: 'get-request-with-list', invokeId: 1, attributes: [plainAttribute, secretAttribute] },
    { kind: 'get-response-with-datablock', invokeId: 1, last: true, number: 1, result: { raw: list } },
  ],
  SET: [{ kind: 'set-request-normal', invokeId: 1, attribute: secretAttribute, value: secret }],
  'SET with list': [
    {
      kind: 'set-request-with-list',
      invokeId: 1,
      attributes: [plainAttribute, secretAttribute],
      values: [{ type: 'unsigned', value: 1 }, secret],
    },
  ],
  'SET in blocks': [
    {
      kind: 'set-request-with-first-datablock',
      invokeId: 1,
      attribute: secretAttribute,
      block: { ...block(octets), last: false },
    },
    { kind: 'set-request-with-datablock', invokeId: 1, block: block(octets) },
  ],
  'SET with list, in blocks': [
    {
      kind: 'set-request-with-list-and-first-datablock',
      invokeId: 1,
      attributes: [plainAttribute, secretAttribute],
      block: { ...block(octets), last: false },
    },
    { kind: 'set-request-with-datablock', invokeId: 1, block: block(octets) },
  ],
  ACTION: [{ kind: 'action-request-normal', invokeId: 1, method: secretMethod, parameters: secret }],
  'ACTION with list': [
    { kind: 'action-request-with-list', invokeId: 1, methods: [secretMethod], parameters: [secret] },
  ],
  'ACTION in blocks': [
    {
      kind: 'action-request-with-first-pblock',
      invokeId: 1,
      method: secretMethod,
      block: { ...block(octets), last: false },
    },
    { kind: 'action-request-with-pblock', invokeId: 1, block: block(octets) },
  ],
  'ACTION with list, in blocks': [
    {
      kind: 'action-request-with-list-and-first-pblock',
      invokeId: 1,
      methods: [secretMethod],
      block: { ...block(octets), last: false },
    },
    { kind: 'action-request-with-pblock', invokeId: 1, block: block(octets) },
  ],
  ACCESS: [
    {
      kind: 'access-request',
      longInvokeId: 1,
      dateTime,
      specifications: [
        { kind: 'get', value: secretAttribute },
        { kind: 'set', value: secretAttribute },
        { kind: 'action', value: secretMethod },
      ],
      data: [{ type: 'null-data' }, secret, text],
    },
    {
      kind: 'access-response',
      longInvokeId: 1,
      dateTime,
      data: [secret, { type: 'null-data' }, { type: 'null-data' }],
      results: [{ kind: 'get', value: 0 }],
    },
  ],
  'a pushed list': [{ kind: 'data-notification', longInvokeId: 1, dateTime, body: pushed }],
  'an event notification': [{ kind: 'event-notification', attribute: secretAttribute, value: secret }],
  'the buffer of a profile that captures it': [
    {
      kind: 'get-request-normal',
      invokeId: 1,
      attribute: { classId: 7, logicalName: '1.0.99.1.0.255' as const, attribute: 3 },
    },
    { kind: 'get-response-normal', invokeId: 1, result: { data: columns } },
    {
      kind: 'get-request-normal',
      invokeId: 1,
      attribute: { classId: 7, logicalName: '1.0.99.1.0.255' as const, attribute: 2 },
    },
    {
      kind: 'get-response-normal',
      invokeId: 1,
      result: {
        data: {
          type: 'array',
          value: [{ type: 'structure', value: [{ type: 'octet-string', value: new Uint8Array(12) }, secret] }],
        },
      },
    },
  ],
  'a plain AARQ with the password and a dedicated key': [
    {
      kind: 'aarq',
      applicationContext: 1,
      mechanism: 1,
      authenticationValue: octets,
      userInformation: encodeApdu({
        kind: 'initiate-request',
        dedicatedKey: octets,
        responseAllowed: true,
        version: 6,
        conformance: 0x001e1d,
        maxPdu: 1024,
      }),
    },
  ],
};
const octetsOf = (apdu: Apdu | AcseApdu): Uint8Array =>
  apdu.kind === 'aarq' ? encodeAcse(apdu) : encodeApdu(apdu as Apdu);

describe('decode gives no secret, in any style', () => {
  test.each(Object.entries(conversations))('%s', (_, apdus) => {
    const explanation = explain(parseExchange(apdus.map((apdu) => toHex(octetsOf(apdu))).join('\n')));
    expect(explanation.frames).toHaveLength(apdus.length);
    expectNone(explanation.frames.flatMap(({ text }) => text).join('\n'));
    expectNone(JSON.stringify(explanation.frames.map(explainedJson)));
    expectNone(explanation.frames.flatMap(messageXml).join('\n'));
    expectNone(JSON.stringify(explanation.rows) + explanation.problems.join('\n'));
  });
  test.each(Object.entries(conversations))('%s, the last message cut short', (_, apdus) => {
    const last = octetsOf(apdus.at(-1) as Apdu);
    for (const cut of [1, 2, 5]) {
      const lines = [...apdus.slice(0, -1).map(octetsOf), last.subarray(0, last.length - cut)];
      const { frames, problems } = explain(parseExchange(lines.map((line) => toHex(line)).join('\n')));
      expectNone(frames.flatMap(({ text }) => text).join('\n') + problems.join('\n'));
      expectNone(JSON.stringify(frames.map(explainedJson)) + frames.flatMap(messageXml).join('\n'));
    }
  });
  test('what is no secret stays readable beside it', () => {
    const { frames } = explain(
      parseExchange((conversations['GET with list'] ?? []).map((apdu) => toHex(octetsOf(apdu))).join('\n')),
    );
    expect(frames.at(-1)?.text[0]).toBe('get-response-with-list #1 unsigned 1; "(withheld)"');
  });
});

test('listen: a pushed secret is named and withheld', () => {
  const list = pushedList({ kind: 'data-notification', longInvokeId: 1, dateTime, body: pushed });
  expectNone(JSON.stringify(pushedListJson(list)));
  expect(list.problems).toEqual([
    '0-0:40.0.0*255:7 is a secret of the meter: withheld',
    '0-0:25.5.0*255:4 is a secret of the meter: withheld',
  ]);
});

test('every row of the table names attributes and methods that the class has, where the class is known', () => {
  for (const [id, { attributes = [], methods = [] }] of Object.entries(secretTable)) {
    const known = classTable[Number(id)];
    if (!known) continue;
    for (const attribute of attributes === 'all' ? [] : attributes)
      expect(known.attributes[attribute - 2], `${id}:${attribute}`).toMatch(
        /secret|pass|key|PIN|auth|initial|buffer|param/i,
      );
    for (const method of methods) expect(known.methods[method - 1], `${id} method ${method}`).toMatch(/secret|key/i);
  }
});

describe('browse, read and their files', () => {
  const value = (data: Data) => toHex(encode(dataCodec, data));
  const object = (id: number, name: string, attributes: readonly (readonly [number, Data?])[]) => ({
    class: id,
    className: 'x',
    version: 0,
    name,
    attributes: attributes.map(([attribute, data]) => ({
      id: attribute,
      attribute: 'x',
      access: 1,
      ...(data && { value: value(data) }),
    })),
    methods: [],
  });
  const rows: Data = {
    type: 'array',
    value: [{ type: 'structure', value: [{ type: 'octet-string', value: new Uint8Array(12) }, secret] }],
  };
  const file = join(folder, 'secrets.json');
  writeFileSync(
    file,
    JSON.stringify({
      snapshot: 1,
      taken: '2026-11-28T00:00:00.000Z',
      objects: [
        object(15, '0-0:40.0.0*255', [[2], [7, secret]]),
        object(19, '0-0:20.0.0*255', [
          [7, text],
          [8, secret],
          [9, secret],
        ]),
        object(44, '0-0:25.3.0*255', [[5, { type: 'structure', value: [text, secret] }]]),
        object(46, '0-0:25.5.0*255', [
          [3, { type: 'octet-string', value: Buffer.from('user') }],
          [4, secret],
        ]),
        object(91, '0-0:29.1.0*255', [[5, { type: 'array', value: [secret] }]]),
        object(128, '0-0:30.0.0*255', [[2, secret]]),
        object(7, '1-0:99.1.0*255', [
          [2, rows],
          [3, columns],
          [4, { type: 'double-long-unsigned', value: 3600 }],
        ]),
      ],
    }),
  );
  test('nothing of it on the screen, in JSON, in the snapshot, in the trace; both files for their owner alone', async () => {
    const { device } = await simulate(['--snapshot', file, '--tcp', '0']);
    const save = join(folder, 'saved.json');
    const trace = join(folder, 'browse.trace');
    // Sibling: a trace that is gone on with, and that everybody could read.
    writeFileSync(trace, '', { mode: 0o644 });
    const more = ['--client', '16'];
    const text = await run(gateway, ['browse', device, ...more, '--save', save, '--trace', trace]);
    expect(text.err).toContain('objects saved');
    expect(text.out).toContain('(secret: not read)');
    expect(text.out).toContain("'user'");
    const json = await run(gateway, ['browse', device, ...more, '--json']);
    expect(json.code).toBe(0);
    for (const output of [text.out, text.err, json.out, readFileSync(save, 'utf8'), readFileSync(trace, 'utf8')])
      expectNone(output);
    for (const path of [save, trace]) expect(statSync(path).mode & 0o777, path).toBe(0o600);
    for (const args of [
      ['--object', '0-0:40.0.0:7'],
      ['--object', '0-0:40.0.0:7', '--class', '1'],
      ['--object', '0-0:25.5.0:4'],
      ['--profile', '1-0:99.1.0', '--entries', '1-5'],
    ]) {
      const read = await run(gateway, ['read', device, ...more, ...args]);
      expect(read.code, args.join(' ')).toBe(2);
      expect(read.err).toMatch(/not read/);
      expectNone(read.out + read.err);
    }
  });
});
