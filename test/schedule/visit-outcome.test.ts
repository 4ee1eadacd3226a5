/** What a visit means for the meter, as a table: every outcome that a session may have. */
import { describe, expect, test } from 'vitest';
import { type ErrorCode, Failure } from '../../src/base/errors.ts';
import { longAgo, millis } from '../../src/base/time.ts';
import { type Health, type VisitResult, visitOutcome } from '../../src/schedule/visit-outcome.ts';

const [now, wall] = [millis(1_000_000), millis(Date.UTC(2026, 10, 24, 12))];
const clean = { damaged: 0, repeated: 0 };
const health: Health = {
  failures: 0,
  degradedLine: false,
  askCounter: false,
  qualityWindow: [],
  lastSuccess: millis(wall - 3_600_000),
  lastSuccessBefore: undefined,
  silentSince: undefined,
  reportedSecurity: 'x',
  notBefore: longAgo,
  lastError: undefined,
};
const ended = (code?: ErrorCode, more: Partial<VisitResult> = {}): VisitResult => ({
  failure: code && new Failure(code, 'why'),
  entry: 'none',
  heard: true,
  ...clean,
  secured: false,
  anotherWay: false,
  refusalMs: undefined,
  spentMs: 4000,
  ...more,
});
const minutes = (count: number) => count * 60_000;

describe('the pause before the next visit, and the line time that a failing meter pays for', () => {
  const cases: [string, Partial<Health>, VisitResult, pauseMs: number | undefined, linePauseMs: number | undefined][] =
    [
      ['rows were read', {}, ended(), undefined, undefined],
      ['silence, the first', {}, ended('no-answer', { heard: false }), 15_000, 36_000],
      ['silence, the fifth', { failures: 4 }, ended('no-answer', { heard: false }), minutes(4), 36_000],
      ['silence, for long', { failures: 30 }, ended('no-answer', { heard: false }), minutes(15), 36_000],
      ['it stopped in the midst', {}, ended('fell-silent'), 15_000, 12_000],
      ['its answers were damaged', {}, ended('no-answer', { damaged: 3 }), 1000, 12_000],
      ['damaged, and nothing heard', {}, ended('no-answer', { damaged: 3, heard: false }), 15_000, 36_000],
      ['another way was learned', {}, ended('malformed-octets', { anotherWay: true }), 1000, 12_000],
      [
        'it refused us',
        {},
        ended('authentication-refused', { entry: 'refused', refusalMs: minutes(15) }),
        minutes(15),
        12_000,
      ],
      [
        'refused, and its line is bad',
        { degradedLine: true },
        ended('authentication-refused', { entry: 'refused', refusalMs: minutes(30) }),
        minutes(30),
        12_000,
      ],
      [
        'refused with keys: the counter may be behind',
        {},
        ended('association-refused', { entry: 'refused', secured: true, refusalMs: minutes(15) }),
        1000,
        12_000,
      ],
      [
        'and once more with keys, the counter was asked for',
        { askCounter: true, failures: 1 },
        ended('association-refused', { entry: 'refused', secured: true, refusalMs: minutes(15) }),
        minutes(15),
        12_000,
      ],
      ['another meter answers', {}, ended('identity-mismatch'), minutes(15), 12_000],
      ['its counter is beyond belief', {}, ended('counter-implausible', { secured: true }), minutes(15), 12_000],
      ['another meter answers, with damage', {}, ended('identity-mismatch', { damaged: 1 }), minutes(15), 12_000],
      ['the adapter was unplugged', {}, ended('port-lost'), 15_000, undefined],
      ['the turn was stuck', {}, ended('turn-stuck'), 15_000, undefined],
      ['the disk does not take it', {}, ended('store-failed'), 5000, undefined],
      ['the store was mended meanwhile', { failures: 2 }, ended('store-damaged'), 5000, undefined],
    ];
  test.each(cases)('%s', (_, before, result, pauseMs, linePauseMs) => {
    const outcome = visitOutcome({ ...health, ...before }, result, now, wall);
    expect(outcome.linePauseMs).toBe(linePauseMs);
    expect(outcome.health.notBefore).toBe(pauseMs === undefined ? longAgo : now + pauseMs);
  });
});

describe('what is known of the meter', () => {
  test('a success after failures: since when it was away is kept for the event that says so', () => {
    const before = {
      ...health,
      failures: 3,
      askCounter: true,
      lastError: new Failure('no-answer', 'x'),
      silentSince: millis(wall - 1),
    };
    expect(visitOutcome(before, ended(), now, wall).health).toMatchObject({
      failures: 0,
      askCounter: false,
      lastError: undefined,
      reportedSecurity: undefined,
      lastSuccess: wall,
      lastSuccessBefore: wall - 3_600_000,
      silentSince: wall - 1,
    });
  });
  test('what the store does not take is no fault of the meter', () => {
    const { health: after } = visitOutcome({ ...health, failures: 1 }, ended('store-failed'), now, wall);
    expect(after).toMatchObject({ failures: 1, silentSince: undefined, reportedSecurity: 'x' });
    expect(after.lastError?.code).toBe('store-failed');
  });
  test('repeated silence is told as what it means', () => {
    const lastError = new Failure('association-refused', '3 entries in a row ended before the meter let us in');
    const { health: after } = visitOutcome(health, ended('no-answer', { entry: 'silent', lastError }), now, wall);
    expect(after.lastError).toBe(lastError);
  });
  test('a line that damages frames gets short ones until five sessions in a row were clean', () => {
    let after = visitOutcome(health, ended('no-answer', { damaged: 1 }), now, wall).health;
    expect(after.degradedLine).toBe(true);
    for (const expected of [true, true, true, true, false]) {
      after = visitOutcome(after, ended(), now, wall).health;
      expect(after.degradedLine).toBe(expected);
    }
  });
  test('meter-quirks 88: a meter that loses count of short frames gets long ones again', () => {
    const before = { ...health, degradedLine: true };
    expect(visitOutcome(before, ended('answer-stalled'), now, wall).health.degradedLine).toBe(false);
    expect(visitOutcome(before, ended('answer-stalled', { damaged: 1 }), now, wall).health.degradedLine).toBe(true);
  });
  test('the line is judged by the last 20 sessions', () => {
    let after: Health = health;
    for (let i = 0; i < 30; i++) after = visitOutcome(after, ended(undefined, { damaged: i }), now, wall).health;
    expect(after.qualityWindow.map(({ damaged }) => damaged)).toEqual(Array.from({ length: 20 }, (_, i) => i + 10));
  });
});
