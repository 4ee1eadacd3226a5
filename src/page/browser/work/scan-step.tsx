/** Second step: who answers on the bus; each finding with what was seen and what to do with one's hands. */
import { useState } from 'preact/hooks';
import type { ScanEvent } from '../../../commission/scan.ts';
import { t, workWords } from '../language.ts';
import { Badge, Next, Shape, TroubleBox } from '../parts.tsx';
import { duration, withLocalTimes } from '../words.ts';
import type { Finding, JobStore } from './job.ts';
import { useRun } from '../run.ts';

const textsOf = ({ verdict }: Finding) =>
  workWords().scanTexts[verdict] ?? { severity: 'bad' as const, short: verdict, nextFi: '' };
const isRight = (finding: Finding): boolean => ['good', 'note'].includes(textsOf(finding).severity);

function FindingItem({ finding }: { readonly finding: Finding }) {
  const { entry, serial, address, evidence, next } = finding;
  const { severity, short, nextFi } = textsOf(finding);
  const name = entry?.serial ?? serial ?? address ?? '–';
  const inFinnish = nextFi !== '';
  return (
    <li class={`finding ${severity}`}>
      <p class="finding-head">
        <Shape of={severity} />
        <b>{name}</b> {short}
      </p>
      <p class="small">{[entry?.place, address && `${t('address')} ${address}`].filter(Boolean).join(' · ')}</p>
      {severity !== 'good' && (
        <>
          <p lang="en">{withLocalTimes(evidence)}</p>
          <Next english={!inFinnish}>{inFinnish ? nextFi : next}</Next>
        </>
      )}
    </li>
  );
}

export function FindingLists({ findings }: { readonly findings: readonly Finding[] }) {
  const wrong = findings.filter((one) => !isRight(one));
  const right = findings.filter(isRight);
  return (
    <>
      {wrong.length > 0 && (
        <section>
          <h3>
            {t('toLookAt')} ({wrong.length})
          </h3>
          <ul class="findings">
            {wrong.map((finding) => (
              <FindingItem finding={finding} />
            ))}
          </ul>
        </section>
      )}
      {right.length > 0 && (
        <details>
          <summary>
            {t('asTheyShould')} ({right.length})
          </summary>
          <ul class="findings">
            {right.map((finding) => (
              <FindingItem finding={finding} />
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

interface Progress {
  readonly done: number;
  readonly leftS: number;
  readonly words: string;
}
/** A bar, and in words how long it takes still. */
export function ProgressBar({
  done,
  all,
  words,
}: {
  readonly done: number;
  readonly all: number;
  readonly words: string;
}) {
  return (
    <div class="progress" role="status">
      <progress value={done} max={Math.max(done, all)} aria-label={words} />
      <p>{words}</p>
    </div>
  );
}

function useScan({ job, change }: JobStore) {
  const run = useRun<ScanEvent>();
  const [progress, setProgress] = useState<Progress>();
  const [note, setNote] = useState<string>();
  const begin = async (fresh: boolean) => {
    const findings: Finding[] = [];
    let ended = false;
    setNote(undefined);
    setProgress({ done: 0, leftS: 0, words: t('loading') });
    change({ scan: 'cut', findings: [], plan: null });
    const wishes = { port: job.port, entries: job.entries, blind: job.blind || job.entries.length === 0, fresh };
    await run.begin('/v1/scan', wishes, (event) => {
      if (event.kind === 'plan') {
        if (event.remark !== null) setNote(event.remark);
      } else if (event.kind === 'probe') {
        const { done, remainingS, address, serial, answer } = event;
        setProgress({ done, leftS: remainingS, words: `${address}: ${serial ?? answer}` });
      } else if (event.kind === 'note') setNote(event.message);
      else if (event.kind === 'line') setNote(`${event.message} (${duration(event.againInS)})`);
      else if (event.kind === 'finding') {
        const { kind: _, ...finding } = event;
        findings.push(finding);
      } else ended = true;
    });
    setProgress(undefined);
    if (ended) change({ scan: 'ended', findings });
  };
  return { run, progress, note, begin };
}

function Underway({ progress, stop }: { readonly progress: Progress; readonly stop: () => void }) {
  const { done, leftS, words } = progress;
  return (
    <>
      <ProgressBar
        done={done}
        all={done + Math.max(1, leftS)}
        words={`${t('asked', done)}, ${t('timeLeft', duration(leftS))} · ${words}`}
      />
      <button type="button" class="big" onClick={stop}>
        {t('stop')}
      </button>
    </>
  );
}

export function ScanStep({ store, next }: { readonly store: JobStore; readonly next: () => void }) {
  const { job, change } = store;
  const { run, progress, note, begin } = useScan(store);
  const right = job.findings.filter(isRight).length;
  return (
    <>
      <p>{t('scanWhy')}</p>
      {job.scan === 'cut' && !run.running && <p class="note">{t('scanCut')}</p>}
      {!run.running && (
        <>
          {job.entries.length > 0 && (
            <label class="check">
              <input
                type="checkbox"
                checked={job.blind}
                onChange={({ currentTarget }) => change({ blind: currentTarget.checked })}
              />
              {t('scanBlind')}
            </label>
          )}
          <button
            type="button"
            class={job.scan === 'ended' ? 'big' : 'big primary'}
            onClick={() => void begin(job.scan === 'ended')}
          >
            {t(job.scan === 'ended' ? 'scanFresh' : job.scan === 'cut' ? 'scanGoOn' : 'scanBegin')}
          </button>
        </>
      )}
      {run.running && progress && <Underway progress={progress} stop={run.stop} />}
      {note && <p lang="en">{note}</p>}
      {run.trouble && <TroubleBox trouble={run.trouble} />}
      {job.scan === 'ended' && !run.running && (
        <>
          <p role="status">
            <Badge of={right === job.findings.length ? 'good' : 'warn'}>
              {t('scanEnd', right, job.findings.length - right)}
            </Badge>
          </p>
          <FindingLists findings={job.findings} />
          <button type="button" class="big primary" onClick={next}>
            {t('onWith')}
          </button>
        </>
      )}
    </>
  );
}
