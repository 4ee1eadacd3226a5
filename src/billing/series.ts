/**
 * The series of a point as it stands at one moment: measured above a person's edit above measured-uncertain above estimate.
 * Pure: the same facts, edits and moment give the same series, in whatever order they came.
 */
import { type DarkSpan, darkIn, darkSpans } from './dark.ts';
import { estimateRuns } from './fill-series.ts';
import { type Grid, gridOf } from './local-time.ts';
import { type GapKnown, type Known, type Merged, mergePoint } from './merge.ts';
import {
  type EstimatePlace,
  type PointSeries,
  type SeriesInput,
  type SeriesInterval,
  seriesRules,
} from './point-series.ts';
import { type Channel, channels, type Edit, type JudgedEdit, judgeEdits, unitsOfWh } from './registry.ts';

function measured(known: Known, start: number, end: number): SeriesInterval {
  const standing = known.uncertain ? 'uncertain' : 'measured';
  return { start, end, energy: known.energy, standing, source: known.source, reasons: known.reasons };
}

/** Which edit stands of each interval: of those of one interval the latest. */
function editsByStart(edits: readonly JudgedEdit[], channel: Channel): Map<number, Edit> {
  const standing = new Map<number, Edit>();
  for (const { edit, stands } of edits) {
    if (!stands || edit.channel !== channel) continue;
    if (edit.value === null) standing.delete(edit.start);
    else standing.set(edit.start, edit);
  }
  return standing;
}
function edited(edit: Edit, start: number, end: number): SeriesInterval {
  return { start, end, energy: edit.value, standing: 'edited', source: `edit:${edit.edit}`, reasons: [edit.why] };
}

function provenZero(
  gap: GapKnown | undefined,
  dark: readonly DarkSpan[],
  start: number,
  end: number,
): SeriesInterval | undefined {
  if (gap?.cause === 'OUTAGE')
    return { start, end, energy: 0, standing: 'outage', source: gap.source, reasons: ['OUTAGE'] };
  const span = darkIn(dark, start, end);
  // An open switch that nobody saw closed proves nothing of later: the estimate is zero, and is one.
  if (span === undefined || span.to === null) return undefined;
  const standing = span.cause === 'SUPPLY_OFF' ? 'measured' : 'outage';
  return { start, end, energy: 0, standing, source: span.proof, reasons: [span.cause] };
}

/** What stands of each interval before anything is estimated; undefined where nothing does. */
function standingOf(
  { grid, dark, merged: { gaps } }: EstimatePlace,
  merged: Merged,
  edits: ReadonlyMap<number, Edit>,
): (SeriesInterval | undefined)[] {
  return grid.intervals.map(({ start, end }, i) => {
    const known = merged.known[i];
    const row = known !== undefined && known.energy !== null ? measured(known, start, end) : undefined;
    if (row?.standing === 'measured') return row;
    // Proven zero is as good as measured: a person's guess from before the proof does not outlive it.
    const proven = known === undefined ? provenZero(gaps[i], dark, start, end) : undefined;
    if (proven) return proven;
    const edit = edits.get(start);
    return edit && edit.end === end ? edited(edit, start, end) : row;
  });
}

/** From `input.from` up to `input.to`, whole local days. */
export function seriesOf(input: SeriesInput): PointSeries {
  const { point, at } = input;
  const rules = { ...seriesRules, ...input.rules };
  const edits = judgeEdits(
    input.edits.filter((edit) => edit.point === point.point && edit.at <= at),
    unitsOfWh(rules.editLimitWh, point),
  );
  const grid = gridOf(point.periods, point.zone, input.from, input.to);
  const merged = mergePoint(input.facts, point, grid);
  const dark = darkSpans(input.events);
  const contradicted: { channel: Channel; from: number; to: number }[] = [];
  const place: EstimatePlace = { input, rules, grid, merged, dark };
  const entries = channels.flatMap((channel) => {
    const own = merged.channels[channel];
    if (!own) return [];
    const standing = standingOf(place, own, editsByStart(edits, channel));
    const { intervals, against } = estimateRuns(place, channel, own, standing);
    contradicted.push(...against.map(([from, to]) => ({ channel, from, to })));
    return [[channel, intervals] as const];
  });
  return {
    grid,
    at,
    channels: Object.fromEntries(entries),
    merged,
    dark,
    edits: openEdits(edits, Object.fromEntries(entries), grid),
    contradicted,
  };
}
function openEdits(edits: readonly JudgedEdit[], series: PointSeries['channels'], grid: Grid): PointSeries['edits'] {
  const [first, last] = [grid.intervals[0]?.start ?? 0, grid.intervals.at(-1)?.end ?? 0];
  return edits.flatMap(({ edit, stands }): PointSeries['edits'][number][] => {
    if (edit.start < first || edit.start >= last) return [];
    const index = grid.indexOf.get(edit.start);
    if (index === undefined || grid.intervals[index]?.end !== edit.end) return [{ edit, why: 'OFF_GRID' }];
    if (!stands) return [{ edit, why: 'UNCONFIRMED' }];
    const there = series[edit.channel]?.[index];
    return edit.value !== null && there?.standing === 'measured' && there.energy !== edit.value
      ? [{ edit, why: 'BELOW_MEASURED' }]
      : [];
  });
}
