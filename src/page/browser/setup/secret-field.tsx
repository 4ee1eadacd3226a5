/** A secret goes to the gateway and nowhere else: not into the browser's storage, and it never comes back. */
import { useState } from 'preact/hooks';
import type { SetupState } from '../../../setup/rows.ts';
import { troubleFrom, type Trouble } from '../api.ts';
import { Badge, TroubleBox } from '../parts.tsx';
import { send } from '../in-order.ts';
import { s } from './texts.ts';

export function SecretField({
  name,
  label,
  given,
  changed,
}: {
  readonly name: string;
  readonly label: string;
  readonly given: boolean;
  readonly changed: (state: SetupState) => void;
}) {
  const [value, setValue] = useState('');
  const [trouble, setTrouble] = useState<Trouble>();
  const store = () =>
    void send<SetupState>('/v1/setup/secret', { name, secret: value }).then(
      (state) => {
        setValue((now) => (now === value ? '' : now));
        setTrouble(undefined);
        changed(state);
      },
      (error: unknown) => setTrouble(troubleFrom(error)),
    );
  return (
    <>
      <label>
        {label}
        <input
          type="password"
          autocomplete="off"
          value={value}
          onInput={({ currentTarget }) => setValue(currentTarget.value)}
        />
      </label>
      <button type="button" disabled={value === ''} aria-label={`${s('storeSecret')}: ${label}`} onClick={store}>
        {s('storeSecret')}
      </button>
      {given && value === '' && <Badge of="good">{s('passwordGiven')}</Badge>}
      {trouble && <TroubleBox trouble={trouble} />}
    </>
  );
}
