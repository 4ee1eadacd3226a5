/** The log of the gateway, the newest line first. */
import { useEffect, useState } from 'preact/hooks';
import type { LogLine } from '../../desk/routes.ts';
import { t } from './language.ts';
import { fullTime } from './words.ts';

const maxLines = 400;
const warn = 40;
interface Entry {
  readonly at: string;
  readonly level: number;
  readonly words: string;
}
const names: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
/** What is no JSON is shown as it is. */
function entryOf({ at, line }: LogLine): Entry {
  try {
    const {
      level = 30,
      msg = '',
      time: _time,
      pid: _pid,
      hostname: _hostname,
      ...rest
    } = JSON.parse(line.replace(/^<\d>/, '')) as Record<string, unknown>;
    const more = Object.entries(rest).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    const number =
      typeof level === 'number' ? level : Number(Object.entries(names).find(([, name]) => name === level)?.[0] ?? 30);
    return { at, level: number, words: [String(msg), ...more].join('  ') };
  } catch {
    return { at, level: 30, words: line };
  }
}

export function Log() {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [held, hold] = useState(false);
  const [onlyTroubles, choose] = useState(false);
  useEffect(() => {
    if (held) return undefined;
    const source = new EventSource('/v1/log?follow=true');
    // It begins with what is in the memory of the gateway, also behind a lost connection.
    source.addEventListener('open', () => setEntries([]));
    source.addEventListener('message', ({ data }) => {
      const entry = entryOf(JSON.parse(String(data)) as LogLine);
      setEntries((before) => [entry, ...before].slice(0, maxLines));
    });
    return () => source.close();
  }, [held]);
  const shown = onlyTroubles ? entries.filter(({ level }) => level >= warn) : entries;
  return (
    <>
      <h1>{t('log')}</h1>
      <div class="choice">
        <button type="button" aria-pressed={held} onClick={() => hold(!held)}>
          {t(held ? 'logGoOn' : 'logPause')}
        </button>
        <button type="button" aria-pressed={onlyTroubles} onClick={() => choose(!onlyTroubles)}>
          {t('onlyTroubles')}
        </button>
      </div>
      {shown.length === 0 && <p>{t('logNone')}</p>}
      <ol class="log" lang="en">
        {shown.map(({ at, level, words }) => (
          <li class={level >= warn ? 'loud' : ''}>
            <span class="small">
              {fullTime(at)} <b>{names[level] ?? level}</b>
            </span>{' '}
            {words}
          </li>
        ))}
      </ol>
    </>
  );
}
