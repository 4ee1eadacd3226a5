/** One contract of the store, on both engines. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { judge, type Received } from '../../src/central/arrival.ts';
import { auditAccounts } from '../../src/central/audit.ts';
import { ingest } from '../../src/central/ingest.ts';
import { exportLines, gatewayNumbers, intervalFacts } from '../../src/central/read-store.ts';
import type { Engine } from '../../src/central/sql.ts';
import { dayDigest, marksOf } from '../../src/reading/interval-hash.ts';
import { birth, block, gap, loadProfile } from '../support/central-messages.ts';
import { type Engines, engines } from '../support/central-engines.ts';

const hourMs = 3_600_000;
const at = millis(Date.parse('2026-11-24T03:00:00Z'));
const up = (gateway = 'g', meter = 'm1', kind = 'profile') => `amr/v1/t/${gateway}/up/${meter}/${kind}`;
const received = (topic: string, payload: object | string, when = at): Received => {
  const arrival = judge(topic, Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)));
  if (!arrival) throw new Error('nothing in it');
  return { at: when, arrival };
};
const born = (more: object = {}) => received('amr/v1/t/g/birth', birth(more));
const lines = async (engine: Engine): Promise<string[]> => {
  const all: string[] = [];
  for await (const line of exportLines(engine)) all.push(line);
  return all;
};

describe.each(['sqlite', 'postgres'] as const)('%s', (kind) => {
  let made: Engines;
  beforeAll(async () => {
    made = await engines(kind);
  }, 60_000);
  afterAll(() => made.close());

  test('what came is stored as it came, with its numbers; after the commit it is acknowledged', async () => {
    const { engine } = await made.fresh();
    expect((await ingest(engine, [born()])).answers.get('g')).toEqual({ epoch: 5, upTo: 0, seen: 0, nack: [] });
    const text = `  ${JSON.stringify({ ...block(1), unknown: 'of a later version' })}`;
    const outcome = await ingest(engine, [received(up(), text), received(up('g', 'm1', 'gap'), gap(3))]);
    expect(outcome).toMatchObject({ stored: 2, repeated: 0, unfit: 0 });
    expect(outcome.answers.get('g')).toEqual({ epoch: 5, upTo: 1, seen: 3, nack: [] });
    expect(await lines(engine)).toEqual([text, JSON.stringify(gap(3))]);
    expect((await ingest(engine, [received(up(), block(2))])).answers.get('g')).toMatchObject({ upTo: 3 });
  });
  test('the same again changes nothing; another content under one number is shown, and the first one counts', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [born(), received(up(), block(1)), received(up(), block(1))]);
    const other = block(1, { rev: [7, 7] });
    const outcome = await ingest(engine, [received(up(), block(1)), received(up(), other), received(up(), block(2))]);
    expect(outcome).toMatchObject({ stored: 1, repeated: 2, conflicts: 1 });
    expect(outcome.answers.get('g')).toMatchObject({ upTo: 2 });
    expect(await lines(engine)).toEqual([JSON.stringify(block(1)), JSON.stringify(block(2))]);
    expect((await gatewayNumbers(engine))[0]).toMatchObject({ repeated: 3, conflicts: 1 });
    expect(await engine.all('SELECT why, seq FROM quarantine')).toMatchObject([
      { seq: 1, why: expect.stringContaining('another content') as string },
    ]);
  });
  test('what fails is taken back as a whole', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [born()]);
    await expect(
      engine.transaction(async (sql) => {
        await sql.insert('meta', [{ key: 'a', value: 'b' }]);
        throw new Error('the power went');
      }),
    ).rejects.toThrow('the power went');
    expect(await engine.all('SELECT * FROM meta')).toEqual([]);
    expect((await ingest(engine, [received(up(), block(1))])).answers.get('g')).toMatchObject({ upTo: 1 });
  });
  test('an unfit message is raw raw, acknowledged where its number can be one of this gateway, and holds up nobody', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [born()]);
    const outcome = await ingest(engine, [
      received(up(), block(1, { rev: [1] })),
      received(up(), block(2)),
      received(up(), block(2 ** 40, { rev: [] })),
      received(up('other'), block(3)),
      received(up(), '{'),
    ]);
    expect(outcome).toMatchObject({ stored: 1, unfit: 4 });
    expect(outcome.answers.get('g')).toEqual({ epoch: 5, upTo: 2, seen: 2, nack: [] });
    expect(outcome.answers.get('other')).toBeUndefined();
    const raw = await engine.all('SELECT gateway, why, seq, raw FROM quarantine');
    expect(
      raw.map(({ gateway, seq, why }) => [gateway, String(seq), (why as string).slice(0, 12)].join(' ')).toSorted(),
    ).toEqual(['g 1 count: a col', 'g null count: a col', 'g null not JSON', 'other null gateway: ano']);
    const octets = raw.find(({ why }) => why === 'not JSON')?.['raw'] as Uint8Array;
    expect(Buffer.from(octets).toString()).toBe('{');
    // The gateway sends it again, because its acknowledgement was lost.
    expect(await ingest(engine, [received(up(), block(1, { rev: [1] }))])).toMatchObject({ unfit: 0 });
  });
  test('a series is read by its span, gaps over its edge included, in the order of the numbers', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [
      born(),
      received(up(), block(3, { start: '2026-11-24T04:00:00Z' })),
      received(up('g', 'm1', 'gap'), gap(2, { start: '2026-09-01T00:00:00Z', end: '2026-11-24T04:00:00Z' })),
      received(up(), block(1, { series: '1-0:99.2.0*255' })),
      received(up(), block(4, { start: '2026-11-24T09:00:00Z' })),
    ]);
    const [from, to] = [Date.parse('2026-11-24T03:00:00Z'), Date.parse('2026-11-24T05:00:00Z')];
    for (const name of [{ point: 'p' }, { gateway: 'g', meter: 'm1' }] as const)
      expect(
        (await intervalFacts(engine, { ...name, series: loadProfile }, { from, to })).map(({ seq }) => seq),
      ).toEqual([2, 3]);
  });
  test('numbers up to 2^52, text with anything in it, months that cannot be', async () => {
    const { engine } = await made.fresh();
    const epoch = 2 ** 52;
    const odd = block(2 ** 53 - 1, { epoch, point: 'a\u0000b "\\ 💡', start: '2099-12-31T22:00:00Z' });
    await ingest(engine, [born({ epoch, acknowledged: 2 ** 53 - 2 }), received(up(), odd)]);
    expect(await lines(engine)).toEqual([JSON.stringify(odd)]);
    for (const start of ['2000-01-01T00:00:00Z', '2026-12-31T23:00:00Z'])
      expect(await ingest(engine, [received(up(), block(2 ** 52, { epoch: epoch - 1, start }))])).toMatchObject({
        unfit: 0,
      });
  });
  test('a day whose manifest comes out of what is stored is verified; another one is asked for again', async () => {
    const { engine } = await made.fresh();
    const row = (digest: string) => ({
      meter: 'm1',
      point: 'p',
      series: loadProfile,
      periodS: 3600,
      expected: 24,
      measured: 2,
      uncertain: 0,
      outage: 0,
      missing: 0,
      lost: 0,
      pending: 22,
      digest,
    });
    const manifest = (seq: number, day: string, digest: string) =>
      received(up('g', '_', 'manifest'), {
        v: 1,
        epoch: 5,
        seq,
        gateway: 'g',
        kind: 'manifest',
        day,
        part: 1,
        parts: 1,
        series: [row(digest)],
        readAt: `${day}T06:00:00Z`,
      });
    const right = dayDigest(marksOf(block(1), hourMs));
    await ingest(engine, [
      born(),
      received(up(), block(1)),
      manifest(2, '2026-11-24', right),
      manifest(3, '2026-11-23', 'f'.repeat(64)),
      manifest(5, '2026-11-22', 'e'.repeat(64)),
    ]);
    await auditAccounts(engine, at);
    const verdicts = async () =>
      (await engine.all('SELECT day, verdict FROM account ORDER BY day')).map(({ day, verdict }) => [day, verdict]);
    // Before everything up to its number is here, an account is not judged.
    expect(await verdicts()).toEqual([
      ['2026-11-22', 'waiting'],
      ['2026-11-23', 'different'],
      ['2026-11-24', 'verified'],
    ]);
    expect(await engine.all('SELECT meter, from_ms, to_ms FROM request')).toEqual([
      { meter: 'm1', from_ms: Date.parse('2026-11-23T00:00:00Z'), to_ms: Date.parse('2026-11-24T00:00:00Z') },
    ]);
  });
});
