/** Completeness: a square for each meter and hour, drawn; and the same in numbers for whoever does not see the drawing. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { markMeanings } from '../../status/completeness.ts';
import type { CompletenessAnswer } from './answers.ts';
import { t, type TextKey } from './language.ts';
import { useAsked } from './live.ts';
import { Answered, DayChoice, Table } from './parts.tsx';
import { dayOf, hourOf, shortTime, shownZone } from './words.ts';

const hourMs = 3_600_000;
/** The worst of an hour first. */
const marks: readonly (readonly [mark: keyof typeof markMeanings, key: TextKey])[] = [
  ['l', 'lost'],
  ['x', 'missingMark'],
  ['p', 'pending'],
  ['u', 'uncertain'],
  ['m', 'measured'],
  ['o', 'outage'],
  ['a', 'acknowledged'],
  ['-', 'notDue'],
];
const rank = new Map<string, number>(marks.map(([mark], i) => [mark, i]));
const wordsOf = (mark: string): string => t(marks[rank.get(mark) ?? 7]?.[1] ?? 'notDue');

interface HeatRow {
  readonly meter: string;
  readonly label: string;
  readonly hours: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
}
interface Grid {
  readonly from: number;
  readonly hours: number;
  readonly rows: readonly HeatRow[];
}
function gridOf({ from, to, series }: CompletenessAnswer): Grid {
  const first = Math.floor(Date.parse(from) / hourMs) * hourMs;
  const hours = Math.max(0, Math.ceil((Date.parse(to) - first) / hourMs));
  const several = new Set(
    series
      .filter(({ meter }, i) => series.some((other, j) => j !== i && other.meter === meter))
      .map(({ meter }) => meter),
  );
  const rows = series.map((one): HeatRow => {
    const cells = Array.from({ length: hours }, () => '-');
    const counts = new Map<string, number>();
    const begin = Date.parse(one.from);
    for (const [i, mark] of Array.from(one.marks).entries()) {
      counts.set(mark, (counts.get(mark) ?? 0) + 1);
      const at = Math.floor((begin + i * one.periodS * 1000 - first) / hourMs);
      const before = cells[at];
      if (before !== undefined && (before === '-' || (rank.get(mark) ?? 7) < (rank.get(before) ?? 7))) cells[at] = mark;
    }
    return {
      meter: one.meter,
      label: several.has(one.meter) ? `${one.meter} ${one.periodS / 60} min` : one.meter,
      hours: cells,
      counts,
    };
  });
  return { from: first, hours, rows };
}

const rowHeight = 22;
const headHeight = 20;
const minCell = 4;
const colourOf = (styles: CSSStyleDeclaration, mark: string): string =>
  styles.getPropertyValue(`--mark-${mark === '-' ? 'none' : mark}`);

/** Not by colour alone: each mark has its own sign as well, where the square is large enough. */
function sign(
  context: CanvasRenderingContext2D,
  mark: string,
  [x, y, w, h]: readonly [number, number, number, number],
): void {
  if (mark === 'a' || mark === '-') return;
  context.beginPath();
  if (mark === 'u') context.rect(x, y + h / 2, w, h / 2);
  else if (mark === 'o') context.rect(x, y + h / 2 - 1, w, 2);
  else if (mark === 'm') context.rect(x, y, w, 3);
  else if (mark === 'x') context.rect(x + w / 3, y, Math.max(1, w / 3), h);
  else if (mark === 'l') context.rect(x + w / 3, y + h / 3, Math.max(1, w / 3), h / 3);
  else context.rect(x, y + h - 3, w, 3);
  context.fill();
}

type Spot = readonly [row: number, hour: number];
function draw(
  canvas: HTMLCanvasElement,
  { from, hours, rows }: Grid,
  labelWidth: number,
  spot: Spot | undefined,
): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const styles = getComputedStyle(canvas);
  const scale = devicePixelRatio;
  const width = canvas.clientWidth;
  const height = headHeight + rows.length * rowHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  context.scale(scale, scale);
  context.font = '13px system-ui, sans-serif';
  context.textBaseline = 'middle';
  const ink = styles.getPropertyValue('--ink');
  const cell = (width - labelWidth) / Math.max(1, hours);
  rows.forEach(({ label, hours: cells }, row) => {
    const y = headHeight + row * rowHeight;
    context.fillStyle = ink;
    context.fillText(label, 0, y + rowHeight / 2, labelWidth - 6);
    cells.forEach((mark, hour) => {
      const x = labelWidth + hour * cell;
      const box = [x, y + 1, Math.max(1, cell - (cell > 5 ? 1 : 0)), rowHeight - 3] as const;
      context.fillStyle = colourOf(styles, mark);
      context.fillRect(...box);
      context.fillStyle = styles.getPropertyValue('--mark-sign');
      if (cell >= minCell) sign(context, mark, box);
    });
  });
  context.fillStyle = ink;
  let free = labelWidth;
  for (let hour = 0; hour < hours; hour++) {
    const at = from + hour * hourMs;
    if (hour > 0 && hourOf(at).slice(0, 2) !== '00') continue;
    const x = labelWidth + hour * cell;
    if (hour > 0) context.fillRect(x - 1, 0, 1, height);
    const word = dayOf(at);
    const wide = context.measureText(word).width;
    const toMidnight = hour > 0 ? 24 : 24 - Number(hourOf(at).slice(0, 2));
    if (x >= free && x + wide < width && toMidnight * cell > wide + 6) {
      context.fillText(word, x + 3, headHeight / 2);
      free = x + wide + 8;
    }
  }
  if (!spot) return;
  context.strokeStyle = ink;
  context.lineWidth = 2;
  context.strokeRect(labelWidth + spot[1] * cell, headHeight + spot[0] * rowHeight, Math.max(4, cell), rowHeight - 1);
}

