/** Tells systemd what we do (sd_notify). libsystemd through koffi; else the package systemd-notify; else nobody listens. */
// koffi stays: systemd counts a watchdog's message only from the main process (NotifyAccess=main), Node has no datagram
// socket of AF_UNIX, and the package systemd-notify starts a process for each message and knows no WATCHDOG at all.
import koffi from 'koffi';
import { messageOf } from '../base/errors.ts';

export interface ServiceNotifier {
  /** The start goes on: systemd gives it so much time more. */
  starting(extensionMs: number): void;
  ready(): void;
  status(text: string): void;
  /** It is up and does not do what it is for: `wrong` shows as an error in `systemctl status`. */
  waiting(text: string, wrong: boolean): void;
  watchdog(): void;
  stopping(): void;
  reloading(): void;
  /** Half of the watchdog's time; undefined when there is no watchdog for this process. */
  readonly watchdogEveryMs: number | undefined;
}

type Send = (state: string) => void;

async function sender(tell: (trouble: string) => void): Promise<Send> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return () => {};
  const logged = new Set<string>();
  const tellOnce = (trouble: string) => {
    if (!logged.has(trouble)) tell(trouble);
    logged.add(trouble);
  };
  try {
    const notify = koffi.load('libsystemd.so.0').func('int sd_notify(int, str)');
    return (state) => {
      // What systemd answers with is a negative errno.
      const result = notify(0, state) as number;
      if (result < 0) tellOnce(`systemd cannot be told how the gateway is: sd_notify gives ${result}`);
    };
  } catch (error) {
    // The package knows READY and STATUS only; that is enough to start.
    tellOnce(`libsystemd.so.0 does not load, the watchdog of systemd cannot be fed: ${messageOf(error)}`);
    const fallback = (await import('systemd-notify')).default;
    const failed = (reason: unknown) => tellOnce(`systemd-notify: ${messageOf(reason)}`);
    return (state) => {
      if (state.startsWith('READY')) fallback({ ready: true }).catch(failed);
      else if (state.startsWith('STATUS=')) fallback({ status: state.slice(7) }).catch(failed);
    };
  }
}

/** `tell`: why systemd does not hear. */
export async function openNotifier(tell: (trouble: string) => void): Promise<ServiceNotifier> {
  const send = await sender(tell);
  const microseconds = Number(process.env['WATCHDOG_USEC'] ?? 0);
  const ours = process.env['WATCHDOG_PID'] === undefined || Number(process.env['WATCHDOG_PID']) === process.pid;
  let wasWrong = false;
  return {
    starting: (extensionMs) => send(`EXTEND_TIMEOUT_USEC=${extensionMs * 1000}\nSTATUS=opening the store`),
    ready: () => {
      send('READY=1');
      if (wasWrong) send('ERRNO=0');
      wasWrong = false;
    },
    status: (text) => send(`STATUS=${text.replace(/\n/g, ' ')}`),
    // 22 is EINVAL.
    waiting: (text, wrong) => {
      wasWrong = wrong;
      send(`READY=1\nERRNO=${wrong ? 22 : 0}\nSTATUS=${text.replace(/\n/g, ' ')}`);
    },
    watchdog: () => send('WATCHDOG=1'),
    stopping: () => send('STOPPING=1'),
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    watchdogEveryMs: ours && microseconds > 0 ? microseconds / 2000 : undefined,
  };
}
