import { expect, test } from 'vitest';
import { logMemory } from '../../src/main/log-memory.ts';

const never = new AbortController().signal;
async function all(memory: ReturnType<typeof logMemory>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { line } of memory.lines(false, never)) lines.push(line);
  return lines;
}

test('the newest 400 lines are held, oldest first', async () => {
  const memory = logMemory();
  expect(await all(memory)).toEqual([]);
  for (let i = 0; i < 1000; i++) memory.add(String(i));
  expect(await all(memory)).toEqual(Array.from({ length: 400 }, (_, i) => String(600 + i)));
});
test('who follows gets what comes, each once, and what was passed over is left out', async () => {
  const memory = logMemory();
  memory.add('a');
  const over = new AbortController();
  const lines = memory.lines(true, over.signal);
  expect((await lines.next()).value?.line).toBe('a');
  const next = lines.next();
  memory.add('b');
  expect((await next).value?.line).toBe('b');
  for (let i = 0; i < 500; i++) memory.add(String(i));
  expect((await lines.next()).value?.line).toBe('100');
  over.abort();
  for (;;) if ((await lines.next()).done) break;
});
