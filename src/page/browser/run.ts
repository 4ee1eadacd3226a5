/** What the gateway works at for a while, with an event for each step of it. */
import { useRef, useState } from 'preact/hooks';
import { lines, Refused, troubleFrom, type Trouble } from './api.ts';

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
