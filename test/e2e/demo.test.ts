/** scripts/run as a person starts it, in a small dose; the long ones are in docs/figures.md. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { until } from '../support/broker.ts';

const root = new URL('../../', import.meta.url).pathname;
const demo = (...args: string[]): Promise<{ code: number; out: string }> =>
  new Promise((resolve) =>
    execFile(
      process.execPath,
      [`${root}scripts/demo.ts`, ...args],
      { cwd: root, timeout: 150_000 },
      (error, out, err) => resolve({ code: error ? ((error.code as unknown as number) ?? -1) : 0, out: out + err }),
    ),
  );

test('three meters on a real pty at 9600 Bd, four kills, the broker away for the middle third: everything once, equal to the oracle', async () => {
  const { code, out } = await demo('--meters', '3', '--days', '1', '--for', '36', '--kills', '4', '--outage');
  expect(out).toContain('killed 4 times');
  expect(out).toContain('\nGOOD');
  expect(code).toBe(0);
}, 160_000);

test('one dead and one flipping meter among eight: six complete, the two are named', async () => {
  const { code, out } = await demo(
    '--days',
    '1',
    '--for',
    '60',
    '--scenario',
    `${root}test/e2e/dead-and-flipping.toml`,
  );
  expect(out).toMatch(/m60120003 is shown as SUSPECT_MAINS_OR_METER/);
  expect(out).toMatch(/m60120006 is shown as LINE_QUALITY/);
  expect(out).toContain('GOOD');
  expect(code).toBe(0);
}, 160_000);

test('bad arguments: a message and exit code 2', async () => {
  for (const args of [
    ['--meters', 'many'],
    ['--meters', '99'],
    ['--nonsense'],
    ['--for', '-1'],
    ['--kills', '2'],
    ['--outage'],
    ['--outage', '--for', '60', '--broker', 'mqtt://127.0.0.1:1'],
    ['--scenario', '/no/such'],
  ]) {
    const { code, out } = await demo(...args);
    expect(code, args.join(' ')).toBe(2);
    expect(out.length).toBeGreaterThan(10);
  }
});

/** Starts it without an end; what it says, the processes it started, and the folder of its state. */
async function endless() {
  const child = spawn(process.execPath, [`${root}scripts/demo.ts`, '--meters', '1', '--days', '1'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until(() => /delivered [1-9]/.test(out), 'something is delivered', 30_000);
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  const state = /state (\/\S+)/.exec(out)?.[1] ?? '';
  const left = () => children.filter((pid) => existsSync(`/proc/${pid}`));
  return { child, ended, out: () => out, children, left, state };
}
test('Ctrl-C: sums up, ends everybody, and nothing of the state is left', async () => {
  const { child, ended, out, children, left, state } = await endless();
  expect(children.length).toBeGreaterThanOrEqual(2);
  expect(existsSync(state)).toBe(true);
  child.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(out()).toMatch(/delivered +\d+ equal to the oracle, 0 wrong/);
  await until(() => left().length === 0, 'nobody is left');
  expect(existsSync(state)).toBe(false);
}, 60_000);
test.each(['SIGHUP', 'a closed pipe'])(
  'incident: after %s the broker and the daemon lived on',
  async (how) => {
    const { child, ended, left, state } = await endless();
    if (how === 'SIGHUP') child.kill('SIGHUP');
    else child.stdout.destroy();
    await ended;
    await until(() => left().length === 0, 'nobody is left');
    expect(existsSync(state)).toBe(false);
  },
  60_000,
);
