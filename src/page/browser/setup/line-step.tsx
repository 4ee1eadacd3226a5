/** First step: the line, and who answers on it. */
import { useEffect, useState } from 'preact/hooks';
import type { ScanEvent } from '../../../commission/scan.ts';
import type { WorkList } from '../../../commission/work-list.ts';
import type { FoundLine } from '../../../setup/found-lines.ts';
import { ask, base64Of, troubleFrom, type Trouble } from '../api.ts';
import { Badge, Next, Shape, TroubleBox } from '../parts.tsx';
import { useRun } from '../run.ts';
import { Field } from './field.tsx';
import { type DraftLine, lineOf, lineWith, type StepProps } from './step.ts';
import { s } from './texts.ts';

type Finding = Extract<ScanEvent, { kind: 'finding' }>;
const isMeter = ({ serial, reach }: Finding) => serial !== undefined && reach !== undefined;
/** Rows of the list stay as they are; who else answers comes behind them. */
export function withFound(line: DraftLine, findings: readonly Finding[]): DraftLine {
  const found = findings.filter(isMeter);
  const digits = (serial: string) => serial.replaceAll(/^0+/g, '');
  const known = new Set(line.entries.map(({ serial }) => digits(serial)));
  const fresh = found.filter(({ serial }) => !known.has(digits(serial ?? '')));
  return {
    ...line,
    entries: [
      ...line.entries,
      ...fresh.map(({ serial = '' }, i) => ({ line: line.entries.length + i + 1, point: '', serial, place: '' })),
    ],
    places: found.map(({ serial = '', reach, model, entry }) => ({
      serial: entry?.serial ?? serial,
      ...(reach?.logical !== undefined && { server: reach.logical }),
      ...(reach?.physical !== undefined && { physical: reach.physical }),
      ...(model !== undefined && { model }),
    })),
  };
}

function Lines({ chosen, choose }: { readonly chosen: string; readonly choose: (device: string) => void }) {
  const [lines, setLines] = useState<readonly FoundLine[]>();
  const [trouble, setTrouble] = useState<Trouble>();
  const look = () =>
    void ask<readonly FoundLine[]>('/v1/setup/ports').then(setLines, (error: unknown) =>
      setTrouble(troubleFrom(error)),
    );
  useEffect(look, []);
  return (
    <fieldset class="choice">
      <legend>{s('whichLine')}</legend>
      {trouble && <TroubleBox trouble={trouble} again={look} />}
      {lines?.length === 0 && <p>{s('linesNone')}</p>}
      {lines?.map(({ device, node, adapter, opens, words, next }) => (
        <div>
          <button type="button" class="big" aria-pressed={chosen === device} onClick={() => choose(device)}>
            <Shape of={opens ? 'good' : 'bad'} /> {adapter ?? node} ({node})
          </button>
          {!opens && (
            <p class="small" lang="en">
              {words}
            </p>
          )}
          {next !== null && <Next english>{next}</Next>}
        </div>
      ))}
      <button type="button" onClick={look}>
        {s('lookLines')}
      </button>
    </fieldset>
  );
}

