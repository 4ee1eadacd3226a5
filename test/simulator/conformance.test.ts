/** A virtual meter announces in its conformance block what it can do: all of it, and nothing else. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { millis } from '../../src/base/time.ts';
import { applicationContext, decodeAcse, encodeAcse, mechanism } from '../../src/dlms/acse/apdu.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { byRange } from '../../src/dlms/cosem/profile-generic.ts';
import { encodeWrapper, Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { type Apdu, type Attribute, decodeApdu, encodeApdu, valueList } from '../../src/dlms/xdlms/apdu.ts';
import {
  conformance,
  type ConformanceName,
  conformanceBit,
  conformanceNames,
} from '../../src/dlms/xdlms/conformance.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';

const at = millis(Date.UTC(2026, 10, 24, 12));
const every = Object.keys(conformanceBit) as ConformanceName[];
const without = (...names: ConformanceName[]) => every.filter((name) => !names.includes(name));

/** A meter behind the wrapper, spoken to in APDUs; the names that were agreed with the client. */
function agreedWith(
  names: readonly ConformanceName[],
  {
    meters = {},
    maxPdu = 1024,
    client = 17,
  }: { meters?: ScenarioInput['meters']; maxPdu?: number; client?: number } = {},
) {
  const [meter] = buildBus(parseScenario({ bus: { link: 'wrapper' }, meters }), at).meters;
  const answersTo = (apdu: Uint8Array, source = client): Uint8Array[] => {
    meter?.receive(encodeWrapper({ source, destination: 1, apdu }), at);
    const out: Uint8Array[] = [];
    for (let piece = meter?.pollTransmit(); piece; piece = meter?.pollTransmit()) out.push(piece.octets);
    return new Unwrapper().push(Buffer.concat(out)).map((frame) => frame.apdu);
  };
  const [answer] = answersTo(
    encodeAcse({
      kind: 'aarq',
      applicationContext: applicationContext[meters?.referencing ?? 'logical-name'],
      ...(client === 17 && {
        authentication: true,
        mechanism: mechanism.lls,
        authenticationValue: Buffer.from('meter'),
      }),
      userInformation: encodeApdu({
        kind: 'initiate-request',
        responseAllowed: true,
        version: 6,
        conformance: conformance(...names),
        maxPdu,
      }),
    }),
  );
  const aare = decodeAcse(answer ?? new Uint8Array(0));
  if (aare.kind !== 'aare') throw new Error(aare.kind);
  const initiate = decodeApdu(aare.userInformation ?? new Uint8Array(0)).apdu;
  return {
    result: aare.result,
    initiate,
    agreed: initiate.kind === 'initiate-response' ? conformanceNames(initiate.conformance) : [],
    answersTo,
    ask: (apdu: Apdu): Apdu[] => answersTo(encodeApdu(apdu)).map((octets) => decodeApdu(octets).apdu),
  };
}

const logicalNameServices: ConformanceName[] = [
  'general-block-transfer',
  'block-transfer-with-get-or-read',
  'block-transfer-with-set-or-write',
  'block-transfer-with-action',
  'multiple-references',
  'access',
  'get',
  'set',
  'selective-access',
  'action',
];
const shortNameServices: ConformanceName[] = [
  'general-block-transfer',
  'read',
  'write',
  'block-transfer-with-get-or-read',
  'multiple-references',
  'parameterized-access',
];
const sorted = (names: readonly string[]) => [...names].toSorted();

describe('what is announced', () => {
  test.each([
    ['logical names', {}, logicalNameServices],
    ['short names', { referencing: 'short-name' }, shortNameServices],
    ['pushes', { push_s: 60 }, [...logicalNameServices, 'data-notification']],
  ] as [string, ScenarioInput['meters'], ConformanceName[]][])('%s', (_, meters, expected) => {
    expect(sorted(agreedWith(every, { meters }).agreed)).toEqual(sorted(expected));
  });
  test('of it a client has what it proposed', () => {
    expect(agreedWith(['get', 'event-notification']).agreed).toEqual(['get']);
  });
  test('nothing in common: refused as an incompatible conformance', () => {
    expect(agreedWith(['event-notification'])).toMatchObject({
      result: 1,
      initiate: { kind: 'confirmed-service-error', service: 1, error: 6, value: 2 },
    });
  });
  test('who is refused is told all the same what the meter could do', () => {
    const refused = agreedWith(every, { client: 99 });
    expect(refused).toMatchObject({ result: 1, initiate: { kind: 'initiate-response', vaaName: 7 } });
    expect(refused.agreed).toContain('access');
  });
});

