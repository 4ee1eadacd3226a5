/** The whole house against meters, and those who answer in their place, that lie, refuse, or are played again. */
import { describe, expect, test } from 'vitest';
import { Counters, type MeterMemory } from '../../src/store/counters.ts';
import { decodeRecord } from '../../src/store/record.ts';
import { eventsOf, statusOf } from '../support/house-facts.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';
import { gmac, lls, type MeterKeys } from '../support/configuration.ts';

const minute = 60_000;
type Insides = { heard: Map<number, number>; ownCounter: number };
const insides = (it: VirtualHouse, index = 0) => it.simulated.meters[index] as unknown as Insides;
/** What is stored as used, of the one key. */
const reserved = (it: VirtualHouse): number => {
  const [key, value] = [...it.counters.data].find(([name]) => name.startsWith('c/')) as [string, Uint8Array];
  return (decodeRecord(key, value) as { body: { reserved: number } }).body.reserved;
};
/** APDUs that go to the meters, by their tag; segmented ones by their first part. */
function sentTags(it: VirtualHouse): { tag: number; at: number }[] {
  const found: { tag: number; at: number }[] = [];
  const { bus } = it.simulated;
  const receive = bus.receive.bind(bus);
  bus.receive = (octets, now) => {
    const llc = Buffer.from(octets).indexOf(Buffer.of(0xe6, 0xe6, 0x00));
    if (llc >= 0) found.push({ tag: octets[llc + 3] as number, at: now });
    receive(octets, now);
  };
  return found;
}
const aarqs = (sent: { tag: number }[]) => sent.filter(({ tag }) => tag === 0x60).length;
const again = async (it: VirtualHouse) => {
  await it.clock.complete(it.house.stop());
  await it.restart();
  it.broker.connect();
};

describe('7: what a meter says before it proved itself', () => {
  test('incident: a public client said 4 294 966 000, and the key was burnt for ever', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    it.broker.connect();
    await it.run(30 * minute);
    const before = reserved(it);
    const honest = insides(it).heard.get(5) as number;
    insides(it).heard.set(5, 4_294_966_000);
    await it.run(300 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    expect((await statusOf(it)).nextStep).toContain('meter counter accept');
    expect((await statusOf(it)).lastError).toContain('4294966000');
    expect(eventsOf(it, 'COUNTER_IMPLAUSIBLE')).toHaveLength(1);
    expect(reserved(it)).toBeLessThanOrEqual(before + 1000);
    // It was a lie: when it ends, all is as it was.
    insides(it).heard.set(5, honest);
    await it.run(24 * 60 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE', intervalsMissing: 0 });
    expect(reserved(it)).toBeLessThan(before + 100_000);
    expect(it.reused).toEqual([]);
  });
  test('sibling: a first contact is believed up to 2·10⁹, a meter that was met only a step; the operator’s word raises it', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    insides(it).heard.set(5, 2_000_000_001);
    it.broker.connect();
    await it.run(60 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    await expect(it.house.acceptCounter('m1')).rejects.toMatchObject({ code: 'unknown-meter' });
    expect(await it.clock.complete(it.house.acceptCounter('m60120001'))).toMatchObject({ raisedTo: 2_000_000_001 });
    await it.run(5 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE', alarms: ['INVOCATION_COUNTER_HIGH'] });
    expect(reserved(it)).toBeGreaterThan(2_000_000_001);
    // Twice the same word is one word.
    await expect(it.clock.complete(it.house.acceptCounter('m60120001'))).rejects.toMatchObject({
      code: 'nothing-waits',
    });
  });
  test('sibling: what is left of the counter is too little to accept: change the key', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    insides(it).heard.set(5, 4_294_966_000);
    it.broker.connect();
    await it.run(60 * minute);
    await expect(it.clock.complete(it.house.acceptCounter('m60120001'))).rejects.toMatchObject({
      code: 'counter-used-up',
    });
  });
  test('sibling: a meter that names a step more each time and never lets us in does not walk the counter up', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    it.broker.connect();
    await it.run(30 * minute);
    const before = reserved(it);
    // Whatever we send is refused; the public client hears that it heard even more.
    const { heard } = insides(it);
    let round = 0;
    let authenticating = false;
    heard.get = (sap) => (sap !== 5 ? undefined : authenticating ? 4_294_967_290 : before + 900_000 + round * 1000);
    heard.set = () => heard;
    const { bus } = it.simulated;
    const receive = bus.receive.bind(bus);
    bus.receive = (octets, now) => {
      if (Buffer.from(octets).includes(Buffer.of(0xe6, 0xe6, 0x00, 0x60)))
        authenticating = Buffer.from(octets).includes(Buffer.from('60857405080205', 'hex'));
      receive(octets, now);
    };
    for (; round < 90; round++) {
      await it.clock.complete(it.house.readNow('m60120001', true)).catch(() => {});
      await it.run(10 * minute);
    }
    expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    expect(reserved(it)).toBeLessThanOrEqual(before + 1000);
    expect(it.reused).toEqual([]);
  });
  test('sibling: of two meters with one key one lies: the other is read on time, and the key is theirs as before', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { meter: gmac });
    it.broker.connect();
    await it.run(30 * minute);
    const before = reserved(it);
    insides(it, 0).heard.set(5, 4_000_000_000);
    await it.run(6 * 60 * minute);
    expect(await statusOf(it, 0)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    expect(await statusOf(it, 1)).toMatchObject({ verdict: 'REACHABLE', intervalsMissing: 0 });
    expect(reserved(it)).toBeLessThan(before + 10_000);
    expect(it.reused).toEqual([]);
  });
  test('sibling: what is remembered does not read: nobody is tried before it does, and then all goes on', async () => {
    const it = await virtualHouse({ meters: { count: 1, password: 'other' } });
    const sent = sentTags(it);
    it.broker.connect();
    await it.run(minute);
    await it.clock.complete(it.house.stop());
    const range = it.counters.range.bind(it.counters);
    await it.restart();
    it.counters.range = () => Promise.reject(new Error('Input/output error'));
    await it.run(10 * minute);
    await expect(it.clock.complete(it.house.readNow('m60120001'))).rejects.toMatchObject({ code: 'store-failed' });
    expect(aarqs(sent)).toBe(1);
    it.counters.range = range;
    await it.run(10 * minute);
    await expect(it.clock.complete(it.house.readNow('m60120001'))).rejects.toMatchObject({ code: 'backed-off' });
    expect(aarqs(sent)).toBe(1);
  });
  test('sibling: counters that are lost are asked for with a margin, and what was used is not used again', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    it.broker.connect();
    await it.run(30 * minute);
    await it.clock.complete(it.house.stop());
    const old = new Map(it.counters.data);
    await it.restart();
    it.broker.connect();
    await it.run(24 * 60 * minute);
    await it.clock.complete(it.house.stop());
    it.counters.replace(old);
    await it.restart();
    it.broker.connect();
    await it.run(60 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
    expect(it.reused).toEqual([]);
  });
});

