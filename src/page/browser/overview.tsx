/** The first screen: who needs somebody and why, the bus with its meters, and the state of the gateway itself. */
import type { BusFault } from '../../schedule/bus-fault.ts';
import type { MeterStatus } from '../../schedule/port-report.ts';
import type { PortStatus, Snapshot } from '../../status/snapshot.ts';
import { faultWords, nextWords } from './api.ts';
import { t } from './language.ts';
import { Badge, Next, Shape, textsOf, VerdictWord } from './parts.tsx';
import { deviation, duration, fullTime, shortTime, withLocalTimes } from './words.ts';

const needsSomebody = ({ verdict, alarms, clockVerdict }: MeterStatus): boolean =>
  ['bad', 'warn'].includes(textsOf(verdict).severity) || alarms.length > 0 || clockVerdict !== null;

/** What happened and what to do, as the command line says it. */
export function MeterWhy({ meter }: { readonly meter: MeterStatus }) {
  const {
    verdict,
    lastError,
    lastCode,
    fault,
    nextStep,
    failures,
    clockVerdict,
    clockNextStep,
    clockDeviationS,
    alarms,
  } = meter;
  const tries = failures > 1 ? ` (${t('failures', failures)})` : '';
  return (
    <div class="why">
      {verdict !== 'REACHABLE' && <p>{textsOf(verdict).meaning}</p>}
      {lastError && (
        <p class="evidence">
          {faultWords(fault)}
          {tries}: <span lang="en">{withLocalTimes(lastError)}</span>
        </p>
      )}
      {lastError && <Next>{nextWords(lastCode, nextStep)}</Next>}
      {verdict === 'LINE_QUALITY' && !lastError && <Next>{t('qualityNext')}</Next>}
      {clockVerdict && (
        <>
          <p>
            <code>{clockVerdict}</code> {t('clockOfMeter')}: {deviation(clockDeviationS)}
          </p>
          {clockNextStep && <Next english>{clockNextStep}</Next>}
        </>
      )}
      {alarms.map((alarm) => (
        <p lang="en">! {withLocalTimes(alarm)}</p>
      ))}
    </div>
  );
}

function MeterNode({ meter, port }: { readonly meter: MeterStatus; readonly port: PortStatus }) {
  const { meter: id, serial, verdict, lastSuccess, intervalsMissing } = meter;
  const working = port.activity === id;
  const inBus = port.busFault?.meters.includes(id);
  const ill = needsSomebody(meter) && !inBus;
  return (
    <li class={`node ${textsOf(verdict).severity}`}>
      <a class="node-head" href={`#/meter/${encodeURIComponent(id)}`}>
        <Shape of={textsOf(verdict).severity} />
        <span class="node-text">
          <span class="name">{id}</span> <b class="word">{textsOf(verdict).short}</b>{' '}
          {working && <span class="working">» {t('atWork')}</span>}
          <span class="small">
            {id.includes(serial) ? '' : `${serial} · `}
            {lastSuccess === null ? t('neverSeen') : t('lastSeen', shortTime(lastSuccess))}
            {intervalsMissing > 0 && ` · ${t('missing', intervalsMissing)}`}
          </span>
        </span>
      </a>
      {ill && <MeterWhy meter={meter} />}
    </li>
  );
}

function BusFaultBox({ busFault }: { readonly busFault: BusFault }) {
  const { code, fault, why, nextStep } = busFault;
  return (
    <div class="trouble">
      <Shape of="bad" />
      <div>
        <p>
          <b>{textsOf('BUS_FAULT').meaning}</b>
        </p>
        <p class="evidence">
          {faultWords(fault)}: <span lang="en">{withLocalTimes(why)}</span>
        </p>
        <Next>{nextWords(code, nextStep)}</Next>
      </div>
    </div>
  );
}

const answering = new Set(['REACHABLE', 'SUPPLY_OFF_BY_METER_SWITCH', 'LINE_QUALITY']);
function Bus({ port }: { readonly port: PortStatus }) {
  const { name, device, open, error, trouble, busFault, meters } = port;
  const state = open ? t('portOpen') : t(error === null ? 'portNotOpen' : 'portClosed');
  return (
    <section class="bus" aria-labelledby={`bus-${name}`}>
      <h2 id={`bus-${name}`}>{t('bus', name)}</h2>
      <p class="small">
        {device} · {state} ·{' '}
        {t('busAnswers', meters.filter(({ verdict }) => answering.has(verdict)).length, meters.length)}
      </p>
      {error !== null && !busFault && <p lang="en">{error}</p>}
      {trouble !== null && <p lang="en">! {trouble}</p>}
      {busFault && <BusFaultBox busFault={busFault} />}
      <ol class={`wire ${busFault ? 'broken' : ''}`} aria-label={t('busOrder')}>
        {meters.map((meter) => (
          <MeterNode key={meter.meter} meter={meter} port={port} />
        ))}
      </ol>
    </section>
  );
}

