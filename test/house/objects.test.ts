/** The whole house, and meters that refuse an object on which a verdict hangs. */
import { expect, test } from 'vitest';
import { decodeApdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { eventsOf, factsOf, statusOf, hourMs } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const getRequest = 0xc0;
const [temporaryFailure, objectUndefined, readWriteDenied] = [2, 4, 3];
interface Refusals {
  /** data-access-result by `logical name:attribute`; changed while the house runs. */
  inLists: Record<string, number>;
  singly: Record<string, number>;
  /** What was asked for alone. */
  readonly asked: string[];
}
/** Lets the only meter of the house refuse attributes, in lists, alone, or both. */
function refusing(it: VirtualHouse, inLists: Record<string, number>, singly: Record<string, number> = {}): Refusals {
  const refusals: Refusals = { inLists, singly, asked: [] };
  const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
  meter?.quirks.push({
    answer: (answer: Uint8Array, request: Uint8Array): Uint8Array => {
      if (request[0] !== getRequest) return answer;
      const { apdu } = decodeApdu(request);
      if (apdu.kind === 'get-request-normal') {
        const key = `${apdu.attribute.logicalName}:${apdu.attribute.attribute}`;
        refusals.asked.push(key);
        const refused = refusals.singly[key];
        return refused === undefined
          ? answer
          : encodeApdu({ kind: 'get-response-normal', invokeId: apdu.invokeId, result: { refused } });
      }
      const response = decodeApdu(answer).apdu;
      if (apdu.kind !== 'get-request-with-list' || response.kind !== 'get-response-with-list') return answer;
      const results = response.results.map((result, i) => {
        const { logicalName, attribute } = apdu.attributes[i] ?? { logicalName: '', attribute: 0 };
        const refused = refusals.inLists[`${logicalName}:${attribute}`];
        return refused === undefined ? result : { refused };
      });
      return encodeApdu({ ...response, results });
    },
  });
  return refusals;
}
const clock = '0.0.1.0.0.255:2';
const serial = '0.0.96.1.0.255:2';
const deviceName = '0.0.42.0.0.255:2';
const [output, control, mode] = [2, 3, 4].map((id) => `0.0.96.3.10.255:${id}`) as [string, string, string];
const period = '1.0.99.1.0.255:4';

async function houseOf(): Promise<VirtualHouse> {
  const it = await virtualHouse({ meters: { count: 1 } }, { days: 1 });
  it.broker.connect();
  return it;
}
const alarms = async (it: VirtualHouse) => (await statusOf(it)).alarms.join('\n');

test('a clock that is refused in a list is asked for alone, and nothing is amiss', async () => {
  const it = await houseOf();
  const { asked } = refusing(it, { [clock]: temporaryFailure });
  await it.run(10 * minute);
  expect(asked.filter((key) => key === clock).length).toBeGreaterThan(0);
  expect((await statusOf(it)).clockDeviationS).not.toBeNull();
  expect(eventsOf(it, 'CLOCK_UNREADABLE')).toEqual([]);
  await it.house.stop();
});

test('incident: a clock that could not be read was silence for hours; it is told once a day, until it is read', async () => {
  const it = await houseOf();
  const refusals = refusing(it, { [clock]: temporaryFailure }, { [clock]: temporaryFailure });
  await it.run(5 * hourMs);
  expect(eventsOf(it, 'CLOCK_UNREADABLE').map(({ detail }) => detail)).toEqual([{ why: 'refused: temporary-failure' }]);
  expect(await alarms(it)).toContain('CLOCK_UNREADABLE: refused: temporary-failure');
  // Its rows are read all the same.
  expect(factsOf(it, 'profile').length).toBeGreaterThan(0);
  await it.run(21 * hourMs);
  expect(eventsOf(it, 'CLOCK_UNREADABLE')).toHaveLength(2);
  refusals.inLists = {};
  await it.run(2 * hourMs);
  expect(await alarms(it)).not.toContain('CLOCK_UNREADABLE');
  await it.house.stop();
});

test('sibling: a switch that was open and cannot be read now is not on again', async () => {
  const it = await houseOf();
  await it.run(10 * minute);
  it.simulated.meters[0]?.pressButton(it.clock.now());
  await it.run(2 * hourMs);
  expect((await statusOf(it)).verdict).toBe('SUPPLY_OFF_BY_METER_SWITCH');
  const all = { [output]: temporaryFailure, [control]: temporaryFailure, [mode]: temporaryFailure };
  const refusals = refusing(it, all, all);
  await it.run(3 * hourMs);
  expect((await statusOf(it)).verdict).toBe('SUPPLY_OFF_BY_METER_SWITCH');
  expect(eventsOf(it, 'DISCONNECTOR_UNREADABLE').map(({ detail }) => detail)).toEqual([
    { why: 'refused: temporary-failure' },
  ]);
  expect(await alarms(it)).toContain("whether the meter's own switch is open is not known");
  refusals.inLists = {};
  await it.run(2 * hourMs);
  expect(await alarms(it)).not.toContain('DISCONNECTOR_UNREADABLE');
  await it.house.stop();
});

test('a meter without a switch is no alarm, and is not asked for one again', async () => {
  const it = await houseOf();
  const all = { [output]: objectUndefined, [control]: objectUndefined, [mode]: objectUndefined };
  const { asked } = refusing(it, all, all);
  await it.run(5 * hourMs);
  expect(asked.filter((key) => key === output)).toEqual([]);
  expect(await alarms(it)).toBe('');
  await it.house.stop();
});

test('sibling: one name that is refused is said; without either nobody says that it is another meter', async () => {
  const it = await houseOf();
  const refusals = refusing(it, { [serial]: readWriteDenied }, { [serial]: readWriteDenied });
  await it.run(2 * hourMs);
  expect(eventsOf(it, 'OBJECT_UNREADABLE').map(({ detail }) => detail)).toEqual([
    { object: 'serial number', why: 'refused: read-write-denied' },
  ]);
  expect((await statusOf(it)).verdict).toBe('REACHABLE');
  const both = { [serial]: temporaryFailure, [deviceName]: temporaryFailure };
  refusals.inLists = both;
  refusals.singly = both;
  await it.run(2 * hourMs);
  const meter = await statusOf(it);
  expect(meter.lastError).toContain('which meter it is could not be read: serial number refused: temporary-failure');
  expect(meter.verdict).not.toBe('IDENTITY_MISMATCH');
  expect(eventsOf(it, 'IDENTITY_MISMATCH')).toEqual([]);
  await it.house.stop();
});

test('sibling: a capture period that is refused is no period of 0, and one that is given alone is read', async () => {
  const it = await houseOf();
  const refusals = refusing(it, { [period]: temporaryFailure });
  await it.run(10 * minute);
  expect((await statusOf(it)).lastError).toBeNull();
  expect(factsOf(it, 'profile').length).toBeGreaterThan(0);
  await it.house.stop();
  const other = await houseOf();
  refusing(other, { [period]: temporaryFailure }, { [period]: temporaryFailure });
  await other.run(2 * hourMs);
  expect((await statusOf(other)).lastError).toContain('capture period of 1-0:99.1.0*255: refused: temporary-failure');
  expect(factsOf(other, 'profile')).toEqual([]);
  expect(refusals.asked.length).toBeGreaterThan(0);
  await other.house.stop();
});
