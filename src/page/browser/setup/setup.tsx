/** What is shown where no configuration is in force: the first run, or what is wrong with the file that is there. */
import type { Me } from '../api.ts';
import { t } from '../language.ts';
import { Next } from '../parts.tsx';

export function Setup({ mode }: { readonly mode: Me['mode']; readonly me: Me; readonly done: () => void }) {
  return (
    <>
      <h1>{t(mode === 'refused' ? 'setupRefused' : 'setupFirst')}</h1>
      <Next>{t(mode === 'refused' ? 'configNext' : 'setupFirstNext')}</Next>
    </>
  );
}
