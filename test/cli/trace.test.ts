/** A trace copies: what is watched is not changed, and no secret stands in the file, however the line cuts it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { Secret } from '../../src/base/secret.ts';
import { millis } from '../../src/base/time.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { traceTo } from '../../src/cli/trace-file.ts';
import { encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { encodeFrame, serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { seeded } from '../../src/simulator/random.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'trace-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const password = 'pa55w0rd-Gurux';
const secret = Buffer.from(password);
const stars = '*'.repeat(secret.length);
let files = 0;

/** The file after these octets went by, cut as given. */
function traced(messages: readonly (readonly ['->' | '<-', Uint8Array])[], secrets = [new Secret(secret)]) {
  const file = join(folder, `${files++}.tap`);
  const trace = traceTo(file, 'tcp://127.0.0.1:1', new VirtualClock(millis(0)), secrets);
  for (const [direction, octets] of messages) {
    // As sockets give them: a view of memory that others look at.
    const view = Buffer.from(octets);
    const before = view.toString('hex');
    trace?.(direction, view);
    expect(view.toString('hex'), 'the trace changed what it watches').toBe(before);
  }
  const lines = parseExchange(readFileSync(file, 'utf8'));
  const of = (direction: 'to-meter' | 'from-meter') =>
    concat(lines.flatMap((line) => ('octets' in line && line.direction === direction ? [line.octets] : [])));
  return { text: readFileSync(file, 'latin1'), sent: of('to-meter'), received: of('from-meter') };
}
const chunks = (octets: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(octets.length / size) }, (_, i) => octets.subarray(i * size, (i + 1) * size));

const aarq = (context: number, given: Uint8Array = secret): Uint8Array =>
  encodeAcse({
    kind: 'aarq',
    applicationContext: context,
    authentication: true,
    mechanism: 1,
    authenticationValue: given,
    userInformation: encodeApdu({
      kind: 'initiate-request',
      responseAllowed: true,
      version: 6,
      conformance: 0x1e1d,
      maxPdu: 0xffff,
    }),
  });
/** In frames of an information field of this size. */
function frames(apdu: Uint8Array, size: number): Uint8Array[] {
  const information = concat([Uint8Array.of(0xe6, 0xe6, 0), apdu]);
  return chunks(information, size).map((part, i, all) =>
    encodeFrame({
      destination: serverAddress(1),
      source: { logical: 17, size: 1 },
      control: { kind: 'I', ns: i & 7, nr: 0, pollFinal: true },
      segmented: i < all.length - 1,
      information: part,
    }),
  );
}
/** The information of frames, which all must be good. */
function informationOf(octets: Uint8Array): string {
  const deframer = new Deframer();
  const found = deframer.push(octets).map(({ information }) => information);
  expect([deframer.damaged, deframer.dropped]).toEqual([0, 0]);
  return Buffer.from(concat(found)).toString('latin1');
}
const latin = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');

describe.each([1, 2])('application context %i', (context) => {
  test.each([...Array.from({ length: 18 }, (_, i) => 32 + i), 64, 128])(
    'incident: short frames split the password over two (information field %i)',
    (size) => {
      const all = frames(aarq(context), size);
      const expected = informationOf(concat(all)).replace(password, stars);
      expect(informationOf(traced(all.map((one) => ['->', one] as const)).sent)).toBe(expected);
    },
  );
  test.each([1, 2, 3, 5, 7, 11, 64])('the echo of it, in chunks of %i octets', (chunk) => {
    for (const size of [34, 38, 46, 64, 128]) {
      const all = concat(frames(aarq(context), size));
      const { received } = traced(chunks(all, chunk).map((one) => ['<-', one] as const));
      expect(informationOf(received)).toBe(informationOf(all).replace(password, stars));
    }
  });
  test.each([1, 2, 3, 10, 50, 200])('over the wrapper, in chunks of %i octets', (chunk) => {
    const all = encodeWrapper({ source: 17, destination: 1, apdu: aarq(context) });
    const { sent, received } = traced(
      chunks(all, chunk).flatMap((one) => [['->', one] as const, ['<-', one] as const]),
    );
    expect(latin(sent)).toBe(latin(all).replace(password, stars));
    expect(latin(received)).toBe(latin(all).replace(password, stars));
  });
});

test('each segment sent three times, before the next one and after it', () => {
  for (const size of [35, 40, 45]) {
    const all = frames(aarq(1), size);
    const again = all.flatMap((one) => [one, one, one]);
    const { sent } = traced([...again, ...all].map((one) => ['->', one] as const));
    const shown = informationOf(sent);
    expect(shown).not.toContain(password);
    // No part of it at the end or the beginning of a segment either.
    const once = informationOf(concat(all)).replace(password, stars);
    const struck = chunks(Buffer.from(once, 'latin1'), size);
    const expected = [...struck.flatMap((one) => [one, one, one]), ...struck];
    expect(shown).toBe(latin(concat(expected)));
  }
});

