/** Another configuration for a running gateway: the old house falls only for a plan that is proven. */
import { expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { millis } from '../../src/base/time.ts';
import type { House } from '../../src/house.ts';
import type { GatewayPlan } from '../../src/config/resolve.ts';
import { newReloader, type ReadPlan } from '../../src/main/reload.ts';

/** A gateway of which only what happens in which order is seen. */
function world() {
  const seen: string[] = [];
  const it = {
    seen,
    /** What the file says next. */
    file: 'one' as string,
    crashing: new Set<string>(),
    doorFails: false,
    stopping: Promise.resolve(),
    refused: [] as string[],
    fallen: [] as unknown[],
  };
  const planOf = (hash: string): ReadPlan => ({
    plan: { hash, config: { gateway: { state_directory: '/s' } } } as unknown as GatewayPlan,
    warnings: [],
  });
  const build = ({ hash }: GatewayPlan): House => {
    seen.push(`build ${hash}`);
    if (it.crashing.has(hash)) throw new Error(`${hash} crashes at once`);
    const later = it.crashing.has(`${hash} later`);
    return {
      stopped: later ? Promise.reject(new Error(`${hash} crashes`)) : new Promise<void>(() => {}),
      stop: async () => {
        seen.push(`stop ${hash}`);
        await it.stopping;
      },
    } as unknown as House;
  };
  const first = planOf('one');
  const reloader = newReloader(first, build(first.plan), {
    log: silentLog,
    wall: () => millis(Date.UTC(2026, 10, 24)),
    read: () => {
      seen.push(`read ${it.file}`);
      if (it.file.startsWith('bad')) throw new Failure('config-invalid', `${it.file}: mqtt.ca_file: no such file`);
      return planOf(it.file);
    },
    build,
    doors: {
      move: ({ hash }) => {
        if (it.doorFails) return Promise.reject(new Failure('config-invalid', 'no socket can be made'));
        seen.push(`door ${hash}`);
        return Promise.resolve({
          keep: () => void seen.push(`keep ${hash}`),
          undo: () => Promise.resolve(void seen.push(`undo ${hash}`)),
        });
      },
    },
    watch: () => {},
    fallen: (error) => it.fallen.push(error),
    probationMs: 1,
    sleep: () => new Promise((done) => setImmediate(done)),
    state: () => {},
    refused: (why) => Promise.resolve(void it.refused.push(why)),
  });
  seen.splice(0);
  return { ...it, it, reloader };
}

test('the new plan and its door are proven first, then the old house is stopped', async () => {
  const { it, reloader, seen } = world();
  it.file = 'two';
  expect(await reloader.reload()).toMatchObject({ hash: 'two' });
  expect(seen).toEqual(['read two', 'door two', 'stop one', 'build two', 'keep two']);
  expect(reloader.inForce()).toMatchObject({ plan: { hash: 'two' }, refused: undefined });
});

test('incident: a configuration that was refused had stopped the house before', async () => {
  const { it, reloader, seen } = world();
  it.file = 'bad';
  await expect(reloader.reload()).rejects.toThrow(/no such file[\s\S]*2026-11-24T00:00:00Z stays in force/);
  expect(seen).toEqual(['read bad']);
  expect(reloader.inForce()).toMatchObject({
    plan: { hash: 'one' },
    refused: { why: 'bad: mqtt.ca_file: no such file' },
  });
  expect(it.refused).toHaveLength(1);
  // The same with a door that does not open.
  it.file = 'two';
  it.doorFails = true;
  await expect(reloader.reload()).rejects.toThrow('no socket can be made');
  expect(seen).not.toContain('stop one');
  // And a good one clears it.
  it.doorFails = false;
  await reloader.reload();
  expect(reloader.inForce().refused).toBeUndefined();
});

test.each([
  ['at once', 'two'],
  ['soon', 'two later'],
])('a new house that crashes %s: the old plan is built again, and it is told', async (when, crash) => {
  const { it, reloader, seen } = world();
  it.file = 'two';
  it.crashing.add(crash);
  await expect(reloader.reload()).rejects.toThrow('two crashes');
  expect(seen).toEqual([
    'read two',
    'door two',
    'stop one',
    'build two',
    ...(when === 'soon' ? ['stop two'] : []),
    'undo two',
    'build one',
  ]);
  expect(reloader.inForce()).toMatchObject({
    plan: { hash: 'one' },
    refused: { why: expect.stringContaining('two crashes') as string },
  });
  expect(it.fallen).toEqual([]);
});

test('neither stands: that is a crash', async () => {
  const { it, reloader } = world();
  it.file = 'two';
  it.crashing.add('two').add('one');
  await expect(reloader.reload()).rejects.toThrow('two crashes');
  expect(it.fallen).toHaveLength(1);
});

test('incident: SIGHUP during a reload was dropped: it is done after it, once, with the file as it is then', async () => {
  const { it, reloader, seen } = world();
  let release = (): void => {};
  it.stopping = new Promise<void>((done) => (release = done));
  it.file = 'two';
  const one = reloader.reload();
  await new Promise((done) => setImmediate(done));
  it.file = 'three';
  const during = [reloader.reload(), reloader.reload()];
  release();
  expect(await one).toMatchObject({ hash: 'two' });
  expect(await Promise.all(during)).toMatchObject([{ hash: 'three' }, { hash: 'three' }]);
  expect(seen.filter((line) => !line.startsWith('door'))).toEqual([
    'read two',
    'stop one',
    'build two',
    'keep two',
    'read three',
    'stop two',
    'build three',
    'keep three',
  ]);
  // One that follows a refused one is done as well.
  it.file = 'bad';
  const refused = reloader.reload();
  await expect(refused).rejects.toThrow('no such file');
  it.file = 'four';
  expect(await reloader.reload()).toMatchObject({ hash: 'four' });
});

test('a gateway that stops takes no other configuration', async () => {
  const { it, reloader, seen } = world();
  it.file = 'two';
  let release = (): void => {};
  it.stopping = new Promise<void>((done) => (release = done));
  const asked = reloader.reload();
  await new Promise((done) => setImmediate(done));
  const closed = reloader.close();
  release();
  await closed;
  // The one under way is finished first: whatever stands then is stopped.
  await asked;
  await expect(reloader.reload()).rejects.toThrow('the gateway is stopping');
  expect(reloader.inForce().plan.hash).toBe('two');
  expect(seen.filter((line) => line.startsWith('build'))).toEqual(['build two']);
});
