/** `meter-gateway run`: the real world, signals, systemd. */
import { randomInt, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { iso, millis } from '../base/time.ts';
import type { Log } from '../base/log.ts';
import { compose } from '../compose.ts';
import { openJournal } from '../commission/scan-journal.ts';
import type { House, World } from '../house.ts';
import { judgeFile, requirePlan } from '../config/judge.ts';
import { findingLine } from '../config/findings.ts';
import type { GatewayPlan } from '../config/resolve.ts';
import { serviceSources } from '../config/sources.ts';
import { listenLine } from '../line/listen-line.ts';
import { openPort } from '../line/open-port.ts';
import { systemClock } from '../line/system-clock.ts';
import { gatewayFact } from '../reading/facts.ts';
import { firmwareImage } from '../disk/firmware-image.ts';
import { timeImpossible } from '../schedule/possible-time.ts';
import { answers } from '../schedule/reachability.ts';
import type { LocalAnswers } from '../desk/routes.ts';
import { backupOf } from './backup.ts';
import { configurationStatus } from './configuration-status.ts';
import { deskScans } from './desk-scan.ts';
import { browseObjects, readObjects } from './desk-objects.ts';
import { defaultDoor, type Doors, newDoors } from './doors.ts';
import { type KernelTime, kernelTime } from './kernel-time.ts';
import { type DaemonLog, openLog } from './logger.ts';
import { openNotifier, type ServiceNotifier } from './notifier.ts';
import { openState, type OpenState } from './open-state.ts';
import { newReloader, type Reloader, type ReadPlan } from './reload.ts';
import { commissionedIn, finishSignOffs, listContextOf, siteAnswers } from './site-answers.ts';
import { listAnswers } from './site-list.ts';
import { recordAnswers } from './site-records.ts';
import { timeTrust } from './time-trust.ts';
import { listenToSignals, type Signals } from './signals.ts';
import { PageDoor, runningPage } from './page-door.ts';
import type { PagePlan } from '../config/resolve-page.ts';
import type { SessionLeft } from '../page/login.ts';
import { type SetupPhase, setupPhase } from './setup-phase.ts';
import { completenessOf } from '../status/completeness.ts';
import { RecentFacts } from '../status/recent.ts';
import { synchronisedTeller } from './synchronised.ts';
import { version } from './version.ts';

/** SIGTERM to exit, at most: less than TimeoutStopSec= of the unit. The house drains in less. */
const stopLimitMs = 8000;
const settledAfterMs = 24 * 3_600_000;
/** A new configuration that crashes the house within this was not taken. */
const probationMs = 300;
/** Characters of what is wrong with a configuration, in an event. */
const maxWhy = 500;
const crashed = 70;

interface RunContext {
  readonly log: DaemonLog;
  readonly notifier: ServiceNotifier;
  readonly signals: Signals;
  readonly time: KernelTime;
  readonly recent: RecentFacts;
  readonly sessions: readonly SessionLeft[];
}

/** The plan of a file, judged whole. Failure `config-invalid` with everything that stands in its way. */
function readPlan(configPath: string, inForce?: GatewayPlan): ReadPlan {
  const plan = requirePlan(judgeFile(configPath, { sources: serviceSources, door: defaultDoor, inForce }), configPath);
  return { plan, warnings: plan.findings.map(findingLine) };
}

/** systemctl shows what happened, too: a wrong configuration is not tried again (RestartPreventExitStatus). */
function firstPlan(configPath: string, notifier: ServiceNotifier): ReadPlan {
  try {
    return readPlan(configPath);
  } catch (error) {
    notifier.status(`configuration refused, not started again by itself: ${messageOf(error)}`);
    throw error;
  }
}

const impossibleBy = (time: KernelTime): string | undefined => timeImpossible(systemClock.wall(), millis(time.floor()));

const worldOf = (
  { folder, store, counters, turns }: OpenState,
  time: KernelTime,
  log: Log,
  refused: World['configurationRefused'],
): World => ({
  clock: systemClock,
  log,
  store,
  counters,
  version,
  boot: randomUUID(),
  random: () => randomInt(2 ** 47) / 2 ** 47,
  openPort: (device, baud, direction) => openPort(device, baud, systemClock, direction),
  listen: (device, baud) => listenLine(device, baud, systemClock),
  disk: diskTeller(() => folder.disk(), log),
  relieve: async () => {
    await store.compact();
    return folder.relieve();
  },
  rssBytes: () => process.memoryUsage.rss(),
  timeIsKnown: () => time.timeIsKnown(),
  timeTrouble: () => time.trouble(),
  timeImpossible: () => impossibleBy(time),
  configurationRefused: refused,
  image: firmwareImage,
  turns,
});

/** What room the disk has left. Each reason why that cannot be found out is logged once. */
function diskTeller(disk: () => ReturnType<World['disk']>, log: Log): World['disk'] {
  let loggedTrouble = '';
  return () => {
    try {
      const found = disk();
      loggedTrouble = '';
      return found;
    } catch (error) {
      const why = messageOf(error);
      if (why !== loggedTrouble) log.error({ error: why }, 'the room on the disk cannot be told');
      loggedTrouble = why;
      return null;
    }
  };
}

/** Looks after the house: tells systemd how it is, and feeds the watchdog by evidence only. */
function startTicking(reloader: Reloader, notifier: ServiceNotifier, time: KernelTime, log: Log): NodeJS.Timeout {
  let loggedTrust: Partial<ReturnType<typeof timeTrust>> = {};
  const tick = async () => {
    const { house, refused } = reloader.inForce();
    const stuck = await house.stuck();
    const { store: stored, broker, ports, time: standing } = await house.snapshot();
    const meters = ports.flatMap((port) => port.meters);
    const healthy = meters.filter(({ verdict }) => answers(verdict)).length;
    const trust = timeTrust(standing);
    if (trust.words !== loggedTrust.words || trust.why !== loggedTrust.why)
      log[trust.level](trust.why === undefined ? {} : { why: trust.why }, trust.words);
    loggedTrust = trust;
    notifier.status(
      stuck ??
        `${healthy} of ${meters.length} meters reachable, ${stored.pending} messages to deliver, broker ${broker.connected ? 'connected' : 'away'}${refused ? '; THE CONFIGURATION FILE WAS REFUSED, an earlier one is in force' : ''}`,
    );
    time.remember();
    if (stuck === undefined) notifier.watchdog();
    else log.error({ stuck }, 'watchdog is not fed');
  };
  return setInterval(
    () => void tick().catch((error: unknown) => log.error({ error: messageOf(error) }, 'health check failed')),
    Math.min(notifier.watchdogEveryMs ?? 10_000, 10_000),
  );
}

/** Resolves once, with the exit code. */
function ending(log: Log) {
  let finish: (code: number) => void = () => {};
  const finished = new Promise<number>((resolved) => {
    finish = resolved;
  });
  const fallen = (error: unknown): void => {
    log.error({ error: messageOf(error), stack: error instanceof Error ? error.stack : undefined }, 'crashed');
    finish(crashed);
  };
  return { finish, finished, fallen };
}

/** Reports to the head-end that the file was not taken. */
const tellRefusal =
  (store: OpenState['store'], log: Log) =>
  async (why: string): Promise<void> => {
    const event = gatewayFact(millis(Date.now()), 'CONFIG_REFUSED', { why: why.slice(0, maxWhy) });
    await store
      .commit({ meter: '_', entryClass: 0, facts: [event] })
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'CONFIG_REFUSED not stored'));
  };

