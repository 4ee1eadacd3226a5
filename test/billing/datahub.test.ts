import { expect, test } from 'vitest';
import { feedChanges, feedKey, portalCsv, readHistory } from '../../src/billing/datahub.ts';
import type { SeriesInterval } from '../../src/billing/point-series.ts';

const point = { point: '643006966022791278', scaler: 0 };
const head = 'Mittauspisteen tunnus;Tuotteen tyyppi;Resoluutio;Yksikkötyyppi;Lukeman tyyppi;Alkuaika;Määrä;Laatu';
const line = (start: string, amount: string, quality = 'OK') =>
  `643006966022791278;8716867000030;PT1H;kWh;BN01;${start};${amount};${quality}`;
const historyOf = (...lines: string[]) => readHistory([head, ...lines].join('\n'), point);
const interval = (hour: number, energy: number | null, standing: SeriesInterval['standing']): SeriesInterval => ({
  start: Date.parse('2026-10-25T00:00:00Z') + hour * 3_600_000,
  end: Date.parse('2026-10-25T01:00:00Z') + hour * 3_600_000,
  energy,
  standing,
  source: 'gw/1/1',
  reasons: [],
});

test('what is written in the form of the portal is read again, through the doubled hour', () => {
  const hours = [0, 1, 2].map((hour) => interval(hour, 500 + hour, 'measured'));
  const text = portalCsv(point, 'import', hours);
  expect(text.split('\r\n')[1]).toBe('643006966022791278;8716867000030;PT1H;kWh;BN01;2026-10-25T00:00:00Z;0,500000;OK');
  const { series, problems } = readHistory(text, point);
  expect(problems).toEqual([]);
  expect([...(series[0]?.values.values() ?? [])].map(({ value }) => value)).toEqual([500, 501, 502]);
});
test('a byte order mark and lines of Windows are taken', () => {
  expect(readHistory(`\ufeff${head}\r\n${line('2026-01-01T00:00:00Z', '0,5')}\r\n`, point).rows).toBe(1);
});
test.each([
  ['commas between the cells', head.replaceAll(';', ','), 'semicolons'],
  ['tabs between the cells', head.replaceAll(';', '\t'), 'semicolons'],
  ['another header', 'a;b;c', 'header'],
  ['a quote that does not close', `${head}\n"6430`, 'Quote'],
  ['nothing', '', 'header'],
])('a history with %s is refused as a whole', (_, text, why) => {
  expect(readHistory(text, point)).toMatchObject({
    rows: 0,
    problems: [{ line: 1, what: expect.stringContaining(why) }],
  });
});
test.each([
  ['a local time, which has two meanings in the doubled hour', line('2026-10-25T03:00:00', '1,0'), 'two meanings'],
  ['a local time with an offset', line('2026-10-25T03:00:00+03:00', '1,0'), 'no instant of UTC'],
  ['a day that does not exist', line('2026-02-30T00:00:00Z', '1,0'), 'no instant of UTC'],
  ['the local hour that comes twice', line('2026-10-25 03:00:00', '1,0'), 'two meanings in the doubled hour'],
  ['a local hour with its offset', line('2026-10-25T03:00:00+03:00', '1,0'), 'no instant of UTC'],
  ['a local hour that does not exist', line('2027-03-28T03:30:00', '1,0'), 'no instant of UTC'],
  ['a start off the grid', line('2026-02-03T00:15:00Z', '1,0'), 'grid'],
  ['a point for the comma', line('2026-02-03T00:00:00Z', '1.0'), 'comma'],
  ['a thousand with a blank', line('2026-02-03T00:00:00Z', '1 000,0'), 'no amount'],
  ['a negative amount', line('2026-02-03T00:00:00Z', '-1,0'), 'no amount'],
  ['another point', line('2026-02-03T00:00:00Z', '1,0').replace('278;', '279;'), 'another point'],
  ['MWh', line('2026-02-03T00:00:00Z', '1,0').replace('kWh', 'MWh'), 'kWh is taken'],
  ['days', line('2026-02-03T00:00:00Z', '1,0').replace('PT1H', 'P1D'), 'resolution'],
  ['a cell too few', '643006966022791278;8716867000030;PT1H;kWh;BN01;2026-02-03T00:00:00Z;1,0', 'cells'],
])('%s is named with its line, and the others are taken', (_, bad, why) => {
  const { rows, problems } = historyOf(line('2026-02-02T00:00:00Z', '1,0'), bad);
  expect(rows).toBe(1);
  expect(problems).toEqual([{ line: 3, what: expect.stringContaining(why) }]);
});
test('a line twice is one; two values for one hour are none', () => {
  const start = '2026-02-03T00:00:00Z';
  expect(historyOf(line(start, '1,0'), line(start, '1,000'))).toMatchObject({ rows: 1, problems: [] });
  const differing = historyOf(line(start, '1,0'), line(start, '2,0'));
  expect(differing.problems).toMatchObject([{ line: 3 }]);
  expect(differing.series).toEqual([]);
});
test('what is missing there is no value, and is no problem', () => {
  expect(historyOf(line('2026-02-03T00:00:00Z', '', 'MISSING'))).toMatchObject({ rows: 0, problems: [] });
});
test('the feed has what is new or changed, and a change of status is a change', () => {
  const sent = new Map();
  const send = (...all: SeriesInterval[]) => {
    const changes = feedChanges(all, sent);
    for (const change of changes) sent.set(feedKey(change), change);
    return changes.map(({ energy, status }) => [energy, status]);
  };
  expect(send(interval(0, null, 'missing'), interval(1, 5, 'measured'))).toEqual([
    [null, 'missing'],
    [5, 'measured'],
  ]);
  expect(send(interval(0, 7, 'estimated'), interval(1, 5, 'measured'))).toEqual([[7, 'temporary']]);
  expect(send(interval(0, 7, 'final'))).toEqual([[7, 'estimated-approved']]);
  expect(send(interval(0, 7, 'measured'))).toEqual([[7, 'measured']]);
  expect(send(interval(0, 7, 'measured'))).toEqual([]);
});
