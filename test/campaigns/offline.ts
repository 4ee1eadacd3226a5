/**
 * R21: the broker is away for so many days while quarter-hour meters are read; then everything is delivered, within the
 * rate limit, through a real mosquitto. The waiting is in virtual time, the delivery from a real LevelDB in real time.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dayMs } from '../../src/base/time.ts';
import { subscribe } from '../support/memory-subscriber.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { openLevel } from '../../src/disk/level-database.ts';
import { octetsOf } from '../../src/disk/space.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { defaultPackSize, Store } from '../../src/store/store.ts';
import { sleep } from '../support/broker.ts';
import { forwarderOf } from '../support/forwarder.ts';
import { virtualHouse } from '../support/virtual-house.ts';

export interface OfflineSettings {
  readonly days: number;
  readonly buses: number;
  readonly metersPerBus: number;
  /** Messages a second. */
  readonly rateLimit: number;
  readonly brokerUrl: string;
  readonly progress?: (text: string) => void;
}
export interface OfflineResult {
  readonly intervals: number;
  readonly messages: number;
  readonly sentAgain: number;
  /** The store with all that waits: octets on disk, and how long it takes to open. */
  readonly octets: number;
  readonly openSeconds: number;
  readonly seconds: number;
  /** Messages a second, from the first to the last. */
  readonly rate: number;
  readonly problems: readonly string[];
}
const quarter = 900_000;

export async function offline(settings: OfflineSettings): Promise<OfflineResult> {
  const { days, buses, metersPerBus, rateLimit, brokerUrl, progress = () => {} } = settings;
  const problems: string[] = [];
  const it = await virtualHouse(
    { seed: 1, meters: { count: metersPerBus, period_s: 900, depth_days: days + 10, history_days: 3 } },
    { buses, days: 1, packSize: defaultPackSize },
  );
  for (let day = 1; day <= days; day++) {
    await it.run(dayMs);
    progress(`day ${day} of ${days} without broker: ${it.database.data.size} records`);
  }
  // After the last quarter every meter has been polled once more.
  await it.run(quarter);
  await it.clock.complete(it.house.stop());

  const directory = mkdtempSync(join(tmpdir(), 'offline-'));
  try {
    mkdirSync(join(directory, 'store'));
    const level = await openLevel(join(directory, 'store'), true);
    const pairs = [...it.database.data];
    for (let at = 0; at < pairs.length; at += 5000)
      await level.batch(
        pairs.slice(at, at + 5000).map(([key, value]) => ({ type: 'put', key, value })),
        { sync: false },
      );
    await level.close();
    it.database.replace(new Map());
    pairs.length = 0;

    const beforeOpening = performance.now();
    const folder = await stateDirectory(directory, Date.now());
    const store = await Store.open({ ...folder.store, clock: systemClock });
    const openSeconds = (performance.now() - beforeOpening) / 1000;
    const octets = octetsOf(join(directory, 'store'));
    const { pending, damage } = await store.status();
    if (damage.missing + damage.quarantined > 0) problems.push('the store is damaged');
    progress(`${pending} messages wait`);
    const tenant = `offline-${process.pid}-${days}`;
    const central = await subscribe(brokerUrl, tenant, it.ingest);
    const stopping = new AbortController();
    const forwarder = forwarderOf({ store, url: brokerUrl, tenant, gateway: 'g1', window: 16, rateLimit });
    const from = performance.now();
    const running = forwarder.run(stopping.signal);
    const left = async () => (await store.status()).pending;
    // Generous: what is asserted is the rate, and it is an upper one.
    const limit = from + 60_000 + (10_000 * pending) / rateLimit;
    for (let last = 0; (await left()) > 0 && performance.now() < limit; ) {
      await sleep(20);
      const percent = Math.floor((100 * it.ingest.counters.messages) / pending);
      if (percent >= last + 10) progress(`${(last = percent)} % delivered`);
    }
    const seconds = (performance.now() - from) / 1000;
    const waiting = await left();
    if (waiting > 0) problems.push(`${waiting} messages are not acknowledged`);
    stopping.abort();
    await running;
    await central.close();
    await store.close();

    const { counters, received } = it.ingest;
    const numbers = received.get('g1');
    if (!numbers || numbers.beyond.size > 0 || numbers.upTo < pending)
      problems.push(`numbers are missing after ${numbers?.upTo}`);
    if (counters.conflicts + counters.unfit + counters.gaps > 0)
      problems.push(
        `${counters.conflicts} conflicts, ${counters.unfit} unfit, ${counters.gaps} gaps, and there were none`,
      );
    let intervals = 0;
    for (const [meter, { expected, right, wrong }] of it.compare(quarter)) {
      intervals += expected;
      if (right !== expected) problems.push(`meter ${meter}: ${right} of ${expected} intervals; ${wrong[0] ?? ''}`);
    }
    const { messages } = counters;
    return {
      intervals,
      messages,
      sentAgain: forwarder.outbox.resendCount,
      octets,
      openSeconds,
      seconds,
      rate: messages / seconds,
      problems,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
