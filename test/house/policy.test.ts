/**
 * The whole house against meters that protect, frame or close otherwise than we ask, within what the policy allows: their
 * rows are delivered whole. Where they are not, the verdict says what is wrong, and neither the mains nor the line is blamed.
 */
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/base/time.ts';
import { Failure } from '../../src/base/errors.ts';
import type { Port } from '../../src/line/port.ts';
import type { QuirkName } from '../../src/simulator/quirks.ts';
import { decodeRecord } from '../../src/store/record.ts';
import { statusOf } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';
import type { VirtualPort } from '../support/virtual-port.ts';
import { gmac, lls, type MeterKeys } from '../support/configuration.ts';

const minute = 60_000;
type Options = NonNullable<Parameters<typeof virtualHouse>[1]>;
const lowCiphered = { ...gmac, ...lls, client: 8 } as const;
const wrapper: Options = { line: { link: 'wrapper' }, meter: (index) => ({ ...lls, server: index + 1 }) };

/** General blocks of both meters, and answers that need them. */
const inBlocks: Options = { model: { transfer_window: 3, max_pdu: 128 } };

async function houseOf(quirk: QuirkName, options: Options = {}, meters: object = {}): Promise<VirtualHouse> {
  const link = options.line?.link ?? 'hdlc';
  // What the model says of protection holds for both.
  const odd = options.model?.initiate_protection ? [0, 1] : [0];
  const it = await virtualHouse(
    { bus: { link }, meters: { count: 2, ...meters }, meter: odd.map((index) => ({ index, quirks: [quirk] })) },
    { meter: lls, ...options },
  );
  it.broker.connect();
  return it;
}
function expectWhole(it: VirtualHouse, meters: readonly number[]): void {
  const compared = it.compare(2 * minute);
  for (const meter of meters) {
    const one = compared.get(meter) as { expected: number; right: number; wrong: string[] };
    expect(one.wrong, `meter ${meter}`).toEqual([]);
    expect(one.expected).toBeGreaterThan(20);
    expect(one.right, `meter ${meter}`).toBe(one.expected);
  }
  expect(it.ingest.counters.conflicts).toBe(0);
  expect(it.reused).toEqual([]);
}

/** A TCP connection as a meter has it: closed by the other side, made anew by ours. */
const tcp =
  (of: () => VirtualHouse, opened: () => void): NonNullable<Options['port']> =>
  (port: VirtualPort, clock: Clock): Port => {
    const { bus } = of().simulated;
    opened();
    bus.connectionClosed();
    let closed = false;
    const lost = () => new Failure('connection-lost', 'the other side closed the connection');
    const hungUp = (): boolean => (closed ||= bus.hangsUp);
    return {
      ...port,
      connection: true,
      get closed() {
        return hungUp();
      },
      write: (octets) => (hungUp() ? Promise.reject(lost()) : port.write(octets)),
      async read(until) {
        const octets = await port.read(closed ? clock.now() : until);
        if (octets === undefined && hungUp()) throw lost();
        return octets;
      },
      close: async () => {
        closed = true;
        await port.close();
      },
    };
  };

describe('rows are whole', () => {
  const cases: readonly [QuirkName, string, Options, readonly unknown[]][] = [
    ['encrypted-initiate', 'HLS by GMAC', { meter: gmac, model: { initiate_protection: 'encrypted' } }, []],
    ['encrypted-initiate', 'LLS, ciphered', { meter: lowCiphered, model: { initiate_protection: 'encrypted' } }, []],
    ['one-octet-conformance', 'LLS', {}, []],
    ['one-octet-conformance', 'wrapper', wrapper, []],
    ['bare-acceptance', 'LLS', {}, []],
    ['gmac-counter-next', 'HLS by GMAC', { meter: gmac }, []],
    ['no-llc', 'LLS', {}, []],
    ['no-llc', 'HLS by GMAC', { meter: gmac }, []],
    ['llc-once', 'LLS', {}, []],
    ['no-llc', 'general blocks', inBlocks, []],
    ['llc-once', 'general blocks', inBlocks, []],
    ['blocks-flooded', 'HDLC', inBlocks, ['no general blocks (answer does not go on)']],
    ['blocks-flooded', 'wrapper', { ...wrapper, ...inBlocks }, ['no general blocks (answer does not go on)']],
    ['empty-frames', 'LLS', {}, []],
    ['empty-frames', 'HLS by GMAC', { meter: gmac }, []],
    ['text-for-answers', 'LLS', {}, []],
    ['text-for-answers', 'wrapper', wrapper, []],
    ['last-words', 'wrapper', wrapper, []],
  ];
  test.each(cases)('%s (%s)', async (quirk, _, options, ways) => {
    const it = await houseOf(quirk, options);
    await it.run(20 * minute);
    for (let hour = 0; hour < 3; hour++) {
      await it.run(60 * minute);
      expectWhole(it, [0, 1]);
    }
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE', ways });
    expect(await statusOf(it, 1)).toMatchObject({ verdict: 'REACHABLE', ways: [] });
  });
  test.each([
    [[], 1, []],
    [['closes-after-release'], 4, []],
    [['one-association'], 4, ['a connection for each session (a second association was not answered)']],
  ] as const)('91: %j, over TCP', async (odd, connections, ways) => {
    let it: VirtualHouse | undefined;
    let opened = 0;
    const port = tcp(
      () => it as VirtualHouse,
      () => void opened++,
    );
    it = await virtualHouse({ bus: { link: 'wrapper' }, meters: { count: 1, quirks: [...odd] } }, { ...wrapper, port });
    it.broker.connect();
    for (let hour = 0; hour < 4; hour++) {
      await it.run(60 * minute);
      expectWhole(it, [0]);
    }
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE', failures: 0, ways });
    expect(Math.min(opened, 4)).toBe(connections);
  });
});

