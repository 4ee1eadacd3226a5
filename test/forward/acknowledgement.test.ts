/** What an acknowledgement, its absence and a refusal do to what waits: nothing leaves the store without evidence. */
import { expect, test } from 'vitest';
import type { Log } from '../../src/base/log.ts';
import { later } from '../../src/base/time.ts';
import { fitFact } from '../../src/forward/fit.ts';
import { Outbox, type OutboxSettings } from '../../src/forward/outbox.ts';
import { tooLarge } from '../../src/forward/refusal.ts';
import { type AckPayload, ackPayload } from '../../src/contract/payloads.ts';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { topics } from '../../src/contract/topics.ts';
import { type Fact, eventOfGateway, type ProfileFact } from '../../src/reading/facts.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const epoch = 7;
const facts = (clock: VirtualClock, count: number, from = 0): Fact[] =>
  Array.from({ length: count }, (_, n) => eventOfGateway(clock.wall(), 'TRIED', { n: from + n }));
const ack = (upTo: number, more: Partial<AckPayload> = {}): AckPayload => ({ epoch, upTo, nack: [], ...more });

async function world(live: number, backFill = 0, packSize = 8) {
  const clock = new VirtualClock(Date.UTC(2026, 10, 25));
  const open = () =>
    Store.open({
      open: () => Promise.resolve(database),
      clock,
      packSize,
      fit: (fact) => fitFact(fact, clock.wall()),
      newEpoch: (after) => Math.max(epoch, after + 1),
    });
  const database = new MemoryDatabase();
  const store = await open();
  if (backFill > 0) await store.commit({ meter: '_', entryClass: 1, facts: facts(clock, backFill) });
  if (live > 0) await store.commit({ meter: '_', entryClass: 0, facts: facts(clock, live, backFill) });
  const lines: string[] = [];
  const log: Log = {
    info: () => {},
    warn: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    error: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
  };
  const sent: { seq: number; epoch: number; kind: string; text: string; at: number }[] = [];
  /** A process's life. */
  const begin = (of: Store, settings: Partial<OutboxSettings> = {}, answers = true) => {
    const stopping = new AbortController();
    const outbox = new Outbox({
      store: of,
      clock,
      log,
      gateway: 'g',
      topics: topics('t', 'g'),
      greet: () => {
        // Births are answered with what it has.
        if (answers) queueMicrotask(() => outbox.onAck({ epoch: of.epoch, upTo: of.acknowledged, nack: [] }));
      },
      window: () => 16,
      rateLimit: undefined,
      ...settings,
      publish: async (topic, payload) => {
        const { seq, epoch: ours, kind } = JSON.parse(payload) as { seq: number; epoch: number; kind: string };
        sent.push({ seq, epoch: ours, kind, text: payload, at: clock.now() });
        await clock.sleepUntil(later(clock.now(), 5));
        await settings.publish?.(topic, payload);
      },
    });
    const running = outbox.run(stopping.signal);
    outbox.onConnected();
    return {
      outbox,
      end: () => {
        stopping.abort();
        return clock.complete(running);
      },
    };
  };
  return {
    clock,
    store,
    database,
    open,
    begin,
    sent,
    lines,
    run: (ms: number) => clock.run(clock.now() + ms),
  };
}
const numbers = async (store: Store) =>
  [...(await store.outbox(0, 0, 10_000)), ...(await store.outbox(1, 0, 10_000))].map(({ sequence }) => sequence);

test('incident: an acknowledgement up to anything stored deleted it, sent or not: 1 message sent, 42 deleted', async () => {
  const it = await world(42);
  let taken = 0;
  const { outbox, end } = it.begin(it.store, {
    window: () => 1,
    publish: () => (taken++ === 0 ? Promise.resolve() : new Promise(() => {})),
  });
  await it.run(1000);
  outbox.onAck(ack(42));
  await it.run(1000);
  expect(await numbers(it.store)).toEqual(Array.from({ length: 41 }, (_, i) => i + 2));
  expect(outbox.trouble).toBeUndefined();
  await it.run(60_000);
  expect(outbox.trouble).toMatch(/acknowledges up to 42, the broker has taken up to 1/);
  expect(it.lines.filter((line) => line.includes('has not taken'))).toHaveLength(1);
  await end();
});

