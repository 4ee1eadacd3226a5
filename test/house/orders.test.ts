/** Orders of the central system, from the broker to the meter and back as a result that is acknowledged. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { UpPayload } from '../../src/contract/payloads.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { wrapKey } from '../../src/dlms/security/keys.ts';
import { keyPrint } from '../../src/meter/invocation-counter.ts';
import { decodeRecord } from '../../src/store/record.ts';
import { gmac, type OrdersKeys } from '../support/configuration.ts';
import { holdCrypto } from '../support/held-crypto.ts';
import { complete, eventsOf, factsOf, hourMs, minute } from '../support/house-facts.ts';
import { order, signed } from '../support/signed-order.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const taken = (more: Partial<OrdersKeys> = {}) => ({ orders: { keys: ['/central.jwk', '/next.jwk'], ...more } });
const switching = taken({ enable_disconnect: true });
type Options = NonNullable<Parameters<typeof virtualHouse>[1]>;
type Result = UpPayload & { kind: 'result' };
const cmd = 'amr/v1/t1/g1/down/cmd';
const resultsOf = (it: VirtualHouse, id: string): Result[] => factsOf(it, 'result').filter((one) => one.id === id);
/** What the head-end reads of a result: not under which number it came. */
const answer = (result: Result | undefined) => result && { ...result, seq: 0, epoch: 0 };

let release = () => {};
afterEach(() => release());
/** A house that took up its work, and knows from when on it remembers orders. */
async function house(
  scenario: Parameters<typeof virtualHouse>[0],
  options: Options,
  upMs = 10 * minute,
): Promise<VirtualHouse> {
  const it = await virtualHouse(scenario, { days: 1, ...options });
  release = await holdCrypto(it.clock);
  it.broker.connect();
  await it.run(upMs);
  return it;
}
/** Sends it, and lets time pass until one more result has come, or the time is over. */
async function ordered(
  it: VirtualHouse,
  payload: { readonly id: string },
  ms = 3 * minute,
): Promise<Result | undefined> {
  const before = resultsOf(it, payload.id).length;
  it.broker.send(cmd, signed(payload));
  for (let passed = 0; passed < ms && resultsOf(it, payload.id).length === before; passed += 1000) await it.run(1000);
  return resultsOf(it, payload.id)[before];
}
/** How often the supply of a meter was switched, and what is done at that moment. */
function switches(it: VirtualHouse, index = 0, then: () => void = () => {}): { count: number } {
  const seen = { count: 0 };
  const meter = it.simulated.meters[index] as unknown as { switchTo: (state: 0 | 1) => void };
  const own = meter.switchTo.bind(meter);
  meter.switchTo = (state) => {
    own(state);
    seen.count++;
    then();
  };
  return seen;
}
/** The power went at the moment of which this is the disk; the next life begins with it. */
async function lifeAfter(it: VirtualHouse, disk: ReadonlyMap<string, Uint8Array>, checkpoint = it.checkpoint) {
  it.broker.disconnect();
  await it.clock.complete(it.house.stop());
  it.database.replace(disk);
  it.checkpoint = checkpoint;
  await it.restart();
  it.broker.connect();
}
/** What is on the disk right after this state of an order was written down; `mute`: from then on nobody hears the bus. */
function diskAt(
  it: VirtualHouse,
  state: string,
  mute = true,
): { disk?: Map<string, Uint8Array>; checkpoint?: typeof it.checkpoint } {
  const moment: ReturnType<typeof diskAt> = {};
  const { database } = it;
  const { bus } = it.simulated;
  const [batch, receive] = [database.batch.bind(database), bus.receive.bind(bus)];
  database.batch = async (operations, options) => {
    await batch(operations, options);
    const noted = operations.some(
      (one) =>
        one.type === 'put' &&
        one.key.startsWith('c/') &&
        (decodeRecord(one.key, one.value)?.body as { state?: string } | undefined)?.state === state,
    );
    if (!noted || moment.disk) return;
    moment.disk = new Map(database.data);
    moment.checkpoint = it.checkpoint;
    if (mute) bus.receive = () => {};
  };
  const restart = it.restart.bind(it);
  it.restart = async () => {
    database.batch = batch;
    bus.receive = receive;
    await restart();
  };
  return moment;
}

