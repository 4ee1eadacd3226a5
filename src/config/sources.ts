/** What the configuration refers to, on this machine: files, secrets, the folder of the socket, devices. */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Sources } from './findings.ts';
import { groupNumber } from '../status/local-socket.ts';
import { secretOf, unreadable } from './secrets.ts';

/** systemd makes these for the service; whoever checks a file may see neither. */
const madeByTheUnit = /^\/(run|var\/lib)\/meter-gateway\//;

function file(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure('config-invalid', unreadable(path, error));
  }
}

function socket(path: string, ours: boolean): void {
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing && !existing.isSocket())
    throw new Failure('config-invalid', `${path} is something else than a socket, and is left as it is`);
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    if (ours && (error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new Failure('config-invalid', `no socket can be made in ${dirname(path)}: ${messageOf(error)}`);
  }
}

/** Root may give a file to any group, everybody else to the own ones. */
function group(name: string): void {
  const number = groupNumber(name);
  const own = [process.getgid?.(), ...(process.getgroups?.() ?? [])];
  if (process.getuid?.() !== 0 && !own.includes(number))
    throw new Failure(
      'config-invalid',
      `the service is not in ${name}: Group=${name} or SupplementaryGroups=${name} in the unit`,
    );
}

function device(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Not plugged in: that is told by the port, and is no fault of the configuration.
    return path;
  }
}

/** 'MGW' as the maker, and five octets that no other life has. */
const lifeTitle = Buffer.concat([Buffer.from('MGW'), randomBytes(5)]);

/** As the service sees them. */
export const serviceSources: Sources = { secret: secretOf, file, socket, group, device, lifeTitle };

const unjudged = (message: string) => new Failure('config-invalid', message, { unjudged: true });
/** As somebody sees them who checks a file: what only the service can see is not judged. */
export const checkSources: Sources = {
  secret(reference) {
    if (reference.startsWith('credential:') && process.env['CREDENTIALS_DIRECTORY'] === undefined)
      throw unjudged(`${reference} is seen by the service only: LoadCredential= in the unit`);
    return secretOf(reference);
  },
  file,
  socket(path, ours) {
    try {
      socket(path, ours);
    } catch (error) {
      if (madeByTheUnit.test(path)) throw unjudged(`systemd makes ${dirname(path)} for the service`);
      throw error;
    }
  },
  group: (name) => void groupNumber(name),
  device,
  lifeTitle,
};
