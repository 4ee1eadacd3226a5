/** Serial lines of this machine, each by the name that stays when adapters are plugged in in another order. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Clock } from '../base/time.ts';
import { probeLine } from '../line/probe-line.ts';

export interface FoundLine {
  /** As the configuration names it. */
  readonly device: string;
  /** The node behind the name: ttyUSB0. */
  readonly node: string;
  /** Maker and product, as far as the adapter tells. */
  readonly adapter: string | null;
  readonly opens: boolean;
  /** Why not, or what was seen. */
  readonly words: string;
  readonly next: string | null;
}

/** Names that stay first: by the adapter's own number, by its socket. */
const named = ['serial/by-id', 'meter'];
/** A node that no driver serves has no device behind it (the eight ttyS of a PC). */
const serial = /^tty(USB|ACM|AMA|SC|S|mxc|O|THS)\d+$/;

const listOf = (folder: string): string[] => {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
};
const realOf = (path: string): string | undefined => {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
};
const adapterOf = (name: string): string | null =>
  /^usb-(.+?)(?:-if\d+)?(?:-port\d+)?$/.exec(name)?.[1]?.replaceAll('_', ' ') ?? null;
/** 0: the kernel keeps the node and found nothing there. */
function isThere(node: string, sys: string): boolean {
  if (!/^ttyS\d+$/.test(node)) return true;
  try {
    return readFileSync(join(sys, 'class/tty', node, 'type'), 'utf8').trim() !== '0';
  } catch {
    return false;
  }
}

export interface Folders {
  readonly dev: string;
  readonly sys: string;
}
export function namesOfLines({ dev, sys }: Folders): Pick<FoundLine, 'device' | 'node' | 'adapter'>[] {
  const found = new Map<string, Pick<FoundLine, 'device' | 'node' | 'adapter'>>();
  const add = (path: string, name: string): void => {
    const real = realOf(path);
    if (real === undefined || found.has(real)) return;
    found.set(real, { device: `serial:${path}`, node: basename(real), adapter: adapterOf(name) });
  };
  for (const folder of named) for (const name of listOf(join(dev, folder))) add(join(dev, folder, name), name);
  for (const name of listOf(dev)) if (serial.test(name) && isThere(name, sys)) add(join(dev, name), name);
  return [...found.values()];
}

/** With a look at each: whether it opens, and who else has it. Nothing is sent. */
export const foundLines = (clock: Clock, folders: Folders = { dev: '/dev', sys: '/sys' }): Promise<FoundLine[]> =>
  Promise.all(
    namesOfLines(folders).map(async (line) => {
      const { good, wrong, remarks } = await probeLine(
        { device: line.device, baud: 9600, direction: 'auto' },
        clock,
        false,
      );
      const [remark] = remarks;
      return {
        ...line,
        opens: wrong === undefined,
        words: wrong?.message ?? remark?.message ?? good ?? '',
        next: wrong ? null : (remark?.next ?? null),
      };
    }),
  );
