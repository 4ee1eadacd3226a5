/** What is shown where no configuration is in force: the first run, or what is wrong with the file that is there. */
import { useEffect, useState } from 'preact/hooks';
import type { SetupState } from '../../../setup/rows.ts';
import { ask, type Me, troubleFrom, type Trouble } from '../api.ts';
import { t } from '../language.ts';
import { TroubleBox } from '../parts.tsx';
import { FirstRun } from './first-run.tsx';
import { RefusedConfiguration } from './refused.tsx';

const lookMs = 3000;

export function Setup({ mode, me, done }: { readonly mode: Me['mode']; readonly me: Me; readonly done: () => void }) {
  const [state, setState] = useState<SetupState>();
  const [trouble, setTrouble] = useState<Trouble>();
  const load = () =>
    void ask<SetupState>('/v1/setup').then(
      (found) => {
        setTrouble(undefined);
        setState(found);
      },
      (error: unknown) => setTrouble(troubleFrom(error)),
    );
  useEffect(() => {
    load();
    // When the file is mended the gateway starts by itself; while it starts nobody answers, which is no trouble.
    const timer = setInterval(() => {
      ask<Me>('/v1/me').then(
        (now) => (now.mode === mode ? mode === 'refused' && load() : done()),
        () => {},
      );
    }, lookMs);
    return () => clearInterval(timer);
  }, [mode]);
  if (!state) return trouble ? <TroubleBox trouble={trouble} again={load} /> : <p role="status">{t('loading')}</p>;
  return state.mode === 'refused' ? (
    <RefusedConfiguration state={state} changed={setState} mayAct={me.permission === 'act'} />
  ) : (
    <FirstRun state={state} changed={setState} mayAct={me.permission === 'act'} />
  );
}
