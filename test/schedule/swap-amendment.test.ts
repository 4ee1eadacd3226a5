/** Incident: a change of the meter that was told wrongly stayed wrong: the series went across it once, and for ever. */
import { expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { valueKey } from '../support/memory-central.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { eventsOf, factsOf } from '../support/house-facts.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const started = Date.UTC(2026, 10, 24, 12, 20);
const at = (hour: number, min = 0) => millis(Date.UTC(2026, 10, 24, hour, min));
const swaps = (it: VirtualHouse) => eventsOf(it, 'SWAP').map(({ detail }) => detail);
const value = (it: VirtualHouse, hour: number) =>
  it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', at(hour)));

/** At 14:37 the old meter is taken down, at 14:52 the new one hangs there. Told at first as `first` says it. */
async function swapped(first: (old: VirtualMeter, fresh: VirtualMeter) => string, freshFromS = 900) {
  const seconds = (at(14, 37) - started) / 1000;
  const it = await virtualHouse(
    {
      meters: { count: 2, history_days: 30 },
      meter: [{ index: 1, physical: 1001 }],
      fault: [
        { kind: 'power-cut', meter: 0, from_s: seconds, to_s: 90 * 86_400 },
        { kind: 'power-cut', meter: 1, from_s: -40 * 86_400, to_s: seconds + freshFromS },
      ],
    },
    { days: 1, configured: 1 },
  );
  it.broker.connect();
  await it.run(3 * 60 * minute);
  const [old, fresh] = it.simulated.meters as [VirtualMeter, VirtualMeter];
  const tell = async (swap: string) => {
    await it.clock.complete(it.house.stop());
    it.configText = it.configText
      .replace(/^swap = .*\n/m, '')
      .replace(/serial = "6012000."/, `serial = "60120002"\n${swap}`);
    await it.restart();
    it.broker.connect();
    await it.run(4 * 60 * minute);
  };
  await tell(`${first(old, fresh)}\n`);
  const registers = (final: number, begin: number, instant = '2026-11-24T14:52:00Z') =>
    `swap = { from = "60120001", at = "${instant}", final = { "1-0:1.8.0*255" = ${final} }, first = { "1-0:1.8.0*255" = ${begin} } }\n`;
  return { it, old, fresh, tell, registers };
}

test('wrong registers, then the right ones: the interval across the change is said again, and nothing else', async () => {
  const plain = (final: number, first: number) =>
    `swap = { from = "60120001", at = "2026-11-24T14:52:00Z", final = { "1-0:1.8.0*255" = ${final} }, first = { "1-0:1.8.0*255" = ${first} } }`;
  const { it, old, fresh, tell, registers } = await swapped((before, after) =>
    plain(before.registers(at(14, 37))[0] + 500, after.registers(at(14, 52))[0]),
  );
  const [final, first] = [old.registers(at(14, 37))[0], fresh.registers(at(14, 52))[0]];
  const right = final - old.registers(at(14))[0] + fresh.registers(at(15))[0] - first;
  expect(Number(value(it, 14)?.energy)).toBe(right + 500);
  const messages = () => factsOf(it, 'profile').length;
  const before = messages();
  const hours = [13, 15].map((hour) => value(it, hour));
  await tell(registers(final, first));
  expect(Number(value(it, 14)?.energy)).toBe(right);
  expect([13, 15].map((hour) => value(it, hour))).toEqual(hours);
  const published = factsOf(it, 'profile');
  const again = published.filter((fact) => fact.kind === 'profile' && fact.start === '2026-11-24T14:00:00Z');
  expect(again.map((fact) => fact.kind === 'profile' && [fact.rev, fact.reason])).toEqual([
    [[0], undefined],
    [[1], ['CHANGED']],
  ]);
  expect(messages() - before).toBeGreaterThan(0);
  expect(swaps(it).map((detail) => detail?.['amends'] ?? null)).toEqual([null, '2026-11-24T14:52:00Z']);
  // The same word once more is no amendment.
  await tell(registers(final, first));
  expect(swaps(it)).toHaveLength(2);
  expect(it.ingest.conflicts).toEqual([]);
});

test('told too early: what the new meter counted before it hung there is taken back', async () => {
  // The new one ran in the workshop for three hours before.
  const { it, tell } = await swapped(
    () => 'swap = { from = "60120001", at = "2026-11-24T12:52:00Z", final = {}, first = {} }',
    -3 * 3600,
  );
  const lost = (start: string) =>
    it.ingest.gaps.some((gap) => gap.kind === 'gap' && gap.cause === 'LOST' && gap.start <= start && gap.end > start);
  const before = swaps(it).length;
  await tell('swap = { from = "60120001", at = "2026-11-24T14:52:00Z", final = {}, first = {} }\n');
  expect(swaps(it)).toHaveLength(before + 1);
  expect(swaps(it).at(-1)).toMatchObject({ at: '2026-11-24T14:52:00Z', amends: '2026-11-24T12:52:00Z' });
  expect(lost('2026-11-24T13:00:00Z')).toBe(true);
  expect(it.ingest.conflicts).toEqual([]);
});

test('incident: a change that is still to come took every row of the new meter away; it counts when its time has come', async () => {
  const { it } = await swapped(
    () => 'swap = { from = "60120001", at = "2026-11-24T20:00:00Z", final = {}, first = {} }',
  );
  expect(swaps(it)).toMatchObject([{ at: null }]);
  expect(value(it, 15)).toMatchObject({ energy: expect.any(Number) });
  await it.run(3 * 60 * minute);
  expect(swaps(it).at(-1)).toMatchObject({ at: '2026-11-24T20:00:00Z' });
  expect(it.ingest.conflicts).toEqual([]);
});
