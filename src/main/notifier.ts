/** Tells systemd what we do (sd_notify). libsystemd through koffi; else the package systemd-notify; else nobody listens. */
import koffi from 'koffi';

export interface ServiceNotifier {
  /** The start goes on: systemd gives it so much time more. */
  starting(extensionMs: number): void;
  ready(): void;
  status(text: string): void;
  watchdog(): void;
  stopping(): void;
  reloading(): void;
  /** Half of the watchdog's time; undefined when there is no watchdog for this process. */
  readonly watchdogEveryMs: number | undefined;
}

type Send = (state: string) => void;

async function sender(): Promise<Send> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return () => {};
  try {
    const notify = koffi.load('libsystemd.so.0').func('int sd_notify(int, str)');
    return (state) => void notify(0, state);
  } catch {
    // No libsystemd here. The package knows READY and STATUS only; that is enough to start.
    const fallback = (await import('systemd-notify')).default;
    return (state) => {
      if (state.startsWith('READY')) void fallback({ ready: true }).catch(() => {});
      else if (state.startsWith('STATUS=')) void fallback({ status: state.slice(7) }).catch(() => {});
    };
  }
}

export async function openNotifier(): Promise<ServiceNotifier> {
  const send = await sender();
  const microseconds = Number(process.env['WATCHDOG_USEC'] ?? 0);
  const ours = process.env['WATCHDOG_PID'] === undefined || Number(process.env['WATCHDOG_PID']) === process.pid;
  return {
    starting: (extensionMs) => send(`EXTEND_TIMEOUT_USEC=${extensionMs * 1000}\nSTATUS=opening the store`),
    ready: () => send('READY=1'),
    status: (text) => send(`STATUS=${text.replace(/\n/g, ' ')}`),
    watchdog: () => send('WATCHDOG=1'),
    stopping: () => send('STOPPING=1'),
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    watchdogEveryMs: ours && microseconds > 0 ? microseconds / 2000 : undefined,
  };
}