test('what an earlier life sent is sent again and then believed, without a second acknowledgement', async () => {
  const it = await world(100);
  const first = it.begin(it.store);
  await it.run(2000);
  expect(it.sent).toHaveLength(100);
  await first.end();
  const store = await it.open();
  const second = it.begin(store, {}, false);
  await it.run(10);
  second.outbox.onAck(ack(100));
  await it.run(0);
  expect((await store.status()).pending).toBe(100);
  await it.run(5000);
  expect((await store.status()).pending).toBe(0);
  expect(second.outbox.trouble).toBeUndefined();
  await second.end();
});

test('live rows go before back-fill: a claim is believed up to the first number that the broker has not taken', async () => {
  const it = await world(50, 50);
  const { outbox, end } = it.begin(it.store, {
    publish: (_, payload) =>
      (JSON.parse(payload) as { seq: number }).seq === 30 ? new Promise(() => {}) : Promise.resolve(),
  });
  await it.run(2000);
  expect(it.sent[0]?.seq).toBe(51);
  outbox.onAck(ack(100));
  await it.run(100);
  expect(it.store.acknowledged).toBe(29);
  expect(await numbers(it.store)).toContain(100);
  await end();
});

test('a nack of what was never sent is ignored; one of what was sent withdraws the evidence, and it is sent again soon', async () => {
  const it = await world(20);
  const { outbox, end } = it.begin(it.store);
  outbox.onAck(ack(0, { nack: [3, 4, 19, 5000] }));
  await it.run(1000);
  expect(it.sent).toHaveLength(20);
  outbox.onAck(ack(20, { nack: [5, 6, 77] }));
  await it.run(100);
  expect(await numbers(it.store)).toEqual([5, 6]);
  // Its next word says that it has all of it, though nothing was sent again.
  outbox.onAck(ack(20));
  await it.run(100);
  expect(await numbers(it.store)).toEqual([5, 6]);
  await it.run(10_000);
  expect(it.sent.slice(20).map(({ seq }) => seq)).toEqual([5, 6]);
  expect(await numbers(it.store)).toEqual([]);
  await end();
});

test('a nacked message under a steady flow is sent again without waiting for a silence', async () => {
  const it = await world(20);
  const { outbox, end } = it.begin(it.store);
  await it.run(500);
  outbox.onAck(ack(20, { nack: [7] }));
  for (let n = 0; n < 30; n++) {
    await it.store.commit({ meter: '_', entryClass: 0, facts: facts(it.clock, 1) });
    await it.run(1000);
    outbox.onAck(
      ack(it.store.nextSequence - 1, it.sent.filter(({ seq }) => seq === 7).length < 2 ? { nack: [7] } : {}),
    );
  }
  await it.run(1000);
  expect(await numbers(it.store)).toEqual([]);
  await end();
});

test('incident: a head-end that refuses what it gets (nack) kept messages waiting, and status said nothing', async () => {
  const it = await world(20);
  const { outbox, end } = it.begin(it.store);
  await it.run(500);
  outbox.onAck(ack(20, { nack: [7, 9] }));
  await it.run(500);
  expect(outbox.trouble).toMatch(/refuses 2 messages \(nack\), the first of them number 7.*\(head-end\)/);
  outbox.onAck(ack(20));
  await it.run(10_000);
  outbox.onAck(ack(20));
  await it.run(500);
  expect([await numbers(it.store), outbox.trouble]).toEqual([[], undefined]);
  await end();
});

test('sibling: an epoch that no gateway can have begun is the head-end’s mistake: said, and nothing is begun anew', async () => {
  const it = await world(10);
  const { outbox, end } = it.begin(it.store, {}, false);
  await it.run(100);
  outbox.onAck(ack(0, { epoch: Number.MAX_SAFE_INTEGER }));
  await it.run(1000);
  expect(it.store.epoch).toBe(epoch);
  expect(it.lines.filter((line) => line.includes('no gateway can have begun'))).toHaveLength(1);
  outbox.onAck(ack(0));
  await it.run(20_000);
  expect(it.sent.length).toBeGreaterThan(5);
  await end();
});