describe('82: associations that are encrypted only, or authenticated only', () => {
  const secured = async (
    policy: MeterKeys,
    security_policy: 'encrypted' | 'authenticated',
    quirks: QuirkName[],
    model = {},
  ) => {
    const it = await virtualHouse(
      { meters: { count: 1, security_policy, quirks } },
      { meter: { ...gmac, ...policy }, model },
    );
    it.broker.connect();
    await it.run(3 * 60 * minute);
    return it;
  };
  test.each([
    ['encrypted', [], {}],
    ['encrypted', ['encrypted-initiate'], { initiate_protection: 'encrypted' }],
    ['authenticated', [], {}],
    ['authenticated', ['encrypted-initiate'], { initiate_protection: 'encrypted' }],
  ] as const)('policy %s, %j, model %j: rows are whole', async (policy, quirks, model) => {
    const it = await secured({ policy }, policy, [...quirks], model);
    expectWhole(it, [0]);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE', failures: 0, ways: [] });
  });
  test.each(['encrypted', 'authenticated'] as const)(
    'the meter answers %s only, more is configured: refused, and left alone',
    async (policy) => {
      for (const model of [{}, { initiate_protection: 'encrypted' as const }]) {
        const it = await secured({}, policy, [], model);
        expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT', intervalsRead: 0 });
        expect(it.compare(0).get(0)?.right).toBe(0);
      }
    },
  );
});

describe('82: what carries no tag proves nothing', () => {
  type Insides = { heard: Map<number, number>; quirks: object[]; memories: object[] };
  const reserved = (it: VirtualHouse): number => {
    const [key, value] = [...it.counters.data].find(([name]) => name.startsWith('c/')) as [string, Uint8Array];
    return (decodeRecord(key, value) as { body: { reserved: number } }).body.reserved;
  };
  test.each([
    ['the meter', false],
    ['somebody without the keys, by a recorded InitiateResponse', true],
  ])('%s names a counter 900 000 ahead', async (_, keyless) => {
    const it = await virtualHouse(
      { meters: { count: 1, quirks: ['encrypted-initiate'] } },
      { meter: lowCiphered, model: { initiate_protection: 'encrypted' } },
    );
    it.broker.connect();
    await it.run(30 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
    const before = reserved(it);
    const insides = it.simulated.meters[0] as unknown as Insides;
    insides.heard.set(8, before + 900_000);
    if (keyless) {
      const answer = (apdu: Uint8Array) =>
        apdu[0] === 0xcc ? apdu.map((octet, i) => (i > 10 ? octet ^ 1 : octet)) : apdu;
      insides.quirks.push({ answer });
      insides.memories.push({});
    }
    await it.run(5 * 60 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: keyless ? 'SECURITY_FAULT' : 'REACHABLE' });
    if (keyless) expect(reserved(it)).toBeLessThanOrEqual(before + 1000);
    else expect(reserved(it)).toBeGreaterThan(before + 900_000);
    expect(it.reused).toEqual([]);
  });
});

describe('rows are not, and it is said why', () => {
  const cases: readonly [QuirkName, string, Options, object][] = [
    [
      'encrypted-initiate',
      'the model does not say so',
      { meter: gmac },
      { verdict: 'SECURITY_FAULT', lastError: expect.stringContaining('association refused') as string },
    ],
    [
      'bare-acceptance',
      'ciphered',
      { meter: gmac },
      { verdict: 'SECURITY_FAULT', lastError: expect.stringContaining('no InitiateResponse') as string },
    ],
    ['initiate-error', 'LLS', {}, { lastError: expect.stringContaining('incompatible conformance') as string }],
    [
      'initiate-error',
      'HLS by GMAC',
      { meter: gmac },
      { lastError: expect.stringContaining('incompatible conformance') as string },
    ],
    [
      'nothing-but-empty-frames',
      'LLS',
      {},
      { verdict: 'METER_FAULT', lastError: expect.stringContaining('I-frames without information') as string },
    ],
    [
      'nothing-but-text',
      'LLS',
      {},
      { verdict: 'METER_FAULT', lastError: expect.stringContaining('NEXERRORNO-1') as string },
    ],
    [
      'nothing-but-text',
      'wrapper',
      wrapper,
      { verdict: 'METER_FAULT', lastError: expect.stringContaining('NEXERRORNO-1') as string },
    ],
  ];
  test('88: numbers that jump, and RR answered by RR: the meter is named, its neighbour is on time', async () => {
    const it = await houseOf('numbers-jump', {}, { max_info: 128 });
    await it.run(3 * 60 * minute);
    expectWhole(it, [1]);
    expect(await statusOf(it)).toMatchObject({ verdict: 'METER_FAULT', lastCode: 'answer-stalled', fault: 'meter' });
  });
  test.each(cases)('%s (%s)', async (quirk, _, options, shown) => {
    const it = await houseOf(quirk, options);
    await it.run(3 * 60 * minute);
    expectWhole(it, [1]);
    expect(await statusOf(it)).toMatchObject(shown);
    expect((await statusOf(it)).verdict).not.toMatch(/MAINS|POWER|LINE|BUS/);
    expect((await statusOf(it)).ways.filter((way) => !way.startsWith('left alone'))).toEqual([]);
  });
});
