/** The status, gaps and readings as a person sees them. */
import { assert, constantFrom, integer, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { visible } from '../../src/base/visible.ts';
import { verdicts } from '../../src/reading/verdict.ts';
import type { SeriesGap } from '../../src/schedule/series-gaps.ts';
import { gapsText, heldText, readingText } from '../../src/status/answer-texts.ts';
import { sentence, statements, table, widthOf } from '../../src/status/layout.ts';
import { type Screen, screenOf, snapshotText } from '../../src/status/status-text.ts';
import { fullBus, meterOf, snapshotOf } from '../support/snapshots.ts';

const screen: Screen = { width: 80, zone: 'Europe/Helsinki', now: Date.parse('2026-11-28T08:24:35Z') };
const nasty = 'A\u001b[2J\u009b31m\u202eevil\u2066\u200b\r\nnext: rm -rf / 電力計 Mäkelä 𝄞';
function expectFits(lines: readonly string[], width: number): void {
  for (const line of lines) {
    expect(widthOf(line), line).toBeLessThanOrEqual(width);
    // What is laid out is what is printed: the door to the screen changes nothing.
    expect(visible(line)).toBe(line);
  }
}

describe('status', () => {
  test('incident: the table was 107 columns wide; 31 meters with all verdicts stand within 80, and each is explained', () => {
    const lines = snapshotText(snapshotOf(fullBus()));
    expectFits(lines, 80);
    const text = lines.join('\n');
    for (const { meter, verdict } of fullBus()) expect(text).toMatch(new RegExp(`${meter} +${verdict} `));
    for (const verdict of verdicts)
      if (verdict !== 'REACHABLE')
        expect(
          lines.some((line) => line.startsWith(`${verdict} `) || line.startsWith(`  ${verdict} `)),
          verdict,
        ).toBe(true);
    expect(text).toContain('clock         of the meter against');
  });
  test('each meter of a bus that is well has one line', () => {
    const meters = Array.from({ length: 31 }, (_, n) =>
      meterOf('REACHABLE', n, { alarms: [], ways: [], damagedFrames: 0, repeatedFrames: 0, clockVerdict: null }),
    );
    const lines = snapshotText(snapshotOf(meters));
    const first = lines.findIndex((line) => line.includes('m60120000'));
    expect(lines.slice(first, first + 31).map((line) => line.slice(2, 11))).toEqual(meters.map(({ meter }) => meter));
    expect(lines.join('\n')).not.toContain('UNKNOWN');
  });
  test('a failure says code, fault, how often, and the next step; times are local, and the zone is named', () => {
    const meter = meterOf('SECURITY_FAULT', 6, {
      lastCode: 'authentication-refused',
      fault: 'operator',
      lastError: 'association refused',
      nextStep: 'Check the password.',
      lastSuccess: '2026-11-27T22:30:00Z',
      ways: ['left alone until 2026-11-28T09:00:00Z, for it refused us'],
      clockDeviationS: 1200,
    });
    const text = snapshotText(snapshotOf([meter])).join('\n');
    expect(text).toContain('authentication-refused (operator), 6 times in a row: association refused');
    expect(text).toContain('next: Check the password.');
    expect(text).toContain('11-28 00:30');
    expect(text).toContain('1200 s ahead');
    expect(text).toContain('· left alone until 2026-11-28 11:00:00 +02:00');
    expect(text).toContain('month-day and time of Europe/Helsinki, +02:00');
    expect(text).not.toMatch(/\d\dZ/);
  });
  test('a fault of the bus is told once, with its reason, next step, the last success, and who hangs there', () => {
    const meters = Array.from({ length: 31 }, (_, n) => meterOf('BUS_FAULT', n));
    const busFault = {
      meters: meters.map(({ meter }) => meter),
      code: 'no-answer',
      fault: 'line',
      why: 'none of 31 meters answers: it is the line, not the meters',
      nextStep: 'Look at what they share.',
    } as const;
    const [port] = snapshotOf(meters).ports;
    if (!port) throw new Error('no port');
    const lines = snapshotText(snapshotOf([], { ports: [{ ...port, busFault }] }));
    expectFits(lines, 80);
    expect(lines.filter((line) => line.includes('BUS_FAULT'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('next:'))).toEqual(['    next: Look at what they share.']);
    expect(lines.join('\n')).toContain('    last success: 2026-11-27 09:27:00 +02:00');
    for (const { meter } of meters) expect(lines.join(' ')).toContain(meter);
  });
  test('a clock that is wrong says how, and the next step', () => {
    const text = snapshotText(snapshotOf([meterOf('REACHABLE', 2)])).join('\n');
    expect(text).toContain(
      '    ! CLOCK_ALARM: the clock of the meter is 1200 s ahead\n      next: Set it with the tool',
    );
  });
  test('time that is not trusted stands at the top, and beside the clocks', () => {
    const time = {
      trust: 'untrusted',
      trouble: 'no time service since 2026-11-28T08:00:00Z',
      zone: 'Europe/Helsinki',
    } as const;
    const text = snapshotText(snapshotOf([meterOf('REACHABLE', 1)], { time })).join('\n');
    expect(text).toMatch(/^time +2026-11-28 10:24:35 \+02:00 \(Europe\/Helsinki\), NOT TRUSTED/m);
    expect(text.replaceAll(/\s+/g, ' ')).toContain('no time service since 2026-11-28 10:00:00 +02:00');
    expect(text.replaceAll(/\s+/g, ' ')).toContain("against the gateway's, whose time is NOT TRUSTED");
    const early = { trust: 'kernel', trouble: 'the clock shows 1970' } as const;
    expect(snapshotText(snapshotOf([], { time: early })).join('\n')).toContain('NOT TRUSTED');
    const zoneOf = (zone?: string) =>
      screenOf(snapshotOf([], { time: { ...early, ...(zone && { zone }) } }), 80, 'Asia/Tokyo').zone;
    // A gateway of a version before says nothing of it, or of its time at all.
    expect(screenOf({}, 80, 'Asia/Tokyo').zone).toBe('Asia/Tokyo');
    expect([zoneOf('Europe/Helsinki'), zoneOf('UTC'), zoneOf()]).toEqual([
      'Europe/Helsinki',
      'Asia/Tokyo',
      'Asia/Tokyo',
    ]);
  });
  test('sibling: whatever stands in it, from 60 columns on no line is wider than the screen and none acts', () => {
    const texts = constantFrom(nasty, 'x'.repeat(300), '電'.repeat(90), 'a b', '');
    const any = string({ unit: 'binary', maxLength: 200 });
    assert(
      property(any, texts, integer({ min: 60, max: 200 }), (one, other, width) => {
        const meter = meterOf('IDENTITY_MISMATCH', 8, {
          meter: one,
          lastError: other,
          alarms: [one],
          ways: [other],
          nextStep: one,
          lastSuccess: one,
        });
        const [port] = snapshotOf([meter, meterOf('LINE_QUALITY', 6)]).ports;
        if (!port) throw new Error('no port');
        const snapshot = snapshotOf([], {
          gateway: other,
          at: one,
          version: one,
          configuration: { hash: '', since: other, warnings: [one], refused: { at: one, why: `${other}\n${one}` } },
          time: { trust: 'untrusted', trouble: other, zone: one },
          ports: [{ ...port, name: one, device: other, open: false, error: one, trouble: other }],
        });
        expectFits(snapshotText(snapshot, width), width);
      }),
      { numRuns: 60 },
    );
  });
});

const gap = (meter: string, state: SeriesGap['state']): SeriesGap => ({
  meter,
  point: 'p',
  serial: '1',
  series: '1-0:99.1.0*255',
  periodS: 3600,
  from: '2026-10-24T22:00:00Z',
  to: '2026-11-28T08:00:00Z',
  intervals: 36,
  state,
});
test('gaps: local times, each state explained, and within the screen', () => {
  const lines = gapsText([gap('m1', 'PENDING'), gap('m'.repeat(64), 'UNCERTAIN/clock'), gap(nasty, 'LOST')], screen);
  expectFits(lines, 80);
  expect(lines[0]).toBe('36 PENDING of 60 min  not read yet');
  expect(lines.join('\n')).toContain('10-25 01:00+03  11-28 10:00');
  expectFits(gapsText([gap('m'.repeat(64), 'UNACKNOWLEDGED')], { ...screen, width: 60 }), 60);
});

test('incident: a reading was "12345 x 10^-1 Wh", "1200 s from the gateway\'s" and a state without a name', () => {
  const lines = readingText(
    {
      kind: 'reading',
      meter: 'm1',
      point: 'p',
      serial: '60120001',
      readAt: '2026-11-28T08:24:35Z',
      registers: {
        '1-0:1.8.0*255': { raw: 12_345_678, scaler: -1, unit: 'Wh' },
        '1-0:2.8.0*255': { raw: '18446744073709551615', scaler: null, unit: null },
      },
      clockDeviationS: 1200,
      disconnector: { output: false, control: 2, mode: 4 },
    },
    screen,
  );
  expect(lines).toEqual([
    'm1  serial 60120001  read 2026-11-28 10:24:35 +02:00',
    '  1-0:1.8.0*255    1234.5678 kWh (raw 12345678, scaler -1, Wh)',
    '  1-0:2.8.0*255    18446744073709551615 (raw; scaler and unit are not known)',
    '  clock            1200 s ahead',
    '  switch           supply OFF; ready for reconnection; mode 4 (off remotely or',
    '                   locally; on again remotely or by hand)',
  ]);
});

test('what is held back, in local time', () => {
  const held = { meter: 'm1', serial: '77', messages: 3, from: '2026-11-27T08:00:00Z', to: '2026-11-27T09:00:00Z' };
  const lines = heldText([held, { ...held, meter: nasty, serial: nasty }], screen);
  expectFits(lines, 80);
  expect(lines[0]).toContain('held back, 2026-11-27 10:00:00 +02:00 to');
  expect(heldText([], screen)).toEqual(['nothing is held back']);
});

describe('layout', () => {
  test('nothing is left out, and nothing is wider', () => {
    assert(
      property(string({ unit: 'grapheme' }), string(), integer({ min: 10, max: 80 }), (text, head, width) => {
        const lines = sentence(head, text, width);
        expectFits(lines, width);
        const bare = (all: string) => all.replaceAll(/\s/g, '');
        expect(bare(lines.join(''))).toBe(bare(visible(head) + visible(text)));
        expectFits(statements(head, [text, head, text], width), width);
      }),
    );
  });
  test('a table keeps its columns; one long first cell does not push the others about', () => {
    const columns = [{ heading: 'name' }, { heading: 'number', right: true }];
    expect(
      table(
        columns,
        [
          ['a', '1'],
          ['電力', '22'],
        ],
        20,
      ).flat(),
    ).toEqual(['name  number', 'a          1', '電力      22']);
    expect(
      table(
        columns,
        [
          ['a', '1'],
          ['b'.repeat(18), '2'],
        ],
        20,
      ).flat(),
    ).toEqual(['name          number', 'a                  1', 'b'.repeat(18), '                   2']);
  });
});
