/** From what was observed of the meters of a line to their verdicts; the events that come of them: telling.test.ts. */
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/base/errors.ts';
import { millis } from '../../src/base/time.ts';
import { answers, isSilent, judge, type Observation } from '../../src/schedule/reachability.ts';
import { type Verdict, verdicts } from '../../src/reading/verdict.ts';

const good: Observation = { lastSuccess: millis(1), failures: 0, lastError: undefined, damaged: 0, sessions: 5 };
const failing = (lastError: ErrorCode | undefined, more: Partial<Observation> = {}): Observation => ({
  ...good,
  failures: 3,
  lastError,
  ...more,
});
const silent = failing('no-answer');
const unusable: Observation = { ...good, sessions: 0, unusable: true };
const judged = (...observations: Observation[]) => [
  ...judge(new Map(observations.map((one, i) => [`m${i}`, one]))).values(),
];

describe('one meter, with a neighbour that answers', () => {
  test.each<[string, Observation, Verdict]>([
    ['it answers', good, 'REACHABLE'],
    ['never asked', { ...good, sessions: 0 }, 'UNKNOWN'],
    ['not polled: whatever was observed before', { ...silent, unusable: true }, 'CONFIG_FAULT'],
    ['silent', silent, 'SUSPECT_MAINS_OR_METER'],
    ['only our own octets come back', failing('echo-only'), 'SUSPECT_MAINS_OR_METER'],
    ['R25: silent, and its log ended with a power-down', { ...silent, powerDown: true }, 'POWER_LOST'],
    ['R26: a refusal is no loss of power', failing('authentication-refused', { powerDown: true }), 'SECURITY_FAULT'],
    [
      'its log ended with a power-down, and then it fell silent',
      failing('fell-silent', { powerDown: true }),
      'METER_FAULT',
    ],
    ['its log ended with a power-down, and it answers', { ...good, powerDown: true }, 'REACHABLE'],
    ['R24: its switch is open', { ...good, supplyOff: true }, 'SUPPLY_OFF_BY_METER_SWITCH'],
    ['its switch is open on a bad line', { ...good, supplyOff: true, damaged: 12 }, 'SUPPLY_OFF_BY_METER_SWITCH'],
    ['its switch was open, and now it is silent', { ...silent, supplyOff: true }, 'SUSPECT_MAINS_OR_METER'],
    ['its switch is closed', { ...good, supplyOff: false }, 'REACHABLE'],
    ['one damaged frame in two sessions is usual', { ...good, damaged: 2, sessions: 4 }, 'REACHABLE'],
    ['more than that is the line', { ...good, damaged: 3, sessions: 4 }, 'LINE_QUALITY'],
    [
      'incident: two damaged frames of the only session made a healthy meter ill',
      { ...good, damaged: 2, sessions: 1 },
      'REACHABLE',
    ],
    ['three of the only session are the line', { ...good, damaged: 3, sessions: 1 }, 'LINE_QUALITY'],
    ['an answer that was damaged', failing('damaged-answer'), 'LINE_QUALITY'],
    ['silent on a line that damages', { ...silent, damaged: 3 }, 'LINE_QUALITY'],
    ['nonsense on a line that damages', failing('malformed-octets', { damaged: 3 }), 'LINE_QUALITY'],
    ['R26: a refusal on a line that damages', failing('authentication-refused', { damaged: 3 }), 'SECURITY_FAULT'],
    ['power lost on a line that damages', { ...silent, powerDown: true, damaged: 3 }, 'LINE_QUALITY'],
    ['another serial number', failing('identity-mismatch'), 'IDENTITY_MISMATCH'],
    ['a failure that nobody named', failing(undefined), 'METER_FAULT'],
    ['one that hangs up', failing('connection-lost'), 'METER_FAULT'],
    ['the port is denied', failing('port-denied'), 'BUS_FAULT'],
    ['the configuration does not fit', failing('period-mismatch'), 'CONFIG_FAULT'],
    ['the disk is full', failing('store-failed'), 'GATEWAY_FAULT'],
  ])('%s', (_, observation, verdict) => {
    expect(judged(observation, good)).toEqual([verdict, 'REACHABLE']);
  });
});

describe('R23: all meters of a line', () => {
  const dark: Observation = { ...silent, powerDown: true };
  const hangsUp = failing('connection-lost');
  test.each<[string, Observation[], Verdict[]]>([
    ['all silent: one bus, not many meters', [silent, silent, silent], ['BUS_FAULT', 'BUS_FAULT', 'BUS_FAULT']],
    ['all without mains as well', [dark, silent], ['BUS_FAULT', 'BUS_FAULT']],
    [
      'one that answers clears the bus',
      [silent, silent, good],
      ['SUSPECT_MAINS_OR_METER', 'SUSPECT_MAINS_OR_METER', 'REACHABLE'],
    ],
    [
      'one that refuses clears it as well: it was heard',
      [silent, failing('authentication-refused')],
      ['SUSPECT_MAINS_OR_METER', 'SECURITY_FAULT'],
    ],
    [
      'one that was not asked yet leaves it open',
      [silent, { ...good, sessions: 0 }],
      ['SUSPECT_MAINS_OR_METER', 'UNKNOWN'],
    ],
    ['alone on a line nobody can tell', [silent], ['SUSPECT_MAINS_OR_METER']],
    ['alone beside one that is not polled', [silent, unusable], ['SUSPECT_MAINS_OR_METER', 'CONFIG_FAULT']],
    ['two beside one that is not polled', [silent, silent, unusable], ['BUS_FAULT', 'BUS_FAULT', 'CONFIG_FAULT']],
    ['every connection breaks off: the converter', [hangsUp, hangsUp], ['BUS_FAULT', 'BUS_FAULT']],
    ['one alone that hangs up', [hangsUp], ['METER_FAULT']],
    ['one hangs up, one is silent', [hangsUp, silent], ['METER_FAULT', 'SUSPECT_MAINS_OR_METER']],
    [
      'one that broke off and answers again clears it',
      [hangsUp, { ...hangsUp, failures: 0 }],
      ['METER_FAULT', 'REACHABLE'],
    ],
    ['nobody at all', [], []],
  ])('%s', (_, observations, expected) => {
    expect(judged(...observations)).toEqual(expected);
  });
});

test('every verdict is one of: it answers, it is silent, something else is wrong', () => {
  const of = (is: (verdict: Verdict) => boolean) => verdicts.filter((verdict) => is(verdict));
  expect(of(answers)).toEqual(['REACHABLE', 'SUPPLY_OFF_BY_METER_SWITCH', 'LINE_QUALITY']);
  expect(of(isSilent)).toEqual(['SUSPECT_MAINS_OR_METER', 'POWER_LOST']);
});
