/** `meter-gateway run`: the real world, signals, systemd. */
import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { compose, type House, type World } from '../compose.ts';
import { loadConfig } from '../config/load.ts';
import { findingText, type GatewayPlan, requirePlan, resolve } from '../config/resolve.ts';
import { serviceSources } from '../config/sources.ts';
import { openPort } from '../line/open-port.ts';
import { fitFact } from '../forward/fit.ts';
import { systemClock } from '../line/system-clock.ts';
import { meterModels } from '../config/meter-models.ts';
import { answers } from '../schedule/reachability.ts';
import { serveStatus } from '../status/local-server.ts';
import { Counters } from '../store/counters.ts';
import { Store } from '../store/store.ts';
import { stateFolder } from './state-folder.ts';
import { kernelTime } from './kernel-time.ts';
import { openLog } from './logger.ts';
import { openNotifier } from './notifier.ts';

const packageRoot = new URL('../../', import.meta.url);
export const version: string = (
  JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string }
).version;
/** SIGTERM to exit, at most; the house drains in less. */
const stopLimitMs = 4700;
const settledAfterMs = 24 * 3_600_000;
const startExtensionMs = 5 * 60_000;

/** The plan of a file, judged whole. Failure `config-invalid` with everything that stands in its way. */
function planOf(configPath: string): { plan: GatewayPlan; warnings: readonly string[] } {
  const { config, warnings } = loadConfig(configPath);
  // Under systemd in /run, where the operators' group can reach it: nobody else enters the state directory.
  const socket = join(process.env['RUNTIME_DIRECTORY'] ?? config.gateway.state_directory, 'status.sock');
  const plan = requirePlan(resolve(config, meterModels(), serviceSources, socket), configPath);
  return { plan, warnings: [...warnings, ...plan.findings.map(findingText)] };
}

export async function run(configPath: string): Promise<number> {
  const { plan: firstPlan, warnings } = planOf(configPath);
  const { config } = firstPlan;
  const log = openLog(config.log.level);
  for (const warning of warnings) log.warn({ config: configPath }, warning);
  if (Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) < 16) {
    log.warn({}, 'UV_THREADPOOL_SIZE is below 16: a slow serial port can hold up the store; set it before starting');
  }
  const notifier = await openNotifier();
  // Damage of a store with a year in it takes minutes to mend; a start that is killed meanwhile begins with that again.
  notifier.starting(startExtensionMs);
  const starting = setInterval(() => notifier.starting(startExtensionMs), startExtensionMs / 10).unref();
  const folder = await stateFolder(config.gateway.state_directory, Date.now());
  const store = await Store.open({
    ...folder.store,
    clock: systemClock,
    fit: (fact) => fitFact(fact, systemClock.wall()),
  });
  log.info(
    { directory: config.gateway.state_directory, epoch: store.epoch, created: folder.created },
    'state directory',
  );
  const { damage } = await store.status();
  if (damage.quarantined + damage.missing + damage.log.length > 0)
    log.error({ ...damage }, 'the store was damaged; all series are read again from the meters');

  const counters = await Counters.open(folder.counters);
  if (counters.foundDoubtful)
    log.error(
      {},
      'the invocation counters were damaged; each meter with keys is asked for its own before the first use',
    );
  const time = kernelTime(config.gateway.state_directory, () => Date.now());
  const world: World = {
    clock: systemClock,
    log,
    store,
    counters,
    version,
    boot: randomUUID(),
    random: () => randomInt(2 ** 47) / 2 ** 47,
    openPort: (device, baud) => openPort(device, baud, systemClock),
    disk: () => {
      try {
        return folder.disk();
      } catch {
        return null;
      }
    },
    relieve: async () => {
      await store.compact();
      return folder.relieve();
    },
    rssBytes: () => process.memoryUsage.rss(),
    timeIsKnown: () => time.timeIsKnown(),
  };

  let house: House = compose(firstPlan, world);
  let closeStatus = await serveStatus(firstPlan.statusSocket, () => house, { group: config.gateway.status_group, log });
  log.info(
    { ports: config.port.length, meters: config.port.reduce((sum, port) => sum + port.meter.length, 0), version },
    'gateway runs',
  );
  clearInterval(starting);
  notifier.ready();

  const tick = async () => {
    const stuck = await house.stuck();
    const { store: stored, broker, ports } = await house.snapshot();
    const meters = ports.flatMap((port) => port.meters);
    const healthy = meters.filter(({ verdict }) => answers(verdict)).length;
    notifier.status(
      stuck ??
        `${healthy} of ${meters.length} meters reachable, ${stored.pending} messages to deliver, broker ${broker.connected ? 'connected' : 'away'}`,
    );
    // Fed only by evidence: every port made its steps and the store answered.
    time.remember();
    if (stuck === undefined) notifier.watchdog();
    else log.error({ stuck }, 'watchdog is not fed');
  };
  const every = Math.min(notifier.watchdogEveryMs ?? 10_000, 10_000);
  const timer = setInterval(
    () => void tick().catch((error: unknown) => log.error({ error: messageOf(error) }, 'health check failed')),
    every,
  );

  // Up for long: whatever ended it next is not what ended it before.
  setTimeout(() => folder.settled(), settledAfterMs).unref();
  let stopping = false;
  let finish: (code: number) => void = () => {};
  const finished = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const watch = (of: House) => {
    of.stopped.then(
      () => {},
      (error: unknown) => {
        log.error({ error: messageOf(error), stack: error instanceof Error ? error.stack : undefined }, 'crashed');
        finish(70);
      },
    );
  };
  watch(house);
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    notifier.stopping();
    setTimeout(() => {
      log.error({}, 'stopped hard: the house did not drain in time');
      process.kill(process.pid, 'SIGKILL');
    }, stopLimitMs).unref();
    void house.stop().then(() => finish(0));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  let reloading = false;
  process.on('SIGHUP', () => {
    if (stopping || reloading) return;
    reloading = true;
    void (async () => {
      notifier.reloading();
      try {
        const { plan: next, warnings: more } = planOf(configPath);
        for (const warning of more) log.warn({ config: configPath }, warning);
        if (next.config.gateway.state_directory !== config.gateway.state_directory) {
          throw new Failure('config-invalid', 'state_directory cannot change while the gateway runs');
        }
        await house.stop();
        house = compose(next, world);
        watch(house);
        await closeStatus();
        closeStatus = await serveStatus(next.statusSocket, () => house, {
          group: next.config.gateway.status_group,
          log,
        });
        log.info({}, 'configuration reloaded');
      } catch (error) {
        log.error({ error: messageOf(error) }, 'configuration not reloaded; the old one stays in force');
      }
      reloading = false;
      notifier.ready();
    })();
  });

  const code = await finished;
  clearInterval(timer);
  await closeStatus();
  await store.close();
  await counters.close();
  if (code === 0) folder.settled();
  log.info({ code }, 'stopped');
  return code;
}
