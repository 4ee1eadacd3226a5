/** Through a reload what goes on as it was keeps what is known of it; `status` names what a person must see. */
import { describe, expect, test } from 'vitest';
import { snapshotText } from '../../src/status/status-text.ts';
import { factsOf } from '../support/house-facts.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';
import { type GatewayKeys, lls } from '../support/configuration.ts';

const minute = 60_000;
const snapshotOf = (it: VirtualHouse) => it.clock.complete(it.house.snapshot());
const otherLevel = (it: VirtualHouse) => {
  it.configText = it.configText.replace('[mqtt]', '[log]\nlevel = "debug"\n[mqtt]');
};
/** The second of two meters does not answer at its address; the clock of the first one is 20 minutes ahead. */
async function oneSilent() {
  const seen = { writes: 0 };
  const it = await virtualHouse(
    { meters: { count: 2 }, meter: [{ index: 0, clock_offset_s: 1200 }] },
    {
      days: 1,
      meter: (index) => ({ ...lls, ...(index === 1 && { server: 9 }) }),
      port: (port) => ({
        ...port,
        write: (octets) => {
          seen.writes++;
          return port.write(octets);
        },
      }),
    },
  );
  it.broker.connect();
  await it.run(50 * minute);
  return { it, seen };
}

test('incident: after a reload a meter that failed was UNKNOWN and was asked at once, and the gateway was up for 0 s', async () => {
  const { it, seen } = await oneSilent();
  const before = await snapshotOf(it);
  const [, silent] = before.ports[0]?.meters ?? [];
  expect(silent?.verdict).not.toBe('UNKNOWN');
  expect(silent?.failures).toBeGreaterThan(2);
  const { writes } = seen;
  otherLevel(it);
  await it.reload();
  await it.run(1000);
  const after = await snapshotOf(it);
  expect(after.uptimeS).toBeGreaterThan(49 * 60);
  expect(after.ports[0]?.meters).toEqual(before.ports[0]?.meters);
  expect(after.ports[0]?.meters[0]?.clockDeviationS).toBeCloseTo(1200, 0);
  expect(after.ports[0]?.open).toBe(true);
  // The pause after a failure goes on.
  expect(seen.writes).toBe(writes);
  await it.house.stop();
});

test('sibling: a meter whose configuration changed begins anew, and only that one', async () => {
  const { it, seen } = await oneSilent();
  const { writes } = seen;
  it.configText = it.configText.replace('server = 9', 'server = 1');
  await it.reload();
  expect((await snapshotOf(it)).ports[0]?.meters.map(({ verdict }) => verdict)).toEqual(['REACHABLE', 'UNKNOWN']);
  await it.run(5 * minute);
  expect(seen.writes).toBeGreaterThan(writes);
  expect((await snapshotOf(it)).ports[0]?.meters[1]).toMatchObject({ verdict: 'REACHABLE', failures: 0 });
  await it.house.stop();
});

describe('a clock that is 20 minutes off has a verdict in status, with the next step', () => {
  test.each<[GatewayKeys, string]>([
    [{}, 'Write set_large_deviations = true'],
    [{ set_clocks: false }, 'Write set_clocks = true'],
    [{ clock_trust: 'kernel' }, 'does not know the time itself'],
  ])('%j', async (gateway, next) => {
    const it = await virtualHouse({ meters: { count: 1, clock_offset_s: 1200 } }, { days: 1, gateway, meter: lls });
    it.timeIsKnown = gateway.clock_trust === undefined;
    it.broker.connect();
    await it.run(5 * minute);
    const snapshot = await snapshotOf(it);
    expect(snapshot.ports[0]?.meters[0]).toMatchObject({
      verdict: 'REACHABLE',
      clockVerdict: 'CLOCK_ALARM',
      clockNextStep: expect.stringContaining(next) as string,
    });
    const text = snapshotText(snapshot, 1000).join('\n');
    expect(text).toContain('CLOCK_ALARM: the clock of the meter is 1200 s ahead');
    expect(text).toContain(`next: ${snapshot.ports[0]?.meters[0]?.clockNextStep}`);
    expect(text.includes('NOT TRUSTED')).toBe(!it.timeIsKnown);
    await it.house.stop();
  });
  test('sibling: further off than half a period, behind; and a right one has none', async () => {
    const it = await virtualHouse(
      { meters: { count: 2 }, meter: [{ index: 0, clock_offset_s: -2400 }] },
      { days: 1, gateway: { set_large_deviations: true }, meter: lls },
    );
    it.broker.connect();
    await it.run(5 * minute);
    const [slow, right] = (await snapshotOf(it)).ports[0]?.meters ?? [];
    expect(slow).toMatchObject({
      clockVerdict: 'CLOCK_ALARM',
      clockNextStep: expect.stringContaining('so far off') as string,
    });
    expect(right).toMatchObject({ clockVerdict: null, clockNextStep: null });
    await it.house.stop();
  });
});

test('a time that is only assumed says so', async () => {
  const it = await virtualHouse({ meters: { count: 1 } }, { days: 1, gateway: { clock_trust: 'assume' }, meter: lls });
  await it.run(minute);
  const text = snapshotText(await snapshotOf(it), 1000).join('\n');
  expect(text).toContain('taken for right without proof');
  await it.house.stop();
});

describe('a fault of the bus is one line, and JSON keeps each meter', () => {
  test('all are silent: told once, also through a reload', async () => {
    const it = await virtualHouse(
      { meters: { count: 3 }, fault: [{ kind: 'silence', from_s: 3000, to_s: 90_000 }] },
      { days: 1, meter: lls },
    );
    it.broker.connect();
    await it.run(150 * minute);
    otherLevel(it);
    await it.reload();
    await it.run(30 * minute);
    const snapshot = await snapshotOf(it);
    const [port] = snapshot.ports;
    expect(port?.meters.map(({ verdict }) => verdict)).toEqual(['BUS_FAULT', 'BUS_FAULT', 'BUS_FAULT']);
    expect(port?.busFault).toMatchObject({ fault: 'line', meters: ['m60120001', 'm60120002', 'm60120003'] });
    const lines = snapshotText(snapshot, 1000);
    expect(lines.filter((line) => line.includes('BUS_FAULT'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('next:'))).toHaveLength(1);
    expect(factsOf(it, 'event').flatMap(({ name }) => (name.startsWith('BUS') ? [name] : []))).toEqual(['BUS_FAULT']);
    await it.house.stop();
  });
  test('sibling: the port does not open; a meter that is not polled keeps its own line', async () => {
    const it = await virtualHouse(
      { meters: { count: 3 } },
      {
        days: 1,
        meter: (index) => (index === 0 ? { model: 'nobody-knows-it' } : lls),
        port: () => {
          throw new Error('the adapter is on fire');
        },
      },
    );
    await it.run(minute);
    const snapshot = await snapshotOf(it);
    expect(snapshot.ports[0]?.busFault?.why).toContain('on fire');
    const text = snapshotText(snapshot, 1000).join('\n');
    expect(text.match(/on fire/g)?.length).toBeLessThanOrEqual(2);
    expect(text).toMatch(/BUS_FAULT {2}all 2 meters/);
    expect(text).toMatch(/m60120001 .*CONFIG_FAULT/);
    await it.house.stop();
  });
});