test('an answer beyond our numbers, in `upTo`, in `seen` or in the epoch: the state fell back, and nothing is said under numbers given before', async () => {
  for (const answer of [
    ack(20),
    ack(3, { seen: 20 }),
    ack(11),
    ack(0, { epoch: epoch + 1 }),
    ack(0, { epoch: 2 ** 51 }),
  ]) {
    const it = await world(10);
    let doubts = 0;
    const { outbox, end } = it.begin(
      it.store,
      {
        onFellBack: () => {
          doubts++;
          return Promise.resolve();
        },
      },
      false,
    );
    await it.run(100);
    expect(it.sent).toHaveLength(0);
    outbox.onAck(answer);
    await it.run(1000);
    expect(it.store.epoch).toBeGreaterThan(Math.max(epoch, answer.epoch));
    expect(doubts).toBe(1);
    await it.run(20_000);
    expect(it.sent.length).toBeGreaterThan(10);
    expect(it.sent.every((one) => one.epoch === it.store.epoch)).toBe(true);
    expect(it.sent.some(({ text }) => text.includes('STATE_FELL_BACK'))).toBe(true);
    // Somebody's mischief does not make everything be read again and again.
    const { epoch: now } = it.store;
    for (let n = 0; n < 50; n++) {
      outbox.onAck(ack(9999, { epoch: it.store.epoch }));
      await it.run(1000);
    }
    expect(it.store.epoch).toBe(now);
    expect(outbox.trouble).toMatch(/fell back/);
    expect(it.lines.filter((line) => line.includes('says again'))).toHaveLength(1);
    await end();
  }
});

test('an epoch that cannot be is no acknowledgement; one of an earlier epoch changes nothing and is logged once', async () => {
  expect(isUnfit(parsePayload(ackPayload, Buffer.from(JSON.stringify({ epoch: 2 ** 53 - 2, upTo: 1 }))))).toBe(true);
  const it = await world(10);
  const { outbox, end } = it.begin(it.store);
  await it.run(1000);
  for (let n = 0; n < 100; n++) outbox.onAck(ack(n, { epoch: epoch - 1 }));
  await it.run(1000);
  expect(it.store.epoch).toBe(epoch);
  expect((await it.store.status()).pending).toBe(10);
  await end();
});

test('rows wait for the answer to the birth a bounded time; less where the last one was not answered; what came before it is no answer', async () => {
  const it = await world(5);
  const { outbox, end } = it.begin(it.store, {}, false);
  // Kept by the broker for us since the last connection: it comes before we have said anything.
  outbox.onAck(ack(0));
  await it.run(9900);
  expect(it.sent).toHaveLength(0);
  await it.run(1000);
  expect(it.sent).toHaveLength(5);
  outbox.onDisconnected();
  outbox.onConnected();
  await it.run(900);
  expect(it.sent).toHaveLength(5);
  await it.run(300);
  expect(it.sent).toHaveLength(10);
  // It answers again: waited for again, and no longer than it takes.
  outbox.onAck(ack(0));
  outbox.onDisconnected();
  outbox.onConnected();
  await it.run(5000);
  expect(it.sent).toHaveLength(10);
  outbox.onAck(ack(0));
  await it.run(100);
  expect(it.sent).toHaveLength(15);
  await end();
});

test('incident: a trickle of new rows kept 2000 messages waiting for 6 minutes: silence is the lack of progress', async () => {
  const it = await world(1900);
  const { outbox, end } = it.begin(it.store, { refusesInSilence: true });
  await it.run(10_000);
  const first = it.sent.length;
  expect(first).toBe(1900);
  // The head-end lost all of it; every five seconds something new is stored and sent.
  for (let n = 0; n < 8; n++) {
    await it.store.commit({ meter: '_', entryClass: 0, facts: facts(it.clock, 1) });
    await it.run(5000);
  }
  expect(it.sent.filter(({ seq }) => seq === 1).length).toBeGreaterThan(1);
  expect(outbox.trouble).toMatch(/acknowledges nothing after 0.*amr\/v1\/t\/g\/down\/ack/);
  // Item 13: what MQTT 3.1.1 forbids without a word is named as a cause.
  expect(outbox.trouble).toMatch(/3\.1\.1.*access rules forbid this gateway to publish/);
  await end();
});

test('incident: 5 000 acknowledgements with 1 000 nacks each: the newest counts, the store is asked a few times', async () => {
  const it = await world(100);
  let asked = 0;
  const acknowledge = it.store.acknowledge.bind(it.store);
  it.store.acknowledge = (...all) => {
    asked++;
    return acknowledge(...all);
  };
  const { outbox, end } = it.begin(it.store);
  await it.run(2000);
  const nack = Array.from({ length: 1000 }, (_, n) => n + 1);
  for (let n = 0; n < 5000; n++) outbox.onAck(ack(50 + (n % 50), { nack }));
  outbox.onAck(ack(100));
  await it.run(1000);
  expect(asked).toBeLessThan(10);
  expect((await it.store.status()).pending).toBe(0);
  await end();
});

