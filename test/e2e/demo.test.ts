/** scripts/run as a person starts it, in a small dose; the long ones are in docs/figures.md. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { until } from '../support/broker.ts';

const root = new URL('../../', import.meta.url).pathname;
const demo = (...args: string[]): Promise<{ code: number; out: string }> =>
  new Promise((resolve) =>
    execFile(
      process.execPath,
      [`${root}scripts/demo.ts`, ...args],
      { cwd: root, timeout: 200_000 },
      (error, out, err) => resolve({ code: error ? ((error.code as unknown as number) ?? -1) : 0, out: out + err }),
    ),
  );

/** So many seconds; where a busy machine did not come to the end of it (TOO SHORT, which is right so far), longer. */
async function whole(seconds: number, ...args: string[]) {
  const first = await demo(...args, '--for', String(seconds));
  return first.out.includes('\nTOO SHORT') ? demo(...args, '--for', String(3 * seconds)) : first;
}
/** Starts it without an end; what it says, the processes it started, and the folder of its state. */
async function endless() {
  const child = spawn(process.execPath, [`${root}scripts/demo.ts`, '--meters', '1', '--days', '1'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until(() => /delivered [1-9]/.test(out), 'something is delivered');
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  const state = /state (\/\S+)/.exec(out)?.[1] ?? '';
  const left = () => children.filter((pid) => existsSync(`/proc/${pid}`));
  return { child, ended, out: () => out, children, left, state };
}

// Each run takes its real time and little work: together they take as long as the longest.
describe.concurrent('runs', () => {
  test('three meters on a real pty at 9600 Bd, four kills, the broker away for the middle third: everything once, equal to the oracle', async () => {
    const { code, out } = await whole(36, '--meters', '3', '--days', '1', '--kills', '4', '--outage');
    expect(out).toContain('killed 4 times');
    expect(out).toContain('\nGOOD');
    expect(code).toBe(0);
  }, 400_000);

  test('one dead and one flipping meter among eight: six complete, the two are named', async () => {
    const { code, out } = await whole(60, '--days', '1', '--scenario', `${root}test/e2e/dead-and-flipping.toml`);
    expect(out).toMatch(/m60120003 is shown as SUSPECT_MAINS_OR_METER/);
    expect(out).toMatch(/m60120006 is shown as LINE_QUALITY/);
    expect(out).toContain('GOOD');
    expect(code).toBe(0);
  }, 400_000);

  test('--postgres: the central system on a server of its own, which is gone afterwards', async () => {
    const { code, out } = await whole(25, '--meters', '1', '--days', '1', '--postgres');
    expect(out).toMatch(/scripts\/meter-central status --store 'postgres:\/\/\//);
    expect(out).toContain('\nGOOD');
    expect(code).toBe(0);
    const folder = /host=([^&']+)/.exec(out)?.[1] ?? '';
    expect(folder).not.toBe('');
    expect(existsSync(decodeURIComponent(folder))).toBe(false);
  }, 400_000);

  test('Ctrl-C: sums up, ends everybody, and nothing of the state is left', async () => {
    const { child, ended, out, children, left, state } = await endless();
    expect(children.length).toBeGreaterThanOrEqual(2);
    expect(existsSync(state)).toBe(true);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(out()).toMatch(/delivered +\d+ equal to the oracle, 0 wrong/);
    await until(() => left().length === 0, 'nobody is left');
    expect(existsSync(state)).toBe(false);
  });
  test.each(['SIGHUP', 'a closed pipe'])('incident: after %s the broker and the daemon lived on', async (how) => {
    const { child, ended, left, state } = await endless();
    if (how === 'SIGHUP') child.kill('SIGHUP');
    else child.stdout.destroy();
    await ended;
    await until(() => left().length === 0, 'nobody is left');
    expect(existsSync(state)).toBe(false);
  });
});

test.each([
  [['--meters', 'many']],
  [['--meters', '99']],
  [['--nonsense']],
  [['--for', '-1']],
  [['--kills', '2']],
  [['--outage']],
  [['--outage', '--for', '60', '--broker', 'mqtt://127.0.0.1:1']],
  [['--scenario', '/no/such']],
])('bad arguments, %j: a message and exit code 2', async (args) => {
  const { code, out } = await demo(...args);
  expect(code).toBe(2);
  expect(out.length).toBeGreaterThan(10);
});
