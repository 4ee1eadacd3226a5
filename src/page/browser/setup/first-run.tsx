/** The first run: five steps, whose answers the gateway stores at once. */
import { useState } from 'preact/hooks';
import type { DraftPart } from '../../../setup/draft.ts';
import type { SetupState } from '../../../setup/rows.ts';
import { ask, troubleFrom, type Trouble } from '../api.ts';
import { TroubleBox } from '../parts.tsx';
import { BrokerStep } from './broker-step.tsx';
import { LineStep } from './line-step.tsx';
import { MetersStep } from './meters-step.tsx';
import { SiteStep } from './site-step.tsx';
import { WriteStep } from './write-step.tsx';
import { type Draft, lineOf, type SetupScreen } from './step.ts';
import { s } from './texts.ts';

const steps = [
  ['stepLine', LineStep],
  ['stepMeters', MetersStep],
  ['stepSite', SiteStep],
  ['stepBroker', BrokerStep],
  ['stepWrite', WriteStep],
] as const;

function doneOf(draft: Draft): readonly boolean[] {
  const line = lineOf(draft);
  const meters = line.entries.length > 0 && line.entries.every(({ point, serial }) => point !== '' && serial !== '');
  return [line.device !== '', meters, draft.site.id !== '' && draft.site.tenant !== '', draft.broker.url !== '', false];
}

export function FirstRun({ state, changed, mayAct }: SetupScreen) {
  const draft = state.draft as Draft;
  const done = doneOf(draft);
  const [step, setStep] = useState(() =>
    draft.own !== null
      ? 4
      : Math.max(
          0,
          done.findIndex((one) => !one),
        ),
  );
  const [trouble, setTrouble] = useState<Trouble>();
  const enter = (part: DraftPart) => {
    changed({ ...state, draft: { ...draft, ...(part as Partial<Draft>) } });
    setTrouble(undefined);
    ask<SetupState>('/v1/setup/enter', part).then(changed, (error: unknown) => setTrouble(troubleFrom(error)));
  };
  const go = (to: number) => {
    setStep(to);
    scrollTo(0, 0);
    document.querySelector<HTMLElement>('main')?.focus();
  };
  const [title, Step] = steps[step] ?? steps[0];
  return (
    <>
      <h1>{s('title')}</h1>
      <p>{s('welcome')}</p>
      {!mayAct && <p class="note">{s('lookOnly')}</p>}
      <nav aria-label={s('steps')} class="first-steps">
        <ol>
          {steps.map(([key], i) => (
            <li>
              <button
                type="button"
                aria-current={i === step ? 'step' : undefined}
                aria-pressed={i === step}
                onClick={() => go(i)}
              >
                {i + 1}. {s(key)}
                {done[i] ? ' ✓' : ''}
              </button>
            </li>
          ))}
        </ol>
      </nav>
      {trouble && <TroubleBox trouble={trouble} />}
      <section>
        <h2>{s(title)}</h2>
        <Step
          draft={draft}
          state={state}
          enter={enter}
          changed={changed}
          next={() => go(Math.min(step + 1, steps.length - 1))}
        />
      </section>
    </>
  );
}
