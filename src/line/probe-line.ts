/** Looks at a line without saying a word on it: whether it is there, whose it is, and whether it opens. */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type ErrorCode, Failure, messageOf } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { Direction } from './direction.ts';
import { openPort, parseSelector } from './open-port.ts';

export interface LineProbe {
  /** What was found good, in words. */
  readonly good?: string;
  readonly wrong?: { readonly code: ErrorCode; readonly message: string };
  readonly remarks: readonly { readonly message: string; readonly next: string }[];
}

/** Programs that have this device open, as far as this user may see them. */
function holdersOf(device: string): { readonly pid: number; readonly name: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const holds = readdirSync(`/proc/${pid}/fd`).some((fd) => {
          try {
            return readlinkSync(`/proc/${pid}/fd/${fd}`) === device;
          } catch {
            return false;
          }
        });
        if (!holds || Number(pid) === process.pid) return [];
        return [{ pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() }];
      } catch {
        // It has ended, or is another user's.
        return [];
      }
    });
}

const byIdFolder = '/dev/serial/by-id';
/** The name under which this device is found again whatever is plugged in first. */
function stayingName(real: string): string | undefined {
  try {
    return readdirSync(byIdFolder)
      .map((name) => `${byIdFolder}/${name}`)
      .find((path) => realpathSync(path) === real);
  } catch {
    return undefined;
  }
}
/** How long the adapter keeps a short answer, ms; undefined where it does not tell. */
function latencyOf(real: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/tty/${basename(real)}/device/latency_timer`, 'utf8'));
  } catch {
    return undefined;
  }
}

function remarksOn(path: string, real: string): LineProbe['remarks'] {
  const remarks: { message: string; next: string }[] = [];
  const staying = /^\/dev\/tty(USB|ACM)\d+$/.test(path) ? stayingName(real) : undefined;
  if (staying !== undefined)
    remarks.push({
      message: `${path} is another adapter as soon as they are plugged in in another order`,
      next: `Write device = "serial:${staying}".`,
    });
  const latency = latencyOf(real);
  if (latency !== undefined && latency > 2)
    remarks.push({
      message: `the adapter keeps each short answer for ${latency} ms (latency timer)`,
      next: 'Install hardware/99-meter-gateway.rules, which sets it to 1 ms.',
    });
  return remarks;
}

const heldBy = (device: string, holders: ReturnType<typeof holdersOf>): string =>
  `${device} is held by ${holders.map(({ pid, name }) => `${name} (process ${pid})`).join(', ')}`;

export interface ProbedLine {
  readonly device: string;
  readonly baud: number;
  readonly direction: Direction;
}
/** Opens the line and closes it at once. `held`: the running gateway has it, so it is left alone. */
export async function probeLine(
  { device, baud, direction }: ProbedLine,
  clock: Clock,
  held: boolean,
): Promise<LineProbe> {
  const selector = parseSelector(device);
  let remarks: LineProbe['remarks'] = [];
  let holders: ReturnType<typeof holdersOf> = [];
  const wrong = (code: ErrorCode, message: string): LineProbe => ({ wrong: { code, message }, remarks });
  if (selector.kind === 'serial') {
    const { path } = selector;
    let real: string;
    try {
      real = realpathSync(path);
      if (!statSync(real).isCharacterDevice()) return wrong('port-missing', `${path} is no device`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'EACCES'
        ? wrong('port-denied', `${path} may not be looked at by this user`)
        : wrong('port-missing', `${path} is not there: ${messageOf(error)}`);
    }
    remarks = remarksOn(path, real);
    holders = holdersOf(real);
    // Opening it would change its settings for whoever reads there; the other end of a pseudo-terminal is no reader.
    if (!held && holders.length > 0 && !real.startsWith('/dev/pts/')) return wrong('port-busy', heldBy(path, holders));
  }
  if (held) return { good: `${device} is held by the running gateway`, remarks };
  try {
    await (await openPort(device, baud, clock, direction)).close();
    return { good: `${device} opens`, remarks };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return wrong(
      error.code,
      error.code === 'port-busy' && holders.length > 0 ? heldBy(device, holders) : error.message,
    );
  }
}
