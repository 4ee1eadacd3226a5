/** Second step: who the meters are, and how they are entered. */
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
function Entry({ entry, change }: { readonly entry: Way; readonly change: (entry: Way) => void }) {
  return (
    <>
      <fieldset class="choice">
        <legend>{s('auth')}</legend>
        {kinds.map(([auth, key]) => (
          <button
            type="button"
            class="big"
            aria-pressed={entry.auth === auth}
            onClick={() => change({ ...entry, auth })}
          >
            {s(key)}
          </button>
        ))}
      </fieldset>
      <label>
        {s('client')}
        <input
          type="number"
          inputMode="numeric"
          min={1}
          max={127}
          value={entry.client}
          onChange={({ currentTarget }) => change({ ...entry, client: Number(currentTarget.value) || 1 })}
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={entry.shared}
          onChange={({ currentTarget }) => change({ ...entry, shared: currentTarget.checked })}
        />{' '}
        {s('shared')}
      </label>
    </>
  );
}

export function MetersStep({ draft, enter, next }: StepProps) {
  const line = lineOf(draft);
  const change = (part: Partial<DraftLine>) => enter(lineWith(part));
  const { entries, entry } = line;
  const changeEntry = (i: number, part: Partial<Row>) =>
    change({ entries: entries.map((one, at) => (at === i ? { ...one, ...part } : one)) });
  const field = (i: number, key: 'serial' | 'point' | 'place') => (
    <label>
      {s(key)}
      <input
        type="text"
        spellcheck={false}
        maxLength={200}
        value={entries[i]?.[key] ?? ''}
        onChange={({ currentTarget }) => changeEntry(i, { [key]: currentTarget.value.trim() })}
      />
    </label>
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
            onClick={() => change({ entries: entries.filter((_one, at) => at !== i) })}
          >
            {s('removeShort')}
          </button>
        </fieldset>
      ))}
      <button
        type="button"
        class="big"
        onClick={() =>
          change({ entries: [...entries, { line: entries.length + 1, point: '', serial: '', place: '' }] })
        }
      >
        {s('addMeter')}
      </button>
      <Entry entry={entry} change={(next) => change({ entry: next })} />
      <button type="button" class="big primary" onClick={next}>
        {s('on')}
      </button>
    </>
  );
}
