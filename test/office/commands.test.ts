import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bill } from '../../src/billing/bill.ts';
import type { Engine } from '../../src/central/sql.ts';
import { addBill, readBills } from '../../src/office/bills.ts';
import { readRegistry } from '../../src/office/books.ts';
import {
  runAgree,
  runBill,
  runEdit,
  runEdits,
  runEstimate,
  runRecompute,
  runStatement,
  runValues,
} from '../../src/office/commands.ts';
import { readEdits } from '../../src/office/decisions.ts';
import { officeAt } from '../../src/office/point-now.ts';
import { type Engines, engines } from '../support/central-engines.ts';
import { factRows } from '../support/fact-rows.ts';
import { outageStory } from '../support/outage-story.ts';

const folder = mkdtempSync(join(tmpdir(), 'office-'));
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
const lines: string[] = [];
const print = (line: string): void => void lines.push(line);
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(['sqlite', 'postgres'] as const)('%s', (kind) => {
  const books = join(folder, kind);
  let made: Engines;
  let engine: Engine;
  const office = (at: string) => officeAt(engine, books, Date.parse(at));

  beforeAll(async () => {
    mkdirSync(books);
    writeFileSync(join(books, 'registry.json'), JSON.stringify(registry));
    made = await engines(kind);
    ({ engine } = await made.fresh());
    const rows = factRows(outageStory().truth.facts);
    await engine.transaction((sql) => sql.insert('fact', rows), new Set(rows.map(({ month }) => month)));
  }, 60_000);
  afterAll(() => made.close());

  test('bills are made out of the store, written with their documents, and recompute from the files', async () => {
    expect(await runBill(office('2026-10-01T06:00:00Z'), undefined, true, print)).toBe(0);
    expect(await runBill(office('2026-11-01T07:00:00Z'), 'A-1', true, print)).toBe(0);
    expect(await runRecompute(engine, undefined, print)).toBe(0);
    const third = JSON.parse(readFileSync(join(books, 'bills/A-1-3.json'), 'utf8')) as Bill;
    expect(third.lines.map(({ kind }) => kind)).toEqual(['period', 'correction']);
    const html = readFileSync(join(books, 'bills/A-1-3.html'), 'utf8');
    expect(html).toContain('Laskun A-1/2 oikaisu');
    expect(html).toContain('Maija &#60;Mäkelä&#62;');
    expect(html).not.toContain('lukema alussa');
    expect(readFileSync(join(books, 'bills/A-1-3.statement.html'), 'utf8')).toContain('lukema alussa');
    expect(readFileSync(join(books, 'bills/A-1-3.pdf')).subarray(0, 5).toString()).toBe('%PDF-');
  });
  test('a bill that was changed in the store is found; nobody makes one number twice', async () => {
    const change = (from: string, to: string) =>
      engine.transaction((sql) =>
        sql.all("UPDATE bill SET body = replace(body, ?, ?) WHERE contract = 'A-1' AND number = 2", from, to),
      );
    await change('"energy":[', '"energy":[1');
    expect(await runRecompute(engine, 'A-1', print)).toBe(1);
    await change('"energy":[1', '"energy":[');
    expect(await runRecompute(engine, 'A-1', print)).toBe(0);
    const [first] = await readBills(engine, 'A-1');
    if (!first) throw new Error('there is a bill');
    await expect(addBill(engine, first)).rejects.toThrow('somebody else made it');
  });
  test('documents that are not there any more are made again', async () => {
    rmSync(join(books, 'bills'), { recursive: true });
    expect(await runBill(office('2026-11-01T07:00:00Z'), 'A-1', true, print)).toBe(0);
    expect(readdirSync(join(books, 'bills'))).toHaveLength(3 * 5);
  });
  test('the statement explains the display by the hour in which the customer looked', async () => {
    lines.length = 0;
    const look = { at: Date.parse('2026-10-31T16:20:00Z'), kWh: 7593 };
    await runStatement(office('2026-11-01T07:00:00Z'), 'A-1/3', look, print);
    expect(lines.join('\n')).toContain('siinä tunnissa, jona katsoitte, kulutus oli');
    expect(lines.join('\n')).toContain('Sarjan summa on täsmälleen lukeman muutos');
  });
  test('the feed has everything once, then what changed; what could not be written is not sent', async () => {
    const days = { from: '2026-09-26', to: '2026-09-27' };
    const feed = async (at: string) => {
      let text = '';
      const write = (part: string) => {
        text += part;
        return Promise.resolve();
      };
      await runValues(office(at), 'p-17-1', { form: 'feed', days }, { write, trouble: print });
      return text.split('\n').filter((line) => line !== '');
    };
    const broken = () => Promise.reject(new Error('EPIPE'));
    await expect(
      runValues(office('2026-09-27T06:00:00Z'), 'p-17-1', { form: 'feed', days }, { write: broken, trouble: print }),
    ).rejects.toThrow('EPIPE');
    expect(await feed('2026-09-27T06:00:00Z')).toHaveLength(24);
    expect(await feed('2026-09-27T06:00:00Z')).toHaveLength(0);
    const later = await feed('2026-10-05T06:00:00Z');
    expect(later).toHaveLength(24);
    expect(JSON.parse(later[0] ?? '')).toMatchObject({ status: 'measured' });
  });
  test('incident: what was wrong with one contract ended the bills of all behind it', async () => {
    const own = join(folder, `${kind}-of-many`);
    mkdirSync(join(own, 'history/p-broken.csv'), { recursive: true });
    const [point] = registry.points;
    const [contract] = registry.contracts;
    const more = {
      points: [{ ...point, point: 'p-broken' }, point, { ...point, point: 'p-none' }],
      contracts: [
        { ...contract, contract: 'A-0', point: 'p-broken' },
        { ...contract, contract: 'B-1' },
        { ...contract, contract: 'C-1', point: 'p-none', from: '2026-11-01' },
      ],
    };
    writeFileSync(join(own, 'registry.json'), JSON.stringify(more));
    const now = officeAt(engine, own, Date.parse('2026-10-01T06:00:00Z'));
    lines.length = 0;
    expect(await runBill(now, undefined, false, print)).toBe(1);
    expect(lines[0]).toMatch(/^A-0: not done: EISDIR/);
    expect(lines.join('\n')).toMatch(/bill B-1\/1 .*\n.*consumption/);
    expect(lines.at(-1)).toMatch(/^C-1: .* is not over|^C-1: nothing is due/);
    await expect(runBill(now, 'A-0', false, print)).rejects.toThrow('EISDIR');
    // Siblings: the other commands of all points.
    lines.length = 0;
    const days = { from: '2026-09-26', to: '2026-09-27' };
    expect(await runEstimate(now, undefined, days, print)).toBe(1);
    expect(lines.filter((line) => /^p-\S+ import, 2026-09-26/.test(line))).toHaveLength(2);
    let csv = '';
    const write = (part: string) => {
      csv += part;
      return Promise.resolve();
    };
    const troubles: string[] = [];
    const all = { write, trouble: (line: string) => void troubles.push(line) };
    expect(await runValues(now, undefined, { form: 'csv', days }, all)).toBe(1);
    expect(csv.trimEnd().split('\r\n')).toHaveLength(1 + 2 * 24);
    expect(troubles).toHaveLength(1);
    await expect(runValues(now, undefined, { form: 'cim', days }, all)).rejects.toThrow('--point');
    // A store that is away is of no contract.
    const away = { ...engine, all: () => Promise.reject(new Error('gone')) };
    await expect(runBill({ ...now, engine: away }, undefined, false, print)).rejects.toThrow('gone');
  });
  test('an edit has who and why; a large one waits for another person', async () => {
    const now = office('2026-09-27T06:00:00Z');
    const start = Date.parse('2026-09-26T16:00:00Z');
    const common = { point: 'p-17-1', channel: 'import', start, value: 500_000, who: 'Aino' } as const;
    await expect(runEdit(now, { ...common, why: ' ' }, print)).rejects.toThrow('a person and a reason');
    await expect(runEdit(now, { ...common, start: start + 60_000, why: 'x' }, print)).rejects.toThrow('begins at');
    await runEdit(now, { ...common, why: 'sauna festival' }, print);
    await expect(runAgree(now, 'p-17-1-1', 'AINO', print)).rejects.toThrow('another one');
    await runAgree(now, 'p-17-1-1', 'Väinö', print);
    await runEdit(now, { ...common, value: 700, why: 'no, it was not' }, print);
    expect(await readEdits(engine, 'p-17-1')).toMatchObject([
      { edit: 'p-17-1-1', value: 500_000, second: { who: 'Väinö' }, before: { standing: 'estimated' } },
      { edit: 'p-17-1-2', value: 700, before: { value: 500_000, standing: 'edited' } },
    ]);
    lines.length = 0;
    await runEdits(now, 'p-17-1', print);
    expect(lines[0]).toMatch(/kWh \(estimated\) → 500\.000 kWh {2}Aino .*: sauna festival; Väinö agreed/);
  });
});

describe('the registry', () => {
  const books = join(folder, 'registry');
  const writeRegistry = (value: unknown): void => writeFileSync(join(books, 'registry.json'), JSON.stringify(value));
  beforeAll(() => mkdirSync(books));
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
    ['netting from a day that does not exist', { netting: [{ from: '2026-02-30' }] }, 'netting'],
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
});