describe('R28: supply is switched by order', () => {
  test('disconnected and reconnected: the state of the switch before and after is the result', async () => {
    const it = await house({ meters: { count: 2 } }, switching);
    expect(it.broker.birth?.capabilities).toContain('order:disconnect');
    const result = await ordered(it, order(it.clock.wall(), 'disconnect'));
    expect(result).toMatchObject({
      outcome: 'done',
      action: 'disconnect',
      about: { meter: 'm60120001', point: 'p60120001', serial: '60120001' },
      detail: { beforeOutput: true, beforeControlState: 1, afterOutput: false, afterControlState: 0 },
    });
    expect(it.simulated.meters.map(({ controlState }) => controlState)).toEqual([0, 1]);
    const on = await ordered(it, order(it.clock.wall(), 'reconnect'));
    expect(on).toMatchObject({ outcome: 'done', detail: { beforeControlState: 0, afterOutput: true } });
    await it.run(2 * hourMs);
    complete(it, [0, 1], 20 * minute);
    expect(it.ingest.results.size).toBe(2);
    // It is acknowledged as everything else is.
    expect((await it.store.status()).pending).toBe(0);
    await it.clock.complete(it.house.stop());
  });
  test('refused where the configuration does not enable it, and for another serial number or point', async () => {
    const it = await house({ meters: { count: 2 } }, taken());
    const seen = switches(it);
    const now = () => it.clock.wall();
    expect(it.broker.birth?.capabilities).not.toContain('order:disconnect');
    for (const [more, reason] of [
      [{}, 'not-enabled'],
      [{ serial: '60120002', meter: 'm60120001', point: 'p60120001' }, 'wrong-serial'],
      [{ point: 'p60120002' }, 'wrong-point'],
      [{ meter: 'm60120099' }, 'wrong-meter'],
      [{ gateway: 'g2' }, 'wrong-gateway'],
    ] as const) {
      const payload = { ...order(now(), 'disconnect'), ...more };
      expect(await ordered(it, payload)).toMatchObject({ outcome: 'refused', reason });
    }
    expect(seen.count).toBe(0);
    // Enabled later, a new order is carried out, and the one that was refused keeps its answer.
    const refused = order(now(), 'disconnect');
    const first = await ordered(it, refused);
    it.configText = it.configText.replace('[orders]', '[orders]\nenable_disconnect = true');
    await it.reload();
    it.broker.connect();
    await it.run(minute);
    expect(answer(await ordered(it, refused))).toEqual(answer(first));
    expect(seen.count).toBe(0);
    expect(await ordered(it, order(now(), 'disconnect'))).toMatchObject({ outcome: 'done' });
    await it.clock.complete(it.house.stop());
  });
  test('without [orders] nothing is heard at all', async () => {
    const it = await house({ meters: { count: 1 } }, {});
    const seen = switches(it);
    expect(await ordered(it, order(it.clock.wall(), 'disconnect'))).toBeUndefined();
    expect(seen.count).toBe(0);
    expect(it.broker.birth?.capabilities.filter((one) => one.startsWith('order:'))).toEqual([]);
    await it.clock.complete(it.house.stop());
  });
  test('the gateway does not know the time: refused, and done when it does', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    it.timeIsKnown = false;
    expect(await ordered(it, order(it.clock.wall(), 'disconnect'))).toMatchObject({ reason: 'clock-untrusted' });
    it.timeIsKnown = true;
    expect(seen.count).toBe(0);
    expect(await ordered(it, order(it.clock.wall(), 'disconnect'))).toMatchObject({ outcome: 'done' });
    await it.clock.complete(it.house.stop());
  });
  test('another meter hangs there than the configuration says: it is not switched, whichever the order names', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    it.configText = it.configText.replace('serial = "60120001"', 'serial = "60129999"');
    await it.reload();
    it.broker.connect();
    await it.run(minute);
    const now = () => it.clock.wall();
    expect(await ordered(it, order(now(), 'disconnect'))).toMatchObject({ outcome: 'refused', reason: 'wrong-serial' });
    const configured = { ...order(now(), 'disconnect'), serial: '60129999' };
    expect(await ordered(it, configured, 20 * minute)).toMatchObject({ outcome: 'failed', code: 'identity-mismatch' });
    expect(seen.count).toBe(0);
    await it.clock.complete(it.house.stop());
  });
  test('a meter that is silent: failed, and nothing was done', async () => {
    const it = await house({ meters: { count: 2 } }, switching);
    const seen = switches(it);
    it.simulated.bus.receive = () => {};
    expect(await ordered(it, order(it.clock.wall(), 'disconnect'), 6 * minute)).toMatchObject({
      outcome: 'failed',
      code: 'no-answer',
      detail: null,
    });
    expect(seen.count).toBe(0);
    await it.clock.complete(it.house.stop());
  });
  test('the line fails right after the order reached the meter: unknown, and how the switch stands now', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const { bus } = it.simulated;
    const receive = bus.receive.bind(bus);
    let muteUntil = 0;
    const seen = switches(it, 0, () => {
      muteUntil = it.clock.now() + minute;
      throw new Error('the power of the meter goes');
    });
    bus.receive = (octets, now) => {
      if (it.clock.now() < muteUntil) return;
      try {
        receive(octets, now);
      } catch {
        // It has switched, and says nothing.
      }
    };
    const result = await ordered(it, order(it.clock.wall(), 'disconnect'), 10 * minute);
    expect(seen.count).toBe(1);
    expect(result).toMatchObject({ outcome: 'unknown', detail: { afterControlState: 0 } });
    await it.clock.complete(it.house.stop());
  });
});

