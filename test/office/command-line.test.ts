/** A bill that is held, from the command line, as a person of the utility meets it, while another process takes messages. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../src/central/open-store.ts';
import type { Engine } from '../../src/central/sql.ts';
import { at, hourMs, month } from '../support/billing-cases.ts';
import { factRows } from '../support/fact-rows.ts';
import { root } from '../support/programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'office-line-'));
const [books, store] = [join(folder, 'books'), join(folder, 'central.db')];
const gone = at('2026-09-20', 10);
const instant = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');
/** It has the store to itself for writing messages, as a worker does. */
let taking: Engine;

beforeAll(async () => {
  mkdirSync(books);
  writeFileSync(
    join(books, 'registry.json'),
    JSON.stringify({
      points: [{ point: 'p-1', periods: [{ from: '2026-01-01', periodS: 3600 }], fuseA: 200 }],
      contracts: [
        {
          contract: 'A-1',
          point: 'p-1',
          customer: { name: 'Šárka Åström', address: [] },
          from: '2026-09-01',
          to: '2026-10-01',
        },
      ],
    }),
  );
  // One day of 700 kWh, and two hours of which only the registers around them are known.
  const odd = Array.from({ length: 10 }, (_, i) => [at('2026-09-09', 8 + i), 70_000] as const);
  const missing = [0, 1].map((i) => [gone + i * hourMs, undefined] as const);
  const rows = factRows(month(new Map([...odd, ...missing])));
  taking = await openStore(store, 'demo');
  await taking.transaction((sql) => sql.insert('fact', rows));
});
afterAll(async () => {
  await taking.close();
  rmSync(folder, { recursive: true });
});

function central(command: string, ...given: string[]): Promise<{ code: number; out: string }> {
  const all = [join(root, 'src/office/main.ts'), command, ...given, '--store', store, '--books', books];
  return new Promise((resolve) =>
    execFile(process.execPath, all, (error, out, err) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, out: out + err }),
    ),
  );
}
const bill = () => central('bill');
const edit = (...given: string[]) => central('edit', ...given);

test('held, released, edited by two persons, contradicted by the register, taken back, billed, recomputed', async () => {
  const first = await bill();
  expect(first).toMatchObject({ code: 5, out: expect.stringContaining('ABOVE_LIKE_DAYS') as string });
  const release = /meter-central release (.*) --who NAME --why REASON/.exec(first.out)?.[1] ?? '';
  const looked = await central('release', ...release.split(' '), '--who', 'Aino', '--why', 'a sauna festival');
  expect(looked).toMatchObject({ code: 0, out: expect.stringContaining('no longer holds') as string });

  const place = ['--point', 'p-1', '--start', instant(gone)];
  const large = await edit(...place, '--value', '900000', '--who', 'Aino', '--why', 'she said so');
  expect(large.out).toMatch(/edit p-1-1: 0\.\d+ kWh \(estimated\) becomes 900\.000 kWh\nIt is large/);
  expect(await bill()).toMatchObject({ code: 5, out: expect.stringContaining('EDIT_UNCONFIRMED') as string });
  const same = await edit('--agree', 'p-1-1', '--who', 'aino');
  expect(same).toMatchObject({ code: 2, out: expect.stringContaining('another one') as string });
  expect(await edit('--agree', 'p-1-1', '--who', 'Väinö')).toMatchObject({ code: 0 });
  expect(await bill()).toMatchObject({ code: 5, out: expect.stringContaining('ZERO_CONTRADICTED') as string });
  await edit(...place, '--value', 'none', '--who', 'Väinö', '--why', 'the register knows better');

  const made = await bill();
  expect(made).toMatchObject({ code: 0, out: expect.stringContaining('bill A-1/1') as string });
  expect((await central('edits', '--point', 'p-1')).out.split('\n')).toMatchObject([
    expect.stringMatching(/^p-1-1 .*\(estimated\) → 900\.000 kWh {2}Aino .*: she said so; Väinö agreed/) as string,
    expect.stringMatching(
      /^p-1-2 .*900\.000 kWh \(edited\) → taken back {2}Väinö .*: the register knows better/,
    ) as string,
    '',
  ]);
  const pdf = readFileSync(join(books, 'bills/A-1-1.pdf'));
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
  expect(existsSync(join(books, 'bills/A-1-1.statement.html'))).toBe(true);
  expect((await central('statement', 'A-1/1')).out).toContain('Mittauserittely A-1/1');
}, 60_000);
test('recompute needs the store alone; a store that is none is refused', async () => {
  const run = (...args: string[]) =>
    new Promise<string>((resolve) =>
      execFile(process.execPath, [join(root, 'src/office/main.ts'), ...args], (_, out, err) => resolve(out + err)),
    );
  expect(await run('recompute', '--store', store)).toMatch(/^A-1\/1 {2}[0-9a-f]{64} {2}the same\n$/);
  expect(await run('recompute', '--store', join(folder, 'none.db'))).toContain('there is no such store');
});
