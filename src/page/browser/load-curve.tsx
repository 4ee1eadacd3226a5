/** The load curve of a meter: a bar for each interval in the colour of its quality, a band where there is none, and why. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { SeriesGap } from '../../schedule/series-gaps.ts';
import type { IntervalSeries } from './answers.ts';
import { t } from './language.ts';
import { Table } from './parts.tsx';
import { dayOf, decimal, hourOf, quantity, shortTime, shownZone } from './words.ts';

const good = 'MEASURED';
const height = 260;
const kilo = (unit: string | null): boolean => unit === 'Wh' || unit === 'varh' || unit === 'VAh';

interface Curve {
  readonly starts: readonly number[];
  readonly measured: (number | null)[];
  readonly uncertain: (number | null)[];
  readonly unit: string;
}
/** Only for the drawing: what is said in words and numbers comes from the integers. */
function curveOf({ rows, channels }: IntervalSeries, channel: number): Curve {
  const { scaler = 0, unit = '' } = channels[channel] ?? {};
  const factor = 10 ** ((scaler ?? 0) - (kilo(unit) ? 3 : 0));
  const value = (row: IntervalSeries['rows'][number]): number | null => {
    const energy = row.values[channel]?.energy ?? null;
    return energy === null ? null : Number(energy) * factor;
  };
  return {
    starts: rows.map(({ start }) => Date.parse(start) / 1000),
    measured: rows.map((row) => (row.quality === good ? value(row) : null)),
    uncertain: rows.map((row) => (row.quality === good ? null : value(row))),
    unit: kilo(unit) ? `k${unit}` : (unit ?? ''),
  };
}

const bandMarks: Partial<Record<SeriesGap['state'], string>> = {
  OUTAGE: 'o',
  MISSING: 'x',
  LOST: 'l',
  STORE_DAMAGED: 'l',
  PENDING: 'p',
};
function plotOf(box: HTMLElement, curve: Curve, periodS: number, gaps: readonly SeriesGap[]): uPlot {
  const styles = getComputedStyle(box);
  const colour = (name: string) => styles.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--ink'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  };
  const bars = uPlot.paths.bars?.({ align: 1, size: [0.9, 100] });
  const bar = (label: string, name: string): uPlot.Series => ({
    label,
    fill: colour(name),
    stroke: colour(name),
    width: 0,
    points: { show: false },
    ...(bars && { paths: bars }),
    value: (_, value) => (value === null ? '–' : `${decimal(String(Math.round(value * 1000)), -3)} ${curve.unit}`),
  });
  const bands = (plot: uPlot) => {
    const { ctx, bbox } = plot;
    for (const { from, to, state } of gaps) {
      const mark = bandMarks[state];
      if (mark === undefined) continue;
      const [x0, x1] = [from, to].map((one) => plot.valToPos(Date.parse(one) / 1000, 'x', true)) as [number, number];
      const left = Math.max(bbox.left, x0);
      const right = Math.min(bbox.left + bbox.width, x1);
      if (right <= left) continue;
      ctx.fillStyle = colour(`--mark-${mark}`);
      ctx.globalAlpha = 0.45;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 1;
    }
  };
  const first = curve.starts[0] ?? 0;
  const last = (curve.starts.at(-1) ?? 0) + periodS;
  return new uPlot(
    {
      width: box.clientWidth,
      height,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), shownZone()),
      scales: { x: { range: [first, last] }, y: { range: (_, __, max) => [0, Math.max(max * 1.05, 0.001)] } },
      axes: [
        {
          ...axis,
          values: (_, all) =>
            all.map((one) => (hourOf(one * 1000).startsWith('00') ? dayOf(one * 1000) : hourOf(one * 1000))),
        },
        {
          ...axis,
          // As wide as its widest words: 12 345.6 kWh is read as well as 0.8.
          size: (_, words) => 20 + Math.max(0, ...(words ?? []).map(({ length }) => length)) * 7,
          values: (_, all) =>
            all.map(
              (one) => `${decimal(String(Math.round(one * 1000)), -3).replace(/[.,]?0+$/, '') || '0'} ${curve.unit}`,
            ),
        },
      ],
      series: [
        { label: t('interval'), value: (_, at) => (at === null ? '–' : shortTime(at * 1000)) },
        bar(t('measured').split(',')[0] ?? '', '--mark-a'),
        bar(t('uncertain'), '--mark-u'),
      ],
      hooks: { drawClear: [bands] },
      cursor: { drag: { x: false, y: false } },
    },
    [[...curve.starts], curve.measured, curve.uncertain],
    box,
  );
}

function Summary({ series, channel }: { readonly series: IntervalSeries; readonly channel: number }) {
  const { obis = '', scaler = 0, unit = null } = series.channels[channel] ?? {};
  const energies = series.rows.flatMap(({ start, values }) => {
    const energy = values[channel]?.energy ?? null;
    return energy === null ? [] : [{ start, energy: BigInt(energy) }];
  });
  const sum = energies.reduce((total, { energy }) => total + energy, 0n);
  const largest = energies.reduce(
    (best, one) => (one.energy > best.energy ? one : best),
    energies[0] ?? { start: '', energy: 0n },
  );
  return (
    <p>
      {t(
        'curveWords',
        obis,
        energies.length,
        quantity(String(sum), scaler, unit),
        quantity(String(largest.energy), scaler, unit),
        shortTime(largest.start),
      )}
    </p>
  );
}

const maxRows = 200;
export function LoadCurve({
  series,
  channel,
  gaps,
}: {
  readonly series: IntervalSeries;
  readonly channel: number;
  readonly gaps: readonly SeriesGap[];
}) {
  const box = useRef<HTMLDivElement>(null);
  const { rows, periodS, channels } = series;
  const { scaler = 0, unit = null } = channels[channel] ?? {};
  useEffect(() => {
    const place = box.current;
    if (!place || rows.length === 0) return undefined;
    let plot = plotOf(place, curveOf(series, channel), periodS, gaps);
    const observer = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height }));
    observer.observe(place);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => {
      plot.destroy();
      plot = plotOf(place, curveOf(series, channel), periodS, gaps);
    };
    dark.addEventListener('change', redraw);
    return () => {
      observer.disconnect();
      dark.removeEventListener('change', redraw);
      plot.destroy();
    };
  }, [series, channel, gaps]);
  if (rows.length === 0) return <p>{t('curveNone')}</p>;
  return (
    <>
      <Summary series={series} channel={channel} />
      <div class="curve" ref={box} aria-hidden="true" />
      <details>
        <summary>{t('curveTable')}</summary>
        <Table
          caption={t('loadCurve')}
          head={[t('interval'), t('energy'), t('register'), t('quality')]}
          rows={rows
            .slice(-maxRows)
            .toReversed()
            .map(({ start, quality, values }) => [
              shortTime(start),
              values[channel]?.energy == null ? '–' : quantity(values[channel]?.energy ?? '', scaler, unit),
              values[channel]?.register == null ? '–' : quantity(values[channel]?.register ?? '', scaler, unit),
              quality,
            ])}
        />
      </details>
    </>
  );
}
