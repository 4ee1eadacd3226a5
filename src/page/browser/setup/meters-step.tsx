/** Second step: who the meters are, and how they are entered. */
import { Field } from './field.tsx';
import { type DraftLine, lineOf, lineWith, type StepProps } from './step.ts';
import { s } from './texts.ts';

type Row = DraftLine['entries'][number];
const kinds = [
  ['lls', 'authLls'],
  ['none', 'authNone'],
  ['hls-gmac', 'authGmac'],
] as const;

type Way = DraftLine['entry'];
/** How all of them are entered. */
function Entry({ entry, change }: { readonly entry: Way; readonly change: (part: Partial<Way>) => void }) {
  return (
    <>
      <fieldset class="choice">
        <legend>{s('auth')}</legend>
        {kinds.map(([auth, key]) => (
          <button type="button" class="big" aria-pressed={entry.auth === auth} onClick={() => change({ auth })}>
            {s(key)}
          </button>
        ))}
      </fieldset>
      <Field
        label={s('client')}
        inputMode="numeric"
        value={entry.client}
        entered={(text) => change({ client: Number(text) || 1 })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={entry.shared}
          onChange={({ currentTarget }) => change({ shared: currentTarget.checked })}
        />{' '}
        {s('shared')}
      </label>
    </>
  );
}

export function MetersStep({ draft, enter, next }: StepProps) {
  const line = lineOf(draft);
  const { entries, entry } = line;
  const change = (part: (now: DraftLine) => Partial<DraftLine>) => enter((now) => lineWith(part(lineOf(now)))(now));
  const changeRows = (rows: (now: readonly Row[]) => Row[]) => change((now) => ({ entries: rows(now.entries) }));
  const changeEntry = (i: number, part: Partial<Row>) =>
    changeRows((now) => now.map((one, at) => (at === i ? { ...one, ...part } : one)));
  const field = (i: number, key: 'serial' | 'point' | 'place') => (
    <Field
      label={s(key)}
      spellcheck={false}
      maxLength={200}
      value={entries[i]?.[key] ?? ''}
      entered={(text) => changeEntry(i, { [key]: text })}
    />
  );
  return (
    <>
      <p>{s('metersHow')}</p>
      {entries.map((_, i) => (
        <fieldset>
          <legend>{s('meterNumber', i + 1)}</legend>
          {field(i, 'serial')}
          {field(i, 'point')}
          {field(i, 'place')}
          <button
            type="button"
            aria-label={s('remove', entries[i]?.serial || i + 1)}
            onClick={() => changeRows((now) => now.filter((_one, at) => at !== i))}
          >
            {s('removeShort')}
          </button>
        </fieldset>
      ))}
      <button
        type="button"
        class="big"
        onClick={() => changeRows((now) => [...now, { line: now.length + 1, point: '', serial: '', place: '' }])}
      >
        {s('addMeter')}
      </button>
      <Entry entry={entry} change={(part) => change((now) => ({ entry: { ...now.entry, ...part } }))} />
      <button type="button" class="big primary" onClick={next}>
        {s('on')}
      </button>
    </>
  );
}
