/** First step: which bus, who works, and the list of the office. */
import { useState } from 'preact/hooks';
import type { WorkList } from '../../../commission/work-list.ts';
import type { Snapshot } from '../../../status/snapshot.ts';
import { ask, base64Of, troubleFrom, type Trouble } from '../api.ts';
import { t } from '../language.ts';
import { Badge, Next, Shape, TroubleBox } from '../parts.tsx';
import type { JobStore } from './job.ts';

const maxOctets = 44 * 1024;

function Findings({ findings }: { readonly findings: WorkList['findings'] }) {
  return (
    <ul class="findings" lang="en">
      {findings.map(({ severity, line, column, message, next }) => (
        <li>
          <p>
            <Shape of={severity === 'error' ? 'bad' : 'warn'} /> {line === undefined ? '' : `${t('listLine', line)}: `}
            {column === undefined ? '' : `${column} `}
            {message}
          </p>
          <Next english>{next}</Next>
        </li>
      ))}
    </ul>
  );
}

/** Reads a list at the gateway: what is wrong with it, or the work begins with it. */
function useList(change: JobStore['change']) {
  const [list, setList] = useState<WorkList>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [asking, setAsking] = useState(false);
  const failed = (error: unknown) => setTrouble(troubleFrom(error));
  const take = (octets: Uint8Array) => {
    setList(undefined);
    if (octets.length > maxOctets)
      return setTrouble({
        what: t('listTooLarge'),
        whose: t('faultOfOperator'),
        next: t('listFile'),
        status: 0,
        english: false,
      });
    setTrouble(undefined);
    setAsking(true);
    ask<WorkList>('/v1/work-list', { octets: base64Of(octets) })
      .then((read) => {
        setList(read);
        if (!read.findings.some(({ severity }) => severity === 'error'))
          change({ entries: read.entries, scan: 'none', findings: [], plan: null, commission: 'none' });
      }, failed)
      .finally(() => setAsking(false));
  };
  const file = (given: File | undefined) =>
    void given?.arrayBuffer().then((buffer) => take(new Uint8Array(buffer)), failed);
  return { list, trouble, asking, take, file };
}

function Where({ store, snapshot }: { readonly store: JobStore; readonly snapshot: Snapshot }) {
  const { job, change } = store;
  return (
    <>
      <fieldset class="choice">
        <legend>{t('whichBus')}</legend>
        {snapshot.ports.map(({ name }) => (
          <button
            type="button"
            class="big"
            aria-pressed={job.port === name}
            onClick={() => change({ port: name, scan: 'none', findings: [], plan: null })}
          >
            {name}
          </button>
        ))}
      </fieldset>
      <label>
        {t('who')}
        <input
          type="text"
          autocomplete="name"
          maxLength={100}
          value={job.who}
          onInput={({ currentTarget }) => change({ who: currentTarget.value })}
        />
      </label>
    </>
  );
}

interface Props {
  readonly store: JobStore;
  readonly snapshot: Snapshot;
  readonly next: () => void;
}
export function ListStep({ store, snapshot, next }: Props) {
  const { job, change } = store;
  const [pasted, setPasted] = useState('');
  const { list, trouble, asking, take, file } = useList(change);
  const errors = (list?.findings ?? []).filter(({ severity }) => severity === 'error').length;
  return (
    <>
      <Where store={store} snapshot={snapshot} />
      <p>{t('listHow')}</p>
      <label>
        {t('listFile')}
        <input
          type="file"
          accept=".csv,.txt,text/csv"
          onChange={({ currentTarget }) => file(currentTarget.files?.[0])}
        />
      </label>
      <label>
        {t('listPaste')}
        <textarea
          rows={5}
          spellcheck={false}
          value={pasted}
          placeholder="point;serial;place;fuse;transformer ratio"
          onInput={({ currentTarget }) => setPasted(currentTarget.value)}
        />
      </label>
      {pasted.trim() !== '' && (
        <button type="button" class="big" disabled={asking} onClick={() => take(new TextEncoder().encode(pasted))}>
          {t('listTake')}
        </button>
      )}
      {asking && <p role="status">{t('loading')}</p>}
      {trouble && <TroubleBox trouble={trouble} />}
      {errors > 0 && <Badge of="bad">{t('listFaults', errors)}</Badge>}
      {list && list.findings.length > 0 && <Findings findings={list.findings} />}
      {job.entries.length > 0 && errors === 0 && (
        <p role="status">
          <Badge of="good">{t('listFound', job.entries.length)}</Badge>
        </p>
      )}
      <button type="button" class="big primary" disabled={errors > 0} onClick={next}>
        {job.entries.length > 0 ? t('onWith') : t('listNone')}
      </button>
    </>
  );
}
