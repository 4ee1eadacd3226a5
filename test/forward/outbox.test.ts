import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { later, millis } from '../../src/base/time.ts';
import { Outbox, type OutboxSettings } from '../../src/forward/outbox.ts';
import { topics } from '../../src/contract/topics.ts';
import { eventOfGateway } from '../../src/reading/facts.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const stored = 4000;
async function filled() {
  const clock = new VirtualClock(Date.UTC(2026, 10, 25));
  const store = await Store.open({
    open: () => Promise.resolve(new MemoryDatabase()),
    clock,
    newEpoch: (after) => after + 1,
  });
  const facts = Array.from({ length: stored }, (_, n) => eventOfGateway(clock.wall(), 'TRIED', { n }));
  await store.commit({ meter: '_', entryClass: 1, facts });
  return { clock, store };
}
const sequenceOf = (payload: string): number => (JSON.parse(payload) as { seq: number }).seq;

/** The outbox and a head-end that acknowledges so often, until it has everything or so much time is over. */
async function deliver(
  { clock, store }: Awaited<ReturnType<typeof filled>>,
  settings: Pick<OutboxSettings, 'publish'> & Partial<Pick<OutboxSettings, 'clock' | 'rateLimit'>>,
  headEnd: { readonly everyMs: number; readonly upTo: () => number; readonly all: number; readonly limitMs: number },
): Promise<Outbox> {
  const outbox = new Outbox({
    store,
    clock,
    log: silentLog,
    gateway: 'g',
    topics: topics('t', 'g'),
    greet: () => {},
    window: () => 16,
    rateLimit: undefined,
    ...settings,
  });
  const stopping = new AbortController();
  const running = outbox.run(stopping.signal);
  outbox.onConnected();
  let upTo = 0;
  const acknowledging = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleepUntil(later(clock.now(), headEnd.everyMs));
      upTo = headEnd.upTo();
      outbox.onAck({ epoch: 1, upTo, nack: [] });
    }
  })();
  await clock.run(clock.now() + headEnd.limitMs, () => upTo === headEnd.all);
  expect(upTo).toBe(headEnd.all);
  stopping.abort();
  await clock.complete(Promise.all([running, acknowledging]));
  return outbox;
}
/** Numbers that came, up to the first that is missing. */
function arrivals() {
  const arrived = new Set<number>();
  let upTo = 0;
  return {
    add: (sequence: number) => void arrived.add(sequence),
    upTo: () => {
      while (arrived.has(upTo + 1)) upTo++;
      return upTo;
    },
  };
}

test('a broker that keeps 300 messages for a slow head-end and drops the rest without a word: all arrives, few twice', async () => {
  const it = await filled();
  const queued: number[] = [];
  const arrived = arrivals();
  let dropped = 0;
  const publish = async (_: string, payload: string) => {
    await it.clock.sleepUntil(later(it.clock.now(), 5));
    if (queued.length < 300) queued.push(sequenceOf(payload));
    else dropped++;
  };
  const upTo = () => {
    for (const sequence of queued.splice(0, 10)) arrived.add(sequence);
    return arrived.upTo();
  };
  const outbox = await deliver(it, { publish }, { everyMs: 100, upTo, all: stored, limitMs: 3_600_000 });
  expect(dropped).toBeGreaterThan(0);
  // Without a smaller limit each silence would drop 1700 of 2000 again.
  expect(outbox.sentCount).toBeLessThan(2.5 * stored);
});

test('R21: a rate limit above what timers can do is kept, and used', async () => {
  const it = await filled();
  const { clock } = it;
  const sentAt: number[] = [];
  let highest = 0;
  const begun = clock.now();
  await deliver(
    it,
    {
      // Like Node's own, it never wakes anybody before the next whole millisecond.
      clock: {
        now: () => clock.now(),
        wall: () => clock.wall(),
        sleepUntil: (deadline, signal) =>
          clock.sleepUntil(millis(Math.max(clock.now() + 1, Math.ceil(deadline))), signal),
      },
      publish: (_, payload) => {
        sentAt.push(clock.now());
        highest = Math.max(highest, sequenceOf(payload));
        return Promise.resolve();
      },
      rateLimit: 2500,
    },
    { everyMs: 50, upTo: () => highest, all: stored, limitMs: 60_000 },
  );
  const rate = (1000 * sentAt.length) / (clock.now() - begun);
  expect(rate).toBeGreaterThan(0.95 * 2500);
  expect(rate).toBeLessThan(1.05 * 2500 + 250);
  // In no tenth of a second more than twice a tenth of it.
  for (let i = 0; i + 500 < sentAt.length; i += 50)
    expect((sentAt[i + 500] as number) - (sentAt[i] as number)).toBeGreaterThanOrEqual(99);
});

test('incident: thousands of live entries, and a back-fill numbered before them that was never sent: nothing moved on', async () => {
  const it = await filled();
  const facts = Array.from({ length: stored }, (_, n) => eventOfGateway(it.clock.wall(), 'TRIED', { n }));
  await it.store.commit({ meter: '_', entryClass: 0, facts });
  const order: number[] = [];
  const arrived = arrivals();
  const publish = async (_: string, payload: string) => {
    await it.clock.sleepUntil(later(it.clock.now(), 1));
    order.push(sequenceOf(payload));
    arrived.add(sequenceOf(payload));
  };
  const outbox = await deliver(it, { publish }, { everyMs: 100, upTo: arrived.upTo, all: 2 * stored, limitMs: 60_000 });
  expect(outbox.resendCount).toBe(0);
  // What is live came first.
  expect(order.slice(0, 900).every((seq) => seq > stored)).toBe(true);
});
