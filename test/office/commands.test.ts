import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bill } from '../../src/billing/bill.ts';
import { openStore } from '../../src/central/open-store.ts';
import { type Engine, monthOf } from '../../src/central/sql.ts';
import { readEdits, readRegistry } from '../../src/office/books.ts';
import { runAgree, runBill, runEdit, runRecompute, runStatement, runValues } from '../../src/office/commands.ts';
import { outageStory } from '../support/outage-story.ts';

const folder = mkdtempSync(join(tmpdir(), 'office-'));
const books = join(folder, 'books');
let engine: Engine;
const registry = {
  points: [
    {
      point: 'p-17-1',
      periods: [{ from: '2026-01-01', periodS: 3600 }],
      installations: [{ serial: '17-11', from: '2026-07-31T21:00:00Z' }],
    },
  ],
  contracts: [
    {
      contract: 'A-1',
      point: 'p-17-1',
      customer: { name: 'Maija <Mäkelä>', address: ['Kauppakatu 1'] },
      from: '2026-08-01',
    },
  ],
};
const writeRegistry = (value: unknown): void => writeFileSync(join(books, 'registry.json'), JSON.stringify(value));
const office = (at: string) => ({ engine, books, at: Date.parse(at) });
const lines: string[] = [];
const print = (line: string): void => void lines.push(line);

beforeAll(async () => {
  mkdirSync(books);
  writeRegistry(registry);
  engine = await openStore(join(folder, 'central.db'), 'demo');
  const rows = outageStory().truth.facts.map(({ gateway, epoch, seq, receivedAt, message }) => {
    const start = Date.parse(message.start);
    const end = message.kind === 'gap' ? Date.parse(message.end) : start + message.count * message.periodS * 1000;
    const { kind, meter, point, series } = message;
    const place = { kind, meter, point, series, start_ms: start, end_ms: end, month: monthOf(start) };
    return { gateway, epoch, seq, ...place, received_ms: receivedAt, body: JSON.stringify(message) };
  });
  await engine.transaction((sql) => sql.insert('fact', rows), new Set(rows.map(({ month }) => month)));
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

test('bills are made out of the store, written with their documents, and recompute from the files', async () => {
  expect(await runBill(office('2026-10-01T06:00:00Z'), undefined, true, print)).toBe(0);
  expect(await runBill(office('2026-11-01T07:00:00Z'), 'A-1', true, print)).toBe(0);
  expect(runRecompute(books, undefined, print)).toBe(0);
  const third = JSON.parse(readFileSync(join(books, 'bills/A-1-3.json'), 'utf8')) as Bill;
  expect(third.lines.map(({ kind }) => kind)).toEqual(['period', 'correction']);
  const html = readFileSync(join(books, 'bills/A-1-3.html'), 'utf8');
  expect(html).toContain('Laskun A-1/2 oikaisu');
  expect(html).toContain('Maija &#60;Mäkelä&#62;');
  expect(html).not.toContain('lukema alussa');
  expect(readFileSync(join(books, 'bills/A-1-3.statement.html'), 'utf8')).toContain('lukema alussa');
  expect(readFileSync(join(books, 'bills/A-1-3.pdf')).subarray(0, 5).toString()).toBe('%PDF-');
});
test('a bill that was changed on disk is found', () => {
  const path = join(books, 'bills/A-1-2.json');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('"energy":[', '"energy":[1'));
  expect(runRecompute(books, 'A-1', print)).toBe(1);
  writeFileSync(path, text);
  expect(runRecompute(books, 'A-1', print)).toBe(0);
});
test('the statement explains the display by the hour in which the customer looked', async () => {
  lines.length = 0;
  const look = { at: Date.parse('2026-10-31T16:20:00Z'), kWh: 7593 };
  await runStatement(office('2026-11-01T07:00:00Z'), 'A-1/3', look, print);
  expect(lines.join('\n')).toContain('siinä tunnissa, jona katsoitte, kulutus oli');
  expect(lines.join('\n')).toContain('Sarjan summa on täsmälleen lukeman muutos');
});
test('the feed has everything once, then what changed', async () => {
  const days = { from: '2026-09-26', to: '2026-09-27' };
  const feed = async (at: string) =>
    (await runValues(office(at), 'p-17-1', 'feed', days)).split('\n').filter((line) => line !== '');
  expect(await feed('2026-09-27T06:00:00Z')).toHaveLength(24);
  expect(await feed('2026-09-27T06:00:00Z')).toHaveLength(0);
  const later = await feed('2026-10-05T06:00:00Z');
  expect(later).toHaveLength(24);
  expect(JSON.parse(later[0] ?? '')).toMatchObject({ status: 'measured' });
});
test('an edit has who and why; a large one waits for another person', async () => {
  const now = office('2026-09-27T06:00:00Z');
  const start = Date.parse('2026-09-26T16:00:00Z');
  const common = { point: 'p-17-1', channel: 'import', start, value: 500_000, who: 'Aino' } as const;
  await expect(runEdit(now, { ...common, why: ' ' }, print)).rejects.toThrow('a person and a reason');
  await expect(runEdit(now, { ...common, start: start + 60_000, why: 'x' }, print)).rejects.toThrow('begins at');
  await runEdit(now, { ...common, why: 'sauna festival' }, print);
  expect(() => runAgree(now, 'p-17-1-1', 'AINO', print)).toThrow('another one');
  runAgree(now, 'p-17-1-1', 'Väinö', print);
  expect(readEdits(books)).toMatchObject([
    { value: 500_000, second: { who: 'Väinö' }, before: { standing: 'estimated' } },
  ]);
});
test('a line that a power failure cut off swallows no other', () => {
  const [known] = readEdits(books);
  if (!known) throw new Error('there is an edit');
  const path = join(books, 'edits.jsonl');
  writeFileSync(path, `${readFileSync(path, 'utf8')}{"edit":"cut`);
  expect(readEdits(books)).toHaveLength(1);
  runAgree(office('2026-09-27T06:00:00Z'), known.edit, 'Ilmari', print);
  expect(readEdits(books)).toMatchObject([{ second: { who: 'Ilmari' } }]);
});
test.each([
  [
    'two meters at one time',
    {
      installations: [
        { serial: 'a', from: '2026-01-01T00:00Z' },
        { serial: 'b', from: '2026-02-01T00:00Z' },
      ],
    },
    'same time',
  ],
  [
    'a meter that ends before it begins',
    { installations: [{ serial: 'a', from: '2026-02-01T00:00Z', to: '2026-01-01T00:00Z' }] },
    'ends before',
  ],
  ['a day that does not exist', { periods: [{ from: '2026-02-30', periodS: 3600 }] }, 'periods'],
  ['a zone that does not exist', { zone: 'Europe/Helsingfors' }, 'time zone'],
  ['a key that nobody knows', { nettting: true }, 'nettting'],
])('a registry with %s is refused, and says where', (_, bad, why) => {
  writeRegistry({ ...registry, points: [{ ...registry.points[0], ...bad }] });
  expect(() => readRegistry(books)).toThrow(why);
  writeRegistry(registry);
});
test('contracts that overlap are refused', () => {
  const [one] = registry.contracts;
  writeRegistry({ ...registry, contracts: [one, { ...one, contract: 'A-2', from: '2026-09-01' }] });
  expect(() => readRegistry(books)).toThrow('hold at the same time');
  writeRegistry(registry);
});
