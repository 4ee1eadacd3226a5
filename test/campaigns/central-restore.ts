/**
 * A backup of before is put back under gateways that go on, all of them processes: gateways on real lines, a real broker, the
 * worker, SQLite or PostgreSQL. The loss is seen, asked for and whole again, whether or not the gateways connect anew.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dayMs, hourMs, millis } from '../../src/base/time.ts';
import { newestVersions } from '../../src/central/intervals.ts';
import { readStore } from '../../src/central/open-store.ts';
import { intervalFacts } from '../../src/central/read-store.ts';
import { type CentralStatus, centralStatus } from '../../src/central/status.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { servePty } from '../../src/simulator/serve.ts';
import { realBroker, sleep } from '../support/broker.ts';
import { engines } from '../support/central-engines.ts';
import { loadProfile } from '../support/central-messages.ts';
import { configuration, meterOf } from '../support/configuration.ts';
import { ingestProgram, program } from '../support/killed-program.ts';

export interface CentralRestoreOptions {
  readonly store: 'sqlite' | 'postgres';
  readonly gateways: number;
  /** Of each gateway; half of them come after the backup was made. */
  readonly meters: number;
  /** The broker is restarted with the store: gateways introduce themselves anew. Else they notice nothing. */
  readonly noticed: boolean;
  /** Whole: it is known as well that there is nothing before; that is asked twice, ten minutes apart. */
  readonly goesOnUntil: 'seen' | 'back' | 'whole';
  readonly progress?: (line: string) => void;
}
export interface CentralRestoreResult {
  readonly hours: number;
  readonly lost: number;
  readonly problems: readonly string[];
  readonly seconds: number;
}
const tenant = 'backup';
const days = 2;
const limitMs = 300_000;

/** Its meters on a line of their own, and what they count. */
function gatewayWith(folder: string, id: string, seed: number, count: number, brokerUrl: string) {
  const own = join(folder, id);
  mkdirSync(own);
  const simulated = buildBus(
    parseScenario({ seed, meters: { count, history_days: days + 2, depth_days: days + 30 } }),
    millis(Date.now()),
  );
  const served = servePty(simulated.bus);
  const secret = join(own, 'secret');
  writeFileSync(secret, 'meter\n', { mode: 0o600 });
  const config = join(own, 'gateway.toml');
  const serials = simulated.meters.map(({ settings }) => settings.serial);
  const configure = (meters: number) =>
    writeFileSync(
      config,
      configuration({
        gateway: {
          id,
          tenant,
          state_directory: join(own, 'state'),
          clock_trust: 'assume',
          back_fill_days: days,
        },
        mqtt: { url: brokerUrl },
        port: [
          {
            device: `serial:${served.device}`,
            meter: simulated.meters.slice(0, meters).map(({ settings: { serial, logical, physical } }) =>
              meterOf(serial, {
                server: logical,
                ...(physical !== undefined && { physical }),
                client: 17,
                auth: 'lls',
                secret: `file:${secret}`,
              }),
            ),
          },
        ],
      }),
    );
  return {
    id,
    simulated,
    serials,
    configure,
    close: () => served.close(),
    ...program(['src/main/main.ts', 'run', '--config', config]),
  };
}
type Running = ReturnType<typeof gatewayWith>;

/** Hours of each meter that are there, and those of them that are not as the meter counted them. */
async function hoursIn(url: string, gateways: readonly Running[], since: number, now: number) {
  const engine = await readStore(url);
  try {
    const there = new Set<string>();
    const wrong: string[] = [];
    for (const { id, simulated } of gateways)
      for (const { settings, curve } of simulated.meters) {
        const name = { gateway: id, meter: `m${settings.serial}`, series: loadProfile };
        const facts = await intervalFacts(engine, name, { from: since, to: now });
        for (const [start, version] of newestVersions(facts, hourMs)) {
          if (version.kind !== 'row') continue;
          const hour = `${id} ${settings.serial} ${new Date(start).toISOString()}`;
          const [end, begin] = [start + hourMs, start].map((at) => BigInt(curve.register(0, millis(at)))) as [
            bigint,
            bigint,
          ];
          const [value] = version.channels;
          there.add(hour);
          if (value?.register !== end || value.energy !== end - begin) wrong.push(hour);
        }
      }
    return { there, wrong };
  } finally {
    await engine.close();
  }
}
const statusOf = async (url: string): Promise<CentralStatus> => {
  const engine = await readStore(url);
  try {
    return await centralStatus(engine, Date.now());
  } finally {
    await engine.close();
  }
};