interface Around {
  readonly configPath: string;
  readonly recent: RecentFacts;
  readonly page: () => PageDoor<LocalAnswers>;
}
/** What is answered at the local door: the house in force, its configuration, and the wish for another one. */
function answersOf(
  reloader: Reloader,
  state: OpenState,
  log: DaemonLog,
  { scan, configPath, recent, page }: Pick<LocalAnswers, 'scan'> & Around,
): LocalAnswers {
  const force = reloader.inForce();
  const site = { force, store: state.store, log, configPath, version };
  return {
    ...force.house,
    snapshot: async () => ({ ...(await force.house.snapshot()), configuration: configurationStatus(force) }),
    readObjects: (meter, wishes) => readObjects(force.house, systemClock, meter, wishes),
    browseObjects: (meter, wishes, signal) => browseObjects(force.house, systemClock, meter, wishes, signal),
    scan,
    ...siteAnswers(site),
    ...listAnswers({ ...listContextOf(site), reload: () => reloader.reload() }),
    ...recordAnswers(listContextOf(site).site),
    log: (follow, signal) => log.memory.lines(follow, signal),
    completeness: async (days) => completenessOf(force.house.series(), await force.house.gaps(), days, Date.now()),
    intervals: (meter, days) => recent.intervalsOf(meter, days, Date.now()),
    events: () => ({ events: recent.newestEvents() }),
    pageTicket: (permission) => page().ticket(permission),
    reload: () => reloader.reload(),
    backup: () => backupOf(state.store, state.counters, iso(millis(Date.now())), version),
  };
}

/** Lets the house drain, and ends hard where it does not. */
async function stopGently(reloader: Reloader, signal: AbortSignal, notifier: ServiceNotifier, log: Log): Promise<void> {
  log.info({ signal: signal.reason as string }, 'stopping');
  notifier.stopping();
  setTimeout(() => {
    log.error({}, 'stopped hard: the house did not drain in time');
    process.kill(process.pid, 'SIGKILL');
  }, stopLimitMs).unref();
  // A house that is being replaced is stopped when its successor stands.
  await reloader.close();
  await reloader.inForce().house.stop();
}

/** With a plan that stands comes its page; it never stands in the way of one. */
function withPage(doors: Doors, page: PageDoor<LocalAnswers>): Doors {
  return {
    ...doors,
    async move(to) {
      const moved = await doors.move(to);
      return {
        undo: () => moved.undo(),
        keep: () => {
          moved.keep();
          void page.move(to.page);
        },
      };
    },
  };
}

