/** What leaves the house says one thing in one spelling. */
import { expect, test } from 'vitest';
import { birthPayload } from '../../src/contract/payloads.ts';
import { parsePayload } from '../../src/contract/parse.ts';
import { snapshotText } from '../../src/status/status-text.ts';
import { eventsOf, factsOf, statusOf } from '../support/house-facts.ts';
import { requireIdentity } from '../../src/meter/identity.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const hour = 60 * minute;

test('incident: the birth spelled a series 1.0.99.1.0.255 and its rows 1-0:99.1.0*255; both spell it as the rows do', async () => {
  const it = await virtualHouse({ meters: { count: 1 } }, { days: 1 });
  it.broker.connect();
  await it.run(10 * minute);
  const [birth] = it.broker.published.filter(({ topic }) => topic.endsWith('/birth'));
  const payload = parsePayload(birthPayload, Buffer.from(birth?.payload ?? ''));
  const born = 'meters' in payload ? payload.meters.flatMap(({ series }) => series.map(({ profile }) => profile)) : [];
  const rows = factsOf(it, 'profile').map(({ series }) => series);
  expect(new Set(born)).toEqual(new Set(rows));
  expect(born).toEqual(['1-0:99.1.0*255']);
  const gaps = (await it.house.gaps()).map(({ series }) => series);
  for (const one of gaps) expect(born).toContain(one);
  await it.house.stop();
});

const silent = {
  clockDeviationMs: undefined,
  changes: undefined,
  disconnector: undefined,
  clockDoubt: null,
  unreadable: [],
};
const words =
  'meter 60120001 (logical device name SIM0000060120001) answers at server address 1/1001 where 60129999 is configured';
const who = {
  expected: '60129999',
  answeredSerial: '60120001',
  answeredName: 'SIM0000060120001',
  address: '1/1001',
};
/** The meter has been read for a while, and then another one is configured. */
async function another(scenario: ScenarioInput = {}): Promise<VirtualHouse> {
  const it = await virtualHouse({ meters: { count: 1 }, ...scenario }, { days: 1 });
  it.broker.connect();
  await it.run(10 * minute);
  await it.clock.complete(it.house.stop());
  it.configText = it.configText.replace('serial = "60120001"', 'serial = "60129999"');
  await it.restart();
  it.broker.connect();
  return it;
}
/** What was told, each once: what is not acknowledged in one life is sent again in the next. */
const mismatches = (it: VirtualHouse) => [
  ...new Map(eventsOf(it, 'IDENTITY_MISMATCH').map(({ seq, detail }) => [seq, detail])).values(),
];

test('incident: IDENTITY_MISMATCH did not say who answered; event and status tell serial, name and address, and who was expected', async () => {
  const it = await another();
  await it.run(2 * hour);
  expect(await statusOf(it)).toMatchObject({ verdict: 'IDENTITY_MISMATCH', lastError: words });
  expect(snapshotText(await it.house.snapshot(), 300).join('\n')).toContain(words);
  expect(mismatches(it)).toEqual([expect.objectContaining({ state: 'FAULT', evidence: 'identity-mismatch', ...who })]);
  // A third one is another story, which is told as well.
  const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
  const third = (answer: Uint8Array) =>
    Buffer.from(Buffer.from(answer).toString('latin1').replaceAll('60120001', '60125555'), 'latin1');
  meter?.quirks.push({ answer: (answer: Uint8Array): Uint8Array => third(answer) });
  await it.run(6 * hour);
  expect(mismatches(it)).toEqual([
    expect.objectContaining(who),
    expect.objectContaining({ ...who, answeredSerial: '60125555', answeredName: 'SIM0000060125555' }),
  ]);
  await it.house.stop();
});

test('sibling: one that tells only its name, and one whose serial number is blank', () => {
  const identity = { ...silent, logicalDeviceName: 'SIM0000060120001', serial: '  ' };
  expect(() => requireIdentity(identity, '60129999')).toThrow(
    'meter that tells no serial number (logical device name SIM0000060120001) answers where 60129999 is configured',
  );
});

test('incident: on a line that was damaged once another meter was asked 16 times a minute; a refusal is no damage', async () => {
  const it = await another({ fault: [{ kind: 'flip', rate: 0.003, from_s: 2300, to_s: 3600 }] });
  await it.run(6 * hour);
  const { failures, verdict } = await statusOf(it);
  expect(verdict).toBe('IDENTITY_MISMATCH');
  expect(failures).toBeLessThan(30);
  await it.house.stop();
});

test('incident: CLOCK_ALARM and CLOCK_SET left a sign to be guessed; they tell it in words beside the number', async () => {
  const it = await virtualHouse(
    {
      meters: { count: 2 },
      meter: [
        { index: 0, clock_offset_s: 1200 },
        { index: 1, clock_offset_s: -12 },
      ],
    },
    { days: 1 },
  );
  it.broker.connect();
  await it.run(2 * hour);
  expect(eventsOf(it, 'CLOCK_ALARM').map(({ detail }) => detail?.['clock'])).toContain('1200 s ahead');
  expect(eventsOf(it, 'CLOCK_SET')[0]?.detail).toMatchObject({ was: '12 s behind', is: 'right' });
  await it.house.stop();
});

test('incident: SUPPLY_OFF_BY_METER_SWITCH told controlState 2; the state has a name beside it', async () => {
  const it = await virtualHouse({ meters: { count: 1 } }, { days: 1 });
  it.broker.connect();
  await it.run(10 * minute);
  it.simulated.meters[0]?.pressButton(it.clock.now());
  await it.run(2 * hour);
  expect(eventsOf(it, 'SUPPLY_OFF_BY_METER_SWITCH')[0]?.detail).toMatchObject({
    controlState: 2,
    control: 'ready for reconnection',
  });
  await it.house.stop();
});
