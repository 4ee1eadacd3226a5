/** Abuse of the way orders come: whatever arrives, nothing is done that the central system did not sign for here and now. */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { orderKeyOf } from '../../src/command/keys.ts';
import { hasDuplicateMember } from '../../src/command/json-members.ts';
import { orderRoom } from '../../src/command/orders.ts';
import { orderLimit } from '../../src/command/order.ts';
import { verifyOrder } from '../../src/command/verify.ts';
import { Failure } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Fact, ResultFact } from '../../src/reading/facts.ts';
import { seeded } from '../../src/simulator/random.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { holdCrypto } from '../support/held-crypto.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { centralKey, foreignKey, kidOf, nextKey, order, publicOf, signed } from '../support/signed-order.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const octets = (text: string) => Buffer.from(text);
const pinned = new Map(
  [centralKey, nextKey].map((key) => {
    const found = orderKeyOf(octets(JSON.stringify(publicOf(key))), 'a key');
    return [found.kid, found.key];
  }),
);
const start = Date.UTC(2026, 10, 28, 12);

/** A room with a store of its own; what would reach a meter is counted. */
async function room() {
  const clock = new VirtualClock(start);
  const release = await holdCrypto(clock);
  const database = new MemoryDatabase();
  const store = await Store.open({ open: () => Promise.resolve(database), clock, newEpoch: () => 1 });
  const done: string[] = [];
  const act = <T>(what: string): Promise<T> => {
    done.push(what);
    return Promise.reject(new Failure('busy', 'only counted'));
  };
  const it = orderRoom({
    store,
    clock,
    log: silentLog,
    gateway: 'g1',
    keys: pinned,
    enabled: new Set(['read', 'again', 'set-clock', 'disconnect', 'reconnect', 'firmware', 'version']),
    meterOf: (meter) => (meter === 'm60120001' ? { meter, serial: '60120001', point: 'p60120001' } : undefined),
    trusted: () => true,
    tools: {
      clock,
      readNow: () => act('read'),
      inSession: () => act('session'),
      sayAgain: () => act('again'),
      version: () => ({ version: '1' }),
      image: () => act('image'),
      trace: () => act('trace'),
    },
  });
  const stop = new AbortController();
  const running = it.run(stop.signal);
  await clock.run(clock.now() + 1000);
  return {
    clock,
    store,
    done,
    send: (what: string | Uint8Array) => clock.complete(it.receive(typeof what === 'string' ? octets(what) : what)),
    receive: (jws: string) => it.receive(octets(jws)),
    facts: async (): Promise<Fact[]> => (await store.outbox(0, 0, 1e6)).map(factOf),
    results: async (): Promise<ResultFact[]> =>
      (await store.outbox(0, 0, 1e6)).map(factOf).filter((fact) => fact.kind === 'result'),
    end: async () => {
      stop.abort();
      await clock.complete(Promise.all([running, it.stop()]));
      release();
    },
  };
}
const now = () => start + 1000;
const sound = (more: Record<string, unknown> = {}) => ({ ...order(now(), 'disconnect'), ...more });
const swapped = (jws: string, i: number, content: string) => {
  const parts = jws.split('.');
  parts[i] = Buffer.from(content).toString('base64url');
  return parts.join('.');
};
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const instant = (at: number) => new Date(at).toISOString();

