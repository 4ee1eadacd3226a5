/**
 * The central system loses what it runs on, while gateways deliver: workers, the database, the broker, all workers for a
 * while. At the end everything is acknowledged, the store has every message once, and every account is verified.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PrivatePostgres, promote, startPostgres, startStandby } from '../../scripts/private-postgres.ts';
import { type RealBroker, realBroker, sleep, until } from '../support/broker.ts';
import { startFleet } from '../support/central-fleet.ts';
import { ingestProgram } from '../support/killed-program.ts';
import { checkStore } from './central-check.ts';

/** What happens, in this order; each waits until some more was acknowledged. */
export type Harm =
  /** A worker is killed and not started again. */
  | 'worker'
  | 'restarted-worker'
  | 'database'
  /** The server is killed for good, and its synchronous standby takes its place; the workers know both by one URL. */
  | 'promotion'
  | 'broker'
  /** All workers are away for a while. */
  | 'all-workers';
export interface CentralKillOptions {
  readonly store: 'sqlite' | 'postgres';
  readonly gateways: number;
  readonly days: number;
  readonly workers: number;
  readonly harms: readonly Harm[];
  readonly awayMs?: number;
  readonly progress?: (line: string) => void;
}
export interface CentralKillResult {
  readonly messages: number;
  readonly problems: readonly string[];
  readonly sentAgain: number;
  readonly seconds: number;
  readonly verified: number;
}
const tenant = 'fleet';

/** Workers as processes of their own. */
function crew(broker: RealBroker, store: string, shared: boolean) {
  const running: ReturnType<typeof ingestProgram>[] = [];
  const all: typeof running = [];
  return {
    running,
    output: () => all.map((one) => one.output()).join('\n'),
    start: () => {
      const worker = ingestProgram(broker.url, tenant, store, shared ? ['--group', 'w'] : []);
      worker.start();
      running.push(worker);
      all.push(worker);
    },
    kill: async () => running.shift()?.end(),
  };
}

export async function centralKill(options: CentralKillOptions): Promise<CentralKillResult> {
  const { gateways, days, workers, harms, awayMs = 1000, progress = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), 'central-kill-'));
  chmodSync(folder, 0o711);
  let postgres: PrivatePostgres | undefined;
  if (options.store === 'postgres') postgres = await startPostgres(join(folder, 'pg'));
  const standby =
    postgres && options.harms.includes('promotion') ? await startStandby(postgres, join(folder, 'standby')) : undefined;
  const folders = [postgres?.folder, standby?.folder].map((one) => encodeURIComponent(one ?? '')).join(',');
  const store = standby
    ? `postgres:///postgres?host=${folders}&user=central&target_session_attrs=read-write`
    : (postgres?.url ?? join(folder, 'central.db'));
  const broker = await realBroker(['max_queued_messages 20000']);
  const all = crew(broker, store, options.store === 'postgres');
  const began = Date.now();
  try {
    for (let i = 0; i < workers; i++) all.start();
    const fleet = await startFleet({ url: broker.url, tenant, gateways, days });
    const total = fleet.open();
    const acts: Readonly<Record<Harm, () => Promise<void>>> = {
      worker: () => all.kill(),
      'restarted-worker': async () => {
        await all.kill();
        all.start();
      },
      database: async () => {
        if (!postgres) throw new Error('sqlite has no server that could be killed');
        await postgres.kill();
        postgres = await startPostgres(join(folder, 'pg'));
      },
      promotion: async () => {
        if (!postgres || !standby) throw new Error('there is no standby');
        await postgres.kill();
        await promote(standby);
      },
      broker: async () => {
        await broker.kill();
        await sleep(300);
        await broker.start();
      },
      'all-workers': async () => {
        const count = all.running.length;
        for (let i = 0; i < count; i++) await all.kill();
        await sleep(awayMs);
        for (let i = 0; i < count; i++) all.start();
      },
    };
    for (const [i, harm] of harms.entries()) {
      // In the middle of it: so much is open when it happens.
      const open = total * (1 - (i + 1) / (harms.length + 1));
      await until(() => fleet.open() <= open, `progress before ${harm}: ${all.output()}`, 180_000);
      progress(`${harm}: ${total - fleet.open()} of ${total} acknowledged`);
      await acts[harm]();
    }
    await until(() => fleet.open() === 0, `everything acknowledged: ${all.output()}`, 300_000);
    await fleet.stop();
    while (all.running.length > 0) await all.kill();
    const { problems, verified } = await checkStore(store, tenant, fleet);
    return {
      messages: total,
      problems,
      sentAgain: fleet.sentAgain(),
      seconds: (Date.now() - began) / 1000,
      verified,
    };
  } finally {
    while (all.running.length > 0) await all.kill();
    await broker.remove();
    await postgres?.stop();
    await standby?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