const clock = { classId: 8, logicalName: '0.0.1.0.0.255', attribute: 2 } as const;
const name = { classId: 1, logicalName: '0.0.42.0.0.255', attribute: 2 } as const;
const objectList = { classId: 15, logicalName: '0.0.40.0.0.255', attribute: 2 } as const;
const profile = { classId: 7, logicalName: '1.0.99.1.0.255', attribute: 2 } as const;
const method = { classId: 70, logicalName: '0.0.96.3.10.255', method: 2 } as const;
const some: Data = { type: 'octet-string', value: new Uint8Array(12) };
const block = { last: false, number: 1, raw: Uint8Array.of(9, 12) };
const range = byRange(millis(at - 86_400_000), at);
const get: Apdu = { kind: 'get-request-normal', invokeId: 0xc1, attribute: name };
/** One request that needs these bits and is answered by this. */
const requests: [string, ConformanceName[], Apdu, Apdu['kind'], ScenarioInput['meters']?][] = [
  ['GET', ['get'], get, 'get-response-normal'],
  [
    'GET of a list',
    ['get', 'multiple-references'],
    { kind: 'get-request-with-list', invokeId: 0xc1, attributes: [name, clock] },
    'get-response-with-list',
  ],
  [
    'SET',
    ['set'],
    { kind: 'set-request-normal', invokeId: 0xc1, attribute: clock, value: some },
    'set-response-normal',
  ],
  [
    'SET of a list',
    ['set', 'multiple-references'],
    { kind: 'set-request-with-list', invokeId: 0xc1, attributes: [clock, clock], values: [some, some] },
    'set-response-with-list',
  ],
  [
    'SET in blocks',
    ['set', 'block-transfer-with-set-or-write'],
    { kind: 'set-request-with-first-datablock', invokeId: 0xc1, attribute: clock, block },
    'set-response-datablock',
  ],
  [
    'SET of a list in blocks',
    ['set', 'multiple-references', 'block-transfer-with-set-or-write'],
    { kind: 'set-request-with-list-and-first-datablock', invokeId: 0xc1, attributes: [clock, clock], block },
    'set-response-datablock',
  ],
  [
    'ACTION of a list in blocks',
    ['action', 'multiple-references', 'block-transfer-with-action'],
    { kind: 'action-request-with-list-and-first-pblock', invokeId: 0xc1, methods: [method], block },
    'action-response-next-pblock',
  ],
  ['ACTION', ['action'], { kind: 'action-request-normal', invokeId: 0xc1, method }, 'action-response-normal'],
  [
    'ACTION of a list',
    ['action', 'multiple-references'],
    { kind: 'action-request-with-list', invokeId: 0xc1, methods: [method], parameters: [some] },
    'action-response-with-list',
  ],
  [
    'ACTION in blocks',
    ['action', 'block-transfer-with-action'],
    { kind: 'action-request-with-first-pblock', invokeId: 0xc1, method, block },
    'action-response-next-pblock',
  ],
  [
    'ACCESS',
    ['access'],
    {
      kind: 'access-request',
      longInvokeId: 0x4000_0001,
      dateTime: new Uint8Array(0),
      specifications: [{ kind: 'get', value: name }],
      data: [{ type: 'null-data' }],
    },
    'access-response',
  ],
  [
    'READ',
    ['read'],
    { kind: 'read-request', variables: [{ kind: 'variable-name', value: 0xfa18 }] },
    'read-response',
    { referencing: 'short-name' },
  ],
  [
    'READ of a list',
    ['read', 'multiple-references'],
    {
      kind: 'read-request',
      variables: [
        { kind: 'variable-name', value: 0xfa18 },
        { kind: 'variable-name', value: 0xfa18 },
      ],
    },
    'read-response',
    { referencing: 'short-name' },
  ],
  [
    'WRITE',
    ['write'],
    { kind: 'write-request', variables: [{ kind: 'variable-name', value: 0xfa18 }], values: [some] },
    'write-response',
    { referencing: 'short-name' },
  ],
];
describe.each(requests)('%s', (_, needed, request, answer, meters = {}) => {
  test('answered where it was agreed', () => {
    expect(agreedWith(every, { meters }).ask(request)).toMatchObject([{ kind: answer }]);
    expect(agreedWith(needed, { meters }).ask(request)).toMatchObject([{ kind: answer }]);
  });
  test.each(needed)('refused without %s', (missing) => {
    const it = agreedWith(without(missing), { meters });
    expect(it.ask(request)).toEqual([{ kind: 'exception-response', stateError: 1, serviceError: 2 }]);
  });
});

