/** scripts/run as a person starts it, in a small dose; the long ones are in the README. */
import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';

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
    ['--scenario', '/no/such'],
  ]) {
    const { code, out } = await demo(...args);
    expect(code, args.join(' ')).toBe(2);
    expect(out.length).toBeGreaterThan(10);
  }
});