describe('21: played again', () => {
  const low = { ...gmac, ...lls, client: 8 } as const;
  const restarted = async (meter: MeterKeys) => {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter });
    it.broker.connect();
    await it.run(30 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
    insides(it).ownCounter = 0;
    await again(it);
    await it.run(60 * minute);
    return it;
  };
  test('incident: LLS: the meter’s counter began again (or its association was played again): refused, until the operator’s word', async () => {
    const it = await restarted(low);
    expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    expect((await statusOf(it)).nextStep).toContain('meter counter accept');
    expect(eventsOf(it, 'REPLAYED_COUNTER')).toHaveLength(1);
    await it.clock.complete(it.house.acceptCounter('m60120001'));
    await it.run(20 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
  });
  test('sibling: with HLS its proof shows that it is there: a counter that began again is no replay', async () => {
    const it = await restarted(gmac);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE', intervalsMissing: 0 });
    expect(eventsOf(it, 'REPLAYED_COUNTER')).toEqual([]);
  });
  /** A house that met its meter, and remembers it otherwise at its next start. */
  async function rememberedAs(change: Partial<MeterMemory>): Promise<VirtualHouse> {
    const it = await virtualHouse({ meters: { count: 1 } }, { meter: gmac });
    it.broker.connect();
    await it.run(30 * minute);
    const counters = await Counters.open({ open: () => Promise.resolve({ database: it.counters }) });
    await it.clock.complete(it.house.stop());
    const memory = (await counters.remembered()).get('m60120001') as MeterMemory;
    await counters.remember('m60120001', { ...memory, ...change });
    await it.restart();
    it.broker.connect();
    return it;
  }
  test('sibling: another device with the keys of the meter, its proof right: refused until the operator’s word', async () => {
    const it = await rememberedAs({ title: '4f54480000000001' });
    await it.run(60 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    expect((await statusOf(it)).lastError).toMatch(/53494d.* answers with the keys of 4f5448/);
    expect(eventsOf(it, 'TITLE_CHANGED')).toHaveLength(1);
    expect(await it.clock.complete(it.house.acceptCounter('m60120001'))).toMatchObject({
      forgotten: { title: '4f54480000000001' },
    });
    await it.run(20 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
  });
  test('sibling: a meter that was replaced is another one: its swap is the operator’s word', async () => {
    const it = await rememberedAs({ serial: '60119999', title: '4f54480000000001' });
    await it.run(20 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
  });
});

describe('24: a meter that refused us is left alone', () => {
  const wrong = { meters: { count: 1, password: 'other' } };
  test('incident: five polls were five tries', async () => {
    const it = await virtualHouse(wrong);
    const sent = sentTags(it);
    it.broker.connect();
    await it.run(minute);
    expect(aarqs(sent)).toBe(1);
    for (let i = 0; i < 5; i++)
      await expect(it.clock.complete(it.house.readNow('m60120001'))).rejects.toMatchObject({ code: 'backed-off' });
    expect(aarqs(sent)).toBe(1);
    const why = (await it.clock.complete(it.house.readNow('m60120001').catch((error: unknown) => error))) as Error;
    expect(why.message).toMatch(/refused us 1 time .*tried again at 2026-11-24T12:3/);
    // Once, on the operator's word.
    await expect(it.clock.complete(it.house.readNow('m60120001', true))).rejects.toMatchObject({
      code: 'authentication-refused',
    });
    expect(aarqs(sent)).toBe(2);
    await it.run(29 * minute);
    expect(aarqs(sent)).toBe(2);
  });
  test('incident: each start and each reload was one try more', async () => {
    const it = await virtualHouse(wrong);
    const sent = sentTags(it);
    it.broker.connect();
    await it.run(minute);
    for (let i = 0; i < 10; i++) {
      await again(it);
      await it.run(minute);
    }
    expect(aarqs(sent)).toBe(1);
    expect((await statusOf(it)).nextStep).toContain('password');
    expect((await statusOf(it)).ways).toEqual([
      expect.stringMatching(/^left alone until 2026-11-24T12:4.*poll m60120001 --force$/) as string,
    ]);
    await it.run(16 * minute);
    expect(aarqs(sent)).toBe(2);
  });
  test.each([
    ['a year forward', 365 * 86_400_000],
    ['20 minutes back', -20 * minute],
  ])(
    'sibling: the clock was set %s while it was down: neither sooner than 15 minutes nor much later',
    async (_, step) => {
      const it = await virtualHouse(wrong);
      const sent = sentTags(it);
      it.broker.connect();
      await it.run(minute);
      await it.clock.complete(it.house.stop());
      it.clock.wallOffsetMs = step;
      await it.restart();
      await it.run(14 * minute);
      expect(aarqs(sent)).toBe(1);
      await it.run(17 * minute);
      expect(aarqs(sent)).toBe(2);
    },
  );
  test('incident: hang-ups and silence after AARQ were no refusals: from the third on they are', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    const sent = sentTags(it);
    const { bus } = it.simulated;
    const receive = bus.receive.bind(bus);
    // Alive on the link, and mute as soon as it sees the password.
    bus.receive = (octets, now) => {
      if (Buffer.from(octets).includes(Buffer.of(0xe6, 0xe6, 0x00, 0x60))) sent.push({ tag: 0x60, at: now });
      else receive(octets, now);
    };
    sent.length = 0;
    it.broker.connect();
    await it.run(24 * 60 * minute);
    // A session repeats its frame; sessions are what the meter counts.
    const sessions = sent.filter(({ at }, i) => i === 0 || at - (sent[i - 1] as { at: number }).at > 12_000).length;
    expect(sessions).toBeLessThanOrEqual(10);
    expect(await statusOf(it)).toMatchObject({ verdict: 'SECURITY_FAULT' });
    expect((await statusOf(it)).lastError).toContain('before the meter let us in');
    await expect(it.clock.complete(it.house.readNow('m60120001'))).rejects.toMatchObject({ code: 'backed-off' });
  });
  test('sibling: a bus that fell silent and answers again does not shorten the back-off', async () => {
    const it = await virtualHouse({
      meters: { count: 2, password: 'other' },
      fault: [{ kind: 'silence', from_s: 120, to_s: 50 * 60 }],
    });
    const sent = sentTags(it);
    it.broker.connect();
    await it.run(minute);
    expect(aarqs(sent)).toBe(2);
    // Silent at 15, 30 and 45 minutes; heard, and refused, after an hour.
    await it.run(70 * minute);
    expect(eventsOf(it, 'BUS_ANSWERS')).toHaveLength(1);
    expect(aarqs(sent)).toBe(4);
  });
});

describe('22: who answers', () => {
  test('sibling: rows held back of a meter are released though the configuration writes its number with zeros', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    await it.clock.complete(it.house.stop());
    const held = () => [...it.database.data.keys()].filter((key) => key.startsWith('k/')).length;
    it.configText = it.configText.replace('serial = "60120001"', 'serial = "960120001"');
    await it.restart();
    it.broker.connect();
    await it.run(10 * minute);
    expect(await statusOf(it)).toMatchObject({ verdict: 'IDENTITY_MISMATCH' });
    expect(held()).toBeGreaterThan(0);
    await it.clock.complete(it.house.stop());
    it.configText = it.configText.replace('serial = "960120001"', 'serial = "0060120001"');
    await it.restart();
    it.broker.connect();
    await it.run(10 * minute);
    expect(held()).toBe(0);
    expect(await statusOf(it)).toMatchObject({ verdict: 'REACHABLE' });
    // Written otherwise it is the same meter: no change is told.
    await it.clock.complete(it.house.stop());
    it.configText = it.configText.replace('serial = "0060120001"', 'serial = "60120001"');
    await it.restart();
    it.broker.connect();
    await it.run(60 * minute);
    expect(eventsOf(it, 'SWAP')).toEqual([]);
  });
});
