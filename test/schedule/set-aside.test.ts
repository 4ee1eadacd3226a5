/** The meter that is on turn when the process ends is known at the next start, and waits while the others are read. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { turnFile } from '../../src/disk/turn-file.ts';
import { setAsideMs } from '../../src/schedule/set-aside.ts';
import { virtualHouse } from '../support/virtual-house.ts';

const folders: string[] = [];
afterEach(() => {
  for (const one of folders.splice(0)) rmSync(one, { recursive: true, force: true });
});
const directory = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'set-aside-'));
  folders.push(made);
  return made;
};
const suspectsOf = (path: string, now?: () => number) =>
  [...turnFile(path, silentLog, now).suspects].map(([meter, { ends }]) => [meter, ends]);

test('who is on turn at an unasked end is a suspect at the next start; whose turn ended is not', () => {
  const path = directory();
  const turns = turnFile(path, silentLog);
  turns.begin('bus', 'm1');
  turns.end('bus');
  turns.begin('bus', 'm2');
  turns.begin('other', 'm7');
  turns.end('other');
  expect(suspectsOf(path)).toEqual([['m2', 1]]);
  // A start without a turn changes nothing; another end on its turn counts.
  expect(suspectsOf(path)).toEqual([['m2', 1]]);
  turnFile(path, silentLog).begin('bus', 'm2');
  expect(suspectsOf(path)).toEqual([['m2', 2]]);
});

test('a record of an earlier boot blames nobody', () => {
  const path = directory();
  turnFile(path, silentLog, () => 50_000_000).begin('bus', 'm1');
  expect(suspectsOf(path, () => 30_000)).toEqual([]);
});

test('turns that come to their end take the blame away, step by step', () => {
  const path = directory();
  for (let i = 0; i < 4; i++) turnFile(path, silentLog).begin('bus', 'm1');
  const turns = turnFile(path, silentLog);
  expect(turns.suspects.get('m1')?.ends).toBe(4);
  expect([turns.behaved('m1'), turns.behaved('m1')]).toEqual([false, false]);
  expect(suspectsOf(path)).toEqual([['m1', 1]]);
  expect(turnFile(path, silentLog).behaved('m1')).toBe(true);
  expect(suspectsOf(path)).toEqual([]);
});

test('a damaged record, a half-written one and one that cannot be written end nothing', () => {
  const path = directory();
  writeFileSync(join(path, 'on-turn'), '{"port":"bus","met');
  writeFileSync(join(path, 'set-aside.json'), '{');
  expect(suspectsOf(path)).toEqual([]);
  const turns = turnFile(join(path, 'missing'), silentLog);
  turns.begin('bus', 'm1');
  turns.end('bus');
  expect(turns.suspects.size).toBe(0);
});

test('the pause grows from seconds to a day', () => {
  expect([1, 2, 3, 4, 5, 6, 20].map((ends) => setAsideMs(ends) / 1000)).toEqual([1, 1, 5, 60, 900, 1800, 86_400]);
});

test('it is told, it waits, and after a turn that ends well it is one of the others again', async () => {
  const path = directory();
  for (let i = 0; i < 5; i++) turnFile(path, silentLog).begin('bus', 'm60120001');
  const it = await virtualHouse({ meters: { count: 2 } }, { days: 0, turns: () => turnFile(path, silentLog) });
  it.broker.connect();
  await it.run(10 * 60_000);
  const events = () => it.broker.published.filter(({ payload }) => payload.includes('"METER_SET_ASIDE"'));
  expect(events().map(({ payload }) => (JSON.parse(payload) as { detail: object }).detail)).toEqual([
    { ends: 5, until: '2026-11-24T12:35:00Z' },
  ]);
  const meters = async () => (await it.house.snapshot()).ports[0]?.meters ?? [];
  expect(await meters()).toMatchObject([
    { verdict: 'UNKNOWN', alarms: ['SET_ASIDE'] },
    { verdict: 'REACHABLE', alarms: [] },
  ]);
  expect((await meters())[0]?.lastError).toMatch(/ended unasked 5 times while it read this meter; it waits for 900 s/);
  await it.run(30 * 60_000);
  expect((await meters())[0]).toMatchObject({ verdict: 'REACHABLE', lastError: null });
  await it.run(4 * 60 * 60_000);
  expect((await meters())[0]).toMatchObject({ alarms: [] });
  expect(readFileSync(join(path, 'set-aside.json'), 'utf8')).toBe('{}');
  expect(events()).toHaveLength(1);
});

test('incident: one meter ended the daemon at every start, and its neighbour was never read', async () => {
  const path = directory();
  const program = new URL('../campaigns/crash-loop.ts', import.meta.url).pathname;
  const start = (minutes: number) =>
    new Promise<{ killed: boolean; last: { right: number; events: number; alarms: string[] } | undefined }>(
      (resolve) => {
        execFile(process.execPath, [program, path, String(minutes)], { timeout: 60_000 }, (error, out) => {
          const last = out.trim().split('\n').at(-1);
          resolve({ killed: error?.signal === 'SIGKILL', last: last ? (JSON.parse(last) as never) : undefined });
        });
      },
    );
  // Nobody is suspected yet; then it comes last, in the end after a minute; then it waits for a quarter of an hour.
  for (let ends = 0; ends < 4; ends++) expect(await start(10)).toMatchObject({ killed: true });
  const second = await start(10);
  expect(second).toMatchObject({ killed: true, last: { events: 1, alarms: ['SET_ASIDE'] } });
  expect(second.last?.right).toBeGreaterThan(10);
  const third = await start(10);
  expect(third).toMatchObject({ killed: false, last: { events: 1, alarms: ['SET_ASIDE'] } });
  expect(third.last?.right).toBeGreaterThan(10);
  expect(readdirSync(path).toSorted()).toEqual(['on-turn', 'set-aside.json']);
});
