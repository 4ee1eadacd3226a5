/** The central system falls back to yesterday's backup while a gateway goes on: it sees its loss, asks, and is whole again. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { judge, type Received } from '../../src/central/arrival.ts';
import { auditAccounts } from '../../src/central/audit.ts';
import { ingest } from '../../src/central/ingest.ts';
import { newestVersions } from '../../src/central/intervals.ts';
import { followLosses } from '../../src/central/losses.ts';
import { intervalFacts } from '../../src/central/read-store.ts';
import { dueRequests, noteAnswers } from '../../src/central/requests.ts';
import type { Engine } from '../../src/central/sql.ts';
import { openSqlite } from '../../src/central/sqlite.ts';
import { noteStanding } from '../../src/central/standing.ts';
import { centralStatus, statusLines } from '../../src/central/status.ts';
import { millis } from '../../src/base/time.ts';
import { hourMs } from '../support/house-facts.ts';
import { loadProfile } from '../support/central-messages.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const stepMs = 5 * 60_000;
const folder = mkdtempSync(join(tmpdir(), 'central-backup-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The head-end of the house is the real store; the twin of the broker carries what both say. */
function headEnd(it: VirtualHouse, path: string) {
  let engine: Engine = openSqlite(path);
  let heard = it.broker.published.length;
  it.broker.acknowledging = false;
  const step = async (): Promise<void> => {
    const now = it.clock.wall();
    const batch = it.broker.published.slice(heard).flatMap(({ topic, payload }): Received[] => {
      const arrival = judge(topic, Buffer.from(payload));
      return arrival ? [{ at: millis(now), arrival }] : [];
    });
    heard = it.broker.published.length;
    const { answers } = await ingest(engine, batch);
    await noteStanding(engine, batch);
    for (const ack of answers.values()) it.broker.send(it.broker.ackTopic, JSON.stringify(ack));
    await auditAccounts(engine, now);
    await followLosses(engine, now);
    await noteAnswers(engine, now);
    for (const { gateway, request } of await dueRequests(engine, now))
      it.broker.send(`amr/v1/t1/${gateway}/down/again`, JSON.stringify(request));
  };
  return {
    engine: () => engine,
    run: async (ms: number) => {
      for (let passed = 0; passed < ms; passed += stepMs) {
        await it.run(stepMs);
        await it.clock.complete(step());
      }
    },
    close: () => engine.close(),
    open: () => {
      engine = openSqlite(path);
    },
  };
}
/** Hours of every meter that are not as the meter counted them. */
async function wrongHours(it: VirtualHouse, engine: Engine, until: number): Promise<string[]> {
  const wrong: string[] = [];
  for (const { settings, curve } of it.simulated.meters) {
    const name = { point: `p${settings.serial}`, series: loadProfile };
    const facts = await intervalFacts(engine, name, { from: it.since, to: until });
    const newest = newestVersions(facts, hourMs);
    for (let start: number = it.since; start + hourMs <= until; start += hourMs) {
      const version = newest.get(start);
      const value = version?.kind === 'row' ? version.channels[0] : undefined;
      const register = BigInt(curve.register(0, millis(start + hourMs)));
      const energy = register - BigInt(curve.register(0, millis(start)));
      if (value?.register !== register || value.energy !== energy)
        wrong.push(`${settings.serial} ${new Date(start).toISOString()}`);
    }
  }
  return wrong;
}

test("yesterday's backup is restored under a running gateway: seen at the first birth, asked for, whole, equal to the oracle", async () => {
  const it = await virtualHouse({ meters: { count: 2 } }, { days: 2 });
  const path = join(folder, 'central.db');
  const central = headEnd(it, path);
  it.broker.connect();
  await central.run(3 * hourMs);
  await central.close();
  copyFileSync(path, join(folder, 'backup.db'));
  central.open();
  await central.run(26 * hourMs);
  const full = Math.floor(it.clock.wall() / hourMs) * hourMs - hourMs;
  expect(await wrongHours(it, central.engine(), full)).toEqual([]);
  expect((await centralStatus(central.engine(), it.clock.wall())).losses).toEqual([]);

  // The disk is gone, and yesterday's backup is put in its place.
  await central.close();
  for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
  copyFileSync(join(folder, 'backup.db'), path);
  central.open();
  it.broker.disconnect();
  await it.run(60_000);
  expect((await wrongHours(it, central.engine(), full)).length).toBeGreaterThan(2 * 20);
  it.broker.connect();
  await central.run(stepMs);
  const seen = await centralStatus(central.engine(), it.clock.wall());
  expect(seen.losses).toMatchObject([{ gateway: 'g1', wholeAt: null, requests: 2 }]);
  expect(statusLines(seen).join('\n')).toMatch(/CENTRAL_LOST {2}g1: numbers \d+–\d+ of epoch 1.*2 of 2 requests open/);

  await central.run(3 * hourMs);
  expect(await wrongHours(it, central.engine(), full)).toEqual([]);
  const whole = await centralStatus(central.engine(), it.clock.wall());
  expect(whole.losses).toMatchObject([{ open: 0, gone: [], wholeAt: expect.any(String) as string }]);
  expect(whole.requests.open).toBe(0);
  expect(whole.gateways).toMatchObject([{ gateway: 'g1', unfit: 0, conflicts: 0, holes: 0 }]);
  await it.clock.complete(it.house.stop());
  await central.close();
});
