/** Wiring only, the one file that knows all rooms: plan and world in, house out. What could be wrong was found by the plan. */
import { Failure, messageOf } from './base/errors.ts';
import { later } from './base/time.ts';
import type { GatewayPlan } from './config/resolve.ts';
import { Forwarder } from './forward/forwarder.ts';
import { topics } from './contract/topics.ts';
import type { House, World } from './house.ts';
import { openListeners } from './listening.ts';
import { openLines, runnersOf, tracedLines } from './lines.ts';
import { ordersOf } from './orders.ts';
import type { ClockTrust } from './schedule/meter-state.ts';
import { waitingGaps } from './schedule/series-gaps.ts';
import type { StorageState } from './schedule/storage.ts';
import { giveManifests, watchStorage } from './schedule/tasks.ts';
import { technicianLease } from './schedule/technician-lease.ts';
import { birthOf, healthOf, type Reported, snapshotOf } from './status/reports.ts';
import { traceOf } from './status/line-trace.ts';
import { heldRows } from './status/snapshot.ts';

/** A runner this late hangs. */
const overdueLimitMs = 60_000;
const drainMs = 3000;

/** `before`: the house whose place this one takes; it has stopped. */
export function compose(plan: GatewayPlan, world: World, before?: House): House {
  const { clock, log, store } = world;
  const { config } = plan;
  const startedAt = clock.now();
  const known = before?.known();
  let storage: StorageState = 'ok';
  const clockTrust = (): ClockTrust =>
    config.gateway.clock_trust === 'assume' ? 'system' : world.timeIsKnown() ? 'kernel' : 'untrusted';
  const standstill = (): Failure | undefined => {
    if (storage === 'full') return new Failure('store-failed', 'the disk is full: nothing is read until there is room');
    const impossible = world.timeImpossible();
    return impossible === undefined ? undefined : new Failure('time-unknown', impossible);
  };
  const ports = openLines(plan, world, { clockTrust, standstill, known });
  const listeners = openListeners(plan, world, { clockTrust, standstill, known }, ports);
  const runners = [...ports, ...listeners].map(({ runner }) => runner);
  const reported: Reported = {
    ...world,
    gateway: config.gateway.id,
    configHash: plan.hash,
    zone: config.gateway.time_zone,
    orders: [...(plan.orders?.enabled ?? [])],
    upSince: known?.upSince ?? startedAt,
    ports: [...ports, ...listeners],
    clockTrust,
    timeTrouble: () =>
      world.timeImpossible() ?? (clockTrust() === 'untrusted' ? (world.timeTrouble() ?? 'nobody says why') : null),
  };
  const runner = runnersOf(ports, listeners);
  const orders = ordersOf(plan, world, runner, reported);
  const forwarder = new Forwarder({
    store,
    clock,
    log,
    gateway: config.gateway.id,
    boot: world.boot,
    topics: topics(config.gateway.tenant, config.gateway.id),
    broker: plan.broker,
    rateLimit: config.mqtt.rate_limit,
    birth: () => birthOf(reported),
    health: () => healthOf(reported),
    random: world.random,
    // What was used meanwhile of invocation counters is not known either.
    onFellBack: () => world.counters.doubt(),
    again: async ({ meter, series, from, to }) =>
      runner.whoHas(meter).sayAgain(meter, series, Date.parse(from), Date.parse(to)),
    ...(orders && { command: (octets) => orders.receive(octets) }),
    ...(world.openBroker && { open: world.openBroker }),
  });

  const polling = new AbortController();
  const forwarding = new AbortController();
  const read = Promise.all(runners.map((runner) => runner.run(polling.signal)));
  const forwarded = forwarder.run(forwarding.signal);
  const series = () => runners.flatMap((runner) => runner.series());
  const tasks = Promise.all([
    giveManifests({ ...world, startedAt, clockTrust, series }, polling.signal),
    watchStorage({ ...world, onState: (state) => void (storage = state) }, polling.signal),
    orders?.run(polling.signal),
  ]);
  const stopped = Promise.all([read, forwarded, tasks]).then(() => {});

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      polling.abort();
      const drained = new AbortController();
      void read.catch(() => {}).finally(() => drained.abort());
      await clock.sleepUntil(later(clock.now(), drainMs), drained.signal);
      // A session that is still reading loses its line; its rows were not stored, they will be read again.
      for (const { owner } of ports)
        await owner.close().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'port did not close'));
      await Promise.allSettled([read, tasks]);
      await orders?.stop();
      forwarding.abort();
      await forwarded.catch(() => {});
    })();
    return stopping;
  };
  // A part that crashed takes the others with it; systemd starts all of them again.
  stopped.catch(() => stop());

  return {
    stopped,
    stop,
    quarantine: async () => heldRows(await store.quarantined()),
    readNow: async (meter, force) => runner.ofMeter(meter).readNow(meter, force),
    inSession: async (meter, work, force) => runner.ofMeter(meter).inSession(meter, work, force),
    trace: (wish, signal) => traceOf(tracedLines(ports), wish, clock, signal),
    lineUses: () => ports.map(({ port: { name, device }, quality }) => ({ port: name, device, uses: quality.uses() })),
    lend: async (port, work) => runner.ofPort(port).lend(work),
    acceptCounter: async (meter) => runner.ofMeter(meter).acceptCounter(meter),
    leaseCounters: (key) =>
      technicianLease(
        world.counters,
        ports.flatMap(({ meters }) => meters),
        key,
      ),
    sayAgain: async (meter, ...more) => runner.whoHas(meter).sayAgain(meter, ...more),
    series,
    async gaps() {
      return [...runners.flatMap((runner) => runner.gaps()), ...(await waitingGaps(store, series()))];
    },
    known: () => ({
      upSince: reported.upSince,
      meters: new Map(runners.flatMap((runner) => [...runner.known])),
      lines: new Map(
        [...ports, ...listeners].map(({ port: { name, device }, owner, runner }) => [
          name,
          { device, owner: owner.memory, runner: runner.lineState },
        ]),
      ),
    }),
    snapshot: () => snapshotOf(reported, forwarder),
    async stuck() {
      for (const { runner } of ports) {
        const overdue = runner.overdueMs(clock.now());
        if (overdue > overdueLimitMs) return `port ${runner.name} is ${Math.round(overdue / 1000)} s late`;
      }
      // Reads a record: a database that hangs hangs here, and the watchdog is not fed. One that fails is opened again by
      // the store itself; a restart would not give the disk more room.
      await store.status();
      return undefined;
    },
  };
}
