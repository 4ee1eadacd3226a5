/** R29 to R31: when a meter's clock is set. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { kernelTime } from '../../src/main/kernel-time.ts';
import { askKernel } from '../../src/main/kernel-clock.ts';
import { clockAlarm, decideClock, nearDaylightSavingChange } from '../../src/schedule/clock-policy.ts';

const hour = 3_600_000;
const state = {
  wall: millis(Date.UTC(2026, 10, 24, 12, 20)),
  trusted: true,
  periodMs: hour,
  lastSet: undefined,
};
const policy = { set: true, setLarge: false };
const decide = (deviationS: number, more: object = {}, other: object = {}) =>
  decideClock({ ...state, deviationMs: deviationS * 1000, ...more }, { ...policy, ...other });

describe('R30', () => {
  test.each([
    [0, 'within 2 s'],
    [2, 'within 2 s'],
    [-2, 'within 2 s'],
    [2.1, 'set'],
    [-8.9, 'set'],
    [9, 'set'],
    [9.1, 'set and flag'],
    [-60, 'set and flag'],
    [61, 'more than a minute: the operator decides'],
    [-1801, 'more than half a period'],
  ])('%d s: %s', (deviationS, expected) => {
    const decision = decide(deviationS);
    expect(decision.kind === 'set' ? `set${decision.flag ? ' and flag' : ''}` : decision.why).toBe(expected);
  });
  test('above a minute only where the operator wants it; above half a period never', () => {
    expect(decide(61, {}, { setLarge: true })).toEqual({ kind: 'set', flag: true });
    expect(decide(1801, {}, { setLarge: true }).kind).toBe('leave');
    expect(decide(500, { periodMs: hour / 4 }, { setLarge: true }).kind).toBe('leave');
  });
  test('once in 24 hours', () => {
    const at = (hours: number) => millis(state.wall - hours * hour);
    expect(decide(5, { lastSet: at(23.9) })).toEqual({ kind: 'leave', why: 'set within the last 24 h' });
    expect(decide(5, { lastSet: at(24) }).kind).toBe('set');
  });
  test('not within a minute of a boundary, of the gateway’s clock or of the meter’s', () => {
    const at = (minutes: number, seconds: number) => millis(Date.UTC(2026, 10, 24, 12, minutes, seconds));
    expect(decide(5, { wall: at(0, 59) }).kind).toBe('leave');
    expect(decide(5, { wall: at(59, 1) }).kind).toBe('leave');
    expect(decide(5, { wall: at(1, 5) }).kind).toBe('set');
    expect(decide(50, { wall: at(58, 30) }).kind).toBe('leave');
    expect(decide(-50, { wall: at(1, 30) }).kind).toBe('leave');
  });
  test('not within an hour of a daylight saving change', () => {
    expect(nearDaylightSavingChange(millis(Date.UTC(2026, 9, 25, 0, 30)))).toBe(true);
    expect(nearDaylightSavingChange(millis(Date.UTC(2026, 9, 25, 1, 59)))).toBe(true);
    expect(nearDaylightSavingChange(millis(Date.UTC(2026, 9, 25, 2, 1)))).toBe(false);
    expect(nearDaylightSavingChange(millis(Date.UTC(2027, 2, 28, 0, 30)))).toBe(true);
    expect(nearDaylightSavingChange(millis(Date.UTC(2027, 2, 21, 0, 30)))).toBe(false);
    expect(decide(5, { wall: millis(Date.UTC(2026, 9, 25, 1, 30)) }).kind).toBe('leave');
  });
});
test('R29: without a known time no clock is set', () => {
  expect(decide(5, { trusted: false })).toEqual({ kind: 'leave', why: 'the gateway does not know the time' });
});
test('R31: above 30 s it is told, above 60 s it is an alarm', () => {
  expect([0, 30, -31, 61].map((seconds) => clockAlarm(seconds * 1000))).toEqual([
    undefined,
    undefined,
    'CLOCK_DEVIATION',
    'CLOCK_ALARM',
  ]);
});

describe('the gateway’s own clock', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kernel-time-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const day = 24 * hour;
  test('known while the kernel says so; a boot in 1970 or before the floor is not', () => {
    let now = Date.UTC(2026, 10, 24);
    let synchronised = true;
    const ask = () =>
      synchronised ? ({ known: true } as const) : ({ known: false, why: 'the kernel says so' } as const);
    const troubles: string[] = [];
    const time = kernelTime(
      folder,
      () => now,
      (trouble) => troubles.push(trouble),
      ask,
    );
    expect(time.timeIsKnown()).toBe(true);
    time.remember();
    expect(Number(readFileSync(join(folder, 'last-known-time'), 'utf8'))).toBe(now);
    synchronised = false;
    now += day;
    expect(time.timeIsKnown()).toBe(false);
    expect(time.trouble()).toBe('the kernel says so');
    // The next boot, without a battery-backed clock: the kernel may even believe itself.
    synchronised = true;
    now = 5000;
    const booted = kernelTime(
      folder,
      () => now,
      (trouble) => troubles.push(trouble),
      ask,
    );
    expect(booted.timeIsKnown()).toBe(false);
    expect(booted.trouble()).toContain('before 2026-11-24T00:00:00.000Z');
    now = Date.UTC(2026, 10, 23);
    expect(booted.timeIsKnown()).toBe(false);
    now = Date.UTC(2026, 10, 25);
    expect(booted.timeIsKnown()).toBe(true);
    expect(troubles).toEqual([]);
  });
  test('sibling: a time server told a time to come; after an hour of another one that is believed the floor is given up', () => {
    const lied = mkdtempSync(join(tmpdir(), 'kernel-time-'));
    let now = Date.UTC(2090, 0, 1);
    let evenly = 0;
    let synchronised = true;
    const time = kernelTime(
      lied,
      () => now,
      () => {},
      () => (synchronised ? { known: true } : { known: false, why: 'no' }),
      () => evenly,
    );
    time.remember();
    expect(time.floor()).toBe(now);
    now = Date.UTC(2027, 0, 1);
    const minutes = (count: number) => {
      for (let i = 0; i < count; i++) {
        now += 60_000;
        evenly += 60_000;
        time.remember();
      }
    };
    minutes(50);
    synchronised = false;
    minutes(5);
    synchronised = true;
    minutes(55);
    expect(time.timeIsKnown()).toBe(false);
    minutes(10);
    expect(time.timeIsKnown()).toBe(true);
    expect(time.floor()).toBeLessThanOrEqual(now);
    rmSync(lied, { recursive: true });
  });
  test('this machine’s kernel can be asked', () => {
    // Whatever it says, it says it: the call is neither forbidden nor missing.
    expect(askKernel()).toMatchObject({ maxErrorUs: expect.any(Number) as number });
  });
  test('a folder that does not take the floor does not stop anything, and is told once', () => {
    const troubles: string[] = [];
    const time = kernelTime(
      '/proc/nowhere',
      () => Date.UTC(2026, 10, 24),
      (trouble) => troubles.push(trouble),
      () => ({ known: true }),
    );
    for (let i = 0; i < 3; i++) expect(() => time.remember()).not.toThrow();
    expect(time.timeIsKnown()).toBe(true);
    expect(troubles).toEqual([expect.stringContaining('the last known time is not kept: ENOENT')]);
  });
});