describe('an order is carried out once', () => {
  test('a repeat gets the first result, also after a start and with the other key; nothing is done again', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    const payload = order(it.clock.wall(), 'disconnect');
    const first = await ordered(it, payload);
    // Sent again at once: the answer is under way.
    expect(await ordered(it, payload, 5000)).toBeUndefined();
    await it.run(minute);
    expect(answer(await ordered(it, payload))).toEqual(answer(first));
    await lifeAfter(it, new Map(it.database.data));
    await it.run(minute);
    expect(answer(await ordered(it, payload))).toEqual(answer(first));
    expect(seen.count).toBe(1);
    // The same id for something else.
    const other = { ...order(it.clock.wall(), 'reconnect'), id: payload.id };
    await it.run(minute);
    expect(await ordered(it, other)).toMatchObject({ outcome: 'refused', reason: 'id-reused' });
    expect(seen.count).toBe(1);
    await it.clock.complete(it.house.stop());
  });
  test('long over, it is forgotten, and refused for that it has expired', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    const payload = order(it.clock.wall(), 'disconnect');
    await ordered(it, payload);
    expect(it.store.ledger.entries.size).toBe(1);
    await it.run(25 * hourMs);
    expect(it.store.ledger.entries.size).toBe(0);
    expect(await ordered(it, payload)).toMatchObject({ reason: 'expired' });
    // The clock goes back: what is forgotten does not come again.
    it.clock.wallOffsetMs = -25 * hourMs;
    await it.run(minute);
    expect(await ordered(it, payload)).toMatchObject({ reason: 'before-ledger' });
    expect(seen.count).toBe(1);
    await it.clock.complete(it.house.stop());
  });
  test.each(['the store is new', 'a backup was put back'])(
    'what was remembered is lost (%s): an order of before is refused',
    async (what) => {
      const it = await house({ meters: { count: 1 } }, switching);
      const before = new Map(it.database.data);
      const seen = switches(it);
      const payload = order(it.clock.wall(), 'disconnect');
      await ordered(it, payload);
      // In the second case the checkpoint outside of the database shows that it fell behind.
      await lifeAfter(
        it,
        what === 'the store is new' ? new Map() : before,
        what === 'the store is new' ? undefined : it.checkpoint,
      );
      await it.run(minute);
      expect(await ordered(it, payload)).toMatchObject({ outcome: 'refused', reason: 'before-ledger' });
      expect(seen.count).toBe(1);
      expect(await ordered(it, order(it.clock.wall(), 'reconnect'))).toMatchObject({ outcome: 'done' });
      await it.clock.complete(it.house.stop());
    },
  );
  test('the record of an order is damaged: it is mended, and the order is not carried out again', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    const payload = order(it.clock.wall(), 'disconnect');
    await ordered(it, payload);
    const disk = new Map(it.database.data);
    const damaged = Uint8Array.from(disk.get(`c/${payload.id}`) as Uint8Array);
    damaged[20] = (damaged[20] as number) ^ 1;
    disk.set(`c/${payload.id}`, damaged);
    await lifeAfter(it, disk);
    await it.run(minute);
    expect(eventsOf(it, 'STORE_DAMAGED')).toHaveLength(1);
    expect(await ordered(it, payload)).toMatchObject({ outcome: 'refused', reason: 'before-ledger' });
    expect(seen.count).toBe(1);
    await lifeAfter(it, new Map(it.database.data));
    await it.run(minute);
    expect(eventsOf(it, 'STORE_DAMAGED')).toHaveLength(1);
    await it.clock.complete(it.house.stop());
  });
  test('power loss between the ledger and the act: outcome unknown, and it is not done by itself', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    const payload = order(it.clock.wall(), 'disconnect');
    const moment = diskAt(it, 'begun');
    it.broker.send(cmd, signed(payload));
    for (let i = 0; i < 120 && !moment.disk; i++) await it.run(1000);
    await lifeAfter(it, moment.disk as Map<string, Uint8Array>, moment.checkpoint);
    await it.run(minute);
    const [result] = resultsOf(it, payload.id).slice(-1);
    expect(result).toMatchObject({ outcome: 'unknown', action: 'disconnect' });
    expect(seen.count).toBe(0);
    await it.run(minute);
    expect(answer(await ordered(it, payload))).toEqual(answer(result));
    await it.run(10 * minute);
    expect(seen.count).toBe(0);
    expect(it.simulated.meters[0]?.controlState).toBe(1);
    await it.clock.complete(it.house.stop());
  });
  test('power loss between the act and its result: outcome unknown, and it is not done again', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    let moment: Map<string, Uint8Array> | undefined;
    let checkpoint: typeof it.checkpoint;
    const seen = switches(it, 0, () => {
      moment ??= new Map(it.database.data);
      checkpoint ??= it.checkpoint;
    });
    const payload = order(it.clock.wall(), 'disconnect');
    await ordered(it, payload);
    const ingested = it.broker.published.length;
    await lifeAfter(it, moment as Map<string, Uint8Array>, checkpoint);
    await it.run(minute);
    const results = it.broker.published.slice(ingested).filter(({ topic }) => topic.endsWith('/result'));
    expect(results.map(({ payload: text }) => (JSON.parse(text) as Result).outcome)).toContain('unknown');
    await it.run(minute);
    expect(await ordered(it, payload)).toMatchObject({ outcome: 'unknown' });
    expect(seen.count).toBe(1);
    await it.clock.complete(it.house.stop());
  });
  test('power loss before it was begun: nothing was done, and a read is done by the next life', async () => {
    const it = await house({ meters: { count: 1 } }, switching);
    const seen = switches(it);
    const [off, read] = [order(it.clock.wall(), 'disconnect'), order(it.clock.wall(), 'read')];
    const moment = diskAt(it, 'accepted');
    it.broker.send(cmd, signed(off));
    for (let i = 0; i < 30 && !moment.disk; i++) await it.run(1000);
    await lifeAfter(it, moment.disk as Map<string, Uint8Array>, moment.checkpoint);
    await it.run(minute);
    expect(resultsOf(it, off.id).at(-1)).toMatchObject({ outcome: 'refused', reason: 'interrupted' });
    const readMoment = diskAt(it, 'accepted');
    it.broker.send(cmd, signed(read));
    for (let i = 0; i < 30 && !readMoment.disk; i++) await it.run(1000);
    await lifeAfter(it, readMoment.disk as Map<string, Uint8Array>, readMoment.checkpoint);
    await it.run(3 * minute);
    expect(resultsOf(it, read.id).at(-1)).toMatchObject({ outcome: 'done' });
    expect(seen.count).toBe(0);
    await it.clock.complete(it.house.stop());
  });
  test('a reload while an order waits for its meter: it is answered, and done at most once', async () => {
    const it = await house({ meters: { count: 1 }, bus: { turnaround_ms: 400 } }, { ...switching, days: 20 });
    const seen = switches(it);
    const payload = order(it.clock.wall(), 'disconnect');
    it.broker.send(cmd, signed(payload));
    await it.run(200);
    await it.reload();
    it.broker.connect();
    await it.run(3 * minute);
    const results = resultsOf(it, payload.id);
    expect(new Set(results.map(({ outcome }) => outcome)).size).toBe(1);
    expect(seen.count).toBe(results[0]?.outcome === 'done' ? 1 : 0);
    await it.clock.complete(it.house.stop());
  });
});

