/** Findings of a configuration: where, the line itself, whose it is, what to do. The words are the gateway's own, which are English. */
import type { ShownFinding } from '../../../setup/shown-finding.ts';
import type { Fault } from '../../../base/errors.ts';
import { faultWords } from '../api.ts';
import { t } from '../language.ts';
import { Next, Shape } from '../parts.tsx';
import { s } from './texts.ts';

export const isFault = ({ severity }: ShownFinding): boolean => severity === 'error' || severity === 'meter';

export const Findings = ({ findings }: { readonly findings: readonly ShownFinding[] }) => (
  <ul class="findings">
    {findings.map((one) => (
      <li>
        <p>
          <Shape of={isFault(one) ? 'bad' : 'warn'} />{' '}
          <span class="small">
            {one.file}
            {one.line !== null && `: ${s('line', one.line, one.column ?? 1)}`}
          </span>
        </p>
        {one.text !== null && (
          <pre class="log" role="region" aria-label={s('line', one.line ?? 1, one.column ?? 1)} tabIndex={0}>
            {one.text}
          </pre>
        )}
        <p lang="en">
          {one.path === '' ? '' : `${one.path}: `}
          {one.message}
        </p>
        <p>
          {t('whose')}: {faultWords(one.fault as Fault)}
        </p>
        <Next english>{one.next}</Next>
      </li>
    ))}
  </ul>
);
