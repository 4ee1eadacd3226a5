/** The first run: five steps, whose answers the gateway stores at once. */
import { useRef, useState } from 'preact/hooks';
import type { SetupState } from '../../../setup/rows.ts';
import { troubleFrom, type Trouble } from '../api.ts';
import { TroubleBox } from '../parts.tsx';
import { BrokerStep } from './broker-step.tsx';
import { send } from '../in-order.ts';
import { LineStep } from './line-step.tsx';
import { MetersStep } from './meters-step.tsx';
import { SiteStep } from './site-step.tsx';
import { WriteStep } from './write-step.tsx';
import { type Draft, lineOf, type SetupScreen, type StepProps } from './step.ts';
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

/** What is left when the gateway has `part`; what was entered since then is another value. */
const without = (entered: Partial<Draft>, part: Partial<Draft>): Partial<Draft> =>
  Object.fromEntries(Object.entries(entered).filter(([key, value]) => part[key as keyof Draft] !== value));

/** What was entered stands over what the gateway says, until the gateway has it. */
function useDraft({ state, changed }: Pick<SetupScreen, 'state' | 'changed'>) {
  const [entered, setEntered] = useState<Partial<Draft>>({});
  const [trouble, setTrouble] = useState<Trouble>();
  const draft: Draft = { ...(state.draft as Draft), ...entered };
  const now = useRef(draft);
  now.current = draft;
  const failed = (error: unknown) => setTrouble(troubleFrom(error));
  const enter: StepProps['enter'] = (partOf) => {
    const part = partOf(now.current) as Partial<Draft>;
    now.current = { ...now.current, ...part };
    setEntered((before) => ({ ...before, ...part }));
    setTrouble(undefined);
    send<SetupState>('/v1/setup/enter', part).then((answer) => {
      changed(answer);
      setEntered((before) => without(before, part));
    }, failed);
  };
  const forget = () => {
    setEntered({});
    send<SetupState>('/v1/setup/forget', {}).then(changed, failed);
  };
  return { draft, trouble, enter, forget };
}

export function FirstRun({ state, changed, mayAct }: SetupScreen) {
  const { draft, trouble, enter, forget } = useDraft({ state, changed });
  const done = doneOf(draft);
  const [step, setStep] = useState(() =>
    draft.own !== null
      ? 4
      : Math.max(
          0,
          done.findIndex((one) => !one),
        ),
  );
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
                {/* It takes its room before it is seen: nothing below moves away from under a finger. */}
                <span class={done[i] ? '' : 'unseen'}> ✓</span>
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
          forget={forget}
          next={() => go(Math.min(step + 1, steps.length - 1))}
        />
      </section>
    </>
  );
}