test.each(['reload', 'restart'] as const)(
  'incident: a read that waited when the gateway stopped was answered as failed (%s); whoever comes after it does it',
  async (how) => {
    const it = await house({ meters: { count: 1 }, bus: { turnaround_ms: 400 } }, { ...taken(), days: 20 });
    const payload = order(it.clock.wall(), 'read');
    it.broker.send(cmd, signed(payload));
    await it.run(200);
    if (how === 'reload') await it.reload();
    else {
      it.broker.disconnect();
      await it.clock.complete(it.house.stop());
      await it.restart();
    }
    it.broker.connect();
    await it.run(5 * minute);
    expect(resultsOf(it, payload.id).map(({ outcome, code, why }) => [outcome, code, why])).toEqual([
      ['done', null, null],
    ]);
    await it.clock.complete(it.house.stop());
  },
);

describe('the other orders', () => {
  test('read, again, version', async () => {
    const it = await house({ meters: { count: 2 } }, taken());
    const readings = factsOf(it, 'reading').length;
    expect(await ordered(it, order(it.clock.wall(), 'read', { serial: 60_120_002 }))).toMatchObject({
      outcome: 'done',
      about: { meter: 'm60120002' },
    });
    expect(factsOf(it, 'reading').length).toBe(readings + 1);
    const span = { series: '1-0:99.1.0*255', from: '2026-11-24T02:00:00Z', to: '2026-11-24T05:00:00Z' };
    expect(await ordered(it, order(it.clock.wall(), 'again', span))).toMatchObject({ detail: { intervals: 3 } });
    expect(await ordered(it, order(it.clock.wall(), 'again', { ...span, to: span.from }))).toMatchObject({
      outcome: 'refused',
      reason: 'not-understood',
    });
    expect(await ordered(it, order(it.clock.wall(), 'again', { ...span, series: '1-0:99.9.9*255' }))).toMatchObject({
      outcome: 'failed',
      code: 'unknown-meter',
    });
    expect(await ordered(it, order(it.clock.wall(), 'version'))).toMatchObject({
      about: null,
      detail: { version: '0', boot: 'b', actions: 'read again trace version set-clock' },
    });
    expect(await ordered(it, order(it.clock.wall(), 'self-destruct'))).toMatchObject({
      outcome: 'refused',
      reason: 'not-understood',
      action: 'self-destruct',
    });
    await it.clock.complete(it.house.stop());
  });
  test('trace: what goes over the line in the turns of the meter, without its password', async () => {
    const it = await house({ meters: { count: 2 } }, taken());
    const trace = order(it.clock.wall(), 'trace', { minutes: 3 });
    it.broker.send(cmd, signed(trace));
    await it.run(minute);
    await it.clock.complete(it.house.readNow('m60120001'));
    await it.clock.complete(it.house.readNow('m60120002'));
    await it.run(3 * minute);
    const [result] = resultsOf(it, trace.id);
    expect(result).toMatchObject({ outcome: 'done', about: { meter: 'm60120001' } });
    const frames = Object.entries(result?.detail ?? {}).flatMap(([name, line]) =>
      name.startsWith('frame') && name !== 'frames' ? [String(line)] : [],
    );
    expect(frames.length).toBeGreaterThan(5);
    expect(frames[0]).toMatch(/^2026-11-24T\S+ (->|<-) 7e/i);
    // "meter", the password of LLS, in hex.
    expect(frames.join('\n').toLowerCase()).not.toContain(Buffer.from('meter').toString('hex'));
    expect(await ordered(it, order(it.clock.wall(), 'trace', { minutes: 11 }))).toMatchObject({ outcome: 'refused' });
    await it.clock.complete(it.house.stop());
  });
  test('the clock: a deviation that the policy leaves to the operator is set by order; within 2 s it is left', async () => {
    const it = await house({ meters: { count: 2, clock_offset_s: 130 } }, taken());
    const set = await ordered(it, order(it.clock.wall(), 'set-clock'));
    expect(set).toMatchObject({ outcome: 'done' });
    expect(Math.round(set?.detail?.['beforeS'] as number)).toBe(130);
    expect(Math.abs(set?.detail?.['afterS'] as number)).toBeLessThan(2);
    expect(eventsOf(it, 'CLOCK_SET')).toHaveLength(1);
    expect(await ordered(it, order(it.clock.wall(), 'set-clock'))).toMatchObject({
      outcome: 'refused',
      reason: 'clock-limits',
      why: 'within 2 s',
    });
    await it.clock.complete(it.house.stop());
  });
});

