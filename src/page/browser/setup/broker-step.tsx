/** Fourth step: the way to the head-end, tried before anything is written. */
import { useState } from 'preact/hooks';
import type { BrokerTest } from '../../../setup/rows.ts';
import { troubleFrom, type Trouble } from '../api.ts';
import { Badge, Shape, TroubleBox } from '../parts.tsx';
import { askAbout } from '../in-order.ts';
import { Field } from './field.tsx';
import type { StepProps } from './step.ts';
import { SecretField } from './secret-field.tsx';
import { s } from './texts.ts';

function Test() {
  const [tested, setTested] = useState<BrokerTest>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [asking, setAsking] = useState(false);
  const begin = () => {
    setAsking(true);
    setTrouble(undefined);
    setTested(undefined);
    askAbout<BrokerTest>('/v1/setup/broker', {}, 40_000)
      .then(setTested, (error: unknown) => setTrouble(troubleFrom(error)))
      .finally(() => setAsking(false));
  };
  return (
    <>
      <button type="button" class="big" disabled={asking} onClick={begin}>
        {s('tryBroker')}
      </button>
      {asking && <p role="status">{s('trying')}</p>}
      {trouble && <TroubleBox trouble={trouble} />}
      {tested && (
        <div role="status">
          {tested.wrong.length === 0 && <Badge of="good">{s('brokerGood')}</Badge>}
          <ul class="findings" lang="en">
            {tested.wrong.map((words) => (
              <li>
                <Shape of="bad" /> {words}
              </li>
            ))}
            {tested.remarks.map((words) => (
              <li>
                <Shape of="warn" /> {words}
              </li>
            ))}
            {tested.good.map((words) => (
              <li>
                <Shape of="good" /> {words}
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

export function BrokerStep({ draft, state, enter, changed, next }: StepProps) {
  const { broker } = draft;
  const change = (part: Partial<typeof broker>) => enter((now) => ({ broker: { ...now.broker, ...part } }));
  return (
    <>
      <Field
        label={s('url')}
        inputMode="url"
        spellcheck={false}
        value={broker.url}
        entered={(url) => change({ url })}
      />
      <Field
        label={s('username')}
        spellcheck={false}
        autocomplete="off"
        value={broker.username}
        entered={(username) => change({ username })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={broker.password}
          onChange={({ currentTarget }) => change({ password: currentTarget.checked })}
        />{' '}
        {s('usesPassword')}
      </label>
      {broker.password && (
        <SecretField
          name="mqtt-password"
          label={s('password')}
          given={state.secrets.includes('mqtt-password')}
          changed={changed}
        />
      )}
      <label>
        {s('ca')}
        <input
          type="file"
          accept=".pem,.crt,.cer"
          onChange={({ currentTarget }) => void currentTarget.files?.[0]?.text().then((ca) => change({ ca }))}
        />
      </label>
      {broker.ca !== null && (
        <p>
          <Badge of="good">{s('caTaken')}</Badge>{' '}
          <button type="button" onClick={() => change({ ca: null })}>
            {s('caGone')}
          </button>
        </p>
      )}
      <Test />
      <button type="button" class="big primary" onClick={next}>
        {s('on')}
      </button>
    </>
  );
}
