/**
 * meter-central on node:sqlite, with its store on an ext4 whose power fails at random moments while gateways deliver. What was
 * acknowledged they delete: so whatever a cut takes of it is lost for good, and is missed at the end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { seeded } from '../../src/simulator/random.ts';
import { type RealBroker, realBroker, sleep, until } from '../support/broker.ts';
import { startFleet } from '../support/central-fleet.ts';
import { checkStore } from './central-check.ts';
import { ext4Disk } from './cuts.ts';

export interface CentralCutsSettings {
  readonly seed: number;
  readonly cuts: number;
  readonly gateways?: number;
  readonly days?: number;
  /** The negative control: syncs are made to do nothing by this library. */
  readonly preload?: string;
}
export interface CentralCutsResult {
  readonly cuts: number;
  /** Cuts while there was something to store. */
  readonly busy: number;
  readonly messages: number;
  readonly sentAgain: number;
  readonly verified: number;
  readonly problems: readonly string[];
}
const root = new URL('../../', import.meta.url).pathname;
const tenant = 'cuts';
/** Of the worker, from its connection to the cut. */
const longestMs = 900;
const limitMs = 60_000;

function startWorker(broker: RealBroker, store: string, preload: string | undefined) {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(root, 'src/central/main.ts'), 'ingest', '--broker', broker.url, '--tenant', tenant, '--store', store],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(preload !== undefined && { LD_PRELOAD: preload }) },
    },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text: Buffer) => {
      output = (output + text.toString()).slice(-2000);
    });
  return {
    child,
    ended,
    output: () => output,
    connected: () =>
      until(() => output.includes('connected') || child.exitCode !== null, `a worker: ${output}`, limitMs),
  };
}

export async function centralCuts(settings: CentralCutsSettings): Promise<CentralCutsResult> {
  const { seed, cuts, gateways = 20, days = 60, preload } = settings;
  const random = seeded(seed);
  const disk = await ext4Disk(400);
  const store = join(disk.path, 'central.db');
  const broker = await realBroker(['max_queued_messages 20000']);
  const problems: string[] = [];
  let busy = 0;
  let worker: ReturnType<typeof startWorker> | undefined;
  try {
    const fleet = await startFleet({ url: broker.url, tenant, gateways, days, window: 5, silenceMs: 300 });
    const messages = fleet.open();
    for (let cut = 0; cut < cuts; cut++) {
      worker = startWorker(broker, store, preload);
      const { child, ended, connected, output } = worker;
      await connected();
      if (child.exitCode !== null) problems.push(`cut ${cut}: it did not start: ${output()}`);
      await sleep(random() * longestMs);
      if (fleet.open() > 0) busy++;
      await disk.cut(
        async () => {
          child.kill('SIGSTOP');
          await sleep(3);
        },
        async () => {
          child.kill('SIGKILL');
          await ended;
        },
      );
    }
    worker = startWorker(broker, store, preload);
    await until(() => fleet.open() === 0, 'everything acknowledged', 4 * limitMs).catch((error: unknown) => {
      problems.push(`${String(error)}: ${worker?.output()}`);
    });
    await fleet.stop();
    worker.child.kill('SIGTERM');
    await worker.ended;
    const { verified, problems: found } = await checkStore(store, tenant, fleet);
    problems.push(...found);
    return { cuts, busy, messages, sentAgain: fleet.sentAgain(), verified, problems };
  } finally {
    worker?.child.kill('SIGKILL');
    await worker?.ended;
    await broker.remove();
    await disk.remove();
  }
}
