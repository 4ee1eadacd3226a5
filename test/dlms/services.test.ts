/** Every service, over every transport and protection, and with each fault of the line: the same answers. */
import { describe, expect, test } from 'vitest';
import { CodecError } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import type { Attribute } from '../../src/dlms/xdlms/apdu.ts';
import { decodeApdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import type { StackEvent, StackRequest } from '../../src/dlms/stack/client.ts';
import { invoked, type Options, world, written } from '../support/association-world.ts';

const short: Attribute = { classId: 1, logicalName: '0.0.42.0.0.255' as const, attribute: 2 };
const long: Attribute = { classId: 1, logicalName: '0.0.96.1.0.255' as const, attribute: 2 };
const target: Attribute = { classId: 18, logicalName: '0.0.44.0.0.255' as const, attribute: 2 };
const method = { classId: 18, logicalName: '0.0.44.0.0.255' as const };
const unknown: Attribute = { classId: 1, logicalName: '0.0.99.0.0.255' as const, attribute: 2 };
const small: Data = { type: 'unsigned', value: 7 };
const big: Data = { type: 'octet-string', value: Uint8Array.from({ length: 1500 }, (_, i) => i & 0xff) };
const shortValue = { data: { type: 'octet-string', value: Uint8Array.from(Buffer.from('SIM0000000000001')) } };
const longValue = { data: { type: 'octet-string', value: new Uint8Array(3000).fill(7) } };

type Service = [name: string, request: StackRequest, event: StackEvent['kind'], results: unknown];
const services: Service[] = [
  ['GET', { kind: 'get', attributes: [short] }, 'got', [shortValue]],
  ['GET in blocks', { kind: 'get', attributes: [long] }, 'got', [longValue]],
  [
    'GET with list, an error in the middle',
    { kind: 'get', attributes: [short, unknown, short] },
    'got',
    [shortValue, { refused: 4 }, shortValue],
  ],
  ['GET with list in blocks', { kind: 'get', attributes: [short, long] }, 'got', [shortValue, longValue]],
  [
    'GET of 25: lists of 10',
    { kind: 'get', attributes: Array.from({ length: 25 }, () => short) },
    'got',
    Array.from({ length: 25 }, () => shortValue),
  ],
  ['SET', { kind: 'set', assignments: [{ attribute: target, value: small }] }, 'was-set', [0]],
  ['SET in blocks', { kind: 'set', assignments: [{ attribute: target, value: big }] }, 'was-set', [0]],
  [
    'SET with list',
    {
      kind: 'set',
      assignments: [
        { attribute: target, value: small },
        { attribute: short, value: small },
      ],
    },
    'was-set',
    [0, 3],
  ],
  ['ACTION', { kind: 'action', invocations: [{ ...method, method: 2, parameters: small }] }, 'acted', [{ result: 0 }]],
  [
    'ACTION in blocks',
    { kind: 'action', invocations: [{ ...method, method: 2, parameters: big }] },
    'acted',
    [{ result: 0 }],
  ],
  [
    'ACTION in blocks, answered in blocks',
    { kind: 'action', invocations: [{ ...method, method: 3, parameters: big }] },
    'acted',
    [{ result: 0, returned: { data: big } }],
  ],
  [
    'ACTION with list',
    {
      kind: 'action',
      invocations: [
        { ...method, method: 2, parameters: small },
        { ...method, method: 9 },
      ],
    },
    'acted',
    [{ result: 0 }, { result: 3 }],
  ],
];
const access: Service = [
  'ACCESS',
  {
    kind: 'access',
    items: [
      { kind: 'get', attribute: short },
      { kind: 'set', attribute: target, value: small },
      { kind: 'action', method: { ...method, method: 3 }, parameters: small },
      { kind: 'get', attribute: unknown },
    ],
  },
  'accessed',
  [
    { result: 0, data: shortValue.data },
    { result: 0, data: { type: 'null-data' } },
    { result: 0, data: small },
    { result: 4, data: { type: 'null-data' } },
  ],
];
const longAccess: Service = [
  'ACCESS in general blocks',
  {
    kind: 'access',
    items: [
      { kind: 'get', attribute: long },
      { kind: 'set', attribute: target, value: big },
    ],
  },
  'accessed',
  [
    { result: 0, data: longValue.data },
    { result: 0, data: { type: 'null-data' } },
  ],
];

function run(options: Options, list: readonly Service[]): ReturnType<typeof world> {
  const it = world(options);
  const connected = it.ask({ kind: 'connect' }, 'connected');
  expect(connected.kind === 'failed' ? connected.error : connected.kind).toBe('connected');
  for (const [name, request, kind, results] of list) {
    const event = it.ask(request, kind);
    expect(event.kind === 'failed' ? event.error : event, name).toEqual({ kind, results });
  }
  expect(it.ask({ kind: 'close' }, 'closed').kind).toBe('closed');
  return it;
}

const transports: [string, Options][] = [
  ['wrapper', { link: 'wrapper' }],
  ['HDLC', { link: 'hdlc' }],
  ['wrapper, general blocks, window 1', { link: 'wrapper', transferWindow: 1 }],
  ['wrapper, general blocks, window 6', { link: 'wrapper', transferWindow: 6 }],
  ['HDLC, general blocks, window 4', { link: 'hdlc', transferWindow: 4 }],
];
const protections: [string, Options][] = [
  ['none', { mechanism: 'none' }],
  ['LLS', { mechanism: 'lls' }],
  ['HLS by ECDSA, in the clear', { mechanism: 'hls-ecdsa', suite: 1 }],
  ...([0, 1, 2] as const).flatMap((suite): [string, Options][] => [
    [`suite ${suite}, glo`, { mechanism: 'hls-gmac', suite }],
    [`suite ${suite}, ded`, { mechanism: 'hls-gmac', suite, dedicated: true }],
    [`suite ${suite}, general-glo`, { mechanism: 'hls-gmac', suite, wrapping: 'general' }],
    [`suite ${suite}, general-ded`, { mechanism: 'hls-gmac', suite, wrapping: 'general', dedicated: true }],
    [`suite ${suite}, general-ciphering, global key`, { mechanism: 'hls-gmac', suite, wrapping: 'general-ciphering' }],
    [
      `suite ${suite}, general-ciphering, wrapped key`,
      { mechanism: 'hls-gmac', suite, wrapping: 'general-ciphering', keyInfo: 'wrapped' },
    ],
  ]),
  ...([1, 2] as const).flatMap((suite): [string, Options][] => [
    [
      `suite ${suite}, key agreement one-pass`,
      { mechanism: 'hls-ecdsa', ciphered: true, suite, wrapping: 'general-ciphering', keyInfo: 'one-pass' },
    ],
    [
      `suite ${suite}, key agreement static unified`,
      { mechanism: 'hls-ecdsa', ciphered: true, suite, wrapping: 'general-ciphering', keyInfo: 'static-unified' },
    ],
    [`suite ${suite}, general-signing of glo`, { mechanism: 'hls-ecdsa', ciphered: true, suite, signed: true }],
    [
      `suite ${suite}, general-signing of general-ciphering, one-pass`,
      {
        mechanism: 'hls-ecdsa',
        ciphered: true,
        suite,
        signed: true,
        wrapping: 'general-ciphering',
        keyInfo: 'one-pass',
      },
    ],
  ]),
];

describe.each(transports)('%s', (_, transport) => {
  test.each(protections)('%s', (__, protection) => {
    if (protection.signed && protection.suite === 2 && protection.keyInfo && transport.transferWindow === undefined) {
      // A signed answer with an ephemeral key and its signature has 488 octets, the meter takes 400.
      const refused = world({ ...transport, ...protection }).ask({ kind: 'connect' }, 'connected');
      expect(refused).toMatchObject({ kind: 'failed', error: { code: 'request-too-long' } });
      return;
    }
    const signed =
      protection.signed || (protection.wrapping === 'general-ciphering' && protection.keyInfo === 'one-pass');
    // A signature, keys and titles do not fit what the block services leave free in 400 octets: general blocks do.
    const list =
      signed && transport.transferWindow === undefined
        ? services.filter(([name]) => /^(GET|SET|ACTION)$/.test(name))
        : services;
    const it = run({ ...transport, ...protection, access: true }, [
      ...list,
      ...(signed ? [] : [access]),
      ...(transport.transferWindow === undefined ? [] : [longAccess]),
    ]);
    expect(written.length + invoked.length).toBeGreaterThan(0);
    if (transport.transferWindow !== undefined && transport.link === 'wrapper') {
      for (const { octets } of it.wire) expect(octets.length - 8).toBeLessThanOrEqual(400);
    }
  });
});

/** What a line does to the n-th transmission. */
const faults: [string, NonNullable<Options['meddle']>][] = [
  ['every 7th frame lost', (octets, i) => (i % 7 === 5 ? new Uint8Array(0) : octets)],
  [
    'an octet flipped in every 6th frame',
    (octets, i) =>
      i % 6 === 4 ? octets.map((octet, at) => (at === octets.length >> 1 ? octet ^ 0x10 : octet)) : octets,
  ],
  ['the first octet of every 8th frame lost', (octets, i) => (i % 8 === 3 ? octets.subarray(1) : octets)],
  ['every 5th frame comes twice', (octets, i) => (i % 5 === 4 ? Buffer.concat([octets, octets]) : octets)],
  ['noise before every frame', (octets, i) => Buffer.concat([Uint8Array.of(0x55, i & 0xff, 0x7e, 0xa0), octets])],
  ['every 9th frame cut in half', (octets, i) => (i % 9 === 6 ? octets.subarray(0, octets.length >> 1) : octets)],
];
describe.each(faults)('HDLC, %s', (_, meddle) => {
  test.each([
    ['LLS', { mechanism: 'lls' }],
    ['suite 0, glo', { mechanism: 'hls-gmac' }],
    ['suite 2, general-ded', { mechanism: 'hls-gmac', suite: 2, wrapping: 'general', dedicated: true }],
    [
      'suite 1, one-pass key agreement',
      {
        mechanism: 'hls-ecdsa',
        ciphered: true,
        suite: 1,
        wrapping: 'general-ciphering',
        keyInfo: 'one-pass',
        transferWindow: 3,
      },
    ],
    ['general blocks', { mechanism: 'lls', transferWindow: 4 }],
    ['short names', { mechanism: 'lls', shortNames: true }],
  ] as [string, Options][])('%s', (__, options) => {
    run(
      { ...options, link: 'hdlc', access: true, meddle },
      options.shortNames ? shortNameServices : [...services, ...(options.keyInfo ? [] : [access])],
    );
  });
});

/** READ and WRITE know no result for a method and no values from it. */
const shortNameServices: Service[] = [
  ...services.slice(0, 5),
  services[5] as Service,
  services[7] as Service,
  ['method', { kind: 'action', invocations: [{ ...method, method: 2, parameters: small }] }, 'acted', [{ result: 0 }]],
  [
    'object that the list does not have',
    { kind: 'get', attributes: [short, unknown] },
    'got',
    [shortValue, { refused: 4 }],
  ],
];
describe('short-name referencing', () => {
  test.each([
    ['wrapper, none', { mechanism: 'none' }],
    ['wrapper, LLS', { mechanism: 'lls' }],
    ['HDLC, LLS', { link: 'hdlc', mechanism: 'lls' }],
    ['wrapper, LLS, ciphered', { mechanism: 'lls', ciphered: true }],
    ['HDLC, LLS, ciphered with the dedicated key', { link: 'hdlc', mechanism: 'lls', ciphered: true, dedicated: true }],
  ] as [string, Options][])('%s', (_, options) => {
    run({ ...options, shortNames: true }, shortNameServices);
  });
  test('high level security with it is refused by name', () => {
    expect(() => world({ mechanism: 'hls-md5', shortNames: true }).ask({ kind: 'connect' }, 'connected')).toThrow(
      /short-name/,
    );
  });
});

describe('general block transfer', () => {
  test('blocks lost in a window are asked for again, and only those', () => {
    let lost = 0;
    const it = run(
      {
        mechanism: 'lls',
        transferWindow: 6,
        meddle: (octets, i, from) => {
          const drop = from === 'server' && octets[8] === 0xe0 && i % 4 === 1 && lost < 3;
          if (drop) lost++;
          return drop ? new Uint8Array(0) : octets;
        },
      },
      [services[1] as Service, services[10] as Service],
    );
    expect(lost).toBe(3);
    const blocks = it.wire.filter(({ from, octets }) => from === 'server' && octets[8] === 0xe0).length;
    expect(blocks).toBeLessThan(24);
  });
  test('an acknowledgement that is lost is given again', () => {
    let seen = 0;
    run(
      {
        mechanism: 'lls',
        transferWindow: 2,
        meddle: (octets, _, from) =>
          from === 'client' && octets[8] === 0xe0 && seen++ === 1 ? new Uint8Array(0) : octets,
      },
      [services[1] as Service],
    );
  });
  test('a meter that stops in the middle: no-answer, after a bounded number of requests', () => {
    let blocks = 0;
    const it = world({
      mechanism: 'lls',
      transferWindow: 2,
      meddle: (octets, _, from) =>
        from === 'server' && octets[8] === 0xe0 && blocks++ > 1 ? new Uint8Array(0) : octets,
    });
    it.ask({ kind: 'connect' }, 'connected');
    expect(it.ask({ kind: 'get', attributes: [long] }, 'got')).toMatchObject({
      kind: 'failed',
      error: { code: 'no-answer' },
    });
    expect(it.wire.filter(({ from }) => from === 'client').length).toBeLessThan(10);
  });
});

test('ACCESS where it is not negotiated: refused before anything is sent', () => {
  const it = world({ mechanism: 'lls' });
  it.ask({ kind: 'connect' }, 'connected');
  expect(() => it.ask(access[1], 'accessed')).toThrow(/ACCESS/);
  expect(it.ask({ kind: 'get', attributes: [short] }, 'got').kind).toBe('got');
});

describe('a value as a stream', () => {
  test.each([
    ['in blocks', {}],
    ['whole, in general blocks', { transferWindow: 3 }],
    ['ciphered', { mechanism: 'hls-gmac' }],
    ['HDLC', { link: 'hdlc' }],
  ] as [string, Options][])('%s: its octets come while blocks arrive', (_, options) => {
    const it = world({ mechanism: 'lls', ...options });
    it.ask({ kind: 'connect' }, 'connected');
    const parts: Uint8Array[] = [];
    for (
      let event = it.ask({ kind: 'get', attributes: [long], stream: true }, 'got', 'value-octets');
      ;
      event = it.more('got', 'value-octets')
    ) {
      if (event.kind === 'got') {
        expect(event.results).toEqual([]);
        break;
      }
      expect(event.kind).toBe('value-octets');
      if (event.kind === 'value-octets') parts.push(event.octets);
    }
    expect(toHex(Buffer.concat(parts))).toBe(`09820bb8${'07'.repeat(3000)}`);
    if (!options.transferWindow) expect(parts.length).toBeGreaterThan(5);
  });
});

/** APDUs by hand from the grammar of Green Book 9.5. */
const vectors: [string, string][] = [
  ['ReadRequest of two variables', '05 02 02 FA 08 04 01 08 01 00'],
  ['ReadRequest for the next block', '05 01 05 00 03'],
  ['ReadResponse: data, refused', '0C 02 00 11 07 01 04'],
  ['ReadResponse: a block', '0C 01 02 01 00 02 03 01 02 03'],
  ['WriteRequest', '06 01 02 03 28 01 0F 00'],
  ['WriteResponse: success, refused', '0D 02 00 01 03'],
  ['UnconfirmedWriteRequest', '16 01 02 03 28 01 0F 00'],
  ['InformationReportRequest without time', '18 00 01 02 01 08 01 12 00 05'],
  [
    'ACCESS request: get, set',
    'D9 C0 00 00 01 00 02 01 00 01 00 00 2A 00 00 FF 02 02 00 08 00 00 01 00 00 FF 02 02 00 0F 05',
  ],
  ['ACCESS response', 'DA C0 00 00 01 00 00 02 11 05 00 02 01 00 02 0B'],
  ['general block transfer', 'E0 C6 00 02 00 01 03 C4 01 C1'],
  [
    'general-ciphering, global key',
    'DD 08 00 00 00 00 00 00 00 01 08 4D 4D 4D 00 00 BC 61 4E 08 41 42 43 44 45 46 47 48 00 00 01 00 00 05 30 00 00 00 01',
  ],
  ['general-ciphering, wrapped key', 'DD 01 01 00 00 00 00 01 01 00 02 AA BB 01 20'],
  ['general-ciphering, agreed key', 'DD 01 01 00 00 00 00 01 02 01 02 00 01 20'],
  ['general-signing', 'DF 01 01 00 00 00 00 02 C8 00 02 AA BB'],
  ['ACTION request with list', 'C3 03 C1 01 00 46 00 00 60 03 0A FF 01 01 0F 00'],
  ['ACTION response with list', 'C7 03 C1 02 00 00 03 00'],
  ['ACTION response with a pblock', 'C7 02 C1 01 00 00 00 01 02 AA BB'],
  ['SET request with list', 'C1 04 C1 01 00 08 00 00 01 00 00 FF 02 00 01 0F 05'],
  ['SET response with list', 'C5 05 C1 02 00 03'],
  ['SET request with list, first block', 'C1 05 C1 01 00 08 00 00 01 00 00 FF 02 00 00 00 00 00 01 02 01 0F'],
  ['SET response with list, last block', 'C5 04 C1 02 00 03 00 00 00 02'],
  ['ACTION request with list, first block', 'C3 05 C1 01 00 46 00 00 60 03 0A FF 01 01 00 00 00 01 02 01 0F'],
  ['data-notification-confirm', '10 C0 00 00 01 00'],
  ['data-notification-confirm with a time', '10 C0 00 00 01 0C 07 EA 0B 18 02 0C 00 00 00 FF 88 00'],
  ['event-notification', 'C2 00 00 07 01 00 63 01 00 FF 02 00'],
];
test.each(vectors)('%s: both ways, cut anywhere, every bit flipped', (_, hex) => {
  const octets = fromHex(hex);
  const { apdu, trailing } = decodeApdu(octets);
  expect(trailing).toBe(0);
  expect(toHex(encodeApdu(apdu))).toBe(toHex(octets));
  for (let end = 0; end < octets.length; end++)
    expect(() => decodeApdu(octets.subarray(0, end)), `cut at ${end}`).toThrow(CodecError);
  for (let bit = 0; bit < octets.length * 8; bit++) {
    const damaged = octets.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    try {
      decodeApdu(damaged);
    } catch (error) {
      expect(error).toBeInstanceOf(CodecError);
    }
  }
});