test('sibling: a secret that is written in blocks, of SET, of ACTION, and general ones', () => {
  const raw = concat([Uint8Array.of(0x09, secret.length), secret]);
  for (let cut = 1; cut < raw.length; cut++) {
    const [one, two] = [raw.subarray(0, cut), raw.subarray(cut)];
    const attribute = { classId: 15, logicalName: '0.0.40.0.0.255' as const, attribute: 7 };
    const method = { classId: 15, logicalName: '0.0.40.0.0.255' as const, method: 2 };
    const pairs = [
      [
        encodeApdu({
          kind: 'set-request-with-first-datablock',
          invokeId: 0xc1,
          attribute,
          block: { last: false, number: 1, raw: one },
        }),
        encodeApdu({ kind: 'set-request-with-datablock', invokeId: 0xc1, block: { last: true, number: 2, raw: two } }),
      ],
      [
        encodeApdu({
          kind: 'action-request-with-first-pblock',
          invokeId: 0xc1,
          method,
          block: { last: false, number: 1, raw: one },
        }),
        encodeApdu({ kind: 'action-request-with-pblock', invokeId: 0xc1, block: { last: true, number: 2, raw: two } }),
      ],
      [
        encodeApdu({ kind: 'general-block-transfer', control: 1, number: 1, acknowledged: 0, content: one }),
        encodeApdu({ kind: 'general-block-transfer', control: 0x81, number: 2, acknowledged: 0, content: two }),
      ],
    ];
    for (const apdus of pairs) {
      for (const link of ['hdlc', 'wrapper'] as const) {
        const messages = apdus.flatMap((apdu) =>
          link === 'hdlc' ? frames(apdu, 128) : [encodeWrapper({ source: 17, destination: 1, apdu })],
        );
        const { sent } = traced(messages.map((octets) => ['->', octets] as const));
        const before = concat(messages);
        const differing = sent.filter((octet, i) => octet === 0x2a && before[i] !== 0x2a).length;
        // Each octet of it, no other; '*' may stand in a check by chance.
        expect(differing).toBeGreaterThanOrEqual(secret.length);
        expect(differing).toBeLessThanOrEqual(secret.length + 4);
        for (let length = 3; length <= secret.length; length++)
          for (let at = 0; at + length <= secret.length; at++)
            expect(latin(sent)).not.toContain(password.slice(at, at + length));
      }
    }
  }
});

test('what only looks like the beginning of a secret is given back', () => {
  const information = concat([new Uint8Array(29), secret.subarray(0, 3)]);
  const frame = (segmented: boolean, part: Uint8Array) =>
    encodeFrame({
      destination: serverAddress(1),
      source: { logical: 17, size: 1 },
      control: { kind: 'I', ns: 0, nr: 0, pollFinal: true },
      segmented,
      information: part,
    });
  const first = frame(true, information);
  const others = Array.from({ length: 40 }, (_, i) => frame(false, Uint8Array.of(1, 2, i)));
  const { sent } = traced([first, ...others].map((octets) => ['->', octets] as const));
  expect(latin(sent)).toBe(latin(concat([first, ...others])));
});

test('any octets in any chunks: nothing but secrets is changed', () => {
  const random = seeded(18);
  const below = (limit: number) => Math.floor(random() * limit);
  for (let round = 0; round < 300; round++) {
    const octets = Uint8Array.from({ length: 200 }, () => below(256));
    if (round % 3 === 0) octets.set(secret, below(180));
    const messages: ['->' | '<-', Uint8Array][] = [];
    for (let at = 0; at < octets.length; ) {
      const size = 1 + below(40);
      messages.push(['<-', octets.subarray(at, at + size)]);
      at += size;
    }
    messages.push(['<-', new Uint8Array(20)]);
    const { received } = traced(messages);
    const text = latin(octets);
    const struck = text.replace(password, stars);
    expect(latin(received).slice(0, 200)).toBe(struck);
  }
});

test('a password of three octets is struck out of AARQ, and the rest can still be read', () => {
  const short = Buffer.from('abc');
  const all = [...frames(aarq(1, short), 64), ...frames(Uint8Array.of(0xc4, 1, 0xc1, 0, 9, 3, 0x61, 0x62, 0x63), 64)];
  const { sent } = traced(
    all.map((one) => ['->', one] as const),
    [new Secret(short)],
  );
  expect(informationOf(sent).split('***').length).toBe(2);
  expect(informationOf(sent).split('abc').length).toBe(2);
});
