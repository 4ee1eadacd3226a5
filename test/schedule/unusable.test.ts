/** A meter whose configuration does not hold: it is shown and told, and the others go on. */
import { expect, test } from 'vitest';
import { eventsOf, factsOf } from '../support/house-facts.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { lls } from '../support/configuration.ts';

const minute = 60_000;
test('incident: one meter that could not be resolved kept the other ones from being read', async () => {
  const it = await virtualHouse(
    { meters: { count: 3 } },
    {
      days: 1,
      meter: (index) => ({ ...(index === 1 && { model: 'nobody-knows-it' }), ...lls }),
    },
  );
  it.broker.connect();
  await it.run(60 * minute);
  const [good, bad, other] = (await it.house.snapshot()).ports[0]?.meters ?? [];
  expect([good?.verdict, bad?.verdict, other?.verdict]).toEqual(['REACHABLE', 'CONFIG_FAULT', 'REACHABLE']);
  expect(bad?.lastError).toContain("no model 'nobody-knows-it'");
  // The step that config check tells, not the one of the code.
  expect(bad?.nextStep).toMatch(/^Write one of auto, .*config check/);
  // What it does not deliver is not forgotten.
  expect(bad?.intervalsMissing).toBeGreaterThan(24);
  const faults = eventsOf(it, 'CONFIG_FAULT');
  expect(faults.map(({ meter }) => meter)).toEqual([bad?.meter]);
  expect(faults[0]?.detail).toMatchObject({ state: 'FAULT', evidence: 'config-invalid' });
  await expect(it.house.readNow(bad?.meter as string)).rejects.toThrow('no model');
  for (const [index, { wrong, expected, right }] of it.compare(120_000)) {
    expect(wrong).toEqual([]);
    expect(right).toBe(index === 1 ? 0 : expected);
  }
  await it.house.stop();
});

test('a meter that nobody asks says nothing of the bus: the other two silent are a bus fault, their return its end', async () => {
  const it = await virtualHouse(
    { meters: { count: 3 }, fault: [{ kind: 'silence', from_s: 3000, to_s: 12_000 }] },
    {
      days: 1,
      meter: (index) => (index === 0 ? { model: 'nobody-knows-it' } : lls),
    },
  );
  it.broker.connect();
  await it.run(150 * minute);
  const verdicts = (await it.house.snapshot()).ports[0]?.meters.map(({ verdict }) => verdict);
  expect(verdicts).toEqual(['CONFIG_FAULT', 'BUS_FAULT', 'BUS_FAULT']);
  await it.run(120 * minute);
  const events = factsOf(it, 'event').map(({ meter, name }) => [meter, name]);
  expect(events).toEqual([
    ['m60120001', 'CONFIG_FAULT'],
    ['_', 'BUS_FAULT'],
    ['_', 'BUS_ANSWERS'],
  ]);
  await it.house.stop();
});
