/** `meter-central`: takes what gateways deliver, acknowledges it, and shows what is there. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { errorTable, Failure, messageOf } from '../base/errors.ts';
import { iso, millis } from '../base/time.ts';
import { visible } from '../base/visible.ts';
import { exportLines } from './read-store.ts';
import { openStore, readStore } from './open-store.ts';
import type { Engine } from './sql.ts';
import { centralStatus, seriesLines, statusLines } from './status.ts';
import { startWorker } from './worker.ts';

interface IngestOptions {
  broker: string;
  tenant: string;
  store: string;
  group?: string;
  protocol: '5' | '3.1.1';
  user?: string;
  passwordFile?: string;
  ca?: string;
  certificate?: string;
  key?: string;
}
const print = (line: string): void => void process.stdout.write(`${visible(line)}\n`);

/** What happened, whose fault, the next step. */
function fail(error: unknown): void {
  if (error instanceof Failure) {
    process.stderr.write(
      `${visible(`${error.code}: ${error.message} (${error.fault})`)}\n${visible(`next: ${error.nextStep}`)}\n`,
    );
    process.exitCode = errorTable[error.code].exitCode;
  } else {
    process.stderr.write(`${visible(messageOf(error))}\n`);
    process.exitCode = 1;
  }
}
export const guarded =
  <A extends unknown[]>(work: (...all: A) => Promise<void>) =>
  (...all: A): Promise<void> =>
    work(...all).catch(fail);

function passwordOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Failure('bad-argument', `--password-file: ${messageOf(error)}`);
  }
}
function judgeBroker(url: string): void {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new Failure(
      'bad-argument',
      `--broker: ${JSON.stringify(url)} is no URL, e.g. mqtts://broker.example.com:8883`,
    );
  }
  if (parsed.password !== '')
    throw new Failure(
      'bad-argument',
      '--broker: a password stands in the URL, where everybody on this machine can see it',
      {
        next: 'Name a file by --password-file.',
      },
    );
  if (!['mqtt:', 'mqtts:'].includes(parsed.protocol))
    throw new Failure('bad-argument', `--broker: ${parsed.protocol} is not spoken here; mqtt: or mqtts:`);
}

/** A worker holds no more than its queue: what it leaves lying is swept up sooner, or it would be 236 MiB instead of 120. */
const heapLimits = ['--max-old-space-size=96', '--max-semi-space-size=8'];
/** V8 takes limits only at its start: the process begins once more in its own place, unless somebody has set others. */
function limitHeap(): void {
  const given = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  if (/max[-_]old[-_]space[-_]size/.test(given)) return;
  process.execve?.(process.execPath, [process.execPath, ...heapLimits, ...process.execArgv, ...process.argv.slice(1)]);
}

async function runIngest(options: IngestOptions): Promise<void> {
  judgeBroker(options.broker);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(options.tenant))
    throw new Failure('bad-argument', '--tenant: only letters, digits, - and _, at most 64');
  const { ca, certificate, key, user, group } = options;
  const password = passwordOf(options.passwordFile);
  limitHeap();
  const engine = await openStore(options.store, options.tenant);
  let seen = '';
  const worker = startWorker(engine, {
    broker: {
      url: options.broker,
      tenant: options.tenant,
      protocol: options.protocol === '5' ? 5 : 4,
      ...(group !== undefined && { group }),
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      tls: {
        ...(ca !== undefined && { ca }),
        ...(certificate !== undefined && { certificate }),
        ...(key !== undefined && { key }),
      },
    },
    log: (line) => {
      // A broker that is away is one line, not one a second.
      if (line !== seen) print(`${new Date().toISOString()} ${line}`);
      seen = line;
    },
  });
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await worker.close();
  await engine.close();
  const { messages, stored, repeated, unfit, conflicts } = worker.counted;
  print(
    `stopped: ${messages} messages, ${stored} stored, ${repeated} were here before, ${unfit} did not fit, ${conflicts} numbers with two contents`,
  );
  process.exit(0);
}