describe('answers that are longer than the client takes', () => {
  const long: Apdu = { kind: 'get-request-normal', invokeId: 0xc1, attribute: objectList };
  test('in the blocks of the service, in general blocks, and refused where neither was agreed', () => {
    const small = { maxPdu: 100 };
    expect(agreedWith(without('general-block-transfer'), small).ask(long)).toMatchObject([
      { kind: 'get-response-with-datablock', number: 1, last: false },
    ]);
    expect(agreedWith(every, small).ask(long)).toMatchObject([{ kind: 'general-block-transfer', number: 1 }]);
    const neither = without('general-block-transfer', 'block-transfer-with-get-or-read');
    expect(agreedWith(neither, small).ask(long)).toMatchObject([
      { kind: 'get-response-normal', result: { refused: 250 } },
    ]);
    const list: Apdu = { kind: 'get-request-with-list', invokeId: 0xc1, attributes: [objectList, name] };
    expect(agreedWith(neither, small).ask(list)).toMatchObject([{ kind: 'exception-response', serviceError: 4 }]);
  });
  test('short names: READ in blocks only where it was agreed', () => {
    const read: Apdu = { kind: 'read-request', variables: [{ kind: 'variable-name', value: 0xfa08 }] };
    const meters = { referencing: 'short-name' as const };
    const agreed = agreedWith(without('general-block-transfer'), { meters, maxPdu: 100 });
    expect(agreed.ask(read)).toMatchObject([{ results: [{ kind: 'data-block', value: { number: 1 } }] }]);
    const neither = without('general-block-transfer', 'block-transfer-with-get-or-read');
    expect(agreedWith(neither, { meters, maxPdu: 100 }).ask(read)).toMatchObject([{ kind: 'exception-response' }]);
  });
  test('a request longer than the meter takes', () => {
    const value: Data = { type: 'octet-string', value: new Uint8Array(400) };
    const set: Apdu = { kind: 'set-request-normal', invokeId: 0xc1, attribute: clock, value };
    expect(agreedWith(every, { meters: { max_pdu: 300 } }).ask(set)).toMatchObject([
      { kind: 'exception-response', serviceError: 4 },
    ]);
  });
});

