/** The frame of every screen: sections, language, how old what stands here is; and who is let in. */
import { useEffect, useState } from 'preact/hooks';
import { ask, ended, loggedOut, type Me, troubleFrom, type Trouble } from './api.ts';
import { choose, current, loadWork, t, type TextKey } from './language.ts';
import { useLive } from './live.ts';
import { Login } from './login.tsx';
import { Events } from './events.tsx';
import { Lines } from './lines.tsx';
import { Log } from './log.tsx';
import { MeterScreen } from './meter-screen.tsx';
import { Overview } from './overview.tsx';
import { Shape, TroubleBox } from './parts.tsx';
import { lazy } from './lazy.tsx';
import { duration } from './words.ts';

const sections: readonly (readonly [path: string, key: TextKey])[] = [
  ['', 'overview'],
  ['work', 'work'],
  ['completeness', 'completeness'],
  ['events', 'events'],
  ['lines', 'lines'],
  ['log', 'log'],
];

const Work = lazy(async () => {
  const [{ Work: Component }] = await Promise.all([import('./work/work.tsx'), loadWork()]);
  return Component;
});
const Completeness = lazy(async () => (await import('./heat-map.tsx')).Completeness);
const Setup = lazy(async () => (await import('./setup/setup.tsx')).Setup);

function usePath(): readonly string[] {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => {
      setHash(location.hash);
      scrollTo(0, 0);
      // Whoever hears the page is at the beginning of the new screen.
      document.querySelector<HTMLElement>('main')?.focus();
    };
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return hash
    .replace(/^#\/?/, '')
    .split('/')
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

/** Says that what stands here is old, instead of showing it as new. */
const Stale = ({ seconds }: { readonly seconds: number }) => (
  <div class="stale" role="alert">
    <Shape of="warn" />
    <div>
      <p>
        <b>{t('stale', duration(seconds))}</b>
      </p>
      <p>{t('staleNext')}</p>
    </div>
  </div>
);

function LanguageSwitch({ changed }: { readonly changed: () => void }) {
  return (
    <button
      type="button"
      class="plain"
      lang={current() === 'en' ? 'fi' : 'en'}
      onClick={() => {
        void choose(current() === 'en' ? 'fi' : 'en').then(changed, () => {});
      }}
    >
      {t('language')}
    </button>
  );
}

interface Entered {
  readonly me: Me;
  readonly changed: () => void;
  readonly left: () => void;
}
function Running({ me, changed, left }: Entered) {
  const { snapshot, staleS } = useLive();
  const [section = '', ...rest] = usePath();
  const title = sections.find(([path]) => path === section)?.[1];
  useEffect(() => {
    document.title = `${section === 'meter' ? (rest[0] ?? '') : t(title ?? 'overview')} · ${snapshot?.gateway ?? me.gateway ?? t('title')}`;
  });
  const leave = () =>
    void ask('/logout', {})
      .catch(() => {})
      .then(left);
  return (
    <>
      <header class="top">
        <a
          class="skip"
          href="#content"
          onClick={(event) => {
            event.preventDefault();
            document.querySelector<HTMLElement>('main')?.focus();
          }}
        >
          {t('skip')}
        </a>
        <p class="brand">
          <b>{snapshot?.gateway ?? me.gateway ?? t('title')}</b>
          <span class={`live ${staleS === null ? '' : 'old'}`}>
            {snapshot ? (staleS === null ? t('live') : t('seen', duration(staleS))) : t('loading')}
          </span>
        </p>
        <LanguageSwitch changed={changed} />
        <button type="button" class="plain" onClick={leave}>
          {t('logOut')}
        </button>
      </header>
      <nav aria-label={t('sections')}>
        <ul>
          {sections.map(([path, key]) => (
            <li>
              <a href={`#/${path}`} aria-current={section === path ? 'page' : undefined}>
                {t(key)}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="content" tabIndex={-1}>
        {staleS !== null && <Stale seconds={staleS} />}
        {me.permission === 'look' && section === 'work' && <p class="note">{t('lookOnly')}</p>}
        {snapshot === undefined ? (
          staleS === null && <p role="status">{t('loading')}</p>
        ) : section === 'meter' ? (
          <MeterScreen key={rest[0]} id={rest[0] ?? ''} snapshot={snapshot} me={me} />
        ) : section === 'completeness' ? (
          <Completeness />
        ) : section === 'events' ? (
          <Events />
        ) : section === 'lines' ? (
          <Lines snapshot={snapshot} />
        ) : section === 'log' ? (
          <Log />
        ) : section === 'work' ? (
          <Work snapshot={snapshot} me={me} step={rest[0]} />
        ) : (
          <Overview snapshot={snapshot} />
        )}
      </main>
    </>
  );
}

/** The ticket of the address is used once, and nobody finds it in the history. */
async function enter(): Promise<Me> {
  const ticket = /^#ticket=(.+)$/.exec(location.hash)?.[1];
  if (ticket !== undefined) {
    history.replaceState(null, '', '#/');
    await ask('/login', { ticket });
  }
  return ask<Me>('/v1/me');
}

export function Shell() {
  const [me, setMe] = useState<Me>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [, redraw] = useState(0);
  const [hadTicket, setHadTicket] = useState(false);
  const changed = () => redraw((count) => count + 1);
  const begin = () => {
    setTrouble(undefined);
    const withTicket = location.hash.startsWith('#ticket=');
    enter().then(setMe, (error: unknown) => {
      setHadTicket(withTicket);
      setTrouble(troubleFrom(error));
    });
  };
  // The session has ended, here or at the gateway: the login screen, and no waiting for an answer that nobody asked for.
  const leave = () => {
    setMe(undefined);
    setHadTicket(false);
    setTrouble(loggedOut());
  };
  useEffect(() => {
    ended.listener = leave;
    begin();
    // A link that is opened in the tab that is open already.
    const again = () => location.hash.startsWith('#ticket=') && begin();
    addEventListener('hashchange', again);
    return () => removeEventListener('hashchange', again);
  }, []);
  if (me?.mode === 'running') return <Running me={me} changed={changed} left={leave} />;
  return (
    <>
      <header class="top">
        <p class="brand">
          <b>{t('title')}</b>
        </p>
        <LanguageSwitch changed={changed} />
      </header>
      <main id="content" tabIndex={-1}>
        {me ? (
          <Setup mode={me.mode} me={me} done={begin} />
        ) : trouble && trouble.status !== 401 && trouble.status !== 429 ? (
          <TroubleBox trouble={trouble} again={begin} />
        ) : trouble === undefined ? (
          <p role="status">{t('loading')}</p>
        ) : (
          <Login hadTicket={hadTicket} entered={begin} />
        )}
      </main>
    </>
  );
}
