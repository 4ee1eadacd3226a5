import { describe, expect, test } from 'vitest';
import { later, millis } from '../../src/base/time.ts';
import { daySums } from '../../src/reading/day-sum.ts';
import { accountFor } from '../../src/reading/interval-block.ts';
import type { Cell, LoadProfileRow, ProfileChannel } from '../../src/reading/load-profile-row.ts';

const hour = 3_600_000;
const day = millis(Date.UTC(2026, 10, 23));
const at = (hours: number) => later(day, hours * hour);
// Energies in 10 Wh, the register in Wh.
const channels: ProfileChannel[] = [
  { key: '1-0:1.29.0*255', scalerUnit: { scaler: 1, unit: 30 }, kind: 'interval' },
  { key: '1-0:1.8.0*255', scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' },
];
const row = (hours: number, cells: Cell[], all = channels): LoadProfileRow => ({
  start: at(hours - 1),
  end: at(hours),
  clock: null,
  status: 0,
  channels: all,
  cells,
});

describe('R02: energies coarser than the register', () => {
  /** A day at `wh` an hour, each hour rounded to 10 Wh, and the register to the unit. */
  const rows = (hourly: (hour: number) => number, off = 0) => {
    let register = 1_000_000;
    return Array.from({ length: 25 }, (_, i) => {
      const energy = i === 0 ? 0 : hourly(i);
      register += energy;
      return row(i, [Math.round(energy / 10) + (i === 5 ? off : 0), register]);
    });
  };
  test('the sum, the advance, both quanta; rounding of every hour the same way is still within the bound', () => {
    // 24 hours of 14 Wh: 24 x 1 = 240 Wh summed, 336 Wh counted; the bound is 24 x 5 + 1 = 121.
    expect(
      daySums(
        rows(() => 14),
        day,
        at(24),
        hour,
      ),
    ).toEqual([
      {
        energies: '1-0:1.29.0*255',
        register: '1-0:1.8.0*255',
        sum: 24,
        energyScaler: 1,
        advance: 336,
        registerScaler: 0,
        intervals: 24,
        expected: 24,
        agrees: true,
      },
    ]);
  });
  test.each([
    // 96 Wh of rounding already; 121 are allowed.
    [-2, true],
    [-3, false],
    [21, true],
    [22, false],
  ])('an hour that is off by %i x 10 Wh: agrees %s', (off, agrees) => {
    expect(
      daySums(
        rows(() => 14, off),
        day,
        at(24),
        hour,
      )[0]?.agrees,
    ).toBe(agrees);
  });
  test('with an hour missing, or without the register, nothing is compared', () => {
    const all = rows(() => 123);
    expect(daySums(all.toSpliced(7, 1), day, at(24), hour)[0]).toMatchObject({ intervals: 23, agrees: null });
    expect(daySums(all.slice(1), day, at(24), hour)[0]).toMatchObject({ advance: null, agrees: null });
    const oneChannel = all.map(({ cells }, i) => row(i, cells.slice(0, 1), channels.slice(0, 1)));
    expect(daySums(oneChannel, day, at(24), hour)[0]).toMatchObject({ sum: 24 * 12, register: null, agrees: null });
  });
  test('the register wraps within the day', () => {
    const all = rows(() => 100).map(({ cells: [energy, register] }, i) =>
      row(i, [energy ?? 0, (Number(register) + 2 ** 32 - 1_001_000) % 2 ** 32]),
    );
    expect(daySums(all, day, at(24), hour)[0]).toMatchObject({ advance: 2400, agrees: true });
  });
  test('meters that capture only registers have no such sum', () => {
    expect(daySums([row(0, [1], channels.slice(1))], day, at(24), hour)).toEqual([]);
  });
});

describe('interval blocks of channels that are no registers', () => {
  const account = (rows: LoadProfileRow[]) =>
    accountFor({
      origin: { meter: 'm', point: 'p', serial: 's' },
      series: '1-0:99.1.0*255',
      rows,
      from: day,
      to: at(3),
      periodMs: hour,
      openAfter: at(100),
      readAt: at(50),
      clockDeviationMs: 0,
      clockTrust: 'system',
    });
  const mixed: ProfileChannel[] = [
    ...channels,
    { key: '1-0:32.7.0*255', scalerUnit: { scaler: -1, unit: 35 }, kind: 'value' },
  ];
  test('the energy is what was captured, a voltage is a value that may fall', () => {
    const { blocks } = account([
      row(0, [1, 100, 2301], mixed),
      row(1, [2, 120, 2299], mixed),
      row(2, [0, 121, 2305], mixed),
      row(3, [3, 150, 2288], mixed),
    ]);
    expect(blocks[0]?.quality).toEqual(['MEASURED', 'MEASURED', 'MEASURED']);
    expect(blocks[0]?.channels).toEqual([
      { obis: '1-0:1.29.0*255', unit: 'Wh', scaler: 1, energy: [2, 0, 3] },
      { obis: '1-0:1.8.0*255', unit: 'Wh', scaler: 0, register: [120, 121, 150], energy: [20, 1, 29] },
      { obis: '1-0:32.7.0*255', unit: 'V', scaler: -1, value: [2299, 2305, 2288] },
    ]);
  });
  test('equal energies around a gap prove no outage: only a register that stood still does', () => {
    const dark = (hours: number, cells: Cell[], all = channels) => ({ ...row(hours, cells, all), status: 0x80 });
    const energies = channels.slice(0, 1);
    expect(account([dark(0, [0], energies), dark(3, [0], energies)]).gaps.map(({ cause }) => cause)).toEqual([
      'MISSING',
    ]);
    expect(account([dark(0, [5, 100]), dark(3, [0, 100])]).gaps.map(({ cause }) => cause)).toEqual(['OUTAGE']);
  });
});
