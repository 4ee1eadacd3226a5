/** What one gateway does holds up no other, and one message not the rest: on both engines. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { auditAccounts } from '../../src/central/audit.ts';
import { ingest } from '../../src/central/ingest.ts';
import { ingestApart } from '../../src/central/ingest-apart.ts';
import { followHoles } from '../../src/central/losses.ts';
import { exportLines, gatewayNumbers } from '../../src/central/read-store.ts';
import { dueRequests, makeRequests, noteAnswers } from '../../src/central/requests.ts';
import type { Engine } from '../../src/central/sql.ts';
import { dayDigest, marksOf } from '../../src/reading/interval-hash.ts';
import { birth, block, loadProfile, measuredDay, received as receivedAt } from '../support/central-messages.ts';
import { type Engines, engines } from '../support/central-engines.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const at = millis(Date.parse('2026-11-24T03:00:00Z'));
const received = (topic: string, payload: object, when = at) => receivedAt(topic, payload, when);
const born = (gateway: string, more: object = {}) => received(`amr/v1/t/${gateway}/birth`, birth({ gateway, ...more }));
const profile = (gateway: string, message: ReturnType<typeof block>, when = at) =>
  received(`amr/v1/t/${gateway}/up/m1/profile`, { ...message, gateway }, when);
const right = dayDigest(marksOf(block(1), hourMs));
const account = {
  meter: 'm1',
  point: 'p',
  series: loadProfile,
  ...measuredDay,
  measured: 2,
  pending: 22,
  digest: right,
};
const manifest = (gateway: string, seq: number, series: readonly object[], more: object = {}) =>
  received(`amr/v1/t/${gateway}/up/_/manifest`, {
    v: 1,
    epoch: 5,
    seq,
    gateway,
    kind: 'manifest',
    day: '2026-11-24',
    part: 1,
    parts: 1,
    series,
    readAt: '2026-11-25T06:00:00Z',
    ...more,
  });
const verdicts = async (engine: Engine) =>
  (await engine.all('SELECT gateway, verdict FROM account ORDER BY gateway, day, meter')).map(({ gateway, verdict }) =>
    [gateway, verdict].join(' '),
  );
const upTo = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe.each(['sqlite', 'postgres'] as const)('%s', (kind) => {
  let made: Engines;
  beforeAll(async () => {
    made = await engines(kind);
  }, 60_000);
  afterAll(() => made.close());

  test('incident: a message of an epoch that was forgotten, sent twice, was never stored and held up everything after it', async () => {
    const { engine } = await made.fresh();
    for (const epoch of upTo(1, 12))
      await ingest(engine, [born('g', { epoch }), profile('g', block(epoch, { epoch }))]);
    const old = profile('g', block(1, { epoch: 1 }));
    expect(await ingest(engine, [old, profile('h', block(1))])).toMatchObject({ stored: 1, repeated: 1, conflicts: 0 });
    const other = profile('g', block(1, { epoch: 1, rev: [2, 2] }));
    expect(await ingest(engine, [other])).toMatchObject({ stored: 0, conflicts: 1 });
    const never = profile('g', block(99, { epoch: 1 }));
    expect(await ingest(engine, [never, never])).toMatchObject({ stored: 1, repeated: 1 });
    expect(await ingest(engine, [never])).toMatchObject({ stored: 0, repeated: 1 });
    // Sibling: epochs that nobody asks about any more were left out of the export.
    const numbers: string[] = [];
    for await (const line of exportLines(engine)) {
      const { gateway, epoch, seq } = JSON.parse(line) as Record<string, string>;
      numbers.push(`${gateway}/${epoch}/${seq}`);
    }
    expect(numbers).toEqual(['g/1/1', 'g/1/99', ...upTo(2, 11).map((one) => `g/${one}/${one}`), 'h/5/1']);
  });

  test('incident: a batch with a message that the store refuses was given again for ever', async () => {
    const { engine } = await made.fresh();
    const bad = (rows: readonly object[]) => rows.some((row) => JSON.stringify(row).includes('poison'));
    const picky: Engine = {
      ...engine,
      transaction: (work, months) =>
        engine.transaction(
          (sql) =>
            work({
              ...sql,
              insert: async (table, rows) => {
                if (table === 'fact' && bad(rows)) throw Object.assign(new Error('too long'), { code: '54000' });
                await sql.insert(table, rows);
              },
            }),
          months,
        ),
    };
    const batch = upTo(1, 9).map((seq) => profile('g', block(seq, seq === 4 ? { point: 'poison' } : {})));
    await ingest(picky, [born('g')]);
    const taken = await ingestApart(picky, batch);
    expect(taken).toMatchObject({ stored: 8, unfit: 1 });
    expect(taken.answers.get('g')).toMatchObject({ upTo: 9, nack: [] });
    expect(await engine.all('SELECT gateway, epoch, seq, why FROM quarantine')).toEqual([
      { gateway: 'g', epoch: 5, seq: 4, why: 'the store does not take it: too long' },
    ]);
    // Sibling: a store that is away takes nothing; then nothing is anybody's fault, and all of it comes again.
    const away: Engine = {
      ...engine,
      transaction: () => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })),
    };
    await expect(ingestApart(away, [profile('g', block(10))])).rejects.toThrow('gone');
  });

  test('incident: manifests that a later one stands for, and empty ones, hid the manifests of all others', async () => {
    const { engine } = await made.fresh();
    const many = [
      ...upTo(2, 300).map((seq) => manifest('a', seq, [account])),
      ...upTo(302, 300).map((seq) => manifest('a', seq, [])),
    ];
    await ingest(engine, [born('a'), profile('a', block(1)), ...many]);
    const later = millis(at + minuteMs);
    await ingest(engine, [
      born('b'),
      profile('b', block(1)),
      { ...manifest('b', 2, [account]), at: later },
      { ...manifest('a', 602, [account], { day: '2026-11-23' }), at: later },
    ]);
    for (const minute of [1, 2, 3]) await auditAccounts(engine, at + minute * minuteMs);
    expect(await verdicts(engine)).toEqual(['a different', 'a verified', 'b verified']);
  });

  test('incident: accounts behind a hole of one gateway hid those of the others', async () => {
    const { engine } = await made.fresh();
    const meters = upTo(1, 600).map((i) => ({ ...account, meter: `x${i}` }));
    await ingest(engine, [
      born('a'),
      // Number 1 never comes.
      manifest('a', 2, meters),
      born('b'),
      profile('b', block(1)),
      manifest('b', 2, [account]),
    ]);
    await auditAccounts(engine, at);
    expect((await verdicts(engine)).filter((one) => one !== 'a waiting')).toEqual(['b verified']);
    // Sibling: an account of an epoch that is forgotten by now waited for ever.
    for (const epoch of upTo(6, 10)) await ingest(engine, [born('b', { epoch })]);
    await ingest(engine, [manifest('b', 3, [account], { day: '2026-11-23' })]);
    expect((await gatewayNumbers(engine)).find(({ gateway }) => gateway === 'b')?.epochs[0]?.epoch).toBe(8);
    await auditAccounts(engine, at + minuteMs);
    expect((await verdicts(engine)).filter((one) => one !== 'a waiting')).toEqual(['b different', 'b verified']);
  });

  test('incident: eight requests that nobody answers hid all others of the gateway', async () => {
    const { engine } = await made.fresh();
    await ingest(engine, [born('g')]);
    const name = { gateway: 'g', series: loadProfile, periodS: 3600, cause: 'loss|x' };
    await engine.transaction(async (sql) => {
      for (const i of upTo(1, 20)) await makeRequests(sql, { ...name, meter: `x${i}` }, [[at - i * hourMs, at]], at);
    });
    const asked = new Set<string>();
    for (let now = at + minuteMs; now < at + 40 * minuteMs; now += minuteMs) {
      const due = await dueRequests(engine, now);
      const open = await engine.all('SELECT sent_ms FROM request WHERE sent_ms > ?', now - 10 * minuteMs);
      expect(open.length).toBeLessThanOrEqual(8);
      for (const { request } of due) asked.add(request.meter);
    }
    expect(asked.size).toBe(20);
  });

  test('incident: answers to requests were not seen behind five hundred that nobody answers', async () => {
    const { engine } = await made.fresh();
    const name = { series: loadProfile, periodS: 3600, cause: 'loss|x' };
    const span = [Date.parse('2026-11-24T00:00:00Z'), Date.parse('2026-11-24T02:00:00Z')] as const;
    await engine.transaction(async (sql) => {
      for (const i of upTo(1, 600))
        await makeRequests(sql, { ...name, gateway: `a${i}`, meter: 'x', cause: `loss|${i}` }, [span], at - 1);
      await makeRequests(sql, { ...name, gateway: 'g', meter: 'm1' }, [span], at);
    });
    await dueRequests(engine, at);
    await ingest(engine, [born('g'), profile('g', block(1), millis(at + minuteMs))]);
    await noteAnswers(engine, at + 3 * hourMs);
    expect(await engine.all('SELECT gateway FROM request WHERE done_ms IS NOT NULL')).toEqual([{ gateway: 'g' }]);
  });

  test('incident: holes that were asked for after 2033 would never have been given up', async () => {
    const { engine } = await made.fresh();
    const then = millis(Date.parse('2034-01-01T00:00:00Z'));
    await ingest(engine, [born('g'), profile('g', block(2), then)]);
    await followHoles(engine, then + minuteMs);
    const asked = await followHoles(engine, then + minuteMs);
    expect(asked.size).toBe(0);
    await followHoles(engine, then + 2 * hourMs);
    expect(await engine.all('SELECT ranges FROM loss')).toEqual([{ ranges: '[[1,1]]' }]);
  });
});
