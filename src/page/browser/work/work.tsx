/** The wizard: list, scan, commission, display, sign-off. Each step stands in the address, and the work in the browser. */
import { useEffect, useState } from 'preact/hooks';
import type { Snapshot } from '../../../status/snapshot.ts';
import type { Me } from '../api.ts';
import { t, type WorkKey } from '../language.ts';
import { fullTime } from '../words.ts';
import { CheckStep } from './check-step.tsx';
import { CommissionStep } from './commission-step.tsx';
import { useJob } from './job.ts';
import { ListStep } from './list-step.tsx';
import { ScanStep } from './scan-step.tsx';
import { SignStep } from './sign-step.tsx';

const steps: readonly WorkKey[] = ['stepList', 'stepScan', 'stepCommission', 'stepCheck', 'stepSign'];

function Forget({ forget }: { readonly forget: () => void }) {
  const [sure, setSure] = useState(false);
  if (!sure)
    return (
      <button type="button" class="big" onClick={() => setSure(true)}>
        {t('beginAnew')}
      </button>
    );
  return (
    <div class="note" role="alertdialog" aria-label={t('beginAnewSure')}>
      <p>{t('beginAnewSure')}</p>
      <button
        type="button"
        class="big"
        onClick={() => {
          setSure(false);
          forget();
        }}
      >
        {t('yes')}
      </button>
      <button type="button" class="big" onClick={() => setSure(false)}>
        {t('no')}
      </button>
    </div>
  );
}

export function Work({
  snapshot,
  me,
  step,
}: {
  readonly snapshot: Snapshot;
  readonly me: Me;
  readonly step: string | undefined;
}) {
  const store = useJob(snapshot.ports[0]?.name ?? '');
  const { job, resumed, change, forget } = store;
  const at =
    step === undefined || step === '' ? job.step : Math.max(0, Math.min(steps.length - 1, Number(step) - 1 || 0));
  useEffect(() => change({ step: at }), [at]);
  const go = (to: number) => {
    location.hash = `#/work/${to + 1}`;
  };
  const next = () => go(at + 1);
  return (
    <div class="work">
      <h1>{t('work')}</h1>
      {resumed && (
        <div class="note">
          <p>{t('resumed', fullTime(job.began))}</p>
          <Forget
            forget={() => {
              forget();
              go(0);
            }}
          />
        </div>
      )}
      <ol class="steps" aria-label={t('stepOf', at + 1)}>
        {steps.map((key, i) => (
          <li>
            <a href={`#/work/${i + 1}`} aria-current={i === at ? 'step' : undefined}>
              <span class="number">{i + 1}</span> {t(key)}
            </a>
          </li>
        ))}
      </ol>
      <h2>
        {at + 1}. {t(steps[at] as WorkKey)}
      </h2>
      {/* Who may only look sees the reports and records; the gateway refuses the rest. */}
      <fieldset class="bare" disabled={me.permission === 'look'}>
        {at === 0 && <ListStep store={store} snapshot={snapshot} next={next} />}
        {at === 1 && <ScanStep store={store} next={next} />}
        {at === 2 && <CommissionStep store={store} snapshot={snapshot} next={next} />}
        {at === 3 && <CheckStep store={store} next={next} />}
        {at === 4 && <SignStep store={store} />}
      </fieldset>
    </div>
  );
}
