/** The central system of the demonstration: `meter-central` as its own process, and what it has stored so far. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeliveredInterval, IntervalVersion } from '../src/central/facts.ts';
import { compareVersions, versionsOf } from '../src/central/intervals.ts';
import { readStore } from '../src/central/open-store.ts';
import { gatewayNumbers } from '../src/central/read-store.ts';
import type { Engine } from '../src/central/sql.ts';
import { hourMs } from '../src/base/time.ts';
import { type PrivatePostgres, startPostgres } from './private-postgres.ts';

export interface DemoCentral {
  /** For `meter-central status --store`. */
  readonly store: string;
  /** The version of each interval that stands above the others, by `meter|start`. */
  readonly newest: ReadonlyMap<string, IntervalVersion>;
  readonly counters: { messages: number; duplicates: number; conflicts: number; unfit: number; gaps: number };
  /** Why messages did not fit, each reason once. */
  readonly unfit: ReadonlySet<string>;
  /** Reads what came since. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}
export interface DemoCentralOptions {
  readonly root: string;
  readonly folder: string;
  readonly broker: string;
  readonly tenant: string;
  readonly postgres: boolean;
  /** It ended by itself. */
  readonly onEnd: (output: string) => void;
}

/** A point and a contract for each meter. Returns their folder. */
export function writeBooks(folder: string, since: number, serials: readonly string[]): string {
  const books = join(folder, 'books');
  mkdirSync(books, { recursive: true });
  const day = new Date(since).toISOString().slice(0, 10);
  writeFileSync(
    join(books, 'registry.json'),
    JSON.stringify({
      points: serials.map((serial) => ({
        point: `point-${serial}`,
        zone: 'UTC',
        periods: [{ from: day, periodS: 3600 }],
        // Nobody has a history yet: a household of five megawatt-hours a year.
        yearlyEstimate: 5_000_000,
        installations: [{ serial, from: new Date(since).toISOString() }],
      })),
      contracts: serials.map((serial) => ({
        contract: `demo-${serial}`,
        point: `point-${serial}`,
        customer: { name: `Customer of ${serial}`, address: [] },
        from: day,
      })),
    }),
  );
  return books;
}

/** A commit may bear a time that is a little older than one that was read already. */
const overlapMs = 10_000;

export async function startCentral(options: DemoCentralOptions): Promise<DemoCentral> {
  const { root, folder, broker, tenant } = options;
  let server: PrivatePostgres | undefined;
  if (options.postgres) {
    // The server is another user, who must find the way to his folder.
    chmodSync(folder, 0o711);
    server = await startPostgres(join(folder, 'postgres'));
  }
  const store = server?.url ?? join(folder, 'central.db');
  const built = join(root, 'dist/central/main.js');
  const entry = existsSync(built) ? built : join(root, 'src/central/main.ts');
  const node = join(root, 'node_modules/.bin/node');
  const child: ChildProcess = spawn(
    node,
    [entry, 'ingest', '--broker', broker, '--tenant', tenant, '--store', store],
    // A group of its own: Ctrl-C is for us, and we end it.
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text: Buffer) => {
      output = (output + text.toString()).slice(-4000);
    });
  const ending = { asked: false };
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  void ended.then(() => {
    if (!ending.asked) options.onEnd(output.trim());
  });
  process.on('exit', () => {
    child.kill('SIGKILL');
    server?.process.kill('SIGKILL');
  });
  const view = viewOf(store);
  return {
    store,
    ...view,
    close: async () => {
      ending.asked = true;
      await view.close();
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
      await server?.stop();
    },
  };
}

function viewOf(store: string): Omit<DemoCentral, 'store'> {
  const newest = new Map<string, IntervalVersion>();
  const seen = new Set<string>();
  const counters = { messages: 0, duplicates: 0, conflicts: 0, unfit: 0, gaps: 0 };
  const unfit = new Set<string>();
  let engine: Engine | undefined;
  let since = 0;
  const take = (message: DeliveredInterval): void => {
    if (message.message.kind === 'gap') counters.gaps++;
    for (const version of versionsOf(message, hourMs)) {
      const key = `${version.meter}|${version.start}`;
      const before = newest.get(key);
      if (!before || compareVersions(version, before) > 0) newest.set(key, version);
    }
  };
  const refresh = async (): Promise<void> => {
    // It has not made its tables yet.
    engine ??= await readStore(store).catch(() => undefined);
    if (!engine) return;
    const rows = await engine.all(
      "SELECT gateway, epoch, seq, received_ms, body FROM fact WHERE kind IN ('profile', 'gap') AND received_ms >= ?",
      Math.max(0, since - overlapMs),
    );
    for (const { gateway, epoch, seq, received_ms, body } of rows) {
      since = Math.max(since, Number(received_ms));
      const key = `${String(gateway)}|${Number(epoch)}|${Number(seq)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      take({ gateway, epoch, seq, receivedAt: received_ms, message: JSON.parse(body as string) } as DeliveredInterval);
    }
    const [stored] = await engine.all('SELECT count(*) AS n FROM fact');
    const numbers = await gatewayNumbers(engine);
    const sum = (of: 'repeated' | 'unfit' | 'conflicts') => numbers.reduce((all, one) => all + one[of], 0);
    counters.duplicates = sum('repeated');
    counters.conflicts = sum('conflicts');
    counters.unfit = sum('unfit');
    counters.messages = Number(stored?.['n']) + counters.duplicates;
    for (const { why } of await engine.all('SELECT DISTINCT why FROM quarantine LIMIT 20')) unfit.add(why as string);
  };
  let reading: Promise<void> = Promise.resolve();
  return {
    newest,
    counters,
    unfit,
    // One after the other; a server that is busy is asked again the next time.
    refresh: () => {
      reading = reading.then(refresh).catch(() => {});
      return reading;
    },
    close: async () => {
      await reading;
      await engine?.close();
    },
  };
}