export async function reading(store: string, work: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await readStore(store);
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}
const storeOption = () =>
  new Option(
    '--store <where>',
    'a file of SQLite, or postgres://user@host/database (password: PGPASSFILE or PGPASSWORD)',
  ).makeOptionMandatory();
interface ReadOptions {
  store: string;
  json?: boolean;
}

export const program = new Command('meter-central')
  .description('takes what meter gateways deliver, acknowledges it, and shows what is there')
  .showHelpAfterError('(meter-central --help says more)')
  // 2: usage, as of the gateway. Its unit starts nothing again that ended so.
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
program
  .command('ingest')
  .description('takes the messages of all gateways of a tenant, stores them, and acknowledges them')
  .requiredOption('--broker <url>', 'mqtt:// or mqtts://, without a password')
  .requiredOption('--tenant <name>', 'whose gateways')
  .addOption(storeOption())
  .option('--group <name>', 'workers of one name share the messages; they need PostgreSQL')
  .addOption(new Option('--protocol <version>', 'of MQTT').choices(['5', '3.1.1']).default('5'))
  .option('--user <name>', 'at the broker')
  .option('--password-file <file>', 'its first line is the password at the broker')
  .option('--ca <file>', 'authority of the certificate of the broker, PEM')
  .option('--certificate <file>', 'our certificate, PEM')
  .option('--key <file>', 'its key, PEM')
  .action(guarded(runIngest));
program
  .command('status')
  .description('shows whom it hears, what is missing, and what is proven')
  .addOption(storeOption())
  .option('--json', 'for programs')
  .action(
    guarded(({ store, json }: ReadOptions) =>
      reading(store, async (engine) => {
        const status = await centralStatus(engine, Date.now());
        for (const line of json ? [JSON.stringify(status)] : statusLines(status)) print(line);
      }),
    ),
  );
program
  .command('list')
  .description('shows each series, from when to when, and how many of its intervals are what')
  .addOption(storeOption())
  .option('--json', 'for programs: a line of JSON for each')
  .action(
    guarded(({ store, json }: ReadOptions) =>
      reading(store, async (engine) => {
        for (const line of await seriesLines(engine)) {
          const { gateway, meter, point, series, from, to, counts } = line;
          const words = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
          print(
            json
              ? JSON.stringify(line)
              : `${gateway}  ${meter}  ${point}  ${series}  ${iso(millis(from))} to ${iso(millis(to))}: ${words.join(', ')}`,
          );
        }
      }),
    ),
  );
program
  .command('quarantine')
  .description('shows the messages that did not fit the contract, and why')
  .addOption(storeOption())
  .option('--raw', 'with what was sent')
  .action(
    guarded(({ store, raw }: ReadOptions & { raw?: boolean }) =>
      reading(store, async (engine) => {
        const rows = await engine.all('SELECT * FROM quarantine ORDER BY received_ms, id LIMIT 1000');
        for (const row of rows) {
          const number =
            row['seq'] === null ? 'no number' : `number ${Number(row['epoch'])}/${Number(row['seq'])}, acknowledged`;
          print(
            `${new Date(row['received_ms'] as number).toISOString()}  ${row['topic'] as string}  ${row['why'] as string}; ${number}`,
          );
          if (raw) print(`  ${Buffer.from(row['raw'] as Uint8Array).toString('utf8')}`);
        }
      }),
    ),
  );
program
  .command('export')
  .description('writes every message as it was delivered, a line each, by gateway, epoch and number')
  .addOption(storeOption())
  .action(
    guarded(({ store }: ReadOptions) =>
      reading(store, async (engine) => {
        for await (const line of exportLines(engine)) process.stdout.write(`${line.replaceAll('\n', ' ')}\n`);
      }),
    ),
  );