const moves: Readonly<Record<string, Spot>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [0, -24],
  PageDown: [0, 24],
};
/** The width of the box, and a redraw where the colours change. */
function useWidth(canvas: { readonly current: HTMLCanvasElement | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const box = canvas.current?.parentElement;
    if (!box) return undefined;
    const observer = new ResizeObserver(() => setWidth(box.clientWidth));
    observer.observe(box);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => setWidth((before) => before + 0.001);
    dark.addEventListener('change', redraw);
    return () => {
      observer.disconnect();
      dark.removeEventListener('change', redraw);
    };
  }, []);
  return width;
}

function Squares({ grid }: { readonly grid: Grid }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [spot, setSpot] = useState<Spot>();
  const width = useWidth(canvas);
  const labelWidth = width < 600 ? 86 : 130;
  const drawn = Math.max(Math.floor(width), labelWidth + grid.hours * minCell);
  useEffect(() => {
    if (canvas.current && width > 0) draw(canvas.current, grid, labelWidth, spot);
  });
  const key = (event: KeyboardEvent) => {
    const move = moves[event.key];
    if (!move || grid.rows.length === 0) return;
    event.preventDefault();
    const bounded = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
    const [row, hour] = spot ?? [0, grid.hours];
    setSpot(
      spot ? [bounded(row + move[0], grid.rows.length), bounded(hour + move[1], grid.hours)] : [0, grid.hours - 1],
    );
  };
  const point = ({ offsetX, offsetY }: MouseEvent) => {
    const row = Math.floor((offsetY - headHeight) / rowHeight);
    const hour = Math.floor(((offsetX - labelWidth) / (drawn - labelWidth)) * grid.hours);
    if (grid.rows[row] && hour >= 0 && hour < grid.hours) setSpot([row, hour]);
  };
  const at = spot && grid.rows[spot[0]];
  const [, hour = 0] = spot ?? [];
  const when = grid.from + hour * hourMs;
  return (
    <>
      {/* Only an application is given the arrow keys by a screen reader. */}
      <div
        class="scroll heat"
        role="application"
        tabIndex={0}
        onKeyDown={key}
        aria-label={`${t('heatTitle')}. ${t('heatHelp')}`}
      >
        <canvas
          ref={canvas}
          width="1"
          height={headHeight + grid.rows.length * rowHeight}
          onClick={point}
          aria-hidden="true"
          style={{ width: `${drawn}px`, height: `${headHeight + grid.rows.length * rowHeight}px` }}
        />
      </div>
      <p class="spot" role="status">
        {at ? (
          <>
            <a href={`#/meter/${encodeURIComponent(at.meter)}`}>{at.label}</a> · {shortTime(when)} –{' '}
            {hourOf(when + hourMs)}: {wordsOf(at.hours[hour] ?? '-')}
          </>
        ) : (
          t('heatHelp')
        )}
      </p>
    </>
  );
}

const share = (counts: ReadonlyMap<string, number>): string => {
  const due = [...counts].reduce((sum, [mark, count]) => (mark === '-' ? sum : sum + count), 0);
  const done = ['a', 'm', 'u', 'o'].reduce((sum, mark) => sum + (counts.get(mark) ?? 0), 0);
  // Rounded down: 100 % is all of them.
  return due === 0 ? '–' : `${Math.floor((done / due) * 100)} %`;
};

export function Completeness() {
  const [days, setDays] = useState(3);
  const asked = useAsked<CompletenessAnswer>(`/v1/completeness?days=${days}`, 30_000);
  const grid = useMemo(() => (asked.value ? gridOf(asked.value) : undefined), [asked.value]);
  const shown = marks.filter(([mark]) => grid?.rows.some(({ counts }) => counts.has(mark)));
  return (
    <>
      <h1>{t('heatTitle')}</h1>
      <DayChoice days={days} of={[1, 3, 7, 30]} choose={setDays} />
      <Answered asked={asked}>
        {() =>
          grid &&
          (grid.rows.length === 0 ? (
            <p>{t('heatNone')}</p>
          ) : (
            <>
              <Squares grid={grid} />
              <p class="small">{shownZone()}</p>
              <h2>{t('legend')}</h2>
              <ul class="legend">
                {marks.toReversed().map(([mark, key]) => (
                  <li>
                    <span class={`swatch mark-${mark === '-' ? 'none' : mark}`} aria-hidden="true" /> {t(key)}
                  </li>
                ))}
              </ul>
              <h2>{t('heatAs')}</h2>
              <Table
                caption={t('heatTitle')}
                head={[t('meterColumn'), t('heatShare'), ...shown.map(([, key]) => t(key))]}
                rows={grid.rows.map(({ meter, label, counts }) => [
                  <a href={`#/meter/${encodeURIComponent(meter)}`}>{label}</a>,
                  share(counts),
                  ...shown.map(([mark]) => counts.get(mark) ?? 0),
                ])}
              />
            </>
          ))
        }
      </Answered>
    </>
  );
}