describe('R36: firmware', () => {
  /** An image that verifies: its octets sum up to a multiple of 256. */
  const image = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  image[19_999] = -image.subarray(0, 19_999).reduce((sum, octet) => sum + octet, 0) & 0xff;
  const digest = createHash('sha256').update(image).digest('hex');
  const options: Options = {
    ...taken({ enable_firmware: true, image_directory: '/images' }),
    images: new Map([[digest, image]]),
  };
  const firmware = (it: VirtualHouse) =>
    order(it.clock.wall(), 'firmware', { image: digest, identifier: 'FW-2', activate: true });

  test('in slices, after every row was read; the other meters are polled meanwhile', async () => {
    const it = await house({ meters: { count: 4 } }, options);
    await it.run(45 * minute);
    const result = await ordered(it, firmware(it), 30 * minute);
    expect(result).toMatchObject({ outcome: 'done', detail: { activated: true, image: 'FW-2' } });
    expect(result?.detail?.['sessions']).toBeGreaterThan(2);
    const [meter] = it.simulated.meters;
    expect(
      Buffer.concat([...(meter?.image.blocks ?? [])].toSorted(([a], [b]) => a - b).map(([, octets]) => octets)),
    ).toEqual(Buffer.from(image));
    expect(meter?.image.activations).toBe(1);
    await it.run(hourMs);
    complete(it, [0, 1, 2, 3], 20 * minute);
    await it.clock.complete(it.house.stop());
  });
  test('refused while rows are left to be read, and without its image; not done while the profile cannot be read', async () => {
    const it = await house({ meters: { count: 1, period_s: 900 } }, { ...options, days: 60 }, 20_000);
    const [meter] = it.simulated.meters as [VirtualMeter];
    const none = order(it.clock.wall(), 'firmware', { image: '0'.repeat(64), identifier: 'FW-2', activate: true });
    expect(await ordered(it, none)).toMatchObject({ outcome: 'refused', reason: 'no-image' });
    expect(await ordered(it, firmware(it))).toMatchObject({ outcome: 'refused', reason: 'profile-unread' });
    await it.run(2 * hourMs);
    // Temporary failure (data-access-result 2) of everything that reads rows; the rest answers.
    const refusing = Object.assign(meter, { buffer: () => ({ refused: 2 }) });
    await it.run(2 * hourMs - (it.clock.wall() % hourMs) + 2000);
    const unread = await ordered(it, firmware(it));
    expect(unread?.outcome).toMatch(/^(refused|failed)$/);
    expect(meter.image).toMatchObject({ status: 0, activations: 0 });
    Reflect.deleteProperty(refusing, 'buffer');
    await it.run(10 * minute);
    expect(await ordered(it, firmware(it), 30 * minute)).toMatchObject({ outcome: 'done' });
    await it.clock.complete(it.house.stop());
  });
});

