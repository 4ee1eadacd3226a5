/** Reads who a meter of a bench is, as `meter-gateway read` does it. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../src/base/errors.ts';
import type { ConnectionOptions } from '../../src/cli/connection.ts';
import { read } from '../../src/cli/read.ts';
import { systemClock } from '../../src/line/system-clock.ts';

export const nobody: ConnectionOptions = {
  link: 'hdlc',
  modeE: false,
  client: '16',
  server: '1',
  auth: 'none',
  suite: '0',
  wrapping: 'service',
  counterObject: '0-0:43.1.0*255',
  socket: join(tmpdir(), 'nobody.sock'),
  baud: '9600',
  direction: 'auto',
  maxInfo: '1024',
  window: '1',
  timeout: '2000',
  retries: '1',
};
/** The lines that it prints, or the code of the failure. */
export async function readOf(device: string, more: Partial<ConnectionOptions> = {}): Promise<string> {
  const lines: string[] = [];
  try {
    await read(device, { ...nobody, ...more }, systemClock, (line) => void lines.push(line));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return error.code;
  }
  return lines.join('\n');
}
