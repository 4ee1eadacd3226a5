import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { damage, damageTemplate, type DamageResult, type Template } from './damage.ts';

// A small dose of scripts/damage.
const cases = 16;
let template: Template;
beforeAll(async () => {
  template = await damageTemplate();
});
afterAll(() => rmSync(template.folder, { recursive: true, force: true }));

test('flipped bits, cut, zeroed and vanished files: it opens by itself, tells what is lost, and gives no number twice', async () => {
  const results: DamageResult[] = [];
  for (let seed = 1; seed <= cases; seed++) results.push(await damage(template, seed));
  expect(results.flatMap(({ what, problems }) => problems.map((problem) => `${what}: ${problem}`))).toEqual([]);
  // The dose must contain what it is about.
  expect(results.filter(({ lost }) => lost).length).toBeGreaterThan(1);
  expect(results.filter(({ newEpoch }) => newEpoch).length).toBeGreaterThan(0);
});