/** Nobody can say who sent it: it gets no answer. */
const forgeries: readonly [name: string, make: () => string | Uint8Array | Promise<string>][] = [
  ['nothing', () => ''],
  ['octets without meaning', () => Uint8Array.from({ length: 500 }, (_, i) => (i * 197) & 0xff)],
  ['JSON without a signature', () => JSON.stringify(sound())],
  ['another key', () => signed(sound(), foreignKey)],
  ['another key that calls itself by the name of ours', () => signed(sound(), foreignKey, { kid: kidOf(centralKey) })],
  ['altered payload', () => swapped(signed(sound()), 1, JSON.stringify(sound({ action: 'reconnect' })))],
  ['signature of another order', () => signed(sound()).replace(/[^.]+$/, signed(sound()).split('.')[2] as string)],
  ['no signature', () => signed(sound()).replace(/[^.]+$/, '')],
  ['alg none', () => signed(sound(), centralKey, { alg: 'none' }).replace(/[^.]+$/, '')],
  ['alg none with a signature', () => signed(sound(), centralKey, { alg: 'none' })],
  ['alg in other letters', () => signed(sound(), centralKey, { alg: 'eddsa' })],
  ['alg Ed25519', () => signed(sound(), centralKey, { alg: 'Ed25519' })],
  [
    'HS256 with the public key as the secret',
    () =>
      new SignJWT(sound())
        .setProtectedHeader({ alg: 'HS256', kid: kidOf(centralKey), typ: 'amr-order+jws' })
        .sign(octets(JSON.stringify(publicOf(centralKey)))),
  ],
  [
    'RS256',
    () =>
      new SignJWT(sound())
        .setProtectedHeader({ alg: 'RS256', kid: kidOf(centralKey), typ: 'amr-order+jws' })
        .sign(rsa.privateKey),
  ],
  ['crit', () => signed(sound(), centralKey, { crit: ['exp'], exp: 1 })],
  ['b64', () => signed(sound(), centralKey, { b64: false, crit: ['b64'] })],
  ...(['jwk', 'x5c', 'jku', 'x5u', 'zip', 'cty'] as const).flatMap((member) => {
    const content = { jwk: publicOf(foreignKey), x5c: ['MIIB'] }[member as string] ?? 'https://example.com/key';
    const kid = kidOf(centralKey);
    return [
      [`another key that names itself in ${member}`, () => signed(sound(), foreignKey, { kid, [member]: content })],
      [`${member} beside a sound signature`, () => signed(sound(), centralKey, { [member]: content })],
    ] as [string, () => string][];
  }),
  ['no kid', () => signed(sound(), centralKey, JSON.stringify({ alg: 'EdDSA', typ: 'amr-order+jws' }))],
  ['signed for something else', () => signed(sound(), centralKey, { typ: 'JWT' })],
  [
    'a member of the header twice',
    () =>
      signed(sound(), centralKey, `{"alg":"none","alg":"EdDSA","kid":"${kidOf(centralKey)}","typ":"amr-order+jws"}`),
  ],
  ['a member of the payload twice', () => signed(JSON.stringify(sound()).replace('{', '{"action":"read",'))],
  [
    'the same member, once escaped',
    () => signed(JSON.stringify(sound()).replace('{', String.raw`{"\u0061ction":"read",`)),
  ],
  ['no JSON', () => signed('disconnect')],
  ['a list', () => signed([sound()])],
  ['no id', () => signed({ ...sound(), id: undefined })],
  ['an id without end', () => signed({ ...sound(), id: 'x'.repeat(65) })],
  ['no UTF-8', () => signed(JSON.stringify(sound()).slice(0, -1) + '\ud800}')],
  ['longer than an order may be', () => signed(sound({ more: 'x'.repeat(orderLimit) }))],
  ['four parts', () => `${signed(sound())}.e30`],
  [
    'JSON serialisation',
    () => {
      const [head, payload, signature] = signed(sound()).split('.');
      return JSON.stringify({ protected: head, payload, signature });
    },
  ],
  ['a space at the end', () => `${signed(sound())} `],
  [
    'the last letter of the signature spelled otherwise',
    () => {
      const jws = signed(sound());
      const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      return jws.slice(0, -1) + last[last.indexOf(jws.at(-1) as string) + 1];
    },
  ],
];
/** The central system signed it, and it is not to be done here and now. */
const refusals: readonly [name: string, more: Record<string, unknown>, reason: string][] = [
  ['expired', { issued: instant(start - 600_000), expires: instant(start - 1) }, 'expired'],
  ['from the future', { issued: instant(start + 300_000), expires: instant(start + 400_000) }, 'from-the-future'],
  ['expires before it is issued', { expires: instant(start - 1000) }, 'lives-too-long'],
  ['lives for a week', { expires: instant(start + 7 * 86_400_000) }, 'lives-too-long'],
  ['of before the ledger', { issued: instant(start - 60_000) }, 'before-ledger'],
  ['another gateway', { gateway: 'g2' }, 'wrong-gateway'],
  ['another meter', { meter: 'm60120002' }, 'wrong-meter'],
  ['another serial number', { serial: '60120002' }, 'wrong-serial'],
  ['the serial number with a space', { serial: '60120001 ' }, 'wrong-serial'],
  ['another point', { point: 'p60120002' }, 'wrong-point'],
  ['a number where a text belongs', { serial: 60_120_001 }, 'not-understood'],
  ['a huge number', { v: 1e308 }, 'not-understood'],
  ['a year of six digits', { expires: '+275760-09-13T00:00:00.000Z' }, 'not-understood'],
  ['a day that does not exist', { issued: '2026-11-31T00:00:00Z' }, 'not-understood'],
  ['an action that is not known', { action: 'shutdown' }, 'not-understood'],
  ['a member that is not known', { force: true }, 'not-understood'],
  ['a name of JavaScript', { constructor: 1 }, 'not-understood'],
  ['a later version', { v: 2 }, 'not-understood'],
];