function block(clock: VirtualClock, rows: number, channels: number): ProfileFact {
  const column = <T>(value: T) => Array.from({ length: rows }, () => value);
  return {
    kind: 'profile',
    meter: 'm1',
    point: 'p1',
    serial: '1',
    series: '1-0:99.1.0*255',
    start: new Date(clock.wall() - rows * 300_000).toISOString(),
    periodS: 300,
    count: rows,
    channels: Array.from({ length: channels }, (_, i) => ({
      obis: `1-0:1.8.${i}*255`,
      unit: 'Wh',
      scaler: 0,
      register: column(123_456),
    })),
    status: column(0),
    quality: column('MEASURED' as const),
    rev: column(1),
    readAt: new Date(clock.wall()).toISOString(),
    clockDeviationS: 0,
    clockTrust: 'kernel',
  };
}
const rowsOf = (sent: readonly { text: string }[]) =>
  new Set(
    sent.flatMap(({ text }) => {
      const { kind, start, count } = JSON.parse(text) as { kind: string; start: string; count: number };
      return kind === 'profile' ? Array.from({ length: count }, (_, i) => Date.parse(start) + i * 300_000) : [];
    }),
  );

/** Everything that the broker took arrives, and is acknowledged up to the first number that is missing. */
function headEnd(outbox: () => Outbox) {
  const arrived = new Set<number>();
  const texts: { seq: number; text: string }[] = [];
  let upTo = 0;
  return {
    texts,
    take: (payload: string) => {
      const { seq } = JSON.parse(payload) as { seq: number };
      arrived.add(seq);
      texts.push({ seq, text: payload });
      while (arrived.has(upTo + 1)) upTo++;
      outbox().onAck(ack(upTo));
    },
  };
}

for (const way of ['Maximum Packet Size', 'reason 0x95', 'hangs up', 'drops it without a word'] as const)
  test(`a broker takes 4000 octets (${way}): a large block is split, its number becomes void, all rows arrive`, async () => {
    const it = await world(3, 0);
    await it.store.commit({
      meter: 'm1',
      series: storedSeriesKey('p'),
      state: { since: 0, coverage: [] },
      entryClass: 0,
      facts: [block(it.clock, 96, 8)],
    });
    await it.store.commit({ meter: '_', entryClass: 0, facts: facts(it.clock, 30) });
    const central = headEnd(() => outbox);
    const { outbox, end } = it.begin(it.store, {
      ...(way === 'Maximum Packet Size' && { packetLimit: () => 4000 }),
      publish: async (_, payload) => {
        if (payload.length <= 4000) return central.take(payload);
        if (way === 'Maximum Packet Size') throw tooLarge(payload.length, 4000);
        if (way === 'reason 0x95') throw Object.assign(new Error('Publish error'), { code: 0x95 });
        if (way === 'drops it without a word') return;
        outbox.onDisconnected();
        await it.run(0);
        outbox.onConnected();
        throw new Error('Message removed');
      },
    });
    const answering = (async () => {
      // Births are answered.
      for (let n = 0; n < 3600; n++) {
        await it.clock.sleepUntil(later(it.clock.now(), 1000));
        outbox.onAck(ack(it.store.acknowledged));
      }
    })();
    await it.clock.run(it.clock.now() + 3_600_000, () => it.store.acknowledged === it.store.nextSequence - 1);
    expect((await it.store.status()).pending).toBe(0);
    expect(rowsOf(central.texts).size).toBe(96);
    expect(central.texts.find(({ seq }) => seq === 4)?.text).toContain('"cause":"SPLIT"');
    expect(Math.max(...central.texts.map(({ text }) => text.length))).toBeLessThanOrEqual(4000);
    await it.clock.complete(answering);
    await end();
  });

test('what has no parts and is too large for the broker becomes void and an event that tells; below 1 KiB nothing is given up', async () => {
  for (const limit of [2000, 300]) {
    const it = await world(0);
    await it.store.commit({
      meter: '_',
      entryClass: 0,
      facts: [
        eventOfGateway(
          it.clock.wall(),
          'LONG',
          Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`n${n}`, 'x'.repeat(60)])),
        ),
      ],
    });
    const central = headEnd(() => outbox);
    const { outbox, end } = it.begin(it.store, {
      packetLimit: () => limit,
      publish: (_, payload) => {
        if (payload.length > limit) throw tooLarge(payload.length, limit);
        central.take(payload);
        return Promise.resolve();
      },
    });
    await it.run(60_000);
    if (limit === 2000) {
      expect((await it.store.status()).pending).toBe(0);
      expect(central.texts.map(({ text }) => JSON.parse(text) as object)).toMatchObject([
        { kind: 'void', cause: 'TOO_LARGE' },
        { kind: 'event', name: 'LONG', detail: { cutBecause: expect.stringContaining('octets') } },
      ]);
    } else {
      expect((await it.store.status()).pending).toBe(1);
      expect(factOf((await it.store.outbox(0, 0, 1))[0] as { text: string })).toMatchObject({ name: 'LONG' });
      expect(outbox.trouble).toMatch(/the broker takes 300/);
    }
    await end();
  }
});

