/** Third step: who this gateway is. */
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
    <label>
      {s(key)}
      <input
        type="text"
        spellcheck={false}
        autocapitalize="off"
        maxLength={100}
        value={site[key]}
        onChange={({ currentTarget }) => change({ [key]: currentTarget.value.trim() })}
      />
    </label>
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
