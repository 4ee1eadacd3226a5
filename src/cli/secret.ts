/** Secrets come by environment, file or prompt; never by argument, where every process can read them. */
import { readFileSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Failure, messageOf } from '../base/errors.ts';

/** Reads a secret from a file that only its owner may read. A newline at the end is dropped. */
export function secretFromFile(path: string): Uint8Array {
  let text: Buffer;
  try {
    const { mode } = statSync(path);
    if ((mode & 0o077) !== 0) {
      throw new Failure(
        'secret-missing',
        `${path} may be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 ${path}`,
      );
    }
    text = readFileSync(path);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('secret-missing', messageOf(error));
  }
  let end = text.length;
  while (end > 0 && (text[end - 1] === 0x0a || text[end - 1] === 0x0d)) end--;
  if (end === 0) throw new Failure('secret-missing', `${path} is empty`);
  return text.subarray(0, end);
}

async function prompt(question: string): Promise<Uint8Array> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, callback) => callback() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await new Promise((resolve) => lines.question('', (answer) => resolve(Buffer.from(answer))));
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

export async function askSecret(file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return secretFromFile(file);
  const environment = process.env['METER_SECRET'];
  if (environment) return Buffer.from(environment);
  if (process.stdin.isTTY) return prompt('Password of the meter: ');
  throw new Failure('secret-missing', 'no password: METER_SECRET is not set and there is no terminal to ask at');
}