/** Until it is asked to stop, or crashes. */
async function serve(configPath: string, first: ReadPlan, state: OpenState, context: RunContext): Promise<number> {
  const { log, notifier, signals, time, recent, sessions } = context;
  const { config } = first.plan;
  const { finish, finished, fallen } = ending(log);
  const watch = (house: House): void => void house.stopped.catch(fallen);
  const commissioned = commissionedIn(join(config.gateway.state_directory, 'site'), log);
  const world = { ...worldOf(state, time, log, () => reloader.inForce().refused?.why), commissioned };
  const scan = deskScans({
    clock: systemClock,
    house: () => reloader.inForce().house,
    config: () => reloader.inForce().plan.config,
    journal: openJournal,
  });
  const answers = (): LocalAnswers => answersOf(reloader, state, log, { scan, configPath, recent, page: () => page });
  const page = new PageDoor<LocalAnswers>({
    ...runningPage(
      answers,
      () => reloader.inForce().house.stuck(),
      () => world.disk(),
    ),
    log,
    version,
    gateway: () => reloader.inForce().plan.config.gateway.id,
    stateDirectory: config.gateway.state_directory,
    sessions,
  });
  const doors = withPage(newDoors(answers, log), page);
  const house = compose(first.plan, world);
  const reloader = newReloader(first, house, {
    log,
    wall: () => millis(Date.now()),
    read: (inForce) => readPlan(configPath, inForce),
    build: (plan, before) => {
      log.level = plan.config.log.level;
      return compose(plan, world, before);
    },
    doors,
    watch,
    fallen,
    probationMs,
    sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
    state: (reloading) => (reloading ? notifier.reloading() : notifier.ready()),
    refused: tellRefusal(state.store, log),
  });
  watch(house);
  try {
    (await doors.move(first.plan)).keep();
  } catch (error) {
    await house.stop();
    throw error;
  }
  const lines = [...config.port, ...config.listen];
  const meters = lines.reduce((sum, { meter }) => sum + meter.length, 0);
  log.info({ ports: lines.length, meters, version }, 'gateway runs');
  notifier.ready();
  const timer = startTicking(reloader, notifier, time, log);
  finishSignOffs(() => ({ force: reloader.inForce(), store: state.store, log, configPath, version }));
  // Up for long: whatever ended it next is not what ended it before.
  setTimeout(() => state.folder.settled(), settledAfterMs).unref();
  signals.onReload(() => void reloader.reload().catch(() => {}));
  const stop = () => void stopGently(reloader, signals.stop, notifier, log).then(() => finish(0));
  if (signals.stop.aborted) stop();
  else signals.stop.addEventListener('abort', stop);

  const code = await finished;
  clearInterval(timer);
  await page.close();
  await doors.close();
  return code;
}

/** Opens the state and serves; Failure where it does not come to run. */
async function begin(
  configPath: string,
  first: ReadPlan,
  { notifier, signals, troubles }: Pick<RunContext, 'notifier' | 'signals'> & { readonly troubles: readonly string[] },
  phase: SetupPhase | undefined,
): Promise<number> {
  const { config } = first.plan;
  const log = openLog(config.log.level);
  for (const warning of [...first.warnings, ...troubles]) log.warn({ config: configPath }, warning);
  if (Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) < 16) {
    log.warn({}, 'UV_THREADPOOL_SIZE is below 16: a slow serial port can hold up the store; set it before starting');
  }
  const time = kernelTime(
    config.gateway.state_directory,
    () => Date.now(),
    (trouble) => log.error({}, trouble),
    synchronisedTeller(),
  );
  const recent = new RecentFacts();
  const state = await openState(config.gateway.state_directory, {
    log,
    notifier,
    stop: signals.stop,
    stopLimitMs,
    timeImpossible: () => impossibleBy(time),
    stored: (facts) => recent.add(facts),
  });
  if (!state) return 0;
  let code = crashed;
  try {
    const sessions = (await phase?.close()) ?? [];
    code = await serve(configPath, first, state, { log, notifier, signals, time, recent, sessions });
  } catch (error) {
    // It never ran: this start is no end that nobody asked for.
    if (error instanceof Failure) state.folder.notCounted();
    throw error;
  } finally {
    await state.store.close();
    await state.counters.close();
  }
  if (code === 0) state.folder.settled();
  log.info({ code }, 'stopped');
  return code;
}

/** `wait`: where no configuration can be used it stays, and says why on the page that is served there. */
export async function run(configPath: string, wait?: PagePlan): Promise<number> {
  const signals = listenToSignals();
  const troubles: string[] = [];
  const notifier = await openNotifier((trouble) => troubles.push(trouble));
  const context = { notifier, signals, troubles };
  if (!wait) return begin(configPath, firstPlan(configPath, notifier), context, undefined);
  const phase = setupPhase({
    configPath,
    page: wait,
    version,
    log: openLog('info'),
    notifier,
    stop: signals.stop,
    onReload: (handler) => signals.onReload(handler),
  });
  for (let trouble: Failure | undefined; ; ) {
    const first = await phase.plan(trouble);
    if (!first) {
      await phase.close();
      return 0;
    }
    try {
      return await begin(configPath, first, context, phase);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      trouble = error;
    }
  }
}
