/** The work of a technician at one site: stored in the browser, so that a page that is loaded anew goes on. What was found is on the gateway. */
import { useCallback, useRef, useState } from 'preact/hooks';
import type { ScanEvent } from '../../../commission/scan.ts';
import type { WorkListEntry } from '../../../commission/work-list.ts';
import type { CommissionWishes } from '../../../desk/site-wishes.ts';
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
