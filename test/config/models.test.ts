/** Models that cannot be used are named with file, line and key, all of them, and stop the gateway. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findingText } from '../../src/config/findings.ts';
import { readModels } from '../../src/config/meter-models.ts';

const folder = mkdtempSync(join(tmpdir(), 'models-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('incident: the first broken model was told without a line, and the second not at all', () => {
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
  put('good.toml', 'name = "good"\nevidence = "x.tap"\n');
  put('slip.toml', 'name = "slip"\nevidence = "x.tap"\n\nmax_inf = 128\nwindow = 9\n');
  put('empty.toml', '');
  put('text.toml', 'name = "text"\nevidence = x.tap\n');
  put('read-me.md', 'no model');
  const { models, broken } = readModels(folder);
  expect([...models.keys()]).toEqual(['good']);
  expect(broken.map(findingText).toSorted()).toEqual([
    'hardware/meters/empty.toml:1:1: model empty: evidence: missing',
    'hardware/meters/empty.toml:1:1: model empty: name: missing',
    "hardware/meters/slip.toml:4:1: model slip: max_inf: unknown key; did you mean 'max_info'?",
    expect.stringMatching(/^hardware\/meters\/slip\.toml:5:1: model slip: window: /) as string,
    expect.stringMatching(/^hardware\/meters\/text\.toml:2:12: model text: is no TOML/) as string,
  ]);
  for (const { severity, next } of broken)
    expect([severity, next]).toEqual(['error', expect.stringContaining('hardware') as string]);
});
test('the models of the product are whole', () => {
  expect(readModels().broken).toEqual([]);
});