export async function centralRestore(options: CentralRestoreOptions): Promise<CentralRestoreResult> {
  const { progress = () => {} } = options;
  const began = Date.now();
  const since = Math.floor(began / dayMs) * dayMs - days * dayMs;
  const folder = mkdtempSync(join(tmpdir(), 'central-restore-'));
  const broker = await realBroker();
  const made = await engines(options.store);
  const store = await made.fresh();
  // From now on it is the worker's.
  await store.engine.close();
  const worker = ingestProgram(broker.url, tenant, store.url);
  const gateways = Array.from({ length: options.gateways }, (_, i) =>
    gatewayWith(folder, `gw-${i + 1}`, i + 1, options.meters, broker.url),
  );
  const problems: string[] = [];
  /** Everything that so many meters of each have by now. */
  const whole = async (meters: number) => {
    const { there } = await hoursIn(store.url, gateways, since, Date.now());
    const full = Math.floor(Date.now() / hourMs) * hourMs - hourMs;
    const from = Math.ceil((began - days * dayMs) / hourMs) * hourMs;
    const owed = gateways.flatMap(({ id, serials }) =>
      serials
        .slice(0, meters)
        .flatMap((serial) =>
          Array.from(
            { length: (full - from) / hourMs },
            (_, i) => `${id} ${serial} ${new Date(from + i * hourMs).toISOString()}`,
          ),
        ),
    );
    return owed.every((hour) => there.has(hour));
  };
  const until = async (reached: () => Promise<boolean>, what: string, limit = limitMs) => {
    for (const end = Date.now() + limit; !(await reached()); await sleep(500))
      if (Date.now() > end)
        throw new Error(
          `${what}: not within ${limit} ms\n${[worker, ...gateways].map((one) => one.output()).join('\n')}`,
        );
  };
  try {
    worker.start();
    const half = Math.max(1, Math.floor(options.meters / 2));
    for (const one of gateways) {
      one.configure(half);
      one.start();
    }
    await until(() => whole(half), `the first ${half} meters of each`);
    await worker.end('SIGTERM');
    await store.keep();
    progress(`backup with ${half} meters of each of ${options.gateways} gateways`);

    worker.start();
    for (const one of gateways) {
      one.configure(options.meters);
      await one.end('SIGTERM');
      one.start();
    }
    await until(() => whole(options.meters), 'all meters');
    // What was sent is acknowledged, and the gateways have deleted it.
    await until(
      async () => (await statusOf(store.url)).gateways.every((one) => one.pending === 0),
      'everything is acknowledged',
    );
    const before = await hoursIn(store.url, gateways, since, Date.now());
    problems.push(...before.wrong.map((hour) => `before: ${hour}`));
    progress(`${before.there.size} meter-hours; the backup is put back`);

    await worker.end();
    await store.putBack();
    const old = await hoursIn(store.url, gateways, since, Date.now());
    const lost = before.there.size - old.there.size;
    if (options.noticed) await broker.stop();
    worker.start();
    if (options.noticed) await broker.start();
    await until(async () => (await statusOf(store.url)).losses.length === gateways.length, 'every loss is seen');
    progress(`${lost} meter-hours lost, seen at ${gateways.length} gateways`);
    const isBack = async () => {
      const { there } = await hoursIn(store.url, gateways, since, Date.now());
      return [...before.there].every((hour) => there.has(hour));
    };
    if (options.goesOnUntil !== 'seen') {
      await until(isBack, 'what was lost is back');
      progress('what was lost is back');
    }
    if (options.goesOnUntil === 'whole')
      await until(
        async () => (await statusOf(store.url)).losses.every(({ wholeAt }) => wholeAt !== null),
        'whole again',
        4 * limitMs,
      );
    const after = await hoursIn(store.url, gateways, since, Date.now());
    problems.push(...after.wrong.map((hour) => `after: ${hour}`));
    const { losses, gateways: numbers, accounts } = await statusOf(store.url);
    for (const { gone, gateway } of losses)
      if (gone.length > 0) problems.push(`${gateway}: ${JSON.stringify(gone)} is gone`);
    for (const { gateway, holes, conflicts, unfit } of numbers)
      if (holes + conflicts + unfit > 0)
        problems.push(`${gateway}: ${holes} holes, ${conflicts} conflicts, ${unfit} unfit`);
    if (accounts.different + accounts.miscounted > 0) problems.push(`accounts: ${JSON.stringify(accounts)}`);
    return { hours: before.there.size, lost, problems, seconds: (Date.now() - began) / 1000 };
  } finally {
    for (const one of gateways) {
      await one.end();
      await one.close();
    }
    await worker.end();
    await broker.remove();
    await made.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
