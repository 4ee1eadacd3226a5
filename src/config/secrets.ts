/** Where secrets come from: `file:/path`, mode 0600, or `credential:name`, which systemd hands to the service. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;
const uid = (): number | string => process.getuid?.() ?? '?';

/** What a person can do about a file that does not open; the errno says whose rights are missing. */
export function unreadable(path: string, error: unknown): string {
  const code = codeOf(error);
  if (code === 'ENOENT') return `${path} does not exist`;
  if (code === 'EISDIR') return `${path} is a folder`;
  if (code === 'EACCES' || code === 'EPERM')
    return (
      `${path} cannot be read by uid ${uid()} (${code}): the service runs as a user of its own; give it the file as ` +
      `LoadCredential=NAME:${path} in the unit and write credential:NAME`
    );
  return `${path} cannot be read: ${messageOf(error)}`;
}

/** Without the newline at the end that editors leave. */
function oneLine(octets: Buffer, name: string): Uint8Array {
  let end = octets.length;
  while (end > 0 && (octets[end - 1] === 0x0a || octets[end - 1] === 0x0d)) end--;
  if (end === 0) throw new Failure('secret-missing', `${name} is empty`);
  return octets.subarray(0, end);
}

/** Reads a secret from a file that only its owner may read. */
export function secretFromFile(path: string): Uint8Array {
  let octets: Buffer;
  try {
    const { mode } = statSync(path);
    if ((mode & 0o077) !== 0) {
      throw new Failure(
        'secret-missing',
        `${path} may be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 ${path}`,
      );
    }
    octets = readFileSync(path);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('secret-missing', unreadable(path, error));
  }
  return oneLine(octets, path);
}

function credential(name: string, directory: string): Uint8Array {
  const path = join(directory, name);
  let octets: Buffer;
  try {
    octets = readFileSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT')
      throw new Failure(
        'secret-missing',
        `credential:${name}: systemd passed no such credential; add LoadCredential=${name}:/path to the unit and restart ` +
          'the service (a reload does not pass new credentials)',
      );
    throw new Failure(
      'secret-missing',
      `credential:${name}: ${path} cannot be read by uid ${uid()}: ${messageOf(error)}`,
    );
  }
  return oneLine(octets, `credential:${name}`);
}

/** What a reference of the configuration stands for. Failure `secret-missing`, without a word of the secret. */
export function secretOf(reference: string): Uint8Array {
  if (reference.startsWith('file:')) return secretFromFile(reference.slice('file:'.length));
  const directory = process.env['CREDENTIALS_DIRECTORY'];
  if (directory === undefined)
    throw new Failure('secret-missing', `${reference}: systemd passed no credentials (LoadCredential= in the unit)`);
  return credential(reference.slice('credential:'.length), directory);
}
