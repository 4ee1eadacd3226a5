/** One meter: how it stands, its load curve, registers beside the display, line, gaps, events; and “read now”. */
import { useState } from 'preact/hooks';
import type { ReadingFact } from '../../reading/facts.ts';
import type { SeriesGap } from '../../schedule/series-gaps.ts';
import type { MeterStatus } from '../../schedule/port-report.ts';
import type { PortUses } from '../../status/line-trace.ts';
import type { Snapshot } from '../../status/snapshot.ts';
import type { EventsAnswer, IntervalsAnswer, SiteAnswer } from './answers.ts';
import { ask, type Me, troubleFrom, type Trouble } from './api.ts';
import { EventList } from './events.tsx';
import { t, words } from './language.ts';
import { useAsked } from './live.ts';
import { lazy } from './lazy.tsx';
import { MeterWhy } from './overview.tsx';
import { Answered, DayChoice, Table, TroubleBox, VerdictWord } from './parts.tsx';
import { deviation, duration, fullTime, quantity, shortTime, withLocalTimes } from './words.ts';

/** The library that draws is the largest part of the page: it is loaded here alone. */
const LoadCurve = lazy(async () => (await import('./load-curve.tsx')).LoadCurve);
/** A meter that waits for its turn behind a long back-fill may take so long. */
const readMs = 150_000;

function useReading(meter: string) {
  const [reading, setReading] = useState<ReadingFact>();
  const [asking, setAsking] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const read = () => {
    setAsking(true);
    setTrouble(undefined);
    ask<ReadingFact>('/v1/read', { meter }, readMs)
      .then(setReading, (error: unknown) => setTrouble(troubleFrom(error)))
      .finally(() => setAsking(false));
  };
  return { reading, asking, trouble, read };
}

function Registers({
  meter,
  reading,
  intervals,
}: {
  readonly meter: string;
  readonly reading: ReadingFact | undefined;
  readonly intervals: IntervalsAnswer | undefined;
}) {
  const site = useAsked<SiteAnswer>('/v1/site');
  const displays = site.value?.records.find((record) => record.meter === meter)?.displays ?? [];
  const read = reading
    ? { readAt: reading.readAt, values: Object.entries(reading.registers).map(([obis, value]) => ({ obis, ...value })) }
    : intervals?.registers;
  if (!read) return <p>{t('registersNone')}</p>;
  return (
    <>
      <p class="small">
        {t('readAt', fullTime(read.readAt))}
        {reading && ` · ${t('clockOfMeter')}: ${deviation(reading.clockDeviationS)}`}
        {reading?.disconnector &&
          ` · ${t('switchState')}: ${t(reading.disconnector.output ? 'switchOn' : 'switchOff')}`}
      </p>
      <Table
        caption={t('registers')}
        head={[t('register'), t('registerValue'), t('displayShows')]}
        rows={read.values.map(({ obis, raw, scaler, unit }) => {
          const display = displays.findLast((one) => one.obis === obis);
          return [
            <span class="whole">{obis}</span>,
            quantity(String(raw), scaler, unit),
            display ? `${display.shown} (${display.words})` : t('displayNone'),
          ];
        })}
      />
    </>
  );
}

