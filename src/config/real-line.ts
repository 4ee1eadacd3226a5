/** One spelling for each line: paths without detours and links, hosts as addresses are written. */
import { posix } from 'node:path';
import { parseListenSelector } from '../line/open-port.ts';

/** As a URL spells it: 127.1, 0x7f.0.0.1 and capital letters are no other host. */
function hostOf(host: string): string {
  const bare = host.replace(/\.$/, '').toLowerCase();
  if (bare === 'localhost') return '127.0.0.1';
  try {
    return new URL(`http://${bare.includes(':') ? `[${bare}]` : bare}`).hostname;
  } catch {
    return bare;
  }
}

/** `device`: what a path stands for on this machine. */
export function realLine(selector: string, device: (path: string) => string): string {
  const line = parseListenSelector(selector);
  if (line.kind !== 'serial') return `${line.kind}://${hostOf(line.host)}:${line.port}`;
  return device(posix.normalize(line.path).replace(/\/$/, ''));
}
