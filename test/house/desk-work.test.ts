/** Work of the desk between the sessions and in them: polling goes on, and nobody has a line for good. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { later } from '../../src/base/time.ts';
import { setClock } from '../../src/meter/act.ts';
import { loanLimitMs } from '../../src/schedule/loan.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const hour = 60 * minute;
const wrongIn = (it: VirtualHouse) =>
  [...it.compare(20 * minute).values()].map(({ expected, right, wrong }) => [expected - right, wrong.length]);
/** What somebody outside of the house waits for, while its time goes on. */
async function outcome<T>(it: VirtualHouse, work: Promise<T>): Promise<T | { code: string; message: string }> {
  return it.clock.complete(
    work.catch((error: unknown) => ({ code: (error as Failure).code, message: (error as Failure).message })),
  );
}

describe('a line on loan', () => {
  test('a scan without pause lets every meter be polled', async () => {
    const it = await virtualHouse({ meters: { count: 3 } }, { days: 1 });
    it.broker.connect();
    let loans = 0;
    const over = new AbortController();
    const scan = async () => {
      while (!over.signal.aborted) {
        await it.house.lend('bus', async (port) => {
          await port.write(Uint8Array.of(0x7e));
          await port.read(later(it.clock.now(), 5000));
        });
        loans++;
      }
    };
    const scanned = scan();
    await it.run(6 * hour);
    over.abort();
    await it.clock.complete(scanned);
    await it.run(hour);
    expect(loans).toBeGreaterThan(1000);
    expect(wrongIn(it)).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    await it.clock.complete(it.house.stop());
  });
  test('one waits, the second is refused, an unknown port is named', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    const first = it.house.lend('bus', () => Promise.resolve('first'));
    expect(
      await outcome(
        it,
        it.house.lend('bus', () => Promise.resolve('second')),
      ),
    ).toMatchObject({ code: 'busy' });
    expect(await outcome(it, first)).toBe('first');
    expect(
      await outcome(
        it,
        it.house.lend('none', () => Promise.resolve()),
      ),
    ).toMatchObject({ code: 'unknown-port' });
    await it.clock.complete(it.house.stop());
  });
  test('whoever keeps it loses it, and what it throws is for whoever asked', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { days: 1 });
    it.broker.connect();
    const greedy = it.house.lend('bus', async (port) => {
      for (;;) await port.read(undefined);
    });
    const begun = it.clock.now();
    expect(await outcome(it, greedy)).toMatchObject({ code: 'busy', message: expect.stringMatching(/30 s/) as string });
    expect(it.clock.now() - begun).toBeLessThan(loanLimitMs + 10 * minute);
    const failing = it.house.lend('bus', () => Promise.reject(new Failure('no-answer', 'nobody there')));
    expect(await outcome(it, failing)).toEqual({ code: 'no-answer', message: 'nobody there' });
    await it.run(3 * hour);
    expect(wrongIn(it)).toEqual([
      [0, 0],
      [0, 0],
    ]);
    await it.clock.complete(it.house.stop());
  });
  test('another speed is taken back before the next session', async () => {
    const speeds: number[] = [];
    const port = (own: Parameters<NonNullable<NonNullable<Parameters<typeof virtualHouse>[1]>['port']>>[0]) => ({
      ...own,
      setBaud: (baud: number) => {
        speeds.push(baud);
        return own.setBaud(baud);
      },
    });
    const it = await virtualHouse({ meters: { count: 1 } }, { port });
    await it.clock.complete(it.house.lend('bus', (line) => line.setBaud(300)));
    await it.run(minute);
    expect(speeds[speeds.indexOf(300) + 1]).toBe(9600);
    await it.clock.complete(it.house.stop());
  });
  test('also while nothing may be read: the disk is full', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    it.disk = { freeBytes: 1, totalBytes: 1e9 };
    await it.run(5 * minute);
    expect(
      await outcome(
        it,
        it.house.lend('bus', (port) => Promise.resolve(port.device)),
      ),
    ).toBe('virtual');
    await it.clock.complete(it.house.stop());
  });
});

describe('work in a session of a configured meter', () => {
  test('it gets the associated session and its answer reaches whoever asked', async () => {
    const it = await virtualHouse({ meters: { count: 2 } }, { days: 1 });
    it.broker.connect();
    await it.run(hour);
    const work = it.house.inSession('m60120002', async ({ session, identity, clock, model, origin }) => {
      const set = await setClock(session, clock, model);
      return { serial: identity?.serial, point: origin.point, after: Math.abs(set.afterMs) };
    });
    const done = (await outcome(it, work)) as { point: string; after: number };
    expect(done.point).toBe('p60120002');
    expect(done.after).toBeLessThan(5000);
    await it.run(2 * hour);
    expect(wrongIn(it)).toEqual([
      [0, 0],
      [0, 0],
    ]);
    await it.clock.complete(it.house.stop());
  });
  test('what the meter refuses is between it and whoever asked', async () => {
    const it = await virtualHouse({ meters: { count: 1 } }, { days: 1 });
    it.broker.connect();
    await it.run(hour);
    const attribute = { classId: 3, logicalName: '1.0.99.99.99.255', attribute: 2 } as const;
    expect(
      await outcome(
        it,
        it.house.inSession('m60120001', ({ session }) => session.value(attribute)),
      ),
    ).toMatchObject({ code: expect.stringMatching(/refused|missing|unavailable|object/) as string });
    const { ports } = await it.house.snapshot();
    expect(ports[0]?.meters[0]).toMatchObject({ failures: 0 });
    await it.clock.complete(it.house.stop());
  });
  test('a silent meter: the failure of the visit is the answer, and nobody waits for ever', async () => {
    const it = await virtualHouse({ meters: { count: 1 }, fault: [{ kind: 'silence' }] });
    await it.run(minute);
    expect(
      await outcome(
        it,
        it.house.inSession('m60120001', () => Promise.resolve(1)),
      ),
    ).toMatchObject({
      code: 'no-answer',
    });
    expect(
      await outcome(
        it,
        it.house.inSession('other', () => Promise.resolve(1)),
      ),
    ).toMatchObject({
      code: 'unknown-meter',
    });
    await it.clock.complete(it.house.stop());
  });
  test('incident: whoever asked for a meter whose port is away waited for two minutes in silence', async () => {
    let away = false;
    const it = await virtualHouse(
      { meters: { count: 1 } },
      {
        port: (own) => {
          if (away) throw new Failure('port-missing', '/dev/virtual is not there');
          return {
            ...own,
            read: (until) => (away ? Promise.reject(new Failure('port-lost', 'unplugged')) : own.read(until)),
          };
        },
      },
    );
    it.broker.connect();
    await it.run(hour);
    away = true;
    await it.run(hour);
    const begun = it.clock.now();
    expect(await outcome(it, it.house.readNow('m60120001'))).toMatchObject({ code: 'port-missing' });
    expect(
      await outcome(
        it,
        it.house.inSession('m60120001', () => Promise.resolve(1)),
      ),
    ).toMatchObject({ code: 'port-missing' });
    expect(it.clock.now() - begun).toBeLessThan(5000);
    away = false;
    await it.run(5 * minute);
    expect(
      await outcome(
        it,
        it.house.inSession('m60120001', () => Promise.resolve(1)),
      ),
    ).toBe(1);
    await it.clock.complete(it.house.stop());
  });
});
