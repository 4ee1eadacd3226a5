/** One port's trouble never ends the others: a stuck port is closed and said, and the watchdog is fed. */
import { describe, expect, test } from 'vitest';
import { cutFrame } from '../../src/dlms/hdlc/frame.ts';
import { Failure } from '../../src/base/errors.ts';
import { later, millis } from '../../src/base/time.ts';
import { PortOwner } from '../../src/line/port-owner.ts';
import type { Port } from '../../src/line/port.ts';
import { trickling } from '../support/slow-port.ts';
import { eventsOf } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const minute = 60_000;
const never = <T>() => new Promise<T>(() => {});
const complete = (it: VirtualHouse, meter: number) => {
  const one = it.compare(2 * minute).get(meter);
  expect(one?.wrong).toEqual([]);
  expect(one?.right, `meter ${meter}`).toBe(one?.expected);
};
/** Runs and asks the watchdog's question as often as it is asked. */
async function runWatched(it: VirtualHouse, ms: number): Promise<string[]> {
  const stuck: string[] = [];
  for (let at = 0; at < ms; at += 10_000) {
    await it.run(10_000);
    const why = await it.clock.complete(it.house.stuck());
    if (why !== undefined) stuck.push(why);
  }
  return stuck;
}

describe('incident: one port that hung ended all of them by the watchdog', () => {
  for (const [what, hang] of [
    ['a read that forgets its deadline', (port: Port): Port => ({ ...port, read: () => never() })],
    ['a write that never calls back (serialport)', (port: Port): Port => ({ ...port, write: () => never() })],
    ['a change of speed that never calls back', (port: Port): Port => ({ ...port, setBaud: () => never() })],
    [
      'a close that never calls back, and a write besides',
      (port: Port): Port => ({ ...port, write: () => never(), close: () => never() }),
    ],
  ] as const)
    test(what, async () => {
      let opened = 0;
      const it = await virtualHouse(
        { meters: { count: 1 } },
        { buses: 2, port: (port, _clock, bus) => (bus === 0 && opened++ === 0 ? hang(port) : port) },
      );
      it.broker.connect();
      const stuck = await runWatched(it, 25 * minute);
      expect(stuck).toEqual([]);
      complete(it, 1);
      // The hung port was opened anew, and its meter is read as well.
      expect(opened).toBeGreaterThan(1);
      complete(it, 0);
      if (what.startsWith('a read')) {
        const event = eventsOf(it, 'PORT_STUCK')[0];
        expect(event?.detail).toMatchObject({ port: 'bus', meter: 'm60120001', fault: 'line' });
      }
    });
  test('a port that never opens: named in the status, the other one reads', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { buses: 2 });
    const clock = new VirtualClock(1000);
    const owner = new PortOwner({ device: 'x', open: () => never<Port>(), clock, muteLimit: 6 });
    await expect(clock.complete(owner.acquire())).rejects.toMatchObject({ code: 'port-missing' });
    expect(owner.state.lastError).toContain('does not open');
    await it.clock.complete(it.house.stop());
  });
});

test('a port that was taken back fails whoever waits for it, and opens again', async () => {
  const clock = new VirtualClock(1000);
  let opened = 0;
  const port = (): Port => ({
    device: 'x',
    connection: false,
    closed: false,
    read: () => never(),
    write: () => Promise.resolve(),
    setBaud: () => Promise.resolve(),
    close: () => never(),
  });
  const owner = new PortOwner({
    device: 'x',
    open: () => {
      opened++;
      return Promise.resolve(port());
    },
    clock,
    muteLimit: 6,
  });
  const reading = (await owner.acquire()).read(undefined);
  const why = new Failure('turn-stuck', 'closed');
  owner.takeBack(why);
  await expect(reading).rejects.toBe(why);
  expect(owner.state).toMatchObject({ open: false, lastError: 'closed' });
  await clock.run(later(millis(1000), 2000));
  await owner.acquire();
  expect(opened).toBe(2);
});

describe('a meter that trickles among others', () => {
  for (const everyMs of [240, 1000])
    test(`one octet every ${everyMs} ms: the neighbours' rows are on time, and it is not the mains`, async () => {
      const it = await virtualHouse(
        { meters: { count: 4 } },
        {
          port: (port, clock) => {
            const slow = trickling(port, clock, 1, everyMs);
            let bad = false;
            return {
              ...port,
              write: (octets) => {
                const cut = cutFrame(octets, 1, octets.length);
                bad = cut.is === 'frame' && cut.frame.destination.physical === 1001;
                return port.write(octets);
              },
              read: (until) => (bad ? slow : port).read(until),
            };
          },
        },
      );
      it.broker.connect();
      // Two days behind, the poll of 13:00 and that of 14:00.
      const stuck = await runWatched(it, 39 * minute);
      await it.clock.run(Date.UTC(2026, 10, 24, 13, 4));
      for (const meter of [1, 2, 3]) complete(it, meter);
      stuck.push(...(await runWatched(it, 60 * minute)));
      for (const meter of [1, 2, 3]) complete(it, meter);
      expect(stuck).toEqual([]);
      const { ports } = await it.house.snapshot();
      const [first, ...others] = ports[0]?.meters ?? [];
      expect(['LINE_QUALITY', 'METER_FAULT', 'REACHABLE']).toContain(first?.verdict);
      expect(others.map(({ verdict }) => verdict)).toEqual(['REACHABLE', 'REACHABLE', 'REACHABLE']);
    });
});