test('a number within a pack is replaced: the others of the pack stay, and so after a restart', async () => {
  const it = await world(100, 0, 8);
  await it.store.commit({ meter: '_', entryClass: 0, facts: facts(it.clock, 1, 100) });
  expect(it.database.data.size).toBeLessThan(60);
  expect(await it.store.replace(50, facts(it.clock, 2, 500), 'SPLIT')).toBe(true);
  expect(await it.store.replace(5000, [], 'SPLIT')).toBe(false);
  const all = Array.from({ length: 103 }, (_, i) => i + 1);
  expect(await numbers(it.store)).toEqual(all);
  const again = await it.open();
  expect((await again.status()).damage).toMatchObject({ quarantined: 0, missing: 0 });
  expect(await numbers(again)).toEqual(all);
  const [entry] = await again.outbox(0, 49, 1);
  expect(entry && factOf(entry)).toEqual({ kind: 'void', cause: 'SPLIT' });
});

test('a broker that refuses for ever (not authorised, quota): shown, tried again with pauses, delivered when it is well', async () => {
  for (const code of [0x87, 0x97, 0x96, 0x80]) {
    const it = await world(100);
    let well = false;
    const central = headEnd(() => outbox);
    const { outbox, end } = it.begin(it.store, {
      publish: (_, payload) => {
        if (!well) throw Object.assign(new Error('Publish error'), { code });
        central.take(payload);
        return Promise.resolve();
      },
    });
    await it.run(600_000);
    expect(outbox.trouble).toContain(`reason 0x${code.toString(16)}`);
    expect(it.sent.length).toBeLessThan(1000);
    expect(it.lines.length).toBeLessThan(5);
    well = true;
    await it.run(60_000);
    expect((await it.store.status()).pending).toBe(0);
    expect(outbox.trouble).toBeUndefined();
    await end();
  }
});

test('one message alone is refused: the others go on, and it is delivered when it may', async () => {
  const it = await world(10);
  let well = false;
  const central = headEnd(() => outbox);
  const { outbox, end } = it.begin(it.store, {
    publish: (_, payload) => {
      if (!well && (JSON.parse(payload) as { seq: number }).seq === 4)
        throw Object.assign(new Error(''), { code: 0x87 });
      central.take(payload);
      return Promise.resolve();
    },
  });
  await it.run(10_000);
  expect(it.store.acknowledged).toBe(3);
  well = true;
  await it.run(60_000);
  expect((await it.store.status()).pending).toBe(0);
  await end();
});

test('sibling: a poison message that an earlier version stored is said in other words; what only looks like one is sent', async () => {
  const it = await world(0);
  const unchecked = await Store.open({
    open: () => Promise.resolve(it.database),
    clock: it.clock,
    newEpoch: (after) => after + 1,
  });
  const stamp = '+010000-01-01T00:00:00.000Z';
  const event = eventOfGateway(it.clock.wall(), 'HAPPENED', null);
  const poison = [{ ...event, at: stamp }, { ...event, detail: { rawAt: stamp } }, block(it.clock, 288, 130)];
  await unchecked.commit({ meter: '_', entryClass: 0, facts: [...poison, ...facts(it.clock, 5)] });
  const store = await it.open();
  const central = headEnd(() => outbox);
  const { outbox, end } = it.begin(store, {
    publish: (_, payload) => {
      central.take(payload);
      return Promise.resolve();
    },
  });
  await it.run(60_000);
  expect((await store.status()).pending).toBe(0);
  const sent = central.texts.map(({ seq, text }) => ({ seq, fact: JSON.parse(text) as Record<string, unknown> }));
  expect(sent.find(({ seq }) => seq === 1)?.fact).toMatchObject({ kind: 'void', cause: 'SPLIT' });
  expect(sent.find(({ seq }) => seq === 2)?.fact).toMatchObject({ name: 'HAPPENED', detail: { rawAt: stamp } });
  expect(sent.find(({ seq }) => seq === 3)?.fact).toMatchObject({ kind: 'void' });
  expect(sent.filter(({ fact }) => fact['name'] === 'HAPPENED')).toHaveLength(2);
  expect(rowsOf(central.texts).size).toBe(288);
  await end();
});
