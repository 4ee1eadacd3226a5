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

/** The head-end of the houses is the real store; the twins of the broker carry what both say. */
async function headEnd(houses: readonly VirtualHouse[], made: Engines) {
  const store = await made.fresh();
  let { engine } = store;
  const heard = new Map(houses.map((it) => [it, it.broker.published.length]));
  for (const { broker } of houses) broker.acknowledging = false;
  const send = (topic: string, payload: object) => {
    for (const { broker } of houses)
      if (topic.startsWith(broker.ackTopic.replace(/ack$/, ''))) broker.send(topic, JSON.stringify(payload));
  };
  const step = async (): Promise<void> => {
    const now = Math.floor((houses[0] as VirtualHouse).clock.wall());
    const batch = houses.flatMap((it) => {
      const { published } = it.broker;
      const fresh = published.slice(heard.get(it));
      heard.set(it, published.length);
      return fresh.flatMap(({ topic, payload }): Received[] => {
        const arrival = judge(topic, Buffer.from(payload));
        return arrival ? [{ at: millis(now), arrival }] : [];
      });
    });
    const { answers } = await ingest(engine, batch);
    await noteStanding(engine, batch);
    for (const [gateway, ack] of answers) send(`amr/v1/t1/${gateway}/down/ack`, ack);
    await auditAccounts(engine, now);
    await followLosses(engine, now);
    await noteAnswers(engine, now);
    for (const { gateway, request } of await dueRequests(engine, now)) send(`amr/v1/t1/${gateway}/down/again`, request);
  };
  return {
    engine: () => engine,
    run: async (ms: number, each = stepMs) => {
      for (let passed = 0; passed < ms; passed += each) {
        for (const it of houses) await it.run(each);
        // The database is a real one: time stands still meanwhile.
        await step();
      }
    },
    end: async () => {
      for (const it of houses) await it.clock.complete(it.house.stop());
      await engine.close();
    },
    /** What is there now is kept as it is. */
    backUp: async () => {
      await engine.close();
      await store.keep();
      engine = await store.again();
    },
    /** The disk is gone, and the backup is put in its place; gateways have to connect anew, or notice nothing of it. */
    restore: async (noticed: 'noticed' | 'unnoticed' = 'noticed') => {
      await engine.close();
      await store.putBack();
      engine = await store.again();
      if (noticed === 'noticed') for (const { broker } of houses) broker.disconnect();
      for (const it of houses) await it.run(60_000);
    },
  };
}
/** Up to then everything was to be read by now. */
const lastFullHour = ({ clock }: VirtualHouse): number => Math.floor(clock.wall() / hourMs) * hourMs - hourMs;
/** Hours of every meter that are not as the meter counted them. */
async function wrongHours(it: VirtualHouse, engine: Engine, until: number, gateway = 'g1'): Promise<string[]> {
  const wrong: string[] = [];
  for (const { settings, curve } of it.simulated.meters) {
    const name = { gateway, meter: `m${settings.serial}`, series: loadProfile };
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
    const central = await headEnd([it], made);
    it.broker.connect();
    await central.run(3 * hourMs);
    await central.backUp();
    await central.run(26 * hourMs);
    const full = lastFullHour(it);
    expect(await wrongHours(it, central.engine(), full)).toEqual([]);
    expect((await centralStatus(central.engine(), it.clock.wall())).losses).toEqual([]);

    await central.restore();
    expect((await wrongHours(it, central.engine(), full)).length).toBeGreaterThan(2 * 20);
    it.broker.connect();
    await central.run(stepMs);
    const seen = await centralStatus(central.engine(), it.clock.wall());
    expect(seen.losses).toMatchObject([{ gateway: 'g1', wholeAt: null, requests: 4 }]);
    expect(statusLines(seen).join('\n')).toMatch(
      /CENTRAL_LOST {2}g1: numbers \d+–\d+ of epoch 1.*4 of 4 requests open/,
    );

    await central.run(3 * hourMs);
    expect(await wrongHours(it, central.engine(), full)).toEqual([]);
    const whole = await centralStatus(central.engine(), it.clock.wall());
    expect(whole.losses).toMatchObject([{ open: 0, gone: [], wholeAt: expect.any(String) as string }]);
    expect(whole.requests.open).toBe(0);
    expect(whole.gateways).toMatchObject([{ gateway: 'g1', unfit: 0, conflicts: 0, holes: 0 }]);
    await central.end();
  }, 120_000);

  test('incident: a gateway that noticed nothing of it introduced itself no more, and the loss was seen an hour later, or the next day', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { days: 1 });
    const central = await headEnd([it], made);
    it.broker.connect();
    await central.run(hourMs);
    await central.backUp();
    await central.run(8 * hourMs);
    const full = lastFullHour(it);
    await central.restore('unnoticed');
    await central.run(2 * 60_000, 60_000);
    const seen = await centralStatus(central.engine(), it.clock.wall());
    expect(seen.losses).toMatchObject([{ gateway: 'g1', wholeAt: null, requests: 2 }]);
    await central.run(hourMs);
    expect(await wrongHours(it, central.engine(), full)).toEqual([]);
    const whole = await centralStatus(central.engine(), it.clock.wall());
    expect(whole.losses).toMatchObject([{ open: 0, gone: [], wholeAt: expect.any(String) as string }]);
    expect(whole.gateways).toMatchObject([{ gateway: 'g1', unfit: 0, conflicts: 0, holes: 0 }]);
    await central.end();
  }, 120_000);

  test('of several gateways at once: each is seen at its own first birth, and one that stays away holds up nobody', async () => {
    const counts = { g1: 2, g2: 1, g3: 3 };
    const houses = await Promise.all(
      Object.entries(counts).map(async ([id, count], i) => ({
        id,
        it: await virtualHouse({ meters: { count, first_serial: 60_120_001 + 100 * i } }, { days: 2, gateway: { id } }),
      })),
    );
    const all = houses.map(({ it }) => it);
    const clock = (all[0] as VirtualHouse).clock;
    const central = await headEnd(all, made);
    for (const { broker } of all) broker.connect();
    await central.run(3 * hourMs);
    await central.backUp();
    await central.run(26 * hourMs);
    const full = lastFullHour(all[0] as VirtualHouse);
    const wrong = async () => {
      const each = await Promise.all(
        houses.map(async ({ id, it }) => [id, (await wrongHours(it, central.engine(), full, id)).length] as const),
      );
      return Object.fromEntries(each);
    };
    expect(await wrong()).toEqual({ g1: 0, g2: 0, g3: 0 });

    await central.restore();
    for (const [id, lacks] of Object.entries(await wrong())) expect(lacks, id).toBeGreaterThan(20);
    const [first, second, third] = all as [VirtualHouse, VirtualHouse, VirtualHouse];
    for (const { broker } of [first, second]) broker.connect();
    await central.run(stepMs);
    const losses = async () => {
      const status = await centralStatus(central.engine(), clock.wall());
      return status.losses
        .map(({ gateway, open, requests, wholeAt, gone }) => [gateway, open, requests, wholeAt !== null, gone.length])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    };
    expect(await losses()).toEqual([
      ['g1', 4, 4, false, 0],
      ['g2', 2, 2, false, 0],
    ]);
    await central.run(3 * hourMs);
    expect(await wrong()).toMatchObject({ g1: 0, g2: 0 });
    third.broker.connect();
    await central.run(3 * hourMs);
    expect(await wrong()).toEqual({ g1: 0, g2: 0, g3: 0 });
    expect(await losses()).toEqual([
      ['g1', 0, 4, true, 0],
      ['g2', 0, 2, true, 0],
      ['g3', 0, 6, true, 0],
    ]);
    const whole = await centralStatus(central.engine(), clock.wall());
    expect(whole.accounts).toMatchObject({ different: 0, miscounted: 0 });
    expect(whole.accounts.verified).toBeGreaterThan(0);
    await central.end();
  }, 120_000);

  test('incident: what the meters were asked for first, newest before oldest, was lost behind a backup made meanwhile, and called whole', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { days: 6 });
    const central = await headEnd([it], made);
    it.broker.connect();
    const full = lastFullHour(it);
    const missing = async () => (await wrongHours(it, central.engine(), full)).length;
    const nothing = await missing();
    for (let tries = 0; tries < 200 && (await missing()) === nothing; tries++) await central.run(500, 500);
    expect(nothing - (await missing())).toBeLessThan(40);
    await central.backUp();
    await central.run(2 * hourMs);
    expect(await missing()).toBe(0);
    await central.restore();
    it.broker.connect();
    await central.run(4 * hourMs);
    expect(await missing()).toBe(0);
    const status = await centralStatus(central.engine(), it.clock.wall());
    expect(status.losses).toMatchObject([{ open: 0, wholeAt: expect.any(String) as string }]);
    await central.end();
  }, 120_000);

  test('sibling: of a store that is lost altogether more than forty days were not asked for', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { days: 55 });
    const central = await headEnd([it], made);
    const full = lastFullHour(it);
    await central.backUp();
    it.broker.connect();
    await central.run(6 * hourMs, 10 * 60_000);
    const missing = async () => (await wrongHours(it, central.engine(), full)).length;
    expect(await missing()).toBe(0);
    await central.restore();
    it.broker.connect();
    await central.run(3 * hourMs);
    expect(await missing()).toBe(0);
    const { losses } = await centralStatus(central.engine(), it.clock.wall());
    expect(losses).toMatchObject([{ requests: 3, open: 0, wholeAt: expect.any(String) as string }]);
    // Incident: each was made again while its answer came, and everything was read anew.
    expect(await central.engine().all('SELECT max(times) AS most FROM request')).toEqual([{ most: 1 }]);
    await central.end();
  }, 120_000);

  test('incident: hours of the backup were listed as gone: what the meters no longer have is listed, hour by hour, and all the rest equals the oracle', async () => {
    const it = await virtualHouse({ meters: { count: 1, depth_days: 1 } }, { days: 1 });
    const central = await headEnd([it], made);
    it.broker.connect();
    await central.run(3 * hourMs);
    await central.backUp();
    await central.run(60 * hourMs);
    const full = lastFullHour(it);
    // What the meter had lost before anybody asked is nobody's loss here.
    const never = await wrongHours(it, central.engine(), full);
    await central.restore();
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
    await central.end();
  }, 120_000);
});
