/** A configuration that is refused, or a state that cannot be had. */
import { useState } from 'preact/hooks';
import type { SetupState } from '../../../setup/rows.ts';
import { ask, troubleFrom, type Trouble } from '../api.ts';
import { Badge, TroubleBox } from '../parts.tsx';
import { Findings } from './findings.tsx';
import type { SetupScreen } from './step.ts';
import { s } from './texts.ts';

export function RefusedConfiguration({ state, changed, mayAct }: SetupScreen) {
  const [trouble, setTrouble] = useState<Trouble>();
  const [looked, setLooked] = useState(false);
  const isStart = state.findings.some(({ about }) => about === 'start');
  const again = () => {
    setTrouble(undefined);
    ask<SetupState>('/v1/setup/again', {}).then(
      (found) => {
        changed(found);
        setLooked(found.findings.length > 0);
      },
      (error: unknown) => setTrouble(troubleFrom(error)),
    );
  };
  return (
    <>
      <h1>{s(isStart ? 'startTitle' : 'refusedTitle')}</h1>
      <p>{s('refusedHow')}</p>
      <section>
        <h2>
          {s('file')}: <code>{state.file}</code>
        </h2>
        <Findings findings={state.findings} />
        {looked && (
          <p role="status">
            <Badge of="warn">{s('stillWrong')}</Badge>
          </p>
        )}
        {trouble && <TroubleBox trouble={trouble} />}
        {mayAct && (
          <button type="button" class="big primary" onClick={again}>
            {s('again')}
          </button>
        )}
      </section>
    </>
  );
}
