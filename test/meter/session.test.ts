/** Client against simulator in virtual time: every way in, every line fault. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { millis } from '../../src/base/time.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { readEntries } from '../../src/meter/profile-rows.ts';
import { readRegisters } from '../../src/meter/registers.ts';
import { requireIdentity } from '../../src/meter/identity.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { meterWorld, profile, start } from '../support/meter-world.ts';

const hour = 3_600_000;
const from = millis(Date.UTC(2026, 10, 23));
const to = millis(Date.UTC(2026, 10, 24));

async function readDay({ clock, session, meter }: ReturnType<typeof meterWorld>) {
  return clock.complete(
    (async () => {
      await session.connect();
      requireIdentity(await identify(session, clock, genericModel), String(meter.settings.serial));
      const layout = await readLayout(session, profile);
      const rows = await readRange({ session, layout, model: genericModel }, from, to);
      const three = await readEntries({ session, layout, model: genericModel }, 1, 3);
      const registers = await readRegisters(session, layout);
      await session.close();
      return { rows, three, layout, registers };
    })(),
  );
}

describe('every way in reads the same day', () => {
  const ways: [string, ScenarioInput, Partial<MeterAccess>][] = [
    ['hdlc, lls, one-octet address', {}, {}],
    ['hdlc, none', {}, { client: 16, auth: 'none', secret: undefined }],
    ['hdlc, two-octet address', { meters: { count: 3 }, meter: [{ index: 0, physical: 5 }] }, { physical: 5 }],
    ['hdlc, four-octet address', { meters: { count: 3 } }, { physical: 1001 }],
    [
      'hdlc, four octets for a small address',
      { meters: { count: 3 }, meter: [{ index: 0, physical: 5 }] },
      { physical: 5, model: { ...genericModel, address_size: 4 } },
    ],
    ['hdlc, defaults 128/1', { meters: { max_info: 128 } }, { model: { ...genericModel, max_info: 128 } }],
    [
      'hdlc, window 7',
      { meters: { max_info: 128, window: 7 } },
      { model: { ...genericModel, max_info: 128, window: 7 } },
    ],
    ['hdlc, small PDU: many blocks', {}, { model: { ...genericModel, max_pdu: 100 } }],
    ['hdlc over TCP', { bus: { kind: 'tcp' } }, {}],
    ['wrapper, lls', { bus: { kind: 'tcp', link: 'wrapper' } }, { link: 'wrapper' }],
    [
      'wrapper, none',
      { bus: { kind: 'tcp', link: 'wrapper' } },
      { link: 'wrapper', client: 16, auth: 'none', secret: undefined },
    ],
    ['mode E', { meters: { mode_e: true } }, { modeE: true }],
    ['meter on standard time', { meters: { deviation_min: -120 } }, {}],
    ['turn-around 257 ms, 2400 Bd', { bus: { baud: 2400, turnaround_ms: 257 } }, { baud: 2400 }],
  ];
  test.each(ways)('%s', async (_, scenario, access) => {
    const it = meterWorld(scenario, access);
    const { rows, three, layout, registers } = await readDay(it);
    expect(layout.capturePeriodMs).toBe(hour);
    expect(rows.map(({ end }) => end)).toEqual(Array.from({ length: 25 }, (__, i) => from + i * hour));
    for (const row of rows) {
      expect(row.channels).toEqual([
        { key: '1-0:1.8.0*255', scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' },
        { key: '1-0:2.8.0*255', scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' },
      ]);
      expect(row.cells).toEqual([
        it.meter.curve.register(0, row.end as never),
        it.meter.curve.register(1, row.end as never),
      ]);
    }
    expect(three).toHaveLength(3);
    expect(Number(registers.get('1.0.1.8.0.255'))).toBeGreaterThanOrEqual(it.meter.curve.register(0, to));
    expect(it.meter.stack.linkState).toBe('disconnected');
  });
});

describe('line faults', () => {
  test('echo of our own octets', async () => {
    const { rows } = await readDay(meterWorld({ fault: [{ kind: 'echo' }] }));
    expect(rows).toHaveLength(25);
  });
  test.each([1, 2, 3, 4, 5])('a flipped octet in a thousand, seed %i: the day is read right', async (seed) => {
    const it = meterWorld(
      { seed, fault: [{ kind: 'flip', rate: 0.001 }] },
      { retries: 6, model: { ...genericModel, max_info: 128 } },
    );
    const { rows } = await readDay(it);
    expect(rows).toHaveLength(25);
    for (const row of rows) expect(row.cells[0]).toBe(it.meter.curve.register(0, row.end as never));
  });
  test.each([1, 2, 3])('a dropped octet in a thousand, seed %i', async (seed) => {
    const it = meterWorld(
      { seed, fault: [{ kind: 'drop', rate: 0.001 }] },
      { retries: 6, model: { ...genericModel, max_info: 128 } },
    );
    expect((await readDay(it)).rows).toHaveLength(25);
  });
  test('silence for some seconds in the middle is survived by the repeats', async () => {
    const it = meterWorld({ fault: [{ kind: 'silence', from_s: 1, to_s: 3 }] });
    expect((await readDay(it)).rows).toHaveLength(25);
    expect(it.session.stack.counters.repeated).toBeGreaterThan(0);
  });
  test('a meter without power: no-answer, within bounded time', async () => {
    const it = meterWorld({ fault: [{ kind: 'power-cut', meter: 0, from_s: -60, to_s: 3600 }] });
    await expect(it.clock.complete(it.session.connect())).rejects.toMatchObject({ code: 'no-answer' });
    expect(it.clock.now() - start).toBeLessThan(6000);
  });
  test('the port is pulled out in the middle: port-lost, and close does not hang', async () => {
    const it = meterWorld({});
    await it.clock.complete(it.session.connect());
    const pending = it.session.value({ classId: 7, logicalName: profile, attribute: 2 });
    pending.catch(() => {});
    await it.clock.run(it.clock.now() + 100);
    it.port.unplug();
    await expect(it.clock.complete(pending)).rejects.toMatchObject({ code: 'port-lost' });
    await it.clock.complete(it.session.close());
  });
  test('at the wrong speed nothing is understood', async () => {
    const it = meterWorld({ bus: { baud: 9600 } }, { baud: 2400 });
    await expect(it.clock.complete(it.session.connect())).rejects.toMatchObject({ code: 'no-answer' });
  });
});

describe('refusals', () => {
  test('a wrong password is told apart from silence, and asked once', async () => {
    const it = meterWorld({}, { secret: new Secret(Buffer.from('wrong')) });
    await expect(it.clock.complete(it.session.connect())).rejects.toMatchObject({ code: 'authentication-refused' });
    await it.clock.complete(it.session.close());
  });
  test('an unknown client address', async () => {
    const it = meterWorld({}, { client: 99 });
    await expect(it.clock.complete(it.session.connect())).rejects.toMatchObject({ code: 'association-refused' });
  });
  test('an object that is not there, one that may not be written', async () => {
    const it = meterWorld({});
    await it.clock.complete(it.session.connect());
    await expect(
      it.clock.complete(it.session.value({ classId: 3, logicalName: '1.0.99.99.99.255' as const, attribute: 2 })),
    ).rejects.toMatchObject({ code: 'access-refused' });
    const set = {
      kind: 'set',
      assignments: [
        {
          attribute: { classId: 3, logicalName: '1.0.1.8.0.255' as const, attribute: 2 },
          value: { type: 'unsigned', value: 1 },
        },
      ],
    } as const;
    expect(await it.clock.complete(it.session.exchange(set, 'was-set'))).toMatchObject({ results: [3] });
  });
  test('another meter at the address', async () => {
    const it = meterWorld({});
    const identity = await it.clock.complete(
      it.session.connect().then(() => identify(it.session, it.clock, genericModel)),
    );
    expect(() => requireIdentity(identity, '60120002')).toThrow(Failure);
    expect(() => requireIdentity(identity, '60120001')).not.toThrow();
    expect(() => requireIdentity(identity, '0060120001')).not.toThrow();
  });
});

test('SET of the clock and ACTION on the disconnector', async () => {
  const { clock, session, meter } = meterWorld({ meters: { clock_offset_s: 30 } });
  const result = await clock.complete(
    (async () => {
      await session.connect();
      const before = await identify(session, clock, genericModel);
      const { dateTimeOctets } = await import('../../src/dlms/cosem/date-time.ts');
      const time = { classId: 8, logicalName: '0.0.1.0.0.255' as const, attribute: 2 };
      const set = await session.exchange(
        {
          kind: 'set',
          assignments: [{ attribute: time, value: { type: 'octet-string', value: dateTimeOctets(clock.wall()) } }],
        },
        'was-set',
      );
      const after = await identify(session, clock, genericModel);
      const acted = await session.exchange(
        {
          kind: 'action',
          invocations: [
            {
              classId: 70,
              logicalName: '0.0.96.3.10.255' as const,
              method: 1,
              parameters: { type: 'integer', value: 0 },
            },
          ],
        },
        'acted',
      );
      const state = await session.value({ classId: 70, logicalName: '0.0.96.3.10.255' as const, attribute: 3 });
      await session.close();
      return { before, set, after, acted, state };
    })(),
  );
  expect(Math.round((result.before.clockDeviationMs as number) / 1000)).toBe(30);
  expect(result.set.results).toEqual([0]);
  expect(Math.abs(result.after.clockDeviationMs as number)).toBeLessThan(500);
  expect(result.acted.results).toEqual([{ result: 0 }]);
  expect(result.state).toEqual({ type: 'enum', value: 0 });
  expect(meter.controlState).toBe(0);
});

test('a clock that drifts shows it', async () => {
  const { clock, session } = meterWorld({ fault: [{ kind: 'drift', meter: 0, ppm: 10_000 }] });
  await clock.run(start + hour);
  await clock.complete(session.connect());
  const { clockDeviationMs } = await clock.complete(identify(session, clock, genericModel));
  expect(Math.round((clockDeviationMs as number) / 1000)).toBe(36);
});
