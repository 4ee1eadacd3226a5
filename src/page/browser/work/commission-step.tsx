/** Third step: each meter read as it will be polled, what is wrong with it, and the good ones into the configuration. */
import { useState } from 'preact/hooks';
import type { CommissionEvent } from '../../../commission/commission.ts';
import type { MeterRecord, StepName } from '../../../commission/meter-record.ts';
import type { CommissionWishes, MetersTaken } from '../../../desk/site-wishes.ts';
import type { Snapshot } from '../../../status/snapshot.ts';
import type { SiteAnswer } from '../answers.ts';
import { ask, troubleFrom, type Trouble } from '../api.ts';
import { t, workWords } from '../language.ts';
import { useAsked } from '../live.ts';
import { Badge, Next, Shape, TroubleBox } from '../parts.tsx';
import { deviation, duration, withLocalTimes } from '../words.ts';
import { type Job, type JobStore, type KeyChoice } from './job.ts';
import { useRun } from '../run.ts';
import { ProgressBar } from './scan-step.tsx';

const stepKeys = {
  identity: 'stepIdentity',
  registers: 'stepRegisters',
  profile: 'stepProfile',
  day: 'stepDay',
  line: 'stepLine',
} as const satisfies Record<StepName, string>;

/** What was measured, in one line. */
function facts({ steps }: MeterRecord): string {
  const { identity, registers, profile, day, line } = steps;
  const ct = registers?.currentTransformer;
  return [
    identity?.detected,
    identity && `${t('clock')}: ${deviation(identity.deviationS)}`,
    ct && t('ratioOf', `${ct.numerator}/${ct.denominator}`),
    profile && `${profile.obis} ${profile.periodS / 60} min`,
    day && `24 h: ${day.rows}/${day.expected}`,
    line && `${Math.round(line.medianMs ?? 0)} ms`,
  ]
    .filter(Boolean)
    .join(' · ');
}

export function RecordItem({ record }: { readonly record: MeterRecord }) {
  const { serial, place, result, findings } = record;
  const of = result === 'good' ? (findings.length > 0 ? 'note' : 'good') : result === 'failed' ? 'bad' : 'unknown';
  return (
    <li class={`finding ${of}`}>
      <p class="finding-head">
        <Shape of={of} />
        <b>{serial}</b> {t(result === 'good' ? 'resultGood' : result === 'failed' ? 'resultFailed' : 'resultBegun')}
      </p>
      <p class="small">{[place, facts(record)].filter(Boolean).join(' · ')}</p>
      {findings.map(({ kind, severity, what, next }) => {
        const [short, nextFi] = workWords().kindTexts[kind] ?? [kind, ''];
        const inFinnish = nextFi !== '';
        return (
          <div class={`what ${severity}`}>
            <p>
              <b>
                {t(severity === 'fault' ? 'isFault' : 'isNote')}: {short}.
              </b>{' '}
              <span lang="en">{withLocalTimes(what)}</span>
            </p>
            <Next english={!inFinnish}>{inFinnish ? nextFi : next}</Next>
          </div>
        );
      })}
    </li>
  );
}
const order = { failed: 0, begun: 1, good: 2 } as const;

function Keys({
  job,
  change,
  snapshot,
}: {
  readonly job: Job;
  readonly change: JobStore['change'];
  readonly snapshot: Snapshot;
}) {
  const meters = snapshot.ports.find(({ name }) => name === job.port)?.meters ?? [];
  const { keys } = job;
  const byHand = keys.client !== undefined;
  const field = (
    name: keyof KeyChoice,
    key: 'client' | 'auth' | 'secretRef' | 'encryptionRef' | 'authenticationRef',
  ) => (
    <label>
      {t(key)}
      <input
        type="text"
        value={keys[name] ?? ''}
        onInput={({ currentTarget }) => change({ keys: { ...keys, [name]: currentTarget.value }, plan: null })}
      />
    </label>
  );
  return (
    <fieldset class="choice">
      <legend>{t('keysHow')}</legend>
      {meters.length > 0 && (
        <button
          type="button"
          class="big"
          aria-pressed={!byHand && keys.like === undefined}
          onClick={() => change({ keys: {}, plan: null })}
        >
          {t('asFirst')}
        </button>
      )}
      <button
        type="button"
        class="big"
        aria-pressed={byHand}
        onClick={() => change({ keys: { client: '17', auth: 'lls', secret: 'credential:meter_password' }, plan: null })}
      >
        {t('byHand')}
      </button>
      {byHand && (
        <div class="fields">
          {field('client', 'client')}
          {field('auth', 'auth')}
          {field('secret', 'secretRef')}
          {field('encryptionKey', 'encryptionRef')}
          {field('authenticationKey', 'authenticationRef')}
          <p class="small">{t('secretHelp')}</p>
        </div>
      )}
    </fieldset>
  );
}

/** Rows of the list that a scan found, or did not; without a list, meters that are configured already. */
function planOf({ port, entries, findings, keys }: Job, snapshot: Snapshot): Promise<CommissionWishes> {
  if (entries.length === 0) {
    const meters = snapshot.ports.find(({ name }) => name === port)?.meters ?? [];
    return Promise.resolve({ meters: meters.map(({ meter }) => meter) });
  }
  const found = entries.map((entry) => {
    const finding = findings.find((one) => one.entry?.line === entry.line);
    const { serial, reach } = finding ?? {};
    return {
      entry,
      ...(serial !== undefined && { serial }),
      ...(reach && { reach: { logical: reach.logical, physical: reach.physical ?? null } }),
    };
  });
  const { client, like, ...references } = keys;
  // What was left empty is not given.
  const given = Object.fromEntries(Object.entries(references).filter(([, value]) => value.trim() !== ''));
  return ask<CommissionWishes>('/v1/commission/plan', {
    port,
    found,
    ...(like !== undefined && { like }),
    ...(client !== undefined && { client: Number(client) }),
    ...given,
  });
}

