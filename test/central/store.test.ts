/** One contract of the store, on both engines. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { auditAccounts } from '../../src/central/audit.ts';
import { ingest } from '../../src/central/ingest.ts';
import { followLosses } from '../../src/central/losses.ts';
import { openOffice, readStore } from '../../src/central/open-store.ts';
import { exportLines, gatewayNumbers, intervalFacts } from '../../src/central/read-store.ts';
import { noteAnswers } from '../../src/central/requests.ts';
import type { Engine } from '../../src/central/sql.ts';
import { noteStanding } from '../../src/central/standing.ts';
import { centralStatus, statusLines } from '../../src/central/status.ts';
import { dayDigest, marksOf } from '../../src/reading/interval-hash.ts';
import { birth, block, gap, loadProfile, received as receivedAt } from '../support/central-messages.ts';
import { type Engines, engines } from '../support/central-engines.ts';

const hourMs = 3_600_000;
const at = millis(Date.parse('2026-11-24T03:00:00Z'));
const up = (gateway = 'g', meter = 'm1', kind = 'profile') => `amr/v1/t/${gateway}/up/${meter}/${kind}`;
const received = (topic: string, payload: object | string, when = at) => receivedAt(topic, payload, when);
const born = (more: object = {}) => received('amr/v1/t/g/birth', birth(more));
const health = (meters: readonly (readonly [meter: string, verdict: string])[], more: object = {}) =>
  received('amr/v1/t/g/health', {
    v: 1,
    at: '2026-11-24T03:00:00Z',
    boot: 'b',
    epoch: 5,
    pending: 3,
    oldestUnacknowledgedS: null,
    clockTrust: 'kernel',
    disk: null,
    ports: [],
    meters: meters.map(([meter, verdict]) => ({ meter, verdict, lastSuccess: null, missing: 0, alarms: [] })),
    store: { failure: null, quarantined: 0, missing: 0 },
    ...more,
  });
const lines = async (engine: Engine): Promise<string[]> => {
  const all: string[] = [];
  for await (const line of exportLines(engine)) all.push(line);
  return all;
};

const manifest = (seq: number, day: string, digest: string, more: object = {}) =>
  received(up('g', '_', 'manifest'), {
    v: 1,
    epoch: 5,
    seq,
    gateway: 'g',
    kind: 'manifest',
    day,
    part: 1,
    parts: 1,
    series: [
      {
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
        ...more,
      },
    ],
    readAt: `${day}T06:00:00Z`,
  });

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
  test('an unfit message is kept raw, acknowledged where its number can be one of this gateway, and holds up nobody', async () => {
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

  test('accounts that lie: of a meter that nobody knows, of a day that was never said, twice and otherwise; each is asked for once', async () => {
    const { engine } = await made.fresh();
    const right = dayDigest(marksOf(block(1), hourMs));
    await ingest(engine, [
      born(),
      received(up(), block(1)),
      manifest(4, '2026-11-24', right),
      // An older account of the same day that comes later does not stand above it.
      manifest(3, '2026-11-24', 'a'.repeat(64)),
      manifest(5, '2026-11-23', right, { meter: 'nobody' }),
      manifest(2, '2026-11-22', right),
    ]);
    const verdicts = async () =>
      (await engine.all('SELECT day, meter, verdict FROM account ORDER BY day')).map(({ day, meter, verdict }) => [
        day,
        meter,
        verdict,
      ]);
    for (const minutes of [0, 1, 2]) await auditAccounts(engine, at + minutes * 60_000);
    expect(await verdicts()).toEqual([
      ['2026-11-22', 'm1', 'different'],
      ['2026-11-23', 'nobody', 'different'],
      ['2026-11-24', 'm1', 'verified'],
    ]);
    expect(await engine.all('SELECT meter FROM request ORDER BY meter')).toEqual([
      { meter: 'm1' },
      { meter: 'nobody' },
    ]);
  });
  test('incident: a gap of a century filled the memory of whoever looked at one of its days', async () => {
    const { engine } = await made.fresh();
    const century = gap(1, { start: '2000-01-01T00:00:00Z', end: '2099-12-31T00:00:00Z' });
    const minutely = { periodS: 60, from: '2026-11-24T00:00:00Z', to: '2026-11-24T12:00:00Z' };
    await ingest(engine, [
      born(),
      received(up('g', 'm1', 'gap'), century),
      manifest(2, '2026-11-24', 'a'.repeat(64), minutely),
    ]);
    expect(marksOf(century, 60_000, [at - hourMs, at])).toHaveLength(60);
    await auditAccounts(engine, at);
    expect(await engine.all('SELECT verdict FROM account')).toEqual([{ verdict: 'different' }]);
    // And of a loss: holes are looked for as far back as a request may reach.
    await ingest(engine, [born({ acknowledged: 9 })]);
    await noteStanding(engine, [born({ acknowledged: 9 })]);
    await followLosses(engine, at);
    await noteAnswers(engine, at + hourMs);
    expect(await engine.all("SELECT meter FROM request WHERE cause LIKE 'loss|%'")).toEqual([{ meter: 'm1' }]);
  });
  test('births that lie: of an older epoch, and of more than was ever sent', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [born(), received(up(), block(1)), received(up(), block(2))]);
    const older = await ingest(engine, [born({ epoch: 4, acknowledged: 1000 })]);
    expect(older.answers.get('g')).toMatchObject({ epoch: 5, upTo: 2 });
    expect(older.lost).toEqual([]);
    const beyond = await ingest(engine, [born({ acknowledged: 10 }), born({ acknowledged: 10 })]);
    expect(beyond.lost).toEqual([{ gateway: 'g', epoch: 5, ranges: [[3, 10]] }]);
    expect(beyond.answers.get('g')).toMatchObject({ upTo: 10 });
    // What it says afterwards is taken; what it had acknowledged and sends all the same is taken too.
    const after = await ingest(engine, [received(up(), block(11)), received(up(), block(7))]);
    expect(after).toMatchObject({ stored: 2, conflicts: 0 });
    expect(after.answers.get('g')).toMatchObject({ upTo: 11 });
    expect(await engine.all('SELECT epoch, ranges FROM loss')).toEqual([{ epoch: 5, ranges: '[[3,10]]' }]);
  });
  test('a health beyond what we hold is our loss as well, seen once; one that says nothing new changes nothing and is not answered', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [born(), ...[1, 2].map((seq) => received(up('g'), block(seq)))]);
    const numbers = async () => (await engine.all("SELECT numbers FROM gateway WHERE gateway = 'g'"))[0]?.['numbers'];
    const answered = async (acknowledged?: number, epoch = 5) => {
      const { lost, answers } = await ingest(engine, [health([], { acknowledged, epoch })]);
      return [lost.map(({ ranges }) => ranges), answers.get('g')?.upTo];
    };
    const before = await numbers();
    for (const acknowledged of [undefined, 0, 1, 2]) expect(await answered(acknowledged)).toEqual([[], undefined]);
    // Older than what is known: its state fell back, and that is what its birth is for.
    expect(await answered(9, 4)).toEqual([[], undefined]);
    expect(await numbers()).toBe(before);
    expect(await answered(10)).toEqual([[[[3, 10]]], 10]);
    expect(await answered(10)).toEqual([[], undefined]);
    // Of whoever was never heard before: the store is a new one.
    const ofStranger = health([], { acknowledged: 3 }).arrival as { readonly text: string };
    const stranger = await ingest(engine, [received('amr/v1/t/h/health', ofStranger.text)]);
    expect(stranger.lost).toMatchObject([{ gateway: 'h', ranges: [[1, 3]] }]);
    await engine.close();
  });
  test('a gateway that is silent is told from meters that are', async () => {
    const { engine } = await made.fresh();
    const batch = [
      born(),
      health([
        ['m1', 'REACHABLE'],
        ['m2', 'SUSPECT_MAINS_OR_METER'],
      ]),
    ];
    await ingest(engine, batch);
    await noteStanding(engine, batch);
    const shown = async (later: number) => statusLines(await centralStatus(engine, at + later));
    expect((await shown(60_000)).slice(0, 2)).toEqual([
      expect.stringMatching(/^g {2}online, heard /) as string,
      '  m2  SUSPECT_MAINS_OR_METER: silent while its neighbours answer: its mains, its wires or the meter',
    ]);
    // Incident: meters that nobody had asked yet, or whose line or gateway was at fault, were said to be silent themselves.
    await noteStanding(engine, [
      health([
        ['m1', 'UNKNOWN'],
        ['m2', 'GATEWAY_FAULT'],
        ['m3', 'SUPPLY_OFF_BY_METER_SWITCH'],
        ['m4', 'OF_A_LATER_VERSION'],
      ]),
    ]);
    expect((await shown(60_000)).slice(1, 4)).toEqual([
      '  m2  GATEWAY_FAULT: what failed is of the gateway itself; the meter is not to blame',
      '  m4  OF_A_LATER_VERSION: see the gateway',
      '  1 meters: not asked yet since the gateway started',
    ]);
    await noteStanding(engine, batch);
    const silent = /^g {2}silent: the gateway or its link, not its meters/;
    expect((await shown(301_000))[0]).toMatch(silent);
    const will = received('amr/v1/t/g/state', { v: 1, online: false, boot: 'b', at: null });
    await noteStanding(engine, [will]);
    const gone = await shown(60_000);
    expect(gone[0]).toMatch(silent);
    expect(gone.join()).not.toContain('m2');
  });
});

test('one process takes messages into a file; who reads and who bills may do so beside it', async () => {
  const made = await engines('sqlite');
  const { engine, again, url } = await made.fresh();
  await ingest(engine, [born(), received(up(), block(1))]);
  await expect(again()).rejects.toThrow('another process works with');
  const [reader, office] = [await readStore(url), await openOffice(url)];
  expect(await lines(reader)).toEqual([JSON.stringify(block(1))]);
  await office.transaction((sql) => sql.insert('meta', [{ key: 'a', value: 'b' }]));
  expect(await reader.all("SELECT value FROM meta WHERE key = 'a'")).toEqual([{ value: 'b' }]);
  await expect(reader.transaction((sql) => sql.insert('meta', [{ key: 'c', value: 'd' }]))).rejects.toThrow('readonly');
  await Promise.all([reader.close(), office.close()]);
  await made.close();
});
