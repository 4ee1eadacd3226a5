import { describe, expect, test } from 'vitest';
import { type EventRow, gatewayEvents, misfitOfEvent } from '../../src/reading/gateway-events.ts';

describe('the table of the events that the gateway says itself', () => {
  test('each has words, and each field of it too', () => {
    for (const [name, { says, detail }] of Object.entries<EventRow>(gatewayEvents)) {
      expect(name).toMatch(/^[A-Z][A-Z_]+$/);
      expect(says, name).toMatch(/\w+ \w+/);
      for (const field of Object.values(detail)) expect(field.says.length, name).toBeGreaterThan(4);
    }
  });
  test('a detail is held against its row: missing, unknown, of another type, null', () => {
    const good = { series: '1-0:99.1.0*255', oldest: '2026-11-24T00:00:00Z', reachS: 86_400 };
    expect(misfitOfEvent('DATA_AT_RISK', good)).toBeUndefined();
    expect(misfitOfEvent('DATA_AT_RISK', { ...good, reachS: '1' })).toBe('DATA_AT_RISK: reachS is "1", not number');
    expect(misfitOfEvent('DATA_AT_RISK', { ...good, oldest: 'soon' })).toContain('oldest');
    expect(misfitOfEvent('DATA_AT_RISK', { ...good, series: '1.0.99.1.0.255' })).toContain('series');
    expect(misfitOfEvent('DATA_AT_RISK', { series: good.series, oldest: good.oldest })).toContain(
      'reachS is undefined',
    );
    expect(misfitOfEvent('DATA_AT_RISK', { ...good, more: 1 })).toBe('DATA_AT_RISK: no field more');
    expect(misfitOfEvent('DATA_AT_RISK', null)).toContain('series');
    expect(misfitOfEvent('CLOCK_UNREADABLE', { why: null })).toBeUndefined();
    expect(misfitOfEvent('MAINS_OFF', { from: null, to: good.oldest })).toContain('from is null');
    expect(misfitOfEvent('LATER_VERSION', {})).toBe('no event of ours is called LATER_VERSION');
  });
  test('integers beyond 2^53 are decimal strings, and nothing else is', () => {
    const fell = { epoch: 1, epochBefore: null, nextSequence: 3, headEndEpoch: '9007199254740993', headEndUpTo: 1 };
    expect(misfitOfEvent('STATE_FELL_BACK', fell)).toBeUndefined();
    expect(misfitOfEvent('STATE_FELL_BACK', { ...fell, headEndUpTo: 2 ** 60 })).toContain('headEndUpTo');
    expect(misfitOfEvent('STATE_FELL_BACK', { ...fell, headEndUpTo: '1e3' })).toContain('headEndUpTo');
  });
});
