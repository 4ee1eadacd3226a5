/**
 * What is demanded of a meter's answers: protection as the configured policy says, never less; and beside that only what
 * something hangs on. What is let through is let through everywhere, what is refused is refused at once and by name.
 */
import { describe, expect, test } from 'vitest';
import { CodecError } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { type Aare, decodeAcse, encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { Ciphering, type PeerMemory, type Protection } from '../../src/dlms/association/ciphering.ts';
import { encodeFrame, serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { plainText } from '../../src/dlms/plain-text.ts';
import { protect } from '../../src/dlms/security/protection.ts';
import type { StackEvent, StackRequest } from '../../src/dlms/stack/client.ts';
import { encodeWrapper, Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { type Apdu, decodeApdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { conformance, has } from '../../src/dlms/xdlms/conformance.ts';
import { key, type Options, serverTitle, world } from '../support/association-world.ts';

const get: StackRequest = {
  kind: 'get',
  attributes: [{ classId: 1, logicalName: '0.0.42.0.0.255', attribute: 2 }],
};
const list: StackRequest = {
  kind: 'get',
  attributes: (['0.0.42.0.0.255', '0.0.96.1.0.255'] as const).map((logicalName) => ({
    classId: 1,
    logicalName,
    attribute: 2,
  })),
};
const keys = { encryption: key(16, 0), authentication: key(16, 0xd0) };
const bits: Record<Protection, number> = { authenticated: 0x10, encrypted: 0x20, 'authenticated-encrypted': 0x30 };
const protections = Object.keys(bits) as Protection[];
/** 0 = in the clear. */
const controls = [0, 0x10, 0x20, 0x30];
const code = (event: StackEvent): string => (event.kind === 'failed' ? event.error.code : event.kind);
const message = (event: StackEvent): string => (event.kind === 'failed' ? event.error.message : '');

/** The meter's APDUs changed, in wrapper frames or in I-frames that hold one whole. */
const onAnswer =
  (change: (apdu: Uint8Array) => Uint8Array): NonNullable<Options['meddle']> =>
  (octets, _, from) => {
    if (from !== 'server' || octets[0] === 0x7e) return octets;
    const [frame] = new Unwrapper().push(octets);
    return frame ? encodeWrapper({ ...frame, apdu: change(frame.apdu) }) : octets;
  };
const onAare = (change: (aare: Aare) => Uint8Array | Aare): NonNullable<Options['meddle']> =>
  onAnswer((apdu) => {
    if (apdu[0] !== 0x61) return apdu;
    const changed = change(decodeAcse(apdu) as Aare);
    return changed instanceof Uint8Array ? changed : encodeAcse(changed);
  });
const initiateResponse: Apdu = {
  kind: 'initiate-response',
  version: 6,
  conformance: conformance('get', 'multiple-references', 'block-transfer-with-get-or-read'),
  maxPdu: 400,
  vaaName: 7,
};
/** As the meter would have written it with this security control. */
function protectedAs(plain: Uint8Array, tag: number, control: number, counter: number): Uint8Array {
  if (control === 0) return plain;
  const content = protect(plain, { control, counter, systemTitle: serverTitle }, keys);
  return Uint8Array.of(tag, content.length, ...content);
}
const opened = (options: Options) => {
  const it = world(options);
  return { it, event: it.ask({ kind: 'connect' }, 'connected') };
};

describe('82: the protection of InitiateResponse', () => {
  const cases = protections.flatMap((policy) =>
    [undefined, 'encrypted' as const, 'authenticated' as const].flatMap((initiate) =>
      controls.map((control) => [policy, initiate, control] as const),
    ),
  );
  test.each(cases)(
    'policy %s, model %s, control %i: taken where it is no less than was said',
    (policy, initiate, control) => {
      const { event } = opened({
        mechanism: 'lls',
        ciphered: true,
        policy,
        ...(initiate && { initiate }),
        meddle: onAare((aare) => ({
          ...aare,
          userInformation: protectedAs(encodeApdu(initiateResponse), 0x28, control, 0),
        })),
      });
      const least = bits[initiate ?? policy];
      expect(code(event)).toBe((control & least) === least ? 'connected' : 'protection-weaker');
      if (control !== 0 && event.kind === 'failed') expect(message(event)).toMatch(/is weaker than the (policy|model)/);
    },
  );
  test.each(
    protections.flatMap((policy) => [undefined, 'encrypted' as const].map((initiate) => [policy, initiate] as const)),
  )('and of every answer after it: policy %s, model %s: the policy alone says', (policy, initiate) => {
    for (const control of controls) {
      let armed = false;
      const { it, event } = opened({
        mechanism: 'lls',
        ciphered: true,
        policy,
        ...(initiate && { initiate }),
        meddle: onAnswer((apdu) => (armed ? protectedAs(fromHex('c401c1001105'), 0xcc, control, 9000) : apdu)),
      });
      expect(code(event)).toBe('connected');
      armed = true;
      const answer = it.ask(get, 'got');
      const enough = control !== 0 && (control & bits[policy]) === bits[policy];
      expect(code(answer), `control ${control}`).toBe(enough ? 'got' : 'protection-weaker');
    }
  });
  test.each([
    [undefined, 0x30],
    ['encrypted', 0x20],
    ['authenticated', 0x10],
  ] as const)(
    'what goes out: model %s: control %i, whatever the policy is, and each counter once',
    (initiate, control) => {
      for (const policy of protections) {
        const { it, event } = opened({ mechanism: 'hls-gmac', policy, ...(initiate && { initiate }) });
        expect(code(event)).toBe('connected');
        const [first, ...rest] = it.wire
          .filter(({ from }) => from === 'client')
          .map(({ octets }) => octets.subarray(8));
        const user = (decodeAcse(first as Uint8Array) as { userInformation: Uint8Array }).userInformation;
        expect(user[0]).toBe(0x21);
        expect((user[2] as number) & 0xf0).toBe(control);
        for (const apdu of rest.filter(({ 0: tag }) => tag === 0xc8 || tag === 0xcb))
          expect((apdu[2] as number) & 0xf0).toBe(bits[policy]);
      }
    },
  );
  test('a dedicated key never goes out in the clear', () => {
    const it = world({ mechanism: 'hls-gmac', dedicated: true, initiate: 'authenticated' });
    expect(() => it.ask({ kind: 'connect' }, 'connected')).toThrow(/would go out in the clear/);
    expect(it.wire).toEqual([]);
  });
  test('what carries no tag makes nobody known, and moves no counter of answers that must have one', () => {
    const peer: PeerMemory = { title: undefined, heard: -1 };
    const { it, event } = opened({
      mechanism: 'lls',
      ciphered: true,
      initiate: 'encrypted',
      peer,
      meddle: onAare((aare) => ({
        ...aare,
        userInformation: protectedAs(encodeApdu(initiateResponse), 0x28, 0x20, 0xffff_ffff),
      })),
    });
    expect(code(event)).toBe('connected');
    expect(peer).toEqual({ title: undefined, heard: -1 });
    expect(code(it.ask(get, 'got'))).toBe('got');
    expect(peer).toMatchObject({ title: Uint8Array.from(serverTitle), proven: true });
  });
  test('with encryption alone nothing is proven, and a counter that comes again is refused all the same', () => {
    let recorded: Uint8Array | undefined;
    const { it } = opened({
      mechanism: 'lls',
      ciphered: true,
      policy: 'encrypted',
      initiate: 'encrypted',
      meddle: onAnswer((apdu) => (apdu[0] === 0x61 ? apdu : (recorded ??= apdu))),
    });
    expect(code(it.ask(get, 'got'))).toBe('got');
    expect(code(it.ask(get, 'got'))).toBe('replayed-counter');
  });
});

describe('what InitiateResponse may say', () => {
  const usual = '0800065f1f0400001e1d01900007';
  test.each([
    ['quality of service', usual.replace('0800', '080100')],
    ['another version', usual.replace('080006', '080007')],
    ['no limit of its APDUs, by 0', usual.replace('0190', '0000')],
    ['no limit of its APDUs, by FFFF', usual.replace('0190', 'ffff')],
    ['a limit in which no service fits', usual.replace('0190', '0005')],
    ['another VAA name', usual.replace(/0007$/, 'fa00')],
    ['no VAA name', usual.slice(0, -4)],
    ['no sizes at all', usual.slice(0, -8)],
    ['octets behind its end', `${usual}eeeeee`],
    ['more than was proposed', usual.replace('001e1d', 'ffffff')],
    ['nothing of what was proposed', usual.replace('001e1d', '000000')],
    ['the tag of its conformance on one octet', usual.replace('5f1f', '5f')],
    ['a length of its conformance on two octets', usual.replace('5f1f04', '5f1f8104')],
  ])('%s', (_, hex) => {
    for (const options of [{ mechanism: 'lls' }, { mechanism: 'lls', ciphered: true }] as const) {
      const { it, event } = opened({
        ...options,
        meddle: onAare((aare) => ({
          ...aare,
          userInformation: protectedAs(fromHex(hex), 0x28, 'ciphered' in options ? 0x30 : 0, 0),
        })),
      });
      expect(code(event)).toBe('connected');
      // Nothing that we did not propose is used, whatever the meter offers.
      expect(event.kind === 'connected' && has(event.conformance, 'general-block-transfer')).toBe(false);
      expect(code(it.ask(get, 'got'))).toBe('got');
    }
  });
  test.each([
    ['no conformance', '080006'],
    ['a conformance of another length', usual.replace('5f1f0400001e1d', '5f1f0300001e')],
    ['something else', 'c401c1001105'],
  ])('%s: refused at once', (_, hex) => {
    const { event } = opened({
      mechanism: 'lls',
      meddle: onAare((aare) => ({ ...aare, userInformation: fromHex(hex) })),
    });
    expect(code(event)).toMatch(/malformed-octets|association-refused/);
  });
});

describe('what stands behind which tag', () => {
  const getResponse = fromHex('c401c1001105');
  const exception = fromHex('d80102');
  const general = (content: Uint8Array) => Uint8Array.of(0xdb, 8, ...serverTitle, content.length, ...content);
  const answered = (options: Options, answer: (counter: number) => Uint8Array) => {
    let armed = false;
    const { it, event } = opened({
      mechanism: 'lls',
      ciphered: true,
      ...options,
      meddle: onAnswer((apdu) => (armed ? answer(9000) : apdu)),
    });
    expect(code(event)).toBe('connected');
    armed = true;
    return it.ask(get, 'got');
  };
  test.each(['service', 'general', 'general-ciphering'] as const)(
    'asked by %s: answered by the tag of the service, or by general-glo',
    (wrapping) => {
      const content = (counter: number) =>
        protect(getResponse, { control: 0x30, counter, systemTitle: serverTitle }, keys);
      expect(code(answered({ wrapping }, (counter) => protectedAs(getResponse, 0xcc, 0x30, counter)))).toBe('got');
      expect(code(answered({ wrapping }, (counter) => general(content(counter))))).toBe('got');
    },
  );
  test('an exception behind any tag is the meter’s exception, and no other APDU is taken behind a tag that is not its own', () => {
    for (const tag of [0xcc, 0xcf]) {
      const event = answered({}, (counter) => protectedAs(exception, tag, 0x30, counter));
      expect(code(event)).toBe('service-exception');
      expect(message(event)).toContain('service not supported');
    }
    expect(code(answered({}, (counter) => protectedAs(getResponse, 0xcf, 0x30, counter)))).not.toBe('got');
    expect(code(answered({}, (counter) => protectedAs(exception, 0xcc, 0x20, counter)))).toBe('protection-weaker');
  });
  test('what the model says of InitiateResponse holds in the AARE, behind whatever tag, and nowhere else', () => {
    const plain = encodeApdu(initiateResponse);
    const inAare = (userInformation: Uint8Array) =>
      opened({
        mechanism: 'lls',
        ciphered: true,
        initiate: 'encrypted',
        meddle: onAare((aare) => ({ ...aare, userInformation })),
      }).event;
    expect(code(inAare(general(protect(plain, { control: 0x20, counter: 0, systemTitle: serverTitle }, keys))))).toBe(
      'connected',
    );
    expect(code(inAare(general(protect(plain, { control: 0x10, counter: 0, systemTitle: serverTitle }, keys))))).toBe(
      'protection-weaker',
    );
    const later = (counter: number) => protectedAs(plain, 0x28, 0x20, counter);
    expect(code(answered({ initiate: 'encrypted' }, later))).toBe('protection-weaker');
  });
});

describe('82, 83: octet by octet', () => {
  /** Control 20, counter 0, no tag: keys 00…0F, D0…DF, title ABCDEFGH. */
  const vectors: readonly [name: string, hex: string, apdu: Apdu][] = [
    [
      'conformance behind 5F 1F',
      '0800065f1f0400005018019000 07',
      { kind: 'initiate-response', version: 6, conformance: 0x005018, maxPdu: 400, vaaName: 7 },
    ],
    [
      'conformance behind 5F',
      '0800065f0400005018019000 07',
      { kind: 'initiate-response', version: 6, conformance: 0x005018, maxPdu: 400, vaaName: 7 },
    ],
    [
      'InitiateRequest, conformance behind 5F',
      '01000000065f0400007e1f04b0',
      { kind: 'initiate-request', responseAllowed: true, version: 6, conformance: 0x007e1f, maxPdu: 1200 },
    ],
  ];
  const plain = (hex: string) => fromHex(hex.replaceAll(' ', ''));
  test.each(vectors)('%s', (_, hex, apdu) => {
    expect(decodeApdu(plain(hex))).toEqual({ apdu, trailing: 0 });
    // We write the tag on two octets, as the book says.
    const written = toHex(encodeApdu(apdu));
    expect(written).toBe(toHex(plain(hex)).replace(/5f(1f)?04/, '5f1f04'));
    expect(decodeApdu(fromHex(written)).apdu).toEqual(apdu);
  });
  test.each(vectors)('%s: cut at any octet, any bit flipped', (_, hex, apdu) => {
    const octets = plain(hex);
    // An InitiateResponse may end before its sizes: they limit nothing then.
    const sizes = apdu.kind === 'initiate-response' ? [octets.length - 4, octets.length - 2] : [];
    for (let end = 0; end < octets.length; end++) {
      const cut = () => decodeApdu(octets.subarray(0, end)).apdu;
      if (sizes.includes(end)) expect(cut()).toMatchObject({ conformance: 0x005018, vaaName: 7 });
      else expect(cut, `cut at ${end}`).toThrow(CodecError);
    }
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
  const encryptedOnly = fromHex('2813200000000016584d6f2bf437535768d9c08177');
  const reader = (initiate: Protection | undefined) => {
    const ciphering = new Ciphering({
      suite: 0,
      ownTitle: Buffer.from('MGW00001'),
      keys,
      policy: 'authenticated-encrypted',
      wrapping: 'service',
      ...(initiate && { initiate }),
      nextCounter: () => 0,
    });
    ciphering.meetTitle(serverTitle);
    return (octets: Uint8Array) => {
      const { apdu } = decodeApdu(octets);
      if (!Ciphering.isCiphered(apdu)) throw new Error(apdu.kind);
      return ciphering.unwrap(apdu, true);
    };
  };
  test('InitiateResponse encrypted only: the same octets both ways', () => {
    const inside = encodeApdu({ ...initiateResponse, conformance: 0x005018 });
    expect(toHex(protectedAs(inside, 0x28, 0x20, 0))).toBe(toHex(encryptedOnly));
    expect(toHex(reader('encrypted')(encryptedOnly))).toBe(toHex(inside));
    expect(() => reader(undefined)(encryptedOnly)).toThrow(/weaker than the policy/);
  });
  test('cut at any octet; a flipped bit of the control makes it no stronger', () => {
    for (let end = 0; end < encryptedOnly.length; end++)
      expect(() => reader('encrypted')(encryptedOnly.subarray(0, end))).toThrow();
    for (let bit = 0; bit < 8; bit++) {
      const damaged = encryptedOnly.slice();
      damaged[2] = (damaged[2] as number) ^ (1 << bit);
      expect(() => reader(undefined)(damaged), `bit ${bit}`).toThrow();
    }
  });
});

describe('an AARE says what it must, and the rest as it likes', () => {
  /** Elements of an AARE as they stand. */
  const elements = (octets: Uint8Array): [number, Uint8Array][] => {
    const found: [number, Uint8Array][] = [];
    for (let at = 2; at < octets.length; at += 2 + (octets[at + 1] as number))
      found.push([octets[at] as number, octets.subarray(at + 2, at + 2 + (octets[at + 1] as number))]);
    return found;
  };
  const rebuilt = (all: readonly (readonly [number, Uint8Array])[]): Uint8Array => {
    const body = all.flatMap(([tag, content]) => [tag, content.length, ...content]);
    return Uint8Array.of(0x61, body.length, ...body);
  };
  const without = (tag: number) => (octets: Uint8Array) => rebuilt(elements(octets).filter(([one]) => one !== tag));
  const withElement = (tag: number, hex: string) => (octets: Uint8Array) =>
    rebuilt([
      ...elements(octets).filter(([one]) => one !== tag && one !== 0xbe),
      [tag, fromHex(hex)] as const,
      ...elements(octets).filter(([one]) => one === 0xbe),
    ]);
  const forms: readonly [string, (octets: Uint8Array) => Uint8Array][] = [
    ['no application context', without(0xa1)],
    ['another application context', withElement(0xa1, '060760857405080109')],
    ['an application context of somebody else', withElement(0xa1, '06032a0304')],
    ['no diagnostic', without(0xa3)],
    ['an empty diagnostic', withElement(0xa3, '')],
    ['a diagnostic of the provider', withElement(0xa3, 'a203020100')],
    ['result as an ENUMERATED', withElement(0xa2, '0a0100')],
    ['a mechanism name inside of an OBJECT IDENTIFIER', withElement(0x89, '060760857405080201')],
    ['a mechanism name of somebody else', withElement(0x89, '2a0304')],
    ['an AE qualifier that is none', withElement(0xa5, 'ff')],
    ['an AE invocation id that is none', withElement(0xa7, '')],
    ['ACSE requirements that are empty', withElement(0x88, '')],
    [
      'user-information without its inner tag',
      (octets) =>
        rebuilt(elements(octets).map(([tag, content]) => [tag, tag === 0xbe ? content.subarray(2) : content] as const)),
    ],
    [
      'a system title without its inner tag',
      (octets) =>
        rebuilt(elements(octets).map(([tag, content]) => [tag, tag === 0xa4 ? content.subarray(2) : content])),
    ],
    ['elements that nobody knows', withElement(0xbd, '0403010203')],
  ];
  const raw = (change: (octets: Uint8Array) => Uint8Array) =>
    onAnswer((apdu) => (apdu[0] === 0x61 ? change(apdu) : apdu));
  test.each(forms)('%s: in the clear and ciphered', (_, change) => {
    for (const options of [{ mechanism: 'lls' }, { mechanism: 'hls-gmac' }, { mechanism: 'hls-sha256' }] as const) {
      const { it, event } = opened({ ...options, meddle: raw(change) });
      expect(code(event), options.mechanism).toBe('connected');
      expect(code(it.ask(list, 'got'))).toBe('got');
    }
  });
  test('no result: refused by name', () => {
    const { event } = opened({ mechanism: 'lls', meddle: raw(without(0xa2)) });
    expect(code(event)).toBe('malformed-octets');
    expect(message(event)).toContain('aare without result');
  });
  test('no challenge: high level security is not skipped', () => {
    const { event } = opened({ mechanism: 'hls-sha256', meddle: raw(without(0xaa)) });
    expect(code(event)).toBe('meter-unproven');
  });
  test('a challenge or a title that cannot be read: none, and nothing is lost where none is needed', () => {
    for (const [tag, hex] of [
      [0xaa, '04ff01'],
      [0xa4, '0409'],
    ] as const) {
      expect(code(opened({ mechanism: 'lls', meddle: raw(withElement(tag, hex)) }).event)).toBe('connected');
      expect(code(opened({ mechanism: 'hls-gmac', meddle: raw(withElement(tag, hex)) }).event)).toBe(
        tag === 0xaa ? 'meter-unproven' : 'deciphering-failed',
      );
    }
  });
  test('diagnostic 14 with low level security: a second pass only where a challenge came', () => {
    const wanting = (aare: Aare): Aare => ({ ...aare, diagnostic: { source: 'acse-service-user', code: 14 } });
    expect(code(opened({ mechanism: 'lls', meddle: onAare(wanting) }).event)).toBe('connected');
    const challenged = onAare((aare) => ({ ...wanting(aare), authenticationValue: Buffer.from('challenge') }));
    expect(code(opened({ mechanism: 'lls', meddle: challenged }).event)).toBe('mechanism-refused');
  });
  test('no InitiateResponse: one attribute at a time; in a ciphered context refused by name', () => {
    const bare = raw(without(0xbe));
    const { it, event } = opened({ mechanism: 'lls', meddle: bare });
    expect(event.kind === 'connected' && has(event.conformance, 'multiple-references')).toBe(false);
    expect(code(it.ask(list, 'got'))).toBe('got');
    expect(it.wire.some(({ octets }) => octets[8] === 0xc0 && octets[9] === 3)).toBe(false);
    const ciphered = opened({ mechanism: 'hls-gmac', meddle: bare }).event;
    expect(code(ciphered)).toBe('protection-weaker');
    expect(message(ciphered)).toContain('no InitiateResponse');
  });
  test('no system title: the one that the meter authenticated itself with before; refused by name where none is known', () => {
    const nameless = raw(without(0xa4));
    const first = opened({ mechanism: 'hls-gmac', meddle: nameless }).event;
    expect(code(first)).toBe('deciphering-failed');
    expect(message(first)).toContain('no system title, and none is known');
    const peer: PeerMemory = { title: serverTitle, heard: -1, challenged: true };
    const { it, event } = opened({ mechanism: 'hls-gmac', meddle: nameless, peer });
    expect(code(event)).toBe('connected');
    expect(code(it.ask(get, 'got'))).toBe('got');
    const titled = opened({ mechanism: 'hls-gmac', meddle: nameless, peerTitle: serverTitle });
    expect(code(titled.event)).toBe('connected');
    const other = opened({
      mechanism: 'hls-gmac',
      meddle: nameless,
      peer: { ...peer, title: Buffer.from('HGFEDCBA') },
    });
    expect(code(other.event)).toBe('deciphering-failed');
    const short = opened({ mechanism: 'hls-gmac', meddle: raw(withElement(0xa4, '040741424344454647')) }).event;
    expect(message(short)).toContain('system title of 7 octets');
  });
  test.each([
    [1, 'DLMS version too low', 'proposal-refused'],
    [2, 'incompatible conformance', 'proposal-refused'],
    [3, 'PDU size too short', 'proposal-refused'],
    [4, 'refused by the VDE handler', 'association-refused'],
  ])('84: initiateError %i is told by its name, with result 0, 1 or 2', (value, name, expected) => {
    for (const result of [0, 1, 2])
      for (const mechanism of ['lls', 'hls-gmac'] as const) {
        const userInformation = Uint8Array.of(0x0e, 1, 6, value);
        const { event } = opened({ mechanism, meddle: onAare((aare) => ({ ...aare, result, userInformation })) });
        expect(code(event)).toBe(expected);
        expect(message(event)).toContain(name);
      }
  });
  test('84: a wrong password stays one, whatever stands beside it', () => {
    const { event } = opened({
      mechanism: 'lls',
      meddle: onAare((aare) => ({
        ...aare,
        result: 1,
        diagnostic: { source: 'acse-service-user', code: 13 },
        userInformation: Uint8Array.of(0x0e, 1, 6, 2),
      })),
    });
    expect(code(event)).toBe('authentication-refused');
  });
  test('84: initiateError behind the keys', () => {
    const error = protectedAs(Uint8Array.of(0x0e, 1, 6, 2), 0x2e, 0x30, 1);
    const { event } = opened({
      mechanism: 'hls-gmac',
      meddle: onAare((aare) => ({ ...aare, result: 1, userInformation: error })),
    });
    expect(code(event)).toBe('proposal-refused');
  });
});

describe('what is sent unasked, or by nobody', () => {
  const push = fromHex('0f00000001000201120001');
  test.each([
    ['a push in the clear', push],
    ['an event in the clear', fromHex('c20000030100010800ff020600000001')],
    ['a push by general-glo that no key fits', fromHex(`db08414243444546474818303f${'00'.repeat(22)}`)],
    ['an event that no key fits', fromHex(`ca1430${'00'.repeat(19)}`)],
  ])('incident: %s ended the ciphered association, and counted as a refusal', (_, unasked) => {
    // Behind the wrapper nothing tells an answer by general-glo from a push of it.
    for (const link of unasked[0] === 0xdb ? (['hdlc'] as const) : (['wrapper', 'hdlc'] as const)) {
      const before =
        link === 'wrapper'
          ? encodeWrapper({ source: 1, destination: 1, apdu: unasked })
          : encodeFrame({
              destination: { logical: 1, size: 1 },
              source: serverAddress(1),
              control: { kind: 'UI', pollFinal: false },
              segmented: false,
              information: Uint8Array.of(0xe6, 0xe7, 0, ...unasked),
            });
      const it = world({
        link,
        mechanism: 'hls-gmac',
        meddle: (octets, __, from) => (from === 'server' ? Buffer.concat([before, octets]) : octets),
      });
      expect(code(it.ask({ kind: 'connect' }, 'connected')), link).toBe('connected');
      expect(code(it.ask(list, 'got')), link).toBe('got');
    }
  });
  test('an answer in the clear is still no answer', () => {
    let armed = false;
    const it = world({ mechanism: 'hls-gmac', meddle: onAnswer((apdu) => (armed ? fromHex('c401c2001105') : apdu)) });
    it.ask({ kind: 'connect' }, 'connected');
    armed = true;
    expect(code(it.ask(get, 'got'))).toBe('protection-weaker');
  });
});

describe('92: text in place of an APDU', () => {
  const words = Buffer.from('NEXERRORNO-1\r\n', 'latin1');
  const frames = [fromHex('c401c1001105'), fromHex('c401c2001106')].map((apdu) =>
    encodeWrapper({ source: 1, destination: 1, apdu }),
  );
  test('before, between and behind frames of the wrapper, cut anywhere: the frames are whole, and the last words are known', () => {
    const stream = Buffer.concat([words, frames[0] as Uint8Array, words, frames[1] as Uint8Array, words]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const unwrapper = new Unwrapper();
      const got = [stream.subarray(0, cut), stream.subarray(cut)].flatMap((part) => unwrapper.push(part));
      expect(
        got.map(({ apdu }) => toHex(apdu)),
        `cut at ${cut}`,
      ).toEqual(['c401c1001105', 'c401c2001106']);
      expect(Buffer.from(unwrapper.takeText() ?? []).toString()).toBe(words.toString());
    }
  });
  test('what is no text and no header ends the stream', () => {
    for (const octets of [Uint8Array.of(0xff, 0, 1, 0, 1, 0, 1, 0, 0), Uint8Array.of(0, 2, 0, 1, 0, 1, 0, 0)])
      expect(() => new Unwrapper().push(octets)).toThrow(/wrapper version/);
  });
  test.each(['as an APDU', 'without a header'])('%s: AARQ answered so is said; a request so fails alone', (how) => {
    let armed = true;
    const it = world({
      mechanism: 'lls',
      meddle: (octets, _, from) => {
        if (from !== 'server' || !armed) return octets;
        return how === 'as an APDU' ? encodeWrapper({ source: 1, destination: 1, apdu: words }) : words;
      },
    });
    const refused = it.ask({ kind: 'connect' }, 'connected');
    expect(code(refused)).toBe('malformed-octets');
    expect(message(refused)).toContain('"NEXERRORNO-1"');
    const again = world({ mechanism: 'lls', meddle: onAnswer((apdu) => (armed ? words : apdu)) });
    armed = false;
    again.ask({ kind: 'connect' }, 'connected');
    armed = true;
    expect(message(again.ask(get, 'got'))).toContain('"NEXERRORNO-1"');
    armed = false;
    expect(code(again.ask(get, 'got'))).toBe('got');
  });
  test('an APDU is no text, however many of its octets are letters', () => {
    for (const { apdu } of frames.flatMap((frame) => new Unwrapper().push(frame)))
      expect(decodeApdu(apdu).apdu.kind).toBe('get-response-normal');
    expect(plainText(fromHex('63038001 00'.replace(' ', '')))).toBeUndefined();
    expect(plainText(Buffer.from('abc'))).toBeUndefined();
    expect(plainText(Buffer.from(`x${'y'.repeat(200)}`))).toHaveLength(60);
  });
});

describe('who answers', () => {
  const between =
    (source: number, destination: number): NonNullable<Options['meddle']> =>
    (octets, _, from) => {
      if (from !== 'server') return octets;
      return Buffer.concat([octets.subarray(0, 2), Uint8Array.of(0, source, 0, destination), octets.subarray(6)]);
    };
  const asked = (meddle: NonNullable<Options['meddle']>) => {
    const it = world({ mechanism: 'lls', client: 16, meddle });
    return { it, event: it.ask({ kind: 'connect' }, 'connected') };
  };
  test('between the wPorts of the request, not turned round: taken', () => {
    const { it, event } = asked(between(16, 1));
    expect(code(event)).toBe('connected');
    expect(code(it.ask(get, 'got'))).toBe('got');
  });
  test('between others: not taken for ours, and no silence: the mains are not to blame', () => {
    const { event } = asked(between(2, 16));
    expect(code(event)).toBe('unexpected-apdu');
    expect(message(event)).toBe('answers came from wPort 2 to 16, none from wPort 1 to 16: check server and client');
  });
  test('another invoke-id is another answer, and that is what is said', () => {
    const it = world({
      mechanism: 'lls',
      meddle: onAnswer((apdu) =>
        apdu[0] === 0xc4 ? Uint8Array.of(...apdu.subarray(0, 2), 0xc9, ...apdu.subarray(3)) : apdu,
      ),
    });
    it.ask({ kind: 'connect' }, 'connected');
    const event = it.ask(get, 'got');
    expect(code(event)).toBe('answer-stalled');
    expect(message(event)).toContain('get-response-normal with invoke-id 9, asked with 1');
  });
});