describe('lists in blocks', () => {
  const halves = (values: readonly Data[]): [Uint8Array, Uint8Array] => {
    const whole = encode(valueList, [...values]);
    return [whole.subarray(0, 3), whole.subarray(3)];
  };
  const set = (attributes: Attribute[], values: readonly Data[], second = 2): Apdu[] => {
    const [one, two] = halves(values);
    const it = agreedWith(every);
    return [
      ...it.ask({
        kind: 'set-request-with-list-and-first-datablock',
        invokeId: 0xc1,
        attributes,
        block: { last: false, number: 1, raw: one },
      }),
      ...it.ask({
        kind: 'set-request-with-datablock',
        invokeId: 0xc1,
        block: { last: true, number: second, raw: two },
      }),
    ];
  };
  const taken: Apdu = { kind: 'set-response-datablock', invokeId: 0xc1, number: 1 };
  const ended = (...results: number[]): Apdu[] => [
    taken,
    { kind: 'set-response-last-datablock-with-list', invokeId: 0xc1, results, number: 2 },
  ];
  test('SET: each member is answered as in a SET of its own', () => {
    const it = agreedWith(every);
    const single = [clock, name].map((attribute) =>
      it.ask({ kind: 'set-request-normal', invokeId: 0xc1, attribute, value: some }),
    );
    const results = single.flatMap(([one]) => (one?.kind === 'set-response-normal' ? [one.result] : []));
    expect(results).toHaveLength(2);
    expect(new Set(results).size).toBe(2);
    expect(set([clock, name], [some, some])).toEqual(ended(...results));
  });
  test('SET: values that are too few, and a block that is missing, are refused for each member', () => {
    expect(set([clock, name], [some])).toEqual(ended(12, 12));
    expect(set([clock, name], [some, some], 3)).toEqual([
      taken,
      { kind: 'set-response-last-datablock-with-list', invokeId: 0xc1, results: [19, 19], number: 3 },
    ]);
  });
  test('sibling: no attribute is written in parts, neither alone, nor in a list, nor in blocks', () => {
    const parts = { ...clock, selection: range };
    expect(set([parts, clock], [some, some])[1]).toMatchObject({ results: [13, expect.not.toBeOneOf([13])] });
    const listed: Apdu = { kind: 'set-request-with-list', invokeId: 0xc1, attributes: [parts], values: [some] };
    expect(agreedWith(every).ask(listed)).toMatchObject([{ results: [13] }]);
    const [first, second] = [encode(dataCodec, some).subarray(0, 5), encode(dataCodec, some).subarray(5)];
    const it = agreedWith(every);
    it.ask({
      kind: 'set-request-with-first-datablock',
      invokeId: 0xc1,
      attribute: clock,
      selection: range,
      block: { last: false, number: 1, raw: first },
    });
    expect(
      it.ask({ kind: 'set-request-with-datablock', invokeId: 0xc1, block: { last: true, number: 2, raw: second } }),
    ).toMatchObject([{ kind: 'set-response-last-datablock', result: 13 }]);
  });
  test('ACTION: each method is answered as in a list of one APDU', () => {
    const parameters: Data[] = [
      { type: 'integer', value: 0 },
      { type: 'integer', value: 0 },
    ];
    const methods = [method, { ...method, method: 9 }];
    const [whole] = agreedWith(every).ask({ kind: 'action-request-with-list', invokeId: 0xc1, methods, parameters });
    const [one, two] = halves(parameters);
    const it = agreedWith(every);
    it.ask({
      kind: 'action-request-with-list-and-first-pblock',
      invokeId: 0xc1,
      methods,
      block: { last: false, number: 1, raw: one },
    });
    expect(
      it.ask({ kind: 'action-request-with-pblock', invokeId: 0xc1, block: { last: true, number: 2, raw: two } }),
    ).toEqual([whole]);
    expect(whole).toMatchObject({ kind: 'action-response-with-list', responses: [{ result: 0 }, { result: 3 }] });
  });
});

test('selective access only where it was agreed', () => {
  const request: Apdu = { kind: 'get-request-normal', invokeId: 0xc1, attribute: profile, selection: range };
  expect(agreedWith(every).ask(request)).toMatchObject([{ kind: 'get-response-normal', result: { data: {} } }]);
  expect(agreedWith(without('selective-access')).ask(request)).toMatchObject([{ result: { refused: 13 } }]);
});
test('incident: another client on the same connection was served with the rights of the one that is associated', () => {
  const it = agreedWith(every);
  const answered = (source: number) =>
    it.answersTo(encodeApdu(get), source).map((octets) => decodeApdu(octets).apdu.kind);
  expect(answered(17)).toEqual(['get-response-normal']);
  expect(answered(16)).toEqual(['exception-response']);
  expect(answered(17)).toEqual(['get-response-normal']);
  // Nor is the association of one ended by another.
  expect(it.answersTo(encodeAcse({ kind: 'rlrq', reason: 0 }), 16)).toEqual([]);
  expect(answered(17)).toEqual(['get-response-normal']);
});
test('general protection only where there are keys', () => {
  expect(agreedWith(every).agreed).not.toContain('general-protection');
});