interface Props {
  readonly store: JobStore;
  readonly snapshot: Snapshot;
  readonly next: () => void;
}
interface Under {
  readonly number: number;
  readonly of: number;
  readonly leftS: number | null;
  readonly words: string;
}

function useCommission({ job, change }: JobStore, snapshot: Snapshot) {
  const run = useRun<CommissionEvent>();
  const site = useAsked<SiteAnswer>('/v1/site');
  const [fresh, setFresh] = useState<readonly MeterRecord[]>([]);
  const [under, setUnder] = useState<Under>();
  const [trouble, setTrouble] = useState<Trouble>();
  const begin = async () => {
    setTrouble(undefined);
    setFresh([]);
    setUnder({ number: 0, of: 1, leftS: null, words: t('loading') });
    let plan: CommissionWishes;
    try {
      plan = job.plan ?? (await planOf(job, snapshot));
    } catch (error) {
      setUnder(undefined);
      return setTrouble(troubleFrom(error));
    }
    change({ plan, commission: 'cut' });
    const ended = await run.begin('/v1/commission', { ...plan, ...(job.who !== '' && { who: job.who }) }, (event) => {
      if (event.event === 'meter')
        setUnder({ number: event.number, of: event.of, leftS: event.leftS, words: event.meter });
      else if (event.event === 'step')
        setUnder((before) => before && { ...before, words: `${event.meter}: ${t(stepKeys[event.step])}` });
      else if (event.event === 'result') setFresh((before) => [...before, event.record]);
    });
    setUnder(undefined);
    if (ended) change({ commission: 'ended' });
    site.again();
  };
  const names = new Set([
    ...(job.plan?.meters ?? []),
    ...(job.plan?.proposals ?? []).map(({ keys }) => String(keys['id'])),
  ]);
  const before = (site.value?.records ?? []).filter(
    ({ meter }) => names.has(meter) && !fresh.some((one) => one.meter === meter),
  );
  const records = [...fresh, ...before].toSorted((a, b) => order[a.result] - order[b.result]);
  return { run, under, records, begin, trouble: trouble ?? run.trouble };
}

function Underway({ under, stop }: { readonly under: Under; readonly stop: () => void }) {
  const { number, of, leftS, words } = under;
  const left = leftS === null ? '' : `, ${t('timeLeft', duration(leftS))}`;
  return (
    <>
      <ProgressBar done={number} all={of} words={`${t('meterOfAll', number, of)}${left} · ${words}`} />
      <button type="button" class="big" onClick={stop}>
        {t('stop')}
      </button>
    </>
  );
}

export function CommissionStep({ store, snapshot, next }: Props) {
  const { job, change } = store;
  const { run, under, records, begin, trouble } = useCommission(store, snapshot);
  const good = records.filter(({ result }) => result === 'good').length;
  const label = { ended: 'commissionAgain', cut: 'commissionGoOn', none: 'commissionBegin' } as const;
  return (
    <>
      <p>{t('commissionWhy')}</p>
      {job.entries.length > 0 && !run.running && <Keys job={job} change={change} snapshot={snapshot} />}
      {!run.running && (
        <button
          type="button"
          class={job.commission === 'ended' ? 'big' : 'big primary'}
          disabled={under !== undefined}
          onClick={() => void begin()}
        >
          {t(label[job.commission])}
        </button>
      )}
      {run.running && under && <Underway under={under} stop={run.stop} />}
      {trouble && <TroubleBox trouble={trouble} />}
      {records.length > 0 && (
        <>
          <p role="status">
            <Badge of={good === records.length ? 'good' : 'warn'}>
              {t('commissionEnd', good, records.length - good)}
            </Badge>
          </p>
          <ul class="findings">
            {records.map((record) => (
              <RecordItem key={record.meter} record={record} />
            ))}
          </ul>
        </>
      )}
      {!run.running && records.length > 0 && (
        <>
          <Take job={job} records={records} snapshot={snapshot} />
          <button type="button" class="big primary" onClick={next}>
            {t('onWith')}
          </button>
        </>
      )}
    </>
  );
}

/** Good meters that the gateway does not poll yet. */
function Take({
  job,
  records,
  snapshot,
}: {
  readonly job: Job;
  readonly records: readonly MeterRecord[];
  readonly snapshot: Snapshot;
}) {
  const [taken, setTaken] = useState<MetersTaken>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [asking, setAsking] = useState(false);
  const polled = new Set(snapshot.ports.flatMap(({ meters }) => meters.map(({ meter }) => meter)));
  const proposals = (job.plan?.proposals ?? []).filter(({ keys }) => {
    const id = String(keys['id']);
    return !polled.has(id) && records.some(({ meter, result }) => meter === id && result === 'good');
  });
  const take = () => {
    setAsking(true);
    setTrouble(undefined);
    ask<MetersTaken>('/v1/commission/take', { proposals, ...(job.who !== '' && { who: job.who }) }, 90_000)
      .then(setTaken, (error: unknown) => setTrouble(troubleFrom(error)))
      .finally(() => setAsking(false));
  };
  return (
    <>
      {taken && (
        <p role="status">
          <Badge of="good">{t('written', taken.written.length)}</Badge>
        </p>
      )}
      {trouble && <TroubleBox trouble={trouble} />}
      {proposals.length > 0 && !taken && (
        <button type="button" class="big" disabled={asking} onClick={take}>
          {asking ? t('loading') : t('write', proposals.length)}
        </button>
      )}
    </>
  );
}
