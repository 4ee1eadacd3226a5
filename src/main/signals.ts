/** What the process is asked by signals, from its first moment on: a start takes its time, and may be asked meanwhile. */
export interface Signals {
  /** Aborted by SIGTERM or SIGINT, with its name as the reason. */
  readonly stop: AbortSignal;
  /** Called for every SIGHUP from now on, and at once for those that came before. */
  onReload(handler: () => void): void;
}

export function listenToSignals(): Signals {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => stopping.abort(name));
  let asked = false;
  let reload = (): void => {
    asked = true;
  };
  process.on('SIGHUP', () => reload());
  return {
    stop: stopping.signal,
    onReload(handler) {
      reload = handler;
      if (asked) handler();
    },
  };
}
