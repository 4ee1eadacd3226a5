/** Who is let in: by a link that logs in once, or by the password of the page. */
import { useState } from 'preact/hooks';
import { ask, Refused, troubleFrom, type Trouble } from './api.ts';
import { t } from './language.ts';
import { TroubleBox } from './parts.tsx';

const refusedWords = (what: 'ticketSpent' | 'passwordWrong', next: 'ticketNext' | 'passwordNext'): Trouble => ({
  what: t(what),
  whose: t('faultOfOperator'),
  next: t(next),
  status: 401,
  english: false,
});

export function Login({ hadTicket, entered }: { readonly hadTicket: boolean; readonly entered: () => void }) {
  const [password, setPassword] = useState('');
  const [trying, setTrying] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const shown = trouble ?? (hadTicket ? refusedWords('ticketSpent', 'ticketNext') : undefined);
  const submit = (event: Event) => {
    event.preventDefault();
    setTrying(true);
    setTrouble(undefined);
    ask('/login', { password })
      .then(entered, (error: unknown) => {
        const wrong = error instanceof Refused && error.trouble.status === 401;
        setTrouble(wrong ? refusedWords('passwordWrong', 'passwordNext') : troubleFrom(error));
      })
      .finally(() => setTrying(false));
  };
  return (
    <form class="login" onSubmit={submit}>
      <h1>{t('loginTitle')}</h1>
      <p>{t('loginWhy')}</p>
      {shown && <TroubleBox trouble={shown} />}
      <label>
        {t('password')}
        <input
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={({ currentTarget }) => setPassword(currentTarget.value)}
        />
      </label>
      <button type="submit" class="big" disabled={trying}>
        {trying ? t('loggingIn') : t('loginTitle')}
      </button>
    </form>
  );
}