describe('abuse: 0 acted on', () => {
  test.each(forgeries)('%s: no answer, nothing done', async (_, make) => {
    const it = await room();
    expect(await it.send(await make())).toMatch(/^no order: /);
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual([]);
    expect(it.store.ledger.entries.size).toBe(0);
    expect((await it.facts()).map((fact) => (fact.kind === 'event' ? fact.name : fact.kind))).toEqual([
      'ORDERS_FORGED',
    ]);
    await it.end();
  });
  test.each(refusals)('%s: refused, nothing done', async (_, more, reason) => {
    const it = await room();
    const payload = sound(more);
    expect(await it.send(signed(payload))).toBeUndefined();
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual([]);
    expect(await it.results()).toMatchObject([{ id: payload.id, outcome: 'refused', reason }]);
    await it.end();
  });
  test('replayed a thousand times: done once, and answered again once in a minute', async () => {
    const it = await room();
    const jws = signed(sound());
    for (let i = 0; i < 1000; i++) await it.send(jws);
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual(['session']);
    expect(await it.results()).toHaveLength(1);
    for (let i = 0; i < 100; i++) await it.send(jws);
    const [first, again, ...more] = await it.results();
    expect(again).toEqual(first);
    expect(more).toEqual([]);
    expect(it.done).toEqual(['session']);
    await it.end();
  });
  test('10 000 seeded mutations of a signed order: none is acted on', async () => {
    const it = await room();
    const random = seeded(28);
    const jws = signed(sound());
    const pick = (length: number) => Math.floor(random() * length);
    const counts = { forged: 0, same: 0 };
    for (let i = 0; i < 10_000; i++) {
      const mutated = Buffer.from(jws);
      let text: Buffer = mutated;
      for (let n = 1 + pick(3); n > 0; n--) {
        const kind = pick(4);
        const at = pick(text.length);
        if (kind === 0) text[at] = pick(256);
        else if (kind === 1) text = Buffer.concat([text.subarray(0, at), text.subarray(at + 1 + pick(8))]);
        else if (kind === 2) text = Buffer.concat([text.subarray(0, at), text.subarray(pick(text.length))]);
        else text[at] = (text[at] as number) ^ (1 << pick(8));
      }
      if (text.toString('latin1') === jws) counts.same++;
      else if ((await verifyOrder(text, pinned)).kind === 'forged') counts.forged++;
      if (i % 50 === 0 && text.toString('latin1') !== jws) await it.send(text);
    }
    expect(counts.forged + counts.same).toBe(10_000);
    expect(counts.same).toBeLessThan(100);
    expect(it.done).toEqual([]);
    // And the one that they were made of is.
    await it.send(jws);
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual(['session']);
    // Once an hour it is said that somebody forges.
    expect((await it.facts()).filter(({ kind }) => kind === 'event')).toHaveLength(1);
    await it.end();
  });
  test('more at once than are looked at: they are left, and cost no memory', async () => {
    const it = await room();
    const all = Array.from({ length: 200 }, () => it.receive(signed(sound())));
    const outcomes = await it.clock.complete(Promise.all(all));
    expect(outcomes.filter((one) => one?.includes('more orders at once'))).toHaveLength(200 - 64);
    await it.clock.run(it.clock.now() + 60_000);
    // Of those that were looked at sixteen at most were open at a time.
    expect(it.done.length).toBeLessThanOrEqual(64);
    await it.end();
  });
  test('refusals without end: so many in a minute are answered', async () => {
    const it = await room();
    for (let i = 0; i < 100; i++) await it.send(signed(sound({ gateway: 'g2' })));
    expect(await it.results()).toHaveLength(30);
    await it.end();
  });
  test('a read is forgotten when it has expired, what changes something a day later', async () => {
    const it = await room();
    await it.send(signed(sound({ action: 'version', meter: undefined, serial: undefined, point: undefined })));
    await it.send(signed(sound()));
    const after = async (ms: number) => {
      await it.clock.run(start + ms);
      return it.store.ledger.entries.size;
    };
    expect([await after(60_000), await after(340_000), await after(86_400_000)]).toEqual([2, 1, 1]);
    expect(await after(86_400_000 + 340_000)).toBe(0);
    expect(it.store.ledger.floor).toBeGreaterThan(start);
    await it.end();
  });
  test('the store takes nothing: nothing is done, and the order may come again', async () => {
    const it = await room();
    const jws = signed(sound());
    const commit = it.store.commit.bind(it.store);
    it.store.commit = () => Promise.reject(new Failure('store-failed', 'the disk is full'));
    await it.send(jws);
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual([]);
    it.store.commit = commit;
    await it.send(jws);
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual(['session']);
    await it.end();
  });
});

