/** A forwarder in a process with the daemon's heap, for what a broker or head-end does to its memory: reports it ten times a second. */
import { openLog } from '../../src/main/logger.ts';
import { fitFact } from '../../src/forward/fit.ts';
import { Forwarder } from '../../src/forward/forwarder.ts';
import { topics } from '../../src/contract/topics.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { eventOfGateway } from '../../src/reading/facts.ts';
import { Store } from '../../src/store/store.ts';
import { forwarderSettings } from './forwarder.ts';
import { MemoryDatabase } from './memory-database.ts';

const [url = '', protocol = '5'] = process.argv.slice(2);
const clock = systemClock;
const database = new MemoryDatabase();
const store = await Store.open({
  open: () => Promise.resolve(database),
  clock,
  fit: (fact) => fitFact(fact, clock.wall()),
  newEpoch: (after) => after + 1,
});
await store.commit({
  meter: '_',
  entryClass: 0,
  facts: Array.from({ length: 1000 }, (_, n) => eventOfGateway(clock.wall(), 'TRIED', { n })),
});
const forwarder = new Forwarder(
  forwarderSettings({
    store,
    log: openLog('info'),
    topics: topics('t', 'g'),
    broker: { url, protocol: protocol === '5' ? 5 : 4, clientId: 'g', keepaliveS: 30, window: 16 },
  }),
);
let most = 0;
const report = async () => {
  most = Math.max(most, process.memoryUsage.rss());
  const { pending } = await store.status();
  process.send?.({ maxMiB: most / 2 ** 20, pending, trouble: forwarder.trouble ?? null, unfit: forwarder.unfitCount });
};
setInterval(() => void report(), 100);
process.on('disconnect', () => process.exit());
await forwarder.run(new AbortController().signal);
