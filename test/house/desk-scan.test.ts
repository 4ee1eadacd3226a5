/** A scan through the desk: the meters of the line are polled in between, one scans a line at a time, whoever leaves ends it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Failure } from '../../src/base/errors.ts';
import type { ScanEvent } from '../../src/commission/scan.ts';
import type { Config } from '../../src/config/schema.ts';
import { deskScans } from '../../src/main/desk-scan.ts';
import { heldJournal, listOf, ofKind } from '../support/scan-world.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const hour = 60 * minute;
const folder = mkdtempSync(join(tmpdir(), 'desk-scan-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const config = {
  gateway: { state_directory: folder },
  port: [{ name: 'bus', device: '/dev/virtual', baud: 9600, link: 'hdlc', mode_e: false }],
} as unknown as Config;

function desk(it: VirtualHouse) {
  const usesMs: number[] = [];
  const scans = deskScans({
    clock: it.clock,
    config: () => config,
    journal: heldJournal(it.clock),
    house: () => ({
      lend: (port, work) =>
        it.house.lend(port, async (line) => {
          const begun = it.clock.now();
          try {
            return await work(line);
          } finally {
            usesMs.push(it.clock.now() - begun);
          }
        }),
    }),
  });
  return { scans, usesMs };
}
const signal = new AbortController().signal;
async function taken(events: AsyncIterable<ScanEvent>, enough: (all: readonly ScanEvent[]) => boolean = () => false) {
  const all: ScanEvent[] = [];
  for await (const event of events) {
    all.push(event);
    if (enough(all)) break;
  }
  return all;
}
const serials = Array.from({ length: 31 }, (_, i) => 60120001 + i);
const wish = { port: 'bus', entries: listOf(...serials), blind: false, fresh: false };

test('31 meters are found while 25 of them are polled: no hourly row is late or wrong, and each use is short', async () => {
  const it = await virtualHouse({ meters: { count: 31, device_name: 'SIM100{serial}' } }, { days: 1, configured: 25 });
  it.broker.connect();
  await it.run(35 * minute);
  const { scans, usesMs } = desk(it);
  // All of them are polled at the hour, in the midst of it.
  await it.run(4 * minute + 58_000);
  const begun = it.clock.now();
  const events = await it.clock.complete(taken(scans({ ...wish, blind: true }, signal)));
  console.log(`blind, while 25 of 31 meters are polled: ${Math.round((it.clock.now() - begun) / 1000)} s`);
  expect(ofKind(events, 'finding').map(({ verdict }) => verdict)).toEqual(Array(31).fill('found'));
  expect(Math.max(...usesMs)).toBeLessThan(15_000);
  const compared = (graceMs: number) =>
    [...it.compare(graceMs).values()]
      .slice(0, 25)
      .map(({ expected, right, wrong }) => [expected - right, wrong.length]);
  // The rows of the hour are there a minute after the scan.
  await it.run(minute);
  const right = Array.from({ length: 25 }, () => [0, 0]);
  expect(compared(0)).toEqual(right);
  await it.run(2 * hour);
  expect(compared(20 * minute)).toEqual(right);
  await it.clock.complete(it.house.stop());
});
test('incident: a scan stood still for ten minutes after a reload: it goes on over the house that takes the place', async () => {
  const it = await virtualHouse({ meters: { count: 8 } }, { days: 1 });
  it.broker.connect();
  await it.run(hour);
  const { scans } = desk(it);
  const begun = it.clock.now();
  const events = taken(scans({ ...wish, entries: listOf(...serials.slice(0, 8)), fresh: true }, signal));
  await it.run(1500);
  await it.reload();
  const all = await it.clock.complete(events);
  expect(ofKind(all, 'end')).toMatchObject([{ probes: 8 }]);
  expect(it.clock.now() - begun).toBeLessThan(minute);
  await it.clock.complete(it.house.stop());
});
test('a second scan of the line is refused while one is under way; whoever leaves ends it, and the next goes on', async () => {
  const it = await virtualHouse({ meters: { count: 4 } }, { days: 1 });
  it.broker.connect();
  await it.run(hour);
  const { scans } = desk(it);
  const list = { ...wish, entries: listOf(...serials.slice(0, 4)), fresh: true };
  let second: unknown;
  const left = await it.clock.complete(
    (async () => {
      const first = scans(list, signal);
      await first.next();
      second = await taken(scans(list, signal)).catch((error: unknown) => (error as Failure).code);
      return taken(first, (all) => ofKind(all, 'probe').length === 2);
    })(),
  );
  expect(second).toBe('busy');
  expect(ofKind(left, 'end')).toEqual([]);
  const events = await it.clock.complete(taken(scans({ ...list, fresh: false }, signal)));
  expect(ofKind(events, 'plan')[0]?.resumed).toBeGreaterThanOrEqual(2);
  expect(ofKind(events, 'end')).toMatchObject([{ probes: 4 }]);
  const unknown = await taken(scans({ ...list, port: 'none' }, signal)).catch(
    (error: unknown) => (error as Failure).code,
  );
  expect(unknown).toBe('unknown-port');
  await it.clock.complete(it.house.stop());
});
