/** The central system falls back to yesterday's backup while a gateway goes on: it sees its loss, asks, and is whole again. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judge, type Received } from '../../src/central/arrival.ts';
import { auditAccounts } from '../../src/central/audit.ts';
import { ingest } from '../../src/central/ingest.ts';
import { newestVersions } from '../../src/central/intervals.ts';
import { followLosses } from '../../src/central/losses.ts';
import { intervalFacts } from '../../src/central/read-store.ts';
import { dueRequests, noteAnswers } from '../../src/central/requests.ts';
import type { Engine } from '../../src/central/sql.ts';
import { noteStanding } from '../../src/central/standing.ts';
import { centralStatus, statusLines } from '../../src/central/status.ts';
import { millis } from '../../src/base/time.ts';
import { hourMs } from '../support/house-facts.ts';
import { type Engines, engines } from '../support/central-engines.ts';
import { loadProfile } from '../support/central-messages.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const stepMs = 5 * 60_000;

/** The head-end of the house is the real store; the twin of the broker carries what both say. */
async function headEnd(it: VirtualHouse, made: Engines) {
  const store = await made.fresh();
  let { engine } = store;
  let heard = it.broker.published.length;
  it.broker.acknowledging = false;
  const step = async (): Promise<void> => {
    const now = Math.floor(it.clock.wall());
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
        // The database is a real one: time stands still meanwhile.
        await step();
      }
    },
    close: () => engine.close(),
    /** What is there now is kept as it is. */
    backUp: async () => {
      await engine.close();
      await store.keep();
      engine = await store.again();
    },
    /** The disk is gone, and the backup is put in its place. */
    restore: async () => {
      await engine.close();
      await store.putBack();
      engine = await store.again();
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

describe.each(['sqlite', 'postgres'] as const)("yesterday's backup is restored under a running gateway: %s", (kind) => {
  let made: Engines;
  beforeAll(async () => {
    made = await engines(kind);
  }, 60_000);
  afterAll(() => made.close());

  test('seen at the first birth, asked for, whole, equal to the oracle', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { days: 2 });
    const central = await headEnd(it, made);
    it.broker.connect();
    await central.run(3 * hourMs);
    await central.backUp();
    await central.run(26 * hourMs);
    const full = Math.floor(it.clock.wall() / hourMs) * hourMs - hourMs;
    expect(await wrongHours(it, central.engine(), full)).toEqual([]);
    expect((await centralStatus(central.engine(), it.clock.wall())).losses).toEqual([]);

    await central.restore();
    it.broker.disconnect();
    await it.run(60_000);
    expect((await wrongHours(it, central.engine(), full)).length).toBeGreaterThan(2 * 20);
    it.broker.connect();
    await central.run(stepMs);
    const seen = await centralStatus(central.engine(), it.clock.wall());
    expect(seen.losses).toMatchObject([{ gateway: 'g1', wholeAt: null, requests: 2 }]);
    expect(statusLines(seen).join('\n')).toMatch(
      /CENTRAL_LOST {2}g1: numbers \d+–\d+ of epoch 1.*2 of 2 requests open/,
    );

    await central.run(3 * hourMs);
    expect(await wrongHours(it, central.engine(), full)).toEqual([]);
    const whole = await centralStatus(central.engine(), it.clock.wall());
    expect(whole.losses).toMatchObject([{ open: 0, gone: [], wholeAt: expect.any(String) as string }]);
    expect(whole.requests.open).toBe(0);
    expect(whole.gateways).toMatchObject([{ gateway: 'g1', unfit: 0, conflicts: 0, holes: 0 }]);
    await it.clock.complete(it.house.stop());
    await central.close();
  }, 120_000);

  test('incident: hours of the backup were listed as gone: what the meters no longer have is listed, hour by hour, and all the rest equals the oracle', async () => {
    const it = await virtualHouse({ meters: { count: 1, depth_days: 1 } }, { days: 1 });
    const central = await headEnd(it, made);
    it.broker.connect();
    await central.run(3 * hourMs);
    await central.backUp();
    await central.run(60 * hourMs);
    const full = Math.floor(it.clock.wall() / hourMs) * hourMs - hourMs;
    // What the meter had lost before anybody asked is nobody's loss here.
    const never = await wrongHours(it, central.engine(), full);
    await central.restore();
    it.broker.disconnect();
    await it.run(60_000);
    it.broker.connect();
    await central.run(4 * hourMs);
    const status = await centralStatus(central.engine(), it.clock.wall());
    const [loss] = status.losses;
    expect(loss).toMatchObject({ open: 0, wholeAt: expect.any(String) as string });
    const gone = loss?.gone ?? [];
    const serial = it.simulated.meters[0]?.settings.serial;
    const hour = (at: number) => `${serial} ${new Date(at).toISOString()}`;
    const listed = new Set<string>(never);
    for (const { from, to } of gone) {
      for (let at = Date.parse(from); at < Date.parse(to); at += hourMs) listed.add(hour(at));
      // Of the hour behind it the register is known, and not what it advanced.
      listed.add(hour(Date.parse(to)));
    }
    expect(listed.size - never.length).toBeGreaterThan(20);
    expect(statusLines(status).join('\n')).toMatch(/the meter no longer has \S+Z to \S+Z/);
    expect(await wrongHours(it, central.engine(), full)).toEqual([...listed].toSorted());
    await it.clock.complete(it.house.stop());
    await central.close();
  }, 120_000);
});