/** One sentence for each meter that needs somebody: it is read before anything else. */
function Headline({ snapshot }: { readonly snapshot: Snapshot }) {
  const all = snapshot.ports.flatMap(({ meters }) => meters);
  const isBad = ({ verdict }: MeterStatus): boolean => textsOf(verdict).severity === 'bad';
  // Whoever does not deliver stands before whoever only needs a look.
  const ill = all.filter(needsSomebody).toSorted((a, b) => Number(isBad(b)) - Number(isBad(a)));
  const unknown = all.filter(({ verdict }) => verdict === 'UNKNOWN').length;
  if (all.length === 0)
    return (
      <div class="headline">
        <Badge of="unknown">{t('noMeters')}</Badge>
        <Next>
          <a href="#/work">{t('noMetersNext')}</a>
        </Next>
      </div>
    );
  if (ill.length === 0)
    return (
      <div class="headline">
        {unknown > 0 ? (
          <Badge of="unknown">{t('someUnknown', unknown, all.length)}</Badge>
        ) : (
          <Badge of="good">{all.length === 1 ? t('allWellOne') : t('allWell', all.length)}</Badge>
        )}
      </div>
    );
  return (
    <div class="headline">
      <Badge of={ill.some(isBad) ? 'bad' : 'warn'}>
        {ill.length === 1 ? t('oneIll', all.length) : t('someIll', ill.length, all.length)}
      </Badge>
      <ul class="ill">
        {ill.slice(0, 12).map(({ meter, verdict, clockVerdict }) => (
          <li>
            <a href={`#/meter/${encodeURIComponent(meter)}`}>{meter}</a>: <VerdictWord verdict={verdict} /> ·{' '}
            {clockVerdict && verdict === 'REACHABLE' ? <code>{clockVerdict}</code> : textsOf(verdict).meaning}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface TileProps {
  readonly name: string;
  readonly of: 'good' | 'warn' | 'bad' | 'unknown';
  readonly words: string;
  readonly more?: string | null;
  readonly next?: string | undefined;
}
const Tile = ({ name, of, words, more, next }: TileProps) => (
  <li class="tile">
    <h3>{name}</h3>
    <p>
      <Badge of={of}>{words}</Badge>
    </p>
    {more && (
      <p class="small" lang={of === 'good' ? undefined : 'en'}>
        {withLocalTimes(more)}
      </p>
    )}
    {next && <Next>{next}</Next>}
  </li>
);

function tilesOf({ broker, store, time, configuration, at }: Snapshot): TileProps[] {
  const { trust, trouble } = time;
  const trusted = trust !== 'untrusted' && trouble === null;
  const trustWord = trusted ? t(trust === 'kernel' ? 'trustKernel' : 'trustSystem') : t('trustNone');
  const damage = store.damage.quarantined + store.damage.missing;
  const refused = configuration?.refused;
  return [
    {
      name: t('broker'),
      of: broker.connected && broker.trouble === null ? 'good' : broker.connected ? 'warn' : 'bad',
      words: broker.connected ? t('connected') : t('notConnected'),
      more: broker.trouble ?? t('sentCount', broker.sent, broker.acknowledged),
      next: broker.connected ? undefined : t('brokerNext'),
    },
    {
      name: t('backlog'),
      // Some wait always; none of them gets through where the broker or the head-end has a trouble.
      of: store.pending === 0 || (broker.connected && broker.trouble === null) ? 'good' : 'warn',
      words: store.pending === 0 ? t('nothingWaits') : t('waiting', store.pending),
    },
    {
      name: t('clock'),
      of: trusted ? 'good' : 'bad',
      words: fullTime(at),
      more: trusted ? trustWord : `${trustWord}${trouble ? ` (${trouble})` : ''}`,
      next: trusted ? undefined : t('trustNext'),
    },
    {
      name: t('disk'),
      of: store.failure ? 'bad' : damage > 0 ? 'warn' : 'good',
      words: store.failure
        ? t('diskFailed')
        : damage > 0
          ? t('diskDamage', store.damage.quarantined, store.damage.missing)
          : t('diskGood'),
      more: store.failure ?? null,
      next: store.failure ? t('diskNext') : undefined,
    },
    {
      name: t('config'),
      of: refused ? 'bad' : (configuration?.warnings.length ?? 0) > 0 ? 'warn' : 'good',
      words: refused
        ? t('configRefused', shortTime(refused.at))
        : t('configSince', shortTime(configuration?.since ?? at)),
      more: refused ? refused.why : (configuration?.warnings.join('; ') ?? null),
      next: refused ? t('configNext') : undefined,
    },
  ];
}

export function Overview({ snapshot }: { readonly snapshot: Snapshot }) {
  return (
    <>
      <h1>{t('overview')}</h1>
      <Headline snapshot={snapshot} />
      <div class="buses">
        {snapshot.ports.map((port) => (
          <Bus key={port.name} port={port} />
        ))}
      </div>
      <section aria-labelledby="state">
        <h2 id="state">{t('gatewayOf')}</h2>
        <ul class="tiles">
          {tilesOf(snapshot).map((tile) => (
            <Tile key={tile.name} {...tile} />
          ))}
        </ul>
        <p class="small">
          {snapshot.gateway} · {t('version')} {snapshot.version} · {t('upSince', duration(snapshot.uptimeS))} ·{' '}
          {Math.round(snapshot.rssBytes / 2 ** 20)} MiB
        </p>
      </section>
    </>
  );
}