describe('keys', () => {
  test('both keys of a rotation sign; the same order by both is one order', async () => {
    const it = await room();
    const payload = sound();
    await it.send(signed(payload));
    await it.send(signed(payload, nextKey));
    await it.send(signed(sound(), nextKey));
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toHaveLength(2);
    await it.end();
  });
  test('PEM and JWK give the same name; a JWK may name itself', () => {
    const jwk = publicOf(centralKey);
    const pem = [...pinned.values()][0]?.export({ type: 'spki', format: 'pem' }).toString() as string;
    expect(orderKeyOf(octets(pem), 'x').kid).toBe(kidOf(centralKey));
    // RFC 8037, appendix A.3.
    expect(kidOf(centralKey)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
    expect(orderKeyOf(octets(JSON.stringify({ ...jwk, kid: 'central-2026' })), 'x').kid).toBe('central-2026');
  });
  test.each<[string, string | JsonWebKey]>([
    ['private key', centralKey],
    ['private key', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['rsa', rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['x25519', generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['no public key', 'hunter22'],
    ['no public key', { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }],
    ['no JSON', '{"kty":'],
    ['kid', { ...publicOf(centralKey), kid: ' ' }],
  ])('refused: %s', (why, key) => {
    const text = typeof key === 'string' ? key : JSON.stringify(key);
    const judged = () => orderKeyOf(octets(text), '/etc/key');
    expect(judged).toThrow(Failure);
    expect(judged).toThrow(why);
    expect(judged).not.toThrow('hunter22');
  });
  test('an order of jose itself, as another head-end makes it', async () => {
    const it = await room();
    const { importJWK } = await import('jose');
    const key = await importJWK({ ...centralKey } as never, 'EdDSA');
    const header = { alg: 'EdDSA', kid: kidOf(centralKey), typ: 'amr-order+jws' };
    expect(await it.send(await new SignJWT(sound()).setProtectedHeader(header).sign(key))).toBeUndefined();
    await it.clock.run(it.clock.now() + 60_000);
    expect(it.done).toEqual(['session']);
    await it.end();
  });
});

test('members that stand twice are found at each depth, and texts that look like them are none', () => {
  for (const [json, twice] of [
    ['{"a":1,"b":{"a":2}}', false],
    ['{"a":1,"b":{"a":2,"a":3}}', true],
    ['[{"a":1},{"a":1}]', false],
    ['{"a":"\\"a\\":1,{"}', false],
    ['{"a" : 1, "\\u0061" :2}', true],
    ['{"a":["a","a"]}', false],
    [`{"a"${' '.repeat(200)}:1,"a":2}`, true],
    ['"a"', false],
  ] as const)
    expect(hasDuplicateMember(json), json).toBe(twice);
});
