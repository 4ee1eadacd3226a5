/**
 * Many meters for weeks in virtual time, with a real LevelDB, a real mqtt.js and a real mosquitto that is restarted now and
 * then: whether memory, handles and files of the process stay what they are. The simulated meters are in the same process.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { dayMs, millis } from '../../src/base/time.ts';
import type { World } from '../../src/house.ts';
import { openBroker } from '../../src/forward/mqtt-client.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { type RealBroker, sleep } from '../support/broker.ts';
import { defaultPackSize } from '../../src/store/store.ts';
import type { HeadEndReport } from '../support/head-end.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import { virtualHouse } from '../support/virtual-house.ts';

export interface SoakSettings {
  readonly buses: number;
  readonly metersPerBus: number;
  readonly days: number;
  readonly broker: RealBroker;
  readonly progress?: (text: string) => void;
}
interface Sample {
  readonly day: number;
  /** Resident: of the process's own, and of files that LevelDB has mapped, which the kernel takes back when it needs to. */
  readonly ownMiB: number;
  readonly mappedMiB: number;
  readonly heapMiB: number;
  readonly handles: number;
  readonly files: number;
}
export interface SoakResult {
  readonly intervals: number;
  readonly samples: readonly Sample[];
  /** Change a day, by the line of least squares through the samples after the first third. */
  readonly slopes: Omit<Sample, 'day'>;
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly problems: string[];
}
const hour = 3_600_000;
const samplesPerDay = 4;
const restartEveryDays = 3;
const acknowledgementLimitMs = 5000;
/** Of virtual time, that a PUBACK and an acknowledgement take at most. */
const brokerMs = 1000;
const tenant = 't1';
const gateway = 'g1';

function slope(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [days, values] = [samples.map(({ day }) => day), samples.map(of)];
  const [middle, level] = [mean(days), mean(values)];
  const spread = days.reduce((sum, day) => sum + (day - middle) ** 2, 0);
  return days.reduce((sum, day, i) => sum + (day - middle) * ((values[i] as number) - level), 0) / spread;
}

/** proc_pid_status(5). */
function resident(): { ownMiB: number; mappedMiB: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { ownMiB: of('RssAnon'), mappedMiB: of('RssFile') };
}

/** The real broker, for which virtual time waits: a connection, a PUBACK and an acknowledgement take none of it. */
function waitedFor(url: string) {
  let acknowledged = 0;
  let away = true;
  let waiting: (() => void)[] = [];
  const reached = async (done: () => boolean) => {
    const limit = Date.now() + acknowledgementLimitMs;
    while (!done() && Date.now() < limit)
      await Promise.race([
        sleep(50),
        new Promise<void>((resolve) => {
          waiting.push(resolve);
        }),
      ]);
  };
  const open =
    (clock: VirtualClock): NonNullable<World['openBroker']> =>
    (settings, listener) => {
      const wakeAll = (): void => {
        const woken = waiting;
        waiting = [];
        for (const wake of woken) wake();
      };
      const broker = openBroker(
        { ...settings, url },
        {
          onConnected: () => {
            away = false;
            listener.onConnected();
            wakeAll();
          },
          onDisconnected: () => {
            away = true;
            listener.onDisconnected();
            wakeAll();
          },
          onMessage: (topic, payload) => {
            if (topic.endsWith('/down/ack'))
              acknowledged = (JSON.parse(Buffer.from(payload).toString()) as { upTo: number }).upTo;
            listener.onMessage(topic, payload);
            wakeAll();
          },
        },
        { info: () => {}, warn: () => {}, error: () => {} },
        () => 0,
      );
      return {
        ...broker,
        publish: (topic, payload, options) => {
          const published = broker.publish(topic, payload, options);
          void clock.hold(
            published.catch(() => {}),
            brokerMs,
          );
          if (topic.includes('/up/')) {
            const { seq } = JSON.parse(payload) as { seq: number };
            void clock.hold(
              reached(() => away || acknowledged >= seq),
              brokerMs,
            );
          }
          return published;
        },
      };
    };
  return { open, connected: (clock: VirtualClock) => clock.hold(reached(() => !away)) };
}

