/** The whole house on a line where somebody speaks who should not, or far too slowly (93), and its event logs (95). */
import { describe, expect, test } from 'vitest';
import { factsOf, statusOf, hourMs } from '../support/house-facts.ts';
import { meterWorld } from '../support/meter-world.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const complete = (it: VirtualHouse, meter: number) => {
  const one = it.compare(10 * minute).get(meter);
  expect(one?.wrong).toEqual([]);
  expect(one?.right).toBe(one?.expected);
  expect(one?.expected).toBeGreaterThan(20);
};

describe('93: octets that come for ever', () => {
  test('an octet a second: not the mains, and its neighbour is read', async () => {
    const it = await virtualHouse(
      { meters: { count: 2 }, meter: [{ index: 0, quirks: ['octet-a-second'] }] },
      { days: 1 },
    );
    it.broker.connect();
    await it.run(1.5 * hourMs);
    complete(it, 1);
    const shown = await statusOf(it);
    expect([shown.verdict, shown.lastCode]).toEqual(['LINE_QUALITY', 'damaged-answer']);
    // It may be in the midst of such an answer.
    await it.clock.complete(it.house.stop());
  });
  const head = { days: 1, line: { mode_e: true } } as const;
  test('a stray octet every 0.7 s on an optical head: every row is there', async () => {
    const it = await virtualHouse(
      { meters: { count: 1, mode_e: true }, fault: [{ kind: 'stray', every_s: 0.7 }] },
      head,
    );
    it.broker.connect();
    await it.run(hourMs);
    complete(it, 0);
    expect((await statusOf(it)).verdict).toMatch(/REACHABLE|LINE_QUALITY/);
    await it.house.stop();
  });
  test('the same where no meter is under it: not the mains, and it says what came', async () => {
    const it = await virtualHouse(
      { meters: { count: 1, mode_e: true, quirks: ['dead'] }, fault: [{ kind: 'stray', every_s: 0.7 }] },
      head,
    );
    it.broker.connect();
    await it.run(hourMs / 3);
    const shown = await statusOf(it);
    expect(shown.verdict).toBe('LINE_QUALITY');
    // Most of what comes has no even parity.
    expect(['sign-on-malformed', 'damaged-answer']).toContain(shown.lastCode);
    await it.house.stop();
  });
});

describe('95: event logs', () => {
  const cut = {
    fault: [{ kind: 'power-cut' as const, meter: 0, from_s: -5 * 3600, to_s: -4 * 3600 }],
  } satisfies ScenarioInput;
  test('a log that is not selected by range: read by number, each entry told once', async () => {
    const it = await virtualHouse({ meters: { count: 1, quirks: ['log-without-range'] }, ...cut }, { days: 1 });
    it.broker.connect();
    await it.run(4 * hourMs);
    const power = factsOf(it, 'event').filter(({ source, code }) => source === 'meter' && (code === 1 || code === 2));
    expect(power.map(({ code }) => code)).toEqual([1, 2]);
    complete(it, 0);
    await it.house.stop();
  });
  test('50 000 equal entries: some at each poll, each of them once, and the rows are there', async () => {
    const it = await virtualHouse(
      { bus: { baud: 0 }, meters: { count: 1, quirks: ['log-of-equals'] }, ...cut },
      { days: 1 },
    );
    it.broker.connect();
    await it.run(6 * hourMs);
    const entries = factsOf(it, 'event').filter(({ source, code }) => source === 'meter' && code === 3);
    expect(entries.length).toBeGreaterThan(2000);
    expect(new Set(entries.map(({ occurrence }) => occurrence)).size).toBe(entries.length);
    complete(it, 0);
    await it.house.stop();
  });
});

test('incident: an answer as long as what we offer to take was refused by our own link as too long', async () => {
  // The model offers 65 535 octets; the meter takes all of them, in segments behind an LLC header.
  const { clock, session } = meterWorld({ bus: { baud: 0 }, meters: { quirks: ['log-of-equals'] } });
  let octets = 0;
  await clock.complete(
    (async () => {
      await session.connect();
      const log = { classId: 7, logicalName: '0.0.99.98.0.255', attribute: 2 } as const;
      await session.stream(log, (part) => void (octets += part.length));
      await session.close();
    })(),
  );
  // Each entry is a structure of a stamp and a code.
  expect(octets).toBe(4 + 50_000 * (2 + 14 + 2));
});
