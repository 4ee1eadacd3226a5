import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { later, millis } from '../../src/base/time.ts';
import { Outbox } from '../../src/forward/outbox.ts';
import { topics } from '../../src/forward/payload.ts';
import { gatewayFact } from '../../src/reading/facts.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../memory-database.ts';
import { VirtualClock } from '../virtual-clock.ts';

const stored = 4000;
async function filled() {
  const clock = new VirtualClock(Date.UTC(2026, 10, 25));
  const store = await Store.open({ open: () => Promise.resolve(new MemoryDatabase()), clock, newEpoch: 1 });
  const facts = Array.from({ length: stored }, (_, n) => gatewayFact(clock.wall(), 'TRIED', { n }));
  await store.commit({ meter: '_', entryClass: 1, facts });
  return { clock, store };
}

test('a broker that keeps 300 messages for a slow head-end and drops the rest without a word: all arrives, few twice', async () => {
  const { clock, store } = await filled();
  const kept: number[] = [];
  const arrived = new Set<number>();
  let [upTo, dropped] = [0, 0];
  const outbox = new Outbox({
    store,
    clock,
    log: silentLog,
    gateway: 'g',
    topics: topics('t', 'g'),
    publish: async (_, payload) => {
      await clock.sleepUntil(later(clock.now(), 5));
      if (kept.length < 300) kept.push((JSON.parse(payload) as { seq: number }).seq);
      else dropped++;
    },
    greet: () => {},
    window: () => 16,
    rateLimit: undefined,
  });
  const stopping = new AbortController();
  const running = outbox.run(stopping.signal);
  outbox.onConnected();
  const headEnd = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleepUntil(later(clock.now(), 100));
      for (const sequence of kept.splice(0, 10)) arrived.add(sequence);
      while (arrived.has(upTo + 1)) upTo++;
      await outbox.onAck({ epoch: 1, upTo, nack: [] });
    }
  })();
  await clock.run(clock.now() + 3_600_000, () => upTo === stored);
  expect(upTo).toBe(stored);
  expect(dropped).toBeGreaterThan(0);
  // Without a smaller limit each silence would drop 1700 of 2000 again.
  expect(outbox.sentCount).toBeLessThan(2.5 * stored);
  stopping.abort();
  await clock.complete(Promise.all([running, headEnd]));
});

test('R21: a rate limit above what timers can do is kept, and used', async () => {
  const { clock, store } = await filled();
  const sentAt: number[] = [];
  const outbox = new Outbox({
    store,
    // Like Node's own, it never wakes anybody before the next whole millisecond.
    clock: {
      now: () => clock.now(),
      wall: () => clock.wall(),
      sleepUntil: (deadline, signal) =>
        clock.sleepUntil(millis(Math.max(clock.now() + 1, Math.ceil(deadline))), signal),
    },
    log: silentLog,
    gateway: 'g',
    topics: topics('t', 'g'),
    publish: (_, payload) => {
      sentAt.push(clock.now());
      upTo = Math.max(upTo, (JSON.parse(payload) as { seq: number }).seq);
      return Promise.resolve();
    },
    greet: () => {},
    window: () => 16,
    rateLimit: 2500,
  });
  let upTo = 0;
  const stopping = new AbortController();
  const running = outbox.run(stopping.signal);
  outbox.onConnected();
  const headEnd = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleepUntil(later(clock.now(), 50));
      await outbox.onAck({ epoch: 1, upTo, nack: [] });
    }
  })();
  const begun = clock.now();
  await clock.run(clock.now() + 60_000, () => upTo === stored);
  const rate = (1000 * sentAt.length) / (clock.now() - begun);
  expect(rate).toBeGreaterThan(0.95 * 2500);
  expect(rate).toBeLessThan(1.05 * 2500 + 250);
  // In no tenth of a second more than twice a tenth of it.
  for (let i = 0; i + 500 < sentAt.length; i += 50)
    expect((sentAt[i + 500] as number) - (sentAt[i] as number)).toBeGreaterThanOrEqual(99);
  stopping.abort();
  await clock.complete(Promise.all([running, headEnd]));
});

test('incident: thousands of live entries, and a back-fill numbered before them that was never sent: nothing moved on', async () => {
  const { clock, store } = await filled();
  const facts = Array.from({ length: stored }, (_, n) => gatewayFact(clock.wall(), 'TRIED', { n }));
  await store.commit({ meter: '_', entryClass: 0, facts });
  const arrived = new Set<number>();
  const order: number[] = [];
  let upTo = 0;
  const outbox = new Outbox({
    store,
    clock,
    log: silentLog,
    gateway: 'g',
    topics: topics('t', 'g'),
    publish: async (_, payload) => {
      await clock.sleepUntil(later(clock.now(), 1));
      const { seq } = JSON.parse(payload) as { seq: number };
      order.push(seq);
      arrived.add(seq);
    },
    greet: () => {},
    window: () => 16,
    rateLimit: undefined,
  });
  const stopping = new AbortController();
  const running = outbox.run(stopping.signal);
  outbox.onConnected();
  const headEnd = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleepUntil(later(clock.now(), 100));
      while (arrived.has(upTo + 1)) upTo++;
      await outbox.onAck({ epoch: 1, upTo, nack: [] });
    }
  })();
  await clock.run(clock.now() + 60_000, () => upTo === 2 * stored);
  expect(upTo).toBe(2 * stored);
  expect(outbox.resendCount).toBe(0);
  // What is live came first.
  expect(order.slice(0, 900).every((seq) => seq > stored)).toBe(true);
  stopping.abort();
  await clock.complete(Promise.all([running, headEnd]));
});