export async function soak({
  buses,
  metersPerBus,
  days,
  broker,
  progress = () => {},
}: SoakSettings): Promise<SoakResult> {
  const problems: string[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'soak-'));
  const headEnd = fork(new URL('../support/head-end.ts', import.meta.url).pathname, [broker.url, tenant, gateway, '1']);
  await new Promise<void>((resolve) => headEnd.once('message', () => resolve()));
  const folder = await stateDirectory(directory, Date.now());
  const { database: counters } = await folder.counters.open();
  const { open, connected } = waitedFor(broker.url);
  const it = await virtualHouse(
    {
      seed: 1,
      meters: { count: metersPerBus, depth_days: 40 },
      // A line that damages frames, and a meter that comes and goes.
      fault: [
        { kind: 'flip', meter: 0, rate: 0.0002 },
        ...Array.from({ length: days }, (_, day) => ({
          kind: 'silence' as const,
          meter: 1,
          from_s: day * 86_400 + 20_000,
          to_s: day * 86_400 + 30_000,
        })),
      ],
    },
    { buses, days: 1, packSize: defaultPackSize, real: { store: folder.store, counters, openBroker: open } },
  );
  const { clock } = it;
  const begin = clock.now();
  const samples: Sample[] = [];
  const delay = monitorEventLoopDelay({ resolution: 5 });
  try {
    await connected(clock);
    delay.enable();
    for (let step = 1; step <= days * samplesPerDay; step++) {
      const end = millis(begin + (step * dayMs) / samplesPerDay);
      if (step % (restartEveryDays * samplesPerDay) === 2) {
        await broker.stop();
        await clock.run(clock.now() + hour);
        await broker.start();
        await connected(clock);
      }
      await clock.run(end);
      // Timers of what is just being waited for are no handles that stay.
      await sleep(150);
      globalThis.gc?.();
      const { heapUsed } = process.memoryUsage();
      samples.push({
        day: step / samplesPerDay,
        ...resident(),
        heapMiB: heapUsed / 2 ** 20,
        handles: process.getActiveResourcesInfo().length,
        files: readdirSync('/proc/self/fd').length,
      });
      const last = samples.at(-1) as Sample;
      if (step % samplesPerDay === 0)
        progress(
          `day ${last.day}: ${last.ownMiB.toFixed(1)} MiB resident, ${last.mappedMiB.toFixed(1)} MiB of mapped files, ${last.heapMiB.toFixed(1)} MiB heap, ${last.handles} handles, ${last.files} files`,
        );
    }
    delay.disable();
    // What came while the broker was away has been delivered as well.
    const limit = Date.now() + 60_000;
    while ((await it.store.status()).pending > 0 && Date.now() < limit) {
      await clock.run(clock.now() + 1000);
      await sleep(10);
    }
    const { pending } = await it.store.status();
    if (pending > 0) problems.push(`${pending} messages are not acknowledged`);
    const report = await new Promise<HeadEndReport>((resolve) => {
      headEnd.once('message', (message) => resolve(message as HeadEndReport));
      headEnd.send('report');
    });
    const meters = buses * metersPerBus;
    const expected = meters * Math.floor((begin + days * dayMs - it.since) / hour);
    if (report.intervals !== expected) problems.push(`${report.intervals} meter-hours delivered of ${expected}`);
    const settled = samples.slice(Math.floor(samples.length / 3));
    const of = (field: keyof Sample) => slope(settled, (sample) => sample[field]);
    return {
      intervals: report.intervals,
      samples,
      slopes: {
        ownMiB: of('ownMiB'),
        mappedMiB: of('mappedMiB'),
        heapMiB: of('heapMiB'),
        handles: of('handles'),
        files: of('files'),
      },
      loopDelayMs: {
        p50: delay.percentile(50) / 1e6,
        p99: delay.percentile(99) / 1e6,
        max: delay.max / 1e6,
      },
      problems,
    };
  } finally {
    await clock.complete(it.house.stop()).catch(() => {});
    await it.store.close();
    await counters.close();
    headEnd.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}
