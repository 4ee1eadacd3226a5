/**
 * MeterReadings of IEC 61968-9 with interval blocks and reading qualities. Not tested against IEC's XSD, which is not public.
 */
import { decimal } from '../base/words.ts';
import { utcText } from './instants.ts';
import { escaped } from './markup.ts';
import type { SeriesInterval, Standing } from './point-series.ts';
import type { Channel, Point } from './registry.ts';

/** `system.category.index`: 2 is the metering system. */
const qualityOf: Readonly<Record<Standing, readonly string[]>> = {
  measured: ['2.0.0'],
  outage: ['2.11.0', '1.2.32'],
  edited: ['2.7.0'],
  uncertain: ['2.5.257'],
  estimated: ['2.8.0'],
  final: ['2.8.0', '2.10.0'],
  missing: ['2.5.259'],
};
/** Fifteen, thirty and sixty minutes. */
const measuringPeriods: Readonly<Record<number, number>> = { 900_000: 2, 1_800_000: 5, 3_600_000: 7 };
/** Interval data of active energy, Wh × 10^0, forward and reverse. */
const readingType = (channel: Channel, periodMs: number): string =>
  `0.0.${measuringPeriods[periodMs] ?? 7}.4.${channel === 'import' ? 1 : 19}.1.12.0.0.0.0.0.0.0.0.0.72.0`;

function blockOf(channel: Channel, scaler: number, intervals: readonly SeriesInterval[]): string[] {
  const [first] = intervals;
  if (!first) return [];
  return [
    '    <IntervalBlocks>',
    ...intervals.flatMap(({ end, energy, standing }) => [
      '      <IntervalReadings>',
      // The stamp of an interval stands at its end.
      `        <timeStamp>${utcText(end)}</timeStamp>`,
      ...(energy === null ? [] : [`        <value>${decimal(String(energy), scaler)}</value>`]),
      ...qualityOf[standing].map(
        (quality) => `        <ReadingQualities><ReadingQualityType ref="${quality}"/></ReadingQualities>`,
      ),
      '      </IntervalReadings>',
    ]),
    `      <ReadingType ref="${readingType(channel, first.end - first.start)}"/>`,
    '    </IntervalBlocks>',
  ];
}
export function meterReadingsXml(
  point: Point,
  series: Readonly<Partial<Record<Channel, readonly SeriesInterval[]>>>,
): string {
  const blocks = (['import', 'export'] as const).flatMap((channel) => {
    const intervals = series[channel] ?? [];
    // A block has one length of intervals.
    const byLength = Map.groupBy(intervals, ({ start, end }) => end - start);
    return [...byLength.values()].flatMap((own) => blockOf(channel, point.scaler, own));
  });
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<MeterReadings xmlns="http://iec.ch/TC57/2011/MeterReadings#">',
    '  <MeterReading>',
    ...blocks,
    '    <UsagePoint>',
    `      <Names><name>${escaped(point.point)}</name><NameType><name>UsagePoint</name></NameType></Names>`,
    '    </UsagePoint>',
    '  </MeterReading>',
    '</MeterReadings>',
  ].join('\n')}\n`;
}