function Scan({
  line,
  taken,
}: {
  readonly line: DraftLine;
  readonly taken: (device: string, findings: readonly Finding[]) => void;
}) {
  const run = useRun<ScanEvent>();
  const [seen, setSeen] = useState({ asked: 0, leftS: 0, answer: 0, ended: false });
  const begin = async (blind: boolean) => {
    const findings: Finding[] = [];
    const heard = new Set<string>();
    setSeen({ asked: 0, leftS: 0, answer: 0, ended: false });
    const { device, baud, link, direction } = line;
    const entries = line.entries.filter(({ serial }) => serial !== '');
    const whole = await run.begin('/v1/setup/scan', { device, baud, link, direction, entries, blind }, (event) => {
      if (event.kind === 'finding') findings.push(event);
      if (event.kind !== 'probe') return;
      if (event.serial !== null) heard.add(event.serial);
      setSeen({ asked: event.done, leftS: event.remainingS, answer: heard.size, ended: false });
    });
    if (!whole) return;
    setSeen((before) => ({ ...before, answer: findings.filter(isMeter).length, ended: true }));
    taken(device, findings);
  };
  return (
    <>
      {line.entries.some(({ serial }) => serial !== '') && (
        <button
          type="button"
          class="big"
          disabled={run.running || line.device === ''}
          onClick={() => void begin(false)}
        >
          {s('scanList')}
        </button>
      )}
      <button type="button" class="big" disabled={run.running || line.device === ''} onClick={() => void begin(true)}>
        {s('scanBlind')}
      </button>
      {run.running && (
        <p role="status">
          {s('scanning', seen.asked, seen.leftS, seen.answer)}{' '}
          <button type="button" onClick={run.stop}>
            {s('stop')}
          </button>
        </p>
      )}
      {run.trouble && <TroubleBox trouble={run.trouble} />}
      {seen.ended && (
        <p role="status">
          <Badge of={seen.answer > 0 ? 'good' : 'warn'}>{s('scanned', seen.answer)}</Badge>
        </p>
      )}
    </>
  );
}

function List({ taken }: { readonly taken: (entries: DraftLine['entries']) => void }) {
  const [trouble, setTrouble] = useState<Trouble>();
  const [list, setList] = useState<WorkList>();
  const read = async (file: File | undefined) => {
    if (!file) return;
    try {
      const octets = base64Of(new Uint8Array(await file.arrayBuffer()));
      const found = await ask<WorkList>('/v1/setup/work-list', { octets });
      setList(found);
      setTrouble(undefined);
      if (!found.findings.some(({ severity }) => severity === 'error')) taken([...found.entries]);
    } catch (error) {
      setTrouble(troubleFrom(error));
    }
  };
  return (
    <>
      <label>
        {s('list')}
        <input
          type="file"
          accept=".csv,.txt,text/csv"
          onChange={({ currentTarget }) => void read(currentTarget.files?.[0])}
        />
      </label>
      {trouble && <TroubleBox trouble={trouble} />}
      {list?.findings.map(({ line, message, next, severity }) => (
        <p lang="en">
          <Shape of={severity === 'error' ? 'bad' : 'warn'} /> {line === undefined ? '' : `${line}: `}
          {message} {next}
        </p>
      ))}
    </>
  );
}

export function LineStep({ draft, enter, next }: StepProps) {
  const line = lineOf(draft);
  const change = (part: Partial<DraftLine>) => enter(lineWith(part));
  // Whoever chose another line meanwhile asks that one.
  const taken = (device: string, findings: readonly Finding[]) =>
    enter((now) => (lineOf(now).device === device ? { lines: [withFound(lineOf(now), findings)] } : {}));
  return (
    <>
      <Lines chosen={line.device} choose={(device) => change({ device })} />
      <Field label={s('device')} spellcheck={false} value={line.device} entered={(device) => change({ device })} />
      <label>
        {s('link')}
        <select
          value={line.link}
          onChange={({ currentTarget }) => change({ link: currentTarget.value as DraftLine['link'] })}
        >
          <option value="hdlc">{s('linkHdlc')}</option>
          <option value="mode-e">{s('linkModeE')}</option>
          <option value="wrapper">{s('linkWrapper')}</option>
        </select>
      </label>
      <Field
        label={s('baud')}
        inputMode="numeric"
        value={line.baud}
        entered={(text) => change({ baud: Number(text) || 9600 })}
      />
      <List taken={(entries) => change({ entries, places: [] })} />
      {line.entries.length > 0 && <p>{s('listTaken', line.entries.length)}</p>}
      <Scan line={line} taken={taken} />
      <button type="button" class="big primary" disabled={line.device === ''} onClick={next}>
        {s('on')}
      </button>
    </>
  );
}
