/** Last step: the report of the site, signed by the gateway, shown and saved. */
import { useState } from 'preact/hooks';
import type { Signed } from '../../../commission/canonical.ts';
import type { SiteReport } from '../../../commission/site-report.ts';
import type { MeterRecord } from '../../../commission/meter-record.ts';
import type { ReportsAnswer } from '../answers.ts';
import { ask, askBlob, troubleFrom, type Trouble } from '../api.ts';
import { sendIfAllArrived } from '../in-order.ts';
import { t, workWords } from '../language.ts';
import { useAsked } from '../live.ts';
import { Answered, Badge, TroubleBox } from '../parts.tsx';
import { fullTime } from '../words.ts';
import { NoteField } from './check-step.tsx';
import { RecordItem } from './commission-step.tsx';
import type { JobStore } from './job.ts';

const isGood = ({ result }: MeterRecord): boolean => result === 'good';
const Records = ({ records }: { readonly records: readonly MeterRecord[] }) => (
  <ul class="findings">
    {records.map((record) => (
      <RecordItem key={record.meter} record={record} />
    ))}
  </ul>
);
/** `m-1 (4711): what is open`: the same of many meters is said once, with all of them. */
function alike(open: readonly string[]): readonly (readonly [what: string, meters: readonly string[]])[] {
  const all = new Map<string, string[]>();
  for (const one of open) {
    const [, meter, what = one] = /^(\S+) \(.*?\): (.*)$/s.exec(one) ?? [];
    all.set(what, [...(all.get(what) ?? []), ...(meter === undefined ? [] : [meter])]);
  }
  return [...all];
}

/** Kinds of findings in the language of the page; sentences as the gateway says them. */
function Open({ what }: { readonly what: string }) {
  const { kindTexts } = workWords();
  const kinds = what.split(', ').map((kind) => Object.entries(kindTexts).find(([key]) => key === kind)?.[1][0]);
  const known = kinds.filter((kind) => kind !== undefined);
  return (
    <b lang={known.length < kinds.length ? 'en' : undefined}>{known.length < kinds.length ? what : known.join(', ')}</b>
  );
}

export function ReportView({ signed }: { readonly signed: Signed<SiteReport> }) {
  const { report, digest } = signed;
  const { state, open, meters, madeAt, who, note } = report;
  const records = meters.map(({ record }) => record);
  const good = records.filter(isGood).length;
  return (
    <section class="report">
      <p role="status">
        <Badge of={state === 'final' ? 'good' : 'warn'}>
          {t('signedAs', t(state === 'final' ? 'stateFinal' : 'statePending'), good, meters.length)}
        </Badge>
      </p>
      <p class="small">{[fullTime(madeAt), who, note].filter(Boolean).join(' · ')}</p>
      <p class="small">
        {t('digest')}: <code class="digest">{digest}</code>
      </p>
      {open.length > 0 && (
        <>
          <h3>
            {t('openItems')} ({open.length})
          </h3>
          <ul class="open-items">
            {alike(open).map(([what, of]) => (
              <li>
                <Open what={what} />
                {of.map((meter) => (
                  <span class="small whole"> · {meter}</span>
                ))}
              </li>
            ))}
          </ul>
        </>
      )}
      <Records records={records.filter((one) => !isGood(one))} />
      <details>
        <summary>
          {t('asTheyShould')} ({good})
        </summary>
        <Records records={records.filter(isGood)} />
      </details>
    </section>
  );
}

function Reports({
  show,
  troubled,
}: {
  readonly show: (signed: Signed<SiteReport>) => void;
  readonly troubled: (error: unknown) => void;
}) {
  const asked = useAsked<ReportsAnswer>('/v1/reports');
  const save = async (name: string, as: string) => {
    try {
      const url = URL.createObjectURL(await askBlob(`/v1/report?name=${encodeURIComponent(name)}&as=${as}`));
      const link = document.createElement('a');
      link.href = url;
      link.download = `${name.replace(/\.json$/, '')}.${as}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      troubled(error);
    }
  };
  return (
    <Answered asked={asked}>
      {({ reports }) =>
        reports.length > 0 && (
          <section>
            <h2>{t('reports')}</h2>
            <ul class="reports">
              {reports.map(({ name, at, state, who }) => (
                <li>
                  <p>
                    {fullTime(at)} · {t(state === 'final' ? 'stateFinal' : 'statePending')} {who && `· ${who}`}
                  </p>
                  <button
                    type="button"
                    class="big"
                    onClick={() =>
                      void ask<Signed<SiteReport>>(`/v1/report?name=${encodeURIComponent(name)}&as=json`).then(
                        show,
                        troubled,
                      )
                    }
                  >
                    {t('showReport')}
                  </button>
                  {['pdf', 'json'].map((as) => (
                    <button
                      type="button"
                      class="big"
                      aria-label={`${as.toUpperCase()}, ${fullTime(at)}`}
                      onClick={() => void save(name, as)}
                    >
                      {as.toUpperCase()}
                    </button>
                  ))}
                </li>
              ))}
            </ul>
          </section>
        )
      }
    </Answered>
  );
}

export function SignStep({ store }: { readonly store: JobStore }) {
  const { job } = store;
  const [note, setNote] = useState('');
  const [asking, setAsking] = useState(false);
  const [signed, setSigned] = useState<Signed<SiteReport>>();
  const [trouble, setTrouble] = useState<Trouble>();
  const troubled = (error: unknown) => setTrouble(troubleFrom(error));
  const sign = () => {
    setAsking(true);
    setTrouble(undefined);
    sendIfAllArrived<Signed<SiteReport>>(
      '/v1/sign-off',
      { ...(job.who !== '' && { who: job.who }), ...(note !== '' && { note }) },
      60_000,
    )
      .then(setSigned, troubled)
      .finally(() => setAsking(false));
  };
  return (
    <>
      <p>{t('signWhy')}</p>
      <NoteField label={t('signNote')} note={note} change={setNote} />
      <button type="button" class="big primary" disabled={asking} onClick={sign}>
        {asking ? t('loading') : t('sign')}
      </button>
      {trouble && <TroubleBox trouble={trouble} />}
      {signed && <ReportView signed={signed} />}
      <Reports key={signed?.digest ?? ''} show={setSigned} troubled={troubled} />
    </>
  );
}