function LineOf({ status }: { readonly status: MeterStatus }) {
  const asked = useAsked<readonly PortUses[]>('/v1/lines', 15_000);
  return (
    <Answered asked={asked}>
      {(lines) => {
        const use = lines.flatMap(({ uses }) => uses).find(({ meter }) => meter === status.meter);
        if (!use) return <p>{t('lineNone')}</p>;
        const pairs: [string, string][] = [
          [t('answeredColumn'), `${use.answered} / ${use.asked}`],
          [t('answerTimes'), use.p50Ms === null ? '–' : `${use.p50Ms} / ${use.p95Ms ?? '–'} ms`],
          [t('turnAround'), use.turnAroundMs === null ? '–' : `${Math.round(use.turnAroundMs)} ms`],
          [t('wasted'), duration(use.wastedS)],
          [t('damaged'), String(status.damagedFrames)],
          [t('repeated'), String(status.repeatedFrames)],
          ...(use.echoes > 0 ? [[t('echo'), String(use.echoes)] as [string, string]] : []),
        ];
        return (
          <dl class="pairs">
            {pairs.map(([name, value]) => (
              <div>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        );
      }}
    </Answered>
  );
}

const maxGaps = 100;
function Gaps({ gaps }: { readonly gaps: readonly SeriesGap[] }) {
  if (gaps.length === 0) return <p>{t('gapsNone')}</p>;
  return (
    <Table
      caption={t('gaps')}
      head={[t('from'), t('to'), t('intervals'), t('cause')]}
      rows={gaps
        .slice(-maxGaps)
        .toReversed()
        .map(({ from, to, intervals, state }) => [
          shortTime(from),
          shortTime(to),
          intervals,
          words().gapTexts[state] ?? state,
        ])}
    />
  );
}

function Curves({ intervals, gaps }: { readonly intervals: IntervalsAnswer; readonly gaps: readonly SeriesGap[] }) {
  const all = intervals.series.flatMap((series) =>
    series.channels.map(({ obis }, channel) => ({ series, channel, name: `${obis} · ${series.periodS / 60} min` })),
  );
  const [chosen, choose] = useState(0);
  const one = all[chosen] ?? all[0];
  if (!one) return <p>{t('curveNone')}</p>;
  return (
    <>
      {all.length > 1 && (
        <fieldset class="choice">
          <legend>{t('register')}</legend>
          {all.map(({ name }, i) => (
            <button type="button" aria-pressed={i === chosen} onClick={() => choose(i)}>
              {name}
            </button>
          ))}
        </fieldset>
      )}
      <LoadCurve
        series={one.series}
        channel={one.channel}
        gaps={gaps.filter(({ series, periodS }) => series === one.series.series && periodS === one.series.periodS)}
      />
    </>
  );
}

const Ways = ({ status }: { readonly status: MeterStatus }) =>
  status.ways.length > 0 ? (
    <section>
      <h2>{t('ways')}</h2>
      <ul lang="en">
        {status.ways.map((way) => (
          <li>{withLocalTimes(way)}</li>
        ))}
      </ul>
    </section>
  ) : null;

export function MeterScreen({
  id,
  snapshot,
  me,
}: {
  readonly id: string;
  readonly snapshot: Snapshot;
  readonly me: Me;
}) {
  const [days, setDays] = useState(3);
  const status = snapshot.ports.flatMap(({ meters }) => meters).find(({ meter }) => meter === id);
  const path = status ? encodeURIComponent(id) : undefined;
  const intervals = useAsked<IntervalsAnswer>(path && `/v1/intervals?meter=${path}&days=${days}`, 60_000);
  const gaps = useAsked<readonly SeriesGap[]>(path && '/v1/gaps', 60_000);
  const events = useAsked<EventsAnswer>(path && '/v1/events', 60_000);
  const { reading, asking, trouble, read } = useReading(id);
  if (!status) return <p role="alert">{t('noMeter', id)}</p>;
  const own = (gaps.value ?? []).filter(({ meter }) => meter === id);
  return (
    <>
      <h1>{t('meterOf', id)}</h1>
      <p class="small">
        {t('serial')} {status.serial} ·{' '}
        {status.lastSuccess === null ? t('neverSeen') : t('lastSeen', fullTime(status.lastSuccess))} ·{' '}
        {t('clockOfMeter')}: {deviation(status.clockDeviationS)}
      </p>
      <div class="standing">
        <VerdictWord verdict={status.verdict} />
        <MeterWhy meter={status} />
      </div>
      {me.permission === 'act' && (
        <button type="button" class="big" disabled={asking} onClick={read}>
          {asking ? t('polling') : t('pollNow')}
        </button>
      )}
      {trouble && <TroubleBox trouble={trouble} />}
      <section>
        <h2>{t('registers')}</h2>
        <Registers meter={id} reading={reading} intervals={intervals.value} />
      </section>
      <section>
        <h2>{t('loadCurve')}</h2>
        <DayChoice days={days} of={[1, 3, 7]} choose={setDays} />
        <Answered asked={intervals}>{(value) => <Curves intervals={value} gaps={own} />}</Answered>
      </section>
      <section>
        <h2>{t('gaps')}</h2>
        <Answered asked={gaps}>{() => <Gaps gaps={own} />}</Answered>
      </section>
      <section>
        <h2>{t('lineOf')}</h2>
        <LineOf status={status} />
      </section>
      <section>
        <h2>{t('events')}</h2>
        <Answered asked={events}>
          {(value) => <EventList events={value.events.filter(({ meter }) => meter === id)} />}
        </Answered>
      </section>
      <Ways status={status} />
    </>
  );
}
