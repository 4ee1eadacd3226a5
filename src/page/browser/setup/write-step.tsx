/** Last step: what will be written, what is in its way, and the secrets that it needs; a backup or a file of one's own as well. */
import { useEffect, useState } from 'preact/hooks';
import type { EffectiveConfiguration, SetupState, Written } from '../../../setup/rows.ts';
import { base64Of, troubleFrom, type Trouble } from '../api.ts';
import { fullTime } from '../words.ts';
import { Badge, TroubleBox } from '../parts.tsx';
import { Findings, isFault } from './findings.tsx';
import { askAbout, send } from '../in-order.ts';
import type { StepProps } from './step.ts';
import { SecretField } from './secret-field.tsx';
import { s } from './texts.ts';

const partOctets = 600_000;

function Restore({ draft, state, enter, changed }: StepProps) {
  const [sent, setSent] = useState<number>();
  const [trouble, setTrouble] = useState<Trouble>();
  const sendFile = async (file: File | undefined) => {
    if (!file) return;
    setTrouble(undefined);
    try {
      for (let at = 0; at < file.size; at += partOctets) {
        setSent(Math.round((100 * at) / file.size));
        const octets = base64Of(new Uint8Array(await file.slice(at, at + partOctets).arrayBuffer()));
        changed(
          await send<SetupState>('/v1/setup/backup', { at, octets, last: at + partOctets >= file.size }, 120_000),
        );
      }
    } catch (error) {
      setTrouble(troubleFrom(error));
    }
    setSent(undefined);
  };
  return (
    <details>
      <summary>{s('restore')}</summary>
      <label>
        {s('ownFile')}
        <input
          type="file"
          accept=".toml"
          onChange={({ currentTarget }) => void currentTarget.files?.[0]?.text().then((own) => enter(() => ({ own })))}
        />
      </label>
      {draft.own !== null && (
        <p>
          <Badge of="note">{s('ownTaken')}</Badge>{' '}
          <button type="button" onClick={() => enter(() => ({ own: null }))}>
            {s('ownGone')}
          </button>
        </p>
      )}
      <label>
        {s('backupFile')}
        <input type="file" onChange={({ currentTarget }) => void sendFile(currentTarget.files?.[0])} />
      </label>
      {sent !== undefined && <p role="status">{s('sending', sent)}</p>}
      {trouble && <TroubleBox trouble={trouble} />}
      {state.backup && <Badge of="good">{s('backupTaken', fullTime(state.backup.madeAt), state.backup.records)}</Badge>}
    </details>
  );
}

/** The text, what is wrong with it, and the secrets that it names. */
function Effective({
  effective,
  changed,
}: {
  readonly effective: EffectiveConfiguration;
  readonly changed: (state: SetupState) => void;
}) {
  const faults = effective.findings.filter(isFault);
  const others = effective.findings.filter((one) => !isFault(one));
  return (
    <>
      {effective.secrets.length > 0 && (
        <>
          <h3>{s('secrets')}</h3>
          <p>{s('secretsHow')}</p>
          {effective.secrets.map(({ name, of, given }) => (
            <SecretField key={name} name={name} label={s('secretOf', name, of)} given={given} changed={changed} />
          ))}
        </>
      )}
      {faults.length > 0 && (
        <>
          <h3>{s(effective.good ? 'notPolled' : 'inTheWay')}</h3>
          <Findings findings={faults} />
        </>
      )}
      {others.length > 0 && (
        <details>
          <summary>{s('alsoSeen')}</summary>
          <Findings findings={others} />
        </details>
      )}
      <h3>{s('text')}</h3>
      <pre class="log effective" role="region" aria-label={s('text')} tabIndex={0}>
        {effective.text}
      </pre>
      {effective.good && <Badge of="good">{s('good')}</Badge>}
    </>
  );
}

export function WriteStep(props: StepProps) {
  const { draft, state, changed, forget } = props;
  const [effective, setEffective] = useState<EffectiveConfiguration>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [writing, setWriting] = useState<'no' | 'asked' | 'written'>('no');
  useEffect(() => {
    let outdated = false;
    askAbout<EffectiveConfiguration>('/v1/setup/configuration').then(
      (found) => !outdated && setEffective(found),
      (error: unknown) => setTrouble(troubleFrom(error)),
    );
    return () => {
      outdated = true;
    };
  }, [state]);
  const write = () => {
    setWriting('asked');
    setTrouble(undefined);
    send<Written>('/v1/setup/write', {}, 120_000).then(
      () => setWriting('written'),
      (error: unknown) => {
        setWriting('no');
        setTrouble(troubleFrom(error));
      },
    );
  };
  if (writing === 'written')
    return (
      <p role="status">
        <Badge of="good">{s('starting')}</Badge>
      </p>
    );
  return (
    <>
      <Restore {...props} key={draft.own === null ? 'steps' : 'own'} />
      {effective && <Effective effective={effective} changed={changed} />}
      {trouble && <TroubleBox trouble={trouble} />}
      <button type="button" class="big primary" disabled={!effective?.good || writing !== 'no'} onClick={write}>
        {s('write')}
      </button>
      <button type="button" onClick={forget}>
        {s('forget')}
      </button>
    </>
  );
}
