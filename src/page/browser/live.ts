/** The snapshot as it comes, how old it is, and what is asked once and asked again. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Snapshot } from '../../status/snapshot.ts';
import { ask, ended, type Me, troubleFrom, type Trouble } from './api.ts';
import { useZone } from './words.ts';

/** One comes each two seconds: so many later the page says that it shows old things. */
const staleMs = 8000;
const againMs = 3000;
/** A connection that stands and brings nothing is opened anew. */
const deadMs = 20_000;

export interface Live {
  readonly snapshot: Snapshot | undefined;
  /** Since the last snapshot; null where one came just now, or none came ever. */
  readonly staleS: number | null;
}

/** EventSource gives up where the server refuses; then whoever is not logged in any more is asked to, and the rest is tried again. */
export function useLive(): Live {
  const [snapshot, setSnapshot] = useState<Snapshot>();
  const [staleS, setStaleS] = useState<number | null>(null);
  useEffect(() => {
    let source: EventSource | undefined;
    let seenAt = performance.now();
    let openedAt = 0;
    const open = () => {
      source?.close();
      openedAt = performance.now();
      source = new EventSource('/v1/status/watch');
      source.addEventListener('message', ({ data }) => {
        seenAt = performance.now();
        const next = JSON.parse(String(data)) as Snapshot;
        useZone(next.time.zone);
        setSnapshot(next);
        setStaleS(null);
      });
    };
    open();
    const timer = setInterval(() => {
      const old = performance.now() - seenAt;
      setStaleS(old > staleMs ? Math.round(old / 1000) : null);
      const tried = performance.now() - openedAt;
      const shut = source?.readyState === EventSource.CLOSED && tried > againMs;
      if (!shut && !(old > deadMs && tried > deadMs)) return;
      openedAt = performance.now();
      ask<Me>('/v1/me', undefined, againMs).then(open, (error: unknown) => {
        if (troubleFrom(error).status === 401) ended.listener();
      });
    }, 1000);
    return () => {
      clearInterval(timer);
      source?.close();
    };
  }, []);
  return { snapshot, staleS };
}

export interface Asked<T> {
  readonly value: T | undefined;
  readonly trouble: Trouble | undefined;
  readonly asking: boolean;
  readonly again: () => void;
}
/** Asks when the path changes, and again every `everyMs`. What was there stays until something newer is there. */
export function useAsked<T>(path: string | undefined, everyMs = 0): Asked<T> {
  const [state, setState] = useState<{
    readonly path?: string | undefined;
    readonly value?: T;
    readonly trouble?: Trouble;
  }>({});
  const [asking, setAsking] = useState(path !== undefined);
  const latest = useRef(path);
  latest.current = path;
  const again = useCallback(() => {
    if (path === undefined) return;
    setAsking(true);
    ask<T>(path)
      .then(
        (value) => latest.current === path && setState({ path, value }),
        (error: unknown) =>
          latest.current === path &&
          setState((before) => ({ ...(before.path === path ? before : { path }), trouble: troubleFrom(error) })),
      )
      .finally(() => setAsking(false));
  }, [path]);
  useEffect(() => {
    again();
    if (everyMs === 0) return undefined;
    const timer = setInterval(again, everyMs);
    return () => clearInterval(timer);
  }, [again, everyMs]);
  const here = state.path === path ? state : {};
  return { value: here.value, trouble: here.trouble, asking, again };
}
