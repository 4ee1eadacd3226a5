/** `meter-gateway secret`: the files that systemd passes to the service, each named in the configuration as credential:NAME. */
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { fitSecretName } from '../config/secrets.ts';
import { putWhole } from '../disk/put-whole.ts';
import { prompt } from './secret.ts';

/** The folder of which the unit says LoadCredential=. */
export const serviceSecrets = '/etc/meter-gateway/secrets';
/** systemd passes 1 MiB to a unit, all of its credentials together; a key or a password is much smaller. */
const maxOctets = 64 * 1024;

function failed(path: string, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code } = error as NodeJS.ErrnoException;
  const kind = code === 'EACCES' || code === 'EPERM' ? 'not-permitted' : 'file-unusable';
  return new Failure(kind, `${path}: ${messageOf(error)}`, kind === 'not-permitted' ? { next: 'Use sudo.' } : {});
}

/** Nothing of it is repeated: it may be the secret, in the wrong place. */
export function requireName(name = '', ...more: readonly string[]): void {
  if (more.length > 0)
    throw new Failure('bad-argument', 'the one argument is NAME: a secret as an argument is seen by every process', {
      next: 'If that was the secret: it stands in the history of the shell. Give it at the prompt, or on standard input.',
    });
  if (!fitSecretName.test(name))
    throw new Failure(
      'bad-argument',
      'NAME has letters, digits, _, . and -, 100 at most, and begins with a letter, a digit or _',
      { next: 'Name it as the configuration does, behind credential:. The secret itself is never an argument.' },
    );
}

/** Typed twice at a terminal, since a wrong password locks meters; or standard input to its end. */
export async function secretInput(input: NodeJS.ReadStream = process.stdin): Promise<Uint8Array> {
  if (input.isTTY) {
    const [first, second] = [await prompt('Secret: '), await prompt('Again: ')];
    if (Buffer.compare(first, second) === 0) return first;
    throw new Failure('bad-argument', 'the two are not the same', { next: 'Nothing was written: try again.' });
  }
  const parts: Buffer[] = [];
  let octets = 0;
  for await (const part of input as AsyncIterable<Buffer>) {
    parts.push(part);
    octets += part.length;
    if (octets > maxOctets) break;
  }
  return Buffer.concat(parts);
}

/** Whole or not at all, and on the disk when it returns. */
export function setSecret(folder: string, name: string, secret: Uint8Array): void {
  requireName(name);
  if (secret.every((octet) => octet === 0x0a || octet === 0x0d))
    throw new Failure('secret-missing', 'nothing was given', { next: 'Type it, or pass it on standard input.' });
  if (secret.length > maxOctets)
    throw new Failure('bad-argument', `a secret has ${maxOctets} octets at most`, { next: 'Is it the right file?' });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if ((statSync(folder).mode & 0o077) !== 0) chmodSync(folder, 0o700);
    // Of a try that a power cut ended.
    for (const left of readdirSync(folder)) if (/^\..+\.[0-9a-f]{16}$/.test(left)) rmSync(join(folder, left));
    putWhole(join(folder, name), secret, 0o600);
  } catch (error) {
    throw failed(folder, error);
  }
}

/** Names only. */
export function secretNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => fitSecretName.test(name))
      .toSorted();
  } catch (error) {
    throw failed(folder, error);
  }
}
