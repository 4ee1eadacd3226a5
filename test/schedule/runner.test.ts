/** The loop of one port: what keeps it from reading, who waits for it, and how it ends. */
import { expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import type { Port } from '../../src/line/port.ts';
import { later } from '../../src/base/time.ts';
import type { PolledMeter } from '../../src/schedule/meter-state.ts';
import { PortRunner } from '../../src/schedule/runner.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import { noon, polled, portWorld, quarters } from '../support/port-world.ts';

const never = <T>() => new Promise<T>(() => {});
const minute = 60_000;
/** Nobody is on it; `read` as given, or silence. */
const line = (clock: () => VirtualClock, read?: Port['read']): Port => ({
  device: '/dev/x',
  connection: false,
  closed: false,
  write: () => Promise.resolve(),
  setBaud: () => Promise.resolve(),
  close: () => Promise.resolve(),
  read: read ?? (async (until) => void (await (until === undefined ? never() : clock().sleepUntil(until)))),
});
type Options = { meters?: readonly PolledMeter[]; open?: () => Promise<Port>; read?: Port['read'] };
async function running({ meters = [polled('a'), polled('b')], open, read }: Options = {}) {
  let standstill: Failure | undefined;
  let opened = 0;
  const world = await portWorld(meters, {
    open: () => {
      opened++;
      return open ? open() : Promise.resolve(line(() => world.clock, read));
    },
    standstill: () => standstill,
  });
  const { clock, house } = world;
  const runner = new PortRunner(house);
  const stop = new AbortController();
  const run = () => runner.run(stop.signal);
  const forMs = (ms: number) => clock.run(later(clock.now(), ms));
  return { ...world, runner, run, stop, forMs, opened: () => opened, halt: (why?: Failure) => void (standstill = why) };
}
const ended = async ({ clock, stop }: { clock: VirtualClock; stop: AbortController }, run: Promise<void>) => {
  stop.abort();
  await clock.complete(run, 10 * minute);
};
const missing = () => Promise.reject(new Failure('port-missing', '/dev/x does not open'));

test('a port that does not open makes no meter guilty, and each of them names it', async () => {
  const it = await running({ open: missing });
  const run = it.run();
  await it.forMs(10 * minute);
  for (const state of it.runner.known.values()) {
    expect([state.failures, state.reportedVerdict, state.lastError?.code]).toEqual([0, 'UNKNOWN', 'port-missing']);
  }
  expect(await it.facts()).toEqual([]);
  expect(it.runner.busFault()).toMatchObject({ meters: ['a', 'b'], code: 'port-missing', why: '/dev/x does not open' });
  // With growing pauses of half a minute at most: neither given up nor tried all the time.
  expect(it.opened()).toBeGreaterThan(15);
  expect(it.opened()).toBeLessThan(30);
  expect(it.runner.overdueMs(it.clock.now())).toBe(0);
  await ended(it, run);
});

test('a standstill opens nothing, rejects who waits with its reason, and ends by itself', async () => {
  const it = await running();
  const why = new Failure('store-failed', 'the disk is full');
  it.halt(why);
  const run = it.run();
  await it.forMs(minute);
  await expect(it.runner.readNow('a')).rejects.toBe(why);
  expect(it.opened()).toBe(0);
  it.halt();
  await it.forMs(10_000);
  expect(it.opened()).toBe(1);
  await ended(it, run);
});

test('whoever is asked for and is not there, or is not polled, is no work', async () => {
  const unusable = new Failure('config-invalid', 'no such model');
  const it = await running({ meters: [polled('a', { unusable })] });
  await expect(it.runner.readNow('x')).rejects.toMatchObject({ code: 'unknown-meter' });
  await expect(it.runner.readNow('a')).rejects.toBe(unusable);
  await expect(it.runner.sayAgain('x', '1-0:99.1.0*255', 0, 1)).rejects.toMatchObject({ code: 'unknown-meter' });
  await expect(it.runner.sayAgain('a', 'no code', 0, 1)).rejects.toMatchObject({ code: 'unknown-meter' });
  await expect(it.runner.acceptCounter('x')).rejects.toMatchObject({ code: 'unknown-meter' });
  const run = it.run();
  await it.forMs(minute);
  // It is told, and its line is left alone.
  expect(await it.facts()).toMatchObject([{ meter: 'a', name: 'CONFIG_FAULT' }]);
  expect(it.opened()).toBe(0);
  await ended(it, run);
});

test('what must not come in a session is done between two, soon, and in its order', async () => {
  const it = await running();
  const { store } = it.house;
  const done: (string | undefined)[] = [];
  const sayAgain = store.sayAgain.bind(store);
  store.sayAgain = (meter, series, from, to) => {
    done.push(`${meter} while ${it.runner.activity ?? 'nobody'} is read`);
    return sayAgain(meter, series, from, to);
  };
  const run = it.run();
  await it.forMs(100);
  expect(it.runner.activity).toBe('a');
  const asked = ['a', 'b'].map((meter) => it.runner.sayAgain(meter, '1-0:99.1.0*255', noon, noon + quarters.periodMs));
  await it.forMs(100);
  expect(done).toEqual([]);
  await it.clock.complete(Promise.all(asked), 2 * minute);
  expect(done).toEqual(['a while nobody is read', 'b while nobody is read']);
  await ended(it, run);
});

test('work that fails is told to who asked for it, and the loop goes on', async () => {
  const it = await running({ open: missing });
  const run = it.run();
  await it.forMs(100);
  it.house.store.sayAgain = () => Promise.reject(new Failure('store-failed', 'EIO'));
  const asked = it.runner.sayAgain('a', '1-0:99.1.0*255', noon, noon + 1);
  await expect(it.clock.complete(asked, minute)).rejects.toMatchObject({ code: 'store-failed' });
  const before = it.opened();
  await it.forMs(minute);
  expect(it.opened()).toBeGreaterThan(before);
  await ended(it, run);
});

test('R39: who waits for a meter whose line is stuck is told so after two minutes and the octets of a turn', async () => {
  const it = await running({ read: () => never() });
  void it.run();
  await it.forMs(100);
  const from = it.clock.now();
  await expect(it.clock.complete(it.runner.readNow('b'), 10 * minute)).rejects.toMatchObject({
    code: 'busy',
    message: expect.stringContaining('b could not be read within 12') as string,
  });
  expect(it.clock.now() - from).toBeGreaterThanOrEqual(2 * minute);
  expect(it.clock.now() - from).toBeLessThan(3 * minute);
});

test('R39: a meter that does not answer is tried before its turn, and its failure is what who waits is told', async () => {
  const it = await running();
  const run = it.run();
  // Everybody was silent twice and is left alone for a while.
  await it.forMs(2 * minute);
  const state = it.runner.known.get('b');
  if (!state) throw new Error('no meter b');
  state.notBefore = later(it.clock.now(), 60 * minute);
  await expect(it.clock.complete(it.runner.readNow('b'), 2 * minute)).rejects.toMatchObject({ code: 'no-answer' });
  await ended(it, run);
});

test('a stop in the midst of a session ends the loop, blames nobody and says nothing', async () => {
  const it = await running();
  const run = it.run();
  await it.forMs(100);
  expect(it.runner.activity).toBe('a');
  await ended(it, run);
  expect(it.runner.activity).toBeUndefined();
  expect([...it.runner.known.values()].map(({ failures }) => failures)).toEqual([0, 0]);
  expect(await it.facts()).toEqual([]);
  expect(it.opened()).toBe(1);
});

test('a stop while nothing is to be done ends the loop at once', async () => {
  const it = await running({ open: missing });
  const run = it.run();
  await it.forMs(minute);
  const from = it.clock.now();
  await ended(it, run);
  expect(it.clock.now()).toBe(from);
});

test('a step that does not come to its end shows to the watchdog, by how much', async () => {
  const it = await running();
  it.house.counters.remembered = () => never();
  void it.run();
  await it.forMs(10 * minute);
  // The desk may have the line for half a minute, and it is taken back within another.
  expect(it.runner.overdueMs(it.clock.now())).toBe(9 * minute);
});

test('what is remembered of the meters does not read: nobody is tried before it does', async () => {
  const it = await running();
  const { counters } = it.house;
  const remembered = counters.remembered.bind(counters);
  counters.remembered = () => Promise.reject(new Failure('store-failed', 'EIO'));
  const run = it.run();
  await it.forMs(5 * minute);
  expect([it.opened(), await it.facts()]).toEqual([0, []]);
  counters.remembered = remembered;
  await it.forMs(2 * minute);
  expect(it.opened()).toBeGreaterThan(0);
  await ended(it, run);
});
