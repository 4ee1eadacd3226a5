/** Third step: who this gateway is. */
import { Field } from './field.tsx';
import type { StepProps } from './step.ts';
import { s } from './texts.ts';

/** Those that this browser knows; that of the browser first. */
const zones = (): readonly string[] => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return [...new Set([own, 'UTC', ...Intl.supportedValuesOf('timeZone')])];
};

export function SiteStep({ draft, enter, next }: StepProps) {
  const { site } = draft;
  const change = (part: Partial<typeof site>) => enter((now) => ({ site: { ...now.site, ...part } }));
  const field = (key: 'id' | 'tenant') => (
    <Field
      label={s(key)}
      spellcheck={false}
      autocapitalize="off"
      maxLength={100}
      value={site[key]}
      entered={(text) => change({ [key]: text })}
    />
  );
  return (
    <>
      {field('id')}
      {field('tenant')}
      <label>
        {s('zone')}
        <select value={site.timeZone} onChange={({ currentTarget }) => change({ timeZone: currentTarget.value })}>
          {zones().map((zone) => (
            <option value={zone}>{zone}</option>
          ))}
        </select>
      </label>
      <button type="button" class="big primary" onClick={next}>
        {s('on')}
      </button>
    </>
  );
}
