/** The work of a technician at one site: stored in the browser, so that a page that is loaded anew goes on. What was found is on the gateway. */
import { useCallback, useRef, useState } from 'preact/hooks';
import type { ScanEvent } from '../../../commission/scan.ts';
import type { WorkListEntry } from '../../../commission/work-list.ts';
import type { CommissionWishes } from '../../../desk/site-wishes.ts';
import { lines, Refused, troubleFrom, type Trouble } from '../api.ts';
import { store, stored } from '../language.ts';

export type Finding = Omit<Extract<ScanEvent, { kind: 'finding' }>, 'kind'>;
export interface KeyChoice {
  readonly like?: string;
  readonly client?: string;
  readonly auth?: string;
  readonly secret?: string;
  readonly encryptionKey?: string;
  readonly authenticationKey?: string;
}
export interface Job {
  readonly began: string;
  readonly who: string;
  readonly port: string;
  readonly entries: readonly WorkListEntry[];
  readonly blind: boolean;
  /** `cut`: the page was left in the midst. */
  readonly scan: 'none' | 'cut' | 'ended';
  readonly findings: readonly Finding[];
  readonly keys: KeyChoice;
  readonly plan: CommissionWishes | null;
  readonly commission: 'none' | 'cut' | 'ended';
  readonly step: number;
}
const storageKey = 'work';
const fresh = (port: string): Job => ({
  began: new Date().toISOString(),
  who: '',
  port,
  entries: [],
  blind: false,
  scan: 'none',
  findings: [],
  keys: {},
  plan: null,
  commission: 'none',
  step: 0,
});
function read(port: string): { readonly job: Job; readonly resumed: boolean } {
  try {
    const job = JSON.parse(stored(storageKey) ?? '') as Job;
    if (typeof job.began === 'string' && Array.isArray(job.entries))
      return { job: { ...fresh(port), ...job }, resumed: job.entries.length > 0 || job.scan !== 'none' };
  } catch {
    // Nothing, or of another version: the records are on the gateway all the same.
  }
  return { job: fresh(port), resumed: false };
}

export interface JobStore {
  readonly job: Job;
  readonly resumed: boolean;
  readonly change: (part: Partial<Job>) => void;
  readonly forget: () => void;
}
export function useJob(port: string): JobStore {
  const [state, setState] = useState(() => read(port));
  const latest = useRef(state.job);
  const change = useCallback((part: Partial<Job>) => {
    latest.current = { ...latest.current, ...part };
    store(storageKey, JSON.stringify(latest.current));
    setState((before) => ({ ...before, job: latest.current }));
  }, []);
  const forget = useCallback(() => {
    latest.current = fresh(port);
    store(storageKey, null);
    setState({ job: latest.current, resumed: false });
  }, [port]);
  return { ...state, change, forget };
}

export interface Run<Event> {
  readonly running: boolean;
  readonly trouble: Trouble | undefined;
  /** Resolves to whether it came to its end. */
  readonly begin: (path: string, body: unknown, each: (event: Event) => void) => Promise<boolean>;
  readonly stop: () => void;
}
const maxTries = 15;
const pauseMs = 1000;
/** A job that was cut ends behind the question that is under way: who goes on at once finds it at work still. */
async function patiently(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const isBusy = error instanceof Refused && error.trouble.code === 'busy';
      if (!isBusy || tries === maxTries || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** A job of the gateway that goes on as long as somebody listens. */
export function useRun<Event>(): Run<Event> {
  const [running, setRunning] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const control = useRef<AbortController>(undefined);
  const begin: Run<Event>['begin'] = async (path, body, each) => {
    const own = new AbortController();
    control.current = own;
    setRunning(true);
    setTrouble(undefined);
    try {
      await patiently(own.signal, async () => {
        for await (const event of lines<Event>(path, body, own.signal)) each(event);
      });
      return !own.signal.aborted;
    } catch (error) {
      if (!own.signal.aborted) setTrouble(troubleFrom(error));
      return false;
    } finally {
      setRunning(false);
    }
  };
  return { running, trouble, begin, stop: () => control.current?.abort() };
}
