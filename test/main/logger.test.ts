/** The daemon's log as somebody reads it from a file. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { node, root } from '../support/programs.ts';

const lines = (environment: NodeJS.ProcessEnv): string[] => {
  const script = `const { openLog } = await import('./src/main/logger.ts'); const log = openLog('info'); log.info({ a: 1 }, 'well'); log.warn({}, 'odd'); log.error({}, 'bad');`;
  const { stdout } = spawnSync(node, ['--input-type=module', '-e', script], {
    cwd: root,
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  return stdout.trimEnd().split('\n');
};

test('incident: a line of the log said "time":1795854275123 and "level":40; it says the time by ISO 8601 and the level by name', () => {
  const logged = lines({ JOURNAL_STREAM: undefined }).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(logged.map(({ level, msg }) => [level, msg])).toEqual([
    ['info', 'well'],
    ['warn', 'odd'],
    ['error', 'bad'],
  ]);
  for (const { time } of logged) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('sibling: for the journal the priority stands before the line, and the level by name in it', () => {
  const logged = lines({ JOURNAL_STREAM: '8:1' });
  expect(logged.map((line) => line.slice(0, 3))).toEqual(['<6>', '<4>', '<3>']);
  expect(logged.map((line) => (JSON.parse(line.slice(3)) as Record<string, unknown>)['level'])).toEqual([
    'info',
    'warn',
    'error',
  ]);
});
