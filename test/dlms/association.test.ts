/** Client against server: every mechanism, suite, policy, wrapping and link; and everything that must be refused. */
import { describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { decodeAcse, encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { ClientAssociation } from '../../src/dlms/association/client.ts';
import { proposedByDefault } from '../../src/dlms/association/client-entry.ts';
import { acceptingAare } from '../support/accepting-aare.ts';
import { associationInputs, associationStates, associationTable } from '../../src/dlms/association/client-states.ts';
import { serverConformance } from '../../src/dlms/association/server-conformance.ts';
import { invoked, key, type Options, world, written } from '../support/association-world.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import type { StackEvent, StackRequest } from '../../src/dlms/stack/client.ts';
import { conformance } from '../../src/dlms/xdlms/conformance.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';

const get = (...names: LogicalName[]): StackRequest => ({
  kind: 'get',
  attributes: names.map((logicalName) => ({ classId: 1, logicalName, attribute: 2 })),
});
const name = '0.0.42.0.0.255';
const long = '0.0.96.1.0.255';
const code = (event: StackEvent): string => (event.kind === 'failed' ? event.error.code : event.kind);

function works(options: Options): ReturnType<typeof world> {
  const it = world(options);
  expect(code(it.ask({ kind: 'connect' }, 'connected'))).toBe('connected');
  const both = it.ask(get(name, long), 'got');
  expect(
    both.kind === 'got' &&
      both.results.map((result) => 'data' in result && result.data.type === 'octet-string' && result.data.value.length),
  ).toEqual([16, 3000]);
  const one = it.ask(get(name), 'got');
  expect(one.kind === 'got' && one.results).toEqual([
    { data: { type: 'octet-string', value: Uint8Array.from(Buffer.from('SIM0000000000001')) } },
  ]);
  expect(code(it.ask({ kind: 'close' }, 'closed'))).toBe('closed');
  return it;
}

test('the table has an action for every state and input', () => {
  for (const state of associationStates) expect(Object.keys(associationTable[state])).toEqual([...associationInputs]);
});

describe('what only a client says comes from a meter', () => {
  const requests = [encodeAcse({ kind: 'aarq', applicationContext: 1 }), encodeAcse({ kind: 'rlrq', reason: 0 })];
  const client = () =>
    new ClientAssociation({
      mechanism: 'none',
      proposed: proposedByDefault | conformance('access'),
      maxPdu: 1024,
      answerTimeoutMs: 1000,
      valueLimit: 1 << 16,
    });
  const now = millis(0);
  test.each(requests)('in answer to AARQ it is passed over, and named where nothing else comes', (request) => {
    const it = client();
    it.request({ kind: 'associate' }, now);
    it.receive(request, now);
    expect([it.state, it.pollEvent(), it.disregarded]).toEqual(['associating', undefined, decodeAcse(request).kind]);
  });
  test.each(requests)(
    'in answer to ACCESS, which is told by nothing else, it ends the request and not the association',
    (request) => {
      const it = client();
      it.request({ kind: 'associate' }, now);
      it.receive(acceptingAare(1024, conformance('access')), now);
      expect(it.pollEvent()?.kind).toBe('associated');
      it.request(
        { kind: 'access', items: [{ kind: 'get', attribute: { classId: 1, logicalName: name, attribute: 2 } }] },
        now,
      );
      it.receive(request, now);
      expect(it.pollEvent()).toMatchObject({ kind: 'failed', error: { code: 'unexpected-apdu' } });
      expect(it.state).toBe('associated');
    },
  );
});

describe.each(['hdlc', 'wrapper'] as const)('%s', (link) => {
  test.each(['none', 'lls', 'hls-manufacturer', 'hls-md5', 'hls-sha1', 'hls-sha256', 'hls-ecdsa'] as const)(
    '%s, in the clear',
    (mechanism) => {
      const it = works({ link, mechanism });
      expect(it.wire.some(({ octets: sent }) => Buffer.from(sent).includes('SIM0000000000001'))).toBe(true);
    },
  );
  describe.each([0, 1, 2] as const)('suite %i', (suite) => {
    test.each(['none', 'lls', 'hls-md5', 'hls-sha1', 'hls-gmac', 'hls-sha256', 'hls-ecdsa'] as const)(
      '%s, authenticated and encrypted',
      (mechanism) => {
        const it = works({ link, mechanism, suite, ciphered: true });
        expect(it.wire.some(({ octets: sent }) => Buffer.from(sent).includes('SIM0000000000001'))).toBe(false);
      },
    );
    test.each(['authenticated', 'encrypted'] as const)('policy: %s only', (policy) => {
      works({ link, mechanism: 'hls-gmac', suite, policy });
    });
    test('general-glo-ciphering', () => {
      works({ link, mechanism: 'hls-gmac', suite, wrapping: 'general' });
    });
    test('dedicated key, per service and general', () => {
      const it = works({ link, mechanism: 'hls-gmac', suite, dedicated: true });
      // Global counters are used for the association only: initiate, proof, and its request.
      expect(it.clientCounter.value).toBeLessThanOrEqual(103);
      works({ link, mechanism: 'hls-gmac', suite, dedicated: true, wrapping: 'general' });
    });
  });
});

describe('values that are longer than the meter’s PDU go out in blocks', () => {
  const value: Data = { type: 'octet-string', value: Uint8Array.from({ length: 2345 }, (_, i) => i & 0xff) };
  const set: StackRequest = {
    kind: 'set',
    assignments: [{ attribute: { classId: 18, logicalName: '0.0.44.0.0.255' as const, attribute: 2 }, value }],
  };
  const action: StackRequest = {
    kind: 'action',
    invocations: [{ classId: 18, logicalName: '0.0.44.0.0.255' as const, method: 2, parameters: value }],
  };
  test.each([
    ['hdlc, in the clear', { link: 'hdlc', mechanism: 'lls' }],
    ['wrapper, in the clear', { mechanism: 'lls' }],
    ['wrapper, ciphered', { mechanism: 'hls-gmac' }],
    [
      'hdlc, general ciphering, dedicated key',
      { link: 'hdlc', mechanism: 'hls-gmac', wrapping: 'general', dedicated: true },
    ],
  ] as [string, Options][])('%s', (_, options) => {
    const it = world(options);
    it.ask({ kind: 'connect' }, 'connected');
    expect(it.ask(set, 'was-set')).toEqual({ kind: 'was-set', results: [0] });
    expect(written.at(-1)).toEqual(value);
    expect(it.ask(action, 'acted')).toEqual({ kind: 'acted', results: [{ result: 0 }] });
    expect(invoked.at(-1)).toEqual(value);
    // No frame to the meter is longer than what it takes.
    if (!options.link)
      for (const { from, octets: sent } of it.wire)
        if (from === 'client') expect(sent.length - 8).toBeLessThanOrEqual(400);
    const one = it.ask(get(name), 'got');
    expect(code(one)).toBe('got');
  });
  test('refused at the end; stopped by the meter in the middle: at once (meter-quirks 54)', () => {
    const it = world({ mechanism: 'lls' });
    it.ask({ kind: 'connect' }, 'connected');
    const denied = it.ask(
      { kind: 'set', assignments: [{ attribute: { classId: 1, logicalName: name, attribute: 2 }, value }] },
      'was-set',
    );
    expect(denied).toEqual({ kind: 'was-set', results: [3] });
    let blocks = 0;
    const stopped = world({
      mechanism: 'lls',
      meddle: (sent, _, from) => {
        if (from !== 'server' || sent[8] !== 0xc5) return sent;
        blocks++;
        const last = Buffer.from([0xc5, 0x03, sent[10] as number, 0x11, 0, 0, 0, 1]);
        return Buffer.concat([sent.subarray(0, 6), Buffer.from([0, last.length]), last]);
      },
    });
    stopped.ask({ kind: 'connect' }, 'connected');
    expect(stopped.ask(set, 'was-set')).toEqual({ kind: 'was-set', results: [17] });
    expect(blocks).toBe(1);
  });
  test('a meter that cannot take blocks: request-too-long, before anything is sent', () => {
    const it = world({
      mechanism: 'lls',
      serverConformance: serverConformance & ~conformance('block-transfer-with-set-or-write'),
    });
    it.ask({ kind: 'connect' }, 'connected');
    const before = it.wire.length;
    expect(() => it.ask(set, 'was-set')).toThrow(/the meter takes 400/);
    expect(it.wire).toHaveLength(before);
    expect(code(it.ask(get(name), 'got'))).toBe('got');
  });
});

describe('refused, and said so', () => {
  test('a wrong secret: by the meter, in every mechanism; nothing is asked twice', () => {
    for (const mechanism of ['lls', 'hls-md5', 'hls-sha1', 'hls-sha256', 'hls-manufacturer'] as const) {
      const it = world({ mechanism, secret: 'wrong' });
      expect(code(it.ask({ kind: 'connect' }, 'connected')), mechanism).toBe('authentication-refused');
      expect(it.wire.filter(({ from }) => from === 'client').length).toBeLessThanOrEqual(2);
    }
  });
  test('a meter without the secret cannot pose as ours', () => {
    for (const mechanism of ['hls-md5', 'hls-sha256'] as const) {
      // The server's last answer, its proof, is damaged in its last octet.
      const it = world({
        mechanism,
        meddle: (sent, index) =>
          index === 3 ? sent.map((octet, i) => (i === sent.length - 1 ? octet ^ 1 : octet)) : sent,
      });
      const failed = it.ask({ kind: 'connect' }, 'connected');
      expect(code(failed)).toBe('meter-unproven');
      expect(failed.kind === 'failed' && failed.error.message).toContain("meter's proof is wrong");
    }
  });
  test('our own challenge sent back', () => {
    const it = world({
      mechanism: 'hls-md5',
      meddle: (sent, _, from) =>
        from === 'server'
          ? Buffer.from(Buffer.from(sent).toString('latin1').replace('server-challenge', 'client-challenge'), 'latin1')
          : sent,
    });
    expect(code(it.ask({ kind: 'connect' }, 'connected'))).toBe('meter-unproven');
  });
  test('wrong keys: the meter does not associate, and one attempt is all', () => {
    const it = world({ mechanism: 'hls-gmac', clientKeys: { ek: key(16, 1), ak: key(16, 0xd0) } });
    expect(code(it.ask({ kind: 'connect' }, 'connected'))).toBe('association-refused');
    expect(it.wire).toHaveLength(2);
  });
  test('any flipped bit in a ciphered answer: deciphering-failed or malformed, never a value', () => {
    for (let bit = 0; bit < 40 * 8; bit += 3) {
      let armed = false;
      const it = world({
        mechanism: 'hls-gmac',
        meddle: (sent, _, from) =>
          armed && from === 'server'
            ? sent.map((octet, i) => (i === 8 + (bit >> 3) ? octet ^ (1 << (bit & 7)) : octet))
            : sent,
      });
      it.ask({ kind: 'connect' }, 'connected');
      armed = true;
      const event = it.ask(get(name), 'got');
      expect(event.kind, `bit ${bit}`).toBe('failed');
    }
  });
  test('an answer in the clear, inside of a ciphered association', () => {
    let armed = false;
    const plain = Buffer.from('c401c2001105', 'hex');
    const it = world({
      mechanism: 'hls-gmac',
      meddle: (sent, _, from) =>
        armed && from === 'server' ? Buffer.concat([Buffer.from([0, 1, 0, 1, 0, 1, 0, plain.length]), plain]) : sent,
    });
    it.ask({ kind: 'connect' }, 'connected');
    armed = true;
    expect(code(it.ask(get(name), 'got'))).toBe('protection-weaker');
  });
  test('a replayed answer: replayed-counter', () => {
    let recorded: Uint8Array | undefined;
    let replay = false;
    const it = world({
      mechanism: 'hls-gmac',
      meddle: (sent, _, from) => {
        if (from !== 'server') return sent;
        if (replay) return recorded as Uint8Array;
        recorded = sent;
        return sent;
      },
    });
    it.ask({ kind: 'connect' }, 'connected');
    it.ask(get(name), 'got');
    replay = true;
    expect(code(it.ask(get(name), 'got'))).toBe('replayed-counter');
  });
  test('a replayed request: the meter answers invocation-counter-error with the counter that it wants', () => {
    const it = world({ mechanism: 'hls-gmac' });
    it.ask({ kind: 'connect' }, 'connected');
    it.ask(get(name), 'got');
    it.clientCounter.value = 101;
    const failed = it.ask(get(name), 'got');
    expect(code(failed)).toBe('service-exception');
    expect(failed.kind === 'failed' && failed.error.message).toContain('invocation counter error');
    expect(
      failed.kind === 'failed' &&
        (failed.error.detail as { apdu: { invocationCounter: number } }).apdu.invocationCounter,
    ).toBeGreaterThan(101);
  });
  test('a counter lower than in the association before: not associated', () => {
    const first = works({ mechanism: 'hls-gmac' });
    const behind = world({ mechanism: 'hls-gmac', clientCounter: { value: 100 }, server: first.server });
    expect(code(behind.ask({ kind: 'connect' }, 'connected'))).toBe('association-refused');
    const ahead = world({ mechanism: 'hls-gmac', clientCounter: { value: 10_000 }, server: first.server });
    expect(code(ahead.ask({ kind: 'connect' }, 'connected'))).toBe('connected');
  });
  test('a context or mechanism that the meter does not offer to this client', () => {
    expect(code(world({ mechanism: 'lls', serverMechanism: 'hls-md5' }).ask({ kind: 'connect' }, 'connected'))).toBe(
      'authentication-refused',
    );
    expect(code(world({ mechanism: 'none', serverMechanism: 'lls' }).ask({ kind: 'connect' }, 'connected'))).toBe(
      'authentication-required',
    );
  });
  test('HLS without challenge or secret is our own mistake, before anything is sent', () => {
    const it = world({ mechanism: 'hls-md5', secret: '' });
    expect(it.wire).toEqual([]);
  });
});
