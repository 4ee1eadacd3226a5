/** Incident: a meter whose rows had no usable stamp was REACHABLE with 0 read, 0 missing and no alarm. */
import { describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets } from '../../src/dlms/cosem/date-time.ts';
import { snapshotText } from '../../src/status/status-text.ts';
import { eventsOf } from '../support/house-facts.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const seen = async (it: VirtualHouse) => {
  const snapshot = await it.house.snapshot();
  const [meter] = snapshot.ports[0]?.meters ?? [];
  return { meter, text: snapshotText(snapshot).join('\n') };
};
/** What is made of a buffer on its way out; undefined as the meter has it. */
function tampered(it: VirtualHouse, change: (stamp: Data, cells: readonly Data[]) => readonly Data[]) {
  const state = { on: true };
  const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
  meter?.quirks.push({
    buffer: (buffer: Data): Data =>
      state.on && buffer.type === 'array'
        ? {
            ...buffer,
            value: buffer.value.map((row) =>
              row.type === 'structure' ? { ...row, value: change(row.value[0] as Data, row.value.slice(1)) } : row,
            ),
          }
        : buffer,
  });
  return state;
}
const octets = (value: Uint8Array): Data => ({ type: 'octet-string', value });

describe('rows without a usable stamp', () => {
  test('the deviation left open, and no word in the model: event with a count, alarm in status', async () => {
    const it = await virtualHouse({ meters: { quirks: ['deviation-unspecified'] } }, { days: 1 });
    it.broker.connect();
    await it.run(10 * minute);
    const [event] = eventsOf(it, 'ROWS_WITHOUT_STAMP');
    expect(event?.detail).toMatchObject({ series: '1-0:99.1.0*255', ofTheFuture: 0, ofThePast: 0 });
    expect(event?.detail?.['withoutStamp']).toBe(event?.detail?.['rows']);
    expect(event?.detail?.['rows']).toBeGreaterThan(1);
    expect(event?.detail?.['sample']).toMatch(/^07ea0b.{12}8000/);
    const { meter, text } = await seen(it);
    expect(meter?.alarms[0]).toMatch(
      /^ROWS_WITHOUT_STAMP: 1-0:99\.1\.0\*255 sent \d+ rows, \d+ without a usable stamp/,
    );
    expect(text).toContain('ROWS_WITHOUT_STAMP');
    await it.run(3 * 60 * minute);
    expect(eventsOf(it, 'ROWS_WITHOUT_STAMP')).toHaveLength(1);
    await it.run(24 * 60 * minute);
    expect(eventsOf(it, 'ROWS_WITHOUT_STAMP')).toHaveLength(2);
  });
  test('stamps of FF, then a clock that is right again: the alarm ends', async () => {
    const it = await virtualHouse({}, { days: 1 });
    const state = tampered(it, (_, cells) => [octets(new Uint8Array(12).fill(0xff)), ...cells]);
    it.broker.connect();
    await it.run(10 * minute);
    expect((await seen(it)).meter?.alarms).toHaveLength(1);
    state.on = false;
    await it.run(90 * minute);
    expect((await seen(it)).meter?.alarms).toEqual([]);
    expect(eventsOf(it, 'ROWS_WITHOUT_STAMP')).toHaveLength(1);
  });
  test.each([
    ['of the future', 'ofTheFuture', Date.UTC(2099, 0, 1)],
    ['of long ago', 'ofThePast', Date.UTC(2000, 0, 1)],
  ])('all rows %s', async (words, field, at) => {
    const it = await virtualHouse({}, { days: 1 });
    tampered(it, (_, cells) => [octets(dateTimeOctets(millis(at))), ...cells]);
    it.broker.connect();
    await it.run(10 * minute);
    const [event] = eventsOf(it, 'ROWS_WITHOUT_STAMP');
    expect(event?.detail?.[field]).toBe(event?.detail?.['rows']);
    expect((await seen(it)).meter?.alarms[0]).toContain(words);
  });
});

describe('profiles whose rows can have none', () => {
  test('a profile without a clock column: nothing is told as missing, the alarm names it', async () => {
    const it = await virtualHouse({}, { days: 1 });
    const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
    // The clock's place in the list of capture objects is a data object's: class 1 instead of 8.
    meter?.quirks.push({
      answer: (answer: Uint8Array) => {
        const text = Buffer.from(answer).toString('hex').replace('12000809060000010000ff', '12000109060000600101ff');
        return Buffer.from(text, 'hex');
      },
    });
    it.broker.connect();
    await it.run(10 * minute);
    expect(eventsOf(it, 'PROFILE_WITHOUT_CLOCK')).toHaveLength(1);
    expect(it.ingest.gaps).toEqual([]);
    const { meter: shown } = await seen(it);
    expect(shown?.alarms[0]).toMatch(/^PROFILE_WITHOUT_CLOCK: 1-0:99\.1\.0\*255 captures no clock/);
    expect(shown?.intervalsMissing).toBeGreaterThan(20);
  });
  test('capture period 0: an error of its own words', async () => {
    const it = await virtualHouse({}, { days: 1 });
    const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
    meter?.quirks.push({
      answer: (answer: Uint8Array) =>
        Buffer.from(Buffer.from(answer).toString('hex').replace('0600000e10', '0600000000'), 'hex'),
    });
    it.broker.connect();
    await it.run(10 * minute);
    const { meter: shown, text } = await seen(it);
    expect(shown?.lastError).toContain('at no period (capture_period 0)');
    // Status says code and fault, and the next step on a line of its own.
    expect(text).toMatch(/^ +period-mismatch \(operator\), 6 times in a row: .*(\n +.*)*\n +next: Set period_s/m);
  });
});

test('a good meter has no such alarm', async () => {
  const it = await virtualHouse({ meters: { quirks: ['lifo'] } }, { days: 1 });
  it.broker.connect();
  await it.run(10 * minute);
  expect((await seen(it)).meter?.alarms).toEqual([]);
  expect(eventsOf(it, 'ROWS_WITHOUT_STAMP')).toEqual([]);
});