describe('R36: keys', () => {
  const master = new Secret(fromHex('0f0e0d0c0b0a09080706050403020100'));
  const given = (hex: string) => {
    const key = new Secret(fromHex(hex));
    return { wrapped: toHex(wrapKey(key, master)).toLowerCase(), print: keyPrint(key) };
  };
  const [encryption, authentication] = [
    given('f00102030405060708090a0b0c0d0e0f'),
    given('e0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
  ];
  const options: Options = {
    ...taken({ enable_key_change: true }),
    meter: { ...gmac, next_encryption_key: 'file:/next-ek', next_authentication_key: 'file:/next-ak' },
  };
  const change = (it: VirtualHouse, keys: object = { encryption, authentication }) =>
    order(it.clock.wall(), 'change-keys', { keys });
  const keyIn = (it: VirtualHouse) =>
    toHex(it.simulated.meters[0]?.security.keys.get(0)?.reveal() as Uint8Array).toLowerCase();

  test('changed under the master key that the gateway has not, and in use from then on, also after a start', async () => {
    const it = await house({ meters: { count: 1 } }, options);
    expect(await ordered(it, change(it))).toMatchObject({
      outcome: 'done',
      detail: { changed: 'encryption authentication', entered: '60120001' },
    });
    expect(keyIn(it)).toBe('f00102030405060708090a0b0c0d0e0f');
    await it.run(2 * hourMs);
    await lifeAfter(it, new Map(it.database.data));
    await it.run(2 * hourMs);
    complete(it, [0], 20 * minute);
    expect(eventsOf(it, 'SECURITY_FAULT')).toEqual([]);
    expect(it.reused).toEqual([]);
    expect(await ordered(it, change(it))).toMatchObject({ outcome: 'refused', reason: 'no-next-key' });
    // The operator puts the next keys in the place of the present ones.
    it.configText = it.configText
      .replace(/next_\w+ = "[^"]*"\n/g, '')
      .replace('file:/ek', 'file:/next-ek')
      .replace('file:/ak', 'file:/next-ak');
    await it.reload();
    it.broker.connect();
    await it.run(2 * hourMs);
    complete(it, [0], 20 * minute);
    await it.clock.complete(it.house.stop());
  });
  test('another key than the gateway has, or one of two: refused, and the meter has its keys', async () => {
    const it = await house({ meters: { count: 1 } }, options);
    const other = given('ff0102030405060708090a0b0c0d0e0f');
    for (const keys of [{ encryption: other, authentication }, { encryption }])
      expect(await ordered(it, change(it, keys))).toMatchObject({ outcome: 'refused', reason: 'no-next-key' });
    // Wrapped under another master key: the meter refuses it.
    const wrong = { ...encryption, wrapped: encryption.wrapped.replace(/^../, '00') };
    expect(await ordered(it, change(it, { encryption: wrong, authentication }))).toMatchObject({ outcome: 'failed' });
    expect(keyIn(it)).toBe('000102030405060708090a0b0c0d0e0f');
    await it.run(2 * hourMs);
    complete(it, [0], 20 * minute);
    await it.clock.complete(it.house.stop());
  });
  /** Every poll of the last hours succeeded: nobody wonders any more which keys it has. */
  const settled = (it: VirtualHouse, refusals: number) => {
    complete(it, [0], 20 * minute);
    expect(eventsOf(it, 'SECURITY_FAULT').length).toBeLessThanOrEqual(refusals);
  };
  test('the answer of the meter is lost: unknown, and the gateway finds out which keys it has', async () => {
    const it = await house({ meters: { count: 1 } }, options);
    const [meter] = it.simulated.meters as [VirtualMeter];
    const { bus } = it.simulated;
    const receive = bus.receive.bind(bus);
    const { keys } = meter.security;
    const set = keys.set.bind(keys);
    let muteUntil = 0;
    keys.set = (id, key) => {
      set(id, key);
      if (id !== 2) return keys;
      muteUntil = it.clock.now() + minute;
      throw new Error('the power of the meter goes');
    };
    bus.receive = (octets, now) => {
      if (it.clock.now() < muteUntil) return;
      try {
        receive(octets, now);
      } catch {
        // It has its keys, and says nothing.
        (meter as unknown as { keysChanged: boolean }).keysChanged = true;
      }
    };
    expect(await ordered(it, change(it), 10 * minute)).toMatchObject({ outcome: 'unknown' });
    expect(keyIn(it)).toBe('f00102030405060708090a0b0c0d0e0f');
    await it.run(12 * hourMs);
    settled(it, 1);
    await it.clock.complete(it.house.stop());
  });
  test('power loss right before or after the transfer: the next life finds out which keys the meter has', async () => {
    for (const at of ['before', 'after'] as const) {
      const it = await house({ meters: { count: 1 } }, options);
      const [meter] = it.simulated.meters as [VirtualMeter];
      const before = keyIn(it);
      const { bus } = it.simulated;
      const receive = bus.receive.bind(bus);
      const remember = { noted: undefined as ReadonlyMap<string, Uint8Array> | undefined };
      const batch = it.counters.batch.bind(it.counters);
      it.counters.batch = async (operations, given) => {
        await batch(operations, given);
        const noted = operations.some(
          (one) => one.type === 'put' && Buffer.from(one.value).toString('latin1').includes('keyChange'),
        );
        if (!noted || remember.noted) return;
        remember.noted = new Map(it.counters.data);
        if (at === 'before') bus.receive = () => {};
      };
      const payload = change(it);
      it.broker.send(cmd, signed(payload));
      const moment = diskAt(it, 'begun', false);
      for (let i = 0; i < 120 && !(at === 'before' ? remember.noted : keyIn(it) !== before); i++) await it.run(1000);
      it.broker.disconnect();
      await it.clock.complete(it.house.stop());
      it.counters.batch = batch;
      bus.receive = receive;
      it.database.replace(moment.disk as Map<string, Uint8Array>);
      it.checkpoint = moment.checkpoint;
      it.counters.replace(remember.noted as Map<string, Uint8Array>);
      await it.restart();
      it.broker.connect();
      await it.run(12 * hourMs);
      expect(resultsOf(it, payload.id).at(-1)).toMatchObject({ outcome: 'unknown' });
      expect(toHex(meter.security.keys.get(0)?.reveal() as Uint8Array).toLowerCase() !== before).toBe(at === 'after');
      settled(it, 1);
      await it.clock.complete(it.house.stop());
      release();
    }
  });
});

describe('R39: read by order', () => {
  const hour = Date.UTC(2026, 10, 24, 13);
  test('31 meters that catch up: by order and at the desk 95 of 100 within 30 s, and no hourly row is late for it', async () => {
    const it = await house(
      { bus: { turnaround_ms: 170 }, meters: { count: 31 } },
      { ...taken(), days: 30, start: hour - 8 * minute },
      minute,
    );
    const polled = () =>
      factsOf(it, 'profile').filter(({ start, periodS, count }) => Date.parse(start) + periodS * count * 1000 === hour);
    const took: Record<'mqtt' | 'desk', number[]> = { mqtt: [], desk: [] };
    for (let i = 0; i < 80; i++) {
      await it.run(5000 + ((i * 7919) % 10_000));
      const from = it.clock.now();
      const serial = 60_120_001 + ((i * 13) % 31);
      if (i % 2 === 0) await it.clock.complete(it.house.readNow(`m${serial}`));
      else {
        const payload = order(it.clock.wall(), 'read', { serial });
        it.broker.send(cmd, signed(payload));
        while (resultsOf(it, payload.id).length === 0 && it.clock.now() - from < 5 * minute) await it.run(250);
        expect(resultsOf(it, payload.id)[0]?.outcome).toBe('done');
      }
      took[i % 2 === 0 ? 'desk' : 'mqtt'].push(it.clock.now() - from);
    }
    const at = (all: number[], share: number) =>
      all.toSorted((a, b) => a - b)[Math.ceil(all.length * share) - 1] as number;
    const figures = Object.fromEntries(
      Object.entries(took).map(([way, all]) => [way, [at(all, 0.5), at(all, 0.95), at(all, 1)]]),
    );
    if (process.env['FIGURES'] !== undefined) console.log('R39: p50, p95, longest, ms', figures);
    // Every one of them came into the back-fill.
    expect([...it.compare(10 * minute).values()].some(({ expected, right }) => right < expected)).toBe(true);
    expect(at(took.mqtt, 0.95)).toBeLessThanOrEqual(30_000);
    expect(at(took.desk, 0.95)).toBeLessThanOrEqual(30_000);
    // The hour that ended meanwhile: every meter was asked for it in its window.
    expect(new Set(polled().map(({ meter }) => meter)).size).toBe(31);
    const late = polled().filter(({ readAt }) => Date.parse(readAt) - hour > 5 * minute);
    expect(late).toEqual([]);
  });
});
