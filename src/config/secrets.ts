/** Where secrets come from: `file:/path`, mode 0600, or `credential:name`, which systemd hands to the service. */
import { readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';

/** A file in the folder of secrets, as references name it; `.` begins those that are not whole yet. */
export const fitSecretName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;
const uid = (): number | string => process.getuid?.() ?? '?';

/** What a person can do about a file that does not open; the errno says whose rights are missing. */
export function unreadable(path: string, error: unknown, kind: 'config-invalid' | 'secret-missing'): Failure {
  const code = codeOf(error);
  const failure = (message: string, next?: string) => new Failure(kind, message, next === undefined ? {} : { next });
  if (code === 'ENOENT') return failure(`${path} does not exist`, 'Put the file there, or correct the path.');
  if (code === 'ENOTDIR') return failure(`${path} lies in no folder`, 'Correct the path.');
  if (code === 'EISDIR') return failure(`${path} is a folder`, 'Name the file in it.');
  if (code === 'EACCES' || code === 'EPERM')
    return failure(
      `${path} cannot be read by uid ${uid()} (${code}): the service runs as a user of its own`,
      kind === 'secret-missing'
        ? `Give it the file as LoadCredential=NAME:${path} in the unit and write credential:NAME.`
        : `Let it read the file: chmod 644 ${path}, and 755 for the folders above it.`,
    );
  return failure(`${path} cannot be read: ${messageOf(error)}`);
}

/** Without the newline at the end that editors leave. */
function oneLine(octets: Buffer, name: string): Uint8Array {
  let end = octets.length;
  while (end > 0 && (octets[end - 1] === 0x0a || octets[end - 1] === 0x0d)) end--;
  if (end === 0)
    throw new Failure('secret-missing', `${name} is empty`, { next: 'Write the secret into it, in one line.' });
  return octets.subarray(0, end);
}

/** A device or a pipe would be read for ever, or waited for. */
export function regular(path: string): Stats {
  const found = statSync(path);
  if (found.isFile()) return found;
  if (found.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' });
  throw new Error('it is no regular file');
}

/** Reads a secret from a file that only its owner may read. */
export function secretFromFile(path: string): Uint8Array {
  let octets: Buffer;
  try {
    const { mode } = regular(path);
    if ((mode & 0o077) !== 0) {
      throw new Failure('secret-missing', `${path} may be read by others (mode ${(mode & 0o777).toString(8)})`, {
        next: `chmod 600 ${path}; whoever read it meanwhile knows it.`,
      });
    }
    octets = readFileSync(path);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw unreadable(path, error, 'secret-missing');
  }
  return oneLine(octets, path);
}

const passIt = (name: string): string =>
  `sudo meter-gateway secret set ${name}, then restart the service (a reload does not pass new credentials); by hand, file:/path.`;

/**
 * LoadCredential=secrets:FOLDER of the unit passes each file of the folder as secrets_NAME (systemd.exec); a line of its own,
 * LoadCredential=NAME:PATH, wins.
 */
function credential(name: string, directory: string): Uint8Array {
  for (const file of [name, `secrets_${name}`]) {
    const path = join(directory, file);
    let octets: Buffer;
    try {
      regular(path);
      octets = readFileSync(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue;
      throw new Failure(
        'secret-missing',
        `credential:${name}: ${path} cannot be read by uid ${uid()}: ${messageOf(error)}`,
      );
    }
    return oneLine(octets, `credential:${name}`);
  }
  throw new Failure(
    'secret-missing',
    `credential:${name}: systemd passed no such credential (LoadCredential= in the unit)`,
    {
      next: passIt(name),
    },
  );
}

/** What a reference of the configuration stands for. Failure `secret-missing`, without a word of the secret. */
export function secretOf(reference: string): Uint8Array {
  if (reference.startsWith('file:')) return secretFromFile(reference.slice('file:'.length));
  const directory = process.env['CREDENTIALS_DIRECTORY'];
  if (directory === undefined)
    throw new Failure('secret-missing', `${reference}: systemd passed no credentials (LoadCredential= in the unit)`, {
      next: passIt(reference.slice('credential:'.length)),
    });
  return credential(reference.slice('credential:'.length), directory);
}
