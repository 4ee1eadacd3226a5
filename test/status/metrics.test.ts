import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type Measured, metricsText, metricTable } from '../../src/status/metrics.ts';
import { meterOf, snapshotOf } from '../support/snapshots.ts';

const measured: Measured = {
  snapshot: snapshotOf([meterOf('REACHABLE', 1), meterOf('SUSPECT_MAINS_OR_METER', 2, { meter: 'a "b" \\ c\nd' })]),
  uses: [],
  page: { requests: 1, refused: 0, wrongLogins: 2, policyReports: 0, foreign: 3, readers: 50 },
  now: Date.parse('2026-11-28T08:24:35Z'),
  disk: null,
  cpuS: 1.5,
  eventLoopLagS: 0.01,
};
const text = metricsText(measured);
const promtool = spawnSync('promtool', ['--version']).status === 0;

describe('metrics', () => {
  test.each(metricTable.map((one) => [one.name, one] as const))('%s: named by its unit, with its type', (name, one) => {
    expect(name).toMatch(/^meter_gateway_[a-z_]+$/);
    expect(name.endsWith('_total')).toBe(one.type === 'counter');
    if (/_(age|lag|uptime|deviation|cpu|wasted)_/.test(name)) expect(name).toMatch(/_seconds(_total)?$/);
    if (/_(memory|disk)_|_(sent|received)_bytes/.test(name)) expect(name).toMatch(/_bytes(_total)?$/);
    for (const [labels] of one.samples(measured)) expect(Object.keys(labels)).toEqual(one.labels);
  });
  test('each line is one of the text format; a name stands once', () => {
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(
        /^(# HELP [a-z_]+ \S.*|# TYPE [a-z_]+ (gauge|counter)|[a-z_]+(\{[a-z]+="([^"\\\n]|\\\\|\\"|\\n)*"(,[a-z]+="([^"\\\n]|\\\\|\\"|\\n)*")*\})? -?[0-9.e+-]+)$/,
      );
    expect(new Set(metricTable.map(({ name }) => name)).size).toBe(metricTable.length);
    expect(text).toContain('meter="a \\"b\\" \\\\ c\\nd"');
  });
  test('what has no value is left out', () => {
    expect(text).toContain('# TYPE meter_gateway_disk_free_bytes gauge\n#');
    expect(text).toContain('meter_gateway_page_readers 50\n');
    expect(text).toContain('meter_gateway_meters{verdict="SUSPECT_MAINS_OR_METER"} 1\n');
  });
  test.skipIf(!promtool)('promtool of Prometheus finds nothing wrong (where it is installed)', () => {
    const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([0, '', '']);
  });
});
